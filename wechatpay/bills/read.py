"""Reading a bill: rows in constant memory, found by the header's names, checked against the summary."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

from wechatpay.bills.errors import BillFormatError
from wechatpay.bills.format import Splitter, Totals, find_layout, open_source, read_blocks, read_summary
from wechatpay.bills.layout import Layout
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Row", "Rows", "read"]

Source = str | os.PathLike[str] | bytes | BinaryIO


def read(source: Source, *, check: bool = True) -> Rows:
    """Read a bill of any kind, packed with gzip or not.

    ::

        with bills.read("trade-2026-11-19.csv") as rows:
            for row in rows:
                print(row.trade_time, row.out_trade_no, row.total, row.total_fen)
        print(rows.summary)

    Args:
        source: A path, the bytes themselves, or a binary file, which is read to its end and not closed.
        check: Whether to compare the summary with the rows once all are read.

    Returns:
        The rows, an iterator; memory does not grow with the file.

    Raises:
        BillFormatError: The file is not a bill, which its first line shows; `Rows` raises it for the others.
        InvalidRequestError: ``source`` is none of these.
        OSError: The file cannot be read.
    """
    return Rows(*open_source(source), check=check)


class Row(Mapping[str, Any]):
    """One row of a bill, read when a cell is asked for.

    A cell has WeChat Pay's name, by which it is the text in the file without its backtick, and an English
    name, by which it is a value: amounts are `Decimal` yuan, and ``…_fen`` beside each is an `int`, or
    ``None`` where the amount is not a whole number of fen; times are aware, of Asia/Shanghai; numbers of
    what does not exist are ``""`` instead of ``0``. English names are attributes, too. As a mapping, a row
    has its English names.

    Attributes:
        line: The number of its line in the file, from 1.
    """

    __slots__ = ("_cells", "_layout", "line")

    def __init__(self, layout: Layout, cells: list[str], line: int) -> None:
        self._layout = layout
        self._cells = cells
        self.line = line

    @property
    def kind(self) -> str:
        """The kind of bill: ``trade``, ``fund``, ``sharing``, ``statement`` or ``overseas-sharing``."""
        return self._layout.kind.name

    @property
    def is_refund(self) -> bool:
        """Whether this is the refund of an order, which has a number of its own."""
        places = self._layout.places
        found = (places.get(name) for name in ("refund_id", "out_refund_no"))
        return any(place is not None and self._cells[place] not in {"", "0"} for place in found)

    @property
    def cells(self) -> dict[str, str]:
        """The texts as they stand in the file, without backticks, by WeChat Pay's names."""
        return dict(zip(self._layout.names, self._cells, strict=True))

    def __getitem__(self, name: str) -> Any:
        field = self._layout.fields.get(name)
        if field is None:
            try:
                return self._cells[self._layout.names.index(name)]
            except ValueError:
                raise KeyError(name) from None
        try:
            # As `field.value` does, which costs a call more.
            if field.currency < 0:
                return field.read(self._cells[field.place])
            return field.value(self._cells)
        except ValueError as error:
            raise BillFormatError(f"{name}: {error}", line=self.line) from None

    def __getattr__(self, name: str) -> Any:
        if name in self._layout.fields:
            return self[name]
        if name in self._layout.kind.keys:
            return None
        raise AttributeError(f"a {self.kind} bill has no {name!r}; it has {', '.join(self._layout.fields)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.fields)

    def __len__(self) -> int:
        return len(self._layout.fields)

    def __repr__(self) -> str:
        numbers, amounts = (_REFUND_NUMBERS, _REFUNDED) if self.is_refund else (_NUMBERS, _AMOUNTS)
        amount = f"{self._find_cell(amounts)} {self._find_cell(('currency',))}"
        shown = [text for text in (self._find_cell(numbers), amount.strip()) if text]
        return f"<Row {self.kind}, line {self.line}{':' if shown else ''} {', '.join(shown)}".rstrip() + ">"

    def _find_cell(self, names: Iterable[str]) -> str:
        """Return the text of the first of some columns that has one, cut off after 40 characters."""
        places = self._layout.places
        cells = (self._cells[places[name]] for name in names if name in places)
        return next((cell[:40] for cell in cells if cell not in {"", "0"}), "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._layout.names, self._cells, self.line)


#: Columns that identify a payment, a booking or a share, and a refund, and their amounts: a row shows the
#: first that it has, as text, and nothing of the payer.
_NUMBERS = ("out_trade_no", "out_order_no", "transaction_id", "business_id")
_REFUND_NUMBERS = ("out_refund_no", "refund_id")
_AMOUNTS, _REFUNDED = ("total", "amount"), ("refund_total",)


def _rebuild(names: tuple[str, ...], cells: list[str], line: int) -> Row:
    return Row(cast("Layout", Layout.find(",".join(names))), cells, line)


class Block(NamedTuple):
    """Some rows of one bill, which are read faster together.

    Attributes:
        layout: The columns.
        lines: The numbers of their lines.
        cells: Their cells.
    """

    layout: Layout
    lines: Sequence[int]
    cells: list[list[str]]

    def columns(self, names: Iterable[str]) -> list[list[Any]]:
        """Read the values of some English names, name by name; ``None`` for those that the bill lacks.

        Raises:
            BillFormatError: A cell cannot be read; the error says which one if there is only one row.
        """
        fields, count = self.layout.fields, len(self.cells)
        try:
            return [
                [*fields[name].values(self.cells)] if name in fields else [None] * count for name in names
            ]
        except ValueError as error:
            if count == 1:
                dict(Row(self.layout, self.cells[0], self.lines[0]))
            raise BillFormatError(str(error)) from None

    def each(self) -> Iterator[Block]:
        """Yield a block for each row."""
        for line, cells in zip(self.lines, self.cells, strict=True):
            yield Block(self.layout, [line], [cells])


def blocks_of(rows: Iterable[Row]) -> Iterator[Block]:
    """Yield rows of any number of bills, some at a time.

    Raises:
        BillFormatError: A bill is damaged; the rows before come first.
    """
    if isinstance(rows, Rows):
        yield from rows.blocks()
        return
    rest = iter(rows)
    problem: Exception | None = None
    while problem is None:
        some: list[Row] = []
        try:
            some.extend(islice(rest, _TOGETHER))
        except Exception as error:  # noqa: BLE001  raised below
            problem = error
        for layout, each in groupby(some, attrgetter("_layout")):
            pairs = [(row.line, row._cells) for row in each]  # noqa: SLF001  of this module
            yield Block(layout, *map(list, zip(*pairs, strict=True)))
        if not some:
            return
    raise problem


#: Rows of a list that are read together.
_TOGETHER = 500


class Rows(Iterator[Row]):
    """The rows of a bill, from first to last, once.

    Attributes:
        kind: The kind of bill: ``trade``, ``fund``, ``sharing``, ``statement`` or ``overseas-sharing``.
        names: WeChat Pay's names of the columns, in the file's order.
        keys: The English names of the columns, in the same order; those of amounts come twice, see `Row`.
    """

    def __init__(self, file: BinaryIO, close: Callable[[], None], *, check: bool) -> None:
        self._close = close
        self._blocks = read_blocks(file)
        try:
            first, text = next(self._blocks, (1, ""))
            header, _, self._text = text.partition("\n")
            self._first = first + 1
            self._layout = find_layout(header)
        except BaseException:
            close()
            raise
        self._totals = Totals(self._layout) if check else None
        self._chunks = self._read()
        self._rows = self._each()
        self.kind = self._layout.kind.name
        self.names = self._layout.names
        self.keys = tuple(self._layout.fields)
        self._summary: dict[str, Any] | None = None
        self._is_read = False

    @property
    def summary(self) -> dict[str, Any] | None:
        """The file's own sums by English name, once all rows were read; ``None`` in bills that have none.

        Raises:
            InvalidRequestError: There are rows left to read.
        """
        if not self._is_read:
            raise InvalidRequestError(
                "summary: it stands at the end of the bill: read all rows first, as in `for row in rows: ...`"
            )
        return self._summary

    def __iter__(self) -> Iterator[Row]:  # noqa: PYI034  the generator itself is faster
        return self._rows

    def __next__(self) -> Row:
        return next(self._rows)

    def _each(self) -> Generator[Row]:
        for lines, cells in self._chunks:
            yield from map(Row, repeat(self._layout), cells, lines)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows that are left as they are read, some at a time."""
        for lines, cells in self._chunks:
            yield Block(self._layout, lines, cells)

    def dicts(self) -> Iterator[dict[str, Any]]:
        """Give the rows that are left as plain dicts by English name, as pandas and polars take them.

        ::

            pandas.DataFrame(bills.read(path).dicts())
            polars.from_dicts(list(bills.read(path).dicts()), infer_schema_length=None)
        """
        fields = list(self._layout.fields.values())
        for lines, cells in self._chunks:
            try:
                values = [*zip(*(field.values(cells) for field in fields), strict=True)]
            except ValueError:
                # One of these rows has a cell that cannot be read; it says which.
                yield from (dict(Row(self._layout, *each)) for each in zip(cells, lines, strict=True))
            else:
                for row in values:
                    yield dict(zip(self.keys, row, strict=True))

    def close(self) -> None:
        """Close the file, unless it is the caller's; reading to the end does so, too."""
        self._rows.close()
        self._chunks.close()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Generator[tuple[Sequence[int], list[list[str]]]]:
        """Yield the numbers of some lines, and their cells."""
        splitter = Splitter(self._layout)
        width, first, text = {len(self._layout.names)}, self._first, self._text
        self._text = ""
        try:
            while True:
                # The usual case, fast: nothing but whole rows.
                numbers: Sequence[int] = range(first, first + text.count("\n") + 1)
                cells = [row.split(",`") for row in text[1:].split("\n`")] if text[:1] == "`" else []
                if not splitter.is_idle or len(cells) != len(numbers) or set(map(len, cells)) != width:
                    numbers, cells = splitter.split(first, text.split("\n"))
                if cells:
                    yield from self._checked(numbers, cells)
                if splitter.error:
                    raise splitter.error
                if (block := next(self._blocks, None)) is None:
                    break
                first, text = block
            self._finish(splitter)
        finally:
            self._close()

    def _checked(
        self, numbers: Sequence[int], cells: list[list[str]]
    ) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
        """Add a block of rows to the totals, and yield it up to the first row with a bad amount."""
        error = self._totals.add(numbers, cells) if self._totals else None
        if error is None:
            yield numbers, cells
        else:
            good = numbers.index(error.line)
            yield numbers[:good], cells[:good]
            raise error

    def _finish(self, splitter: Splitter) -> None:
        splitter.end()
        self._is_read = True
        kind = self._layout.kind
        if splitter.summary is None:
            if kind.summary:
                raise BillFormatError("the file ends without its summary: it was cut off")
            return
        line, names, cells = splitter.summary
        stated = read_summary(kind, line, names, cells)
        unknown = {name: cell for name, cell in zip(names, cells, strict=True) if name not in kind.summary}
        self._summary = {key: value for key, _, value in stated} | unknown
        if self._totals:
            self._totals.compare(line, stated)
