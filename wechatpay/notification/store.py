"""Which events were handled: WeChat Pay delivers an event more than once, and it is handled once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.errors import ConfigurationError
from wechatpay.process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryStore", "ReplayStore"]

#: Seconds that an event is remembered: twice as long as WeChat Pay delivers it again.
_TTL = 172_800.0


class ReplayStore(Protocol):
    """Remembers events for all processes that share it; methods may be coroutine functions.

    One caller claims an event, then completes or releases it. A claim that is neither completed nor released,
    because its process died, expires.
    """

    def claim(self, event: str, ttl: float, /) -> Any:
        """Claim an event in one atomic step.

        Args:
            event: The event's id.
            ttl: Seconds until the claim expires.

        Returns:
            ``True`` for the one caller that now holds the claim; ``False`` if the event is claimed or
            completed.
        """
        ...

    def complete(self, event: str, reply: bytes, /) -> Any:
        """Remember that an event was handled, and its reply, for at least two days."""
        ...

    def reply(self, event: str, /) -> Any:
        """Return the reply of a completed event as bytes; ``None`` for an event that is only claimed."""
        ...

    def release(self, event: str, /) -> Any:
        """End a claim, so that the next delivery is handled."""
        ...


class MemoryStore:
    """Remembers events in the memory of one process; safe for threads.

    A restart forgets them, and other processes do not see them: give several processes one shared store.
    """

    def __init__(
        self, size: int = 100_000, ttl: float = _TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make an empty store.

        Args:
            size: The most events, about 0.5 KiB each; beyond that the oldest is forgotten.
            ttl: Seconds that a completed event is remembered; two days by default.
            clock: Returns seconds.

        Raises:
            ConfigurationError: ``size`` is less than 1.
        """
        if size < 1:
            raise ConfigurationError("size: give at least 1")
        self._size = size
        self._ttl = ttl
        self._clock = clock
        self._lock = PerProcess(threading.Lock)
        #: When it expires, and the reply, or ``None`` while it is only claimed; ordered by when it was set.
        self._events: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()

    def claim(self, event: str, ttl: float, /) -> bool:
        """Claim an event, unless it is claimed or completed."""
        with self._lock.get():
            if self._current(event):
                return False
            self._set(event, ttl, None)
            return True

    def complete(self, event: str, reply: bytes, /) -> None:
        """Remember that an event was handled."""
        with self._lock.get():
            self._set(event, self._ttl, reply)

    def reply(self, event: str, /) -> bytes | None:
        """Return the reply of a completed event."""
        with self._lock.get():
            current = self._current(event)
            return current[1] if current else None

    def release(self, event: str, /) -> None:
        """End a claim; a completed event stays completed."""
        with self._lock.get():
            current = self._events.get(event)
            if current and current[1] is None:
                del self._events[event]

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self)} of {self._size}>"

    def _current(self, event: str) -> tuple[float, bytes | None] | None:
        found = self._events.get(event)
        return found if found and found[0] > self._clock() else None

    def _set(self, event: str, ttl: float, reply: bytes | None) -> None:
        now = self._clock()
        self._events[event] = (now + ttl, reply)
        self._events.move_to_end(event)
        while self._events and (len(self._events) > self._size or self._oldest() <= now):
            self._events.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._events.values()))[0]
