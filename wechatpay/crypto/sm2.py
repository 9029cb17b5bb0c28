"""SM2 as WeChat Pay uses it: signatures over SM3, with the default user id, in DER and base64.

Keys may be whatever the loaders take; a loaded key is used as it is, without parsing anything again. The
arithmetic is that of GmSSL, which the extra ``[sm]`` installs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from wechatpay.crypto.encoding import base64_decode, base64_encode, utf8
from wechatpay.crypto.sm2_keys import (
    SM2PrivateKey,
    SM2PublicKey,
    find_private_key,
    find_public_key,
    library,
)
from wechatpay.crypto.sm3 import DIGEST_BYTES, Sm3
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from wechatpay.crypto.sources import Source

__all__ = [
    "SM2PrivateKey",
    "SM2PublicKey",
    "load_private_key",
    "load_public_key",
    "sign",
    "verify",
    "verify_digest",
]

PrivateKeySource: TypeAlias = "Source | SM2PrivateKey"
PublicKeySource: TypeAlias = "Source | SM2PublicKey | Certificate"


def load_private_key(source: PrivateKeySource) -> SM2PrivateKey:
    """Load an SM2 private key.

    Args:
        source: PEM text or bytes (PKCS#8 or SEC 1, not encrypted); DER bytes; a ``file://`` URL, a path
            object or the path of an existing file with any of these.

    Raises:
        CryptoError: ``source`` is anything else, or damaged, or the extra ``[sm]`` is not installed.
    """
    key = source if isinstance(source, SM2PrivateKey) else find_private_key(source)
    if key is None:
        raise CryptoError(
            "private key: no SM2 key that can be read; an encrypted one must be decrypted first"
        )
    return key


def load_public_key(source: PublicKeySource) -> SM2PublicKey:
    """Load an SM2 public key.

    Args:
        source: PEM text or bytes (SPKI, or an X.509 certificate, whose key is taken); DER bytes; a
            ``file://`` URL, a path object or the path of an existing file with any of these; or a
            ``cryptography`` certificate.

    Raises:
        CryptoError: ``source`` is anything else, or damaged, or the extra ``[sm]`` is not installed.
    """
    key = source if isinstance(source, SM2PublicKey) else find_public_key(source)
    if key is None:
        raise CryptoError("public key: no SM2 key that can be read")
    return key


def sign(message: str | bytes, private_key: PrivateKeySource) -> str:
    """Sign a message.

    Args:
        message: Text, signed as UTF-8, or bytes.
        private_key: The merchant's key, or what `load_private_key` takes.

    Returns:
        The signature, DER in base64.

    Raises:
        CryptoError: The key cannot be used.
    """
    key = load_private_key(private_key)
    digest = Sm3(key.public.prefix + utf8(message, "message")).digest()
    return base64_encode(library().sm2_sign_sm3_digest(key.secret, digest))


def verify(message: str | bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Tell whether a signature over a message is genuine.

    Args:
        message: Text, taken as UTF-8, or bytes.
        signature: Base64, strictly; anything that is no signature is no genuine one.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used.
    """
    key = load_public_key(public_key)
    return verify_digest(Sm3(key.prefix + utf8(message, "message")).digest(), signature, key)


def verify_digest(digest: bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Tell whether a signature is genuine over a message of which only the digest is at hand.

    Args:
        digest: SM3 of the key's ``prefix`` and the message, 32 bytes.
        signature: Base64, strictly.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used, or ``digest`` has not 32 bytes.
    """
    if len(digest) != DIGEST_BYTES:
        raise CryptoError(f"digest: SM3 has {DIGEST_BYTES} bytes, got {len(digest)}")
    key, gmssl = load_public_key(public_key), library()
    try:
        der = base64_decode(signature, "signature")
        # GmSSL writes to stderr about each signature that it cannot read: it is to see none.
        decode_dss_signature(der)
        return bool(gmssl.sm2_verify_sm3_digest(key.point, digest, der))
    except (ValueError, gmssl.GmsslInnerError):
        return False
