"""Where promises run: a loop of the caller's, or a lazy thread with a loop of our own."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    from wechatpay.promise.worker import Worker

    Launch = Callable[[AbstractEventLoop], Task[Any] | None]

__all__ = ["Background", "CallerLoop", "Home", "OwnThread", "here", "running_loop"]

_log = logging.getLogger("wechatpay")


def running_loop() -> AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or ``None``, without loading asyncio."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio  # noqa: PLC0415 - it waits for a thread that is still importing it

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Home(Protocol):
    """A place where promises run."""

    def submit(self, launch: Launch, *, name: str, timeout: float | None) -> None:
        """Call ``launch`` with the loop, on the loop's thread.

        Raises:
            RuntimeError: Nothing can run there any more.
        """

    def is_running(self) -> bool:
        """Tell whether what was submitted makes progress."""

    def is_here(self) -> bool:
        """Tell whether whoever awaits in the running loop may run what was submitted and has not begun."""

    def report(self, message: str, error: BaseException) -> None:
        """Make an error known that nobody took."""


class OwnThread(threading.Thread):
    """A thread whose loop is a background's: what a callback begins there is waited for at exit, too."""


class CallerLoop:
    """An event loop of the caller's.

    Args:
        loop: The loop.
        background: Keeps the tasks alive, for loops hold theirs by weak references only.
    """

    __slots__ = ("_background", "_loop")

    def __init__(self, loop: AbstractEventLoop, background: Background) -> None:
        self._loop = loop
        self._background = background

    def submit(self, launch: Launch, *, name: str, timeout: float | None) -> None:  # noqa: ARG002 - the caller's loop ends when the caller says so
        """Call ``launch`` at once inside the loop, soon from elsewhere, or when nothing else is under way.

        Many calls are quickest when each step is taken for all of them in turn; one alone is, when whoever
        awaits it next takes all its steps.

        Raises:
            RuntimeError: The loop is closed.
        """
        if not self.is_here():
            self._loop.call_soon_threadsafe(self._launch, launch)
        elif self._background.is_idle(self._loop):
            self._loop.call_soon(self._launch, launch)
        else:
            self._launch(launch)

    def is_running(self) -> bool:
        """Tell whether the loop runs."""
        return self._loop.is_running()

    def is_here(self) -> bool:
        """Tell whether it is the running loop."""
        return running_loop() is self._loop

    def report(self, message: str, error: BaseException) -> None:
        """Hand the error to the loop's exception handler."""
        self._loop.call_exception_handler({"message": message, "exception": error})

    def _launch(self, launch: Launch) -> None:
        task = launch(self._loop)
        if task is not None:
            self._background.hold(self._loop, task)
            task.add_done_callback(partial(self._background.let_go, self._loop))


class Background:
    """One daemon thread with an event loop, started when it is first needed.

    A forked child starts its own. At exit, and in ``close``, what is in flight is
    waited for up to its timeouts; what is left is then named on the ``wechatpay``
    logger and cancelled. A background that is collected takes its thread with it.
    """

    __slots__ = ("__weakref__", "_held", "_locks", "_workers")

    def __init__(self) -> None:
        self._held: dict[AbstractEventLoop, set[object]] = {}
        # Keyed by process: a lock or a worker inherited through a fork may be stuck for ever.
        self._locks: dict[int, threading.RLock] = {}
        self._workers: dict[int, Worker] = {}
        weakref.finalize(self, _release, self._workers).atexit = False

    def submit(self, launch: Launch, *, name: str, timeout: float | None) -> None:
        """Call ``launch`` with the loop, on its thread, and wait for its task before stopping.

        Args:
            launch: Makes the task; may return ``None`` when there is nothing left to do.
            name: What to call the work if it has to be left behind.
            timeout: Seconds the work may take; ``None`` for no limit.

        Raises:
            RuntimeError: No thread can be started, because the interpreter is exiting.
        """
        pid = os.getpid()
        with self._locks.setdefault(pid, threading.RLock()):
            worker = self._workers.get(pid)
            if worker is None or not worker.submit(launch, name, timeout):
                from wechatpay.promise.worker import Worker  # noqa: PLC0415 - it loads asyncio

                worker = self._workers[pid] = Worker()
                worker.submit(launch, name, timeout)

    def is_running(self) -> bool:
        """Tell whether what was submitted makes progress: it always does."""
        return True

    def is_here(self) -> bool:
        """Leave its work to its own thread, which the interpreter's exit waits for."""
        return False

    def report(self, message: str, error: BaseException) -> None:
        """Log the error."""
        _log.error(message, exc_info=error)

    def hold(self, loop: AbstractEventLoop, what: object) -> None:
        """Keep what is under way in a caller's loop from being collected before it is done."""
        held = self._held.get(loop)
        if held is None:
            for closed in [known for known in list(self._held) if known.is_closed()]:
                self._held.pop(closed, None)
            held = self._held.setdefault(loop, set())
        held.add(what)

    def let_go(self, loop: AbstractEventLoop, what: object) -> None:
        """Keep it no more."""
        held = self._held.get(loop, set())
        held.discard(what)
        if not held:
            self._held.pop(loop, None)

    def is_idle(self, loop: AbstractEventLoop) -> bool:
        """Tell whether nothing is under way in a caller's loop."""
        return loop not in self._held

    def close(self) -> None:
        """Stop the thread after what is in flight; the next use starts another.

        Called by a callback on that thread, it returns at once and the thread stops
        when it runs out of work.
        """
        worker = self._workers.get(os.getpid())
        if worker is not None:
            worker.close()

    async def aclose(self) -> None:
        """Do what ``close`` does without blocking the running loop."""
        worker = self._workers.get(os.getpid())
        if worker is None:
            return
        if worker.is_inside():
            worker.close()
            return
        import asyncio  # noqa: PLC0415 - a loop runs, so it is loaded

        await asyncio.to_thread(worker.close)


def here(background: Background) -> Home:
    """Return the caller's running loop as a home, or the background where none runs."""
    loop = running_loop()
    if loop is None or isinstance(threading.current_thread(), OwnThread):
        return background
    return CallerLoop(loop, background)


def _release(workers: dict[int, Worker]) -> None:
    for worker in workers.values():
        worker.release()
