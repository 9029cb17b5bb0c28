"""Digests of a response that is written to a file, taken while it is received, by which it is verified."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING

from wechatpay.crypto.suites import RSA

if TYPE_CHECKING:
    from wechatpay.apiv3.keyring import PlatformKey
    from wechatpay.crypto.suites import Suite
    from wechatpay.messages import Headers, Response

__all__ = ["BodyDigest", "is_sha1_of"]

#: Bytes unpacked at a time, so that a small file cannot fill the memory.
_PIECE = 1 << 20

#: What zlib calls a gzip file.
_GZIP = zlib.MAX_WBITS | 16


def is_sha1_of(claimed: str, digest: object) -> bool:
    """Return whether a statement has the SHA-1 that it claims, packed or unpacked."""
    # A header may hold any bytes, and aiohttp hands some of them on as what no codec takes.
    return (
        claimed.isascii()
        and isinstance(digest, BodyDigest)
        and any(hmac.compare_digest(claimed.lower(), digest) for digest in digest.sha1())
    )


class BodyDigest:
    """Hashes a response on its way to a sink: the signed text, and a statement's own SHA-1.

    Attributes:
        received_at: When the response's head arrived, in Unix seconds; its body may take long. ``None`` if
            the body is in memory.
    """

    def __init__(
        self, headers: Headers, key: PlatformKey | None = None, received_at: float | None = None
    ) -> None:
        """Begin.

        Args:
            headers: The response's.
            key: The key that will verify it, if that is known; RSA needs none.
            received_at: When its head arrived.
        """
        self.received_at = received_at
        self._suite, self._prefix = _beginning(key)
        timestamp, nonce = headers.pick("wechatpay-timestamp", "wechatpay-nonce")
        head = f"{timestamp or ''}\n{nonce or ''}\n"
        self._signed = self._suite.digest(self._prefix + head.encode("utf-8", "replace"))
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._plain = GunzipSha1()

    @classmethod
    def of(cls, response: Response) -> BodyDigest:
        """Hash a response that is in memory."""
        digest = cls(response.headers)
        digest.update(response.content)
        return digest

    def update(self, chunk: bytes, /) -> None:
        """Hash the next piece of the body."""
        self._signed.update(chunk)
        self._sha1.update(chunk)
        self._plain.update(chunk)

    def signed(self) -> bytes:
        """Return the digest of the signed text."""
        signed = self._signed.copy()
        signed.update(b"\n")
        return signed.digest()

    def suits(self, key: PlatformKey) -> bool:
        """Return whether ``key`` can verify this digest."""
        return (self._suite, self._prefix) == _beginning(key)

    def sha1(self) -> tuple[str, ...]:
        """Return the SHA-1, in hex, of the body, and of what it holds when it is a gzip file."""
        return self._sha1.hexdigest(), self._plain.hexdigest()


def _beginning(key: PlatformKey | None) -> tuple[Suite, bytes]:
    return (key.suite, key.suite.prefix(key.public_key)) if key else (RSA, b"")


class GunzipSha1:
    """The SHA-1 of what a gzip file holds: statements are hashed before they are compressed."""

    def __init__(self) -> None:
        self._gunzip = zlib.decompressobj(wbits=_GZIP)
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._broken = False

    def update(self, chunk: bytes) -> None:
        """Hash the next piece of the file, which may have several members."""
        while chunk and not self._broken:
            if self._gunzip.eof:
                self._gunzip = zlib.decompressobj(wbits=_GZIP)
            try:
                self._sha1.update(self._gunzip.decompress(chunk, _PIECE))
            except zlib.error:
                self._broken = True
            chunk = self._gunzip.unconsumed_tail or self._gunzip.unused_data

    def hexdigest(self) -> str:
        """Return the digest in hex, or ``""`` when it was no whole gzip file, or more than that."""
        return self._sha1.hexdigest() if self._gunzip.eof and not self._broken else ""
