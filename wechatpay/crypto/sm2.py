"""SM2 and SM3 as WeChat Pay uses them: signatures over SM3, with the default user id, in DER and base64.

Keys may be whatever the loaders take; a loaded key is used as it is, without parsing anything again. The
arithmetic is GmSSL's, which the extra ``[sm]`` installs; `cryptography` does not know the curve, and GmSSL's
binding takes bare numbers, so that keys are parsed here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from wechatpay.crypto.encoding import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    base64_decode,
    base64_encode,
    der_contents,
    der_encode,
    der_members,
    utf8,
)
from wechatpay.crypto.pem import CERTIFICATE, PRIVATE, PUBLIC, Item, find_item
from wechatpay.errors import CryptoError
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from wechatpay.crypto.pem import Source

__all__ = [
    "SM2PrivateKey",
    "SM2PublicKey",
    "Sm3",
    "find_private_key",
    "find_public_key",
    "load_gmssl",
    "load_private_key",
    "load_public_key",
    "sign",
    "verify",
    "verify_digest",
]

PrivateKeySource: TypeAlias = "Source | SM2PrivateKey"
PublicKeySource: TypeAlias = "Source | SM2PublicKey | Certificate"

_DIGEST_BYTES: Final = 32
_NUMBER_BYTES: Final = 32
#: The signer's user id: WeChat Pay and merchants all have the standard's default.
_USER_ID: Final = b"1234567812345678"

# The object identifiers of EC keys and of the curve, and the tags of what RFC 5915 and 5280 make optional:
# an EC key's own public key, and a certificate's version.
_EC: Final = bytes.fromhex("2a8648ce3d0201")
_SM2: Final = bytes.fromhex("2a811ccf5501822d")
_PUBLIC_HALF: Final = 0xA1
_VERSION: Final = 0xA0
# What stands before the key in a certificate: serial number, algorithm, issuer, validity, subject.
_BEFORE_KEY: Final = (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE)

_Point: TypeAlias = tuple[int, int]

# The curve (GB/T 32918.5).
_P: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
_A: Final = _P - 3
_B: Final = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
_G: Final[_Point] = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
# What is digested with each public key: a, b and the base point.
_PARAMETERS: Final = b"".join(number.to_bytes(_NUMBER_BYTES) for number in (_A, _B, *_G))


class Sm3:
    """A digest under way, with the methods of `hashlib`'s, which lack SM3 on some systems."""

    __slots__ = ("_hash",)

    def __init__(self, data: bytes = b"") -> None:
        """Begin with ``data``."""
        self._hash = Hash(SM3())
        self._hash.update(data)

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    def copy(self) -> Sm3:
        """Copy what was taken so far."""
        copy = Sm3()
        copy._hash = self._hash.copy()
        return copy

    def digest(self) -> bytes:
        """Return the digest of what was taken so far, 32 bytes."""
        return self._hash.copy().finalize()


@dataclass(frozen=True, slots=True)
class SM2PublicKey:
    """A point of the curve.

    Attributes:
        point: Its two coordinates, 32 bytes each.
        prefix: What is digested before each message, 32 bytes: the ``Z`` of user id, curve and key.
    """

    point: bytes
    prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = (8 * len(_USER_ID)).to_bytes(2)
        object.__setattr__(self, "prefix", Sm3(size + _USER_ID + _PARAMETERS + self.point).digest())


@dataclass(frozen=True, slots=True, eq=False)
class SM2PrivateKey:
    """A number and its point; the loaders verify that they belong together.

    Attributes:
        secret: The number, 32 bytes.
        public: The point.
    """

    secret: bytes = field(repr=False)
    public: SM2PublicKey

    def public_key(self) -> SM2PublicKey:
        """Return the public half."""
        return self.public

    def __reduce__(self) -> NoReturn:
        raise CryptoError("private key: is never pickled; load it where it is needed")


@conceal
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
        raise CryptoError("private key: not a readable SM2 key; an encrypted one must be decrypted first")
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
        raise CryptoError("public key: not a readable SM2 key")
    return key


@conceal
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
    return base64_encode(load_gmssl().sm2_sign_sm3_digest(key.secret, digest))


def verify(message: str | bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Return whether a signature over a message is genuine.

    Args:
        message: Text, taken as UTF-8, or bytes.
        signature: Strict base64; anything malformed is not genuine.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used.
    """
    key = load_public_key(public_key)
    return verify_digest(Sm3(key.prefix + utf8(message, "message")).digest(), signature, key)


def verify_digest(digest: bytes, signature: str, public_key: PublicKeySource) -> bool:
    """Return whether a signature is genuine, given only the digest of the message.

    Args:
        digest: SM3 of the key's ``prefix`` and the message, 32 bytes.
        signature: Strict base64.
        public_key: WeChat Pay's key or certificate, or what `load_public_key` takes.

    Raises:
        CryptoError: The key cannot be used, or ``digest`` is not 32 bytes long.
    """
    if len(digest) != _DIGEST_BYTES:
        raise CryptoError(f"digest: SM3 has {_DIGEST_BYTES} bytes, got {len(digest)}")
    key, gmssl = load_public_key(public_key), load_gmssl()
    try:
        der = base64_decode(signature, "signature")
        # GmSSL writes to stderr about each signature that it cannot read: give it none.
        decode_dss_signature(der)
        return bool(gmssl.sm2_verify_sm3_digest(key.point, digest, der))
    except (ValueError, gmssl.GmsslInnerError):
        return False


def find_private_key(source: Source) -> SM2PrivateKey | None:
    """Load the SM2 private key that ``source`` holds; ``None`` if it holds none.

    Raises:
        CryptoError: It is damaged, or GmSSL's binding is not installed.
    """
    item = _find(source, PRIVATE)
    if item is None:
        return None
    try:
        secret, encoded = _read_private(item.data)
        point = _point(encoded or _derive_point(int.from_bytes(secret)))
    except ValueError:
        raise _damaged("private key") from None
    return _validate_key(SM2PrivateKey(secret, SM2PublicKey(point)))


def find_public_key(source: Source | Certificate) -> SM2PublicKey | None:
    """Load the SM2 public key that ``source`` holds, bare or in a certificate; ``None`` if it holds none.

    Raises:
        CryptoError: It is damaged, or GmSSL's binding is not installed.
    """
    if isinstance(source, Certificate):
        source = source.public_bytes(Encoding.DER)
    item = _find(source, PUBLIC, CERTIFICATE)
    if item is None:
        return None
    try:
        return SM2PublicKey(_point(_read_public(item.data, is_certificate=item.kind == CERTIFICATE)))
    except ValueError:
        raise _damaged("public key") from None


def _find(source: object, *kinds: str) -> Item | None:
    try:
        item = find_item(source, kinds, kinds[0])
    except CryptoError:
        return None
    if der_encode(OID, _SM2) not in item.data:
        return None
    # The error for a missing library comes before the one for a damaged key.
    load_gmssl()
    return item


def _point(encoded: bytes) -> bytes:
    """Bring a point to its coordinates, and refuse one that is not on the curve."""
    gmssl = load_gmssl()
    try:
        point: bytes = gmssl.normalize_sm2_public_key(encoded)
    except gmssl.GmsslInnerError:
        raise ValueError("no point") from None
    return point


def _validate_key(key: SM2PrivateKey) -> SM2PrivateKey:
    """Refuse halves that do not belong together now, rather than in the middle of a payment."""
    gmssl, digest = load_gmssl(), bytes(32)
    try:
        signature = gmssl.sm2_sign_sm3_digest(key.secret, digest)
        if gmssl.sm2_verify_sm3_digest(key.public.point, digest, signature):
            return key
    except gmssl.GmsslInnerError:
        pass
    raise _damaged("private key")


def _damaged(name: str) -> CryptoError:
    return CryptoError(f"{name}: is damaged, or has a form that SM2 keys do not have")


def _read_private(der: bytes) -> tuple[bytes, bytes]:
    """Read a PKCS#8 or SEC 1 key.

    Returns:
        The number, 32 bytes, and the encoded point, which is empty where the form leaves it out.

    Raises:
        ValueError: It is damaged, or of another algorithm.
    """
    (key,) = der_contents(der, SEQUENCE)
    if [tag for tag, _ in der_members(key)[:2]] == [INTEGER, SEQUENCE]:
        _, algorithm, wrapped = der_contents(key, INTEGER, SEQUENCE, OCTET_STRING)
        _check(algorithm)
        (key,) = der_contents(wrapped, SEQUENCE)
    _, octets = der_contents(key, INTEGER, OCTET_STRING)
    # Some write it without leading zeros.
    number = octets.rjust(_NUMBER_BYTES, b"\0")
    if len(number) != _NUMBER_BYTES:
        raise ValueError("a number that is too large")
    points = [
        der_contents(content, BIT_STRING)[0] for tag, content in der_members(key) if tag == _PUBLIC_HALF
    ]
    return number, b"".join(points)[1:]


def _read_public(der: bytes, *, is_certificate: bool) -> bytes:
    """Read the encoded point of a SubjectPublicKeyInfo, or of a certificate's.

    Raises:
        ValueError: It is damaged, or of another algorithm.
    """
    (key,) = der_contents(der, SEQUENCE)
    if is_certificate:
        (body,) = der_contents(key, SEQUENCE)
        is_versioned = body[:1] == bytes((_VERSION,))
        key = der_contents(body, *((_VERSION,) if is_versioned else ()), *_BEFORE_KEY, SEQUENCE)[-1]
    algorithm, bits = der_contents(key, SEQUENCE, BIT_STRING)
    _check(algorithm)
    return bits[1:]


def _check(algorithm: bytes) -> None:
    if der_contents(algorithm, OID, OID) != [_EC, _SM2]:
        raise ValueError("another algorithm")


def _derive_point(number: int) -> bytes:
    """Return the point of the public key whose private key is ``number``: two coordinates, 32 bytes each.

    Takes 20 ms, and not always the same: for keys that are loaded once without their public half, never for
    signing.

    Args:
        number: From 1 up to the order of the base point, which is not checked.
    """
    point = _G
    for bit in f"{number:b}"[1:]:
        point = _add(point, point)
        if bit == "1":
            point = _add(point, _G)
    return b"".join(coordinate.to_bytes(_NUMBER_BYTES) for coordinate in point)


def _add(one: _Point, other: _Point) -> _Point:
    (x1, y1), (x2, y2) = one, other
    rise, run = (3 * x1 * x1 + _A, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


@functools.cache
def load_gmssl() -> Any:
    """Load GmSSL's binding.

    Raises:
        CryptoError: It is not installed.
    """
    try:
        import gmssl_pyx  # noqa: PLC0415  an extra: few have SM2 keys
    except ImportError:
        raise CryptoError("SM2 needs a library of its own: pip install 'wechatpay-chainable[sm]'") from None
    return gmssl_pyx
