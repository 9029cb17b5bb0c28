"""The connections of the blocking transport, and urllib3's pools of them.

urllib3 makes and keeps the connections, with TLS and through proxies, and reads the bodies. What stands
before a body is written and read here: nothing is added to a request, and headers that were cut off are none.
"""

from __future__ import annotations

import errno
import http.client
import time
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NewConnectionError, ProtocolError

from wechatpay.transports.head import head
from wechatpay.transports.network import IDLE_SECONDS
from wechatpay.transports.received import Answer, Received

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POOLS"]

#: The server may have answered, and closed, before it had read all of a request.
_STOPPED = (errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE)

#: Bytes beyond which a body is not read in one go.
_LONG = 1 << 16

#: Where the statuses end after which a connection is kept.
_ALL, _REFUSALS = 1000, 300

#: Seconds for an answer that is here already.
_MOMENT = 0.1


class _Connection(HTTPConnection):
    """A connection that adds nothing, and is not used again once the server may have dropped it."""

    _used = 0.0
    _method = ""
    _kept_below = 0

    def connect(self) -> None:
        """Connect; a failing TLS handshake or proxy tunnel counts as no connection: nothing was sent."""
        try:
            super().connect()
        except (OSError, UnicodeError, http.client.HTTPException, LocationParseError) as error:
            raise NewConnectionError(self, f"{error}") from error
        self._used = time.monotonic()

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Send a request: these headers, which have been checked, and this body."""
        self._method = method
        self.sock.settimeout(self.timeout)
        before = head(method, url, (headers or {}).items())
        # Who refuses a long body may not have read it: the next request would stand behind the rest.
        self._kept_below = _REFUSALS if body is not None and len(body) > _LONG else _ALL
        for piece in [before + body] if isinstance(body, bytes) else chain([before], body or ()):
            if not self._push(piece):
                break

    def _push(self, piece: bytes) -> bool:
        """Send a piece; tell whether the server reads on: if it does not, it may have answered."""
        try:
            self.sock.sendall(piece)
        except OSError as error:
            if error.errno not in _STOPPED and not isinstance(error, TimeoutError):
                raise
            self._kept_below = 0
            if isinstance(error, TimeoutError):
                self.sock.settimeout(_MOMENT)
            return False
        return True

    def getresponse(self) -> Received:  # type: ignore[override]  # urllib3's own gives another, too
        """Read status and headers of the answer.

        Raises:
            ProtocolError: There are none, or not all.
        """
        answer = Answer(self.sock, method=self._method)
        try:
            answer.begin()
        except BaseException as error:
            # It holds the socket.
            answer.close()
            if isinstance(error, http.client.HTTPException):
                raise ProtocolError("no answer that could be read") from error
            raise
        self._used = time.monotonic()
        if answer.will_close or answer.status >= self._kept_below:
            # The answer holds the socket until it was read.
            self.close()
        return Received(answer, self._method)

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used."""
        return time.monotonic() - self._used < IDLE_SECONDS and super().is_connected


class _ConnectionTLS(_Connection, HTTPSConnection):
    """The same over TLS."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used; what TLS has taken off the socket is not seen there."""
        # Of TLS within a proxy's TLS, urllib3 makes a socket that cannot tell.
        return super().is_connected and not getattr(self.sock, "pending", int)()


class _Once(urllib3.HTTPConnectionPool):
    """A pool that sends a request once, whatever comes of it, and keeps no log: a query may be a secret."""

    def urlopen(  # type: ignore[override]  # urllib3's has more, for what is never asked here
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: urllib3.Timeout,
        **_: Any,
    ) -> Received:
        """Send a request and read status and headers of the answer, which gives the connection back."""
        is_forwarded = not url.startswith("/")
        host = url.split("/", 3)[2] if is_forwarded else self._authority
        more = self.proxy_headers if is_forwarded else {}
        connection: Any = self._get_conn()
        try:
            connection.timeout = timeout.connect_timeout
            if connection.is_closed:
                if self.proxy is None or is_forwarded:
                    connection.connect()
                else:
                    self._prepare_proxy(connection)
            connection.timeout = timeout.read_timeout
            connection.request(method, url, body, {"Host": host, **(headers or {}), **more})
            answer: Received = connection.getresponse()
        except BaseException:
            connection.close()
            self._put_conn(None)
            raise
        answer._pool, answer._connection = self, connection  # noqa: SLF001  as urllib3's own urlopen does
        return answer

    @cached_property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, self.ConnectionCls.default_port) else f"{host}:{self.port}"


class _Pool(_Once):
    ConnectionCls = _Connection


class _PoolTLS(_Once, urllib3.HTTPSConnectionPool):
    ConnectionCls = _ConnectionTLS


POOLS = {"http": _Pool, "https": _PoolTLS}
