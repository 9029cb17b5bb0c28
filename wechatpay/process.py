"""Things that a forked child must not share with its parent."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Makes a thing on first use, and anew after ``fork``; many threads may ask at once."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # One for each process: a lock that another thread held at the fork stays locked in the child.
        self._locks: dict[int, threading.Lock] = {}
        self._owned: tuple[int, T] | None = None

    def get(self) -> T:
        """Return this process's thing."""
        owned = self._owned
        if owned is None or owned[0] != os.getpid():
            return self._renew()
        return owned[1]

    def peek(self) -> T | None:
        """Return this process's thing, if there is one."""
        owned = self._owned
        return owned[1] if owned is not None and owned[0] == os.getpid() else None

    def take(self) -> T | None:
        """Return this process's thing, if there is one, and forget it."""
        with self._lock():
            thing, self._owned = self.peek(), None
        return thing

    def _renew(self) -> T:
        with self._lock():
            owned = self._owned
            if owned is None or owned[0] != os.getpid():
                owned = self._owned = (os.getpid(), self._make())
            return owned[1]

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())
