"""The sandbox's traffic: the last requests with their responses, for tests, reports and the console."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.messages import HttpRequest, HttpResponse

__all__ = ["Exchange", "Exchanges"]

#: Exchanges kept, and bytes of their bodies: uploads are large.
_KEPT, _BYTES_KEPT = 1000, 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its response.

    Attributes:
        number: 1 for the first one.
        at: Unix seconds of the machine's clock.
        mchid: The merchant.
        protocol: ``v3``, ``v2`` or ``mp`` (the open platform).
        request: The request.
        response: The response; ``None`` if the connection was reset, or stayed open without one.
        code: The error code in the response; ``""`` without one.
        is_verified: Whether the merchant had signed the request.
        fault: The fault that the request met; ``""`` for none.
        seconds: How long it took, without the delays of faults.
    """

    number: int = 0
    at: float
    mchid: str
    protocol: str
    request: HttpRequest
    response: HttpResponse | None
    code: str
    is_verified: bool
    fault: str
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return len(self.request.body) + (len(self.response.body) if self.response else 0)


class Exchanges:
    """The last 1000 exchanges, up to 64 MiB, and who wants to know of new ones; thread-safe.

    Attributes:
        version: Grows with each exchange and each change of the state.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Exchange] = deque()
        self._size = 0
        self._listeners: set[Callable[[], None]] = set()
        self._count = 0
        self.version = 0

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange, and number it."""
        with self._lock:
            self._count += 1
            self._kept.append(replace(exchange, number=self._count))
            self._size += exchange.size
            while len(self._kept) > _KEPT or (self._size > _BYTES_KEPT and len(self._kept) > 1):
                self._size -= self._kept.popleft().size
        self.notify()

    def list(self) -> list[Exchange]:
        """Return the exchanges, oldest first."""
        with self._lock:
            return list(self._kept)

    def clear(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._kept.clear()
            self._size = 0
        self.notify()

    def notify(self) -> None:
        """Call the listeners: something changed."""
        with self._lock:
            self.version += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each change, from any thread; the returned function ends that."""
        with self._lock:
            self._listeners.add(listener)

        def end() -> None:
            with self._lock:
                self._listeners.discard(listener)

        return end
