"""The summary of a bill, compared with its rows."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING

from wechatpay.bills.columns import read_amount, read_units
from wechatpay.bills.errors import BillFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wechatpay.bills.columns import Kind, Layout

__all__ = ["Totals", "read_summary", "rounds_to"]

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
