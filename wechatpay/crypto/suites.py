"""Suites of algorithms: what signs, digests and encrypts together.

A suite follows from the kind of a key. https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay.crypto import aes_gcm, rsa
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.crypto.sm2 import SM2PrivateKey, SM2PublicKey

__all__ = [
    "RSA",
    "Digest",
    "PrivateKey",
    "PublicKey",
    "RSAPrivateKey",
    "RSAPublicKey",
    "Suite",
    "load_private_key",
    "load_public_key",
    "suite_of",
]

PrivateKey: TypeAlias = "RSAPrivateKey | SM2PrivateKey"
PublicKey: TypeAlias = "RSAPublicKey | SM2PublicKey"


class Digest(Protocol):
    """A digest in progress, as `hashlib` has them."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""

    def copy(self) -> Digest:
        """Copy what was taken so far."""

    def digest(self) -> bytes:
        """Return the digest of what was taken so far."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The algorithms that are used together.

    Attributes:
        name: The kind of its keys: ``RSA`` or ``SM2``.
        scheme: What ``Authorization`` begins with.
        cipher: The name of the cipher of callbacks and certificates.
        sign: Takes a text and a loaded private key; returns base64.
        verify: Returns whether text, signature and a loaded public key belong together.
        prefix: What is digested before each text that a public key is to verify.
        digest: Begins a digest with some bytes.
        verify_digest: Returns whether digest, signature and public key belong together.
        decrypt: Takes cipher text in base64, APIv3 key, nonce and associated data; raises ``CryptoError``.
    """

    name: str
    scheme: str
    cipher: str
    sign: Callable[[bytes, Any], str]
    verify: Callable[[bytes, str, Any], bool]
    prefix: Callable[[Any], bytes]
    digest: Callable[[bytes], Digest]
    verify_digest: Callable[[bytes, str, Any], bool]
    decrypt: Callable[[str, bytes, str, str | None], bytes]

    def __repr__(self) -> str:
        return f"<Suite {self.name}>"


RSA: Final = Suite(
    name="RSA",
    scheme="WECHATPAY2-SHA256-RSA2048",
    cipher="AEAD_AES_256_GCM",
    sign=rsa.sign_bytes,
    verify=rsa.verify_bytes,
    prefix=lambda _: b"",
    digest=hashlib.sha256,
    verify_digest=rsa.verify_digest,
    decrypt=aes_gcm.decrypt_bytes,
)

_RSA_KEYS: Final = (RSAPublicKey, RSAPrivateKey)


@functools.cache
def _sm() -> Suite:
    """Return the SM2 suite, made once."""
    from wechatpay.crypto import sm2, sm4_gcm  # noqa: PLC0415  few have SM2 keys

    return Suite(
        name="SM2",
        scheme="WECHATPAY2-SM2-WITH-SM3",
        cipher="AEAD_SM4_GCM",
        sign=sm2.sign,
        verify=sm2.verify,
        prefix=lambda key: key.prefix,
        digest=sm2.Sm3,
        verify_digest=sm2.verify_digest,
        decrypt=sm4_gcm.decrypt_bytes,
    )


def suite_of(key: PrivateKey | PublicKey) -> Suite:
    """Return the suite of a loaded key."""
    return RSA if isinstance(key, _RSA_KEYS) else _sm()


@conceal
def load_private_key(source: Any, passphrase: str | bytes | None = None) -> PrivateKey:
    """Load a private key of either kind.

    Args:
        source: What `rsa.load_private_key` or `sm2.load_private_key` takes; or a pair, with the passphrase.
        passphrase: The passphrase of an encrypted RSA key or a PKCS#12 file.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read, or is damaged; or its kind needs an extra.
    """
    if isinstance(source, tuple | list) and len(source) == 2:  # noqa: PLR2004  a pair
        source, passphrase = source
    try:
        return rsa.load_private_key(source, passphrase)
    except CryptoError:
        from wechatpay.crypto import sm2  # noqa: PLC0415  few have SM2 keys

        if isinstance(source, sm2.SM2PrivateKey):
            return source
        if (key := sm2.find_private_key(source)) is None:
            raise
        return key


def load_public_key(source: Any) -> PublicKey:
    """Load a public key of either kind, bare or of a certificate.

    Args:
        source: What `rsa.load_public_key` or `sm2.load_public_key` takes.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read, or is damaged; or its kind needs an extra.
    """
    try:
        return rsa.load_public_key(source)
    except CryptoError:
        from wechatpay.crypto import sm2  # noqa: PLC0415  few have SM2 keys

        if isinstance(source, sm2.SM2PublicKey):
            return source
        if (key := sm2.find_public_key(source)) is None:
            raise
        return key
