"""Connections of aiohttp's that end with their event loops, whichever way those end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import weakref
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from wechatpay.transports.network import IDLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from types import TracebackType

    from wechatpay.messages import Request
    from wechatpay.transports.network import Network

__all__ = ["Lease", "UnconnectedError"]

#: Headers that aiohttp would otherwise add of its own accord.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Lease:
    """A pool of connections that ends with its loop.

    A loop that ends shuts its asynchronous generators down (``asyncio.run`` does, and
    ``loop.shutdown_asyncgens()``): the pool hangs on one. A loop that was closed without, or that is
    the parent's of a forked process, closes nothing any more: then the sockets are closed over its head.
    """

    def __init__(self, pool_size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pid = os.getpid()
        self._connector = _Connector(limit=pool_size, keepalive_timeout=IDLE_SECONDS)
        self._routes: dict[tuple[str, bool], aiohttp.ClientRequest] = {}
        self._calls = 0
        self._idle = asyncio.Event()
        self._life = self._live()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._connector.close()

    async def begin(self) -> None:
        """Make the loop know the pool."""
        await anext(self._life)

    def route(self, network: Network, request: Request) -> aiohttp.ClientRequest:
        """Tell where a request goes, in aiohttp's terms: origin, TLS and proxy, and the headers they need."""
        origin = request.url[: request.url.index("/", 8)]
        route = self._routes.get((origin, request.mutual))
        if route is None:
            proxy = network.proxies.towards(request.url)
            # aiohttp keeps connections apart by their context: each has a pool of its own.
            tls = network.mutual_tls if request.mutual else network.tls
            route = self._routes[origin, request.mutual] = aiohttp.ClientRequest(
                "GET",
                URL(origin, encoded=True),
                skip_auto_headers=_AUTOMATIC,
                loop=self._loop,
                proxy=URL(proxy) if proxy else None,
                ssl=tls if origin.startswith("https:") else True,
            )
        return route

    def connect(self, route: aiohttp.ClientRequest, seconds: float | None) -> Awaitable[Any]:
        """Take a connection from the pool, or make one.

        Raises:
            UnconnectedError: There is none.
        """
        return self._connector.connect(route, traces=[], timeout=_limit(seconds))

    def __enter__(self) -> None:
        """Begin a call, for whose end `end` waits."""
        self._calls += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def end(self) -> None:
        """Close the pool after the calls in flight."""
        while self._calls:
            self._idle.clear()
            await self._idle.wait()
        await self._connector.close()
        # The loop may be ending it at this very moment.
        with contextlib.suppress(RuntimeError):
            await self._life.aclose()

    def abandon(self) -> None:
        """Close the pool from outside its loop, which may have ended."""
        if self._pid == os.getpid() and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._end_soon)
            return
        for protocol in list(self._connector.protocols):
            _bury(protocol, self._pid)
        # The one way to close a connector without its loop.
        self._connector.__exit__(None, None, None)

    def _end_soon(self) -> None:
        self._ending = self._loop.create_task(self.end())


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and gives whatever keeps it from that one name: nothing was sent.

    Attributes:
        protocols: aiohttp's ends of the connections.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.protocols: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection from the pool, or make one.

        Raises:
            UnconnectedError: There is none; a proxy that refuses, or breaks off, counts, too.
        """
        try:
            connection: Any = await super().connect(*args, **kwargs)
            # What came unasked while it was idle would be taken for the next answer.
            while connection.protocol.should_close and connection.protocol in self.protocols:
                connection.close()
                connection = await super().connect(*args, **kwargs)
        except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
            raise UnconnectedError from error
        self.protocols.add(connection.protocol)
        return connection

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  it is what aiohttp gives
    ) -> Any:
        # A proxy that says nothing to CONNECT would be waited for until it does.
        async with asyncio.timeout(timeout.sock_connect if req.proxy else None):
            return await super()._create_connection(req, traces, timeout)

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # The goodbye that TLS waits for could outlast the loop, and leave a socket behind.
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


def _bury(protocol: Any, owner: int) -> None:
    """Close a socket without its loop, which asyncio has no public way for."""
    transport = protocol.transport
    secured = getattr(transport, "_ssl_protocol", None)
    bare = transport if secured is None else secured._transport  # noqa: SLF001  the socket's own transport
    if not hasattr(bare, "_call_connection_lost"):
        return
    # What a loop watches is shared with the parent of a forked process, who goes on watching.
    if owner == os.getpid():
        bare.pause_reading()
    # A loop that runs once more may get a socket of the same number.
    bare._closing = True  # noqa: SLF001  what is_closing() says
    # Whoever is told of it may ask the loop for something.
    with contextlib.suppress(RuntimeError):
        bare._call_connection_lost(None)  # noqa: SLF001  what the loop would call


@functools.lru_cache(16)
def _limit(seconds: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


class UnconnectedError(aiohttp.ClientError):
    """A connection that was never made."""
