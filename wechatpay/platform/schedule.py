"""When WeChat Pay may be asked for its certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERVAL", "Schedule"]

#: Seconds between two refreshes; a new certificate is offered a day, and more, before it is used.
INTERVAL = 12 * 3600.0

#: Seconds by which a refresh may come early, so that many workers do not ask all at once.
_JITTER = 1800.0

#: Seconds between two refreshes for serial numbers that are not known: anyone can send such a callback.
_BUDGET = 60.0

#: Seconds to wait after one failure, doubled for each further one, up to the most. Where no call can be made
#: without a key, waiting longer than for a single call's sake would only prolong an outage.
_BACKOFF, _MOST = 60.0, 600.0
_HASTE, _LEAST = 1.0, 60.0


class Schedule:
    """Remembers what was asked when; whoever holds it guards it with a lock.

    Times are Unix seconds by the injected clock. One that is set back is no reason to wait.
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        """Begin with nothing asked.

        Args:
            clock: Returns Unix seconds.
            chance: Returns a random number from 0 to 1.
        """
        self._clock = clock
        self._chance = chance
        self._fresh_from: float | None = None
        self._interval = INTERVAL
        self._sought: float | None = None
        self._failed: float | None = None
        self._failures = 0

    def is_due(self) -> bool:
        """Tell whether what was downloaded is old, and may be asked for now."""
        return self._fresh_from is not None and self._past(self._fresh_from, self._interval) and self._calm()

    def may_fetch(self) -> bool:
        """Tell whether to ask, when no call can be made before."""
        return self._past(self._failed, min(_LEAST, _HASTE * self._doubled()))

    def may_seek(self) -> bool:
        """Tell whether to ask because of a serial number that is not known; a yes uses the budget up."""
        if not (self._past(self._sought, _BUDGET) and self._calm()):
            return False
        self._sought = self._clock()
        return True

    def succeeded(self, as_of: float) -> None:
        """Note a download that was signed at ``as_of``."""
        # WeChat Pay's clock may be ahead of ours.
        self._fresh_from, self._failed, self._failures = min(as_of, self._clock()), None, 0
        self._interval = INTERVAL - _JITTER * self._chance()

    def failed(self) -> None:
        """Note that it failed."""
        self._failed = self._clock()
        self._failures += 1

    def _calm(self) -> bool:
        return self._past(self._failed, min(_MOST, _BACKOFF * self._doubled()))

    def _doubled(self) -> float:
        return float(2 ** min(self._failures - 1, 16)) if self._failures else 0.0

    def _past(self, moment: float | None, seconds: float) -> bool:
        return moment is None or not 0 <= self._clock() - moment < seconds
