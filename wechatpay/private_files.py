"""Files that the processes of one user share: replaced whole, and locked by flock(2).

https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows has none
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FileLock", "is_private", "open_file", "replace_file"]

#: Do not follow a link, do not wait for the other end of a pipe. Windows has neither flag.
_OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: Seconds to wait between attempts: a second in all.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.4)

#: In place of a descriptor.
_CLOSED = -1


_T = TypeVar("_T")


def _retry_on_windows(function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function; again, for a second, while Windows refuses as another process has the file open."""
    for pause in () if _has_owners() else _PAUSES:
        try:
            return function(*arguments)
        except PermissionError:
            time.sleep(pause)
    return function(*arguments)


def _has_owners() -> bool:
    """Return whether files have an owner and a mode, which Windows makes up."""
    return hasattr(os, "geteuid")


def open_file(file: Path) -> int:
    """Open a file to read; return its descriptor.

    Raises:
        OSError: It cannot be opened.
    """
    return _retry_on_windows(os.open, file, os.O_RDONLY | _OPEN_FLAGS)


def is_private(status: os.stat_result, others: int, *, of_any_owner: bool = False) -> bool:
    """Return whether a file is a regular one which other users may not read or write.

    On Windows every regular file is: its access lists decide who can open it.

    Args:
        status: The file's.
        others: The bits that its mode must not have.
        of_any_owner: Whether it may belong to another user.
    """
    if not stat.S_ISREG(status.st_mode) or not _has_owners():
        return stat.S_ISREG(status.st_mode)
    return not status.st_mode & others and (of_any_owner or status.st_uid == os.geteuid())


def replace_file(data: bytes, file: Path) -> None:
    """Write a file that only its owner can read; readers find all of it, or what was there before.

    Raises:
        OSError: It cannot be written.
    """
    # Created with access for its owner only.
    descriptor, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "wb") as opened:  # noqa: PTH123  a descriptor, no path
            opened.write(data)
        _retry_on_windows(Path(part).replace, file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


class FileLock:
    """One holder's lock on a file; the operating system releases it when the process ends.

    Where there are no such locks, as on Windows and on some network file systems, everybody gets it: the
    work that it guards is then done more than once, which is better than to wait for nobody.

    Args:
        path: A file used for nothing else, in a directory that exists; created by the first `acquire`.
    """

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _CLOSED

    def acquire(self) -> bool:
        """Lock without waiting; return ``False`` while another holder has the lock.

        Raises:
            OSError: The file cannot be opened.
        """
        if fcntl is None:
            return True
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            return False
        except OSError:
            # ENOLCK and the like: this file system has no locks.
            self._close()
        return True

    def release(self) -> None:
        """Unlock, if this is the holder."""
        if self._descriptor == _CLOSED:
            return
        try:
            # Closing alone would leave the lock to a child that was forked in the meantime.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, _CLOSED
        os.close(descriptor)
