"""Digests of APIv2: MD5 and HMAC.

MD5 is WeChat Pay's choice, kept for what still uses it; ask for ``HMAC-SHA256`` where an endpoint takes it.
See https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3.
"""

from __future__ import annotations

import hashlib
import hmac as _hmac
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wechatpay.crypto.encoding import utf8
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ALGORITHMS", "ALGO_HMAC_SHA256", "ALGO_MD5", "equals", "hmac", "md5", "sign"]

ALGO_MD5: Final = "MD5"
ALGO_HMAC_SHA256: Final = "HMAC-SHA256"

# What PHP takes for false in an argument that may be a flag or an agent's id.
_FALSY: Final = (False, 0, "", "0", None)


@conceal
def md5(thing: str | bytes, key: str | bytes = "", agency: bool | int | str = False) -> str:  # noqa: FBT001, FBT002 - PHP's signature
    """Digest parameters with MD5, followed by the secret.

    Args:
        thing: Sorted parameters, ``a=1&b=2``.
        key: APIv2 secret, appended as ``&key=``; nothing is appended when it is empty, or ``"0"``
            as in PHP.
        agency: True, or a WeCom agent's id: the secret is the agent's and is appended as ``&secret=``.

    Returns:
        32 lower-case hexadecimal digits.

    Raises:
        CryptoError: ``thing`` or ``key`` is neither text nor bytes.
    """
    data, secret = utf8(thing, "thing"), utf8(key, "key")
    if secret not in (b"", b"0"):
        data += (b"&key=" if agency in _FALSY else b"&secret=") + secret
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@conceal
def hmac(thing: str | bytes, key: str | bytes, algorithm: str = "sha256") -> str:
    """Digest parameters with HMAC, keyed by the secret and followed by it.

    Args:
        thing: Sorted parameters, ``a=1&b=2``.
        key: APIv2 secret, appended as ``&key=`` as well; it may not be empty.
        algorithm: Name of the hash, in any case: ``sha256``, ``sha512``, ``sha3-256``, ``md5`` …

    Returns:
        Lower-case hexadecimal digits, 64 for ``sha256``.

    Raises:
        CryptoError: ``key`` is empty, ``algorithm`` is not known, or an argument is of another type.
    """
    data, secret = utf8(thing, "thing"), utf8(key, "key")
    if not secret:
        raise CryptoError("key: is empty; give the APIv2 secret")
    try:
        return _hmac.digest(secret, data + b"&key=" + secret, _hash_name(algorithm)).hex()
    except (AttributeError, TypeError, ValueError):
        raise CryptoError(f"algorithm: {algorithm!r} is not a known hash; WeChat Pay uses sha256") from None


def _hash_name(algorithm: str) -> str:
    """Turn PHP's spelling (``sha512/256``, ``sha3-256``) into Python's."""
    return algorithm.lower().replace("/", "_").replace("-", "_")


ALGORITHMS: Final[Mapping[str, Callable[[str | bytes, str | bytes], str]]] = MappingProxyType(
    {ALGO_HMAC_SHA256: hmac, ALGO_MD5: md5}
)


@conceal
def sign(sign_type: str, data: str | bytes, key: str | bytes) -> str:
    """Digest APIv2 parameters as their ``sign``.

    Args:
        sign_type: `ALGO_MD5` or `ALGO_HMAC_SHA256`, spelled exactly so.
        data: Sorted parameters; see `wechatpay.formatter.query_string_like`.
        key: APIv2 secret.

    Returns:
        32 (MD5) or 64 upper-case hexadecimal digits.

    Raises:
        CryptoError: ``sign_type`` is not known, or an argument cannot be used.
    """
    if sign_type not in ALGORITHMS:
        raise CryptoError(f"sign_type: {sign_type!r} is not known; it is {' or '.join(ALGORITHMS)}")
    return ALGORITHMS[sign_type](data, key).upper()


def equals(known: str | bytes, user: str | bytes | None = None) -> bool:
    """Compare two digests in constant time.

    Args:
        known: The digest that was computed.
        user: The digest that was received; ``None`` equals nothing.
    """
    return user is not None and _hmac.compare_digest(_comparable(known), _comparable(user))


def _comparable(value: str | bytes) -> bytes:
    # What was received may hold anything; what is not UTF-8 is unequal, not an error.
    return value.encode(errors="surrogatepass") if isinstance(value, str) else value
