"""RSA keys: loading them from whatever they come in, and validating them.

Every key is checked once, when it is loaded: its kind, its size, and that it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, overload

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
)

from wechatpay.crypto.encoding import (
    BIT_STRING,
    SEQUENCE,
    base64_decode,
    base64_encode,
    der_encode,
    utf8,
)
from wechatpay.crypto.pem import (
    CERTIFICATE,
    PKCS12,
    PRIVATE,
    PUBLIC,
    find_item,
    is_certificate,
    open_pkcs12,
    parse_certificate,
)
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

    from wechatpay.crypto.pem import Item, Source

__all__ = [
    "KEY_TYPE_PRIVATE",
    "KEY_TYPE_PUBLIC",
    "PrivateKeySource",
    "PublicKeySource",
    "from_pkcs1",
    "from_pkcs8",
    "from_spki",
    "load_private_key",
    "load_public_key",
    "pkcs1_to_spki",
]

PrivateKeySource: TypeAlias = "Source | RSAPrivateKey"
PublicKeySource: TypeAlias = "Source | RSAPublicKey | Certificate"

KEY_TYPE_PRIVATE: Final = "private"
KEY_TYPE_PUBLIC: Final = "public"

_MIN_BITS: Final = 2048
# OpenSSL's own limit: larger keys could not be used, only be slow to refuse.
_MAX_BITS: Final = 16384
# X.690 DER: SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }, as RFC 3279 section 2.3.1 has it.
_RSA_ENCRYPTION: Final = bytes.fromhex("300d06092a864886f70d0101010500")

_Key = TypeVar("_Key", RSAPrivateKey, RSAPublicKey)


@conceal
def load_private_key(source: PrivateKeySource, passphrase: str | bytes | None = None) -> RSAPrivateKey:
    """Load an RSA private key of at least 2048 bits.

    Args:
        source: PEM text or bytes (PKCS#1 or PKCS#8, encrypted or not; other blocks beside it do not matter);
            DER or PKCS#12 bytes; a ``file://`` URL, a path object or the path of an existing file with any of
            these; bare base64 behind ``private.pkcs1://`` or ``private.pkcs8://``; or a ``cryptography`` key.
        passphrase: The passphrase of an encrypted key or a PKCS#12 file; not used when nothing is encrypted.

    Raises:
        CryptoError: ``source`` is anything else, cannot be read or opened, is damaged, or is too short.
    """
    if isinstance(source, RSAPrivateKey):
        return _check_size(source, "private key")
    item = find_item(source, (PRIVATE, PKCS12), PRIVATE)
    if item.kind == PKCS12:
        key, _ = open_pkcs12(item.data, passphrase, "private key")
    else:
        key = _parse_private(item, passphrase)
    if not isinstance(key, RSAPrivateKey):
        raise _not_rsa(key, "private key")
    return _validate_key(_check_size(key, "private key"))


def load_public_key(source: PublicKeySource, passphrase: str | bytes | None = None) -> RSAPublicKey:
    """Load an RSA public key of at least 2048 bits.

    Args:
        source: PEM text or bytes (SPKI, PKCS#1, or an X.509 certificate, whose key is taken); DER or
            PKCS#12 bytes; a ``file://`` URL, a path object or the path of an existing file with any of
            these; bare base64 behind ``public.spki://`` or ``public.pkcs1://``; or a ``cryptography`` key or
            certificate.
        passphrase: The passphrase of a PKCS#12 file.

    Raises:
        CryptoError: ``source`` is anything else (a private key is never taken for a public one), cannot be
            read or opened, is damaged, or is too short.
    """
    if isinstance(source, RSAPublicKey):
        return _check_size(source, "public key")
    if is_certificate(source):
        return _public_half(source)
    item = find_item(source, (PUBLIC, CERTIFICATE, PKCS12), PUBLIC)
    return _public_half(None if item.kind == PUBLIC else parse_certificate(item, passphrase), item.data)


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
        CryptoError: ``thing`` is not such a key, or ``kind`` is something else.
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
        CryptoError: ``thing`` is not such a key.
    """
    return load_private_key(f"private.pkcs8://{thing}")


def from_spki(thing: str) -> RSAPublicKey:
    """Load the base64 body of a ``PUBLIC KEY``.

    Args:
        thing: Base64 of the DER; line breaks do not matter.

    Raises:
        CryptoError: ``thing`` is not such a key.
    """
    return load_public_key(f"public.spki://{thing}")


def pkcs1_to_spki(thing: str) -> str:
    """Wrap the base64 body of an ``RSA PUBLIC KEY`` into that of a ``PUBLIC KEY``.

    Args:
        thing: Base64 of the DER, which is not parsed; line breaks do not matter.

    Raises:
        CryptoError: ``thing`` is not base64.
    """
    key = base64_decode("".join(thing.split()), "thing")
    return base64_encode(der_encode(SEQUENCE, _RSA_ENCRYPTION + der_encode(BIT_STRING, b"\0" + key)))


def _public_half(certificate: Certificate | None, der: bytes = b"") -> RSAPublicKey:
    try:
        key = certificate.public_key() if certificate else load_der_public_key(der)
    except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and all mean the same here
        raise CryptoError("public key: is damaged, or of a kind that is not known") from None
    if not isinstance(key, RSAPublicKey):
        raise _not_rsa(key, "public key")
    return _check_size(key, "public key")


def _parse_private(item: Item, passphrase: str | bytes | None) -> PrivateKeyTypes:
    secret = utf8(passphrase, "passphrase") if passphrase else None
    # PEM is left as it is only when its headers say how it is encrypted.
    load = load_pem_private_key if item.data.startswith(b"-") else load_der_private_key
    for password in dict.fromkeys((secret, None)):
        try:
            # Full validation takes 40 ms; `_validate_key` finds a damaged key in one.
            return load(item.data, password, unsafe_skip_rsa_key_validation=True)
        except TypeError:
            # Either nothing is encrypted, and the passphrase is not needed, or it is needed and missing.
            continue
        except Exception:  # noqa: BLE001 - the parser's errors are of many kinds, and may show the key
            wrong = (
                "is damaged"
                if password is None
                else "does not open: the passphrase is wrong, or the key damaged"
            )
            raise CryptoError(f"private key: {wrong}") from None
    raise CryptoError(
        'private key: it is encrypted; give (source, "passphrase") as the setting,'
        " or load it with rsa.load_private_key(source, passphrase)"
    )


def _not_rsa(key: object, name: str) -> CryptoError:
    given = "a file without a key" if key is None else f"an object of the type {type(key).__name__}"
    return CryptoError(f"{name}: {given} was given where an RSA key is needed")


def _check_size(key: _Key, name: str) -> _Key:
    if not _MIN_BITS <= key.key_size <= _MAX_BITS:
        raise CryptoError(
            f"{name}: {key.key_size} bits were given, where {_MIN_BITS} to {_MAX_BITS} are needed"
        )
    return key


def _validate_key(key: RSAPrivateKey) -> RSAPrivateKey:
    """Refuse a damaged private key now, rather than in the middle of a payment.

    One signature is made and verified. `cryptography`'s full validation searches for primes as well, which
    takes 40 times as long.
    """
    try:
        signature = key.sign(b"", PKCS1v15(), SHA256())
        key.public_key().verify(signature, b"", PKCS1v15(), SHA256())
    except Exception:  # noqa: BLE001 - whatever fails, and however, the key does not work
        raise CryptoError("private key: is damaged: what it signs does not verify") from None
    return key
