"""The files of a bill: staged together, moved into place together, removed with the bill if they are ours."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wechatpay.bills.read import Row, read
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date as Date  # noqa: N812  `date` is an attribute
    from types import TracebackType

    from wechatpay.bills.checked import CheckedFile, Digest

__all__ = ["Bill", "Target"]


class Bill:
    """A bill that was fetched: its files, which match what WeChat Pay named.

    Usable with ``with``, which removes the files of a bill that was fetched without a path; they are removed
    with the bill in any case.

    Attributes:
        kind: What was asked for, such as ``trade``.
        date: The day, in Beijing.
        paths: The files: none for a day on which nothing happened, several where WeChat Pay offers parts.
        digests: The digest of each file; ``None`` where WeChat Pay gives none.
    """

    def __init__(
        self, kind: str, date: Date, paths: tuple[Path, ...], digests: tuple[Digest | None, ...]
    ) -> None:
        self.kind = kind
        self.date = date
        self.paths = paths
        self.digests = digests
        self._remove: Callable[[], object] = _nothing

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened that day, says WeChat Pay."""
        return not self.paths

    def rows(self, *, check: bool = True) -> Iterator[Row]:
        """Read the rows of all files.

        Args:
            check: Whether to compare each summary with its rows.

        Raises:
            BillFormatError: A line is damaged, or a summary differs from the rows.
        """
        for path in self.paths:
            with read(path, check=check) as rows:
                yield from rows

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def close(self) -> None:
        """Remove the files of a bill that was fetched without a path."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        files = f"{len(self.paths)} file{'s' * (len(self.paths) != 1)}" if self.paths else "empty"
        return f"<Bill {self.kind} {self.date}, {files}>"


class Target:
    """Where the files of a bill go: into a staging directory first, then all of them into place."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._staging = Path(
            tempfile.mkdtemp(prefix="." if path else "wechatpay-", dir=path.parent if path else None)
        )
        self._keeps = False

    @classmethod
    def choose(cls, to: str | os.PathLike[str] | None, name: str) -> Target:
        """Find the path for an argument ``to``, before anything is sent.

        Args:
            to: A file, a directory, or ``None`` for a temporary file.
            name: The name of the file in a directory.

        Raises:
            InvalidRequestError: No file can be made there.
        """
        if to is None:
            return cls(None)
        path = Path(os.path.realpath(to))
        if path.is_dir():
            path /= name
        if path.exists() and not path.is_file():
            raise InvalidRequestError(f"to: {str(path)!r} is not a plain file")
        try:
            return cls(path)
        except OSError as error:
            raise InvalidRequestError(
                f"to: no file can be made in {str(path.parent)!r} ({error.strerror})"
            ) from None

    def stage(self, number: int) -> Path:
        """Return where a file is to be written first."""
        return self._staging / f"{number}.csv"

    def finish(self, kind: str, date: Date, files: list[CheckedFile]) -> Bill:
        """Move all files into place."""
        staged = [self.stage(number) for number in range(len(files))]
        paths = staged
        if self._path is not None:
            paths = [self._path]
            if len(files) != 1:
                stem, suffix = self._path.stem, self._path.suffix
                paths = [
                    self._path.with_name(f"{stem}-{number}{suffix}") for number in range(1, len(files) + 1)
                ]
            for source, path in zip(staged, paths, strict=True):
                source.replace(path)
        bill = Bill(kind, date, tuple(paths), tuple(file.digest for file in files))
        if self._path is None and files:
            self._keeps = True
            bill._remove = weakref.finalize(bill, shutil.rmtree, self._staging, ignore_errors=True)  # noqa: SLF001  made here
        return bill

    def clean(self) -> None:
        """Remove the staging directory, unless a bill has its files there."""
        if not self._keeps:
            shutil.rmtree(self._staging, ignore_errors=True)


def _nothing() -> None:
    """Leave the caller's files where they are."""
