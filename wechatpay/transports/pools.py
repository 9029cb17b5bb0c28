"""The connections of the blocking transport, and urllib3's pools of them.

urllib3 makes and keeps the connections, with TLS and through proxies, and reads the bodies. What stands
before a body is written and read here: nothing is added to a request, and headers that were cut off are none.
"""

from __future__ import annotations

import errno
import http.client
import re
import time
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NewConnectionError, ProtocolError

from wechatpay.messages import Headers
from wechatpay.transports.head import head
from wechatpay.transports.network import IDLE_SECONDS

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

__all__ = ["POOLS", "Received"]

#: What an answer may have: bytes in a header, and headers.
_LINE, _LINES = 1 << 16, 100

_BLANK = (b"\r\n", b"\n")

#: How a line begins that goes on with the header before it.
_FOLDS = (" ", "\t")

#: What may stand around a value, and is no part of it.
_BLANKS = " \t\r\n"

_STATUS = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")

#: The one status below 200 that no answer follows.
_SWITCHING = 101

_BODILESS = (_SWITCHING, 204, 304)

#: A length, which may come twice, if twice the same.
_LENGTH = re.compile(r"([0-9]{1,18})(?:, *\1)*")

_FRAMING = ("Content-Length", "Transfer-Encoding", "Content-Encoding")

#: The server may have answered, and closed, before it had read all of a request.
_STOPPED = (errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE)

#: Bytes beyond which a body is not read in one go.
_LONG = 1 << 16

#: Where the statuses end after which a connection is kept.
_ALL, _REFUSALS = 1000, 300

#: Seconds for an answer that is here already.
_MOMENT = 0.1


class _Answer(http.client.HTTPResponse):
    """An answer of http.client's whose headers are whole: it takes a connection that breaks for their end.

    Its parser, which is email's, takes longer over the headers than all that comes before and after.
    """

    headers: Any
    msg: Any

    def begin(self) -> None:
        """Read status and headers, past interim answers, and see where the body will end.

        Raises:
            HTTPException: There are none, or not all.
        """
        self.status = 100
        while self.status < 200 and self.status != _SWITCHING:  # noqa: PLR2004  where the final ones begin
            line = self.fp.readline(_LINE)
            if not line:
                raise http.client.RemoteDisconnected("the connection ended without an answer")
            if (match := _STATUS.fullmatch(line)) is None:
                raise http.client.BadStatusLine(line.decode("latin-1"))
            self.status, self.version = int(match[2]), 10 if match[1] == b"0" else 11
            self.reason = (match[3] or b"").decode("latin-1")
            self.headers = self.msg = Headers(_fields(self.fp))
        self._measure()

    def _measure(self) -> None:
        connection = self.headers.get("Connection", "").lower()
        coding = self.headers.get("Transfer-Encoding", "").lower()
        self.chunked = coding.endswith("chunked") and self.status not in _BODILESS
        self.chunk_left = None
        self.length = None if self.chunked else self._length()
        is_kept = "close" not in connection if self.version > 10 else "keep-alive" in connection  # noqa: PLR2004  HTTP/1.0
        is_open = self.length is None and not self.chunked
        self.will_close = not is_kept or is_open or self.status == _SWITCHING

    def _length(self) -> int | None:
        if self.status in _BODILESS:
            return 0
        length = self.headers.get("Content-Length")
        if length is None:
            return None
        if (match := _LENGTH.fullmatch(length)) is None:
            raise http.client.HTTPException("a Content-Length that is none")
        return int(match[1])

    def _safe_read(self, amt: int) -> bytes:
        try:
            whole: bytes = super()._safe_read(amt)  # type: ignore[misc]  # urllib3 asks for it, too
        except (ValueError, OverflowError, MemoryError):
            raise http.client.HTTPException("a length that nothing has") from None
        return whole


def _fields(stream: io.BufferedReader) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    while (line := stream.readline(_LINE + 1)) not in _BLANK:
        if not line:
            raise http.client.RemoteDisconnected("the connection ended within the headers")
        if len(line) > _LINE or len(fields) >= _LINES:
            raise http.client.HTTPException("more headers than an answer may have")
        text = line.decode("latin-1")
        if text.startswith(_FOLDS) and fields:
            name, value = fields.pop()
            fields.append((name, f"{value} {text.strip(_BLANKS)}"))
            continue
        name, colon, value = text.partition(":")
        if not colon:
            raise http.client.HTTPException("a header without a colon")
        fields.append((name, value.strip(_BLANKS)))
    return fields


class Received(urllib3.HTTPResponse):
    """What reads a body, and gives its connection back then.

    Attributes:
        fields: All headers; ``headers`` are those that say how to read the body.
    """

    def __init__(self, answer: _Answer, method: str) -> None:
        self.fields: Headers = answer.headers
        # Of a body that cannot be, headers say nothing.
        framing = () if answer.length == 0 else _FRAMING
        super().__init__(
            answer,
            {name: self.fields[name] for name in framing if name in self.fields},
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method=method,
        )


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
        answer = _Answer(self.sock, method=self._method)
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
