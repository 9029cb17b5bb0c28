"""The asynchronous transport, on aiohttp's connections and parser: a pool for each loop, closed with it.

aiohttp's sessions would send some requests again of their own accord, and write the bytes before a body.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http import HttpProcessingError, StreamWriter

from wechatpay.errors import ConnectError, NoResponseError, ReadTimeoutError, TransportError
from wechatpay.messages import Headers, Response
from wechatpay.transports.head import head
from wechatpay.transports.leases import Lease, UnconnectedError
from wechatpay.transports.network import no_answer, receiver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wechatpay.messages import Request
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
        # Neither a loop that ended before its pool, nor one that never ended, is to warn at exit.
        weakref.finalize(self, _abandon, self._leases)

    async def send(self, request: Request) -> Response:
        """Send ``request`` and read the answer.

        Raises:
            ConnectError: Nothing was sent.
            NoResponseError: The request left; no whole answer came.
        """
        try:
            # Elsewhere: trackers show the local variables of every frame that an error passes.
            return await self._exchange(request)
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError) as error:
            raise _mapped(error, request) from None

    async def _exchange(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        lease = self._leases.get(loop) or await self._new_lease(loop)
        with lease:
            route = lease.route(self._network, request)
            connection = await lease.connect(route, request.timeout[0])
            try:
                response = await self._converse(connection, route, request)
            except BaseException:
                connection.close()
                raise
            # It is used again, unless something is still under way there.
            connection.release()
            return response

    async def _converse(self, connection: Any, route: aiohttp.ClientRequest, request: Request) -> Response:
        protocol = connection.protocol
        protocol.set_response_params(
            skip_payload=request.method == "HEAD", read_until_eof=True, read_timeout=request.timeout[1]
        )
        target = request.url if route.proxy and not route.is_ssl() else request.target
        before = head(request.method, target, [*route.headers.items(), *request.headers.pairs()])
        if request.upload is None and len(request.content) <= _CHUNK:
            protocol.transport.write(before + request.content)
            protocol.start_timeout()
            return await _receive(protocol, request)
        # The answer may come, and say why, before all of a long body has left.
        writing = asyncio.create_task(self._write(protocol, before, request))
        try:
            response = await _receive(protocol, request)
        finally:
            if not writing.done():
                connection.close()
                writing.cancel()
                await asyncio.wait([writing])
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            # Who refuses a long body may not have read it: the next request would stand behind the rest.
            connection.close()
        return response

    async def _write(self, protocol: Any, before: bytes, request: Request) -> None:
        """Write a long body no faster than it is taken; what goes wrong comes up where the answer is read."""
        writer = StreamWriter(protocol, asyncio.get_running_loop())
        patience = request.timeout[1]
        try:
            async with asyncio.timeout(patience):
                await writer.write(before + request.content)
            pieces, left = iter(request.upload or ()), len(request.upload or ())
            # Not by asking for one piece more: the answer may be here before a thread says there is none.
            while left:
                piece = await self._call(next, pieces)
                async with asyncio.timeout(patience):
                    await writer.write(piece)
                left -= len(piece)
            protocol.start_timeout()
        except aiohttp.ClientError:
            # The server has closed; it may have answered before.
            pass
        except Exception as error:  # noqa: BLE001  whatever it is, it is the caller's
            protocol.set_exception(error)

    async def _new_lease(self, loop: asyncio.AbstractEventLoop) -> Lease:
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


async def _receive(protocol: Any, request: Request) -> Response:
    message, payload = await protocol.read()
    while message.code < 200 and message.code != HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004  interim
        # aiohttp takes an interim answer for the end of the waiting.
        protocol.start_timeout()
        message, payload = await protocol.read()
    headers = Headers(message.headers.items())
    if (sink := receiver(request, message.code)) is None:
        return Response(message.code, headers, await payload.read())
    sink.begin(headers)
    async for chunk in payload.iter_chunked(_CHUNK):
        sink.write(chunk)
    return Response(message.code, headers)


def _abandon(leases: dict[asyncio.AbstractEventLoop, Lease]) -> None:
    while leases:
        _, lease = leases.popitem()
        lease.abandon()


def _mapped(error: Exception, request: Request) -> TransportError:
    """Turn the library's error into ours, and leave its text behind: it may quote the query."""
    if isinstance(error, UnconnectedError):
        return no_answer(ConnectError, request, error)
    if isinstance(error, TimeoutError):
        return no_answer(ReadTimeoutError, request, error)
    return no_answer(NoResponseError, request, error)
