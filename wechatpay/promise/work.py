"""What a promise stands for: some work, where it runs, what it waits for, how it ends."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from wechatpay.errors import InvalidRequestError, NoResponseError, ReadTimeoutError
from wechatpay.promise.background import here, running_loop
from wechatpay.promise.outcome import Outcome, cancelled, fulfilled, rejected
from wechatpay.promise.steps import ended, run

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Callable, Generator, Iterator
    from contextvars import Context

    from wechatpay.promise.background import Background, Home
    from wechatpay.promise.outcome import Settlement

    Callback = Callable[[Any], Any] | None

__all__ = ["Work"]


class Work:
    """A call, or a callback, from before it begins until its outcome is known.

    Work belongs to its promises and to the loop that runs it; when both have let go of
    it and nobody took its error, it reports it.

    Args:
        background: Where to run when no loop does.
        home: Where to run otherwise.
        name: What to call it when it fails unseen or is left behind.
        timeout: Seconds it may take; ``None`` for no limit.
        parents: What it waits for before it can begin; nothing once it has.
    """

    __slots__ = (
        "_cancels",
        "_home",
        "_host",
        "_loop",
        "_plan",
        "_task",
        "background",
        "name",
        "outcome",
        "parents",
        "timeout",
    )

    _loop: AbstractEventLoop  # from the moment it is launched

    def __init__(
        self,
        background: Background,
        home: Home,
        name: str,
        timeout: float | None,
        parents: tuple[Work, ...] = (),
    ) -> None:
        self.background = background
        self.name = name
        self.timeout = timeout
        self.outcome = Outcome()
        self._home = home
        self.parents = parents
        self._plan: tuple[Callable[[], Any], Context] | None = None
        self._task: Task[Any] | None = None
        self._host: Task[Any] | None = None
        self._cancels = 0

    def __del__(self) -> None:
        error = self.outcome.unseen()
        if error is not None:
            advice = "await its promise, wait() for it, or add otherwise()"
            self._home.report(f"{self.name} failed and nobody took the error: {advice}", error)

    def begin(self, call: Callable[[], Any], context: Context) -> None:
        """Run ``call`` and what it returns at home, or here when home's loop has stopped."""
        kind = NoResponseError if self.parents else InvalidRequestError
        self.parents = ()
        if not self._home.is_running():
            self._home = here(self.background)
        self._plan = call, context
        try:
            self._home.submit(self._launch, name=self.name, timeout=self.timeout)
        except RuntimeError as error:
            self.settle(rejected(kind(f"{self.name} cannot run any more: {error}")))

    def derive(self, ok: Callback, fail: Callback, context: Context) -> Work:
        """Make the work that begins with this one's outcome."""
        child = Work(self.background, self._home, self.name, self.timeout, (self,))
        self.outcome.listen(partial(child._follow, self, ok, fail, context))
        return child

    def gather(self) -> None:
        """Settle with the values of all parents, or with the first error."""
        parents = self.parents
        if not parents:
            self.settle(fulfilled([]))
        awaited = list(parents)
        for parent in parents:
            parent.outcome.listen(partial(self._count_in, parent, parents, awaited))

    def settle(self, settlement: Settlement, *, unless_begun: bool = False) -> bool:
        """End it, and tell whether that was news."""
        news = self.outcome.settle(settlement, unless_begun=unless_begun)
        if news:
            self.parents = ()
        return news

    def cancel(self) -> bool:
        """Cancel it and leave its parents alone; tell whether there was something to cancel."""
        if self.outcome.get() is not None:
            return False
        if not self.settle(cancelled(), unless_begun=True):
            self._interrupt()
        return True

    def block(self, timeout: float | None) -> None:
        """Wait on this thread; whatever interrupts the waiting cancels the work and its parents.

        Raises:
            NoResponseError: The outcome can never come.
            ReadTimeoutError: ``timeout`` seconds have passed.
        """
        if self.outcome.get() is not None:
            return
        self._check_progress()
        arrived = threading.Event()
        try:
            with self.outcome.listening(arrived.set):
                in_time = arrived.wait(timeout)
        except BaseException:
            for work in list(self._lineage()):
                work.cancel()
            raise
        if not in_time:
            raise ReadTimeoutError(
                f"no outcome within {timeout} s, and the work goes on: wait() again, or cancel()"
            )

    def arrival(self) -> Generator[Any, None, None]:
        """Wait in the running loop; being cancelled meanwhile cancels the work.

        Raises:
            NoResponseError: The outcome can never come.
        """
        import asyncio  # noqa: PLC0415 - too heavy for those who never await

        try:
            current = asyncio.current_task()
            if current is not None and self._plan is not None and self._home.is_here():
                yield from self._run_within(current)
            while self.outcome.get() is None:
                if current is not None and current in (self._task, self._host):
                    raise NoResponseError(
                        "this work waits for itself: return another promise from the callback"
                    )
                task = self._task
                if task is not None and task.get_loop() is asyncio.get_running_loop():
                    yield from self._task_done(task)
                    continue
                self._check_progress()
                waiter = asyncio.get_running_loop().create_future()
                try:
                    with self.outcome.listening(partial(_wake, waiter)):
                        yield from waiter
                except asyncio.CancelledError:
                    # A task that waits for a task is cancelled only once that one is.
                    if not self.cancel():
                        raise
        finally:
            # The traceback of an error leads back to this frame: with `self` in it, a cycle.
            del self

    def _task_done(self, task: Task[Any]) -> Generator[Any, None, None]:
        """Wait for the task as asyncio does: being cancelled meanwhile cancels it."""
        try:
            yield from task
        except BaseException as error:  # its own, which the outcome has, or what the awaiting task was thrown
            if not task.done() or (not task.cancelled() and task.exception() is not error):
                raise
        self._finish(task)

    def is_stuck(self) -> bool:
        """Tell whether it has a loop that does not run, and no outcome from the time it did."""
        return not self.parents and not self._home.is_running() and self.outcome.get() is None

    def _begun(self, loop: AbstractEventLoop) -> tuple[Callable[[], Any], Context] | None:
        """Begin, and tell what is to be done: nothing, if it was begun, or is settled, already."""
        plan, self._plan = self._plan, None
        if plan is None or not self.outcome.begin():
            return None
        self._loop = loop
        return plan

    def _launch(self, loop: AbstractEventLoop) -> Task[Any] | None:
        """Run it as a task of its own."""
        if (plan := self._begun(loop)) is None:
            return None
        call, context = plan
        self._task = task = context.run(loop.create_task, run(call))
        task.add_done_callback(self._finish)
        return task

    def _run_within(self, task: Task[Any]) -> Generator[Any, Any, None]:
        """Run it within the task that awaits it: making another, and waiting for that, takes longer."""
        if (plan := self._begun(task.get_loop())) is None:
            return
        call, context = plan
        self._host = task
        self.background.hold(self._loop, self)
        settlement = None
        try:
            settlement = yield from ended(run(call), context)
        finally:
            self._host = None
            self.background.let_go(self._loop, self)
            self.settle(settlement or cancelled())
            for _ in range(self._cancels):
                # It was this work that was to end, not the task.
                task.uncancel()
            # The traceback of an error leads back to this frame: with these in it, a cycle.
            del self, settlement

    def _finish(self, task: Task[Any]) -> None:
        if self._task is None:
            return
        self._task = None
        if task.cancelled():
            self.settle(cancelled())
        elif error := task.exception():
            self.settle(rejected(error))
        else:
            self.settle(fulfilled(task.result()))

    def _follow(self, parent: Work, ok: Callback, fail: Callback, context: Context) -> None:
        """Go on from the parent's outcome; when cancelled already, leave its error to others."""
        if self.outcome.get() is not None:
            return
        settlement = parent.outcome.seen()
        failed = settlement.error is not None
        callback, given = (fail, settlement.error) if failed else (ok, settlement.value)
        if callback is None:
            self.settle(settlement)
        else:
            self.begin(partial(callback, given), context)

    def _count_in(self, parent: Work, parents: tuple[Work, ...], awaited: list[Work]) -> None:
        """Count one parent in; an error that does not come first is left to others."""
        settlement = parent.outcome.get()
        if settlement is not None and settlement.error is not None:
            if self.settle(settlement):
                parent.outcome.seen()
            return
        awaited.pop()
        if not awaited:
            self.settle(fulfilled([each.outcome.seen().value for each in parents]))

    def _interrupt(self) -> None:
        """Cancel the task, on the thread of its loop."""
        if running_loop() is self._loop:
            self._cancel_task()
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel_task)
        if not self._loop.is_running():
            self.settle(cancelled())

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif self._host is not None and self._host is _current_task():
            # A task that is cancelled between two awaits would be hit by it after this work.
            self._loop.call_soon(self._cancel_task)
        elif self._host is not None:
            self._cancels += self._host.cancel()

    def _check_progress(self) -> None:
        for work in self._lineage():
            if work.is_stuck():
                raise NoResponseError(
                    f"the event loop of {work.name} has stopped before it ended, so that waiting for it "
                    "would take for ever: await it before its loop ends"
                )

    def _lineage(self) -> Iterator[Work]:
        """Yield this work and what it waits for, as far as it is pending."""
        known: set[Work] = set()
        found = [self]
        while found:
            work = found.pop()
            if work not in known and work.outcome.get() is None:
                known.add(work)
                found.extend(work.parents)
                yield work


def _current_task() -> Task[Any] | None:
    from asyncio import current_task  # noqa: PLC0415 - a task runs, so it is loaded

    return current_task()


def _wake(waiter: Future[None]) -> None:
    """Let go who waits, from whatever thread; a loop that is closed waits no more."""
    loop = waiter.get_loop()
    if running_loop() is loop:
        _release(waiter)
    else:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_release, waiter)


def _release(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
