"""The blocking transport's connections: urllib3's, with an age, limits, and a bound for each host."""

from __future__ import annotations

import http.client
import io
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.connectionpool import HTTPConnection, HTTPSConnection  # type: ignore[attr-defined]
from urllib3.exceptions import LocationParseError, NewConnectionError

from wechatpay.transports.network import CHUNK, IDLE_SECONDS, basic_auth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.transports.network import Network

__all__ = ["LIMITS", "MOST_DIGITS", "Adapter", "Limits", "Places", "Ticket"]

_BODILESS = (101, 204, 304)

#: Of a Content-Length.
MOST_DIGITS = 18


class Ticket:
    """A claim to one of the connections of a host, for as long as it lives."""

    __slots__ = ("__weakref__", "owner", "ref", "wake")

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.ref = weakref.ref(self)
        self.wake: threading.Event | None = None


class Places:
    """Bounds the calls at one time to one host, in the order in which they came.

    A signal handler may raise at any line. A call that ends so without `leave` gives its place back when its
    ticket dies, or its thread makes another call. Nothing is locked, so nothing can stay locked.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tickets: dict[weakref.ref[Ticket], None] = {}

    def take(self, ticket: Ticket, seconds: float | None) -> float | None:
        """Wait for a place; return the seconds waited, or ``None`` when there was none in ``seconds``."""
        self._tickets[ticket.ref] = None
        if len(self._tickets) <= self._size:
            return 0.0
        began = time.monotonic()
        ticket.wake = threading.Event()
        while not self._is_due(ticket):
            waited = time.monotonic() - began
            if seconds is not None and waited >= seconds:
                return None
            # A wake-up may be lost with the call that owed it.
            ticket.wake.wait(0.1 if seconds is None else min(0.1, seconds - waited))
            ticket.wake.clear()
        return time.monotonic() - began

    def leave(self, ticket: Ticket) -> None:
        """Give the place back, if there is one, and wake the next in line."""
        self._tickets.pop(ticket.ref, None)
        if len(self._tickets) >= self._size:
            for ref in islice(list(self._tickets), self._size):
                if (following := ref()) is not None and following.wake is not None:
                    following.wake.set()

    def _is_due(self, ticket: Ticket) -> bool:
        for ref in list(self._tickets):
            other = ref()
            if other is None or (other.owner == ticket.owner and other is not ticket):
                self._tickets.pop(ref, None)
        return ticket.ref in list(self._tickets)[: self._size]


class Limits:
    """How long a response may take: each read, and with a deadline the whole."""

    __slots__ = ("deadline", "read")

    def __init__(self, read: float | None) -> None:
        self.read = read
        self.deadline: float | None = None

    def start(self) -> None:
        """Let the time run for the whole."""
        self.deadline = None if self.read is None else time.monotonic() + self.read

    def left(self) -> float | None:
        """Return the seconds that the next read may take.

        Raises:
            TimeoutError: There are none.
        """
        if self.deadline is None:
            return self.read
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response took too long")
        return left


#: The limits of the call that this thread is making.
LIMITS: ContextVar[Limits] = ContextVar("wechatpay_limits")


class _Stream(io.RawIOBase):
    """What a socket receives, within limits."""

    def __init__(self, sock: Any, limits: Limits) -> None:
        self.ended = False
        self.sock = sock
        self.limits = limits
        self.source = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(self.limits.left())
        size: int = self.source.readinto(buffer)
        self.ended = not size
        return size

    def close(self) -> None:
        try:
            self.source.close()
        finally:
            super().close()


class _Incoming(http.client.HTTPResponse):
    """A response whose headers are complete and whose length is one, past interim responses."""

    def __init__(self, sock: Any, *args: Any, limits: Limits, **kwargs: Any) -> None:
        self.stream = _Stream(sock, limits)
        super().__init__(self, *args, **kwargs)  # type: ignore[arg-type]  # it asks for `makefile` alone

    def makefile(self, _: str) -> io.BufferedReader:
        """Return what to read from, in a socket's place."""
        return io.BufferedReader(self.stream)

    def begin(self) -> None:
        """Read status and headers.

        Raises:
            HTTPException: They are incomplete or malformed.
        """
        super().begin()
        while 102 <= self.status < 200:  # noqa: PLR2004  interim; http.client knows 100 alone
            self.headers = self.msg = None  # type: ignore[assignment]  # it reads them if there are none
            super().begin()
        if self.status in _BODILESS:
            # Whatever the headers say of a body.
            self.chunked = False
            del self.headers["Transfer-Encoding"]
        self.will_close |= self.status == http.HTTPStatus.SWITCHING_PROTOCOLS
        if self.stream.ended or self.headers.defects or self.headers.get_payload():
            raise http.client.HTTPException("incomplete or malformed headers")
        # Twice is permitted if it is the same.
        lengths = {text.strip() for text in ",".join(self.headers.get_all("Content-Length", ())).split(",")}
        if "Content-Length" in self.headers and not (
            len(lengths) == 1
            and all(t.isascii() and t.isdecimal() and len(t) <= MOST_DIGITS for t in lengths)
            and "Transfer-Encoding" not in self.headers
        ):
            raise http.client.HTTPException("a malformed Content-Length, or one beside Transfer-Encoding")


class _Connection(HTTPConnection):
    """A connection that is not used again once the server may have closed it, and that knows its limits."""

    limits = Limits(None)
    last_used = 0.0

    def connect(self) -> None:
        """Connect; a failing TLS handshake or proxy tunnel counts as no connection: nothing was sent."""
        self.limits = Limits(self.timeout)
        self.limits.start()
        try:
            super().connect()
        except (OSError, ValueError, http.client.HTTPException, LocationParseError) as error:
            raise NewConnectionError(self, f"{error}") from error
        self.last_used = time.monotonic()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request; to write it may take as long as to read the response."""
        if self.sock is None:
            self.connect()
        self.limits = LIMITS.get(self.limits)
        self.timeout = self.limits.read
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send bytes piece by piece: each has the whole timeout."""
        if not isinstance(data, bytes) or len(data) <= CHUNK:
            super().send(data)
            return
        for at in range(0, len(data), CHUNK):
            super().send(data[at : at + CHUNK])

    def response_class(  # type: ignore[override]  # what it returns, not what it is, counts
        self, *args: Any, **kwargs: Any
    ) -> _Incoming:
        """Make what reads a response: the proxy's to CONNECT, or the server's."""
        return _Incoming(*args, limits=self.limits, **kwargs)

    def getresponse(self) -> Any:
        """Read status and headers, and begin to count the time for the whole response."""
        self.limits.start()
        response = super().getresponse()
        self.last_used = time.monotonic()
        return response

    @property
    def is_old(self) -> bool:
        """Whether the server may have closed it by now."""
        return time.monotonic() - self.last_used >= IDLE_SECONDS

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used."""
        return not self.is_old and bool(super().is_connected)


class _ConnectionTLS(_Connection, HTTPSConnection):
    """The same over TLS."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used; the socket does not show what TLS has decrypted already."""
        # urllib3's own socket for TLS within a proxy's TLS cannot tell.
        return super().is_connected and not getattr(self.sock, "pending", int)()


def _is_patched(connection: type) -> bool:
    return connection.__module__ != "urllib3.connection"


class _Stack(Queue[Any]):
    """The idle connections of a pool, the last one first, without a lock; old ones are closed.

    A signal handler may raise at any line: `queue`'s lock would then stay locked, and every call hang.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._idle: deque[Any] = deque()
        # urllib3 fills a pool with None, in place of connections that it has not made yet.
        self._unmade: deque[None] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002, FBT001, FBT002  a queue's
        """Add one.

        Raises:
            queue.Full: There are enough.
        """
        if self.qsize() >= self.maxsize:
            raise Full
        if item is None:
            self._unmade.append(item)
            return
        self._idle.append(item)
        self._close_old()

    def _close_old(self) -> None:
        with suppress(IndexError):
            while getattr(oldest := self._idle.popleft(), "is_old", False):
                oldest.close()
                self._unmade.append(None)
            self._idle.appendleft(oldest)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002, FBT001, FBT002  the same
        """Take the last one.

        Raises:
            queue.Empty: There is none.
        """
        for items in (self._idle, self._unmade):
            with suppress(IndexError):
                return items.pop()
        raise Empty

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._idle) + len(self._unmade)


class _Pool(urllib3.HTTPConnectionPool):
    """A pool of our connections, or of those of a tool that put its own class in urllib3's place (vcrpy)."""

    QueueCls: Any = _Stack

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802  urllib3's name
        patched = urllib3.HTTPConnectionPool.ConnectionCls
        return patched if _is_patched(patched) else _Connection


class _PoolTLS(urllib3.HTTPSConnectionPool):
    """The same over TLS."""

    QueueCls: Any = _Stack

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802  urllib3's name
        patched = urllib3.HTTPSConnectionPool.ConnectionCls
        return patched if _is_patched(patched) else _ConnectionTLS


class Adapter(HTTPAdapter):
    """requests' adapter with one TLS context and our pools; `Places` bounds them.

    Args:
        network: Proxies, TLS and limits.
        mutual: Whether to present the merchant's certificate.
    """

    def __init__(self, network: Network, *, mutual: bool) -> None:
        self.network = network
        self.is_mutual = mutual
        self.lock = threading.Lock()
        self.tls: dict[str, Any] = {}
        self.pools: dict[tuple[str, ...], Any] = {}
        # More pools than there are trusted hosts: none is ever closed to make room for another.
        super().__init__(pool_connections=64, pool_maxsize=network.pool_size)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Use our pools through a proxy, too."""
        # urllib3 would hold a body back behind a proxy until the headers are acknowledged: 40 ms.
        kwargs["socket_options"] = HTTPConnection.default_socket_options
        if proxy.lower().startswith("https:"):
            # Else urllib3 would check its certificate against the system's authorities.
            kwargs["proxy_ssl_context"] = self.network.context(mutual=False)
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Encode user and password as UTF-8: requests' own fails beyond latin-1."""
        return basic_auth(proxy)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Use our TLS context in place of requests' own."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self.tls_of_pool() if host["scheme"] == "https" else {}

    def tls_of_pool(self) -> Mapping[str, Any]:
        """Return the TLS settings of connections, made at the first use."""
        with self.lock:
            if not self.tls:
                self.tls["ssl_context"] = self.network.context(mutual=self.is_mutual)
                if self.network.verify is False:
                    self.tls["cert_reqs"] = "CERT_NONE"
            return self.tls

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Look for the pool of a host once: neither its TLS nor its proxy ever changes."""
        key = tuple(str(request.url).split("/", 3)[:3])
        if (pool := self.pools.get(key)) is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self.pools[key] = pool
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the connection's TLS alone: the context is complete."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Keep the target as it was signed: requests drops a final ``;`` from what a proxy gets."""
        url = str(request.url)
        if proxies and not super().request_url(request, proxies).startswith("/"):
            return url
        return url[url.index("/", url.index("//") + 2) :]

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Make the response as requests does, but for the cookies."""
        response = requests.Response()
        response.status_code, response.reason = resp.status, resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.url, response.raw = str(req.url), resp
        response.request, response.connection = req, self
        return response

    def close(self) -> None:
        """Close all connections; later ones come from new pools."""
        self.pools.clear()
        super().close()


_POOLS = {"http": _Pool, "https": _PoolTLS}
