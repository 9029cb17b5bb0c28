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

    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Handler
    from wechatpay.platform import Platform, PlatformKey
    from wechatpay.platform.refresher import Steps
    from wechatpay.settings import Merchant
    from wechatpay.transports.sink import Sink

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
    """Verifies answers; a middleware."""

    def __init__(self, platform: Platform, clock: Callable[[], float]) -> None:
        self._platform = platform
        self._clock = clock

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Let only answers pass that are WeChat Pay's; mark errors that are.

        Raises:
            VerificationError: The answer is not provably WeChat Pay's.
        """
        try:
            response = yield from proceed(request)
        except APIError as error:
            if error.response is not None:
                yield from self._acquaint(request, error.response)
                error.verified = self._is_genuine(request, error.response)
            raise
        if rules.is_unsigned(request.route):
            log_step(request, "answers here carry no signature")
        else:
            yield from self._acquaint(request, response)
            if request.sink is not None:
                yield from self._recount(request.sink, request, response)
            self._check_outcome(request, response)
        return response

    def _check_outcome(self, request: Request, response: Response) -> None:
        """Check a response; its error says what to do next, and whether our clock is wrong."""
        try:
            self.check(request, response)
        except VerificationError as error:
            clock = explain_clock(response.headers, self._clock())
            step = rules.next_step(request.method, request.route)
            error.args = (f"{error}{clock}; the outcome is unknown: {step}",)
            raise

    def _acquaint(self, request: Request, response: Response) -> Steps[None]:
        """Ask for the key of an answer, if it is of just now and names one that we do not know."""
        serial = response.headers.get("Wechatpay-Serial", "")
        if not serial or self._key(request, serial, self._clock()) is not None:
            return
        try:
            proof = Proof.read(response.headers, self._clock(), ANSWER)
        except VerificationError:
            return
        log_step(request, "answered with the key %s, which is not known yet", serial)
        yield from self._platform.seek(proof.serial)

    def _recount(self, sink: Sink, request: Request, response: Response) -> Steps[None]:
        """Digest a file anew if its key, which some digests begin with, was not known when it came."""
        if not isinstance(sink.tally, StreamTally):
            return
        key = self._key(request, response.headers.get("Wechatpay-Serial", ""), self._clock())
        if key is not None and not sink.tally.suits(key):
            yield Blocking(sink.recount, StreamTally(response.headers, key))

    def check(self, request: Request, response: Response) -> None:
        """Prove that ``response`` is WeChat Pay's answer of just now.

        Raises:
            IncompleteHeadersError: A signature header is missing or malformed.
            ClockSkewError: It was signed more than 300 s from our clock.
            UnknownSerialError: It names a key that we do not have.
            SignatureError: The signature does not belong to this body.
        """
        try:
            proof = Proof.read(response.headers, self._clock(), ANSWER, request.host)
            if (key := self._key(request, proof.serial, int(proof.timestamp))) is None:
                raise proof.unknown(self._platform.serials)
            if not self._belongs(proof, request, response, key):
                raise proof.forged()
        except VerificationError as error:
            error.request, error.response = request, response
            raise
        log_step(request, "verified with key %s", proof.serial)

    def _key(self, request: Request, serial: str, at: float) -> PlatformKey | None:
        """Return the key that an answer names: one that we know, or knew when the request named it."""
        named = request.envelope.key if request.envelope else None
        if named is not None and named.serial == serial and named.is_valid(at):
            return named
        return self._platform.get(serial, at)

    def _is_genuine(self, request: Request, response: Response) -> bool:
        try:
            self.check(request, response)
        except VerificationError:
            return False
        return True

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
