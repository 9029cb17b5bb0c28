"""The delivery of callbacks: each is repeated in WeChat Pay's intervals until it is acknowledged."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, TransportError
from wechatpay.sandbox.events import find
from wechatpay.sandbox.faults import Probe
from wechatpay.sandbox.posting import Delivered, check, leads_here
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import number as digits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from wechatpay.sandbox.callbacks import Details, Notifier

__all__ = ["Attempt", "Deliveries", "Disturbance", "Task", "intervals"]

#: Seconds between the attempts; https://pay.weixin.qq.com/doc/v3/merchant/4012791861
_INTERVALS = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)

_SHORT = (15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600)

#: Those of events that begin otherwise.
_OTHER_INTERVALS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("MCHTRANSFER.",), (15,) * 10 + (300,) * 10 + (1800,) * 44),
    (("PAPAY.TERMINATE", "WEBIZPAY.", "v2/combined", "combined-"), _SHORT),
    (("COUPON.", "PRODUCT_COUPON", "MEMBERCARD.", "BRAND_MEMBER_CARD"), (60,) * 8),
    (("PAYSCORE.USER_SIGN_PLAN", "PAYSCORE.USER_CANCEL_SIGN_PLAN"), (60,) * 8),
    (("ENTRUST.SIGNING", "ENTRUST.RELEASE"), (1,) + (60,) * 10 + (300,) * 10),
    (("ECOMMERCE_ENTRUST.", "v2/contract", "pap-contract"), (10,) * 3 + (30,) * 3 + (300,) * 23),
)

#: Deliveries and attempts kept.
_KEPT = 1000

#: Characters of a reply that are kept.
_REPLY_KEPT = 1000

#: Seconds to wait for a callback that another thread delivers.
_OTHERS_TIMEOUT = 1.0

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
        id: The event's id, the same in all attempts.
        reply: The body of the reply.
        is_probe: Whether it was WeChat Pay's test of the verification, which must be refused.
    """

    event: str
    url: str
    at: float
    number: int
    status: int
    is_acknowledged: bool
    id: str = ""
    reply: str = ""
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens to callbacks on their way.

    Attributes:
        duplicates: How often a callback is delivered again although it was acknowledged.
        delay: Seconds until the first attempt, in the sandbox's clock.
        jitter: Up to so many seconds more, different for each callback: they arrive in another order.
        has_probes: Whether each callback of APIv3 is preceded by WeChat Pay's probe: it has a wrong signature
            that begins ``WECHATPAY/SIGNTEST/``, and must be refused.
    """

    duplicates: int = 0
    delay: float = 0.0
    jitter: float = 0.0
    has_probes: bool = False


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
        repeats: How often it is delivered again after it was acknowledged.
        has_probe: Whether a probe comes first.
    """

    event: str
    url: str
    resource: Mapping[str, Any]
    details: Details
    attempts: int = 0
    due: float = 0.0
    repeats: int = 0
    has_probe: bool = False


def intervals(event: str) -> tuple[int, ...]:
    """Return the seconds between the attempts to deliver an event."""
    matching = (seconds for prefixes, seconds in _OTHER_INTERVALS if event.startswith(prefixes))
    return next(matching, _INTERVALS)


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
        # The last ones, by the event's id.
        self._sent: Table[str, Task] = Table()
        self.disturbance = Disturbance()
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
        details: Details = {"id": f"EV-{secrets.token_hex(12)}", **task.details}
        wanted, jitter = self.disturbance, int(digits(details["id"], 6)) / 10**6
        event = find(task.event)
        task = replace(
            task,
            details=details,
            due=self._clock() + wanted.delay + wanted.jitter * jitter,
            repeats=wanted.duplicates,
            has_probe=wanted.has_probes and not (event and event.is_v2),
        )
        with self._transaction(), self._changed:
            number = max(self._waiting, default=0) + 1
            self._waiting[number] = task
            self._in_progress.add(number)
            self._sent[details["id"]] = task
            if len(self._sent) > _KEPT:
                del self._sent[next(iter(self._sent))]
        return number

    def deliver(self, number: int) -> Delivered | None:
        """Deliver a reserved callback now, unless it is delayed, and repeat it unless it is acknowledged."""
        with self._changed:
            if self._waiting[number].due > self._clock():
                self._in_progress.discard(number)
                return None
        return self._attempt(number)

    def resend(self, event_id: str) -> Delivered | None:
        """Deliver one of the last callbacks again, now and once.

        Raises:
            ConfigurationError: There was no such event.
        """
        task = self._find_sent(event_id)
        delivered, attempt = self._post(replace(task, due=self._clock()), 1, task.details)
        with self._changed:
            self.attempts.append(attempt)
        if delivered is not None:
            self.record(delivered)
        return delivered

    def resend_later(self, event_id: str) -> None:
        """Deliver one of the last callbacks again, in the background, until it is acknowledged.

        Raises:
            ConfigurationError: There was no such event.
        """
        self.add(self._find_sent(event_id))

    def _find_sent(self, event_id: str) -> Task:
        with self._changed:
            task = self._sent.get(event_id)
        if task is None:
            raise ConfigurationError(f"event_id: {event_id!r:.80} is unknown; take it from `attempts`")
        return task

    @property
    def waiting(self) -> list[Task]:
        """The callbacks that wait for an attempt, or for the reply to one."""
        with self._changed:
            return list(self._waiting.values())

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

    def finish_due(self) -> None:
        """Deliver every due callback, and wait for those that another thread is delivering.

        Whoever is called may call this; it waits a second at most then.
        """
        while True:
            self.deliver_due()
            with self._changed:
                if not self._in_progress or not self._changed.wait(_OTHERS_TIMEOUT):
                    return

    def reset(self) -> None:
        """Forget what was delivered."""
        with self._changed:
            self.delivered.clear()
            self.attempts.clear()
            self._unseen.clear()
        self.disturbance = Disturbance()

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
        except ConfigurationError as error:
            # Examples name a shop elsewhere; whoever names this machine expects a callback.
            level = logging.WARNING if leads_here(task.url) else logging.INFO
            _log.log(level, "%s: notify_url is not called: %s", task.event, error)
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
        task = self._waiting[number]
        count, made = task.attempts + 1, []
        if task.has_probe:
            _, probe = self._post(task, count, {**task.details, "fault": Probe()})
            made.append(replace(probe, is_probe=True, is_acknowledged=False))
        delivered, attempt = self._post(task, count, task.details)
        with self._transaction(), self._changed:
            self.attempts += [*made, attempt]
            again = self._next(task, attempt)
            if again is None:
                self._waiting.pop(number, None)
            elif number in self._waiting:
                self._waiting[number] = again
            self._in_progress.discard(number)
            self._is_woken = True
            self._changed.notify_all()
        if delivered is not None:
            self.record(delivered)
        return delivered

    def _post(self, task: Task, count: int, details: Details) -> tuple[Delivered | None, Attempt]:
        delivered: Delivered | None = None
        try:
            with self._posting:
                delivered = self._notifier.deliver(task.url, task.event, task.resource, 1, details)
        except TransportError as error:
            # Whatever happened was committed; only the callback is missing.
            _log.warning("%s: attempt %d was not delivered: %s", task.event, count, error)
        else:
            _log.info("%s: attempt %d → %s", task.event, count, delivered.status)
        attempt = Attempt(
            task.event,
            task.url,
            task.due,
            count,
            delivered.status if delivered else 0,
            delivered is not None and delivered.is_acknowledged,
            details["id"],
            delivered.body.decode("utf-8", "replace")[:_REPLY_KEPT] if delivered else "",
        )
        return delivered, attempt

    def _next(self, task: Task, attempt: Attempt) -> Task | None:
        """Return the callback as it waits for its next attempt; ``None`` if there is none."""
        if attempt.is_acknowledged:
            if not task.repeats:
                return None
            due = task.due + _INTERVALS[0]
            return replace(task, attempts=attempt.number, due=due, repeats=task.repeats - 1, has_probe=False)
        waits = intervals(task.event)
        if attempt.number > len(waits):
            return None
        due = task.due + waits[attempt.number - 1]
        return replace(task, attempts=attempt.number, due=due, has_probe=False)
