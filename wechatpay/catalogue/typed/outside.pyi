# What the stubs name in place of classes that would make type checkers read large libraries.
from collections.abc import Callable
from typing import Any, Protocol

from wechatpay.middleware import Stack

class BlockingSession(Protocol):
    """A `requests.Session`."""

    adapters: Any
    @property
    def send(self) -> Callable[..., Any]: ...

class AsyncSession(Protocol):
    """An `aiohttp.ClientSession`."""

    @property
    def closed(self) -> bool: ...
    @property
    def request(self) -> Callable[..., Any]: ...

class SelectedProtocol(Protocol):
    """APIv2, APIv3 or the open platform."""

    @property
    def stack(self) -> Stack:
        """The middlewares, outermost first."""
