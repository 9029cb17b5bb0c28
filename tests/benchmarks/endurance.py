"""Whether the hundred-thousandth call costs what the thousandth did, and whether memory stays."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .measure import interleave, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .measure import Ratio

__all__ = ["Stage", "stages"]

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Stage:
    """How things stand after some calls.

    Attributes:
        calls: How many there were.
        cpu: CPU time of a call, the hand-written one's in the same rounds = 1.
        memory: Resident memory of this process, in MiB.
    """

    calls: int
    cpu: Ratio
    memory: float


def stages(
    written: Callable[[int], object], ours: Callable[[int], object], counts: tuple[int, ...], rounds: int
) -> list[Stage]:
    """Make calls up to each of ``counts``, and there measure against the hand-written loop."""
    made, found = 0, []
    for count in counts:
        ours(count - made)
        memory = _resident()
        costs = interleave({"written": timed(written, 50), "ours": timed(ours, 50)}, rounds)
        made = count + 50 * (rounds + 1)
        found.append(Stage(count, costs.cpu("ours", "written"), memory))
    return found


def _resident() -> float:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
