"""The sandbox's virtual clock, and the formats in which WeChat Pay writes time."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHINA",
    "VirtualClock",
    "format_digits",
    "format_local",
    "format_rfc3339",
    "parse_digits",
    "parse_rfc3339",
]

#: The time zone of WeChat Pay's days and bills.
CHINA = timezone(timedelta(hours=8))

#: Seconds by which the clock can be advanced in all: a century, because years have four digits.
_FURTHEST = 100 * 365.25 * 86400


class VirtualClock:
    """A clock that can be advanced; thread-safe.

    Orders, refunds, bills and the repetition of callbacks follow it. Signatures do not: they follow the clock
    of the machine, because the other side's clock does.
    """

    def __init__(self, base: Callable[[], float]) -> None:
        """Start at the time of another clock.

        Args:
            base: Returns Unix seconds.
        """
        self._base = base
        self._lock = threading.Lock()
        self._advanced: Table[str, float] = Table()

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self._base() + self._advanced.get("seconds", 0.0)

    def advance(self, seconds: float | timedelta) -> None:
        """Advance the clock.

        Raises:
            ConfigurationError: ``seconds`` is not a number, is negative, or leads more than a century ahead.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise ConfigurationError(f"seconds: the clock only advances; give 0 or more, not {seconds!r:.40}")
        with self._lock:
            advanced = self._advanced.get("seconds", 0.0) + seconds
            if advanced > _FURTHEST:
                raise ConfigurationError(
                    f"seconds: the clock advances by a century at most, not {seconds!r:.40}"
                )
            self._advanced["seconds"] = advanced


def format_digits(at: float) -> str:
    """Write a moment as ``yyyyMMddHHmmss`` in China's time."""
    return f"{datetime.fromtimestamp(at, CHINA):%Y%m%d%H%M%S}"


def format_local(at: float) -> str:
    """Write a moment as ``yyyy-MM-dd HH:mm:ss`` in China's time."""
    return f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d %H:%M:%S}"


def format_rfc3339(at: float) -> str:
    """Write a moment as ``yyyy-MM-ddTHH:mm:ss+08:00``."""
    return datetime.fromtimestamp(int(at), CHINA).isoformat()


def parse_digits(text: str) -> float:
    """Read ``yyyyMMddHHmmss`` in China's time, and return Unix seconds.

    Raises:
        ValueError: ``text`` is something else.
    """
    if len(text) != len("yyyyMMddHHmmss"):
        raise ValueError("14 digits")
    return datetime.strptime(f"{text}+0800", "%Y%m%d%H%M%S%z").timestamp()


def parse_rfc3339(text: str) -> float:
    """Read a moment with a time zone, and return Unix seconds.

    Raises:
        ValueError: ``text`` is not RFC 3339.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or "T" not in text:
        raise ValueError("time without a zone")
    return moment.timestamp()
