"""``multipart/form-data`` bodies with one file, read from its source as they are sent.

Laid out here rather than by the HTTP libraries, so that both send the same bytes.
https://datatracker.ietf.org/doc/html/rfc7578, names quoted as browsers do.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wechatpay.sources import Source

__all__ = ["File", "Part", "Upload"]

#: What could end a quoted name, or be read in two ways.
_UNQUOTABLE = re.compile(r'[\x00-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True)
class Part:
    """A part in front of the file.

    Attributes:
        name: Its name.
        text: What it holds.
        content_type: ``Content-Type`` of the part, or ``""`` for none.
    """

    name: str
    text: str = field(repr=False)
    content_type: str = ""

    def encode(self) -> bytes:
        """Lay out headers and content, as UTF-8."""
        kind = f"\r\nContent-Type: {self.content_type}" if self.content_type else ""
        return f"Content-Disposition: form-data; name={_quoted(self.name)}{kind}\r\n\r\n{self.text}".encode()


@dataclass(frozen=True, slots=True)
class File:
    """The file, as it was hashed.

    Attributes:
        part: Name of its part.
        filename: What it is called on the way.
        content_type: ``Content-Type`` of its part.
        source: Where its bytes come from, as often as they are needed.
        size: Bytes in it.
        algorithm: What it was hashed with, as `hashlib` calls it.
        digest: The hash, in lower-case hexadecimal.
    """

    part: str
    filename: str
    content_type: str
    source: Source
    size: int
    algorithm: str
    digest: str

    def head(self) -> bytes:
        """Lay out the part's headers."""
        return (
            f"Content-Disposition: form-data; name={_quoted(self.part)}; filename={_quoted(self.filename)}"
            f"\r\nContent-Type: {self.content_type}\r\n\r\n"
        ).encode()

    def pieces(self) -> Iterator[bytes]:
        """Read the file again; the end is reached only if it is still what was hashed.

        Raises:
            InvalidRequestError: It changed, or cannot be read.
        """
        check, size = hashlib.new(self.algorithm, usedforsecurity=False), 0
        for piece in self.source.pieces():
            check.update(piece)
            size += len(piece)
            if size > self.size:
                break
            yield piece
        if size != self.size or not hmac.compare_digest(check.hexdigest(), self.digest):
            raise InvalidRequestError(
                "media: the file changed after it was hashed, so its upload was broken off"
            )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Upload:
    """A body that is read anew for each attempt; iterating yields its bytes in pieces.

    Attributes:
        boundary: What separates the parts.
        parts: The parts in front of the file.
        file: The file.
        progress: Called with the bytes handed to the connection so far, and all there are; or ``None``.
    """

    boundary: str
    parts: tuple[Part, ...]
    file: File
    progress: Callable[[int, int], object] | None = None

    @property
    def content_type(self) -> str:
        """What the request's ``Content-Type`` has to say."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def signable(self) -> bytes:
        """What APIv3 signs in place of the body: the first part, ``meta``."""
        return self.parts[0].text.encode() if self.parts else b""

    def __len__(self) -> int:
        return len(self._head()) + self.file.size + len(self._tail())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        sent, held = 0, self._head()
        # The last piece waits for the proof that the file did not change: a body cut short does no harm.
        for piece in self.file.pieces():
            sent = self._advanced(sent + len(held))
            yield held
            held = piece
        self._advanced(len(self))
        yield held + self._tail()

    def with_parts(self, *parts: Part) -> Upload:
        """Copy with other parts in front of the file."""
        return replace(self, parts=parts)

    def _advanced(self, sent: int) -> int:
        if self.progress is not None:
            self.progress(sent, len(self))
        return sent

    def _head(self) -> bytes:
        opening = f"--{self.boundary}\r\n".encode()
        parts = b"".join(opening + part.encode() + b"\r\n" for part in self.parts)
        return parts + opening + self.file.head()

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    def __repr__(self) -> str:
        return f"<Upload {self.file.size} bytes>"


def _quoted(name: str) -> str:
    """Quote a name for a header: raw UTF-8, but for what could end the quotes or the line."""
    return '"{}"'.format(_UNQUOTABLE.sub(lambda match: f"%{ord(match[0]):02X}", name))
