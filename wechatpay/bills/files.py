"""Files: those of a bill, staged together and moved into place together, and rows as plain CSV."""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
import shutil
import tempfile
import weakref
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from wechatpay.bills.read import Row, Rows, read
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date as Date  # noqa: N812  `date` is an attribute

    from wechatpay.bills.checked import CheckedFile, Digest

__all__ = ["Bill", "Target", "is_directory", "open_output", "plain", "to_csv"]


def is_directory(to: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of a directory: there is one, or a slash at its end says so."""
    return os.fspath(to).endswith(("/", os.sep)) or os.path.isdir(to)  # noqa: PTH112  a Path drops the slash


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

    def __exit__(self, *_: object) -> None:
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
            to: A file; a directory, which is made if there is none and a slash is at its end; or ``None`` for
                a temporary file.
            name: The name of the file in a directory.

        Raises:
            InvalidRequestError: No file can be made there.
        """
        if to is None:
            return cls(None)
        path = Path(os.path.realpath(to))
        try:
            if is_directory(to):
                path.mkdir(parents=True, exist_ok=True)
                path /= name
            if path.exists() and not path.is_file():
                raise InvalidRequestError(f"to: {str(path)!r} is not a plain file")
            return cls(path)
        except FileNotFoundError:
            raise InvalidRequestError(
                f"to: the directory {str(path.parent)!r} does not exist: create it"
            ) from None
        except OSError as error:
            raise InvalidRequestError(
                f"to: no file can be made in {str(error.filename or path.parent)!r} ({error.strerror})"
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


def to_csv(rows: Iterable[Mapping[str, Any]], to: str | os.PathLike[str] | TextIO) -> int:
    """Write rows as CSV: English names, amounts in yuan and fen, times as ISO 8601, no backticks.

    ::

        bills.to_csv(bills.read("trade-2026-11-19.csv"), "orders.csv")
        duckdb.sql("SELECT sum(total) FROM 'orders.csv'")

    Args:
        rows: Rows of one bill, or any mappings with the same names.
        to: A path, which is replaced once all rows are written, or a text file opened with ``newline=""``.

    Returns:
        How many rows were written.

    Raises:
        BillFormatError: The bill is damaged; a path is then left as it was.
        InvalidRequestError: ``to`` is neither a path nor a text file.
        OSError: It cannot be written.
    """
    with open_output(to) as file:
        count = 0
        writer = csv.writer(file)
        # The columns of a bill are known before its first row, and an empty one has them, too.
        keys = rows.keys if isinstance(rows, Rows) else None
        if keys is not None:
            writer.writerow(keys)
        for row in rows.dicts() if isinstance(rows, Rows) else rows:
            if keys is None:
                keys = tuple(row)
                writer.writerow(keys)
            writer.writerow([plain(row[key]) for key in keys])
            count += 1
    return count


def plain(value: Any) -> Any:
    """Return a value as CSV and JSON have it: amounts as text, times as ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


@contextlib.contextmanager
def open_output(to: Any) -> Iterator[TextIO]:
    """Open a text file for writing; a path is replaced at the end, or left as it was after an error.

    Raises:
        InvalidRequestError: ``to`` is neither a path nor a text file.
        OSError: It cannot be written.
    """
    if not isinstance(to, str | os.PathLike):
        if not callable(getattr(to, "write", None)):
            raise InvalidRequestError(f"to: give a path or a text file, not {type(to).__name__}")
        yield to
        return
    path = Path(to)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
