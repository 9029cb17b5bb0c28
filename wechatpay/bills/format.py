"""The text of a bill: bytes to lines to cells, in constant memory, and its summary.

UTF-8 with a byte order mark: a header, rows whose cells begin with a backtick each, a summary of two lines.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from wechatpay.bills.errors import BillFormatError
from wechatpay.bills.layout import Layout, read_amount, read_units
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wechatpay.bills.columns import Kind

__all__ = ["Splitter", "Totals", "find_layout", "open_source", "read_blocks", "read_summary", "rounds_to"]

#: Bytes read at a time, and those that a row may have: what a cell holds is a few KiB at most.
_BLOCK = 64 * 1024
_LONGEST_ROW = 1024 * 1024

_BOM = "\ufeff"
_GZIP_MAGIC = b"\x1f\x8b"

_LOOSE_SEPARATOR = re.compile(",`?")


def open_source(source: Any) -> tuple[BinaryIO, Callable[[], None]]:
    """Return a file of the unpacked bill, and what closes it.

    Raises:
        InvalidRequestError: ``source`` is not a path, bytes or a binary file.
        OSError: The file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        file: BinaryIO = io.BytesIO(source)
        close = file.close
    elif isinstance(source, str | os.PathLike):
        file = Path(source).open("rb")  # noqa: SIM115  closed by `Rows`
        close = file.close
    elif isinstance(source, io.TextIOBase) or not callable(getattr(source, "read", None)):
        raise InvalidRequestError(
            f"source: give a path, bytes, or a file opened with mode 'rb', not {type(source).__name__}"
        )
    else:
        file, close = source, _nothing
    head = b""
    while len(head) < len(_GZIP_MAGIC) and (piece := file.read(len(_GZIP_MAGIC) - len(head))):
        head += piece
    whole = cast("BinaryIO", _Rejoined(head, file))
    return (cast("BinaryIO", gzip.GzipFile(fileobj=whole)) if head == _GZIP_MAGIC else whole), close


class _Rejoined:
    """A file whose first bytes were read already: a pipe cannot be rewound."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._file.read(size)


def _nothing() -> None:
    """Leave the caller's file open."""


def read_blocks(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the number of a line, and the text from there to the end of another line: some at a time.

    Raises:
        BillFormatError: The file is not UTF-8, is a damaged gzip file, or has a line of more than 1 MiB.
    """
    first, rest, prefix = 1, b"", _BOM
    while True:
        try:
            chunk = file.read(_BLOCK)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise BillFormatError(f"after line {first - 1} the gzip file is damaged or cut off") from None
        end = chunk.rfind(b"\n") + 1
        if chunk and not end:
            rest += chunk
            if len(rest) > _LONGEST_ROW:
                raise BillFormatError("longer than any line of a bill", line=first)
            continue
        block, rest = rest + chunk[:end], chunk[end:]
        if block:
            text = _decode(block, first).removeprefix(prefix).replace("\r\n", "\n")
            prefix = ""
            lines = text.count("\n")
            yield first, text.removesuffix("\n" if chunk else "\r")
            first += lines
        if not chunk:
            return


def _decode(block: bytes, first: int) -> str:
    try:
        return block.decode()
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        raise BillFormatError("is not UTF-8: give the file as it was downloaded", line=line) from None


def find_layout(line: str) -> Layout:
    """Find the columns that a header names.

    Raises:
        BillFormatError: They are not a bill's.
    """
    if (layout := Layout.find(line)) is not None:
        return layout
    if line.lstrip().startswith("<"):
        raise BillFormatError("the file is HTML or XML, not a bill: an error page was saved", line=1)
    raise BillFormatError(
        f"these are not the columns of a bill that is documented: {line!r:.80}; read the file as CSV", line=1
    )


class Splitter:
    """Splits lines into cells where there is more than whole rows: line breaks in cells, and the summary.

    Attributes:
        summary: The summary's line, names and cells.
        error: What is wrong with the line after the last row.
    """

    def __init__(self, layout: Layout) -> None:
        self._width = len(layout.names)
        self._kind = layout.kind
        self._pending: tuple[int, str] | None = None
        self._totals_header: list[str] | None = None
        self.summary: tuple[int, list[str], list[str]] | None = None
        self.error: BillFormatError | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no line waits for the next one."""
        return self._pending is None and self._totals_header is None

    def split(self, first: int, lines: list[str]) -> tuple[list[int], list[list[str]]]:
        """Split lines into rows: the numbers of their first lines, and the cells, up to a damaged line."""
        rows: list[tuple[int, list[str]]] = []
        try:
            for number, line in enumerate(lines, first):
                if row := self._add(number, line):
                    rows.append(row)
        except BillFormatError as error:
            self.error = error
        return [number for number, _ in rows], [cells for _, cells in rows]

    def _add(self, number: int, line: str) -> tuple[int, list[str]] | None:
        if self._totals_header is not None:
            self._add_summary(number, line)
            return None
        begins_row = line[:1] == "`"
        cells = line[1:].split(",`") if begins_row else []
        if self._pending is None:
            return self._begin(number, line, cells)
        start, text = self._pending
        if len(cells) == self._width or self._is_summary(line):
            raise _damaged(start, text, self._width)
        text = f"{text}\n{line}"
        cells = text[1:].split(",`")
        if len(cells) > self._width or len(text) > _LONGEST_ROW:
            raise _damaged(start, text, self._width)
        self._pending = None if len(cells) == self._width else (start, text)
        return None if self._pending else (start, cells)

    def _begin(self, number: int, line: str, cells: list[str]) -> tuple[int, list[str]] | None:
        if len(cells) == self._width:
            return number, cells
        if self._is_summary(line):
            self._totals_header = line.replace("，", ",").split(",")
            return None
        if not line:
            return None
        if self._kind.is_loose:
            loose = _LOOSE_SEPARATOR.split(line.removeprefix("`"))
            if len(loose) == self._width:
                return number, loose
        if not cells and not self._kind.summary:
            # Nobody documents the summary of these bills.
            self._totals_header = line.split(",")
            return None
        if not cells or len(cells) > self._width:
            raise _damaged(number, line, self._width)
        self._pending = number, line
        return None

    def _is_summary(self, line: str) -> bool:
        return line.replace("，", ",").partition(",")[0] in self._kind.summary

    def _add_summary(self, number: int, line: str) -> None:
        if not line:
            return
        if self.summary is not None or self._totals_header is None:
            raise BillFormatError("stands after the summary", line=number)
        cells = line.removeprefix("`").split(",`")
        if len(cells) != len(self._totals_header):
            raise _damaged(number, line, len(self._totals_header))
        self.summary = number, self._totals_header, cells

    def end(self) -> None:
        """Check that the file did not end inside a row.

        Raises:
            BillFormatError: It did.
        """
        if self._pending is not None:
            raise _damaged(*self._pending, self._width)


def _damaged(number: int, line: str, width: int) -> BillFormatError:
    # Not the line itself: it holds what customers bought.
    count = len(line.removeprefix("`").split(",`"))
    wrong = f"has {count} cells instead of {width}" if line[:1] == "`" else "does not begin with a backtick"
    return BillFormatError(f"{wrong}: the line is damaged", line=number)


#: Sums are kept in units of 10⁻⁸ yuan, as integers: many times faster than decimals, and exact.
_SCALE = 8


def read_summary(
    kind: Kind, line: int, names: list[str], cells: list[str]
) -> list[tuple[str, str, Decimal | int | None]]:
    """Return English name, what it is the sum of, and value of each cell that is known.

    Raises:
        BillFormatError: A cell is not a number.
    """
    found: list[tuple[str, str, Decimal | int | None]] = []
    for name, cell in zip(names, cells, strict=True):
        if (known := kind.summary.get(name)) is None:
            continue
        key, source = known
        try:
            value = read_amount(cell)
        except ValueError as error:
            raise BillFormatError(f"{name}: {error}", line=line) from None
        # Counts are written 2 or 2.0.
        is_count = source.endswith("#") and value is not None and value == int(value)
        found.append((key, source, int(value) if is_count and value is not None else value))
    return found


def _units(cell: str) -> int:
    amount = (read_amount(cell) or Decimal(0)).scaleb(_SCALE)
    if (units := int(amount)) != amount:
        raise ValueError(f"{cell!r:.40} has more than {_SCALE} decimals")
    return units


def _sum(column: list[str]) -> int:
    """Add amounts up, in units of 10⁻⁸ yuan; fast where all of them are alike.

    Raises:
        ValueError: One of them is not an amount.
    """
    if column.count(column[0]) == len(column):
        return _units(column[0]) * len(column)
    for decimals in (2, 5):
        if (units := read_units(column, decimals)) is not None:
            factor: int = 10 ** (_SCALE - decimals)
            return factor * sum(units)
    return sum(map(_units, column))


class Totals:
    """The sums of a bill's rows, as its summary has them."""

    def __init__(self, layout: Layout) -> None:
        self._amounts = layout.amounts
        self._direction = layout.places.get("direction")
        self._sums: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}

    def add(self, numbers: Sequence[int], rows: list[list[str]]) -> BillFormatError | None:
        """Add rows; return the error of the first one with a cell that is not an amount."""
        try:
            self._add("", rows)
        except ValueError:
            return next(filter(None, map(self._check, numbers, rows)))
        if self._direction is not None:
            side = itemgetter(self._direction)
            for sign, name in (("+", "收入"), ("-", "支出")):
                self._add(sign, [cells for cells in rows if side(cells) == name])
        return None

    def _add(self, sign: str, rows: list[list[str]]) -> None:
        self._counts[sign] = self._counts.get(sign, 0) + len(rows)
        done: list[tuple[list[str], int]] = []
        for key, place in self._amounts.items():
            column = [cells[place] for cells in rows]
            # Columns are often alike: without coupons, the order's total is what is settled.
            total = next((total for other, total in done if other == column), None)
            if total is None:
                total = _sum(column) if column else 0
                done.append((column, total))
            self._sums[sign, key] = self._sums.get((sign, key), 0) + total

    def _check(self, line: int, cells: list[str]) -> BillFormatError | None:
        for key, place in self._amounts.items():
            try:
                _units(cells[place])
            except ValueError as error:
                return BillFormatError(f"{key}: {error}", line=line)
        return None

    def compare(self, line: int, stated: list[tuple[str, str, Decimal | int | None]]) -> None:
        """Compare with the summary.

        Raises:
            BillFormatError: They differ.
        """
        for key, source, value in stated:
            sign = source[0] if source[0] in "+-" else ""
            name = source.removeprefix(sign)
            if name == "#":
                actual = Decimal(self._counts.get(sign, 0))
            elif name in self._amounts:
                actual = Decimal(self._sums.get((sign, name), 0)).scaleb(-_SCALE)
            else:
                continue
            if value is None or not rounds_to(actual, Decimal(value)):
                raise BillFormatError(
                    f"the summary has {key} {value}, and the rows have {actual.normalize():f}: "
                    "rows are missing or altered",
                    line=line,
                )


def rounds_to(actual: Decimal, stated: Decimal) -> bool:
    """Return whether a sum is what the summary states; rows may have more decimals than that."""
    if actual == stated:
        return True
    unit = Decimal(1).scaleb(int(stated.as_tuple().exponent))
    return actual % unit != 0 and 2 * abs(actual - stated) <= unit
