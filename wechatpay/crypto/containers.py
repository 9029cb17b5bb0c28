"""What PEM and DER bytes hold, told by their structure rather than by their labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wechatpay.crypto import blocks
from wechatpay.crypto.sources import read
from wechatpay.errors import CryptoError

__all__ = ["CERTIFICATE", "OTHER", "PKCS12", "PRIVATE", "PUBLIC", "Item", "pick", "unpack"]

PRIVATE: Final = "a private key"
PUBLIC: Final = "a public key"
CERTIFICATE: Final = "a certificate"
PKCS12: Final = "a PKCS#12 file"
OTHER: Final = "something that is no RSA key and no certificate"

# X.690: tags, and the bit that says that the next octets are the length of the length.
_INTEGER, _BIT_STRING, _OID, _SEQUENCE = b"\x02", b"\x03", b"\x06", b"\x30"
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found in a source.

    Attributes:
        kind: What it is, in words.
        data: DER; or PEM, when the PEM headers say how it is encrypted.
    """

    kind: str
    data: bytes = field(repr=False)


def pick(source: object, kinds: tuple[str, ...], wanted: str) -> Item:
    """Read a source and take the first thing in it that is of one of some kinds.

    Args:
        source: What `sources.read` takes.
        kinds: Kinds that will do.
        wanted: The kind to ask for in an error.

    Raises:
        CryptoError: The source cannot be read, or holds nothing of these kinds; the error says what it holds.
    """
    name = wanted.partition(" ")[2]
    items = unpack(read(source, name), name)
    for item in items:
        if item.kind in kinds:
            return item
    given = ", ".join(dict.fromkeys(item.kind for item in items))
    raise CryptoError(f"{name}: {given} was given where {wanted} is needed")


def unpack(data: bytes, name: str) -> list[Item]:
    """List what is in PEM or DER bytes, in its order.

    Args:
        data: One DER structure, or text with any number of PEM blocks.
        name: What to call the source in an error.

    Raises:
        CryptoError: There is nothing, or a PEM block is cut short or not base64.
    """
    if blocks.BEGIN in data:
        return [Item(_kind(block), block) for block in blocks.parse(data, name)]
    if data[:1] == _SEQUENCE:
        return [Item(_kind(data), data)]
    raise CryptoError(f"{name}: {len(data)} bytes that are neither PEM (no -----BEGIN) nor DER")


def _kind(der: bytes) -> str:
    """Tell what a DER structure is by its first members; what is still PEM is an encrypted key."""
    if der.startswith(blocks.BEGIN):
        return PRIVATE
    outer, start, _ = _header(der, 0)
    tag, at, length = _header(der, start)
    if outer != _SEQUENCE or tag not in (_INTEGER, _SEQUENCE):
        return OTHER
    if tag == _INTEGER:
        if length > 1:
            return PUBLIC
        return PKCS12 if der[at : at + 1] == b"\x03" else PRIVATE
    if der[at : at + 1] == _OID:
        return PUBLIC if der[at + length : at + length + 1] == _BIT_STRING else PRIVATE
    return CERTIFICATE


def _header(der: bytes, at: int) -> tuple[bytes, int, int]:
    """Read a tag; return it, where its content begins and how long it is (0 when that is left open)."""
    size = der[at + 1] if at + 1 < len(der) else 0
    start = at + 2 + (size & ~_LONG_FORM if size & _LONG_FORM else 0)
    return der[at : at + 1], start, int.from_bytes(der[at + 2 : start]) if size & _LONG_FORM else size
