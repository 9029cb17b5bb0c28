"""A loopback port that hands over requests as they came, and sends answers as they are."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from aiohttp import web

from wechatpay.messages import Headers
from wechatpay.sandbox.answer import Received

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.faults import Delivery

__all__ = ["Server"]

#: Seconds that answers under way have when the server stops.
_GRACE = 0.1


class Server:
    """An HTTP server on a thread and an event loop of its own.

    Attributes:
        started: Gives the port once it listens, or an `OSError`.
    """

    def __init__(self, respond: Callable[[Received], Delivery], port: int) -> None:
        self._respond = respond
        self._port = port
        self.started: Future[int] = Future()
        self._stopped: Future[None] = Future()
        for future in (self.started, self._stopped):
            # Whoever stops waiting must not cancel what the thread is doing.
            future.set_running_or_notify_cancel()
        # Daemonic: a sandbox that nobody closed must not keep the interpreter from exiting.
        self._thread = threading.Thread(target=self._run, name="wechatpay-sandbox", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> Future[None]:
        """Close all connections, once it listens; the future is there when it is done."""
        if self.started.exception() is None:
            self._loop.call_soon_threadsafe(self._end.set)
        return self._stopped

    def join(self) -> None:
        """Wait for the thread, which ends at once when the future of `stop` is there."""
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self.started.set_exception(error)
        finally:
            self._stopped.set_result(None)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = web.Server(
            self._handle,
            access_log=None,
            auto_decompress=False,
            handler_cancellation=True,
            logger=logging.getLogger("wechatpay.sandbox"),
        )
        runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self.started.set_result(runner.addresses[0][1])
            await self._end.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            request.method, request.raw_path, Headers(request.headers.items()), await request.content.read()
        )
        delivery = self._respond(received)
        await asyncio.sleep(delivery.delay)
        if delivery.answer is None:
            return _reset(request)
        if delivery.kept is not None:
            return await _truncated(request, delivery.answer, delivery.kept)
        return web.Response(
            status=delivery.answer.status, headers=dict(delivery.answer.headers), body=delivery.answer.body
        )


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection so that the client gets RST, not an end of file."""
    if request.transport is not None:  # pragma: no branch  a client that left is as good as reset
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        request.transport.abort()
    return web.Response()


async def _truncated(request: web.BaseRequest, answer: Answer, kept: int) -> web.StreamResponse:
    """Promise the whole body, send its beginning, and close the connection."""
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[:kept])
    if request.transport is not None:  # pragma: no branch  a client that left closed it
        request.transport.close()
    return response
