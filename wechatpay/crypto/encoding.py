"""Text and bytes at the edge of the toolbox, without a guess."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from wechatpay.errors import CryptoError

__all__ = ["base64_decode", "base64_encode", "utf8"]


def utf8(value: str | bytes, name: str) -> bytes:
    """Turn text into UTF-8 and leave bytes alone.

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
    # The decoder skips what it does not know; only the way back shows that there was nothing to skip.
    if b2a_base64(decoded, newline=False) != encoded:
        raise CryptoError(
            f"{name}: is not strict base64: padded, on one line, A-Z a-z 0-9 + / and nothing else"
        )
    return decoded
