"""Access tokens in a file, for the processes of one machine."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.process import PerProcess
from wechatpay.tokens.store import decode, encode, parsed

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows has none
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.tokens.store import Token

__all__ = ["FileTokens"]

#: Bytes of a file, at most: tokens of a thousand apps.
_MOST = 1 << 20

#: Neither follow a link, nor wait for the other end of a pipe; Windows has neither.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: Who may do what with a file that is its owner's alone.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileTokens:
    """Keeps tokens in a file that its owner alone may read; a lock file lies beside it.

    The file is replaced whole, so that a reader never sees a half of one. The lock is the kernel's: it opens
    when its holder ends. (Windows has no such lock: there, processes may fetch a token at the same time.)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Choose the file; it is made when there is something to write.

        Args:
            path: A file of its own, in a directory that exists.

        Raises:
            ConfigurationError: The path is a directory's, or lies in no directory.
        """
        self._path = Path(path).absolute()
        if self._path.is_dir() or not self._path.parent.is_dir():
            raise ConfigurationError(f"tokens: {str(path)!r} must be a file in a directory that exists")
        self._claims: PerProcess[dict[str, int]] = PerProcess(dict)

    def get(self, key: str) -> Token | None:
        """Read the token, if there is one.

        Raises:
            ConfigurationError: The file cannot be read, others may read or write it, or it is no file of
                tokens.
        """
        return decode(self._read().get(key))

    def put(self, key: str, token: Token) -> None:
        """Write a token in place of the last one; those of other keys stay.

        Raises:
            ConfigurationError: The file cannot be read or written.
        """
        kept = self._read() | {key: encode(token)}
        with self._explained():
            # Made with access for its owner alone.
            descriptor, part = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            try:
                with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123  a descriptor, no path
                    json.dump(kept, file)
                Path(part).replace(self._path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise

    def acquire(self, key: str, lease: str) -> bool:  # noqa: ARG002  one lock for all that is in the file
        """Lock the file for ``lease``, unless another has it.

        Raises:
            ConfigurationError: The lock file cannot be opened.
        """
        if fcntl is None:  # pragma: no cover  Windows
            return True
        with self._explained():
            beside = self._path.with_name(f"{self._path.name}.lock")
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._claims.get()[lease] = descriptor
        return True

    def release(self, key: str, lease: str) -> None:  # noqa: ARG002  one lock for all that is in the file
        """Unlock the file if ``lease`` has it."""
        descriptor = self._claims.get().pop(lease, None)
        if descriptor is not None:
            # Closing alone would leave it to a child that was forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        with self._explained():
            try:
                descriptor = os.open(self._path, os.O_RDONLY | _FLAGS)
            except FileNotFoundError:
                return {}
            with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, no path
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or (os.name == "posix" and status.st_mode & _OTHERS):
                    raise ConfigurationError(
                        f"tokens: {str(self._path)!r} is open to others than its owner: chmod 600 it"
                    )
                text = file.read(_MOST)
        kept = parsed(text) if text else {}
        if not isinstance(kept, dict):
            raise ConfigurationError(
                f"tokens: {str(self._path)!r} is no file of tokens: give another path, or delete it"
            )
        return kept

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(f"tokens: {str(self._path)!r}: {error.strerror}") from None

    def __repr__(self) -> str:
        return f"<FileTokens {self._path}>"
