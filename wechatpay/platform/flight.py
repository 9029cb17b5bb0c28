"""Waiting for what another call is doing already."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future

__all__ = ["Flight"]


class Flight:
    """One download on its way, which any number of threads and tasks wait for.

    Yield ``Blocking(flight, patience)``: a thread waits for it, a task awaits it, and no loop is held up.
    """

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        # A running future cannot be cancelled, as a task that stops to wait would do.
        self._future.set_running_or_notify_cancel()
        self._thread = threading.get_ident()
        self._pid = os.getpid()

    def land(self) -> None:
        """Let those who wait go on."""
        self._future.set_result(None)

    @property
    def is_lost(self) -> bool:
        """Whether it stayed behind in the process that this one was forked from."""
        return self._pid != os.getpid()

    def __call__(self, patience: float) -> bool:
        """Wait on this thread; tell whether it landed within ``patience`` seconds.

        A task of this very thread may be flying it, held up by who would wait here.
        """
        if self._thread == threading.get_ident() and not self._future.done():
            return False
        try:
            self._future.result(patience)
        except TimeoutError:
            return False
        return True

    async def landed(self, patience: float) -> bool:
        """Wait in a task; tell whether it landed within ``patience`` seconds."""
        import asyncio  # noqa: PLC0415  loaded already wherever this is awaited

        done, _ = await asyncio.wait([asyncio.wrap_future(self._future)], timeout=patience)
        return bool(done)
