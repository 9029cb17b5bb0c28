"""What proves that a message is WeChat Pay's: the headers that sign an answer, or a callback, of APIv3.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.errors import ClockSkewError, IncompleteHeadersError, SignatureError, UnknownSerialError
from wechatpay.uri.hosts import PAYMENT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ANSWER", "HEADERS", "TOLERANCE", "Proof", "Subject", "explain_clock", "explain_missing"]

#: Seconds that the clocks may differ.
TOLERANCE = 300

HEADERS = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature")

#: What WeChat Pay signs with to see whether signatures are checked.
_PROBE = "WECHATPAY/SIGNTEST/"

#: Of a timestamp, at most: those of a 64-bit number.
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be proved, and how its failures are raised.

    Attributes:
        noun: What messages call it.
        incomplete: Raised when a header is missing or malformed.
        stale: Raised when it was signed too far from our clock.
        unknown: Raised when it names a key that is not trusted.
        forged: Raised when its signature does not belong to it.
        probe: Raised when its signature is wrong on purpose.
    """

    noun: str
    incomplete: type[IncompleteHeadersError]
    stale: type[ClockSkewError]
    unknown: type[UnknownSerialError]
    forged: type[SignatureError]
    probe: type[SignatureError]


ANSWER = Subject(
    "the answer",
    IncompleteHeadersError,
    ClockSkewError,
    UnknownSerialError,
    SignatureError,
    SignatureError,
)


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """The signature headers of one message, well-formed and of just now; what they sign is still to be seen.

    Attributes:
        subject: What they are to prove.
        timestamp: Unix seconds, as digits.
        nonce: Random text.
        serial: The serial number, or public key id, of the key that signed.
        signature: The signature in base64.
    """

    subject: Subject
    timestamp: str
    nonce: str
    serial: str
    signature: str

    @classmethod
    def read(cls, headers: Mapping[str, str], now: float, subject: Subject, host: str = "") -> Proof:
        """Read the headers, and refuse what no key can prove any more.

        Args:
            headers: Headers by name, in any case.
            now: Unix seconds.
            subject: What is to be proved.
            host: Where a response came from; empty for a callback.

        Raises:
            IncompleteHeadersError: A header is missing or malformed.
            ClockSkewError: The message was signed more than 300 s from ``now``.
            SignatureError: It is a probe. No key was looked for: a probe is no reason to fetch one.
        """
        values = [headers.get(name, "") for name in HEADERS]
        if not all(values):
            missing = [name for name, value in zip(HEADERS, values, strict=True) if not value]
            raise subject.incomplete(f"{subject.noun} lacks {', '.join(missing)}: {explain_missing(host)}")
        if not values[0].isdigit() or len(values[0]) > _DIGITS or not "".join(values).isascii():
            raise subject.incomplete(f"the signature headers of {subject.noun} are malformed")
        proof = cls(subject, *values)
        proof._check(int(now))
        return proof

    def _check(self, now: int) -> None:
        noun = self.subject.noun
        if abs(skew := now - int(self.timestamp)) > TOLERANCE:
            raise self.subject.stale(
                f"{noun} was signed {skew} s from our clock, {TOLERANCE} s are allowed: is the clock right?",
                skew=skew,
            )
        if self.signature.startswith(_PROBE):
            raise self.subject.probe("a probe: a wrong signature, sent on purpose")

    def text(self, body: bytes) -> bytes:
        """Lay out what is signed when the message has this body."""
        return formatter.response(self.timestamp, self.nonce, body)

    def unknown(self, serials: Iterable[str]) -> UnknownSerialError:
        """Make the error for a key that is not among the trusted ``serials``."""
        return self.subject.unknown(
            f"{self.subject.noun} names the key {self.serial!r:.80}, but certs holds "
            f"{', '.join(serials) or 'none'}: "
            "add WeChat Pay's public key or certificate of that serial",
            serial=self.serial,
        )

    def forged(self) -> SignatureError:
        """Make the error for a signature that does not belong to the message."""
        return self.subject.forged(
            f"the signature does not belong to {self.subject.noun} (key {self.serial!r:.80})"
        )


def explain_missing(host: str) -> str:
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


def explain_clock(headers: Mapping[str, str], now: float) -> str:
    """Say how far our clock is from the server's, by the header ``Date``; ``""`` if the two agree.

    Args:
        headers: Headers of the response, by name in any case.
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
