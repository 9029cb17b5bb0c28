"""One key of WeChat Pay's, and the set of keys that are trusted at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Self

from wechatpay.crypto import pem, rsa, suites
from wechatpay.errors import CryptoError
from wechatpay.process import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

    from wechatpay.crypto.suites import PublicKey, Suite

__all__ = ["PUBLIC_KEY_ID", "Keyring", "PlatformKey", "same_serial"]

#: How ids of public keys begin: no download of certificates contains one.
PUBLIC_KEY_ID = "PUB_KEY_ID_"

#: How long a certificate that is no longer offered still verifies: responses may be slow.
_GRACE_PERIOD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PlatformKey:
    """One key that WeChat Pay signs with: a public key, or that of a platform certificate.

    Attributes:
        serial: The certificate's serial number, or the id of the public key (``PUB_KEY_ID_…``).
        public_key: The RSA or SM2 key.
        not_before: Start of the certificate's validity; ``None`` for a public key.
        not_after: End of the certificate's validity; ``None`` for a public key.
        certificate: The certificate; ``None`` for a public key.
        is_retiring: Whether WeChat Pay no longer offers it: it still verifies responses for ten minutes.
        suite: The algorithms of this kind of key, by which its signatures are verified.
    """

    serial: str
    public_key: PublicKey = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None
    certificate: Certificate | None = field(default=None, repr=False, compare=False)
    is_retiring: bool = False
    suite: Suite = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "suite", suites.suite_of(self.public_key))
        renew_in_child(self, "public_key", rsa.prepare_copy(self.public_key))

    @classmethod
    def from_certificate(cls, serial: str, certificate: Certificate) -> Self:
        """Make the key of a certificate.

        Raises:
            CryptoError: Its key cannot be used, or its serial number is not ``serial``.
        """
        key, own = suites.load_public_key(certificate), pem.parse_certificate_serial_no(certificate)
        if not same_serial(own, serial):
            raise CryptoError(f"the certificate has the serial number {own}: give it under that")
        return cls(
            serial, key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate
        )

    def is_valid(self, at: float) -> bool:
        """Return whether ``at``, in Unix seconds, lies within the dates; a public key is always valid."""
        return (self.not_before is None or self.not_before.timestamp() <= at) and (
            self.not_after is None or at <= self.not_after.timestamp()
        )

    def within(self, not_before: datetime, not_after: datetime, *, retiring: bool = False) -> Self:
        """Copy with a validity that is cut to these dates."""
        return replace(
            self,
            not_before=max(self.not_before or not_before, not_before),
            not_after=min(self.not_after or not_after, not_after),
            is_retiring=retiring,
        )


def same_serial(one: str, other: str) -> bool:
    """Return whether two serial numbers are the same; leading zeros do not count, as DER cannot hold them."""
    return one.lstrip("0") == other.lstrip("0")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that are trusted at one moment; immutable, so that a call works with one set.

    Attributes:
        own: Keys that the caller gave or added, by serial number.
        fetched: Certificates that were downloaded, by serial number.
        retired: Serial numbers that are not trusted, even if they are downloaded again.
        as_of: When ``fetched`` was signed, in Unix seconds; 0 before the first download.
        public_key: The caller's first public key, which needs no dates; ``None`` without one.
    """

    own: Mapping[str, PlatformKey] = field(default_factory=dict)
    fetched: Mapping[str, PlatformKey] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    as_of: int = 0
    public_key: PlatformKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = next((key for key in self.own.values() if key.not_before is None), None)
        object.__setattr__(self, "public_key", first)

    def get(self, serial: str, at: float | None = None) -> PlatformKey | None:
        """Return the key with this serial number, compared case-sensitively, or ``None``.

        Args:
            serial: The serial number, or public key id.
            at: Unix seconds within the certificate's dates; ``None`` for any dates.
        """
        key = self.own.get(serial) or self.fetched.get(serial)
        if key is None or at is None or key.not_before is None or key.is_valid(at):
            return key
        return None

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers of all keys."""
        return tuple(key.serial for key in self.keys)

    @property
    def keys(self) -> tuple[PlatformKey, ...]:
        """All keys, the caller's first."""
        return (*self.own.values(), *_without(self.fetched, self.own).values())

    def preferred(self, at: float) -> PlatformKey | None:
        """Return the key to name in requests and to encrypt with, or ``None`` if none is valid ``at``.

        It is the first public key, else the valid certificate with the newest ``not_before``.
        """
        usable = (key for key in chain(self.own.values(), self.fetched.values()) if not key.is_retiring)
        newest = max((key for key in usable if key.is_valid(at)), key=_not_before, default=None)
        return self.public_key or newest

    def with_(self, key: PlatformKey) -> Self:
        """Copy with one more key of the caller's, even if it was retired before."""
        return replace(self, own={**self.own, key.serial: key}, retired=self.retired - {key.serial})

    def without(self, serial: str) -> Self:
        """Copy without a key; later downloads do not bring it back."""
        return replace(
            self,
            own=_without(self.own, {serial}),
            fetched=_without(self.fetched, {serial}),
            retired=self.retired | {serial},
        )

    def refreshed(self, offered: Mapping[str, PlatformKey], as_of: int, now: float) -> Self:
        """Copy with the certificates that WeChat Pay offers; those it no longer offers are retiring."""
        until = datetime.fromtimestamp(now, UTC) + _GRACE_PERIOD
        retiring = {
            serial: key.within(key.not_before or until, until, retiring=True)
            for serial, key in self.fetched.items()
            if serial not in offered and key.is_valid(now)
        }
        return replace(self, fetched=_without({**retiring, **offered}, self.retired), as_of=as_of)


def _not_before(key: PlatformKey) -> float:
    return key.not_before.timestamp() if key.not_before else 0.0


def _without(
    keys: Mapping[str, PlatformKey], serials: set[str] | frozenset[str] | Mapping[str, PlatformKey]
) -> Mapping[str, PlatformKey]:
    return {serial: key for serial, key in keys.items() if serial not in serials}
