"""HTTP requests that the sandbox received and the responses that it sends, without any HTTP library."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote

from wechatpay.messages import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PLAIN", "Channel", "Delivery", "EventSource", "HttpRequest", "HttpResponse"]


@dataclass(frozen=True, slots=True)
class Channel:
    """The connection that a request came through.

    Attributes:
        certificate: Serial number, in hexadecimal, of the client's certificate, which TLS verified; ``""``
            without one.
        is_encrypted: Whether there was TLS.
    """

    certificate: str = ""
    is_encrypted: bool = True


PLAIN = Channel(is_encrypted=False)


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """One request as it came over the wire.

    Attributes:
        method: HTTP method.
        target: Path and query exactly as in the request line.
        headers: Request headers, case-insensitive.
        body: Body bytes exactly as received.
        channel: Whether the connection used TLS, and the client's certificate.
    """

    method: str
    target: str
    headers: Headers
    body: bytes
    channel: Channel = PLAIN

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of the path: ``/v3/a%2Fb`` has two."""
        return tuple(unquote(segment) for segment in self.path.split("/")[1:])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded parameters of the query, in their order."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.path}>"


@dataclass(frozen=True, slots=True, repr=False)
class HttpResponse:
    """One response, signed or unsigned.

    Attributes:
        status: HTTP status.
        body: Body bytes.
        headers: Headers except those that every server adds.
        is_signed: Whether responses of this kind carry a signature; downloads do not.
        signed_text: What is signed in place of the body; ``None`` for the body itself.
    """

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=Headers)
    is_signed: bool = True
    signed_text: bytes | None = None

    @classmethod
    def json(cls, value: Any, status: int = 200) -> HttpResponse:
        """Make a response from ``value`` in the compact JSON that WeChat Pay writes."""
        # An error may quote a header or a target that is not UTF-8.
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return cls(status, body, Headers({"Content-Type": "application/json; charset=utf-8"}))

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}, {len(self.body)} bytes>"


class EventSource(Protocol):
    """Where server-sent events come from."""

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` for each new event, from any thread; the returned function ends that."""

    def read(self, after: int) -> tuple[int, bytes]:
        """Return the number of the last event, and the events after another one."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a response is sent.

    Attributes:
        response: What is sent; ``None`` resets the connection instead.
        delay: Seconds to wait before.
        kept: Bytes of the body to send before the connection is closed; ``None`` for all.
        duration: Seconds over which the body is sent.
        events: Events that are sent after the headers, for as long as the client listens.
    """

    response: HttpResponse | None
    delay: float = 0.0
    kept: int | None = None
    duration: float = 0.0
    events: EventSource | None = None
