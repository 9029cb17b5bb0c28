"""DER (X.690), as far as it takes to read keys that no library here parses."""

from __future__ import annotations

from typing import Final

__all__ = ["BIT_STRING", "INTEGER", "OCTET_STRING", "OID", "SEQUENCE", "members", "tagged"]

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
SEQUENCE: Final = 0x30

_LONG_FORM = 0x80


def members(data: bytes) -> list[tuple[int, bytes]]:
    """Split ``data`` into its members: tag and content of each.

    Raises:
        ValueError: It is cut short, or no DER.
    """
    found = []
    while data:
        size, start = int.from_bytes(data[1:2]), 2
        if size & _LONG_FORM:
            start += size - _LONG_FORM
            size = int.from_bytes(data[2:start])
        if start + size > len(data):
            raise ValueError("cut short")
        found.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return found


def tagged(data: bytes, *tags: int) -> list[bytes]:
    """Return the contents of the first members, which must have these tags.

    Raises:
        ValueError: They have not.
    """
    found = members(data)[: len(tags)]
    if tuple(tag for tag, _ in found) != tags:
        raise ValueError("of another kind")
    return [content for _, content in found]
