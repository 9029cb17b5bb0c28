"""Two loopback ports that hand over requests as they came, and send answers as they are."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.answer import PLAIN, Channel, Received
from wechatpay.sandbox.tls import TLS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.delivery import Delivery
    from wechatpay.sandbox.keys.authority import Authority

__all__ = ["Address", "Server"]

#: Seconds that answers under way have when the server stops.
_GRACE = 0.1


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        plain: ``http://127.0.0.1:…/``.
        tls: ``https://127.0.0.1:…/``.
        bundle: The CA bundle by which clients believe the latter, for as long as the server runs.
    """

    plain: str
    tls: str
    bundle: Path


class Server:
    """An HTTP server on a thread and an event loop of its own.

    Attributes:
        started: Gives the address once it listens, or a `ConfigurationError`.
    """

    def __init__(
        self, respond: Callable[[Received], Delivery], authority: Authority, ports: tuple[int, int]
    ) -> None:
        """Prepare a server.

        Args:
            respond: Answers requests, one at a time.
            authority: Vouches for the server, and for clients that have a certificate.
            ports: For HTTP and for HTTPS; 0 lets the system choose one.
        """
        self._respond = respond
        self._authority = authority
        self._ports = ports
        self.started: Future[Address] = Future()
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
        except ConfigurationError as error:
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
        tls = TLS(self._authority)
        await runner.setup()
        try:
            for port, context in zip(self._ports, (None, tls.context), strict=True):
                await _listen(runner, port, context)
            plain, encrypted = (port for _, port in runner.addresses)
            self.started.set_result(
                Address(f"http://127.0.0.1:{plain}/", f"https://127.0.0.1:{encrypted}/", tls.bundle)
            )
            await self._end.wait()
        finally:
            transports = [connection.transport for connection in server.connections]
            await runner.cleanup()
            await _abort(transports)
            tls.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            request.method,
            request.raw_path,
            Headers(request.headers.items()),
            await request.content.read(),
            _channel(request),
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


async def _abort(transports: list[asyncio.Transport | None]) -> None:
    """Close connections at once: TLS would wait for a good-bye, longer than the loop lives."""
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)


async def _listen(runner: web.ServerRunner, port: int, context: ssl.SSLContext | None) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    except OSError as error:
        raise ConfigurationError(
            f"port {port}: {os.strerror(error.errno or 0)}; port 0 lets the system choose one"
        ) from None


def _channel(request: web.BaseRequest) -> Channel:
    """Tell what TLS knows; a certificate that it verified has a serial number."""
    if not request.secure:
        return PLAIN
    certificate = request.get_extra_info("peercert") or {}
    return Channel(certificate.get("serialNumber", ""))


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
