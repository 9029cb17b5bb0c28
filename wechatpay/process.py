"""State that belongs to one process: what a forked child must not share with its parent."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Makes a value on first use, and a new one in a forked child.

    Threads may share it. In the child the lock is new, too: another thread of the parent may have held
    the old one at the moment of the fork.

    Args:
        make: Makes the value; called at most once at a time.
    """

    __slots__ = ("__weakref__", "_lock", "_make", "_value")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None
        _instances.add(self)

    def get(self) -> T:
        """Return this process's value; make it if there is none."""
        value = self._value
        if value is not None:
            return value
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    def peek(self) -> T | None:
        """Return this process's value, or ``None`` if there is none."""
        return self._value

    def take(self) -> T | None:
        """Remove this process's value and return it, or ``None`` if there is none."""
        with self._lock:
            value, self._value = self._value, None
        return value

    def discard(self, value: T) -> None:
        """Remove ``value`` unless another has taken its place already."""
        with self._lock:
            if self._value is value:
                self._value = None

    def _reset(self) -> None:
        # Kept: finalizers could close or unregister what the parent process still uses.
        _inherited.append(self._value)
        self._lock, self._value = threading.Lock(), None


_instances: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_inherited: list[object] = []


def _reset_all() -> None:
    for instance in list(_instances):
        instance._reset()  # noqa: SLF001  our own class


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all)
