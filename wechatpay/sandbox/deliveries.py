"""The delivery of callbacks: each is repeated in WeChat Pay's intervals until it is acknowledged."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, TransportError
from wechatpay.sandbox.callbacks import Delivered, check
from wechatpay.sandbox.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from wechatpay.sandbox.callbacks import Details, Notifier

__all__ = ["Attempt", "Deliveries", "Task"]

#: Seconds between the attempts; https://pay.weixin.qq.com/doc/v3/merchant/4012791861
INTERVALS = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)

#: Deliveries and attempts kept.
_KEPT = 1000

#: Seconds between two looks at the clock while callbacks wait.
_POLL_INTERVAL = 0.2

_log = logging.getLogger("wechatpay.sandbox")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver a callback.

    Attributes:
        event: The name of the event.
        url: Where it was sent.
        at: Unix seconds, in the sandbox's clock.
        number: 1 for the first attempt.
        status: HTTP status of the reply; 0 without one.
        is_acknowledged: Whether it needs no further attempt.
    """

    event: str
    url: str
    at: float
    number: int
    status: int
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A callback to deliver.

    Attributes:
        event: The name of the event.
        url: Where to send it.
        resource: Its resource.
        details: Its other members; the id stays the same in all attempts.
        attempts: How many were made.
        due: Unix seconds of the next one.
    """

    event: str
    url: str
    resource: Mapping[str, Any]
    details: Details
    attempts: int = 0
    due: float = 0.0


class Deliveries:
    """Callbacks that wait, and those that were delivered; thread-safe."""

    def __init__(
        self,
        notifier: Notifier,
        clock: Callable[[], float],
        settle: Callable[[], bool],
        transaction: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Prepare.

        Args:
            notifier: Makes and sends callbacks.
            clock: Returns Unix seconds.
            settle: Lets the refunds arrive that are due, adds their callbacks, and returns whether others
                wait.
            transaction: Begins a transaction of the store. None is open while a callback is posted: whoever
                receives it may call the sandbox.
        """
        self._notifier = notifier
        self._clock = clock
        self._settle = settle
        self._transaction = transaction
        self._changed = threading.Condition()
        self._posting = threading.Lock()
        # A callback stays here until it is acknowledged or given up, also while it is posted.
        self._waiting: Table[int, Task] = Table()
        self._in_progress: set[int] = set()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._is_woken = False
        self.delivered: deque[Delivered] = deque(maxlen=_KEPT)
        self.attempts: deque[Attempt] = deque(maxlen=_KEPT)
        self._unseen: list[Delivered] = []

    def add(self, task: Task) -> bool:
        """Deliver a callback soon, if its URL leads to this machine."""
        number = self.reserve(task)
        if number is None:
            return False
        with self._changed:
            self._in_progress.discard(number)
            self._is_woken = True
            self._changed.notify_all()
        return True

    def reserve(self, task: Task) -> int | None:
        """Keep a callback for `deliver`, and return its number; ``None`` if its URL is on another machine."""
        if not self._is_deliverable(task):
            return None
        with self._transaction(), self._changed:
            number = max(self._waiting, default=0) + 1
            self._waiting[number] = replace(task, due=self._clock())
            self._in_progress.add(number)
        return number

    def deliver(self, number: int) -> Delivered | None:
        """Deliver a reserved callback now, and repeat it later unless it is acknowledged."""
        return self._attempt(number)

    def record(self, delivered: Delivered) -> None:
        """Keep a delivery."""
        with self._changed:
            self.delivered.append(delivered)
            self._unseen.append(delivered)
            del self._unseen[:-_KEPT]
            self._changed.notify_all()

    def expect(self, event: str, timeout: float) -> Delivered | None:
        """Return the next delivery of an event that was not returned before; ``None`` after the timeout."""

        def is_there() -> bool:
            return any(delivered.event == event for delivered in self._unseen)

        with self._changed:
            if not self._changed.wait_for(is_there, timeout):
                return None
            found = next(delivered for delivered in self._unseen if delivered.event == event)
            self._unseen.remove(found)
            return found

    def deliver_due(self) -> bool:
        """Deliver every due callback, repetitions included, and return whether others wait."""
        is_waiting = self._settle()
        while (number := self._take()) is not None:
            self._attempt(number)
            is_waiting = self._settle()
        return is_waiting or bool(self._waiting)

    def reset(self) -> None:
        """Forget what was delivered."""
        with self._changed:
            self.delivered.clear()
            self.attempts.clear()
            self._unseen.clear()

    def start(self) -> None:
        """Deliver callbacks in a thread, as they become due."""
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="wechatpay-sandbox-callbacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a callback in progress is waited for."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Look for due callbacks at once."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_stopping:
            is_waiting = self.deliver_due()
            with self._changed:
                if not (self._is_stopping or self._is_woken):
                    self._changed.wait(_POLL_INTERVAL if is_waiting else None)
                self._is_woken = False

    def _is_deliverable(self, task: Task) -> bool:
        try:
            check(task.url)
        except ConfigurationError:
            _log.info("%s: notify_url is not on this machine, and not called", task.event)
            return False
        return True

    def _take(self) -> int | None:
        """Return the number of the callback that is due first; it is in progress from now on."""
        with self._changed:
            now = self._clock()
            waiting = self._waiting.items()
            due = [(t.due, n) for n, t in waiting if t.due <= now and n not in self._in_progress]
            if self._is_stopping or not due:
                return None
            number = min(due)[1]
            self._in_progress.add(number)
            return number

    def _attempt(self, number: int) -> Delivered | None:
        task, delivered = self._waiting[number], None
        attempt = task.attempts + 1
        try:
            with self._posting:
                delivered = self._notifier.deliver(task.url, task.event, task.resource, 1, task.details)
        except TransportError as error:
            # Whatever happened was committed; only the callback is missing.
            _log.warning("%s: attempt %d was not delivered: %s", task.event, attempt, error)
            status, is_acknowledged = 0, False
        else:
            status, is_acknowledged = delivered.status, delivered.is_acknowledged
            _log.info("%s: attempt %d → %s", task.event, attempt, status)
        with self._transaction(), self._changed:
            self.attempts.append(Attempt(task.event, task.url, task.due, attempt, status, is_acknowledged))
            if is_acknowledged or attempt > len(INTERVALS):
                self._waiting.pop(number, None)
            elif number in self._waiting:
                again = task.due + INTERVALS[attempt - 1]
                self._waiting[number] = replace(task, attempts=attempt, due=again)
            self._in_progress.discard(number)
            self._is_woken = True
            self._changed.notify_all()
        if delivered is not None:
            self.record(delivered)
        return delivered
