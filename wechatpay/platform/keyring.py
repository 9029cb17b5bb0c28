"""The keys that are believed at one moment, as one value that never changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.platform.key import PlatformKey

__all__ = ["Keyring"]

#: How long a certificate that is no longer offered verifies what was signed before: answers may be slow.
_FAREWELL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Keyring:
    """WeChat Pay's keys by serial number; immutable, so that one call sees one set.

    Attributes:
        own: Keys that the caller gave or added.
        fetched: Certificates that were downloaded.
        retired: Serial numbers that are believed no more, whoever offers them.
        as_of: When ``fetched`` was signed, in Unix seconds; 0 when nothing was downloaded.
    """

    own: Mapping[str, PlatformKey] = field(default_factory=dict)
    fetched: Mapping[str, PlatformKey] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    as_of: int = 0

    def get(self, serial: str, at: float | None = None) -> PlatformKey | None:
        """Return the key with this serial number, compared case-sensitively, or ``None``.

        Args:
            serial: The serial number, or public key id.
            at: Unix seconds within the certificate's dates; ``None`` for a certificate of any dates.
        """
        key = self.own.get(serial) or self.fetched.get(serial)
        return key if key is not None and (at is None or key.is_valid(at)) else None

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers of all keys."""
        return tuple(key.serial for key in self.keys)

    @property
    def keys(self) -> tuple[PlatformKey, ...]:
        """All keys, the caller's first."""
        return (*self.own.values(), *_but(self.fetched, frozenset(self.own)).values())

    def preferred(self, at: float) -> PlatformKey | None:
        """Return the key to name in requests and to encrypt with, or ``None`` if none can be used ``at``.

        It is the first public key, else the valid certificate with the newest ``not_before``.
        """
        newest: PlatformKey | None = None
        for key in chain(self.own.values(), self.fetched.values()):
            if key.not_before is None:
                return key
            if key.is_valid(at) and not key.is_leaving:
                newest = key if newest is None else max(newest, key, key=_beginning)
        return newest

    def with_(self, key: PlatformKey) -> Self:
        """Copy with one more key of the caller's, believed even if it was retired before."""
        return replace(self, own={**self.own, key.serial: key}, retired=self.retired - {key.serial})

    def without(self, serial: str) -> Self:
        """Copy without a key, which no download brings back."""
        return replace(
            self,
            own=_but(self.own, {serial}),
            fetched=_but(self.fetched, {serial}),
            retired=self.retired | {serial},
        )

    def refreshed(self, offered: Mapping[str, PlatformKey], as_of: int, now: float) -> Self:
        """Copy with the certificates that WeChat Pay offers, and for a while those that it did before."""
        until = datetime.fromtimestamp(now, UTC) + _FAREWELL
        leaving = {
            serial: key.within(key.not_before or until, until, leaving=True)
            for serial, key in self.fetched.items()
            if serial not in offered and key.is_valid(now)
        }
        return replace(self, fetched=_but({**leaving, **offered}, self.retired), as_of=as_of)


def _beginning(key: PlatformKey) -> float:
    return key.not_before.timestamp() if key.not_before else 0.0


def _but(keys: Mapping[str, PlatformKey], serials: set[str] | frozenset[str]) -> Mapping[str, PlatformKey]:
    return {serial: key for serial, key in keys.items() if serial not in serials}
