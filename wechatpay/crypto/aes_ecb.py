"""``AES-256-ECB`` with PKCS#7 padding, the cipher of ``req_info`` in APIv2 refund callbacks.

It authenticates nothing: trust the plain text only if you trust the sender.
See https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from wechatpay.crypto.encoding import base64_decode, base64_encode, utf8
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext
    from cryptography.hazmat.primitives.padding import PaddingContext

__all__ = ["decrypt", "decrypt_bytes", "encrypt"]

_KEY_BYTES: Final = 32
_PADDING: Final = PKCS7(128)


@conceal
def encrypt(plaintext: str | bytes, key: str | bytes, iv: str | bytes = "") -> str:
    """Encrypt.

    Args:
        plaintext: Text, encrypted as UTF-8, or bytes.
        key: Exactly 32 bytes: the lower-case hexadecimal MD5 of the APIv2 secret.
        iv: PHP's third argument. ECB has no initialization vector: leave it empty.

    Returns:
        Cipher text in base64.

    Raises:
        CryptoError: The key is not 32 bytes long, or ``iv`` is not empty.
    """
    _refuse_iv(iv)
    padded = _run(_PADDING.padder(), utf8(plaintext, "plaintext"))
    return base64_encode(_run(_cipher(key).encryptor(), padded))


@conceal
def decrypt(ciphertext: str, key: str | bytes, iv: str | bytes = "") -> str:
    """Decrypt a text.

    Args:
        ciphertext: Strict base64.
        key: Exactly 32 bytes: the lower-case hexadecimal MD5 of the APIv2 secret.
        iv: PHP's third argument. ECB has no initialization vector: leave it empty.

    Raises:
        CryptoError: An argument is malformed, they do not belong together, or the plain text is not UTF-8.
    """
    _refuse_iv(iv)
    try:
        return decrypt_bytes(ciphertext, key).decode()
    except UnicodeDecodeError:
        raise CryptoError(
            "ciphertext: does not hold UTF-8 text; check the key, or take the bytes from decrypt_bytes"
        ) from None


@conceal
def decrypt_bytes(ciphertext: str, key: str | bytes) -> bytes:
    """Decrypt what is not text; everything else is as for `decrypt`.

    Raises:
        CryptoError: An argument is malformed, or they do not belong together.
    """
    decryptor = _cipher(key).decryptor()
    data = base64_decode(ciphertext, "ciphertext")
    try:
        return _run(_PADDING.unpadder(), _run(decryptor, data))
    except ValueError:
        raise CryptoError("ciphertext: is cut short, or was not made with this key") from None


def _refuse_iv(iv: str | bytes) -> None:
    if iv:
        raise CryptoError("iv: ECB has no initialization vector; leave it empty")


def _cipher(key: str | bytes) -> Cipher[ECB]:
    secret = utf8(key, "key")
    if len(secret) != _KEY_BYTES:
        raise CryptoError(f"key: AES-256 needs exactly {_KEY_BYTES} bytes, got {len(secret)}")
    return Cipher(AES256(secret), ECB())  # noqa: S305 - the protocol's choice


def _run(context: CipherContext | PaddingContext, data: bytes) -> bytes:
    return context.update(data) + context.finalize()
