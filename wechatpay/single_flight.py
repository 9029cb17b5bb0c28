"""Waiting for work that another call is doing already, instead of doing it twice."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future

__all__ = ["SingleFlight"]


class SingleFlight:
    """One piece of work in flight, which any number of threads and tasks wait for.

    Yield ``Blocking(flight, seconds)`` in a flow: a thread blocks, a task awaits, no event loop is blocked.
    """

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        # A running future cannot be cancelled, as a task that gives up waiting would do.
        self._future.set_running_or_notify_cancel()
        self._thread = threading.get_ident()
        self._pid = os.getpid()

    def finish(self) -> None:
        """Let those who wait go on."""
        self._future.set_result(None)

    @property
    def is_lost(self) -> bool:
        """Whether it was begun by the process that this one was forked from, so that it never finishes."""
        return self._pid != os.getpid()

    def __call__(self, seconds: float) -> bool:
        """Wait on this thread; return whether the work finished within ``seconds``.

        Returns ``False`` at once on the thread that began it: a task of that thread does the work, and
        waiting would block it.
        """
        if self._thread == threading.get_ident() and not self._future.done():
            return False
        try:
            self._future.result(seconds)
        except TimeoutError:
            return False
        return True

    async def wait(self, seconds: float) -> bool:
        """Wait in a task; return whether the work finished within ``seconds``."""
        import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

        done, _ = await asyncio.wait([asyncio.wrap_future(self._future)], timeout=seconds)
        return bool(done)
