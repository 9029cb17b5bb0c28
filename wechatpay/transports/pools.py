"""The connections of the blocking transport, and urllib3's pools of them."""

from __future__ import annotations

import http.client
import io
import re
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from wechatpay.transports.network import IDLE_SECONDS

__all__ = ["POOLS"]

#: A byte and a line more than http.client takes of a header and of all headers.
_LINE, _LINES = (1 << 16) + 1, 103

_BLANK = (b"\r\n", b"\n")

#: How a line begins that goes on with the header before it.
_FOLDS = (b" ", b"\t")

#: Any but 101, which switches protocols.
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d")


class _Whole(http.client.HTTPResponse):
    """An answer with all its headers: http.client would take a connection that breaks for their end."""

    def begin(self) -> None:
        """Read status and headers, past interim answers, of which http.client knows but one."""
        stream = self.fp
        try:
            self.fp = io.BufferedReader(io.BytesIO(_head(stream)))
            super().begin()
        finally:
            self.fp = stream


def _head(stream: io.BufferedReader) -> bytes:
    """Read status line and headers, to the empty line behind them.

    Raises:
        RemoteDisconnected: The connection ended before.
        HTTPException: A header is none: http.client would take all that follows it for the body.
    """
    lines: list[bytes] = []
    # More than http.client takes is enough for it to say so.
    while len(lines) < _LINES:
        lines.append(stream.readline(_LINE))
        if not lines[-1]:
            raise http.client.RemoteDisconnected("the connection ended within the headers")
        if lines[-1] in _BLANK:
            if not _INTERIM.match(lines[0]):
                break
            lines.clear()
        elif len(lines) > 1 and b":" not in lines[-1] and not lines[-1].startswith(_FOLDS):
            raise http.client.HTTPException("a header without a colon")
    return b"".join(lines)


class _Ageing(HTTPConnection):
    """A connection that is not used again once the server may have dropped it."""

    response_class = _Whole
    _used = 0.0
    _target: str | None = None

    def aim(self, target: str) -> None:
        """Note what the next request is sent to, whatever its caller says for the log."""
        self._target = target

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send a request to what was aimed at."""
        target, self._target = self._target or url, None
        super().request(method, target, *args, **kwargs)

    def connect(self) -> None:
        """Connect; a failing TLS handshake or proxy tunnel counts as no connection: nothing was sent."""
        try:
            super().connect()
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error
        self._used = time.monotonic()

    def getresponse(self) -> Any:
        """Note when the server was last heard of."""
        response = super().getresponse()
        self._used = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used."""
        return time.monotonic() - self._used < IDLE_SECONDS and super().is_connected


class _AgeingTLS(_Ageing, HTTPSConnection):
    """The same over TLS."""


class _Discreet(urllib3.HTTPConnectionPool):
    """A pool whose log holds no query: that may be a credential."""

    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        conn.aim(url)
        return super()._make_request(conn, method, url.partition("?")[0], *args, **kwargs)


class _Pool(_Discreet):
    ConnectionCls = _Ageing


class _PoolTLS(_Discreet, urllib3.HTTPSConnectionPool):
    ConnectionCls = _AgeingTLS


POOLS = {"http": _Pool, "https": _PoolTLS}
