"""Verifying APIv3 responses and callbacks: the signature headers, the clock, the key, the signature.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.apiv3 import rules
from wechatpay.apiv3.body_digest import BodyDigest, is_sha1_of
from wechatpay.errors import (
    APIError,
    ClockSkewError,
    IncompleteHeadersError,
    SignatureError,
    UnknownSerialError,
    VerificationError,
)
from wechatpay.logs import log_step
from wechatpay.middleware import Blocking
from wechatpay.uri.hosts import PAYMENT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wechatpay.apiv3.keyring import PlatformKey
    from wechatpay.apiv3.keys import PlatformKeys
    from wechatpay.messages import Headers, Request, Response
    from wechatpay.middleware import Flow, Handler, Steps

__all__ = [
    "RESPONSE",
    "SIGNATURE_HEADERS",
    "TOLERANCE",
    "MessageKind",
    "SignatureHeaders",
    "Verifier",
    "explain_clock",
]

#: Seconds that the clocks may differ.
TOLERANCE = 300

SIGNATURE_HEADERS = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature")
_LOWERED = tuple(name.lower() for name in SIGNATURE_HEADERS)

#: What WeChat Pay signs with to see whether signatures are verified.
_PROBE = "WECHATPAY/SIGNTEST/"

#: Of a timestamp, at most: those of a 64-bit number.
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class MessageKind:
    """What is verified, and the errors that it raises.

    Attributes:
        noun: What messages call it.
        incomplete: Raised when a header is missing or malformed.
        stale: Raised when it was signed too far from our clock.
        unknown: Raised when it names a key that is not trusted.
        wrong: Raised when its signature does not belong to it.
        probe: Raised when its signature is wrong on purpose.
    """

    noun: str
    incomplete: type[IncompleteHeadersError]
    stale: type[ClockSkewError]
    unknown: type[UnknownSerialError]
    wrong: type[SignatureError]
    probe: type[SignatureError]


RESPONSE = MessageKind(
    "the response", IncompleteHeadersError, ClockSkewError, UnknownSerialError, SignatureError, SignatureError
)


@dataclass(frozen=True, slots=True, repr=False)
class SignatureHeaders:
    """The signature headers of one message, well-formed and of just now; the signature is not yet verified.

    Attributes:
        kind: What they belong to.
        timestamp: Unix seconds, as digits.
        nonce: Random text.
        serial: The serial number, or public key id, of the key that signed.
        signature: The signature in base64.
    """

    kind: MessageKind
    timestamp: str
    nonce: str
    serial: str
    signature: str

    @classmethod
    def read(
        cls, headers: Headers, now: float, kind: MessageKind, request: Request | None = None
    ) -> SignatureHeaders:
        """Read the headers, and refuse those that no key can verify.

        Args:
            headers: The message's.
            now: Unix seconds.
            kind: What they belong to.
            request: What a response belongs to; ``None`` for a callback.

        Raises:
            IncompleteHeadersError: A header is missing or malformed.
            ClockSkewError: The message was signed more than 300 s from ``now``.
            SignatureError: It is a probe, for which no key is fetched.
        """
        timestamp, nonce, serial, signature = headers.pick(*_LOWERED)
        if not (timestamp and nonce and serial and signature):
            missing = [name for name in SIGNATURE_HEADERS if not headers.get(name)]
            why = _explain_missing(request.host if request else "")
            raise kind.incomplete(f"{kind.noun} lacks {', '.join(missing)}: {why}")
        if not (
            timestamp.isdigit()
            and len(timestamp) <= _MAX_DIGITS
            and (timestamp + nonce + serial + signature).isascii()
        ):
            raise kind.incomplete(f"the signature headers of {kind.noun} are malformed")
        if abs(skew := int(now) - int(timestamp)) > TOLERANCE:
            raise kind.stale(
                f"{kind.noun} was signed {skew} s from our clock, {TOLERANCE} s are allowed: "
                "is the clock right?",
                skew=skew,
            )
        if signature.startswith(_PROBE):
            raise kind.probe("a probe: a wrong signature, sent on purpose")
        return cls(kind, timestamp, nonce, serial, signature)

    def text(self, body: bytes) -> bytes:
        """Return the text that is signed when the message has this body."""
        return formatter.response(self.timestamp, self.nonce, body)

    def unknown_serial(self, serials: Iterable[str]) -> UnknownSerialError:
        """Make the error for a key that is not among the trusted ``serials``, or not valid then."""
        serials = tuple(serials)
        if self.serial in serials:
            return self.kind.unknown(
                f"{self.kind.noun} names the key {self.serial!r:.80}, whose certificate is "
                "outside its dates, retired, or no longer offered: is the clock right? If it is, add "
                "WeChat Pay's public key or present certificate to certs",
                serial=self.serial,
            )
        return self.kind.unknown(
            f"{self.kind.noun} names the key {self.serial!r:.80}, but certs holds "
            f"{', '.join(serials) or 'none'}: "
            "add WeChat Pay's public key or certificate of that serial",
            serial=self.serial,
        )

    def wrong_signature(self) -> SignatureError:
        """Make the error for a signature that does not belong to the message."""
        return self.kind.wrong(f"the signature does not belong to {self.kind.noun} (key {self.serial!r:.80})")


class Verifier:
    """Verifies responses; a middleware."""

    def __init__(self, keys: PlatformKeys, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock

    def __call__(self, request: Request, proceed: Handler) -> Flow:
        """Return only verified responses; mark error responses as verified or not.

        Raises:
            VerificationError: The response cannot be verified as WeChat Pay's.
        """
        try:
            response = yield from proceed(request)
        except APIError as error:
            if error.response is not None:
                error.verified = yield from self._is_verified(request, error.response)
            raise
        if rules.is_unsigned(request.route):
            log_step(request, "responses here carry no signature")
            return response
        try:
            yield from self._verify(request, response)
        except VerificationError as error:
            clock = explain_clock(response.headers, self._received_at(request))
            error.args = (f"{error}{clock}; the outcome is unknown: {rules.next_step(request)}",)
            raise
        return response

    def _is_verified(self, request: Request, response: Response) -> Steps[bool]:
        try:
            yield from self._verify(request, response)
        except VerificationError:
            return False
        return True

    def _verify(self, request: Request, response: Response) -> Steps[None]:
        """Verify that a response is WeChat Pay's, and was signed just now.

        Raises:
            IncompleteHeadersError: A signature header is missing or malformed.
            ClockSkewError: It was signed more than 300 s from our clock, when a download began to arrive.
            UnknownSerialError: It names a key that is not trusted.
            SignatureError: The signature does not belong to this body.
        """
        try:
            headers = SignatureHeaders.read(response.headers, self._received_at(request), RESPONSE, request)
            named = request.encryptor.key if request.encryptor else None
            key = yield from self._keys.find(headers.serial, int(headers.timestamp), named)
            if key is None:
                raise headers.unknown_serial(self._keys.serials)
            if request.sink is None and not response.headers.get("Wechatpay-Statement-Sha1"):
                is_genuine = key.suite.verify(
                    headers.text(response.content), headers.signature, key.public_key
                )
            else:
                is_genuine = yield from _verify_digest(headers, request, response, key)
            if not is_genuine:
                raise headers.wrong_signature()
        except VerificationError as error:
            error.request, error.response = request, response
            raise
        if request.logged:
            log_step(request, "verified with key %s", headers.serial)

    def _received_at(self, request: Request) -> float:
        """Return when the response's head arrived: a long download ends long after that."""
        digest = request.sink.body_digest if request.sink else None
        received_at = digest.received_at if isinstance(digest, BodyDigest) else None
        return self._clock() if received_at is None else received_at


def _verify_digest(
    headers: SignatureHeaders, request: Request, response: Response, key: PlatformKey
) -> Steps[bool]:
    """Verify the body of a download by its digest, or of a statement by its signed SHA-1."""
    sink, digest = request.sink, request.sink.body_digest if request.sink else None
    if sink is not None and isinstance(digest, BodyDigest) and not digest.suits(key):
        # Some digests begin with the key, which was not known when the body was received.
        digest = BodyDigest(response.headers, key, digest.received_at)
        yield Blocking(sink.rehash, digest, final=True)
    claimed = response.headers.get("Wechatpay-Statement-Sha1", "")
    if claimed and rules.is_digest_signed(request.route):
        return is_sha1_of(claimed, digest or BodyDigest.of(response)) and key.suite.verify(
            headers.text(f'{{"sha1":"{claimed}"}}'.encode()), headers.signature, key.public_key
        )
    if isinstance(digest, BodyDigest):
        return key.suite.verify_digest(digest.signed(), headers.signature, key.public_key)
    return key.suite.verify(headers.text(response.content), headers.signature, key.public_key)


def _explain_missing(host: str) -> str:
    """Explain why a message has no signature headers, and what to do.

    Args:
        host: Where a response came from; empty for a callback, which may come from anybody.
    """
    if not host:
        return (
            "it did not come from WeChat Pay, or a proxy in front of this server removed its Wechatpay-* "
            "headers; for tests, wechatpay.testing makes signed callbacks"
        )
    if host in PAYMENT_HOSTS:
        return "a proxy between here and WeChat Pay removed its Wechatpay-* headers: let it pass them on"
    return f"{host} is not a host of WeChat Pay; for tests, wechatpay.testing makes signed responses"


def explain_clock(headers: Headers, now: float) -> str:
    """Say how far our clock is from the server's, by the header ``Date``; ``""`` if the two agree.

    Args:
        headers: The response's.
        now: Our clock, in Unix seconds.
    """
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415  loads a dozen modules; few need it

    date = parsedate_tz(headers.get("Date", ""))
    if date is None:
        return ""
    try:
        skew = int(now) - mktime_tz(date)
    except (ValueError, OverflowError):
        return ""
    if abs(skew) <= TOLERANCE:
        return ""
    return f"; our clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the server's: set it right"
