"""RSA keys, whatever they come in.

Every key is checked once, where it enters: its kind, its size, and that it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
)

from wechatpay.crypto.containers import CERTIFICATE, PKCS12, PRIVATE, PUBLIC, pick
from wechatpay.crypto.encoding import utf8
from wechatpay.crypto.pem import certificate_in, is_certificate
from wechatpay.crypto.pkcs12 import open_pkcs12
from wechatpay.crypto.validation import check_size, validate_key
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

    from wechatpay.crypto.containers import Item
    from wechatpay.crypto.sources import Source

__all__ = ["PrivateKeySource", "PublicKeySource", "load_private_key", "load_public_key"]

PrivateKeySource: TypeAlias = "Source | RSAPrivateKey"
PublicKeySource: TypeAlias = "Source | RSAPublicKey | Certificate"


def load_private_key(source: PrivateKeySource, passphrase: str | bytes | None = None) -> RSAPrivateKey:
    """Load an RSA private key of at least 2048 bits.

    Args:
        source: PEM text or bytes (PKCS#1 or PKCS#8, encrypted or not; other blocks beside it do not matter);
            DER or PKCS#12 bytes; a ``file://`` URL, a path object or the path of an existing file with any of
            these; bare base64 behind ``private.pkcs1://`` or ``private.pkcs8://``; or a ``cryptography`` key.
        passphrase: What an encrypted key or a PKCS#12 file opens with; not used when nothing is encrypted.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read or opened, is damaged, or is too short.
    """
    if isinstance(source, RSAPrivateKey):
        return check_size(source, "private key")
    item = pick(source, (PRIVATE, PKCS12), PRIVATE)
    if item.kind == PKCS12:
        key, _ = open_pkcs12(item.data, passphrase, "private key")
    else:
        key = _parse_private(item, passphrase)
    if not isinstance(key, RSAPrivateKey):
        raise _not_rsa(key, "private key")
    return validate_key(check_size(key, "private key"))


def load_public_key(source: PublicKeySource, passphrase: str | bytes | None = None) -> RSAPublicKey:
    """Load an RSA public key of at least 2048 bits.

    Args:
        source: PEM text or bytes (SPKI, PKCS#1, or an X.509 certificate, whose key is taken); DER or
            PKCS#12 bytes; a ``file://`` URL, a path object or the path of an existing file with any of
            these; bare base64 behind ``public.spki://`` or ``public.pkcs1://``; or a ``cryptography`` key or
            certificate.
        passphrase: What a PKCS#12 file opens with.

    Raises:
        CryptoError: ``source`` is anything else (a private key is never taken for a public one), cannot be
            read or opened, is damaged, or is too short.
    """
    if isinstance(source, RSAPublicKey):
        return check_size(source, "public key")
    if is_certificate(source):
        return _public_half(source)
    item = pick(source, (PUBLIC, CERTIFICATE, PKCS12), PUBLIC)
    return _public_half(None if item.kind == PUBLIC else certificate_in(item, passphrase), item.data)


def _public_half(certificate: Certificate | None, der: bytes = b"") -> RSAPublicKey:
    try:
        key = certificate.public_key() if certificate else load_der_public_key(der)
    except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and all mean the same here
        raise CryptoError("public key: is damaged, or of a kind that is not known") from None
    if not isinstance(key, RSAPublicKey):
        raise _not_rsa(key, "public key")
    return check_size(key, "public key")


def _parse_private(item: Item, passphrase: str | bytes | None) -> PrivateKeyTypes:
    secret = utf8(passphrase, "passphrase") if passphrase else None
    # PEM is left as it is only when its headers say how it is encrypted.
    load = load_pem_private_key if item.data.startswith(b"-") else load_der_private_key
    for password in dict.fromkeys((secret, None)):
        try:
            # Full validation takes 40 ms; `validate_key` finds a damaged key in one.
            return load(item.data, password, unsafe_skip_rsa_key_validation=True)
        except TypeError:
            # Either nothing is encrypted, and the passphrase is not needed, or it is needed and missing.
            continue
        except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and may show the key
            wrong = (
                "is damaged"
                if password is None
                else "does not open: the passphrase is wrong, or the key damaged"
            )
            raise CryptoError(f"private key: {wrong}") from None
    raise CryptoError(
        'private key: it is encrypted; give (source, "passphrase") as the setting,'
        " or load it with rsa.load_private_key(source, passphrase)"
    )


def _not_rsa(key: object, name: str) -> CryptoError:
    given = "a file without a key" if key is None else f"an object of the type {type(key).__name__}"
    return CryptoError(f"{name}: {given} was given where an RSA key is needed")
