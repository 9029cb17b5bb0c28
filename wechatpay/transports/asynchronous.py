"""The asynchronous transport, on aiohttp: one session for each event loop, closed with it."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from wechatpay.errors import ConnectError, NoAnswerError, ReadTimeoutError, TransportError
from wechatpay.messages import Headers, Response
from wechatpay.transports.network import IDLE_SECONDS, no_answer, receiver

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from wechatpay.messages import Request
    from wechatpay.multipart import Upload
    from wechatpay.transports.network import Network

    Call = Callable[..., Awaitable[Any]]

__all__ = ["AsyncTransport"]

_CHUNK = 64 * 1024

#: Headers that aiohttp would otherwise add of its own accord.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AsyncTransport:
    """Sends requests untouched, on whatever event loop it is awaited."""

    def __init__(self, network: Network, call: Call) -> None:
        self._network = network
        self._call = call
        self._lock = threading.Lock()
        self._leases: dict[asyncio.AbstractEventLoop, _Lease] = {}
        # Neither a loop that ended before its session, nor one that never ended, is to warn at exit.
        weakref.finalize(self, _abandon, self._leases)

    async def send(self, request: Request) -> Response:
        """Send ``request`` and read the answer.

        Raises:
            ConnectError: Nothing was sent.
            NoAnswerError: The request left; no whole answer came.
        """
        pieces = _Pieces(request.upload, self._call) if request.upload else None
        try:
            # Elsewhere: trackers show the local variables of every frame that an error passes.
            return await self._exchange(request, pieces)
        except (aiohttp.ClientError, TimeoutError) as error:
            if pieces and pieces.failure:
                raise pieces.failure from None
            raise _mapped(error, request) from None

    async def _exchange(self, request: Request, pieces: _Pieces | None) -> Response:
        async with await self._open(request, pieces or request.content or None) as answer:
            headers = Headers(answer.headers.items())
            if (sink := receiver(request, answer.status)) is None:
                return Response(answer.status, headers, await answer.read())
            sink.begin(headers)
            async for chunk in answer.content.iter_chunked(_CHUNK):
                sink.write(chunk)
            return Response(answer.status, headers)

    async def _open(self, request: Request, body: _Pieces | bytes | None) -> aiohttp.ClientResponse:
        session = await self._session()
        connect, read = request.timeout
        return await session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
            proxy=self._network.proxies.towards(request.url),
            ssl=self._tls(request),
        )

    def _tls(self, request: Request) -> ssl.SSLContext | bool:
        # aiohttp keeps connections apart by their context: each has a pool of its own.
        if not request.url.startswith("https:"):
            return True
        return self._network.mutual_tls if request.mutual else self._network.tls

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        lease = self._leases.get(loop)
        if lease is None:
            lease = _Lease(self._network, loop)
            with self._lock:
                for ended in [other for other in self._leases if other.is_closed()]:
                    self._leases.pop(ended).abandon()
                self._leases[loop] = lease
            await lease.begin()
        return lease.session

    async def aclose(self) -> None:
        """Close the running loop's connections; a later call opens new ones."""
        with self._lock:
            lease = self._leases.pop(asyncio.get_running_loop(), None)
        if lease is not None:
            await lease.end()

    def close(self) -> None:
        """Let go of the connections of all loops; those of running loops close soon."""
        with self._lock:
            _abandon(self._leases)


class _Pieces:
    """An upload as aiohttp takes it: read on threads, for the disk may be slow.

    Attributes:
        failure: What kept the upload from being read; aiohttp would hide it behind an error of its own.
    """

    def __init__(self, upload: Upload, call: Call) -> None:
        self._pieces = iter(upload)
        self._left = len(upload)
        self._call = call
        self.failure: Exception | None = None

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        # Not by asking for one piece more: the answer may be here before a thread says that there is none.
        if not self._left:
            raise StopAsyncIteration
        try:
            piece: bytes = await self._call(next, self._pieces)
        except Exception as error:
            self.failure = error
            raise
        self._left -= len(piece)
        return piece


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and gives whatever keeps it from that one name: nothing was sent."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection from the pool, or make one.

        Raises:
            _UnconnectedError: There is none; a proxy that refuses, or breaks off, counts, too.
        """
        try:
            return await super().connect(*args, **kwargs)
        except aiohttp.ClientError as error:
            raise _UnconnectedError from error

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # The goodbye that TLS waits for could outlast the loop, and leave a socket behind.
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


class _Lease:
    """A session that ends with its loop.

    A loop that ends shuts its asynchronous generators down (``asyncio.run`` does, and
    ``loop.shutdown_asyncgens()``): the session hangs on one.
    """

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connector = _Connector(limit=network.pool_size, keepalive_timeout=IDLE_SECONDS)
        self.session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_send_once,),
            skip_auto_headers=_AUTOMATIC,
        )
        self._life = self._live()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.session.close()

    async def begin(self) -> None:
        """Make the loop know the session."""
        await anext(self._life)

    async def end(self) -> None:
        """Close the session."""
        await self._life.aclose()

    def abandon(self) -> None:
        """Close the session from outside its loop, which may have ended."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._end_soon)
        else:
            self.session.detach()
            # The one way to close a connector without its loop.
            self._connector.__exit__(None, None, None)

    def _end_soon(self) -> None:
        self._ending = self._loop.create_task(self.end())


def _abandon(leases: dict[asyncio.AbstractEventLoop, _Lease]) -> None:
    while leases:
        _, lease = leases.popitem()
        lease.abandon()


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again, of its own accord, when the connection breaks."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenError(error) from error


class _UnconnectedError(aiohttp.ClientError):
    """A connection that was never made."""


class _BrokenError(aiohttp.ClientError):
    """A connection that broke, under a name that aiohttp does not repeat requests for."""


def _mapped(error: Exception, request: Request) -> TransportError:
    """Turn the library's error into ours, and leave its text behind: it may quote the query."""
    if isinstance(error, _UnconnectedError | aiohttp.ConnectionTimeoutError):
        return no_answer(ConnectError, request, error)
    if isinstance(error, TimeoutError):
        return no_answer(ReadTimeoutError, request, error)
    return no_answer(NoAnswerError, request, error)
