"""The validation of RSA keys: size, and one signature made and verified."""

from __future__ import annotations

from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay.errors import CryptoError

__all__ = ["check_size", "validate_key"]

_MIN_BITS: Final = 2048
# OpenSSL's own limit: larger keys could not be used, only be slow to refuse.
_MAX_BITS: Final = 16384

_Key = TypeVar("_Key", RSAPrivateKey, RSAPublicKey)


def check_size(key: _Key, name: str) -> _Key:
    """Refuse a key of less than 2048 bits.

    Args:
        key: Any RSA key.
        name: What to call the key in an error.

    Raises:
        CryptoError: The key is shorter, or longer than OpenSSL can use (16384).
    """
    if not _MIN_BITS <= key.key_size <= _MAX_BITS:
        raise CryptoError(
            f"{name}: {key.key_size} bits were given, where {_MIN_BITS} to {_MAX_BITS} are needed"
        )
    return key


def validate_key(key: RSAPrivateKey) -> RSAPrivateKey:
    """Refuse a damaged private key now, rather than in the middle of a payment.

    One signature is made and verified. `cryptography`'s full validation searches for primes as well, which
    takes 40 times as long.

    Args:
        key: A key that was parsed without validation.

    Raises:
        CryptoError: The key is damaged.
    """
    try:
        signature = key.sign(b"", PKCS1v15(), SHA256())
        key.public_key().verify(signature, b"", PKCS1v15(), SHA256())
    except Exception:  # noqa: BLE001 - whatever fails, and however, the key does not work
        raise CryptoError("private key: is damaged: what it signs does not verify") from None
    return key
