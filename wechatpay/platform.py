"""WeChat Pay's keys: public keys and platform certificates together, by serial number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, CryptoError

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["Platform", "PlatformKey"]


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """One key that WeChat Pay signs with.

    Attributes:
        serial: The certificate's serial number, or the id of the public key (``PUB_KEY_ID_…``).
        public_key: The RSA key.
        not_before: Start of the certificate's validity; ``None`` for a bare public key.
    """

    serial: str
    public_key: RSAPublicKey
    not_before: datetime | None = None

    @classmethod
    def load(cls, serial: str, source: Any) -> PlatformKey:
        """Load a certificate or public key in any form that :mod:`wechatpay.crypto.rsa` takes.

        Raises:
            ConfigurationError: It does not load, or is a certificate with another serial number.
        """
        from wechatpay.crypto import pem, rsa  # noqa: PLC0415  `cryptography` is heavy

        try:
            certificate = pem.load_certificate(source)
        except CryptoError:
            certificate = None
        try:
            key = rsa.load_public_key(certificate or source)
        except CryptoError as error:
            raise ConfigurationError(f"certs[{serial!r}]: {error}") from None
        if certificate is None:
            return cls(serial, key)
        own = pem.parse_certificate_serial_no(certificate)
        # A zero byte in front is shown by some consoles and not by others: DER cannot hold it.
        if own.lstrip("0") != serial.lstrip("0"):
            raise ConfigurationError(
                f"certs[{serial!r}]: the certificate's own serial number is {own}: use it as the key"
            )
        return cls(serial, key, certificate.not_valid_before_utc)


class Platform:
    """The keys that answers are believed by."""

    def __init__(self, keys: Mapping[str, PlatformKey]) -> None:
        self._keys = dict(keys)
        bare = [key for key in keys.values() if key.not_before is None]
        dated = [key for key in keys.values() if key.not_before is not None]
        #: The key that requests name and sensitive fields are encrypted with: a public key if there is
        #: one, else the newest certificate.
        self.preferred = bare[0] if bare else max(dated, key=lambda key: str(key.not_before))

    @classmethod
    def load(cls, certs: Any, merchant_serial: str) -> Platform:
        """Load the setting ``certs``.

        Raises:
            ConfigurationError: It is no mapping of serial numbers to keys, or holds the merchant's own.
        """
        if not isinstance(certs, Mapping) or not certs:
            raise ConfigurationError(
                "certs: give a mapping of serial number (or PUB_KEY_ID_…) "
                "to WeChat Pay's certificate or public key"
            )
        for serial in certs:
            if not isinstance(serial, str) or not serial:
                raise ConfigurationError("certs: each key is a serial number, or a public key id, as text")
            if serial.upper() == merchant_serial.upper():
                raise ConfigurationError(
                    f"certs[{serial!r}]: this is the merchant's own certificate; "
                    "give WeChat Pay's public key or platform certificate"
                )
        return cls({serial: PlatformKey.load(serial, source) for serial, source in certs.items()})

    def get(self, serial: str) -> PlatformKey | None:
        """Return the key with this serial number, compared case-sensitively, or ``None``."""
        return self._keys.get(serial)

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers of all keys."""
        return tuple(self._keys)

    def __repr__(self) -> str:
        return f"<Platform {', '.join(self._keys)}>"
