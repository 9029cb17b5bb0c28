"""Costs of the same work done by several means, in interleaved rounds, so that a noisy machine hits all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Cost", "Ratio", "Rounds", "interleave", "timed"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work costs.

    Attributes:
        cpu: Seconds of CPU time of the process that does it.
        wall: Seconds on the clock.
    """

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """One means against another, over all rounds.

    Attributes:
        middle: The median of the rounds' ratios.
        low: Their lower quartile.
        high: Their upper quartile.
    """

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio:
        """Take the median and the quartiles."""
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        return cls(middle, low, high)

    @property
    def spread(self) -> str:
        """The quartiles."""
        return f"{self.low:.2f}–{self.high:.2f}"

    def __str__(self) -> str:
        return f"{self.middle:.2f}"


class Rounds(dict[str, list[Cost]]):
    """The costs of each means, round by round."""

    def cpu(self, name: str, reference: str) -> Ratio:
        """Compare CPU time."""
        pairs = zip(self[name], self[reference], strict=True)
        return Ratio.of([mine.cpu / theirs.cpu for mine, theirs in pairs])

    def wall(self, name: str, reference: str) -> Ratio:
        """Compare time on the clock."""
        pairs = zip(self[name], self[reference], strict=True)
        return Ratio.of([mine.wall / theirs.wall for mine, theirs in pairs])

    def seconds(self, name: str) -> float:
        """Give the median CPU time."""
        return median(cost.cpu for cost in self[name])


def interleave(contenders: Mapping[str, Callable[[], Cost]], rounds: int) -> Rounds:
    """Measure each contender once in each round, beginning with another one each time."""
    names = list(contenders)
    for name in names:
        contenders[name]()
    costs = Rounds({name: [] for name in names})
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            costs[name].append(contenders[name]())
    return costs


def timed(work: Callable[[int], object], calls: int) -> Callable[[], Cost]:
    """Make a contender of a function that makes so many calls; its cost is that of one."""

    def run() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        work(calls)
        return Cost((time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls)

    return run
