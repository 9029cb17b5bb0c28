"""One of WeChat Pay's keys: a bare public key, or a platform certificate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from wechatpay.errors import ConfigurationError, CryptoError
from wechatpay.process import renew_in_child

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from wechatpay.crypto.suites import PublicKey, Suite

__all__ = ["PlatformKey", "same_serial"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PlatformKey:
    """One key that WeChat Pay signs with.

    Attributes:
        serial: The certificate's serial number, or the id of the public key (``PUB_KEY_ID_…``).
        public_key: The RSA or SM2 key.
        not_before: Start of the certificate's validity; ``None`` for a bare public key.
        not_after: End of the certificate's validity; ``None`` for a bare public key.
        certificate: The certificate; ``None`` for a bare public key.
        is_leaving: Whether WeChat Pay no longer offers it: it verifies what is still on its way.
        suite: The algorithms of its kind, by which what it signed is verified, whatever that says of itself.
    """

    serial: str
    public_key: PublicKey = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None
    certificate: Certificate | None = field(default=None, repr=False, compare=False)
    is_leaving: bool = False
    suite: Suite = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from wechatpay.crypto import rsa, suites  # noqa: PLC0415  `cryptography` is heavy

        object.__setattr__(self, "suite", suites.suite_of(self.public_key))
        renew_in_child(self, "public_key", rsa.prepare_copy(self.public_key))

    @classmethod
    def load(cls, serial: str, source: Any, name: str) -> Self:
        """Load a certificate or public key in any form that :mod:`wechatpay.crypto` takes.

        Args:
            serial: What it is known by.
            source: The certificate or public key.
            name: What an error calls it.

        Raises:
            ConfigurationError: It does not load, or is a certificate with another serial number.
        """
        from wechatpay.crypto import pem, suites  # noqa: PLC0415  `cryptography` is heavy

        try:
            certificate = pem.load_certificate(source)
        except CryptoError:
            certificate = None
        try:
            if certificate is not None:
                return cls.certified(serial, certificate)
            return cls(serial, suites.load_public_key(source))
        except CryptoError as error:
            raise ConfigurationError(f"{name}: {error}") from None

    @classmethod
    def certified(cls, serial: str, certificate: Certificate) -> Self:
        """Take the key out of a certificate.

        Raises:
            CryptoError: Its key cannot be used, or its serial number is not ``serial``.
        """
        from wechatpay.crypto import pem, suites  # noqa: PLC0415  `cryptography` is heavy

        key, own = suites.load_public_key(certificate), pem.parse_certificate_serial_no(certificate)
        if not same_serial(own, serial):
            raise CryptoError(f"the certificate's own serial number is {own}: use it as the key")
        return cls(
            serial, key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate
        )

    def is_valid(self, at: float) -> bool:
        """Tell whether ``at``, in Unix seconds, lies within the certificate's dates; a bare key has none."""
        return (self.not_before is None or self.not_before.timestamp() <= at) and (
            self.not_after is None or at <= self.not_after.timestamp()
        )

    def within(self, not_before: datetime, not_after: datetime, *, leaving: bool = False) -> Self:
        """Copy with a validity that ends no later, and begins no earlier, than these."""
        return replace(
            self,
            not_before=max(self.not_before or not_before, not_before),
            not_after=min(self.not_after or not_after, not_after),
            is_leaving=leaving,
        )


def same_serial(one: str, other: str) -> bool:
    """Tell whether two spellings are of one serial number.

    A zero byte in front is shown by some consoles and not by others: DER cannot hold it.
    """
    return one.lstrip("0") == other.lstrip("0")
