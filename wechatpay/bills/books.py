"""Your own books, as reconciliation reads them: entries from mappings, from CSV or from lines of JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.bills.columns import exact_fen, read_amount
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.bills.read import Row

__all__ = ["Entry", "entry_of_row", "parse_entries"]

_STATES = ("state", "refund_status", "trade_state", "status")
_TIMES = ("time", "success_time", "paid_at", "trade_time", "create_time")


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment or a refund, of either side.

    Attributes:
        transaction_id: WeChat Pay's number of the order.
        out_trade_no: The merchant's number of the order.
        refund_id: WeChat Pay's number of the refund; ``""`` for a payment.
        out_refund_no: The merchant's number of the refund; ``""`` for a payment.
        amount: Fen; ``None`` if it is not to be compared.
        fee: Yuan, negative for a refund; ``None`` if it is not to be compared.
        state: WeChat Pay's word; ``""`` if it is not to be compared.
        at: Unix seconds; ``None`` if that is not known.
        position: The line in the bill, or the position in the books, from 1.
    """

    transaction_id: str = ""
    out_trade_no: str = ""
    refund_id: str = ""
    out_refund_no: str = ""
    amount: int | None = None
    fee: Decimal | None = None
    state: str = ""
    at: float | None = None
    position: int = 0

    @property
    def is_refund(self) -> bool:
        """Whether it is a refund, which has a number of its own."""
        return bool(self.refund_id or self.out_refund_no)


def entry_of_row(row: Row) -> Entry:
    """Read a row of a trade bill or of an overseas statement.

    Raises:
        InvalidRequestError: The bill is of another kind.
    """
    if row.kind not in {"trade", "statement"}:
        raise InvalidRequestError(f"rows: a bill of kind {row.kind!r} has no orders; give a trade bill")
    is_refund = row.is_refund
    return Entry(
        row["transaction_id"],
        row["out_trade_no"],
        row["refund_id"] if is_refund else "",
        row["out_refund_no"] if is_refund else "",
        row["refund_total_fen"] if is_refund else row["total_fen"],
        row.fee,
        (row["refund_status"] if is_refund else row["trade_state"]) or "",
        None,
        row.line,
    )


def parse_entries(ours: Any) -> Iterator[Entry]:
    """Read the merchant's books.

    Args:
        ours: Mappings, rows, or a path: ``.jsonl`` has lines of JSON, everything else is CSV.

    Raises:
        InvalidRequestError: An entry has no number, or its amount or time is not clear.
        OSError: The file cannot be read.
    """
    entries = _read_file(Path(ours)) if isinstance(ours, str) or hasattr(ours, "__fspath__") else ours
    for position, entry in enumerate(entries, 1):
        yield _parse(entry, position)


def _read_file(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            if path.suffix in {".jsonl", ".ndjson"}:
                for line in file:
                    if line.strip():
                        yield json.loads(line, parse_float=Decimal)
            else:
                yield from csv.DictReader(file, strict=True)
        except (ValueError, csv.Error) as error:
            raise InvalidRequestError(f"ours: {path.name} cannot be read: {error}") from None


def _parse(given: Any, position: int) -> Entry:
    if not isinstance(given, Mapping):
        raise InvalidRequestError(f"ours: entry {position} is {type(given).__name__}; give mappings")
    try:
        return _read(given, position)
    except ValueError as error:
        raise InvalidRequestError(f"ours: entry {position}: {error}") from None


def _read(given: Mapping[str, Any], position: int) -> Entry:
    order, trade = _text(given, "transaction_id"), _text(given, "out_trade_no")
    refund, out_refund = _text(given, "refund_id"), _text(given, "out_refund_no")
    if not (order or trade or refund or out_refund):
        raise ValueError("has no number: give transaction_id, out_trade_no, refund_id or out_refund_no")
    amount = _money(given, "amount", "refund_total" if refund or out_refund else "total")
    fen = None if amount is None else exact_fen(amount, "CNY")
    if amount is not None and fen is None:
        raise ValueError("amount: is not a whole number of fen")
    fee = _money(given, "fee", "fee")
    state = next(filter(None, (_text(given, name) for name in _STATES)), "").upper()
    at = _seconds(next((given[name] for name in _TIMES if given.get(name)), None))
    return Entry(order, trade, refund, out_refund, fen, fee, state, at, position)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return "" if value is None else str(value).strip()


def _money(given: Mapping[str, Any], name: str, column: str) -> Decimal | None:
    """Return an amount in yuan: `int` is fen and `Decimal` yuan, as everywhere; text has to say which."""
    for key, scale in ((f"{name}_fen", -2), (f"{column}_fen", -2), (f"{name}_yuan", 0)):
        value = given.get(key)
        if value is None or value == "":
            continue
        if not isinstance(value, float):
            read = read_amount(str(value))
            return None if read is None else read.scaleb(scale)
        raise ValueError(_unclear(name))
    value = given.get(name, given.get(column))
    if value is None or value == "":
        return None
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value).scaleb(-2)
    raise ValueError(_unclear(name))


def _unclear(name: str) -> str:
    return (
        f"{name}: give an int of fen or a Decimal of yuan; in a file, name the column {name}_fen or "
        f"{name}_yuan"
    )


def _seconds(at: Any) -> float | None:
    if at is None:
        return None
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("time: give a datetime with a time zone, or ISO 8601 with an offset")
    return at.timestamp()
