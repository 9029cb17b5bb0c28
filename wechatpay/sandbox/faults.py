"""Faults between WeChat Pay and a merchant.

For responses, :meth:`Sandbox.inject`::

    sandbox.inject(faults.WrongSignature())                                   # the next request
    sandbox.inject(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED"), times=3)  # the next three
    sandbox.inject(faults.Reset(), path="v2/secapi/pay/refund")               # the next one there

Faults apply to all protocols, except those of signatures, which the open platform does not have, and those of
signature headers, which wait for a request of APIv3.

For callbacks, pass one to :meth:`Sandbox.notify` or :meth:`wechatpay.testing.Platform.notification`, such as
``fault=faults.OldTimestamp(365 * 86400)``. Faults of signatures apply to callbacks as well; those of
connections and error responses do not; `NoResource`, `NotUtf8`, `OtherCipher` and `Reencoded` apply to
callbacks only.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.operations import Template
from wechatpay.sandbox.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.messages import HttpRequest

__all__ = [
    "Delay",
    "Delivery",
    "ErrorResponse",
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
    "Signer",
    "TamperedBody",
    "TruncatedBody",
    "UnknownSerial",
    "Unsigned",
    "WrongSignature",
]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a response is sent.

    Attributes:
        response: What is sent; ``None`` resets the connection instead.
        delay: Seconds to wait before.
        kept: Bytes of the body to send before the connection is closed; ``None`` for all.
    """

    response: HttpResponse | None
    delay: float = 0.0
    kept: int | None = None


class Fault(ABC):
    """One fault of one response or callback; requests that fail verification consume none.

    Attributes:
        protocols: What it applies to: requests of ``v3``, ``v2`` or ``mp`` (the open platform), and
            ``v3 callback`` or ``v2 callback``.
    """

    __slots__ = ()

    protocols: ClassVar[frozenset[str]] = frozenset({"v3", "v2", "mp"})

    @abstractmethod
    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Respond to a request.

        Args:
            proceed: Executes the request and returns the unsigned response. A fault that does not call it
                leaves the request undone.
            signer: Signs responses of the request's protocol.
        """


class SignatureFault(Fault):
    """A fault of the signature; the open platform has none."""

    __slots__ = ()

    protocols = frozenset({"v3", "v2", "v3 callback", "v2 callback"})


class HeaderFault(Fault):
    """A fault of APIv3's signature headers."""

    __slots__ = ()

    protocols = frozenset({"v3", "v3 callback"})


_SIGNATURE = "Wechatpay-Signature"


@dataclass(frozen=True, slots=True)
class WrongSignature(SignatureFault):
    """A genuine signature, of another response: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Put another response's signature on this one."""
        return Delivery(signer.sign_wrongly(proceed()))


@dataclass(frozen=True, slots=True)
class Unsigned(SignatureFault):
    """A response without a signature: :class:`~wechatpay.VerificationError`.

    In APIv3 an :class:`~wechatpay.IncompleteHeadersError`, in APIv2 a :class:`~wechatpay.SignatureError`.
    """

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is signed
        """Leave the signature out."""
        return Delivery(proceed())


@dataclass(frozen=True, slots=True)
class UnknownSerial(HeaderFault):
    """A key that the merchant does not have: :class:`~wechatpay.UnknownSerialError`.

    Attributes:
        serial: The serial number in the response.
    """

    serial: str = "PUB_KEY_ID_0100000000000000000000000000"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Name another key."""
        return Delivery(_with(signer.sign(proceed()), Headers({"Wechatpay-Serial": self.serial})))


@dataclass(frozen=True, slots=True)
class OldTimestamp(HeaderFault):
    """A genuine signature, too old to be accepted: :class:`~wechatpay.ClockSkewError`.

    Attributes:
        age: Seconds since it was made; below 0 for one from the future.
    """

    age: float = 301.0

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Sign as of ``age`` seconds ago."""
        return Delivery(signer.sign(proceed(), age=self.age))


@dataclass(frozen=True, slots=True)
class MissingHeader(HeaderFault):
    """A response without one of its headers: :class:`~wechatpay.IncompleteHeadersError`.

    Attributes:
        name: The header.
    """

    name: str = _SIGNATURE

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Leave the header out."""
        response = signer.sign(proceed())
        return Delivery(replace(response, headers=response.headers.with_({self.name: None})))


@dataclass(frozen=True, slots=True)
class Probe(HeaderFault):
    """A wrong signature on purpose, as WeChat Pay sends for testing: :class:`~wechatpay.SignatureError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Mark the signature as a probe."""
        response = signer.sign(proceed())
        return Delivery(
            _with(response, Headers({_SIGNATURE: f"WECHATPAY/SIGNTEST/{response.headers[_SIGNATURE]}"}))
        )


@dataclass(frozen=True, slots=True)
class TamperedBody(SignatureFault):
    """A body that was changed after it was signed: :class:`~wechatpay.SignatureError`.

    In APIv2, where the body is XML, the default makes the response unreadable:
    :class:`~wechatpay.VerificationError`.

    Attributes:
        change: Makes the changed body from the signed one.
    """

    change: Callable[[bytes], bytes] = bytes.swapcase

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Change the body."""
        response = signer.sign(proceed())
        return Delivery(replace(response, body=self.change(response.body)))


@dataclass(frozen=True, slots=True)
class ErrorResponse(Fault):
    """An error of WeChat Pay's; nothing is executed: :class:`~wechatpay.APIError`.

    Attributes:
        status: HTTP status, 400 to 599; APIv2's errors come with 200 all the same.
        code: WeChat Pay's error code; APIv2's ``err_code``.
        message: Its text.
        signed: Whether the response is signed.
    """

    status: int = 500
    code: str = "SYSTEM_ERROR"
    message: str = "沙箱按要求返回的错误"
    signed: bool = True

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:  # noqa: PLR2004  HTTP's errors
            raise ConfigurationError(f"status: an error's is 400 to 599, not {self.status}")

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is executed
        """Respond with the error."""
        response = signer.error(self.status, self.code, self.message)
        return Delivery(signer.sign(response) if self.signed else response)


@dataclass(frozen=True, slots=True)
class HtmlPage(Fault):
    """A proxy's page, unsigned; nothing is executed: :class:`~wechatpay.ServerError`.

    Attributes:
        status: HTTP status.
    """

    status: int = 502

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is executed
        """Respond with the page."""
        page = (
            f"<html><head><title>{self.status}</title></head><body><h1>{self.status}</h1></body></html>\r\n"
        )
        return Delivery(HttpResponse(self.status, page.encode(), Headers({"Content-Type": "text/html"})))


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """A redirect, unsigned; nothing is executed: :class:`~wechatpay.RedirectError`.

    Attributes:
        location: Where to.
        status: HTTP status.
    """

    location: str = "https://pay.weixin.qq.com/"
    status: int = 302

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is executed
        """Respond with the redirect."""
        return Delivery(HttpResponse(self.status, headers=Headers({"Location": self.location})))


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """A connection reset after the request was executed: :class:`~wechatpay.NoResponseError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:  # noqa: ARG002  nothing is sent
        """Execute the request and send nothing."""
        proceed()
        return Delivery(None)


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """A late response: :class:`~wechatpay.ReadTimeoutError`, if ``timeout`` is less.

    Attributes:
        seconds: How long.
    """

    seconds: float

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Respond late."""
        return Delivery(signer.sign(proceed()), delay=self.seconds)


@dataclass(frozen=True, slots=True)
class TruncatedBody(Fault):
    """A connection closed in the middle of a response: :class:`~wechatpay.NoResponseError`."""

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Send half of the body."""
        response = signer.sign(proceed())
        return Delivery(response, kept=len(response.body) // 2)


def _with(response: HttpResponse, changes: Headers) -> HttpResponse:
    return replace(response, headers=response.headers.with_(changes))


@dataclass(frozen=True, slots=True)
class NoResource(Fault):
    """A callback without a resource: ``MalformedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Leave the resource out."""
        envelope = _read(response := proceed())
        del envelope["resource"]
        return Delivery(signer.sign(_write(response, envelope)))


@dataclass(frozen=True, slots=True)
class OtherCipher(Fault):
    """A callback whose body names a cipher other than its signature's: ``UndecryptableNotificationError``.

    Attributes:
        algorithm: The cipher.
    """

    protocols = frozenset({"v3 callback"})

    algorithm: str = "AEAD_SM4_GCM"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Name another cipher."""
        envelope = _read(response := proceed())
        envelope["resource"]["algorithm"] = self.algorithm
        return Delivery(signer.sign(_write(response, envelope)))


@dataclass(frozen=True, slots=True)
class NotUtf8(Fault):
    """A callback in another encoding, signed as such: ``MalformedNotificationError``.

    Attributes:
        encoding: Which.
    """

    protocols = frozenset({"v3 callback"})

    encoding: str = "gb18030"

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Encode the body before it is signed."""
        response = proceed()
        return Delivery(signer.sign(replace(response, body=response.body.decode().encode(self.encoding))))


@dataclass(frozen=True, slots=True)
class Reencoded(Fault):
    """A callback that a proxy or a framework serialised again: ``ReencodedNotificationError``."""

    protocols = frozenset({"v3 callback"})

    def deliver(self, proceed: Callable[[], HttpResponse], signer: Signer) -> Delivery:
        """Parse the signed body and serialise it as Python does."""
        response = signer.sign(proceed())
        return Delivery(replace(response, body=json.dumps(_read(response)).encode()))


def _read(response: HttpResponse) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(response.body)
    return envelope


def _write(response: HttpResponse, envelope: dict[str, Any]) -> HttpResponse:
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    return replace(response, body=body.encode())


@dataclass(slots=True, eq=False)
class _Waiting:
    fault: Fault
    left: int | None
    template: Template | None

    def concerns(self, request: HttpRequest, protocol: str) -> bool:
        is_here = self.template is None or self.template.match(request.segments) is not None
        return is_here and protocol in self.fault.protocols


class Injections:
    """Faults that wait for a request, in the order they were injected; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault, times: int | None, path: str | None) -> None:
        """Apply ``fault`` to the next requests.

        Args:
            fault: The fault.
            times: How often; ``None`` for all.
            path: Template of the paths concerned, as the chain spells them; ``None`` for all.

        Raises:
            ConfigurationError: ``times`` is less than 1, or the fault applies to callbacks only.
        """
        if times is not None and times < 1:
            raise ConfigurationError("times: 1 or more, or None for all")
        # The chain's `v2/` is not sent.
        if all(protocol.endswith(" callback") for protocol in fault.protocols):
            raise ConfigurationError(
                f"fault: {type(fault).__name__} applies to callbacks; pass it to notify()"
            )
        template = None if path is None else Template.parse(path.removeprefix("/").removeprefix("v2/"))
        with self._lock:
            self._waiting.append(_Waiting(fault, times, template))

    def take(self, request: HttpRequest, protocol: str) -> Fault | None:
        """Return the fault for this request and consume one use; ``None`` if none waits."""
        with self._lock:
            waiting = next(
                (waiting for waiting in self._waiting if waiting.concerns(request, protocol)), None
            )
            if waiting is None:
                return None
            if waiting.left is not None:
                waiting.left -= 1
                if not waiting.left:
                    self._waiting.remove(waiting)
            return waiting.fault

    def clear(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._waiting.clear()
