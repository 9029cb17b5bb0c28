"""``AEAD_SM4_GCM``, the cipher of the SM suite's callbacks and platform certificates (RFC 8998)."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay.crypto.aes_gcm import TAG_BYTES, gcm_nonce
from wechatpay.crypto.encoding import base64_decode, base64_encode, utf8
from wechatpay.crypto.sm2 import Sm3
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

__all__ = ["KEY_BYTES", "TAG_BYTES", "decrypt", "decrypt_bytes", "encrypt"]

KEY_BYTES: Final = 16
_APIV3_KEY_BYTES = 32


@conceal
def encrypt(plaintext: str | bytes, key: str | bytes, iv: str | bytes, aad: str | bytes | None = "") -> str:
    """Encrypt and authenticate.

    Args:
        plaintext: Text, encrypted as UTF-8, or bytes.
        key: The APIv3 key, 32 bytes, whose SM3 begins with the SM4 key; or an SM4 key, 16 bytes.
        iv: Nonce, 8 to 128 bytes, 12 usual; never the same twice under one key.
        aad: Associated data, authenticated and not encrypted.

    Returns:
        Cipher text and 16-byte tag, in base64.

    Raises:
        CryptoError: The key or the nonce has the wrong length.
    """
    encryptor = _cipher(key, GCM(gcm_nonce(iv))).encryptor()
    encryptor.authenticate_additional_data(utf8(aad or b"", "aad"))
    data = encryptor.update(utf8(plaintext, "plaintext")) + encryptor.finalize()
    return base64_encode(data + encryptor.tag)


@conceal
def decrypt(ciphertext: str, key: str | bytes, iv: str | bytes, aad: str | bytes | None = "") -> str:
    """Decrypt a text, after authenticating it.

    Args:
        ciphertext: Cipher text and 16-byte tag, in strict base64.
        key: As for `encrypt`.
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
    nonce, data = gcm_nonce(iv), base64_decode(ciphertext, "ciphertext")
    if len(data) < TAG_BYTES:
        raise CryptoError(f"ciphertext: {len(data)} bytes are too few to hold a tag of {TAG_BYTES}")
    decryptor = _cipher(key, GCM(nonce, data[-TAG_BYTES:])).decryptor()
    decryptor.authenticate_additional_data(utf8(aad or b"", "aad"))
    try:
        return decryptor.update(data[:-TAG_BYTES]) + decryptor.finalize()
    except InvalidTag:
        raise CryptoError(
            "ciphertext: was not made with this key, iv and aad; for WeChat Pay's, check the APIv3 key"
        ) from None


def _cipher(key: str | bytes, mode: GCM) -> Cipher[GCM]:
    secret = utf8(key, "key")
    if len(secret) == _APIV3_KEY_BYTES:
        secret = Sm3(secret).digest()[:KEY_BYTES]
    if len(secret) != KEY_BYTES:
        raise CryptoError(
            f"key: give the APIv3 key, {_APIV3_KEY_BYTES} bytes, or an SM4 key, {KEY_BYTES} bytes, "
            f"not {len(secret)}"
        )
    return Cipher(SM4(secret), mode)
