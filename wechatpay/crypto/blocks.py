"""The blocks of PEM text (RFC 7468), read however the text was copied."""

from __future__ import annotations

import re
from typing import Final

from wechatpay.crypto.encoding import base64_decode
from wechatpay.errors import CryptoError

__all__ = ["BEGIN", "parse"]

BEGIN: Final = b"-----BEGIN "
_END, _DASHES = b"-----END ", b"-----"
# Far above any label; what follows an opening without its dashes is not searched to the end.
_LONGEST_LABEL: Final = 80
_ENCRYPTED: Final = re.compile(
    rb"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*"
    rb"(AES-(?:128|192|256)-CBC,[0-9A-Fa-f]{32}|DES-EDE3-CBC,[0-9A-Fa-f]{16})\s([A-Za-z0-9+/=\s]+)"
)


def parse(data: bytes, name: str) -> list[bytes]:
    """Read every block; text around them does not matter.

    Args:
        data: PEM text.
        name: What to call the source in an error.

    Returns:
        The DER of each block; or the block in PEM, where its headers say how it is encrypted.

    Raises:
        CryptoError: A block is cut short, not base64, or has headers that are damaged.
    """
    found = []
    start = data.find(BEGIN)
    while start >= 0:
        start += len(BEGIN)
        label, dashes, _ = data[start : start + _LONGEST_LABEL].partition(_DASHES)
        end = data.find(_END + label + _DASHES, start)
        if not dashes or end < 0:
            raise CryptoError(f"{name}: a PEM block without its -----END line; is the text cut short?")
        found.append(_block(label, data[start + len(label + dashes) : end], name))
        start = data.find(BEGIN, end)
    return found


def _block(label: bytes, content: bytes, name: str) -> bytes:
    if b"\\n" in content:
        raise CryptoError(f"{name}: the PEM text has \\n, as two characters, where line breaks belong")
    if b":" in content:
        return _encrypted(label, content, name)
    return base64_decode(b"".join(content.split()).decode("latin-1"), f"{name}, PEM block")


def _encrypted(label: bytes, content: bytes, name: str) -> bytes:
    """Check the headers of RFC 1421: `cryptography` panics at an initialization vector cut short."""
    match = _ENCRYPTED.fullmatch(content)
    if not match:
        raise CryptoError(f"{name}, PEM block: headers are damaged, or name no cipher of AES or 3DES in CBC")
    return b"".join(
        (
            *(BEGIN, label, _DASHES, b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: ", match[1], b"\n\n"),
            *(b"".join(match[2].split()), b"\n", _END, label, _DASHES, b"\n"),
        )
    )
