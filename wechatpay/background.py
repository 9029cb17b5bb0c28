"""Where asynchronous calls run if the caller has no event loop: a daemon thread with an event loop."""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wechatpay.process import CURRENT_JOB, PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

__all__ = [
    "STEP_TIMEOUT",
    "Background",
    "Executor",
    "Job",
    "call_soon",
    "current_worker",
    "resolve_future",
    "wait_to_the_end",
]

R = TypeVar("R")

_log = logging.getLogger("wechatpay")

STEP_TIMEOUT: Final = 30.0
"""Seconds that a callback, or a function on a thread, gets to finish when the process ends."""

_GRACE_PERIOD: Final = 5.0
"""Seconds that cancelled tasks get to clean up."""


class Job:
    """A call in flight on a background's thread.

    Args:
        name: Names the call in reports.
        timeout: Upper bound of the duration of its first step, in seconds.
        context: Where the call runs: its later steps extend the deadline.
    """

    __slots__ = ("deadline", "name")

    def __init__(self, name: str, timeout: float, context: Context) -> None:
        self.name = name
        self.deadline = time.monotonic() + timeout
        context.run(CURRENT_JOB.set, self)

    def extend(self, seconds: float | None) -> None:
        """Let the end of the process wait for the step that begins now.

        Args:
            seconds: Upper bound of the step's duration; ``None``: no limit.
        """
        self.deadline = max(self.deadline, math.inf if seconds is None else time.monotonic() + seconds)


class Background:
    """Runs calls on one daemon thread, started when it is first needed.

    A forked child starts its own. At exit, and in ``close``, calls in flight are waited for up to their
    timeouts; what is left is then named in a warning on the logger ``wechatpay`` and cancelled.

    Attributes:
        tasks: All tasks in flight, on callers' event loops, too: event loops refer to tasks weakly.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._worker = PerProcess(Worker)
        weakref.finalize(self, _release, self._worker).atexit = False

    def submit(self, job: Job, launch: Callable[[Callable[[], None]], None]) -> Worker:
        """Call ``launch`` on the thread with a function that concludes the job; until then the thread runs.

        Raises:
            RuntimeError: No thread can be started.
            OSError: No file descriptors are left for an event loop.
        """
        worker = current_worker() or self._worker.get()
        while not worker.submit(job, launch):
            self._worker.discard(worker)
            worker = self._worker.get()
        return worker

    def close(self) -> None:
        """Stop the thread after the calls in flight; a later call starts another.

        In a callback on that thread it returns at once, and the thread stops after its last call.
        """
        if worker := self._worker.value:
            worker.close()

    async def aclose(self) -> None:
        """Do what ``close`` does, without blocking the running event loop."""
        if current_worker():
            self.close()
        elif self._worker.value:
            await asyncio.to_thread(self.close)


class Worker(threading.Thread):
    """One daemon thread with an event loop, and its jobs.

    It does not refer to its background, so that a background which nobody uses can be collected.

    Raises:
        RuntimeError: No thread can be started.
        OSError: No file descriptors are left for an event loop.
    """

    def __init__(self) -> None:
        super().__init__(name="wechatpay", daemon=True)
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._executor = Executor(thread_name_prefix="wechatpay-executor")
        self.loop.set_default_executor(self._executor)
        self._end = self.loop.create_future()
        self._jobs: set[Job] = set()
        self._changed = threading.Condition()
        self._closing = False
        try:
            self.start()
        except RuntimeError:
            self.loop.close()
            raise
        atexit.register(self._close_at_exit)

    def submit(self, job: Job, launch: Callable[[Callable[[], None]], None]) -> bool:
        """Call ``launch`` on the thread; while closing, only jobs of its own callbacks are accepted."""
        with self._changed:
            if self._closing and threading.current_thread() is not self:
                return False
            try:
                self._jobs.add(job)
                # What ends the job runs on the thread: a signal may strike the caller at any line.
                self.loop.call_soon_threadsafe(launch, partial(self.conclude, job))
            except BaseException:
                self._jobs.discard(job)
                raise
        return True

    def conclude(self, job: Job) -> None:
        """Count ``job`` as ended."""
        with self._changed:
            self._jobs.discard(job)
            self._changed.notify_all()
            if self._closing and not self._jobs:
                self.release()

    def close(self) -> None:
        """Stop once no job is in flight, or each has exceeded its deadline."""
        with self._changed:
            self._closing = True
            if not self._jobs:
                self.release()
        if threading.current_thread() is self:
            return
        overdue = 0
        try:
            with self._changed:
                # Two looks: a call that waited for another may be about to extend its deadline.
                while self._jobs and overdue < 2:  # noqa: PLR2004
                    is_overdue = max(job.deadline for job in self._jobs) <= time.monotonic()
                    overdue = overdue + 1 if is_overdue else 0
                    self._changed.wait(0.1)
        finally:
            if names := sorted(job.name for job in list(self._jobs)):
                _log.warning(
                    "stopping with %d call(s) without a response: %s; their outcome is unknown: "
                    "query before you repeat them",
                    len(names),
                    ", ".join(names),
                )
            self.release()
            self.join(_GRACE_PERIOD)

    def release(self) -> None:
        """End the event loop without waiting, and cancel what is in flight."""
        call_soon(self.loop, resolve_future, self._end)

    def _close_at_exit(self) -> None:  # pragma: no cover  runs after the measurement
        """Close, unless this is a forked child; Ctrl-C ends the waiting."""
        if self.pid == os.getpid():
            with suppress(KeyboardInterrupt):
                self.close()

    def run(self) -> None:
        """Run the event loop until the end; then cancel what is left."""
        try:
            while not self._end.done():
                # A callback that calls sys.exit() fails its own promise only.
                with suppress(SystemExit, KeyboardInterrupt):
                    self.loop.run_until_complete(self._end)
            while tasks := asyncio.all_tasks(self.loop):
                for task in tasks:
                    task.cancel()
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self._executor.shutdown()
            self.loop.close()
            if threading.main_thread().is_alive():
                atexit.unregister(self._close_at_exit)


def _release(worker: PerProcess[Worker]) -> None:
    if owned := worker.value:
        owned.release()


def current_worker() -> Worker | None:
    """Return the worker whose thread this is."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Worker) and thread.pid == os.getpid() else None


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: Any) -> bool:
    """Call ``function`` on the event loop's thread; return whether the event loop is open."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return False
    return True


async def wait_to_the_end(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait until ``future`` is done, however often the running task is cancelled meanwhile.

    Returns:
        The first cancellation, which the caller raises once it has cleaned up; ``None`` without one.
    """
    cancellation = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancellation = cancellation or error
    return cancellation


def resolve_future(future: asyncio.Future[None]) -> None:
    """Resolve a future unless it is cancelled or resolved already."""
    if not future.done():
        future.set_result(None)


class Executor(ThreadPoolExecutor):
    """A thread pool that works until the process ends.

    Python starts no thread after the main thread has ended, but a call in flight may still need to look up a
    host name or to call a remote signer. Such functions run on the calling thread.
    """

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call ``fn`` on a thread, or at once if no more threads can be started."""
        if threading.main_thread().is_alive():
            return super().submit(fn, *args, **kwargs)
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  the future's consumer gets it
            future.set_exception(error)
        return future
