"""What performs a flow's effects: :mod:`blocking` uses requests, :mod:`asynchronous` aiohttp."""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any

from wechatpay import preflight
from wechatpay.middleware import Blocking
from wechatpay.process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.background import Executor
    from wechatpay.messages import Request, Response
    from wechatpay.settings import Settings
    from wechatpay.transports.asynchronous import AsyncTransport
    from wechatpay.transports.blocking import BlockingTransport
    from wechatpay.transports.network import Network

__all__ = ["AsyncConnections", "Connections"]


class Connections:
    """Performs effects and blocks until each is done."""

    def __init__(self, settings: Settings, network: Network) -> None:
        def open_transport() -> BlockingTransport:
            from wechatpay.transports.blocking import BlockingTransport  # noqa: PLC0415  `requests` is heavy

            return BlockingTransport(network, settings.transport.session)

        self._settings = settings
        self._transport = PerProcess(open_transport)

    def send(self, request: Request) -> Response:
        """Send ``request``.

        Raises:
            InvalidRequestError: It is not what was signed, would not arrive as it is, or goes to a host
                that is not trusted.
            TransportError: No response came.
        """
        preflight.check(request, self._settings)
        return self._transport.get().send(request)

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close all connections."""
        if transport := self._transport.take():
            transport.close()


class AsyncConnections:
    """Performs effects on the running event loop."""

    def __init__(self, settings: Settings, network: Network) -> None:
        def open_transport() -> AsyncTransport:
            from wechatpay.transports.asynchronous import AsyncTransport  # noqa: PLC0415  `aiohttp` is heavy

            return AsyncTransport(network, settings.transport.client_session, self.call)

        def open_executor() -> Executor:
            from wechatpay.background import Executor  # noqa: PLC0415  few flows need one

            return Executor(network.pool_size, "wechatpay")

        self._settings = settings
        self._transport = PerProcess(open_transport)
        self._executor = PerProcess(open_executor)

    async def send(self, request: Request) -> Response:
        """Send ``request``.

        Raises:
            InvalidRequestError: It is not what was signed, would not arrive as it is, or goes to a host
                that is not trusted.
            TransportError: No response came.
        """
        preflight.check(request, self._settings)
        connect, read = request.timeout
        _extend_deadline(None if connect is None or read is None else connect + read)
        return await self._transport.get().send(request)

    async def pause(self, seconds: float) -> None:
        """Wait."""
        import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

        _extend_deadline(seconds)
        await asyncio.sleep(seconds)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function`` on a thread, with the caller's context variables."""
        import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

        from wechatpay.single_flight import SingleFlight  # noqa: PLC0415  most calls need no thread

        if isinstance(function, Blocking) and isinstance(function.function, SingleFlight):
            # Hundreds of tasks may wait for one download: they need no threads.
            return await function.function.wait(*function.args)
        _extend_deadline(30.0)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor.get(), context.run, function, *args)

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        if transport := self._transport.peek():
            await transport.aclose()

    def close(self) -> None:
        """Close the connections of all loops, and the threads once they are done."""
        if transport := self._transport.take():
            transport.close()
        if executor := self._executor.take():
            executor.shutdown(wait=False)


def _extend_deadline(seconds: float | None) -> None:
    from wechatpay.background import extend_deadline  # noqa: PLC0415  a blocking caller never loads asyncio

    extend_deadline(seconds)
