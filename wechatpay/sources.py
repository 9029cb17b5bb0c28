"""Where a file's bytes come from: a path, bytes, or a seekable stream; read as often as needed."""

from __future__ import annotations

import io
import os
import stat
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Source", "open_source"]

#: Bytes held in memory at a time. A connection has one timeout for each piece: larger ones need faster lines.
_PIECE = 64 * 1024


class Source(Protocol):
    """Gives all bytes from the beginning, each time it is asked."""

    name: str

    def pieces(self) -> Iterator[bytes]:
        """Read all there is, a piece at a time.

        Raises:
            InvalidRequestError: It cannot be read.
        """


def open_source(source: Any) -> Source:
    """Tell what ``source`` is.

    Raises:
        InvalidRequestError: It is no path of a regular file, no bytes and no seekable binary stream.
    """
    if isinstance(source, str | os.PathLike):
        return _Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _Bytes(bytes(source))
    if hasattr(source, "read"):
        return _Stream(source)
    raise InvalidRequestError(f"media: give a path, bytes or a binary stream, not {type(source).__name__}")


class _Bytes:
    """Bytes in memory."""

    name = ""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), _PIECE):
            yield self._content[start : start + _PIECE]


class _Path:
    """A file on the disk, opened anew each time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self.name = os.path.basename(self._path)  # noqa: PTH119  os.PathLike may give what Path does not take
        try:
            mode = os.stat(self._path).st_mode  # noqa: PTH116  the same
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        if not stat.S_ISREG(mode):
            raise InvalidRequestError(
                f"media: {self._path!r} is no regular file, and could not be read twice"
            )

    def pieces(self) -> Iterator[bytes]:
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123  the same
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> InvalidRequestError:
        why = getattr(error, "strerror", None) or "it is no path"
        return InvalidRequestError(f"media: {self._path!r} cannot be read: {why}")


class _Stream:
    """A stream that somebody else opened; many calls may read it at once."""

    def __init__(self, stream: BinaryIO) -> None:
        name = getattr(stream, "name", "")
        self.name = os.path.basename(name) if isinstance(name, str) else ""  # noqa: PTH119  any text may come
        self._stream = stream
        self._lock = threading.Lock()
        seekable = getattr(stream, "seekable", None)
        if isinstance(stream, io.TextIOBase) or seekable is None or not seekable():
            raise InvalidRequestError(
                "media: the stream must be binary (mode 'rb') and seekable: it is read once to be hashed "
                "and again to be sent; give its bytes, or a path"
            )

    def pieces(self) -> Iterator[bytes]:
        position = 0
        while piece := self._read(position):
            position += len(piece)
            yield piece

    def _read(self, position: int) -> bytes:
        try:
            with self._lock:
                self._stream.seek(position)
                piece = self._stream.read(_PIECE)
        except (OSError, ValueError) as error:
            raise InvalidRequestError(
                f"media: the stream cannot be read ({type(error).__name__}): is it open?"
            ) from None
        if not isinstance(piece, bytes):
            raise InvalidRequestError(
                f"media: the stream gave {type(piece).__name__}, not bytes: open it with mode 'rb'"
            )
        return piece
