"""Faults of connections, and responses that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.faults.fault import Fault
from wechatpay.sandbox.messages import Delivery, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.signing import Signer


__all__ = [
    "Delay",
    "ErrorResponse",
    "Hang",
    "HtmlPage",
    "RateLimit",
    "Redirect",
    "Reset",
    "SlowBody",
    "TruncatedBody",
]

#: Seconds after which nobody waits any more.
_FOREVER = 86400.0


@dataclass(frozen=True, slots=True)
class ErrorResponse(Fault):
    """An error of WeChat Pay's: :class:`~wechatpay.APIError`.

    Attributes:
        status: HTTP status, 400 to 599; APIv2's errors come with 200 all the same.
        code: WeChat Pay's error code; APIv2's ``err_code``.
        message: Its text.
        signed: Whether the response is signed.
        executed: Whether the request is executed before.
    """

    status: int = 500
    code: str = "SYSTEM_ERROR"
    message: str = "沙箱按要求返回的错误"
    signed: bool = True
    executed: bool = False

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:  # noqa: PLR2004  HTTP's errors
            raise ConfigurationError(f"status: an error's is 400 to 599, not {self.status}")

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Respond with the error."""
        if self.executed:
            proceed()
        response = signer.error(self.status, self.code, self.message)
        return Delivery(signer.sign(response) if self.signed else response)


@dataclass(frozen=True, slots=True)
class RateLimit(ErrorResponse):
    """Too many requests: :class:`~wechatpay.APIError`; see `ErrorResponse`."""

    status: int = 429
    code: str = "FREQUENCY_LIMITED"
    message: str = "频率超限"


@dataclass(frozen=True, slots=True)
class HtmlPage(Fault):
    """A proxy's page, unsigned: :class:`~wechatpay.ServerError`.

    Attributes:
        status: HTTP status.
        executed: Whether the request is executed before.
    """

    status: int = 502
    executed: bool = False

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is signed
        """Respond with the page."""
        if self.executed:
            proceed()
        page = (
            f"<html><head><title>{self.status}</title></head><body><h1>{self.status}</h1></body></html>\r\n"
        )
        return Delivery(HttpResponse(self.status, page.encode(), Headers({"Content-Type": "text/html"})))


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """A redirect, unsigned: :class:`~wechatpay.RedirectError`.

    Attributes:
        location: Where to.
        status: HTTP status.
        executed: Whether the request is executed before.
    """

    location: str = "https://pay.weixin.qq.com/"
    status: int = 302
    executed: bool = False

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is signed
        """Respond with the redirect."""
        if self.executed:
            proceed()
        return Delivery(HttpResponse(self.status, headers=Headers({"Location": self.location})))


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """A connection that is reset: :class:`~wechatpay.NoResponseError`.

    Attributes:
        executed: Whether the request is executed before.
    """

    executed: bool = True

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is sent
        """Send nothing."""
        if self.executed:
            proceed()
        return Delivery(None)


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """A response that never comes, on an open connection: :class:`~wechatpay.ReadTimeoutError`.

    Attributes:
        executed: Whether the request is executed.
    """

    executed: bool = True

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is sent
        """Keep the connection open until the client closes it."""
        if self.executed:
            proceed()
        return Delivery(None, delay=_FOREVER)


def _check_seconds(seconds: float) -> None:
    if not isinstance(seconds, int | float) or not 0 <= seconds <= _FOREVER:
        raise ConfigurationError(f"seconds: give 0 to {_FOREVER:.0f}, not {seconds!r:.40}")


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """A late response: :class:`~wechatpay.ReadTimeoutError`, if ``timeout`` is less.

    Attributes:
        seconds: How long, up to a day.
        executed: Whether the request is executed, at once; otherwise the late response is an error.
    """

    seconds: float
    executed: bool = True

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Respond late."""
        return Delivery(_respond(proceed, signer, executed=self.executed), delay=self.seconds)


@dataclass(frozen=True, slots=True)
class SlowBody(Fault):
    """A body that comes in small pieces: :class:`~wechatpay.ReadTimeoutError`, if ``timeout`` is less.

    Attributes:
        seconds: How long the whole body takes, up to a day.
        executed: Whether the request is executed before; otherwise the body is an error's.
    """

    seconds: float
    executed: bool = True

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Send the body slowly."""
        return Delivery(_respond(proceed, signer, executed=self.executed), duration=self.seconds)


@dataclass(frozen=True, slots=True)
class TruncatedBody(Fault):
    """A connection closed in the middle of a response: :class:`~wechatpay.NoResponseError`.

    Attributes:
        executed: Whether the request is executed before; otherwise the body is an error's.
    """

    executed: bool = True

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Send half of the body."""
        response = _respond(proceed, signer, executed=self.executed)
        return Delivery(response, kept=len(response.body) // 2)


def _respond(proceed: Callable[[], HttpResponse], signer: Signer, *, executed: bool) -> HttpResponse:
    """Return the signed response to a request, or WeChat Pay's error if it is not executed."""
    response = proceed() if executed else signer.error(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
    return signer.sign(response)
