"""The ``aiohttp.ClientSession`` of one event loop, and what one exchange on it may take."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
import socket
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from wechatpay.background import call_soon
from wechatpay.errors import ConfigurationError
from wechatpay.process import CURRENT_JOB
from wechatpay.transports.network import CHUNK, IDLE_SECONDS, RESERVED_HEADERS, basic_auth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from wechatpay.messages import Request
    from wechatpay.transports.network import Network

    Factory = Callable[[asyncio.AbstractEventLoop], aiohttp.ClientSession]

__all__ = ["EXCHANGE", "Exchange", "LoopSession", "SentAlreadyError", "UnconnectedError"]

#: Keeps aiohttp from adding headers, and from unpacking what it gets.
_UNTOUCHED: Any = {
    "skip_auto_headers": ("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    "auto_decompress": False,
}

#: Of our own sessions: `Exchange` has one timer for everything that is held in memory.
_UNTIMED = aiohttp.ClientTimeout()


class LoopSession:
    """The ``aiohttp.ClientSession`` of one event loop, which is closed when the loop ends.

    A loop that ends shuts its asynchronous generators down (``asyncio.run`` does, and
    ``loop.shutdown_asyncgens()``): one of them closes the session. A loop that was closed without that, or
    that belongs to the parent of a forked process, runs nothing any more: then its sockets are closed.
    """

    def __init__(self, network: Network, factory: Factory | None, *, mutual: bool) -> None:
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._places: dict[str, asyncio.Semaphore] = {}
        self._routes: dict[str, _Route] = {}
        self._mutual = mutual
        self._calls = 0
        self._idle = asyncio.Event()
        self._is_ending = False
        self._ending: asyncio.Task[None] | None = None
        self.is_own = factory is None
        self.client = self._make_client() if factory is None else _adopt(factory(self._loop))
        self._life = self._live()

    def _make_client(self) -> aiohttp.ClientSession:
        def make_socket(address: Any) -> socket.socket:
            made = socket.socket(*address[:3])
            self._sockets.add(made)
            return made

        connector = _Connector(
            limit=0,
            limit_per_host=self._network.pool_size,
            keepalive_timeout=IDLE_SECONDS,
            socket_factory=make_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Those of http.client.
            max_line_size=65536,
            max_field_size=65536,
            **_UNTOUCHED,
        )

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._is_ending = True
            if (ending := self._ending) is not None and ending is not asyncio.current_task():
                # The loop is ending, and would leave the task pending.
                await asyncio.wait([ending])
            await self.client.close()

    async def begin(self) -> None:
        """Register with the loop, so that it closes the session when it ends."""
        await anext(self._life)

    def begin_exchange(self, request: Request) -> Exchange:
        """Begin a call, which `end_exchange` ends wherever it has come to."""
        self._calls += 1
        return Exchange(request.timeout[1])

    async def take_place(self, request: Request, exchange: Exchange) -> None:
        """Wait until one of the connections to the host of ``request`` is free."""
        if not self.is_own:
            return
        places = self._places.get(request.origin)
        if places is None:
            places = self._places[request.origin] = asyncio.Semaphore(self._network.pool_size)
        await places.acquire()
        exchange.places = places
        if self.client.closed:
            raise UnconnectedError("closed while the call waited")

    def end_exchange(self, exchange: Exchange) -> None:
        """End a call."""
        if exchange.places is not None:
            exchange.places.release()
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    def request(self, request: Request, exchange: Exchange) -> Any:
        """Send ``request``; use it with ``async with``, which gives the response."""
        route, content = self._route(request), request.content
        exchange.sends = request.method, URL(request.url, encoded=True)
        return self.client.request(
            *exchange.sends,
            headers=[*request.headers.pairs(), *route.headers],
            data=_pieces(content, exchange) if len(content) > CHUNK else content or None,
            allow_redirects=False,
            raise_for_status=False,
            timeout=_UNTIMED if self.is_own and request.sink is None else _timeout(*request.timeout),
            **route.options,
        )

    def _route(self, request: Request) -> _Route:
        key = request.origin
        if key not in self._routes:
            self._routes[key] = self._make_route(request.url) if self.is_own else _Route(_UNTOUCHED)
        return self._routes[key]

    def _make_route(self, url: str) -> _Route:
        is_secure = url[:6].lower() == "https:"
        route = _Route({"ssl": self._network.context(mutual=self._mutual)} if is_secure else {})
        if proxy := self._network.proxies.select(url):
            route.options["proxy"] = URL(proxy).with_user(None)
            if is_secure:
                route.options["proxy_headers"] = basic_auth(proxy)
            else:
                route.headers.extend(basic_auth(proxy).items())
        return route

    def is_over(self) -> bool:
        """Return whether the loop has ended, or belongs to another process."""
        return self._loop.is_closed() or self._pid != os.getpid()

    async def end(self) -> None:
        """Close the session after the calls in flight."""
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
        await self.client.close()
        # The loop may be ending it at this moment.
        with contextlib.suppress(RuntimeError):
            await self._life.aclose()

    def abandon(self, *, is_exiting: bool = False) -> None:
        """Close the session from outside its loop, which may have ended.

        Args:
            is_exiting: Whether the process ends: a loop that stands still does not go on.
        """
        goes_on = self._loop.is_running() or (self._calls and not is_exiting)
        if self._pid == os.getpid() and goes_on and call_soon(self._loop, self._end_soon):
            return
        if self.is_over():
            # Of a parent's loop, to close a copy of the socket changes nothing there; to unregister it would.
            for made in list(self._sockets):
                made.close()
        connector = self.client.connector
        # Nothing is left to log "Unclosed client session", or "Unclosed connector".
        self.client.detach()
        if connector is not None:
            # The one way to close a connector without its loop; a parent's loop refuses in debug mode.
            with contextlib.suppress(RuntimeError):
                connector.__exit__(None, None, None)

    def _end_soon(self) -> None:
        if not self._is_ending:
            self._ending = self._loop.create_task(self.end())


@dataclass(frozen=True, slots=True)
class _Route:
    """What requests to one host need: TLS settings and proxy; a session of the caller's has its own."""

    options: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)


class Exchange:
    """One call: its timer, and the connection that it uses.

    Attributes:
        read: Seconds for the whole of a response in memory.
        sends: Method and URL of its request.
        is_sent: Whether a session of the caller's has sent that.
        timer: Ends the exchange when a connection, or then the response, takes too long.
        transport: The connection's transport, once there is one.
        places: Where it holds a place, once it does.
    """

    __slots__ = ("is_sent", "places", "read", "sends", "timer", "transport")

    def __init__(self, read: float | None) -> None:
        self.read = read
        self.sends: tuple[str, URL]
        self.is_sent = False
        self.timer = asyncio.timeout(None)
        self.places: asyncio.Semaphore | None = None
        self.transport: asyncio.WriteTransport | None = None

    def restart(self, seconds: float | None) -> None:
        """Let the time begin now for what comes next."""
        self.timer.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def abort_if_closing(self) -> None:
        """Close a connection at once that is not used again: the goodbye of TLS could outlast the loop.

        One that aiohttp has put back into its pool may be another call's already.
        """
        if self.transport is not None and self.transport.is_closing():
            self.transport.abort()


#: The exchange of the running task.
EXCHANGE: ContextVar[Exchange] = ContextVar("wechatpay_exchange")


class UnconnectedError(aiohttp.ClientError):
    """A connection that was never made."""


class SentAlreadyError(aiohttp.ClientError):
    """A second attempt at what has left already, which is not sent.

    aiohttp repeats idempotent requests on a lost connection; a caller's session may repeat any request, and
    the text then says so.
    """


#: Methods whose requests aiohttp repeats, once, on a lost connection.
_REPEATED_BY_AIOHTTP = frozenset({"GET", "PUT", "DELETE"})

#: What a session of the caller's has done.
_REPEATED = (
    "client_session began to send the request again, which was prevented: remove its retries and use "
    "wechatpay.retry()"
)


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and gives one name to whatever prevents one: nothing was sent."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection from the pool, or make one.

        Raises:
            UnconnectedError: There is none; a proxy that refuses, or breaks off, counts, too.
            SentAlreadyError: The request was sent on another connection.
        """
        exchange = EXCHANGE.get()
        if exchange.transport is not None:
            raise SentAlreadyError
        try:
            connection: Any = await super().connect(*args, **kwargs)
            for _ in range(self.limit_per_host):
                if not connection.protocol.should_close:
                    break
                # Data that came while it was idle would be taken for the next response.
                connection.close()
                connection = await super().connect(*args, **kwargs)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnconnectedError from error
        exchange.transport = connection.transport
        exchange.restart(exchange.read)
        return connection


def _adopt(client: Any) -> aiohttp.ClientSession:
    """Check a session that the caller made, and have it send each request once."""
    if not isinstance(client, aiohttp.ClientSession) or client.closed:
        raise ConfigurationError(
            f"client_session: the function returned {type(client).__name__}: it must make and return a new "
            "aiohttp.ClientSession"
        )
    if client.auth is not None:
        raise ConfigurationError("client_session: a session with `auth` would replace the signature: omit it")
    if reserved := [name for name in client.headers if name.lower() in RESERVED_HEADERS]:
        raise ConfigurationError(f"client_session: omit the session's header {reserved[0]}: it is set here")
    if client.trust_env and (password_file := _find_netrc()):
        raise ConfigurationError(
            f"client_session: with `trust_env` aiohttp would send the passwords of {password_file}: "
            "omit it, and give the session its `proxy`"
        )
    guard = aiohttp.TraceConfig()
    guard.on_request_start.append(_recognize)
    guard.on_connection_create_start.append(_refuse_second)
    guard.on_connection_reuseconn.append(_refuse_second)
    guard.on_request_headers_sent.append(_note_sent)
    guard.freeze()
    client.trace_configs.append(guard)
    return client


def _find_netrc() -> Path | None:
    """Return the file that aiohttp reads passwords from, if it is there."""
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path.home() / name for name in (".netrc", "_netrc")]
    return next((file for file in files if file.is_file()), None)


async def _recognize(_: Any, context: SimpleNamespace, begun: aiohttp.TraceRequestStartParams) -> None:
    """Find the call that a request is an attempt at: a session's own code may make several of one call.

    Requests of the session's middlewares, and the caller's own, are none.
    """
    exchange = EXCHANGE.get(None)
    is_attempt = exchange is not None and exchange.sends == (begun.method, begun.url)
    context.call = exchange if is_attempt else SimpleNamespace(is_sent=False)
    if context.call.is_sent:
        # Here, not in _refuse_second: a connection that was taken from the pool would never be closed.
        raise SentAlreadyError(_REPEATED)
    is_ambiguous = begun.method in _REPEATED_BY_AIOHTTP
    context.words = "the connection was lost before a response came, or " * is_ambiguous + _REPEATED


async def _refuse_second(_: Any, context: SimpleNamespace, __: Any) -> None:
    if context.call.is_sent:
        raise SentAlreadyError(context.words)


async def _note_sent(_: Any, context: SimpleNamespace, __: Any) -> None:
    context.call.is_sent = True


async def _pieces(content: bytes, exchange: Exchange) -> AsyncIterator[bytes]:
    """Give a long body piece by piece; each has the whole timeout."""
    stream = io.BytesIO(content)
    job = CURRENT_JOB.get()
    while piece := stream.read(CHUNK):
        exchange.restart(exchange.read)
        if job is not None:
            job.extend(exchange.read)
        yield piece
    exchange.restart(exchange.read)


@functools.lru_cache(64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=read)
