"""The asynchronous transport: every call is one request of an ``aiohttp.ClientSession``."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
import socket
import threading
import weakref
import zlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from wechatpay.errors import (
    ConfigurationError,
    ConnectError,
    NoResponseError,
    PoolTimeoutError,
    ReadTimeoutError,
    WeChatPayError,
)
from wechatpay.messages import Headers, Response
from wechatpay.transports.network import (
    CHUNK,
    IDLE_SECONDS,
    basic_auth,
    clamp,
    is_raised_elsewhere,
    origin,
    select_sink,
    too_large,
    transport_error,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from types import SimpleNamespace

    from wechatpay.messages import Request
    from wechatpay.transports.network import Network
    from wechatpay.transports.sink import Sink

    Call = Callable[..., Awaitable[Any]]
    Factory = Callable[[asyncio.AbstractEventLoop], aiohttp.ClientSession]

__all__ = ["AsyncTransport"]

#: Headers that aiohttp would otherwise add.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

#: In place of a length that is not known.
_MANY = 1 << 62

#: Bytes of a download that are written by one call to a thread.
_WRITTEN_AT_ONCE = 1 << 20


class AsyncTransport:
    """Sends requests untouched, on the event loop that awaits it.

    Args:
        network: Proxies, TLS and limits.
        factory: The caller's function that makes a session for a loop, or ``None``. Requests with the
            merchant certificate do not use it.
        call: Runs a function on a thread.
    """

    def __init__(self, network: Network, factory: Factory | None, call: Call) -> None:
        self._network = network
        self._factory = factory
        self._call = call
        self._lock = threading.Lock()
        self._sessions: dict[tuple[asyncio.AbstractEventLoop, bool], LoopSession] = {}
        # Neither a loop that ended before its session, nor one that never ended, is to warn at exit.
        weakref.finalize(self, _abandon, self._sessions)

    async def send(self, request: Request) -> Response:
        """Send ``request`` and read the response.

        Raises:
            ConnectError: Nothing was sent.
            NoResponseError: The request left; no complete response came.
            ConfigurationError: TLS cannot be set up, or ``client_session`` returned something else.
        """
        loop = asyncio.get_running_loop()
        session = self._sessions.get((loop, request.mutual))
        if session is None or session.client.closed:
            session = await self._open(loop, mutual=request.mutual)
        try:
            # In a function of its own: error trackers show the local variables of each frame.
            return await self._exchange(session, request)
        except WeChatPayError:
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            if is_raised_elsewhere(error, "aiohttp", "asyncio", "builtins", "wechatpay"):
                raise
            raise _map(error, request) from None

    async def _exchange(self, session: LoopSession, request: Request) -> Response:
        exchange = _Exchange(clamp(request.timeout))
        content = request.content
        if request.upload is not None:
            content = await self._call(b"".join, request.upload)
        before = _EXCHANGE.set(exchange)
        try:
            await session.enter(request, exchange)
            async with exchange.timer:
                if exchange.is_foreign:
                    exchange.restart(exchange.connect)
                async with session.request(request, content, exchange) as response:
                    return await self._receive(response, request, exchange)
        except BaseException:
            # The goodbye that TLS waits for could outlast the loop.
            exchange.abort()
            raise
        finally:
            exchange.abort_if_closing()
            session.leave(exchange)
            _EXCHANGE.reset(before)

    async def _receive(
        self, response: aiohttp.ClientResponse, request: Request, exchange: _Exchange
    ) -> Response:
        headers = Headers(response.headers.items())
        if (sink := select_sink(request, response.status)) is not None:
            # A long download may take long: each read has its own timeout.
            exchange.timer.reschedule(None)
            await self._download(response, request, sink, headers)
            return Response(response.status, headers)
        if not _encoding(response) and (response.content_length or _MANY) <= self._network.max_response_size:
            return Response(response.status, headers, await response.read())
        pieces, size = [], 0
        async for chunk in _decode(response):
            pieces.append(chunk)
            size += len(chunk)
            if size > self._network.max_response_size:
                raise too_large(request, "max_response_size", self._network.max_response_size)
        return Response(response.status, headers, b"".join(pieces))

    async def _download(
        self, response: aiohttp.ClientResponse, request: Request, sink: Sink, headers: Headers
    ) -> None:
        """Write the body to ``sink`` on a thread: a disk may be slow."""
        await self._call(sink.begin, headers)
        held, size = bytearray(), 0
        async for chunk in _decode(response):
            held += chunk
            size += len(chunk)
            if size > self._network.max_download_size:
                raise too_large(request, "max_download_size", self._network.max_download_size)
            if len(held) >= _WRITTEN_AT_ONCE:
                await self._call(sink.write, bytes(held))
                held.clear()
        await self._call(sink.write, bytes(held))

    async def _open(self, loop: asyncio.AbstractEventLoop, *, mutual: bool) -> LoopSession:
        own = self._factory is None or mutual
        session = LoopSession(self._network, None if own else self._factory, mutual=mutual)
        with self._lock:
            ended = [key for key, other in self._sessions.items() if other.is_over()]
            for key in ended:
                self._sessions.pop(key).abandon()
            self._sessions[loop, mutual] = session
        await session.begin()
        return session

    async def aclose(self) -> None:
        """Close the running loop's sessions after the calls in flight; a later call opens new ones."""
        loop = asyncio.get_running_loop()
        with self._lock:
            sessions = [self._sessions.pop((loop, mutual), None) for mutual in (False, True)]
        for session in sessions:
            if session is not None:
                await session.end()

    def close(self) -> None:
        """Give up the sessions of all loops; those of running loops close after the calls in flight."""
        with self._lock:
            _abandon(self._sessions)


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
        self._is_own = factory is None
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
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.client.close()

    async def begin(self) -> None:
        """Register with the loop, so that it closes the session when it ends."""
        await anext(self._life)

    async def enter(self, request: Request, exchange: _Exchange) -> None:
        """Begin an exchange, on one of the connections to the host of ``request``.

        Raises:
            PoolTimeoutError: None was free within the connect timeout.
        """
        self._calls += 1
        exchange.is_counted = True
        if not self._is_own:
            # Its connector does not say when it has connected.
            exchange.is_foreign = True
            return
        key = origin(request.url)
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = asyncio.Semaphore(self._network.pool_size)
        if places.locked():
            began = self._loop.time()
            try:
                async with asyncio.timeout(exchange.connect):
                    await places.acquire()
            except TimeoutError as error:
                raise transport_error(PoolTimeoutError, request, error) from None
            if exchange.connect is not None:
                exchange.connect = max(exchange.connect - (self._loop.time() - began), 0.001)
        else:
            await places.acquire()
        exchange.places = places

    def leave(self, exchange: _Exchange) -> None:
        """End an exchange that was begun, wherever it ended."""
        if exchange.places is not None:
            exchange.places.release()
        self._calls -= exchange.is_counted
        if not self._calls:
            self._idle.set()

    def request(self, request: Request, content: bytes, exchange: _Exchange) -> Any:
        """Send ``request`` with this body; use it with ``async with``, which gives the response."""
        route = self._route(request)
        return self.client.request(
            request.method,
            URL(request.url, encoded=True),
            headers=[*request.headers.pairs(), *route.headers],
            skip_auto_headers=_AUTOMATIC,
            data=_pieces(content, exchange) if len(content) > CHUNK else content or None,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            timeout=_timeout(exchange.connect, exchange.read),
            **route.options,
        )

    def _route(self, request: Request) -> _Route:
        key = origin(request.url)
        if key not in self._routes:
            self._routes[key] = self._make_route(request.url) if self._is_own else _Route()
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

    def abandon(self) -> None:
        """Close the session from outside its loop, which may have ended."""
        if self._pid == os.getpid() and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._end_soon)
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
        self._ending = self._loop.create_task(self.end())


@dataclass(frozen=True, slots=True)
class _Route:
    """What requests to one host need: TLS settings and proxy; a session of the caller's has its own."""

    options: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)


class _Exchange:
    """One call: its timeouts, and the connection that it uses.

    Attributes:
        connect: Seconds to wait for a connection; what waiting for a free one took is subtracted.
        read: Seconds for each read, and for the whole of a response in memory.
        timer: Ends the exchange when the response takes too long.
        transport: The connection's transport, once there is one.
        places: Where it holds a place, once it does.
        is_counted: Whether its session counts it.
        is_foreign: Whether its session is the caller's.
    """

    __slots__ = ("connect", "is_counted", "is_foreign", "places", "read", "timer", "transport")

    def __init__(self, timeout: tuple[float | None, float | None]) -> None:
        self.connect, self.read = timeout
        self.timer = asyncio.timeout(None)
        self.is_counted = self.is_foreign = False
        self.places: asyncio.Semaphore | None = None
        self.transport: asyncio.WriteTransport | None = None

    def restart(self, extra: float | None = 0.0) -> None:
        """Let the time for the response begin now."""
        if self.read is not None and extra is not None:
            self.timer.reschedule(asyncio.get_running_loop().time() + self.read + extra)

    def abort(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def abort_if_closing(self) -> None:
        """Close a connection at once that is not used again."""
        if self.transport is not None and self.transport.is_closing():
            self.abort()


#: The exchange of the running task.
_EXCHANGE: ContextVar[_Exchange] = ContextVar("wechatpay_exchange")


class UnconnectedError(aiohttp.ClientError):
    """A connection that was never made."""


class SentAlreadyError(aiohttp.ClientError):
    """A second attempt at what has left already: aiohttp repeats idempotent requests on a lost connection."""


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and gives one name to whatever prevents one: nothing was sent."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection from the pool, or make one.

        Raises:
            UnconnectedError: There is none; a proxy that refuses, or breaks off, counts, too.
            SentAlreadyError: The request was sent on another connection.
        """
        exchange = _EXCHANGE.get()
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
        exchange.restart()
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
    guard = aiohttp.TraceConfig()
    guard.on_connection_create_start.append(_refuse_second)
    guard.on_connection_reuseconn.append(_refuse_second)
    guard.on_request_headers_sent.append(_note_sent)
    guard.freeze()
    client.trace_configs.append(guard)
    return client


async def _refuse_second(_: Any, context: SimpleNamespace, __: Any) -> None:
    if getattr(context, "is_sent", False):
        raise SentAlreadyError


async def _note_sent(_: Any, context: SimpleNamespace, __: Any) -> None:
    context.is_sent = True


async def _pieces(content: bytes, exchange: _Exchange) -> AsyncIterator[bytes]:
    """Give a long body piece by piece; each has the whole timeout."""
    stream = io.BytesIO(content)
    while piece := stream.read(CHUNK):
        exchange.restart()
        yield piece
    exchange.restart()


def _encoding(response: aiohttp.ClientResponse) -> str:
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    return "" if encoding == "identity" else encoding


async def _decode(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Give the body in pieces; of a packed one no more than `CHUNK` bytes at once, whatever is in it."""
    if not (encoding := _encoding(response)):
        async for chunk in response.content.iter_any():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise aiohttp.ClientPayloadError
    unpacker: Any = None
    async for chunk in response.content.iter_any():
        if unpacker is None:
            # Some servers leave the header of zlib out.
            is_bare = encoding == "deflate" and chunk[0] & 0x0F != zlib.DEFLATED
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32)
        rest, piece = chunk, b""
        while rest or (len(piece) == CHUNK and not unpacker.eof):
            if unpacker.eof:
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            try:
                piece = unpacker.decompress(rest, CHUNK)
            except zlib.error as error:
                raise aiohttp.ClientPayloadError from error
            rest = unpacker.unconsumed_tail or unpacker.unused_data
            yield piece
    if unpacker is not None and not unpacker.eof:
        raise aiohttp.ClientPayloadError


def _abandon(sessions: dict[Any, LoopSession]) -> None:
    while sessions:
        sessions.popitem()[1].abandon()


def _map(error: Exception, request: Request) -> Exception:
    if isinstance(error, UnconnectedError | aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return transport_error(ConnectError, request, error)
    if isinstance(error, TimeoutError):
        return transport_error(ReadTimeoutError, request, error)
    return transport_error(NoResponseError, request, error)


@functools.lru_cache(64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=read)
