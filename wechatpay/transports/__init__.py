"""What performs a flow's effects: :mod:`blocking` uses requests, :mod:`asynchronous` aiohttp."""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.errors import InvalidRequestError
from wechatpay.messages import Request
from wechatpay.middleware import Blocking, Pause, unknown_effect
from wechatpay.process import CURRENT_JOB, PerProcess
from wechatpay.uri.hosts import check_destination

if TYPE_CHECKING:
    from wechatpay.background import Executor
    from wechatpay.settings import Settings
    from wechatpay.transports.asynchronous import AsyncTransport
    from wechatpay.transports.blocking import BlockingTransport
    from wechatpay.transports.network import Network

__all__ = ["AsyncConnections", "Connections", "preflight"]


def preflight(request: Request, settings: Settings) -> None:
    """Check a request once more before it leaves, whatever middlewares have made of it.

    What was signed is what is sent, the libraries will not change it, and it goes to a host that is trusted.

    Raises:
        InvalidRequestError: One of these is not so.
    """
    target, snapshot = request.target, request.snapshot
    if snapshot is not None and (
        target != snapshot.target or request.method != snapshot.method or request.content != snapshot.content
    ):
        raise InvalidRequestError(
            "a middleware inside the signer changed the method, the target or the body: "
            "what is signed is what is sent; move it outside with stack.before('signer', …)",
            request=request,
        )
    if reason := _invalid_reason(request, target):
        raise InvalidRequestError(
            f"a middleware made a request that cannot be sent as it is: {reason}", request=request
        )
    if not request.url.startswith(settings.trust.prefix):
        check_destination(request, settings.trust, settings.open_platform.trust)


def _invalid_reason(request: Request, target: str) -> str:
    """Say what HTTP, or one of the libraries, would not carry as it is; ``""`` if there is nothing."""
    if not (request.method.isupper() and request.method.isalpha()):
        return "the method must be an upper-case word"
    if not uri.is_normal(target):
        return "the URL must be percent-encoded, by urllib.parse.quote() for example"
    if not request.headers.is_sendable():
        return "headers are printable ASCII text, and their names are words"
    host, length, encoding = request.headers.pick("host", "content-length", "transfer-encoding")
    if host is not None:
        return "Host follows from the URL"
    body = request.content
    if isinstance(body, str) or (length or "0") != str(len(body)) or encoding is not None:
        return "Content-Length is that of a body of bytes: change it by request.with_(content=b'…')"
    return ""


class Connections:
    """Performs effects and blocks until each is done."""

    def __init__(self, settings: Settings, network: Network) -> None:
        def open_transport() -> BlockingTransport:
            from wechatpay.transports.blocking import BlockingTransport  # noqa: PLC0415  `requests` is heavy

            return BlockingTransport(network, settings.transport.session)

        self._settings = settings
        self._transport = PerProcess(open_transport)

    def perform(self, effect: object) -> Any:
        """Send a request, wait, or call a function.

        Raises:
            InvalidRequestError: A request is not what was signed, would not arrive as it is, or goes to a
                host that is not trusted.
            TransportError: No response came.
            ConfigurationError: It is something else than an effect.
        """
        if isinstance(effect, Request):
            preflight(effect, self._settings)
            return (self._transport.value or self._transport.get()).send(effect)
        if isinstance(effect, Pause):
            return time.sleep(effect.seconds)
        if isinstance(effect, Blocking):
            return effect()
        raise unknown_effect(effect)

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

    async def perform(self, effect: object) -> Any:
        """Do what `Connections.perform` does, without blocking the event loop.

        Raises:
            WeChatPayError: As `Connections.perform` does.
        """
        job = CURRENT_JOB.get()
        if isinstance(effect, Request):
            preflight(effect, self._settings)
            if job is not None:
                job.extend(effect.total_timeout)
            return await (self._transport.value or self._transport.get()).send(effect)
        if isinstance(effect, Pause):
            import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

            if job is not None:
                job.extend(effect.seconds)
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Blocking):
            return await self.call(effect)
        raise unknown_effect(effect)

    async def call(self, effect: Blocking) -> Any:
        """Call a function on a thread, with the caller's context variables.

        A function on a thread cannot be interrupted. If the task is cancelled meanwhile, a ``final`` one runs
        to its end first; any other is left to itself, and its result is dropped.
        """
        import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

        from wechatpay.background import STEP_TIMEOUT, wait_to_the_end  # noqa: PLC0415  it loads asyncio
        from wechatpay.single_flight import SingleFlight  # noqa: PLC0415  most calls need no thread

        if isinstance(effect.function, SingleFlight):
            # Hundreds of tasks may wait for one download: they need no threads.
            return await effect.function.wait(*effect.args)
        if (job := CURRENT_JOB.get()) is not None:
            job.extend(STEP_TIMEOUT)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor.get(), context.run, effect)
        if not effect.final:
            return await future
        if (cancellation := await wait_to_the_end(future)) is None:
            return future.result()
        future.exception()  # asyncio would log one that nobody has looked at
        try:
            raise cancellation
        finally:
            # Its traceback holds this frame.
            del cancellation

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        if transport := self._transport.value:
            await transport.aclose()

    def close(self) -> None:
        """Close the connections of all loops, and the threads once they are done."""
        if transport := self._transport.take():
            transport.close()
        if executor := self._executor.take():
            executor.shutdown(wait=False)
