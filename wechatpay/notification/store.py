"""Which events were dealt with: what makes handling idempotent although callbacks come more than once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryStore", "ReplayStore"]

#: Seconds that an event is remembered: twice as long as WeChat Pay goes on delivering it.
_KEPT = 172_800.0


class ReplayStore(Protocol):
    """Remembers events, for all processes that share it; methods may be coroutine functions.

    An event is first claimed, by one caller of many, then either completed or released. A claim that is
    neither, because its process died, ends by itself.
    """

    def claim(self, event: str, seconds: float, /) -> Any:
        """Claim an event for that long, in one atomic step.

        Returns:
            ``True`` for the one caller whose event it is now; ``False`` if it is claimed or completed.
        """
        ...

    def complete(self, event: str, reply: bytes, /) -> Any:
        """Remember that an event was dealt with, and its reply, for two days at least."""
        ...

    def reply(self, event: str, /) -> Any:
        """Return the reply of a completed event, as bytes; ``None`` for one that is only claimed."""
        ...

    def release(self, event: str, /) -> Any:
        """End a claim: the next delivery shall be dealt with."""
        ...


class MemoryStore:
    """Remembers events in the memory of one process, safe for threads.

    A restart forgets, and other processes do not know: where there are several, give a store that they share.
    """

    def __init__(
        self, size: int = 100_000, kept: float = _KEPT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make an empty store.

        Args:
            size: Events at most, about 0.5 KiB each; beyond, the oldest is forgotten.
            kept: Seconds that a completed event is remembered.
            clock: Returns seconds.

        Raises:
            ConfigurationError: ``size`` is less than 1.
        """
        if size < 1:
            raise ConfigurationError("size: remember 1 event or more")
        self._size = size
        self._kept = kept
        self._clock = clock
        self._lock = threading.Lock()
        #: When it ends, and the reply, or ``None`` while it is only claimed; those set last come last.
        self._events: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()

    def claim(self, event: str, seconds: float, /) -> bool:
        """Claim an event, unless it is claimed or completed."""
        with self._lock:
            if self._current(event):
                return False
            self._set(event, seconds, None)
            return True

    def complete(self, event: str, reply: bytes, /) -> None:
        """Remember that an event was dealt with."""
        with self._lock:
            self._set(event, self._kept, reply)

    def reply(self, event: str, /) -> bytes | None:
        """Return the reply of a completed event."""
        with self._lock:
            current = self._current(event)
            return current[1] if current else None

    def release(self, event: str, /) -> None:
        """End a claim; a completed event stays completed."""
        with self._lock:
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

    def _set(self, event: str, seconds: float, reply: bytes | None) -> None:
        now = self._clock()
        self._events[event] = (now + seconds, reply)
        self._events.move_to_end(event)
        while self._events and (len(self._events) > self._size or self._oldest() <= now):
            self._events.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._events.values()))[0]
