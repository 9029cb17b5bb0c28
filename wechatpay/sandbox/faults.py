"""What can go wrong between WeChat Pay and a merchant.

For answers, :meth:`Sandbox.inject`::

    sandbox.inject(faults.WrongSignature())                                  # the next request
    sandbox.inject(faults.ErrorAnswer(429, "RATELIMIT_EXCEEDED"), times=3)   # the next three
    sandbox.inject(faults.Reset(), path="v2/secapi/pay/refund")              # the next one there

Faults befall all protocols, but for those of signatures, which the open platform has not got, and those of
signature headers, which wait for a request of APIv3.

For callbacks, give one to :meth:`Sandbox.notify` or :meth:`wechatpay.testing.Platform.notification`, such as
``fault=faults.OldTimestamp(365 * 86400)`` for one that is a year old. Faults of signatures befall callbacks,
too; those of connections and error answers do not; `NoResource`, `NotUtf8`, `OtherCipher` and `Reencoded`
befall nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.callbacks.flaws import NoResource, NotUtf8, OtherCipher, Reencoded
from wechatpay.sandbox.delivery import Delivery, Fault, HeaderFault, SignatureFault
from wechatpay.sandbox.desk import Sign

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Delay",
    "Delivery",
    "ErrorAnswer",
    "Fault",
    "HtmlPage",
    "MissingHeader",
    "NoResource",
    "NotUtf8",
    "OldTimestamp",
    "OtherCipher",
    "Probe",
    "Redirect",
    "Reencoded",
    "Reset",
    "Sign",
    "TamperedBody",
    "TruncatedBody",
    "UnknownSerial",
    "Unsigned",
    "WrongSignature",
]

_SIGNATURE = "Wechatpay-Signature"


@dataclass(frozen=True, slots=True)
class WrongSignature(SignatureFault):
    """A genuine signature, of another answer: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Put another answer's signature on this one."""
        return Delivery(sign.wrongly(proceed()))


@dataclass(frozen=True, slots=True)
class Unsigned(SignatureFault):
    """An answer without a signature: :class:`~wechatpay.VerificationError`.

    In APIv3 an :class:`~wechatpay.IncompleteHeadersError`, in APIv2 a :class:`~wechatpay.SignatureError`.
    """

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:  # noqa: ARG002  nothing is signed
        """Leave the signature out."""
        return Delivery(proceed())


@dataclass(frozen=True, slots=True)
class UnknownSerial(HeaderFault):
    """A key that the merchant has not got: :class:`~wechatpay.UnknownSerialError`.

    Attributes:
        serial: What the answer calls it.
    """

    serial: str = "PUB_KEY_ID_0100000000000000000000000000"

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Name another key."""
        return Delivery(_with(sign(proceed()), Headers({"Wechatpay-Serial": self.serial})))


@dataclass(frozen=True, slots=True)
class OldTimestamp(HeaderFault):
    """A genuine signature, too old to be believed: :class:`~wechatpay.ClockSkewError`.

    Attributes:
        age: Seconds since it was made; below 0 for one from the future.
    """

    age: float = 301.0

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Sign as of long ago."""
        return Delivery(sign(proceed(), age=self.age))


@dataclass(frozen=True, slots=True)
class MissingHeader(HeaderFault):
    """An answer that lost a header on the way: :class:`~wechatpay.IncompleteHeadersError`.

    Attributes:
        name: The header.
    """

    name: str = _SIGNATURE

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Leave the header out."""
        answer = sign(proceed())
        return Delivery(replace(answer, headers=answer.headers.with_({self.name: None})))


@dataclass(frozen=True, slots=True)
class Probe(HeaderFault):
    """A wrong signature on purpose, as WeChat Pay sends now and then: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Mark the signature as a probe."""
        answer = sign(proceed())
        return Delivery(
            _with(answer, Headers({_SIGNATURE: f"WECHATPAY/SIGNTEST/{answer.headers[_SIGNATURE]}"}))
        )


@dataclass(frozen=True, slots=True)
class TamperedBody(SignatureFault):
    """A body that was changed after it was signed: :class:`~wechatpay.SignatureError`.

    In APIv2, where the body is XML, what comes of the default is no answer at all:
    :class:`~wechatpay.VerificationError`.

    Attributes:
        change: Makes the changed body from the signed one.
    """

    change: Callable[[bytes], bytes] = bytes.swapcase

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Change the body."""
        answer = sign(proceed())
        return Delivery(replace(answer, body=self.change(answer.body)))


@dataclass(frozen=True, slots=True)
class ErrorAnswer(Fault):
    """An error of WeChat Pay's; nothing is carried out: :class:`~wechatpay.APIError`.

    Attributes:
        status: HTTP status, 400 to 599; APIv2's errors come with 200 all the same.
        code: WeChat Pay's error code; APIv2's ``err_code``.
        message: Its words.
        signed: Whether the answer carries a signature.
    """

    status: int = 500
    code: str = "SYSTEM_ERROR"
    message: str = "沙箱按要求返回的错误"
    signed: bool = True

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:  # noqa: PLR2004  HTTP's errors
            raise ConfigurationError(f"status: an error's is 400 to 599, not {self.status}")

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:  # noqa: ARG002  nothing is carried out
        """Answer with the error."""
        answer = sign.error(self.status, self.code, self.message)
        return Delivery(sign(answer) if self.signed else answer)


@dataclass(frozen=True, slots=True)
class HtmlPage(Fault):
    """A page of a machine in between, not signed; nothing is carried out: :class:`~wechatpay.ServerError`.

    Attributes:
        status: HTTP status.
    """

    status: int = 502

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:  # noqa: ARG002  nothing is carried out
        """Answer with the page."""
        page = (
            f"<html><head><title>{self.status}</title></head><body><h1>{self.status}</h1></body></html>\r\n"
        )
        return Delivery(Answer(self.status, page.encode(), Headers({"Content-Type": "text/html"})))


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """A redirect, not signed; nothing is carried out: :class:`~wechatpay.RedirectError`.

    Attributes:
        location: Where to.
        status: HTTP status.
    """

    location: str = "https://pay.weixin.qq.com/"
    status: int = 302

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:  # noqa: ARG002  nothing is carried out
        """Answer with the redirect."""
        return Delivery(Answer(self.status, headers=Headers({"Location": self.location})))


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """A connection reset after the request was carried out: :class:`~wechatpay.NoResponseError`."""

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:  # noqa: ARG002  there is no answer
        """Carry the request out and tell nobody."""
        proceed()
        return Delivery(None)


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """A proper answer that takes its time: :class:`~wechatpay.ReadTimeoutError`, if ``timeout`` is less.

    Attributes:
        seconds: How long.
    """

    seconds: float

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Answer late."""
        return Delivery(sign(proceed()), delay=self.seconds)


@dataclass(frozen=True, slots=True)
class TruncatedBody(Fault):
    """A connection closed in the middle of the answer: :class:`~wechatpay.NoResponseError`."""

    def deliver(self, proceed: Callable[[], Answer], sign: Sign) -> Delivery:
        """Send half of the body."""
        answer = sign(proceed())
        return Delivery(answer, kept=len(answer.body) // 2)


def _with(answer: Answer, changes: Headers) -> Answer:
    return replace(answer, headers=answer.headers.with_(changes))
