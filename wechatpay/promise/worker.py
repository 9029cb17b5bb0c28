"""One daemon thread running one event loop, in the process that started it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import math
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.promise.background import OwnThread
from wechatpay.promise.executor import Executor

if TYPE_CHECKING:
    from wechatpay.promise.background import Launch

__all__ = ["Worker"]

_log = logging.getLogger("wechatpay")

_GRACE = 5.0
"""Seconds that cancelled work and open sessions get to clean up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A piece of work in flight; ``deadline`` is on the monotonic clock, ``inf`` for never."""

    name: str
    deadline: float


class Worker:
    """A thread, its loop, and the count of what is in flight on it.

    It knows nothing of its owner, so that an owner nobody uses any more can be
    collected and take the thread with it.

    Raises:
        RuntimeError: No thread can be started, because the interpreter is exiting.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._jobs: set[_Job] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._executor = Executor(thread_name_prefix="wechatpay-executor")
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(self._executor)
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._thread = OwnThread(target=self._serve, name="wechatpay", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise
        atexit.register(self._drain)

    def submit(self, launch: Launch, name: str, timeout: float | None) -> bool:
        """Call ``launch`` with the loop, on its thread, and count the task it returns.

        Args:
            launch: Makes the task; may return ``None`` when there is nothing left to do.
            name: What to call the work if it has to be left behind.
            timeout: Seconds the work may take; ``None`` for no limit.

        Returns:
            Whether it was taken on; a worker that is closing takes on what its own
            callbacks start, and nothing else.
        """
        job = _Job(name, math.inf if timeout is None else time.monotonic() + timeout)
        with self._changed:
            if self._closing and not self.is_inside():
                return False
            self._jobs.add(job)
        self._loop.call_soon_threadsafe(self._launch, job, launch)
        return True

    def is_inside(self) -> bool:
        """Tell whether the caller is on the loop's own thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Stop once what is in flight has ended, or has had its time.

        Called by a callback on the loop itself, it returns at once and the loop stops
        when it runs out of work.
        """
        with self._changed:
            self._closing = True
            if not self._jobs:
                self.release()
        if not self.is_inside():
            self._stop()

    def release(self) -> None:
        """End the loop without waiting, cancelling what is in flight."""
        if self._pid == os.getpid():
            # A loop that is closed already has nothing to end.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._finish)

    def _stop(self) -> None:
        """Wait for the work, name what is left of it, end the loop."""
        try:
            self._outwait()
        finally:
            if left := sorted(job.name for job in list(self._jobs)):
                _log.warning(
                    "stopping with %d call(s) unanswered: %s; what became of them is unknown: "
                    "query before you repeat",
                    len(left),
                    ", ".join(left),
                )
            self.release()
            self._thread.join(_GRACE)

    def _outwait(self) -> None:
        """Wait until nothing is in flight or all of it is overdue."""
        with self._changed:
            while self._jobs:
                patience = max(job.deadline for job in self._jobs) - time.monotonic()
                if patience <= 0:
                    break
                self._changed.wait(min(patience, threading.TIMEOUT_MAX))

    def _drain(self) -> None:
        """Close at exit; a second Ctrl-C ends the waiting."""
        if self._pid == os.getpid():
            with contextlib.suppress(KeyboardInterrupt):
                self.close()

    def _launch(self, job: _Job, launch: Launch) -> None:
        task = launch(self._loop)
        if task is None:
            self._conclude(job)
        else:
            task.add_done_callback(lambda _: self._conclude(job))

    def _conclude(self, job: _Job) -> None:
        with self._changed:
            self._jobs.discard(job)
            self._changed.notify_all()
            if self._closing and not self._jobs:
                self.release()

    def _finish(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def _serve(self) -> None:
        """Run the loop until the end, then clear up."""
        try:
            while not self._end.done():
                # A callback that calls sys.exit() fails its own promise, not everybody's.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    self._loop.run_until_complete(self._end)
            self._clear_up()
        finally:
            self._executor.shutdown()
            self._loop.close()
            if threading.main_thread().is_alive():
                atexit.unregister(self._drain)

    def _clear_up(self) -> None:
        """Cancel what still runs, callbacks of what was cancelled too, and close generators."""
        while tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
