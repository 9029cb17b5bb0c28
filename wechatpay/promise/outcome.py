"""How some work ends: settled once, seen from any thread, event loop and forked process."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wechatpay.errors import NoResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["Outcome", "Settlement", "cancelled", "fulfilled", "rejected"]


class Settlement(NamedTuple):
    """A value or an error.

    Attributes:
        state: ``fulfilled``, ``rejected`` or ``cancelled``.
        value: The value, where there is one.
        error: The error; for a cancelled one ``asyncio.CancelledError``.
        traceback: The error's own, for the one it carries grows each time it is raised.
    """

    state: str
    value: Any = None
    error: BaseException | None = None
    traceback: TracebackType | None = None


class _Turns(threading.local):
    """Listeners waiting for their turn on this thread.

    One settlement brings about the next: taken by recursion, a chain of some hundred
    ``then`` would overflow the stack when its first link fails.
    """

    waiting: deque[Callable[[], object]] | None = None

    def take(self, listeners: list[Callable[[], object]]) -> None:
        """Call the listeners, and those that they give rise to, one after the other."""
        if self.waiting is not None:
            self.waiting.extend(listeners)
            return
        self.waiting = deque(listeners)
        try:
            while self.waiting:
                self.waiting.popleft()()
        finally:
            self.waiting = None


_turns = _Turns()


def fulfilled(value: object) -> Settlement:
    """Settle with a value."""
    return Settlement("fulfilled", value)


def rejected(error: BaseException) -> Settlement:
    """Settle with an error."""
    return Settlement("rejected", None, error, error.__traceback__)


def cancelled() -> Settlement:
    """Settle without either, for nobody wants it any more."""
    from asyncio import CancelledError  # noqa: PLC0415 - too heavy to load before there is something to cancel

    return Settlement("cancelled", None, CancelledError())


class Outcome:
    """A settlement that arrives once, and who waits for it.

    In a forked child whatever had not arrived has failed: the thread that would bring
    it, and any thread that held the lock, exist in the parent process only. That is why
    nothing here takes the lock before it has looked at the process id.
    """

    __slots__ = ("_begun", "_listeners", "_lock", "_pid", "_settlement", "_taken")

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], object]] = []
        self._settlement: Settlement | None = None
        self._begun = False
        self._taken = False

    def get(self) -> Settlement | None:
        """Return the settlement, or ``None`` while there is none."""
        if self._settlement is None and self._pid != os.getpid():
            self._lock, self._listeners = threading.Lock(), []
            self._settlement = rejected(
                NoResponseError(
                    "this promise was made before fork() and its work goes on in the parent process only: "
                    "what becomes of it is unknown here; begin calls after the fork"
                )
            )
            self._pid = os.getpid()
        return self._settlement

    def is_cancelled(self) -> bool:
        """Tell whether it has ended with neither value nor error."""
        return self._settlement is not None and self._settlement.state == "cancelled"

    def begin(self) -> bool:
        """Claim the right to bring it about; refused when another has it, or it is settled already."""
        with self._lock:
            if self._begun or self._settlement is not None:
                return False
            self._begun = True
            return True

    def settle(self, settlement: Settlement, *, unless_begun: bool = False) -> bool:
        """End it, and tell whether that was news."""
        with self._lock:
            if self._settlement is not None or (unless_begun and self._begun):
                return False
            self._settlement = settlement
            listeners, self._listeners = self._listeners, []
        if listeners:
            _turns.take(listeners)
        return True

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` when it is settled: on the thread that settles it, or now."""
        if self.get() is None:
            with self._lock:
                if self._settlement is None:
                    self._listeners.append(listener)
                    return
        listener()

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Listen for as long as the block runs."""
        self.listen(listener)
        try:
            yield
        finally:
            with self._lock, suppress(ValueError):
                self._listeners.remove(listener)

    def seen(self) -> Settlement:
        """Return the settlement, which must be there, to somebody who answers for its error."""
        self._taken = True
        return cast("Settlement", self._settlement)

    def unseen(self) -> BaseException | None:
        """Return the error that nobody took in the process where it came up."""
        settlement = self._settlement
        if settlement is None or settlement.state != "rejected" or self._taken or self._pid != os.getpid():
            return None
        return settlement.error

    def take(self) -> Any:
        """Return the value or raise the error."""
        settlement = self.seen()
        try:
            if settlement.error is not None:
                raise settlement.error.with_traceback(settlement.traceback)
            return settlement.value
        finally:
            # The error's traceback holds this frame: with these in it, a cycle.
            del self, settlement
