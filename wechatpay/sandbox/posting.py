"""Callbacks on their way to a server on this machine, and its replies.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import asyncio
import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay.errors import ConfigurationError, ConnectError, NoResponseError, ReadTimeoutError
from wechatpay.messages import Headers
from wechatpay.uri.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

__all__ = ["Callback", "Delivered", "Reply", "check", "leads_here", "post"]


@dataclass(frozen=True, slots=True, repr=False)
class Callback:
    """One callback, signed and encrypted, for any HTTP library or test client.

    ::

        client.post("/wechatpay/notify", data=callback.body, headers=callback.headers)  # Flask
        client.post(                                                                     # Django
            "/wechatpay/notify", callback.body, callback.content_type, headers=callback.headers
        )
        client.post("/wechatpay/notify", content=callback.body, headers=callback.headers)  # FastAPI

    Attributes:
        headers: Its headers, ``Content-Type`` among them.
        body: Its body, exactly as it was signed.
    """

    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self.headers["Content-Type"]

    def __repr__(self) -> str:
        return f"<Callback {self.content_type}, {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of a server to a callback.

    Attributes:
        status: HTTP status.
        headers: Headers, case-insensitive.
        body: Body bytes.
        is_acknowledged: Whether WeChat Pay takes it as received and does not repeat the event.
    """

    status: int
    headers: Headers
    body: bytes
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """The deliveries of an event.

    Attributes:
        callback: The last callback that was sent.
        replies: The responses of the server, one for each delivery that got one.
        event: The name of the event.
        url: Where it was sent.
        resource: The resource before encryption.
    """

    callback: Callback
    replies: tuple[Reply, ...]
    event: str = ""
    url: str = ""
    resource: Mapping[str, Any] | bytes = field(default_factory=dict, repr=False)

    @property
    def status(self) -> int:
        """HTTP status of the last reply."""
        return self.replies[-1].status

    @property
    def headers(self) -> Headers:
        """Headers of the last reply."""
        return self.replies[-1].headers

    @property
    def body(self) -> bytes:
        """Body of the last reply."""
        return self.replies[-1].body

    @property
    def is_acknowledged(self) -> bool:
        """Whether the last reply acknowledged it."""
        return self.replies[-1].is_acknowledged


#: Seconds that WeChat Pay waits for a reply.
_REPLY_TIMEOUT = 5.0

_ACKNOWLEDGED = (200, 204)
_SUCCESS = re.compile(rb"<return_code>\s*(<!\[CDATA\[)?SUCCESS\b")


def check(url: str) -> SplitResult:
    """Check and split the URL of a callback.

    Raises:
        ConfigurationError: It does not lead to this machine, or WeChat Pay does not accept it.
    """
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme == "http" and is_loopback(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_ours = False
    if not is_ours or parts.username is not None:
        raise ConfigurationError(
            "url: the sandbox only calls this machine; give http://127.0.0.1:<port>/<path>"
        )
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError("url: WeChat Pay accepts no query, no fragment and no spaces, only ASCII")
    return parts


def leads_here(url: str) -> bool:
    """Return whether a URL names this machine, be it one that the sandbox calls or not."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def post(url: str, callback: Callback) -> Reply:
    """Post a callback, and wait for the reply as long as WeChat Pay does.

    Redirects are not followed, and proxies not used.

    Raises:
        ConfigurationError: The URL does not lead to this machine.
        ConnectError: The port refuses connections.
        ReadTimeoutError: No reply came within 5 s.
        NoResponseError: The connection broke.
    """
    parts = check(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_REPLY_TIMEOUT)
    with closing(connection):
        _connect(connection, url)
        try:
            connection.request("POST", parts.path or "/", callback.body, dict(callback.headers))
            response = connection.getresponse()
            status, headers, body = response.status, Headers(response.getheaders()), response.read()
        except TimeoutError:
            raise ReadTimeoutError(
                f"{url} did not reply within {_REPLY_TIMEOUT:g} s, as WeChat Pay wants{_blocked_loop()}"
            ) from None
        except (OSError, HTTPException) as error:
            raise NoResponseError(f"{url} broke the connection: {error or type(error).__name__}") from None
    is_xml = callback.body.lstrip().startswith(b"<")
    is_acknowledged = status in _ACKNOWLEDGED and (not is_xml or _SUCCESS.search(body) is not None)
    return Reply(status, headers, body, is_acknowledged)


def _blocked_loop() -> str:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return "; this event loop was blocked: if it serves the URL, await apay(), anotify() or aadvance()"
    return ""


def _connect(connection: HTTPConnection, url: str) -> None:
    try:
        connection.connect()
    except OSError as error:
        raise ConnectError(f"{url}: connection refused ({error.strerror or error})") from None
    # The system's resolver decides what localhost means.
    if not is_loopback(connection.sock.getpeername()[0]):
        raise ConfigurationError(
            "url: localhost is another machine here; give http://127.0.0.1:<port>/<path>"
        )
