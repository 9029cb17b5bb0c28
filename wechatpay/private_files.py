"""Files that the processes of one user share: replaced whole, and locked by flock(2).

https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows has none
    fcntl = None  # type: ignore[assignment]

__all__ = ["OPEN_FLAGS", "FileLock", "replace_file"]

#: Do not follow a link, do not wait for the other end of a pipe. Windows has neither flag.
OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: In place of a descriptor.
_CLOSED = -1


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
        Path(part).replace(file)
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
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o600)
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
