"""RSA as WeChat Pay uses it: signatures with SHA-256, sensitive fields under OAEP with SHA-1.

Keys may be whatever the loaders take; a loaded key is used as it is, without parsing anything again.
See https://pay.weixin.qq.com/doc/v3/merchant/4012365342.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.padding import OAEP as _OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from wechatpay.crypto.encoding import base64_decode, base64_encode, utf8
from wechatpay.crypto.keys import (
    KEY_TYPE_PRIVATE,
    KEY_TYPE_PUBLIC,
    from_pkcs1,
    from_pkcs8,
    from_spki,
    load_private_key,
    load_public_key,
    pkcs1_to_spki,
)
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

    from wechatpay.crypto.keys import PrivateKeySource, PublicKeySource

__all__ = [
    "KEY_TYPE_PRIVATE",
    "KEY_TYPE_PUBLIC",
    "OAEP",
    "PKCS1_V15",
    "decrypt",
    "decrypt_bytes",
    "encrypt",
    "from_pkcs1",
    "from_pkcs8",
    "from_spki",
    "load_private_key",
    "load_public_key",
    "pkcs1_to_spki",
    "prepare_copy",
    "sign",
    "sign_bytes",
    "verify",
    "verify_bytes",
    "verify_digest",
]

PKCS1_V15: Final = PKCS1v15()
OAEP: Final = _OAEP(mgf=MGF1(algorithm=SHA1()), algorithm=SHA1(), label=None)  # noqa: S303 - the protocol's choice, and safe in OAEP
_SHA256: Final = SHA256()
_DIGEST: Final = Prehashed(_SHA256)


@conceal
def sign(message: str | bytes, private_key: PrivateKeySource) -> str:
    """Sign a message with RSA PKCS#1 v1.5 and SHA-256.

    Args:
        message: Text, signed as UTF-8, or bytes.
        private_key: The merchant's key, or what `load_private_key` takes.

    Returns:
        The signature in base64.

    Raises:
        CryptoError: The key cannot be used.
    """
    return sign_bytes(utf8(message, "message"), load_private_key(private_key))


def sign_bytes(message: bytes, key: RSAPrivateKey) -> str:
    """Sign with a key that `load_private_key` returned, as `sign` does."""
    return base64_encode(key.sign(message, PKCS1_V15, _SHA256))


def verify(message: str | bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Return whether a signature over a message is genuine.

    Args:
        message: Text, taken as UTF-8, or bytes.
        signature: Strict base64; anything malformed is not genuine.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used.
    """
    return verify_bytes(utf8(message, "message"), signature, load_public_key(public_key))


def verify_bytes(
    message: bytes, signature: str, key: RSAPublicKey, algorithm: SHA256 | Prehashed = _SHA256
) -> bool:
    """Verify with a key that `load_public_key` returned, as `verify` does."""
    try:
        key.verify(base64_decode(signature, "signature"), message, PKCS1_V15, algorithm)
    except (InvalidSignature, CryptoError):
        return False
    return True


def verify_digest(digest: bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Return whether a signature is genuine, given only the digest of the message.

    Args:
        digest: SHA-256 of the message, 32 bytes.
        signature: Strict base64.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used, or ``digest`` is not 32 bytes long.
    """
    if len(digest) != _SHA256.digest_size:
        raise CryptoError(f"digest: SHA-256 has {_SHA256.digest_size} bytes, got {len(digest)}")
    return verify_bytes(digest, signature, load_public_key(public_key), _DIGEST)


def encrypt(plaintext: str, public_key: PublicKeySource, padding: AsymmetricPadding = OAEP) -> str:
    """Encrypt a sensitive field.

    Args:
        plaintext: Text, at most 214 bytes of UTF-8 under a 2048-bit key.
        public_key: WeChat Pay's key or certificate, the one that ``Wechatpay-Serial`` names.
        padding: `OAEP`, unless an overseas API asks for `PKCS1_V15`.

    Returns:
        The cipher text in base64.

    Raises:
        CryptoError: The key cannot be used, or ``plaintext`` is too long for it.
    """
    key, data = load_public_key(public_key), utf8(plaintext, "plaintext")
    limit = key.key_size // 8 - _overhead(padding)
    if len(data) > limit:
        raise CryptoError(f"plaintext: {len(data)} bytes of UTF-8, but this key encrypts at most {limit}")
    try:
        return base64_encode(key.encrypt(data, padding))
    except ValueError:
        raise CryptoError("public key: is damaged: it does not encrypt") from None


@conceal
def decrypt(ciphertext: str, private_key: PrivateKeySource, padding: AsymmetricPadding = OAEP) -> str:
    """Decrypt a sensitive field of a response.

    Args:
        ciphertext: Strict base64.
        private_key: The merchant's key.
        padding: `OAEP`, unless an overseas API uses `PKCS1_V15`, which does not detect every damage.

    Raises:
        CryptoError: The cipher text was not made for this key and padding, or holds no text.
    """
    try:
        return decrypt_bytes(ciphertext, private_key, padding).decode()
    except UnicodeDecodeError:
        raise CryptoError("ciphertext: does not hold UTF-8 text; decrypt_bytes gives the bytes") from None


@conceal
def decrypt_bytes(ciphertext: str, private_key: PrivateKeySource, padding: AsymmetricPadding = OAEP) -> bytes:
    """Decrypt what is not text, such as the key of an encrypted bill.

    Args:
        ciphertext: Strict base64.
        private_key: The merchant's key.
        padding: As for `decrypt`.

    Raises:
        CryptoError: The cipher text was not made for this key and padding.
    """
    _overhead(padding)
    key, data = load_private_key(private_key), base64_decode(ciphertext, "ciphertext")
    try:
        return key.decrypt(data, padding)
    except ValueError:
        raise CryptoError("ciphertext: was not made for this private key and padding") from None


def prepare_copy(key: Any) -> Callable[[], Any]:
    """Return a function that parses ``key`` again, for a forked child.

    OpenSSL keeps locks and blinding factors in a key. Another thread may be changing them at the moment of a
    fork: in the child the key could then block without end, or sign wrongly.

    Args:
        key: An RSA key; any other key, and one that cannot be exported, is returned as it is.
    """
    try:
        if isinstance(key, RSAPrivateKey):
            private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            # Not a partial object, whose repr shows its arguments.
            return lambda: load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPublicKey):
            public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return lambda: load_der_public_key(public)
    except Exception:  # noqa: BLE001, S110  another library's key may refuse in any way
        pass
    return lambda: key


def _overhead(padding: AsymmetricPadding) -> int:
    """Return how many bytes of a block the padding takes (RFC 8017, sections 7.1.1 and 7.2.1)."""
    if padding is OAEP:
        return 2 * SHA1.digest_size + 2
    if padding is PKCS1_V15:
        return 11
    raise CryptoError("padding: give OAEP or PKCS1_V15 of this module")
