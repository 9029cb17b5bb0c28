"""Where a download goes: a path, a binary file or a callable, which receives complete bodies only."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from wechatpay.errors import InvalidRequestError, NoResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wechatpay.messages import Headers

__all__ = ["Digest", "Sink"]

_CHUNK = 64 * 1024

#: Of a file's mode, what its replacement keeps.
_PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


class Digest(Protocol):
    """Hashes a body on its way to the disk, so that it need not be read twice or held in memory."""

    def update(self, chunk: bytes, /) -> None:
        """Receive the next piece of the body."""


class Sink:
    """Receives the body of one successful response.

    The body is written to a temporary file, next to the destination when that is a path. `deliver` renames
    it into place, or feeds the file or callable, once the response is complete and accepted. Each attempt
    begins anew; a response that fails leaves nothing behind, and the destination receives no byte of it. A
    file that is replaced keeps its permissions.

    Args:
        destination: A path, a binary file, or a callable that takes bytes.
        digest: Makes what hashes a body while it is received, or ``None``.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str] | BinaryIO | Callable[[bytes], Any],
        *,
        digest: Callable[[Headers], Digest | None] | None = None,
    ) -> None:
        self._path, self._feed = _destination(destination)
        self._make_digest = digest
        self._file: BinaryIO | None = None
        self._part: Path | None = None
        self.body_digest: Digest | None = None

    @classmethod
    def of(cls, destination: Any, digest: Callable[[Headers], Digest | None] | None = None) -> Sink:
        """Make the sink for the option ``sink``; one that is a sink already is used.

        Args:
            destination: A path, a binary file, a callable that takes bytes, or a sink.
            digest: Makes what hashes a body while it is received, or ``None``.
        """
        if not isinstance(destination, Sink):
            return cls(destination, digest=digest)
        destination._make_digest = digest  # noqa: SLF001  its own class
        return destination

    def begin(self, headers: Headers) -> None:
        """Start receiving a response with these ``headers``, and discard an earlier attempt.

        Raises:
            NoResponseError: No temporary file can be made.
        """
        self.discard()
        self.body_digest = self._make_digest(headers) if self._make_digest else None
        with _errors():
            if self._path is not None:
                self._part = self._path.with_name(f".{secrets.token_hex(16)}.part")
                self._file = self._part.open("x+b")
                if self._path.exists():
                    _copy_permissions(self._path, self._part)
            else:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by `discard`

    def write(self, chunk: bytes) -> None:
        """Receive the next piece of the body.

        Raises:
            NoResponseError: It cannot be written.
        """
        if self.body_digest is not None:
            self.body_digest.update(chunk)
        self.store(chunk)

    def store(self, piece: bytes) -> None:
        """Write to the temporary file.

        Raises:
            NoResponseError: It cannot be written.
        """
        if self._file is not None:
            with _errors():
                self._file.write(piece)

    def head(self, size: int) -> bytes:
        """Return the first ``size`` bytes received, before they are delivered."""
        if self._file is None:
            return b""
        self._file.seek(0)
        head = self._file.read(size)
        self._file.seek(0, os.SEEK_END)
        return head

    def rehash(self, digest: Digest) -> None:
        """Hash what was received again, with another digest."""
        self.body_digest = digest
        if self._file is not None:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK):
                digest.update(chunk)

    def deliver(self) -> None:
        """Hand over an accepted body: rename the file into place, or feed the file or callable.

        What the file or callable raises comes out as it is.

        Raises:
            NoResponseError: The file cannot be renamed.
        """
        if self._file is None:
            return
        if self._part is not None and self._path is not None:
            with _errors():
                self._file.close()
                self._part.replace(self._path)
            self._part = None
        else:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK):
                self._feed(chunk)

    def discard(self) -> None:
        """Remove what was received and not delivered."""
        self.body_digest = None
        if self._file is not None:
            file, self._file = self._file, None
            # Closing writes what is buffered: on a full disk that fails again.
            with contextlib.suppress(OSError):
                file.close()
        if self._part is not None:
            part, self._part = self._part, None
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turn errors of the temporary file into ours."""
    try:
        yield
    except OSError as error:
        raise NoResponseError(
            f"sink: the download could not be written ({error.strerror or type(error).__name__}); "
            "nothing was left behind, so it may be repeated"
        ) from None


def _copy_permissions(source: Path, target: Path) -> None:
    """Make ``target`` as readable as the file that it will replace, which may be private."""
    mode = source.stat().st_mode & _PERMISSIONS
    # Some file systems give all files one mode, and refuse to change it.
    if mode != target.stat().st_mode & _PERMISSIONS:
        target.chmod(mode)


def _destination(target: Any) -> tuple[Path | None, Callable[[bytes], Any]]:
    """Return a path, or what takes bytes; refuse what could only fail after the download."""
    if isinstance(target, str | os.PathLike):
        # A link is followed, as by open(): a rename would put the file in its place.
        if "\0" in os.fsdecode(target):
            raise InvalidRequestError("sink: a path cannot hold NUL")
        path = Path(os.path.realpath(os.fsdecode(target)))
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise InvalidRequestError(
                f"sink: {str(path)!r} must be a file in a directory that exists and can be written"
            )
        if path.exists() and not path.is_file():
            raise InvalidRequestError(
                f"sink: {str(path)!r} is not a plain file; open a device or pipe and give the file"
            )
        return path, _nowhere
    if isinstance(target, io.TextIOBase):
        raise InvalidRequestError("sink: the file is open for text; open it with mode 'wb'")
    write = getattr(target, "write", target)
    if not callable(write):
        raise InvalidRequestError(
            f"sink: give a path, a binary file or a callable, not {type(target).__name__}"
        )
    if inspect.iscoroutinefunction(write):
        raise InvalidRequestError(
            "sink: what takes the bytes cannot be awaited; give a path, or a plain callable"
        )
    return None, functools.partial(_feed_whole, write) if isinstance(target, io.RawIOBase) else write


def _feed_whole(write: Callable[[memoryview], int | None], chunk: bytes) -> None:
    """Write all of ``chunk``: a file without a buffer may take less, when the disk is full for one."""
    left = memoryview(chunk)
    while left:
        taken = write(left)
        if taken is None:
            raise BlockingIOError("sink: the file would block; give one that waits")
        left = left[taken:]


def _nowhere(_: bytes) -> None:
    """Stand in for a callable where a path is the destination."""
