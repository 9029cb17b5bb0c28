"""The asynchronous transport: every call is one request of an ``aiohttp.ClientSession``."""

from __future__ import annotations

import asyncio
import threading
import weakref
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp

from wechatpay.errors import (
    ConnectError,
    NoResponseError,
    PoolTimeoutError,
    ReadTimeoutError,
    WeChatPayError,
)
from wechatpay.messages import Headers, Response
from wechatpay.middleware import Blocking
from wechatpay.process import CURRENT_JOB
from wechatpay.transports.loop_session import EXCHANGE, LoopSession, SentAlreadyError, UnconnectedError
from wechatpay.transports.network import (
    Unpacker,
    hide_frames,
    is_raised_elsewhere,
    packing,
    select_sink,
    too_large,
    transport_error,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wechatpay.messages import Request
    from wechatpay.transports.loop_session import Exchange, Factory
    from wechatpay.transports.network import Network
    from wechatpay.transports.sink import Sink

    Call = Callable[[Blocking], Awaitable[Any]]

__all__ = ["AsyncTransport"]

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
        weakref.finalize(self, _abandon, self._sessions, is_exiting=True)

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
            # Not in a variable: the URL of a proxy may hold a password.
            raise _map(
                error, request, self._network.proxies.select(request.url) if session.is_own else None
            ) from None
        except BaseException as error:
            hide_frames(error, request)
            raise

    async def _exchange(self, session: LoopSession, request: Request) -> Response:
        exchange = session.begin_exchange(request)
        before = EXCHANGE.set(exchange)
        try:
            async with exchange.timer:
                # The connector of a caller's session does not say when it has connected.
                exchange.restart(request.timeout[0] if session.is_own else request.total_timeout)
                await session.take_place(request, exchange)
                async with session.request(request, exchange) as response:
                    return await self._receive(response, request, exchange)
        except TimeoutError as error:
            if not (session.is_own and exchange.transport is None and exchange.timer.expired()):
                raise
            if exchange.places is None:
                raise transport_error(PoolTimeoutError, request, error) from None
            raise UnconnectedError from error
        finally:
            exchange.abort_if_closing()
            session.end_exchange(exchange)
            EXCHANGE.reset(before)

    async def _receive(
        self, response: aiohttp.ClientResponse, request: Request, exchange: Exchange
    ) -> Response:
        headers = Headers.received(response.headers)
        if request.sink and (sink := select_sink(request, response.status)) is not None:
            # A long download may take long: each read has its own timeout.
            exchange.timer.reschedule(None)
            await self._download(response, request, sink, headers)
            return Response(response.status, headers)
        if (
            "Content-Encoding" not in response.headers
            and (response.content_length or _MANY) <= self._network.max_response_size
        ):
            return Response(response.status, headers, await response.read())
        pieces, size = [], 0
        async for chunk in _read(response, request):
            pieces.append(chunk)
            size += len(chunk)
            if size > self._network.max_response_size:
                raise too_large(request, "max_response_size", self._network.max_response_size)
        return Response(response.status, headers, b"".join(pieces))

    async def _download(
        self, response: aiohttp.ClientResponse, request: Request, sink: Sink, headers: Headers
    ) -> None:
        """Write the body to ``sink`` on a thread, as a disk may be slow, and never leave a thread writing."""
        await self._call(Blocking(sink.begin, headers, final=True))
        held, size = bytearray(), 0
        job, (_, read) = CURRENT_JOB.get(), request.timeout
        async for chunk in _read(response, request):
            if job is not None:
                # As long as it makes progress, the end of the process waits for it.
                job.extend(read)
            held += chunk
            size += len(chunk)
            if size > self._network.max_download_size:
                raise too_large(request, "max_download_size", self._network.max_download_size)
            if len(held) >= _WRITTEN_AT_ONCE:
                await self._call(Blocking(sink.write, bytes(held), final=True))
                held.clear()
        await self._call(Blocking(sink.write, bytes(held), final=True))

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


async def _read(response: aiohttp.ClientResponse, request: Request) -> AsyncIterator[bytes]:
    encoding = packing(response.headers, response.status, request)
    try:
        unpacker = Unpacker(encoding) if encoding else None
        async for chunk in response.content.iter_any():
            for piece in unpacker.feed(chunk) if unpacker else (chunk,):
                yield piece
        if unpacker:
            unpacker.end()
    except zlib.error as error:
        raise aiohttp.ClientPayloadError from error


def _abandon(sessions: dict[Any, LoopSession], *, is_exiting: bool = False) -> None:
    while sessions:
        sessions.popitem()[1].abandon(is_exiting=is_exiting)


def _map(error: Exception, request: Request, proxy: str | None) -> Exception:
    if isinstance(error, UnconnectedError | aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return transport_error(ConnectError, request, error, proxy)
    if isinstance(error, TimeoutError):
        return transport_error(ReadTimeoutError, request, error)
    if isinstance(error, SentAlreadyError) and error.args:
        return NoResponseError(f"{request.method} {request.path}: outcome unknown: {error}", request=request)
    return transport_error(NoResponseError, request, error)
