"""A download that is decrypted, unpacked and hashed on its way to the disk, and kept only if it matches."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechatpay.bills.errors import DigestError
from wechatpay.errors import CryptoError, ResponseTooLargeError
from wechatpay.transports.network import Unpacker
from wechatpay.transports.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wechatpay.crypto.suites import Digest as Hash
    from wechatpay.messages import Headers

__all__ = ["CheckedFile", "Cipher", "Digest"]

_GZIP_MAGIC = b"\x1f\x8b"
_TAG_BYTES = 16

#: Bytes, unpacked, that a file may have: as many as the setting ``max_download_size`` permits by default.
MAX_SIZE = 16 << 30

#: Bytes of a file that are kept, to explain what came instead of it.
_HEAD = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file has to match.

    Attributes:
        type: ``SHA1``, ``SHA256`` or ``SM3``.
        value: The digest in hex.
    """

    type: str
    value: str

    @classmethod
    def parse(cls, type_: Any, value: Any) -> Digest:
        """Read ``hash_type`` and ``hash_value`` of a signed response.

        Raises:
            DigestError: The type is unknown, or the value is not a digest of this type.
        """
        name = str(type_).upper().replace("-", "")
        size = _SIZES.get(name)
        if size is None:
            raise DigestError(f"hash_type: {type_!r:.40} is unknown; known are {', '.join(_SIZES)}")
        if not isinstance(value, str) or len(value) != 2 * size or set(value.lower()) - _HEX:
            raise DigestError(f"hash_value: is not a {name} in hex", expected=str(value)[:128])
        return cls(name, value.lower())

    def begin(self) -> Hash:
        """Return an empty hash of this type."""
        if self.type == "SM3":
            from wechatpay.crypto.sm2 import Sm3  # noqa: PLC0415  few files have one

            return Sm3()
        return hashlib.new(self.type.lower(), usedforsecurity=False)


_SIZES = {"SHA1": 20, "SHA256": 32, "SM3": 32}
_HEX = set("0123456789abcdef")


@dataclass(frozen=True, slots=True, repr=False)
class Cipher:
    """The cipher of one file, in GCM mode with the tag behind the text: AES-256 or SM4, by the key's size.

    Attributes:
        key: 32 bytes for AES-256, 16 for SM4.
        nonce: 12 bytes.
    """

    key: bytes
    nonce: bytes

    def __post_init__(self) -> None:
        if len(self.key) not in _KEY_SIZES:
            raise CryptoError(f"encrypt_key: AES-256 has 32 bytes and SM4 has 16, not {len(self.key)}")
        if not _NONCE_SIZES[0] <= len(self.nonce) <= _NONCE_SIZES[1]:
            raise CryptoError(f"nonce: GCM needs 12 bytes, got {len(self.nonce)}")

    def decryptor(self) -> Any:
        """Begin to decrypt."""
        from cryptography.hazmat.primitives.ciphers import Cipher as AnyCipher  # noqa: PLC0415  few bills are encrypted
        from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4  # noqa: PLC0415  the same
        from cryptography.hazmat.primitives.ciphers.modes import GCM  # noqa: PLC0415  the same

        algorithm = AES(self.key) if len(self.key) == _KEY_SIZES[0] else SM4(self.key)
        return AnyCipher(algorithm, GCM(self.nonce)).decryptor()


#: Bytes of a key, for AES-256 and for SM4; bytes of a nonce that GCM takes, where 12 are usual.
_KEY_SIZES = (32, 16)
_NONCE_SIZES = (8, 128)


class CheckedFile(Sink):
    """Receives a file: decrypts, unpacks and hashes it on the way, and delivers it only if it matches.

    Args:
        path: Where it goes.
        expected: Finds the digest in the download's own headers, or returns the one that is known; ``None``
            if there is none.
        cipher: Its cipher, or ``None``.
        progress: Called after each piece with the bytes received, and those in all or ``None``.
        max_size: Bytes at most, unpacked; 16 GiB by default.
    """

    def __init__(
        self,
        path: Path,
        expected: Callable[[Headers], Digest | None],
        *,
        cipher: Cipher | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        max_size: int | None = None,
    ) -> None:
        super().__init__(path)
        self._find_digest = expected
        self._cipher = cipher
        self._progress = progress
        self._max_size = MAX_SIZE if max_size is None else max_size
        self.digest: Digest | None = None
        self.size = 0

    def begin(self, headers: Headers) -> None:
        """Start receiving a response with these headers, and discard an earlier attempt."""
        super().begin(headers)
        self.size = self._received = 0
        self._head = self._held = b""
        self._start: bytes | None = b""
        self._missing: DigestError | None = None
        try:
            self.digest = self._find_digest(headers)
        except DigestError as error:
            # An error that comes with status 200, as APIv2's do, has no digest: it is not to be delivered.
            self.digest, self._missing = None, error
        self._hash = self.digest.begin() if self.digest else None
        self._unpacker: Unpacker | None = None
        self._decryptor = self._cipher.decryptor() if self._cipher else None
        length = headers.get("Content-Length", "")
        is_packed = headers.get("Content-Encoding", "identity") != "identity"
        self._total = int(length) if length.isdecimal() and len(length) < 16 and not is_packed else None  # noqa: PLR2004  2^53

    def write(self, chunk: bytes) -> None:
        """Receive the next piece.

        Raises:
            DigestError: It cannot be unpacked.
            NoResponseError: It cannot be written.
            ResponseTooLargeError: The file is larger than ``max_size``.
        """
        if not chunk:
            return
        if self.body_digest is not None:
            self.body_digest.update(chunk)
        self._received += len(chunk)
        if self._decryptor is not None:
            # The last bytes are the tag, whichever these are.
            held = self._held + chunk
            self._held = held[-_TAG_BYTES:]
            chunk = self._decryptor.update(held[:-_TAG_BYTES])
        self._unpack(chunk)
        if self._progress is not None:
            self._progress(self._received, self._total)

    def _unpack(self, chunk: bytes) -> None:
        if self._start is not None:
            chunk = self._start + chunk
            if len(chunk) < len(_GZIP_MAGIC):
                self._start = chunk
                return
            self._start = None
            self._unpacker = Unpacker("gzip") if chunk.startswith(_GZIP_MAGIC) else None
        if self._unpacker is None:
            self._keep(chunk)
            return
        try:
            for piece in self._unpacker.feed(chunk):
                self._keep(piece)
        except zlib.error:
            raise self._mismatch("cannot be unpacked: it was altered or cut off") from None

    def _keep(self, piece: bytes) -> None:
        if len(self._head) < _HEAD:
            self._head += piece[:_HEAD]
        self.size += len(piece)
        if self.size > self._max_size:
            raise ResponseTooLargeError(f"the file has more than {self._max_size} bytes, unpacked")
        if self._hash is not None:
            self._hash.update(piece)
        self.store(piece)

    def deliver(self) -> None:
        """Rename the file into place if it is whole and matches its digest.

        Raises:
            DigestError: It does not.
            NoResponseError: It cannot be renamed.
        """
        self._finish()
        if self._missing is not None:
            raise self._missing
        if self._hash is not None and self.digest is not None:
            actual = self._hash.digest().hex()
            if not hmac.compare_digest(actual, self.digest.value):
                raise self._mismatch("is not the file that WeChat Pay named", actual)
        super().deliver()

    def _finish(self) -> None:
        if self._decryptor is not None:
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415  few bills are encrypted

            try:
                self._unpack(self._decryptor.finalize_with_tag(self._held))
            except (InvalidTag, ValueError):
                raise self._mismatch("cannot be decrypted: it was altered or cut off") from None
        if self._start is not None:
            # Too short for either kind.
            self._keep(self._start)
        if self._unpacker is not None:
            try:
                self._unpacker.end()
            except zlib.error:
                raise self._mismatch("was cut off") from None

    def _mismatch(self, what: str, actual: str = "") -> DigestError:
        expected = self.digest
        text = f"the download {what}, and was discarded"
        if actual and expected:
            text += f": its {expected.type} is {actual}, not {expected.value}"
        if self._head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
            text += (
                "; it begins like HTML or XML: something between here and WeChat Pay responded in its place"
            )
        return DigestError(text, expected=expected.value if expected else "", actual=actual)
