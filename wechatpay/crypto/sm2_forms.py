"""The forms that SM2 keys come in: PKCS#8 and SEC 1, SPKI and X.509 (RFC 5958, 5915, 5480 and 5280)."""

from __future__ import annotations

from typing import Final

from wechatpay.crypto.der import BIT_STRING, INTEGER, OCTET_STRING, OID, SEQUENCE, members, tagged
from wechatpay.crypto.sm2_curve import NUMBER_BYTES

__all__ = ["is_sm2", "read_private", "read_public"]

_EC: Final = bytes.fromhex("2a8648ce3d0201")
_SM2: Final = bytes.fromhex("2a811ccf5501822d")
#: An EC key's own public key, and a certificate's own version.
_PUBLIC_HALF: Final = 0xA1
_VERSION: Final = 0xA0
#: What stands before the key in a certificate: serial number, algorithm, issuer, validity, subject.
_BEFORE_KEY: Final = (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE)


def is_sm2(der: bytes) -> bool:
    """Tell whether a key of some form names the curve of SM2."""
    return bytes((OID, len(_SM2))) + _SM2 in der


def read_private(der: bytes) -> tuple[bytes, bytes]:
    """Read a PKCS#8 or SEC 1 key.

    Returns:
        The number, 32 bytes, and the encoded point, which is empty where the form leaves it out.

    Raises:
        ValueError: It is damaged, or of another algorithm.
    """
    (key,) = tagged(der, SEQUENCE)
    if [tag for tag, _ in members(key)[:2]] == [INTEGER, SEQUENCE]:
        _, algorithm, wrapped = tagged(key, INTEGER, SEQUENCE, OCTET_STRING)
        _check(algorithm)
        (key,) = tagged(wrapped, SEQUENCE)
    _, octets = tagged(key, INTEGER, OCTET_STRING)
    # Some write it without leading zeros.
    number = octets.rjust(NUMBER_BYTES, b"\0")
    if len(number) != NUMBER_BYTES:
        raise ValueError("a number that is too large")
    points = [tagged(content, BIT_STRING)[0] for tag, content in members(key) if tag == _PUBLIC_HALF]
    return number, b"".join(points)[1:]


def read_public(der: bytes, *, is_certificate: bool) -> bytes:
    """Read the encoded point of a SubjectPublicKeyInfo, or of a certificate's.

    Raises:
        ValueError: It is damaged, or of another algorithm.
    """
    (key,) = tagged(der, SEQUENCE)
    if is_certificate:
        (body,) = tagged(key, SEQUENCE)
        is_versioned = body[:1] == bytes((_VERSION,))
        key = tagged(body, *((_VERSION,) if is_versioned else ()), *_BEFORE_KEY, SEQUENCE)[-1]
    algorithm, bits = tagged(key, SEQUENCE, BIT_STRING)
    _check(algorithm)
    return bits[1:]


def _check(algorithm: bytes) -> None:
    if tagged(algorithm, OID, OID) != [_EC, _SM2]:
        raise ValueError("another algorithm")
