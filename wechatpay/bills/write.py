"""Rows as plain CSV, for spreadsheets, databases and DuckDB."""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from wechatpay.bills.read import Rows
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["open_output", "plain", "to_csv"]


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
