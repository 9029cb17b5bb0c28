"""When WeChat Pay's platform certificates are downloaded, and by which of those who need them."""

from __future__ import annotations

import copy
import logging
import os
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.apiv3.certificates import Download, explain, verify
from wechatpay.errors import ConfigurationError, DecodeError, VerificationError, WeChatPayError
from wechatpay.middleware import Blocking, Pause
from wechatpay.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.apiv3.certificate_cache import CertificateCache
    from wechatpay.apiv3.keys import PlatformKeys
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Flow, Steps
    from wechatpay.secret import Secret

__all__ = ["CertificateRefresher", "Schedule"]

_log = logging.getLogger("wechatpay")

#: Seconds between two refreshes; a new certificate is offered a day, and more, before it is used.
_INTERVAL = 12 * 3600.0

#: Seconds by which a refresh may come early, so that many workers do not refresh at the same time.
_JITTER = 1800.0

#: Seconds between two downloads for unknown serial numbers: anyone can send a callback with one.
_MIN_INTERVAL = 60.0

#: Such downloads in a row that may be cancelled without waiting for the next: a cancelled call must not keep
#: others from a new certificate, but anyone can send callbacks and hang up.
_MAX_CANCELLED = 10

#: Seconds to wait after one failure, doubled for each further one, up to the maximum. Without any key no call
#: can be made, so that the pauses are short then.
_BACKOFF, _MAX_BACKOFF = 60.0, 600.0
_FIRST_BACKOFF, _MAX_FIRST_BACKOFF = 1.0, 60.0

#: Seconds to wait for a download of this process, whose event loop may have stopped.
_MAX_WAIT = 30.0

#: How often to look whether another process has finished its download, and the seconds between two looks.
_LOOKS, _LOOK_INTERVAL = 100, 0.1

#: Seconds by which the clocks of two workers may differ.
_CLOCK_SKEW = 300


class Schedule:
    """When certificates may be downloaded; its owner guards it with a lock.

    Times are Unix seconds by the injected clock. A clock that is set back delays nothing.
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._clock = clock
        self._chance = chance
        self._fresh_from: float | None = None
        self._interval = _INTERVAL
        self._fetched: float | None = None
        self._failed: float | None = None
        self._failures = 0
        self._cancelled = 0

    def is_due(self) -> bool:
        """Return whether the last download is old, and may be repeated now."""
        return (
            self._fresh_from is not None
            and self._is_past(self._fresh_from, self._interval)
            and self._is_past(self._failed, self._delay(_BACKOFF, _MAX_BACKOFF))
        )

    def allows_first(self) -> bool:
        """Return whether to download when there is no key at all."""
        return self._is_past(self._failed, self._delay(_FIRST_BACKOFF, _MAX_FIRST_BACKOFF))

    def take_fetch(self) -> bool:
        """Return whether to download because of an unknown serial number; at most once a minute."""
        if not self._is_past(self._failed, self._delay(_BACKOFF, _MAX_BACKOFF)):
            return False
        if not self._is_past(self._fetched, _MIN_INTERVAL):
            return False
        if self._fetched is not None:
            self._cancelled = 0
        self._fetched = self._clock()
        return True

    def cancel_fetch(self) -> None:
        """Note that such a download was cancelled, so that the next may begin at once."""
        self._cancelled += 1
        if self._cancelled <= _MAX_CANCELLED:
            self._fetched = None

    def succeed(self, as_of: float) -> None:
        """Note a download that was signed at ``as_of``."""
        # WeChat Pay's clock may be ahead of ours.
        self._fresh_from, self._failed, self._failures = min(as_of, self._clock()), None, 0
        self._interval = _INTERVAL - _JITTER * self._chance()

    def fail(self) -> None:
        """Note a download that failed."""
        self._failed = self._clock()
        self._failures += 1

    def _delay(self, first: float, most: float) -> float:
        return min(most, first * 2 ** min(self._failures - 1, 16)) if self._failures else 0.0

    def _is_past(self, moment: float | None, seconds: float) -> bool:
        return moment is None or not 0 <= self._clock() - moment < seconds


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why to download.

    Attributes:
        is_met: Returns whether nothing is missing any more.
        is_allowed: Returns whether to download now, and counts it if so.
        suits: Returns whether another worker's download will do.
        waits: Whether to wait for a download in flight.
        cancel: Notes that the download was cancelled.
    """

    is_met: Callable[[], bool]
    is_allowed: Callable[[], bool]
    suits: Callable[[Download], bool]
    waits: bool = True
    cancel: Callable[[], None] = lambda: None


class CertificateRefresher:
    """Downloads certificates into a `PlatformKeys`, one download at a time for all threads and tasks."""

    def __init__(  # noqa: PLR0913  keywords
        self,
        keys: PlatformKeys,
        apiv3_key: Secret[bytes],
        source: Callable[[], tuple[Request, Flow]],
        *,
        clock: Callable[[], float],
        cache: CertificateCache | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is downloaded yet.

        Args:
            keys: Where the certificates go.
            apiv3_key: Decrypts them, 32 bytes.
            source: Makes the request for them, and the flow that signs and sends it.
            clock: Returns Unix seconds.
            cache: Where processes share downloads.
            chance: Returns a random number from 0 to 1, which spreads refreshes.
        """
        self._keys = keys
        self._apiv3_key = apiv3_key
        self._source = source
        self._clock = clock
        self._cache = cache
        self._schedule = Schedule(clock, chance)
        # One for each process: a lock that another thread held at the fork stays locked in the child.
        # Re-entrant: the collector may end an abandoned download on a thread that holds the lock.
        self._locks: dict[int, threading.RLock] = {}
        self._flight: SingleFlight | None = None
        self._failure: WeChatPayError | None = None
        self._finished = 0

    def is_due(self) -> bool:
        """Return whether the certificates are old, and may be downloaded now."""
        return self._schedule.is_due()

    def copy_failure(self) -> WeChatPayError | None:
        """Return why the last download failed, as an error of its own; ``None`` if it did not fail."""
        return copy.copy(self._failure)

    def fetch_any(self) -> Steps[None]:
        """Download because there is no valid key; a generator of effects, as the following are.

        Failures are not raised: see `copy_failure`.
        """
        return self._refresh(
            _Reason(
                is_met=lambda: self._keys.preferred is not None,
                is_allowed=self._schedule.allows_first,
                suits=lambda download: any(key.is_valid(self._clock()) for key in download.keys.values()),
            )
        )

    def refresh_due(self) -> Steps[None]:
        """Download because the certificates are old; other calls do not wait for it."""
        return self._refresh(
            _Reason(
                is_met=lambda: not self._schedule.is_due(),
                is_allowed=lambda: True,
                suits=lambda _: True,
                waits=False,
            )
        )

    def fetch(self, serial: str) -> Steps[None]:
        """Download because of an unknown serial number, at most once a minute."""
        return self._refresh(
            _Reason(
                is_met=lambda: self._keys.get(serial) is not None,
                is_allowed=self._schedule.take_fetch,
                suits=lambda download: serial in download.keys,
                cancel=self._schedule.cancel_fetch,
            )
        )

    def refresh(self) -> Steps[None]:
        """Download in any case, or wait for the download in flight.

        Raises:
            WeChatPayError: The download failed; the known keys stay.
        """
        begun = self._finished
        yield from self._refresh(
            _Reason(
                is_met=lambda: self._finished > begun,
                is_allowed=lambda: True,
                suits=lambda _: False,
            )
        )
        if error := self.copy_failure():
            raise error

    def _refresh(self, reason: _Reason) -> Steps[None]:
        again = False
        while joined := self._join(reason, again=again):
            flight, is_ours = joined
            if is_ours:
                yield from self._run(flight, reason)
                return
            # A loop that stopped, or that waits for this very call, will never finish the download.
            again = not (yield Blocking(flight, _MAX_WAIT))
            if again:
                self._clear(flight)

    def _join(self, reason: _Reason, *, again: bool) -> tuple[SingleFlight, bool] | None:
        """Return the download in flight, or a new one, and whether it is new; ``None`` if none is needed."""
        with self._lock():
            if reason.is_met():
                return None
            flight = self._flight
            if flight is not None and not flight.is_lost:
                return (flight, False) if reason.waits else None
            if not (again or reason.is_allowed()):
                return None
            self._flight = SingleFlight()
            return self._flight, True

    def _run(self, flight: SingleFlight, reason: _Reason) -> Steps[None]:
        try:
            download = yield from self._obtain(reason)
            if download is not None:
                self._adopt(download)
                self._failure = None
        except Exception as error:  # noqa: BLE001  a remote signer may raise anything; the old keys stay
            self._failure = explain(error)
            self._schedule.fail()
            _log.warning("WeChat Pay's certificates could not be refreshed: %s", self._failure)
            self._finished += 1
        except BaseException:
            # Cancelled, or dropped with its event loop: those who wait, or come next, download instead.
            reason.cancel()
            raise
        else:
            self._finished += 1
        finally:
            self._clear(flight)
            flight.finish()

    def _obtain(self, reason: _Reason) -> Steps[Download | None]:
        """Download, or take another worker's; ``None`` if one is downloading and there is no need to wait."""
        cache = self._cache
        if cache is None:
            return (yield from self._download())
        lock = cache.make_lock()
        try:
            is_ours = yield Blocking(cache.claim, lock, final=True)
            for _ in range(_LOOKS):
                cached = yield Blocking(cache.read)
                found = None if cached is None else self._check_cached(cached)
                if found is not None and reason.suits(found):
                    return found
                if is_ours:
                    break
                if not reason.waits:
                    return None
                yield Pause(_LOOK_INTERVAL)
                is_ours = yield Blocking(cache.claim, lock, final=True)
            download = yield from self._download()
            yield Blocking(cache.write, download.response, final=True)
            return download
        finally:
            lock.release()

    def _download(self) -> Steps[Download]:
        request, flow = self._source()
        response = yield from flow
        now = self._clock()
        try:
            return verify(response, self._keys, self._apiv3_key, signed_about=now, now=now, request=request)
        except (VerificationError, DecodeError, ConfigurationError) as error:
            error.request, error.response = request, response
            raise

    def _check_cached(self, response: Response) -> Download | None:
        """Verify another worker's download; ``None`` unless it is newer than the keyring, and not old."""
        now = self._clock()
        try:
            signed_at = int(response.headers["Wechatpay-Timestamp"])
            download = verify(response, self._keys, self._apiv3_key, signed_about=signed_at, now=now)
        except (WeChatPayError, ValueError):
            return None
        is_fresh = -_CLOCK_SKEW <= now - download.as_of < _INTERVAL
        return download if is_fresh and download.as_of > self._keys.keyring.as_of else None

    def _adopt(self, download: Download) -> None:
        before = self._keys.serials
        self._keys.adopt(download.keys, download.as_of)
        self._schedule.succeed(download.as_of)
        if self._keys.preferred is None:
            # The next call must not download the same useless list at once.
            self._schedule.fail()
        if self._keys.serials != before:
            _log.info("WeChat Pay's keys are now %s", ", ".join(self._keys.serials))

    def _clear(self, flight: SingleFlight) -> None:
        with self._lock():
            if self._flight is flight:
                self._flight = None

    def _lock(self) -> threading.RLock:
        return self._locks.setdefault(os.getpid(), threading.RLock())
