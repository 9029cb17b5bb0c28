"""The settings of APIv3: who signs requests, a merchant or a brand, and whose keys are trusted."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.apiv3.certificate_cache import CertificateCache
from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.crypto import rsa, suites
from wechatpay.errors import ConfigurationError, CryptoError
from wechatpay.identifiers import load_apiv3_key, normalize_serial, validate_identifier
from wechatpay.process import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from wechatpay.crypto.suites import PrivateKey, Suite
    from wechatpay.secret import Secret

__all__ = ["Merchant"]

_GROUP = ("mchid", "brand_id", "serial", "private_key", "certs", "apiv3_key", "certs_cache")

#: Characters of a text that is longer than any dummy, and shorter than any key.
_DUMMY_SIZE = 40


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Merchant:
    """The v3 group.

    Attributes:
        id: Merchant id, or brand id.
        serial: Serial number of the certificate.
        private_key: The key, or a function that signs a text and returns base64.
        platform: WeChat Pay's keys.
        apiv3_key: Decrypts callbacks and certificates; ``None`` if there are none to be decrypted.
        cache: Where processes share downloaded certificates; ``None`` if they do not.
        is_brand: Whether it is a brand.
    """

    id: str
    serial: str
    private_key: PrivateKey | Callable[[str], str] = field(repr=False)
    platform: PlatformKeys
    apiv3_key: Secret[bytes] | None = None
    cache: CertificateCache | None = None
    is_brand: bool = False

    def __post_init__(self) -> None:
        if not callable(self.private_key):
            renew_in_child(self, "private_key", rsa.prepare_copy(self.private_key))

    @classmethod
    def load(cls, values: Mapping[str, Any], base_uri: str, clock: Callable[[], float]) -> Merchant | None:
        """Check the settings of the group; ``None`` when it was left out.

        Args:
            values: All settings; keys are `Secret`.
            base_uri: Where requests go.
            clock: Returns Unix seconds.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        present = {name for name in _GROUP if values.get(name) is not None}
        if not present - {"mchid"}:
            return None
        is_brand = _is_brand(values, present)
        # First: APIv2 code ported from PHP has dummies in this group, and this error says to leave them out.
        private_key = values["private_key"].pass_to(_load_private_key)
        party = "brand_id" if is_brand else "mchid"
        id_, serial = validate_identifier(values[party], party), normalize_serial(values["serial"])
        apiv3_key = values.get("apiv3_key")
        apiv3_key = None if apiv3_key is None else apiv3_key.pass_to(load_apiv3_key)
        cache = _open_cache(values.get("certs_cache"), f"{id_} {base_uri}", downloads=apiv3_key is not None)
        certs = values.get("certs")
        public_key = None if callable(private_key) else private_key.public_key()
        platform = PlatformKeys.load(
            certs,
            merchant_serial=serial,
            merchant_key=public_key,
            suite=_suite(private_key, certs),
            clock=clock,
        )
        if is_brand and platform.suite.name != "RSA":
            raise ConfigurationError("brand_id: a brand signs with an RSA key, not with an SM2 key")
        return cls(id_, serial, private_key, platform, apiv3_key, cache, is_brand)

    @property
    def decryption_key(self) -> RSAPrivateKey:
        """The key that decrypts encrypted fields of responses.

        Raises:
            ConfigurationError: It is held elsewhere, or is not an RSA key.
        """
        if callable(self.private_key):
            raise ConfigurationError(
                "private_key: the function signs, but cannot decrypt: decrypt where the key is held"
            )
        if not isinstance(self.private_key, suites.RSAPrivateKey):
            raise ConfigurationError("private_key: encrypted fields are decrypted with RSA keys only")
        return self.private_key

    def __str__(self) -> str:
        return f"{'brand' if self.is_brand else 'merchant'} {self.id}"


def _is_brand(values: Mapping[str, Any], present: set[str]) -> bool:
    """Return whether a brand signs; refuse a group that is not complete."""
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


def _load_private_key(source: Any) -> Any:
    if callable(source):
        if inspect.iscoroutinefunction(source):
            raise ConfigurationError(
                "private_key: a plain function, which async calls run on a thread, not a coroutine function"
            )
        return source
    try:
        return suites.load_private_key(source)
    except CryptoError as error:
        reason = str(error).removeprefix("private key: ")
        is_dummy = isinstance(source, str) and len(source) < _DUMMY_SIZE and (source.isalnum() or not source)
        advice = "; for APIv2 alone leave serial, private_key and certs out" if is_dummy else ""
        raise ConfigurationError(f"private_key: {reason}{advice}") from None


def _suite(private_key: Any, certs: Any) -> Suite | None:
    """Return the suite of a key; a function leaves it to ``certs``, if there are any: then ``None``."""
    if callable(private_key):
        return suites.RSA if certs is None else None
    return suites.suite_of(private_key)


def _open_cache(directory: Any, name: str, *, downloads: bool) -> CertificateCache | None:
    """Check the setting ``certs_cache``; the directory is not touched yet."""
    if directory is None:
        return None
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ConfigurationError("certs_cache: the path of a directory")
    if not downloads:
        raise ConfigurationError("certs_cache: saves downloaded certificates, which need apiv3_key")
    return CertificateCache(Path(directory), name)
