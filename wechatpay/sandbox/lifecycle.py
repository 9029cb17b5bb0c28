"""The life of a sandbox: it listens within ``with`` or ``async with``, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from concurrent.futures import wait
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from wechatpay.sandbox.certificates import Authority
    from wechatpay.sandbox.messages import Delivery, HttpRequest
    from wechatpay.sandbox.server import Address, Server

__all__ = ["Lifecycle"]


class Lifecycle(ABC):
    """The life of a server on loopback."""

    def __init__(self, authority: Authority, ports: tuple[int, int], host: str) -> None:
        """Prepare; ``with`` starts it.

        Args:
            authority: Issues the server's certificate.
            ports: For HTTP, and for HTTPS; 0 lets the system choose.
            host: The address to listen on.
        """
        self._authority = authority
        self._ports = ports
        self._host = host
        self._server: Server | None = None
        self._address: Address | None = None

    @property
    def base_uri(self) -> str:
        """Where the sandbox listens: ``http://127.0.0.1:…/``.

        Raises:
            ConfigurationError: It does not run.
        """
        return self.address.plain

    @property
    def address(self) -> Address:
        """Where the sandbox listens, with and without TLS.

        Raises:
            ConfigurationError: It does not run.
        """
        if self._address is None:
            raise ConfigurationError("the sandbox does not run: use it in `with Sandbox() as sandbox:`")
        return self._address

    def start(self) -> Self:
        """Start to listen, as ``with`` does.

        Raises:
            ConfigurationError: It runs already, or the port is taken.
        """
        server = self._launch()
        wait([server.started])
        return self._finish_start(server)

    def stop(self) -> None:
        """Close all connections and end the thread, as ``with`` does at its end; harmless when stopped."""
        if server := self._detach():
            server.stop().result()
            server.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        server = self._launch()
        try:
            with suppress(ConfigurationError):
                await asyncio.wrap_future(server.started)
        except asyncio.CancelledError:
            self.stop()
            raise
        return self._finish_start(server)

    async def __aexit__(self, *_: object) -> None:
        if server := self._detach():
            await asyncio.wrap_future(server.stop())
            server.join()

    def _launch(self) -> Server:
        if self._server is not None:
            raise ConfigurationError("the sandbox runs already: one `with` at a time")
        from wechatpay.sandbox.server import Server  # noqa: PLC0415  `aiohttp` is heavy

        self._server = Server(self._respond, self._authority, self._ports, self._host)
        self._server.start()
        return self._server

    def _finish_start(self, server: Server) -> Self:
        try:
            self._address = server.started.result()
        except ConfigurationError:
            self._detach()
            server.join()
            raise
        return self

    def _detach(self) -> Server | None:
        server, self._server, self._address = self._server, None, None
        return server

    @abstractmethod
    def _respond(self, request: HttpRequest) -> Delivery:
        """Respond to a request."""
