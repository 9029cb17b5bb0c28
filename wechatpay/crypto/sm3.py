"""SM3, the digest of the SM suite (GB/T 32905)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SM3, Hash

__all__ = ["DIGEST_BYTES", "Sm3"]

DIGEST_BYTES: Final = 32


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
