"""Who signs APIv3 requests, a merchant or a brand, and whose answers are believed."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay import formatter
from wechatpay.errors import ConfigurationError, CryptoError
from wechatpay.platform import Platform
from wechatpay.platform.loading import load_apiv3_key, open_cache
from wechatpay.process import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from wechatpay.crypto.suites import PrivateKey, Suite

__all__ = ["Merchant", "word"]

_GROUP = ("mchid", "brand_id", "serial", "private_key", "certs", "apiv3_key", "certs_cache")

_BRAND_SCHEME = "WECHATPAY-BRAND-SHA256-RSA2048"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Merchant:
    """The v3 group.

    Attributes:
        id: Merchant id, or brand id.
        serial: Serial number of the certificate.
        private_key: The key, or a function that signs a text and returns base64.
        platform: WeChat Pay's keys.
        apiv3_key: Decrypts callbacks and certificates; ``None`` if there are none to be decrypted.
        is_brand: Whether it is a brand.
    """

    id: str
    serial: str
    private_key: PrivateKey | Callable[[str], str] = field(repr=False)
    platform: Platform
    apiv3_key: bytes | None = field(default=None, repr=False)
    is_brand: bool = False

    def __post_init__(self) -> None:
        if not callable(self.private_key):
            from wechatpay.crypto import rsa  # noqa: PLC0415  `cryptography` is heavy

            renew_in_child(self, "private_key", rsa.prepare_copy(self.private_key))

    @classmethod
    def load(cls, values: Mapping[str, Any], base_uri: str, clock: Callable[[], float]) -> Merchant | None:
        """Check the settings of the group; ``None`` when it was left out.

        Args:
            values: All settings.
            base_uri: Where requests go.
            clock: Returns Unix seconds.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        present = {name for name in _GROUP if values.get(name) is not None}
        if not present - {"mchid"}:
            return None
        is_brand = _is_brand(values, present)
        id_, serial = word(values, "brand_id" if is_brand else "mchid"), word(values, "serial")
        # First, for ported APIv2 code has a dummy here, and its error says to leave it out.
        private_key = _private_key(values["private_key"])
        apiv3_key = values.get("apiv3_key")
        apiv3_key = None if apiv3_key is None else load_apiv3_key(apiv3_key)
        cache = open_cache(values.get("certs_cache"), f"{id_} {base_uri}", downloads=apiv3_key is not None)
        platform = Platform.load(
            values.get("certs"),
            serial,
            apiv3_key=apiv3_key,
            cache=cache,
            suite=_suite(private_key, values.get("certs")),
            clock=clock,
        )
        if is_brand and platform.suite.name != "RSA":
            raise ConfigurationError("brand_id: a brand signs with an RSA key, not with an SM2 key")
        return cls(id_, serial, private_key, platform, apiv3_key, is_brand)

    @property
    def suite(self) -> Suite:
        """The algorithms that it signs by."""
        return self.platform.suite

    @property
    def decryption_key(self) -> RSAPrivateKey:
        """The key that decrypts sensitive fields of answers.

        Raises:
            ConfigurationError: It stays elsewhere, or is no RSA key.
        """
        if callable(self.private_key):
            raise ConfigurationError(
                "private_key: a function signs, and cannot decrypt: do so where the key is"
            )
        from wechatpay.crypto.suites import RSAPrivateKey  # noqa: PLC0415  `cryptography` is heavy

        if not isinstance(self.private_key, RSAPrivateKey):
            raise ConfigurationError("private_key: sensitive fields are decrypted with RSA keys alone")
        return self.private_key

    def authorization(self, signature: str, timestamp: str, nonce: str) -> str:
        """Lay out the header of a request that was signed."""
        scheme, party = (_BRAND_SCHEME, "brand_id") if self.is_brand else (self.suite.scheme, "mchid")
        return formatter.authorization(
            self.id, nonce, signature, timestamp, self.serial, scheme=scheme, party=party
        )

    def __str__(self) -> str:
        return f"{'brand' if self.is_brand else 'merchant'} {self.id}"


def _is_brand(values: Mapping[str, Any], present: set[str]) -> bool:
    """Tell who is to sign; refuse a group that is not complete."""
    is_brand = "brand_id" in present
    missing = [name for name in ("mchid", "serial", "private_key") if name not in present]
    if is_brand and "mchid" in missing:
        missing.remove("mchid")
    if present.isdisjoint({"certs", "apiv3_key"}):
        missing.append("certs (or apiv3_key, to download them)")
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: missing; APIv3 needs mchid, serial, private_key, and certs or apiv3_key "
            "together (leave all but mchid out if you do not call it)"
        )
    if is_brand and "mchid" in present and values.get("secret") is None:
        raise ConfigurationError(
            "mchid: leave it out beside brand_id: APIv3 requests are signed as one of the two "
            "(APIv2, with secret, needs a mchid of its own)"
        )
    return is_brand


def word(values: Mapping[str, Any], name: str) -> str:
    """Check a setting that is an identifier or a secret.

    Raises:
        ConfigurationError: It is not one word of ASCII text.
    """
    value = values[name]
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: give it as text, not {type(value).__name__}")
    if not value or not value.isascii() or not value.isprintable() or not set(value).isdisjoint('" ,\\'):
        raise ConfigurationError(
            f"{name}: one word of ASCII letters and digits, such as WeChat Pay's console shows it"
        )
    return value


def _private_key(source: Any) -> Any:
    if callable(source):
        if inspect.iscoroutinefunction(source):
            raise ConfigurationError(
                "private_key: a plain function, which async calls run on a thread, not a coroutine function"
            )
        return source
    from wechatpay.crypto import suites  # noqa: PLC0415  `cryptography` is heavy

    try:
        return suites.load_private_key(source)
    except CryptoError as error:
        reason = str(error).removeprefix("private key: ")
        raise ConfigurationError(
            f"private_key: {reason} (for APIv2 alone leave serial, private_key and certs out)"
        ) from None


def _suite(private_key: Any, certs: Any) -> Suite | None:
    """Return the suite of a key; a function leaves it to ``certs``, if there are any: then ``None``."""
    from wechatpay.crypto.suites import RSA, suite_of  # noqa: PLC0415  the same

    if callable(private_key):
        return RSA if certs is None else None
    return suite_of(private_key)
