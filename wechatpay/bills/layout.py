"""The columns of one file, found by the names in its header, and how their cells are read."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812  `date` is a type of dates
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wechatpay.bills.columns import KINDS, normalize
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wechatpay.bills.columns import Kind

__all__ = ["Layout", "china", "exact_fen", "parse_day", "read_amount", "read_units"]


class Memo(dict[str, Any]):
    """What cells are read as, remembered for as many as fit: the same amounts and times come often."""

    _MOST = 1 << 14

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, cell: str) -> Any:
        value = self._read(cell)
        if len(self) < self._MOST:
            self[cell] = value
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """How an English name is read from the cells of a row.

    Attributes:
        place: The position of the cell.
        read: Reads the cell; raises `ValueError`.
        currency: For an amount in the smallest unit of another currency: the position of the latter's cell.
        read_all: Reads a whole column, faster, or returns ``None`` if it cannot.
    """

    place: int
    read: Callable[[str], Any]
    currency: int = -1
    read_all: Callable[[list[str]], list[Any] | None] | None = None

    def value(self, cells: list[str]) -> Any:
        """Read one row."""
        value = self.read(cells[self.place])
        return value if self.currency < 0 else exact_fen(value, cells[self.currency])

    def values(self, rows: list[list[str]]) -> Iterable[Any]:
        """Read the same of many rows."""
        column = [cells[self.place] for cells in rows]
        values: Iterable[Any] | None = None
        if self.read_all is not None and column:
            if column.count(column[0]) == len(column):
                values = [self.read(column[0])] * len(column)
            else:
                values = self.read_all(column)
        if values is None:
            values = map(self.read, column)
        if self.currency < 0:
            return values
        return map(exact_fen, values, [cells[self.currency] for cells in rows])


class Layout:
    """The columns of one file, found by the names in its header, whatever their number and order.

    Attributes:
        kind: The kind of bill.
        names: The names, as in the file.
        fields: How each English name is read; names that are not known keep their own.
        amounts: The position of each amount.
        places: The position of each column.
    """

    __slots__ = ("amounts", "fields", "kind", "names", "places")

    def __init__(self, kind: Kind, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.names = names
        self.places: dict[str, int] = {}
        self.amounts: dict[str, int] = {}
        self.fields: dict[str, Field] = {}
        found = [kind.columns.get(normalize(name)) for name in names]
        for place, (name, column) in enumerate(zip(names, found, strict=True)):
            self.places.setdefault(column.key if column else name, place)
        if _OLD_TOTAL in names:
            for key, source in _SAME_IN_OLD_BILLS.items():
                if source in self.places:
                    self.places.setdefault(key, self.places[source])
        readers = {name: Memo(read).__getitem__ if name in _REPEATED else read for name, read in _READERS}
        for key, place in self.places.items():
            column = found[place]
            is_amount = column is not None and column.type == "amount"
            read_all = _read_amounts if is_amount else None
            self.fields[key] = Field(place, readers[column.type if column else "text"], read_all=read_all)
            if column and is_amount:
                self.amounts[key] = place
                currency = self.places.get(column.currency, -1)
                type_ = "fen" if currency < 0 else "amount"
                read_all = _read_fens if currency < 0 else _read_amounts
                self.fields[f"{key}_fen"] = Field(place, readers[type_], currency, read_all)

    @classmethod
    def find(cls, header: str) -> Layout | None:
        """Find the kind of bill whose columns a header names; ``None`` if no kind has them."""
        names = tuple(name.strip().removeprefix("`") for name in header.replace("，", ",").split(","))
        normalized = [normalize(name) for name in names]
        kind = max(KINDS, key=lambda kind: sum(name in kind.columns for name in normalized))
        known = sum(name in kind.columns for name in normalized)
        return cls(kind, names) if known >= _LEAST_COLUMNS and 2 * known > len(names) else None


#: Known columns that make a file a bill; most of its columns must be known, too, and some may be new.
_LEAST_COLUMNS = 5


#: Columns that older trade bills lack because there were no coupons at the merchant's cost.
_OLD_TOTAL = "总金额"
_SAME_IN_OLD_BILLS = {"settlement_total": "total", "refund_total": "settlement_refund"}

#: Currencies that have no smaller unit: WeChat Pay's API counts them whole.
_WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND"})

_AMOUNT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{0,12})?")
_CENTS = re.compile(r"-?[0-9]{1,18}\.[0-9]{2}")
_ESCAPE = re.compile(r"\\(140|.)", re.DOTALL)
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", " ": ",", "140": "`"}
_LINE_ESCAPE = re.compile(r"\\([nr])")


@functools.cache
def china() -> tzinfo:
    """Return the time zone of WeChat Pay's days and bills: Asia/Shanghai."""
    try:
        return ZoneInfo("Asia/Shanghai")
    except ZoneInfoNotFoundError:  # pragma: no cover  a system without a time zone database
        return timezone(timedelta(hours=8), "Asia/Shanghai")


def parse_day(name: str, given: Any) -> Date:
    """Return the day that an argument gives: a date, or ISO text.

    Raises:
        InvalidRequestError: It is neither.
    """
    if isinstance(given, datetime) or not isinstance(given, Date | str):
        raise InvalidRequestError(f"{name}: give a date or YYYY-MM-DD, not {type(given).__name__}")
    if isinstance(given, Date):
        return given
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=china()).date()
    except ValueError:
        raise InvalidRequestError(f"{name}: {given!r:.40} is not a day: give YYYY-MM-DD") from None


def exact_fen(yuan: Decimal | None, currency: str) -> int | None:
    """Return an amount in the currency's smallest unit, as the API counts; ``None`` if that is not exact."""
    if yuan is None:
        return None
    fen = yuan if currency in _WHOLE_CURRENCIES else yuan.scaleb(2)
    whole = int(fen)
    return whole if whole == fen else None


def read_amount(cell: str) -> Decimal | None:
    """Read an amount in yuan; ``None`` for an empty cell.

    Raises:
        ValueError: It is not a decimal number.
    """
    if not cell:
        return None
    if _AMOUNT.fullmatch(cell) is None:
        raise ValueError(f"{cell!r:.40} is not an amount")
    return Decimal(cell)


def read_units(column: list[str], decimals: int) -> list[int] | None:
    """Read amounts without their points, many times faster than one by one.

    Args:
        column: The cells.
        decimals: 2, or 5 as fees have.

    Returns:
        The numbers; ``None`` unless all amounts have so many decimals.
    """
    if not _are_alike(column, decimals):
        return None
    return [*map(int, "\n".join(column).replace(".", "").split("\n"))]


def _read_fens(column: list[str]) -> list[Any] | None:
    return read_units(column, 2)


def _read_amounts(column: list[str]) -> list[Any] | None:
    return [*map(Decimal, column)] if _are_alike(column, 2) or _are_alike(column, 5) else None


def _are_alike(column: list[str], decimals: int) -> bool:
    """Return whether all cells are amounts with so many decimals."""
    text = "\n".join(column)
    return _ALIKE[decimals].fullmatch(text) is not None and text.count("\n") < len(column)


_ALIKE = {
    decimals: re.compile(rf"-?[0-9]{{1,15}}\.[0-9]{{{decimals}}}(\n-?[0-9]{{1,15}}\.[0-9]{{{decimals}}})*")
    for decimals in (2, 5)
}


def _read_fen(cell: str) -> int | None:
    if _CENTS.fullmatch(cell):
        return int(cell.replace(".", ""))
    return exact_fen(read_amount(cell), "CNY")


def _read_time(cell: str) -> datetime | None:
    if not cell or cell == "0":
        return None
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell!r:.40} is not a time") from None
    return at if at.tzinfo else at.replace(tzinfo=china())


def _read_id(cell: str) -> str:
    return "" if cell == "0" else cell


def _unescape(cell: str) -> str:
    if "\\" not in cell:
        return cell
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[1]), cell)


def _unescape_lines(cell: str) -> str:
    return _LINE_ESCAPE.sub(lambda found: _UNESCAPED[found[1]], cell) if "\\" in cell else cell


#: Types whose values come often, and are costly to read.
_REPEATED = {"amount", "fen", "time"}

_READERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("amount", read_amount),
    ("escaped", _unescape),
    ("fen", _read_fen),
    ("id", _read_id),
    ("lines", _unescape_lines),
    ("text", str),
    ("time", _read_time),
)
