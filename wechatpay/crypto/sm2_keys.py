"""SM2 keys, whatever they come in.

`cryptography` does not know the curve, and GmSSL's binding takes bare numbers: what is between is here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from wechatpay.crypto.containers import CERTIFICATE, PRIVATE, PUBLIC, Item, pick
from wechatpay.crypto.sm2_curve import PARAMETERS, multiplied
from wechatpay.crypto.sm2_forms import is_sm2, read_private, read_public
from wechatpay.crypto.sm3 import Sm3
from wechatpay.errors import CryptoError

if TYPE_CHECKING:
    from wechatpay.crypto.sources import Source

__all__ = ["SM2PrivateKey", "SM2PublicKey", "find_private_key", "find_public_key", "library"]

#: Whose signature it is: WeChat Pay and merchants all have the standard's default.
_USER_ID: Final = b"1234567812345678"


@functools.cache
def library() -> Any:
    """Load GmSSL's binding.

    Raises:
        CryptoError: It is not installed.
    """
    try:
        import gmssl_pyx  # noqa: PLC0415  an extra: few have SM2 keys
    except ImportError:
        raise CryptoError("SM2 needs a library of its own: pip install 'wechatpay-chainable[sm]'") from None
    return gmssl_pyx


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
        object.__setattr__(self, "prefix", Sm3(size + _USER_ID + PARAMETERS + self.point).digest())


@dataclass(frozen=True, slots=True, eq=False)
class SM2PrivateKey:
    """A number, and the point that belongs to it; proved to belong together by the loaders.

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


def find_private_key(source: Source) -> SM2PrivateKey | None:
    """Load the SM2 private key that ``source`` holds; ``None`` if it holds none.

    Raises:
        CryptoError: It is damaged, or GmSSL's binding is not installed.
    """
    item = _found(source, PRIVATE)
    if item is None:
        return None
    try:
        secret, encoded = read_private(item.data)
        point = _point(encoded or multiplied(int.from_bytes(secret)))
    except ValueError:
        raise _damaged("private key") from None
    return _proven(SM2PrivateKey(secret, SM2PublicKey(point)))


def find_public_key(source: Source | Certificate) -> SM2PublicKey | None:
    """Load the SM2 public key that ``source`` holds, bare or in a certificate; ``None`` if it holds none.

    Raises:
        CryptoError: It is damaged, or GmSSL's binding is not installed.
    """
    if isinstance(source, Certificate):
        source = source.public_bytes(Encoding.DER)
    item = _found(source, PUBLIC, CERTIFICATE)
    if item is None:
        return None
    try:
        return SM2PublicKey(_point(read_public(item.data, is_certificate=item.kind == CERTIFICATE)))
    except ValueError:
        raise _damaged("public key") from None


def _found(source: object, *kinds: str) -> Item | None:
    try:
        item = pick(source, kinds, kinds[0])
    except CryptoError:
        return None
    if not is_sm2(item.data):
        return None
    # What is missing is to be told as such, not as a damaged key.
    library()
    return item


def _point(encoded: bytes) -> bytes:
    """Bring a point to its coordinates, and refuse one that is not on the curve."""
    gmssl = library()
    try:
        point: bytes = gmssl.normalize_sm2_public_key(encoded)
    except gmssl.GmsslInnerError:
        raise ValueError("no point") from None
    return point


def _proven(key: SM2PrivateKey) -> SM2PrivateKey:
    """Refuse halves that do not belong together now, rather than in the middle of a payment."""
    gmssl, digest = library(), bytes(32)
    try:
        signature = gmssl.sm2_sign_sm3_digest(key.secret, digest)
        if gmssl.sm2_verify_sm3_digest(key.public.point, digest, signature):
            return key
    except gmssl.GmsslInnerError:
        pass
    raise _damaged("private key")


def _damaged(name: str) -> CryptoError:
    return CryptoError(f"{name}: is damaged, or has a form that SM2 keys do not have")
