"""Whether an RSA key is fit for use, found out once, where it enters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers

__all__ = ["proven", "sized"]

_MIN_BITS: Final = 2048
# OpenSSL's own limit: larger keys could not be used, only be slow to refuse.
_MAX_BITS: Final = 16384

_Key = TypeVar("_Key", RSAPrivateKey, RSAPublicKey)


def sized(key: _Key, name: str) -> _Key:
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


def proven(key: RSAPrivateKey) -> RSAPrivateKey:
    """Refuse a damaged private key now, rather than in the middle of a payment.

    The parts must fit each other, and what the key signs must verify. `cryptography` proves the primes as
    well, which takes 40 times as long and adds nothing for a key that its owner brings.

    Args:
        key: A key that was parsed without validation.

    Raises:
        CryptoError: The key is damaged.
    """
    try:
        if _fits(key.private_numbers()):
            signature = key.sign(b"", PKCS1v15(), SHA256())
            key.public_key().verify(signature, b"", PKCS1v15(), SHA256())
            return key
    except Exception:  # noqa: BLE001 - whatever fails, and however, the key does not work
        raise CryptoError("private key: is damaged: what it signs does not verify") from None
    raise CryptoError("private key: is damaged: its parts do not fit each other")


def _fits(key: RSAPrivateNumbers) -> bool:
    """Check the relations of RFC 8017, section 3.2; sizes first, so that the rest is quick."""
    e, n = key.public_numbers.e, key.public_numbers.n
    p, q = key.p, key.q
    return (
        all(1 < part < n for part in (e, key.d, p, q))
        and p * q == n
        and key.d % (p - 1) == key.dmp1
        and key.d % (q - 1) == key.dmq1
        and 0 < key.iqmp < p
        and key.iqmp * q % p == 1
        and e * key.dmp1 % (p - 1) == 1
        and e * key.dmq1 % (q - 1) == 1
    )
