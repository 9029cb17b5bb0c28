"""Two loopback ports: requests are passed on as they arrived, responses are sent as they are."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox.certificates import TLS
from wechatpay.sandbox.messages import PLAIN, Channel, HttpRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from wechatpay.sandbox.certificates import Authority
    from wechatpay.sandbox.messages import Delivery, EventSource, HttpResponse

__all__ = ["Address", "Server"]


#: Seconds that responses in progress have when the server stops.
_GRACE = 0.1

#: Seconds between two signs of life of an event stream, and at least between two groups of events.
_HEARTBEAT = 15.0
_EVENT_INTERVAL = 0.05

#: Pieces of a body that is sent slowly.
_PIECES = 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        plain: ``http://127.0.0.1:…/``.
        tls: ``https://127.0.0.1:…/``.
        bundle: The CA bundle with which clients trust the latter; it exists while the server runs.
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
        self,
        respond: Callable[[HttpRequest], Delivery],
        authority: Authority,
        ports: tuple[int, int],
        host: str,
    ) -> None:
        """Prepare a server.

        Args:
            respond: Responds to requests, one at a time.
            authority: Vouches for the server, and for clients that have a certificate.
            ports: For HTTP and for HTTPS; 0 lets the system choose one.
            host: The address to listen on.
        """
        self._respond = respond
        self._authority = authority
        self._ports = ports
        self._host = host
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
                await _listen(runner, self._host, port, context)
            plain, encrypted = (address[1] for address in runner.addresses)
            self.started.set_result(
                Address(f"http://127.0.0.1:{plain}/", f"https://127.0.0.1:{encrypted}/", tls.bundle)
            )
            await self._end.wait()
        finally:
            transports = [connection.transport for connection in server.connections]
            await runner.cleanup()
            await _abort(transports)
            tls.close()

    async def _stream(
        self, message: web.BaseRequest, head: HttpResponse, events: EventSource
    ) -> web.StreamResponse:
        """Send events until the client leaves or the server stops."""
        response = web.StreamResponse(status=head.status, headers=dict(head.headers))
        await response.prepare(message)
        changed, last = asyncio.Event(), 0

        def wake() -> None:
            # Another thread may be late: then the loop is closed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(changed.set)

        end = events.listen(wake)
        try:
            while not self._end.is_set():
                last, text = events.read(last)
                await response.write(text)
                # A comment now and then finds out whether the client is still there.
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT)
                changed.clear()
                await asyncio.sleep(_EVENT_INTERVAL)
        finally:
            end()
        return response

    async def _handle(self, message: web.BaseRequest) -> web.StreamResponse:
        if message.headers.get("Expect", "").lower() == "100-continue" and message.transport is not None:
            # Clients of libcurl ask before they send a megabyte, and wait a second for this.
            message.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = HttpRequest(
            message.method,
            message.raw_path,
            Headers(message.headers.items()),
            await message.content.read(),
            _channel(message),
        )
        delivery = self._respond(request)
        await asyncio.sleep(delivery.delay)
        if delivery.response is None:
            return _reset(message)
        if delivery.events is not None:
            return await self._stream(message, delivery.response, delivery.events)
        if delivery.kept is not None:
            return await _truncated(message, delivery.response, delivery.kept)
        if delivery.duration:
            return await _slow(message, delivery.response, delivery.duration)
        return web.Response(
            status=delivery.response.status,
            headers=dict(delivery.response.headers),
            body=delivery.response.body,
        )


async def _abort(transports: list[asyncio.Transport | None]) -> None:
    """Close connections at once: TLS would wait for a good-bye, longer than the loop lives."""
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)


async def _listen(runner: web.ServerRunner, host: str, port: int, context: ssl.SSLContext | None) -> None:
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigurationError(f"port {port}: {reason}; port 0 lets the system choose one") from None


def _channel(request: web.BaseRequest) -> Channel:
    """Describe the connection; a client certificate that TLS verified has a serial number."""
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


async def _begin(message: web.BaseRequest, content: HttpResponse) -> web.StreamResponse:
    """Send the head of a response."""
    response = web.StreamResponse(status=content.status, headers=dict(content.headers))
    response.content_length = len(content.body)
    await response.prepare(message)
    return response


async def _slow(message: web.BaseRequest, content: HttpResponse, duration: float) -> web.StreamResponse:
    """Send the body in pieces over ``duration`` seconds."""
    response = await _begin(message, content)
    size = max(1, len(content.body) // _PIECES)
    starts = range(0, len(content.body), size)
    for start in starts:
        await asyncio.sleep(duration / len(starts))
        await response.write(content.body[start : start + size])
    return response


async def _truncated(message: web.BaseRequest, content: HttpResponse, kept: int) -> web.StreamResponse:
    """Promise the whole body, send its beginning, and close the connection."""
    response = await _begin(message, content)
    await response.write(content.body[:kept])
    if message.transport is not None:  # pragma: no branch  a client that left closed it
        message.transport.close()
    return response
