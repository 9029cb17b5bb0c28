"""Threads for blocking functions, which still get called while the interpreter exits."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Executor"]

R = TypeVar("R")


class Executor(ThreadPoolExecutor):
    """A thread pool that outlives the main thread.

    Python starts no threads once the main thread has ended, yet a call that is still
    in flight then may have to look up a host name, or to ask a remote signer. Such
    functions run on the thread that asks: there is little left that this could hold up.
    """

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call ``fn`` on a thread, or at once when there can be no more threads."""
        if threading.main_thread().is_alive():
            return super().submit(fn, *args, **kwargs)
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the future
            future.set_exception(error)
        return future
