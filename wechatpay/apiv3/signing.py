"""APIv3 signatures: the two middlewares that sign requests and verify answers.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.apiv3 import rules
from wechatpay.apiv3.body_digest import StreamTally, is_sha1_of
from wechatpay.apiv3.verification import ANSWER, Proof, explain_clock
from wechatpay.crypto.encoding import base64_decode
from wechatpay.errors import APIError, CryptoError, InvalidRequestError, VerificationError
from wechatpay.logs import log_step
from wechatpay.messages import SignedSnapshot
from wechatpay.middleware import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.apiv3.keys import PlatformKey, PlatformKeys, Steps
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Merchant

__all__ = ["Signer", "Verifier"]

_STATEMENT_SHA1 = "Wechatpay-Statement-Sha1"


class Signer:
    """Signs requests; a middleware."""

    def __init__(self, merchant: Merchant, clock: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._merchant = merchant
        self._clock = clock
        self._nonce = nonce

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Add ``Authorization``, over the method, the target and the body as they will be sent."""
        # Signed in other frames: trackers show the local variables of every one that an error passes.
        if callable(function := self._merchant.private_key):
            return (yield from proceed((yield from self._signed_by(function, request))))
        return (yield from proceed(self._signed(request)))

    def _signed(self, request: Request) -> Request:
        stamp = self._stamp()
        snapshot = _take_snapshot(request, *stamp)
        signature = self._merchant.suite.sign(snapshot.text, self._merchant.private_key)
        return self._with(signature, request, snapshot, stamp)

    def _signed_by(self, function: Callable[[str], str], request: Request) -> Steps[Request]:
        stamp = self._stamp()
        snapshot = _take_snapshot(request, *stamp)
        signature = yield Blocking(function, _decoded(snapshot.text))
        return self._with(_checked(signature), request, snapshot, stamp)

    def _stamp(self) -> tuple[str, str]:
        return str(int(self._clock())), self._nonce()

    def _with(
        self, signature: str, request: Request, snapshot: SignedSnapshot, stamp: tuple[str, str]
    ) -> Request:
        merchant = self._merchant
        log_step(request, "signed %s bytes as %s, serial %s", len(snapshot.text), merchant, merchant.serial)
        return request.with_(
            headers={"Authorization": merchant.authorization(signature, *stamp)}, snapshot=snapshot
        )


def _take_snapshot(request: Request, timestamp: str, nonce: str) -> SignedSnapshot:
    target = request.target
    text = formatter.request(request.method, target, timestamp, nonce, request.signable)
    return SignedSnapshot(request.method, target, request.content, text)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            "body: is not UTF-8, but private_key is a function, which signs text"
        ) from None


def _checked(signature: object) -> str:
    """Refuse what a function of the caller's made, if it would break the header, or cannot be a signature."""
    if isinstance(signature, str) and signature:
        with contextlib.suppress(CryptoError):
            base64_decode(signature, "signature")
            return signature
    raise CryptoError(
        f"private_key: the function returned {type(signature).__name__}, which is no base64 on one line"
    )


class Verifier:
    """Verifies responses; a middleware."""

    def __init__(self, platform: PlatformKeys, clock: Callable[[], float]) -> None:
        self._platform = platform
        self._clock = clock

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Return only verified responses; mark error responses as verified or not.

        Raises:
            VerificationError: The response is not verifiably WeChat Pay's.
        """
        try:
            response = yield from proceed(request)
        except APIError as error:
            if error.response is not None:
                error.verified = yield from self._is_genuine(request, error.response)
            raise
        if rules.is_unsigned(request.route):
            log_step(request, "responses here carry no signature")
        else:
            yield from self._verify_outcome(request, response)
        return response

    def _verify_outcome(self, request: Request, response: Response) -> Steps[None]:
        """Verify a response; its error says what to do next, and whether our clock is wrong."""
        try:
            yield from self._verify(request, response)
        except VerificationError as error:
            clock = explain_clock(response.headers, self._clock())
            step = rules.next_step(request.method, request.route)
            error.args = (f"{error}{clock}; the outcome is unknown: {step}",)
            raise

    def _is_genuine(self, request: Request, response: Response) -> Steps[bool]:
        try:
            yield from self._verify(request, response)
        except VerificationError:
            return False
        return True

    def _verify(self, request: Request, response: Response) -> Steps[None]:
        """Verify that a response is WeChat Pay's, and was signed just now.

        Raises:
            IncompleteHeadersError: A signature header is missing or malformed.
            ClockSkewError: It was signed more than 300 s from our clock.
            UnknownSerialError: It names a key that is not trusted.
            SignatureError: The signature does not belong to this body.
        """
        try:
            proof = Proof.read(response.headers, self._clock(), ANSWER, request.host)
            named = request.encryptor.key if request.encryptor else None
            key = yield from self._platform.find(proof.serial, int(proof.timestamp), named)
            if key is None:
                raise proof.unknown(self._platform.serials)
            tally = request.sink.tally if request.sink else None
            if request.sink is not None and isinstance(tally, StreamTally) and not tally.suits(key):
                # Some digests begin with the key, which was not known when the body was received.
                yield Blocking(request.sink.recount, StreamTally(response.headers, key))
            if not self._belongs(proof, request, response, key):
                raise proof.forged()
        except VerificationError as error:
            error.request, error.response = request, response
            raise
        log_step(request, "verified with key %s", proof.serial)

    @staticmethod
    def _belongs(proof: Proof, request: Request, response: Response, key: PlatformKey) -> bool:
        suite, public_key = key.suite, key.public_key
        tally = request.sink.tally if request.sink else None
        claimed = response.headers.get(_STATEMENT_SHA1)
        if claimed and rules.is_digest_signed(request.route):
            return is_sha1_of(claimed, tally or StreamTally.of(response)) and suite.verify(
                proof.text(f'{{"sha1":"{claimed}"}}'.encode()), proof.signature, public_key
            )
        if isinstance(tally, StreamTally):
            return suite.verify_digest(tally.signed(), proof.signature, public_key)
        return suite.verify(proof.text(response.content), proof.signature, public_key)
