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
from wechatpay.transports.leases import Lease, UnconnectedError
from wechatpay.transports.network import no_answer, receiver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from wechatpay.messages import Request
    from wechatpay.multipart import Upload
    from wechatpay.transports.network import Network

    Call = Callable[..., Awaitable[Any]]

__all__ = ["AsyncTransport"]

_CHUNK = 64 * 1024


class AsyncTransport:
    """Sends requests untouched, on whatever event loop it is awaited."""

    def __init__(self, network: Network, call: Call) -> None:
        self._network = network
        self._call = call
        self._lock = threading.Lock()
        self._leases: dict[asyncio.AbstractEventLoop, Lease] = {}
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
        lease = await self._lease()
        with lease.session() as session:
            async with await self._open(session, request, pieces or request.content or None) as answer:
                headers = Headers(answer.headers.items())
                if (sink := receiver(request, answer.status)) is None:
                    return Response(answer.status, headers, await answer.read())
                sink.begin(headers)
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    sink.write(chunk)
                return Response(answer.status, headers)

    async def _open(
        self, session: aiohttp.ClientSession, request: Request, body: _Pieces | bytes | None
    ) -> aiohttp.ClientResponse:
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

    async def _lease(self) -> Lease:
        loop = asyncio.get_running_loop()
        lease = self._leases.get(loop)
        if lease is None:
            lease = Lease(self._network.pool_size, loop)
            with self._lock:
                for ended in [other for other in self._leases if other.is_closed()]:
                    self._leases.pop(ended).abandon()
                self._leases[loop] = lease
            await lease.begin()
        return lease

    async def aclose(self) -> None:
        """Close the running loop's connections after the calls in flight; a later call opens new ones."""
        with self._lock:
            lease = self._leases.pop(asyncio.get_running_loop(), None)
        if lease is not None:
            await lease.end()

    def close(self) -> None:
        """Let go of the connections of all loops; those of running loops close after the calls in flight."""
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


def _abandon(leases: dict[asyncio.AbstractEventLoop, Lease]) -> None:
    while leases:
        _, lease = leases.popitem()
        lease.abandon()


def _mapped(error: Exception, request: Request) -> TransportError:
    """Turn the library's error into ours, and leave its text behind: it may quote the query."""
    if isinstance(error, UnconnectedError | aiohttp.ConnectionTimeoutError):
        return no_answer(ConnectError, request, error)
    if isinstance(error, TimeoutError):
        return no_answer(ReadTimeoutError, request, error)
    return no_answer(NoAnswerError, request, error)
