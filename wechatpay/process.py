"""State that belongs to one process: what a forked child must not share with its parent."""

from __future__ import annotations

import os
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.background import Job

__all__ = ["CURRENT_JOB", "PerProcess", "renew_in_child"]

#: The call in flight on a background's thread that this context belongs to.
CURRENT_JOB: ContextVar[Job | None] = ContextVar("wechatpay_job", default=None)

T = TypeVar("T")


# A fork waits for it: the child must not inherit a module that another thread has half imported.
_lock = threading.RLock()


class PerProcess(Generic[T]):
    """Makes a value on first use, and a new one in a forked child. Threads may share it.

    Args:
        make: Makes the value; may import modules. A fork in another thread waits until it returns.

    Attributes:
        value: This process's value, or ``None`` before `get` made it.
    """

    __slots__ = ("__weakref__", "_make", "value")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.value: T | None = None
        _instances.add(self)

    def get(self) -> T:
        """Return this process's value; make it if there is none."""
        value = self.value
        if value is not None:
            return value
        with _lock:
            if self.value is None:
                self.value = self._make()
            return self.value

    def take(self) -> T | None:
        """Remove this process's value and return it, or ``None`` if there is none."""
        with _lock:
            value, self.value = self.value, None
        return value

    def discard(self, value: T) -> None:
        """Remove ``value`` unless another has taken its place already."""
        with _lock:
            if self.value is value:
                self.value = None


_instances: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_inherited: list[object] = []


def renew_in_child(owner: object, name: str, make: Callable[[], object]) -> None:
    """Set an attribute anew in every forked child, for as long as its owner exists.

    Args:
        owner: The object; may be frozen, must allow weak references.
        name: The attribute.
        make: Makes the value in the child; must not refer to the owner.
    """
    key = id(owner)
    _renewals[key] = weakref.ref(owner, lambda _: _renewals.pop(key, None)), name, make


_renewals: dict[int, tuple[weakref.ref[Any], str, Callable[[], object]]] = {}


def _start_child() -> None:  # pragma: no cover  runs in forked children, which are not measured
    _lock.release()
    for instance in list(_instances):
        # Kept: finalizers could close or unregister what the parent process still uses.
        _inherited.append(instance.value)
        instance.value = None
    for reference, name, make in list(_renewals.values()):
        if (owner := reference()) is not None:
            object.__setattr__(owner, name, make())


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_start_child)
