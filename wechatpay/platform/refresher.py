"""Asking WeChat Pay for its certificates: once for all who wait, and no oftener than is allowed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay.middleware import Blocking, Pause
from wechatpay.platform.failure import explained

if TYPE_CHECKING:
    from wechatpay.errors import WeChatPayError
    from wechatpay.platform.cache import DirectoryCache
    from wechatpay.platform.download import Download
    from wechatpay.platform.downloader import Downloader
    from wechatpay.platform.flight import Flight

__all__ = ["Reason", "Refresher", "Steps"]

_log = logging.getLogger("wechatpay")

#: Seconds to wait for a download of this process, whose event loop may have stopped under it.
_PATIENCE = 30.0

#: How often to look whether another process has done its download, and the seconds between two looks.
_LOOKS, _LOOK = 100, 0.1

T = TypeVar("T")

#: Yields effects, as a flow does.
Steps = Generator[Any, Any, T]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why to ask.

    Attributes:
        is_met: Tells whether there is nothing to ask for any more.
        may: Tells whether it is allowed now, and counts it if so.
        suits: Tells whether another worker's download will do.
        waits: Whether to wait for a download that is on its way.
    """

    is_met: Callable[[], bool]
    may: Callable[[], bool]
    suits: Callable[[Download], bool]
    waits: bool = True


class Refresher:
    """Makes one download at a time, for threads, tasks and both colours at once.

    Attributes:
        failure: Why the last download failed; ``None`` when it did not.
        landings: How many have ended, well or not.
    """

    def __init__(
        self,
        downloader: Downloader,
        adopt: Callable[[Download], None],
        fail: Callable[[], None],
        cache: DirectoryCache | None,
    ) -> None:
        """Put the parts together.

        Args:
            downloader: Gets what is proved.
            adopt: Takes a download into use.
            fail: Notes that there was none.
            cache: Where workers share downloads.
        """
        self._downloader = downloader
        self._adopt = adopt
        self._fail = fail
        self._cache = cache
        # One for each process: a lock that another thread held at the fork stays locked in the child.
        # Re-entrant: the collector may end an abandoned download on a thread that holds the lock.
        self._locks: dict[int, threading.RLock] = {}
        self._flight: Flight | None = None
        self.failure: WeChatPayError | None = None
        self.landings = 0

    def refresh(self, reason: Reason) -> Steps[None]:
        """Download, or wait for the download that is on its way; a generator of effects.

        Ends when the reason is met, or nothing more may be done. Failures are not raised: `failure` has
        the last one.
        """
        again = False
        while boarded := self._board(reason, again=again):
            flight, is_ours = boarded
            if is_ours:
                yield from self._fly(flight, reason)
                return
            # A loop that stopped, or that waits for this very call, will never land it.
            again = not (yield Blocking(flight, _PATIENCE))
            if again:
                self._clear(flight)

    def _board(self, reason: Reason, *, again: bool) -> tuple[Flight, bool] | None:
        with self._lock():
            if reason.is_met():
                return None
            flight = self._flight
            if flight is not None and not flight.is_lost:
                return (flight, False) if reason.waits else None
            if not (again or reason.may()):
                return None
            from wechatpay.platform.flight import Flight  # noqa: PLC0415  public keys are never downloaded

            self._flight = Flight()
            return self._flight, True

    def _fly(self, flight: Flight, reason: Reason) -> Steps[None]:
        try:
            download = yield from self._obtain(reason)
            if download is not None:
                self._adopt(download)
                self.failure = None
        except Exception as error:  # noqa: BLE001  a remote signer may raise anything; the old keys stay
            self.failure = explained(error)
            self._fail()
            _log.warning("WeChat Pay's certificates could not be refreshed: %s", self.failure)
        finally:
            self.landings += 1
            self._clear(flight)
            flight.land()

    def _obtain(self, reason: Reason) -> Steps[Download | None]:
        """Download, or take what another worker did; ``None`` if one does and there is no need to wait."""
        if self._cache is None:
            return (yield from self._downloader.fetch())
        claim = yield Blocking(self._cache.claim)
        try:
            for _ in range(_LOOKS):
                kept = yield from self._recalled(self._cache)
                if kept is not None and reason.suits(kept):
                    return kept
                if claim is not None:
                    break
                if not reason.waits:
                    return None
                yield Pause(_LOOK)
                claim = yield Blocking(self._cache.claim)
            download = yield from self._downloader.fetch()
            yield Blocking(self._cache.write, download.response)
            return download
        finally:
            if claim is not None:
                self._cache.release(claim)

    def _recalled(self, cache: DirectoryCache) -> Steps[Download | None]:
        response = yield Blocking(cache.read)
        return None if response is None else self._downloader.recall(response)

    def _clear(self, flight: Flight) -> None:
        with self._lock():
            if self._flight is flight:
                self._flight = None

    def _lock(self) -> threading.RLock:
        return self._locks.setdefault(os.getpid(), threading.RLock())
