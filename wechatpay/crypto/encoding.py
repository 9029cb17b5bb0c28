"""Text, base64 and DER, read strictly."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from typing import Final

from wechatpay.errors import CryptoError

__all__ = [
    "BIT_STRING",
    "INTEGER",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "base64_decode",
    "base64_encode",
    "der_contents",
    "der_encode",
    "der_header",
    "der_members",
    "utf8",
]

# X.690: tags, and the bit that says that the next octets are the length of the length.
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80


def utf8(value: str | bytes, name: str) -> bytes:
    """Encode text as UTF-8; return bytes as they are.

    Args:
        value: Text or bytes.
        name: What to call the value in an error.

    Raises:
        CryptoError: ``value`` is of another type, or text that UTF-8 cannot hold.
    """
    if isinstance(value, bytes):
        # A subclass may override its methods: what is checked must be what is used.
        return bytes.__getitem__(value, slice(None))
    if not isinstance(value, str):
        raise CryptoError(f"{name}: give str or bytes, not {type(value).__name__}")
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        raise CryptoError(f"{name}: holds lone surrogates, which UTF-8 cannot hold") from None


def base64_encode(value: bytes) -> str:
    """Write bytes as base64, on one line."""
    return b2a_base64(value, newline=False).decode("ascii")


def base64_decode(value: str, name: str) -> bytes:
    """Read base64 as `base64_encode` writes it: nothing skipped, nothing missing.

    Args:
        value: Base64 text, RFC 4648 section 4, padded, on one line.
        name: What to call the value in an error.

    Raises:
        CryptoError: ``value`` is anything else.
    """
    try:
        encoded = str.encode(value, "ascii")
        decoded = a2b_base64(encoded)
    except (TypeError, UnicodeEncodeError, Error):
        encoded, decoded = b"?", b""
    # The decoder skips what it does not know: encoding again shows whether it skipped anything.
    if b2a_base64(decoded, newline=False) != encoded:
        raise CryptoError(
            f"{name}: is not strict base64: padded, on one line, A-Z a-z 0-9 + / and nothing else"
        )
    return decoded


def der_encode(tag: int, content: bytes) -> bytes:
    """Write one DER structure: tag, length, content."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, _LONG_FORM | len(octets)]) + octets + content


def der_header(data: bytes, at: int = 0) -> tuple[int, int, int]:
    """Read the header of a DER structure, which may be cut short.

    Returns:
        Its tag, where its content begins, and how long the content is; 0 for what is missing.
    """
    tag, size = int.from_bytes(data[at : at + 1]), int.from_bytes(data[at + 1 : at + 2])
    start = at + 2
    if size & _LONG_FORM:
        start += size - _LONG_FORM
        size = int.from_bytes(data[at + 2 : start])
    return tag, start, size


def der_members(data: bytes) -> list[tuple[int, bytes]]:
    """Split ``data`` into DER structures: tag and content of each.

    Raises:
        ValueError: It is cut short, or not DER.
    """
    found = []
    while data:
        tag, start, size = der_header(data)
        if start + size > len(data):
            raise ValueError("cut short")
        found.append((tag, data[start : start + size]))
        data = data[start + size :]
    return found


def der_contents(data: bytes, *tags: int) -> list[bytes]:
    """Return the contents of the first DER structures, which must have these tags.

    Raises:
        ValueError: Their tags are others.
    """
    found = der_members(data)[: len(tags)]
    if tuple(tag for tag, _ in found) != tags:
        raise ValueError("of another kind")
    return [content for _, content in found]
