"""APIv3 signatures: the two middlewares that sign requests and verify answers.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.crypto import rsa
from wechatpay.errors import APIError, VerificationError
from wechatpay.messages import Seal
from wechatpay.protocols import rules
from wechatpay.protocols.proof import ANSWER, HEADERS, Proof
from wechatpay.story import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from wechatpay.exchange import Flow, Handler
    from wechatpay.messages import Headers, Request, Response
    from wechatpay.platform import Platform, PlatformKey
    from wechatpay.platform.refresher import Steps
    from wechatpay.settings import Merchant

__all__ = ["Signer", "StreamTally", "Verifier"]

_STATEMENT_SHA1 = "Wechatpay-Statement-Sha1"

#: Bytes unpacked at a time, so that a small file cannot fill the memory.
_PIECE = 1 << 20

#: What zlib calls a gzip file.
_GZIP = zlib.MAX_WBITS | 16


class Signer:
    """Signs requests; a middleware."""

    def __init__(self, merchant: Merchant, clock: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._merchant = merchant
        self._clock = clock
        self._nonce = nonce

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Add ``Authorization``, over the method, the target and the body as they will be sent."""
        # Signed elsewhere: trackers show the local variables of every frame that an error passes.
        return (yield from proceed(self._signed(request)))

    def _signed(self, request: Request) -> Request:
        merchant = self._merchant
        timestamp, nonce, target = str(int(self._clock())), self._nonce(), request.target
        text = formatter.request(request.method, target, timestamp, nonce, request.signable)
        signature = rsa.sign(text, merchant.private_key)
        tell(request, "signed %s bytes as merchant %s, serial %s", len(text), merchant.mchid, merchant.serial)
        authorization = formatter.authorization(merchant.mchid, nonce, signature, timestamp, merchant.serial)
        return request.with_(
            headers={"Authorization": authorization},
            seal=Seal(request.method, target, request.content, text, request.upload),
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
            tell(request, "answers here carry no signature")
        else:
            yield from self._acquaint(request, response)
            self.check(request, response)
        return response

    def _acquaint(self, request: Request, response: Response) -> Steps[None]:
        """Ask for the key of an answer, if it is of just now and names one that we do not know."""
        serial = response.headers.get("Wechatpay-Serial", "")
        if not serial or self._key(request, serial, self._clock()) is not None:
            return
        try:
            proof = Proof.read(response.headers, self._clock(), ANSWER)
        except VerificationError:
            return
        tell(request, "answered with the key %s, which is not known yet", serial)
        yield from self._platform.seek(proof.serial)

    def check(self, request: Request, response: Response) -> None:
        """Prove that ``response`` is WeChat Pay's answer of just now.

        Raises:
            IncompleteHeadersError: A signature header is missing or malformed.
            ClockSkewError: It was signed more than 300 s from our clock.
            UnknownSerialError: It names a key that we do not have.
            SignatureError: The signature does not belong to this body.
        """
        try:
            proof = Proof.read(response.headers, self._clock(), ANSWER)
            if (key := self._key(request, proof.serial, int(proof.timestamp))) is None:
                raise proof.unknown(self._platform.serials)
            if not self._belongs(proof, request, response, key.public_key):
                raise proof.forged()
        except VerificationError as error:
            error.request, error.response = request, response
            raise
        tell(request, "verified with key %s", proof.serial)

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
    def _belongs(proof: Proof, request: Request, response: Response, key: RSAPublicKey) -> bool:
        tally = request.sink.tally if request.sink else None
        claimed = response.headers.get(_STATEMENT_SHA1)
        if claimed and rules.is_digest_signed(request.route):
            return _is_sha1_of(claimed, tally or StreamTally.of(response)) and rsa.verify(
                proof.text(f'{{"sha1":"{claimed}"}}'.encode()), proof.signature, key
            )
        if isinstance(tally, StreamTally):
            return rsa.verify_digest(tally.signed(), proof.signature, key)
        return rsa.verify(proof.text(response.content), proof.signature, key)


def _is_sha1_of(claimed: str, tally: object) -> bool:
    # A header may hold any bytes, and aiohttp hands some of them on as what no codec takes.
    return (
        claimed.isascii()
        and isinstance(tally, StreamTally)
        and any(hmac.compare_digest(claimed.lower(), digest) for digest in tally.sha1())
    )


class StreamTally:
    """Hashes an answer on its way to a sink: the signed text, and a statement's own SHA-1."""

    def __init__(self, headers: Headers) -> None:
        head = "".join(f"{headers.get(name, '')}\n" for name in HEADERS[:2])
        self._signed = hashlib.sha256(head.encode("utf-8", "replace"))
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._plain = GunzipSha1()

    @classmethod
    def of(cls, response: Response) -> StreamTally:
        """Hash an answer that is in memory."""
        tally = cls(response.headers)
        tally.update(response.content)
        return tally

    def update(self, chunk: bytes, /) -> None:
        """Take the next piece of the body."""
        self._signed.update(chunk)
        self._sha1.update(chunk)
        self._plain.update(chunk)

    def signed(self) -> bytes:
        """Return the SHA-256 of the signed text."""
        signed = self._signed.copy()
        signed.update(b"\n")
        return signed.digest()

    def sha1(self) -> tuple[str, ...]:
        """Return the SHA-1, in hex, of the body, and of what it holds when it is a gzip file."""
        return self._sha1.hexdigest(), self._plain.hexdigest()


class GunzipSha1:
    """The SHA-1 of what a gzip file holds: statements are hashed before they are compressed."""

    def __init__(self) -> None:
        self._gunzip = zlib.decompressobj(wbits=_GZIP)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._broken = False

    def update(self, chunk: bytes) -> None:
        """Take the next piece of the file, which may have several members."""
        while chunk and not self._broken:
            if self._gunzip.eof:
                self._gunzip = zlib.decompressobj(wbits=_GZIP)
            try:
                self._sha1.update(self._gunzip.decompress(chunk, _PIECE))
            except zlib.error:
                self._broken = True
            chunk = self._gunzip.unconsumed_tail or self._gunzip.unused_data

    def hexdigest(self) -> str:
        """Return the digest in hex, or ``""`` when it was no whole gzip file, or more than that."""
        return self._sha1.hexdigest() if self._gunzip.eof and not self._broken else ""
