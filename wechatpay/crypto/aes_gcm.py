"""``AEAD_AES_256_GCM``, the cipher of APIv3 callbacks and platform certificates.

See https://pay.weixin.qq.com/wiki/doc/apiv3/wechatpay/wechatpay4_2.shtml.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay.crypto.encoding import base64_decode, base64_encode, utf8
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

__all__ = ["KEY_BYTES", "TAG_BYTES", "decrypt", "decrypt_bytes", "encrypt", "gcm_nonce"]

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
# OpenSSL's limits; WeChat Pay's have 12 bytes.
_MIN_NONCE, _MAX_NONCE = 8, 128


@conceal
def encrypt(plaintext: str | bytes, key: str | bytes, iv: str | bytes, aad: str | bytes | None = "") -> str:
    """Encrypt and authenticate.

    Args:
        plaintext: Text, encrypted as UTF-8, or bytes.
        key: APIv3 key, exactly 32 bytes.
        iv: Nonce, 8 to 128 bytes, 12 usual; never the same twice under one key.
        aad: Associated data, authenticated and not encrypted.

    Returns:
        Cipher text and 16-byte tag, in base64.

    Raises:
        CryptoError: The key or the nonce has the wrong length.
    """
    nonce = gcm_nonce(iv)
    return base64_encode(_cipher(key).encrypt(nonce, utf8(plaintext, "plaintext"), utf8(aad or b"", "aad")))


@conceal
def decrypt(ciphertext: str, key: str | bytes, iv: str | bytes, aad: str | bytes | None = "") -> str:
    """Decrypt a text, after authenticating it.

    Args:
        ciphertext: Cipher text and 16-byte tag, in strict base64.
        key: APIv3 key, exactly 32 bytes.
        iv: Nonce, 8 to 128 bytes.
        aad: Associated data; empty or ``None`` where there is none.

    Raises:
        CryptoError: An argument is malformed, they do not belong together, or the plain text is not UTF-8.
    """
    try:
        return decrypt_bytes(ciphertext, key, iv, aad).decode()
    except UnicodeDecodeError:
        raise CryptoError("ciphertext: does not hold UTF-8 text; decrypt_bytes gives the bytes") from None


@conceal
def decrypt_bytes(ciphertext: str, key: str | bytes, iv: str | bytes, aad: str | bytes | None = "") -> bytes:
    """Decrypt what is not text; everything else is as for `decrypt`.

    Raises:
        CryptoError: An argument is malformed, or they do not belong together.
    """
    nonce, cipher = gcm_nonce(iv), _cipher(key)
    data = base64_decode(ciphertext, "ciphertext")
    if len(data) < TAG_BYTES:
        raise CryptoError(f"ciphertext: {len(data)} bytes are too few to hold a tag of {TAG_BYTES}")
    try:
        return cipher.decrypt(nonce, data, utf8(aad or b"", "aad"))
    except InvalidTag:
        raise CryptoError(
            "ciphertext: was not made with this key, iv and aad; for WeChat Pay's, check the APIv3 key"
        ) from None


def _cipher(key: str | bytes) -> AESGCM:
    secret = utf8(key, "key")
    if len(secret) != KEY_BYTES:
        raise CryptoError(f"key: AES-256 needs exactly {KEY_BYTES} bytes, got {len(secret)}")
    return AESGCM(secret)


def gcm_nonce(iv: str | bytes) -> bytes:
    """Check the nonce of a GCM cipher, 8 to 128 bytes."""
    nonce = utf8(iv, "iv")
    if not _MIN_NONCE <= len(nonce) <= _MAX_NONCE:
        raise CryptoError(f"iv: needs {_MIN_NONCE} to {_MAX_NONCE} bytes (12 are usual), got {len(nonce)}")
    return nonce
