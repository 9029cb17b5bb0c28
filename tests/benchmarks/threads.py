"""How much more two client threads get done than one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .measure import Ratio, interleave, timed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["speedup"]


def speedup(work: Callable[[int], object], calls: int, rounds: int) -> Ratio:
    """Compare calls per second of two threads with those of one."""

    def shared(count: int) -> None:
        threads = [threading.Thread(target=work, args=(count // 2,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return interleave({"one": timed(work, calls), "two": timed(shared, calls)}, rounds).wall("one", "two")
