"""The merchant certificate and its key, which APIv2's ``security`` puts on the connection.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, CryptoError, shorten

if TYPE_CHECKING:
    import ssl

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the merchant is to a TLS server.

    Attributes:
        chain: The merchant's certificate, and those that lead from it to its authority.
        key: The key of the first.
    """

    chain: tuple[Certificate, ...]
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def load(cls, given: Any, mchid: str) -> Identity | None:
        """Load the setting ``merchant``.

        Args:
            given: ``{"cert": …, "key": …}``; ``{"cert": …}`` or the bare source of a file that holds both,
                such as ``apiclient_cert.p12``; or ``None``. A source is what :mod:`wechatpay.crypto` loads,
                or a pair of that and its passphrase.
            mchid: What WeChat Pay's own PKCS#12 files open with.

        Raises:
            ConfigurationError: One is missing, does not load, or does not belong to the other.
        """
        sources = _sources(given)
        if not sources:
            return None
        if "cert" not in sources:
            raise ConfigurationError("merchant: cert is missing; give cert and key together")
        identity = cls(_chain(sources["cert"], mchid), _key(sources, mchid))
        if identity.chain[0].public_key() != identity.key.public_key():
            raise ConfigurationError("merchant: the key does not belong to the certificate")
        return identity

    def enter(self, context: ssl.SSLContext) -> None:
        """Present the certificate on the connections of ``context``.

        Raises:
            ConfigurationError: TLS does not take it.
        """
        # The ssl module takes paths only: the key goes to the disk encrypted, and is gone at once.
        passphrase = secrets.token_hex(32)
        try:
            with tempfile.TemporaryDirectory(prefix="wechatpay-") as folder:
                path = Path(folder, "merchant.pem")
                path.touch(0o600)
                path.write_bytes(self._pem(passphrase))
                context.load_cert_chain(path, password=passphrase)
        except OSError as error:
            raise ConfigurationError(
                f"merchant: TLS does not take the certificate: {error.strerror}"
            ) from None

    def _pem(self, passphrase: str) -> bytes:
        from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415  heavy

        lock = form.BestAvailableEncryption(passphrase.encode())
        key = self.key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)
        return key + b"".join(certificate.public_bytes(form.Encoding.PEM) for certificate in self.chain)


def _sources(given: Any) -> dict[str, tuple[Any, Any]]:
    """Pair the sources that were given with their passphrases."""
    if given is not None and not isinstance(given, Mapping):
        given = {"cert": given}
    if unknown := set(given or ()) - {"cert", "key"}:
        names = ", ".join(shorten(str(name)) for name in unknown)
        raise ConfigurationError(f"merchant: {names}: unknown; it has cert and key")
    pairs = {}
    for name, source in (given or {}).items():
        if isinstance(source, list | tuple):
            if len(source) != 2:  # noqa: PLR2004  a pair
                raise ConfigurationError(f"merchant: {name}: a pair is (source, passphrase)")
            pairs[name] = tuple(source)
        elif source is not None:
            pairs[name] = (source, None)
    return pairs


def _chain(pair: tuple[Any, Any], mchid: str) -> tuple[Certificate, ...]:
    from wechatpay.crypto import pem  # noqa: PLC0415  `cryptography` is heavy

    source, passphrase = pair
    try:
        chain = tuple(pem.load_certificates(source, passphrase or mchid))
    except CryptoError as error:
        raise ConfigurationError(f"merchant: cert: {error}") from None
    if not chain:
        raise ConfigurationError("merchant: cert: holds no certificate; were cert and key exchanged?")
    return chain


def _key(given: Mapping[str, tuple[Any, Any]], mchid: str) -> RSAPrivateKey:
    from wechatpay.crypto import rsa  # noqa: PLC0415  `cryptography` is heavy

    source, passphrase = given.get("key", given["cert"])
    try:
        return rsa.load_private_key(source, passphrase or mchid)
    except CryptoError as error:
        missing = (
            "" if "key" in given else "missing, and not beside the certificate; give cert and key together: "
        )
        raise ConfigurationError(f"merchant: key: {missing}{error}") from None
