"""Keys as bare base64, the form in which consoles and configuration stores hand them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, overload

from wechatpay.crypto.encoding import base64_decode, base64_encode
from wechatpay.crypto.keys import load_private_key, load_public_key
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["KEY_TYPE_PRIVATE", "KEY_TYPE_PUBLIC", "from_pkcs1", "from_pkcs8", "from_spki", "pkcs1_to_spki"]

KEY_TYPE_PRIVATE: Final = "private"
KEY_TYPE_PUBLIC: Final = "public"

# X.690 DER: SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }, as RFC 3279 section 2.3.1 has it.
_RSA_ENCRYPTION: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_LONGEST_SHORT_LENGTH: Final = 127


@overload
def from_pkcs1(thing: str, kind: Literal["private"] = "private") -> RSAPrivateKey: ...
@overload
def from_pkcs1(thing: str, kind: Literal["public"]) -> RSAPublicKey: ...
def from_pkcs1(thing: str, kind: str = KEY_TYPE_PRIVATE) -> RSAPrivateKey | RSAPublicKey:
    """Load the base64 body of an ``RSA PRIVATE KEY`` or an ``RSA PUBLIC KEY``.

    Args:
        thing: Base64 of the DER; line breaks do not matter.
        kind: `KEY_TYPE_PRIVATE` or `KEY_TYPE_PUBLIC`.

    Raises:
        CryptoError: ``thing`` is no such key, or ``kind`` is something else.
    """
    if kind == KEY_TYPE_PRIVATE:
        return load_private_key(f"private.pkcs1://{thing}")
    if kind == KEY_TYPE_PUBLIC:
        return load_public_key(f"public.pkcs1://{thing}")
    raise CryptoError(f"kind: {kind!r} is neither {KEY_TYPE_PRIVATE!r} nor {KEY_TYPE_PUBLIC!r}")


def from_pkcs8(thing: str) -> RSAPrivateKey:
    """Load the base64 body of a ``PRIVATE KEY``.

    Args:
        thing: Base64 of the DER; line breaks do not matter.

    Raises:
        CryptoError: ``thing`` is no such key.
    """
    return load_private_key(f"private.pkcs8://{thing}")


def from_spki(thing: str) -> RSAPublicKey:
    """Load the base64 body of a ``PUBLIC KEY``.

    Args:
        thing: Base64 of the DER; line breaks do not matter.

    Raises:
        CryptoError: ``thing`` is no such key.
    """
    return load_public_key(f"public.spki://{thing}")


def pkcs1_to_spki(thing: str) -> str:
    """Wrap the base64 body of an ``RSA PUBLIC KEY`` into that of a ``PUBLIC KEY``.

    Args:
        thing: Base64 of the DER, which is not looked at; line breaks do not matter.

    Raises:
        CryptoError: ``thing`` is not base64.
    """
    key = base64_decode("".join(thing.split()), "thing")
    return base64_encode(_der(0x30, _RSA_ENCRYPTION + _der(0x03, b"\0" + key)))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size <= _LONGEST_SHORT_LENGTH:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content
