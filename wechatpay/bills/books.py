"""Payments and refunds to compare: of a bill's rows, and of your own books."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wechatpay.bills.errors import BillFormatError
from wechatpay.bills.files import Bill
from wechatpay.bills.layout import exact_fen, read_amount
from wechatpay.bills.read import blocks_of, read
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wechatpay.bills.read import Block, Row

__all__ = ["Entry", "entries_of_rows", "parse_entries"]

_NUMBERS = ("transaction_id", "out_trade_no", "refund_id", "out_refund_no")
_READ_OF_ROWS = (*_NUMBERS, "refund_total_fen", "total_fen", "refund_status", "trade_state")
_STATES = ("state", "refund_status", "trade_state", "status")
_TIMES = ("time", "success_time", "paid_at", "trade_time", "create_time")

#: Sets of names whose `_Reader` is remembered: books have one, or a few.
_MOST_READERS = 64


class Entry(NamedTuple):
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

    @property
    def keys(self) -> tuple[str | None, str | None]:
        """WeChat Pay's and the merchant's number, distinct for payments and refunds."""
        order, trade, refund, out_refund, *_ = self
        if refund or out_refund:
            return f"R{refund}" if refund else None, f"R{out_refund}" if out_refund else None
        return f"P{order}" if order else None, f"P{trade}" if trade else None


def entries_of_rows(rows: Iterable[Row], *, with_fees: bool) -> Iterator[list[Entry]]:
    """Read rows of trade bills or of overseas statements, some at a time.

    Args:
        rows: The rows.
        with_fees: Whether to read fees, too, which takes its time.

    Raises:
        InvalidRequestError: The bill is of another kind.
        BillFormatError: The bill is damaged; the rows before come first.
    """
    names = [*_READ_OF_ROWS, "fee" if with_fees else ""]
    if isinstance(rows, Bill):
        for path in rows.paths:
            with read(path) as each:
                yield from entries_of_rows(each, with_fees=with_fees)
        return
    for block in blocks_of(rows):
        if (kind := block.layout.kind.name) not in {"trade", "statement"}:
            raise InvalidRequestError(f"rows: a bill of kind {kind!r} has no orders; give a trade bill")
        try:
            yield _entries(block, names)
        except BillFormatError:
            # One of them has a cell that cannot be read: the others come first.
            yield from (_entries(each, names) for each in block.each())


def _entries(block: Block, names: list[str]) -> list[Entry]:
    orders, trades, refunds, out_refunds, refunded, paid, statuses, states, fees = block.columns(names)
    are_refunds = [refund or out or "" for refund, out in zip(refunds, out_refunds, strict=True)]
    if any(are_refunds):
        amounts = [a if yes else b for yes, a, b in zip(are_refunds, refunded, paid, strict=True)]
        states = [a if yes else b for yes, a, b in zip(are_refunds, statuses, states, strict=True)]
    else:
        amounts = paid
    texts = (_fill(column) for column in (orders, trades, refunds, out_refunds))
    rest = (amounts, fees, _fill(states), [None] * len(states), block.lines)
    return [*map(Entry._make, zip(*texts, *rest, strict=True))]


def _fill(column: list[str | None]) -> list[str]:
    """Give the empty text in place of ``None``."""
    return [cell or "" for cell in column] if None in column else cast("list[str]", column)


def parse_entries(ours: Any) -> Iterator[Entry]:
    """Read the merchant's books.

    Args:
        ours: Mappings, rows, or a path: ``.jsonl`` has lines of JSON, everything else is CSV.

    Raises:
        InvalidRequestError: An entry has no number, or its amount or time is not clear.
        OSError: The file cannot be read.
    """
    if not isinstance(ours, str) and not hasattr(ours, "__fspath__"):
        yield from _parse_mappings(ours)
        return
    path = Path(ours)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            if path.suffix in {".jsonl", ".ndjson"}:
                yield from _parse_mappings(
                    json.loads(line, parse_float=Decimal) for line in file if line.strip()
                )
            else:
                yield from _parse_csv(csv.reader(file, strict=True))
        except InvalidRequestError:
            raise
        except (csv.Error, ValueError) as error:
            raise InvalidRequestError(f"ours: {path.name} cannot be read: {error}") from None


def _parse_csv(lines: Iterator[list[str]]) -> Iterator[Entry]:
    header = next(lines, [])
    read = _Reader({name: place for place, name in enumerate(header)}).read
    width = len(header)
    for position, line in enumerate(filter(None, lines), 1):
        if len(line) < width:
            line.extend([""] * (width - len(line)))
        yield _parse(read, line.__getitem__, position)


def _parse_mappings(given: Iterable[Any]) -> Iterator[Entry]:
    readers: dict[tuple[Any, ...], _Reader] = {}
    for position, each in enumerate(given, 1):
        if not isinstance(each, Mapping):
            raise InvalidRequestError(f"ours: entry {position} is {type(each).__name__}; give mappings")
        names = tuple(each)
        if (reader := readers.get(names)) is None:
            reader = _Reader({name: name for name in names})
            if len(readers) < _MOST_READERS:
                readers[names] = reader
        yield _parse(reader.read, each.__getitem__, position)


def _parse(read: Callable[..., Entry], get: Callable[[Any], Any], position: int) -> Entry:
    try:
        return read(get, position)
    except ValueError as error:
        raise InvalidRequestError(f"ours: entry {position}: {error}") from None


class _Reader:
    """Reads entries that have the same members.

    Args:
        keys: How each member is found in an entry, by its name.
    """

    def __init__(self, keys: Mapping[Any, Any]) -> None:
        def choose(*names: str) -> list[Any]:
            return [keys[name] for name in names if name in keys]

        self._numbers = [keys.get(name) for name in _NUMBERS]
        self._fen = [choose("amount_fen", f"{column}_fen") for column in ("total", "refund_total")]
        self._amount_yuan = choose("amount_yuan")
        self._amount = [choose("amount", column)[:1] for column in ("total", "refund_total")]
        self._fee_fen, self._fee_yuan, self._fee = choose("fee_fen"), choose("fee_yuan"), choose("fee")
        self._states, self._times = choose(*_STATES), choose(*_TIMES)

    def read(self, get: Callable[[Any], Any], position: int) -> Entry:
        """Read one.

        Raises:
            ValueError: It is not clear; the error says why.
        """
        order, trade, refund, out_refund = [
            "" if key is None or (value := get(key)) is None else str(value).strip() for key in self._numbers
        ]
        is_refund = bool(refund or out_refund)
        if not (is_refund or order or trade):
            raise ValueError("has no number: give transaction_id, out_trade_no, refund_id or out_refund_no")
        amount = _read_fen(get, self._fen[is_refund])
        if amount is None:
            amount = _exact(_read_yuan(get, "amount", (), self._amount_yuan, self._amount[is_refund]))
        fee = None
        if self._fee_fen or self._fee_yuan or self._fee:
            fee = _read_yuan(get, "fee", self._fee_fen, self._fee_yuan, self._fee)
        state = ""
        for key in self._states:
            if (value := get(key)) is not None and (state := str(value).strip().upper()):
                break
        at = None
        for key in self._times:
            if value := get(key):
                at = _seconds(value)
                break
        return Entry(order, trade, refund, out_refund, amount, fee, state, at, position)


def _read_fen(get: Callable[[Any], Any], keys: Sequence[Any]) -> int | None:
    """Return the first amount in fen that is given."""
    for key in keys:
        value = get(key)
        if value is None or value == "":
            continue
        if type(value) is int:
            return value
        if type(value) is str and value.isascii() and value.isdigit():
            return int(value)
        yuan = _read_yuan(get, "amount", [key], (), ())
        return _exact(yuan)
    return None


def _exact(yuan: Decimal | None) -> int | None:
    if yuan is None:
        return None
    if (fen := exact_fen(yuan, "CNY")) is None:
        raise ValueError("amount: is not a whole number of fen")
    return fen


def _read_yuan(
    get: Callable[[Any], Any], name: str, fen: Sequence[Any], yuan: Sequence[Any], other: Sequence[Any]
) -> Decimal | None:
    """Return an amount in yuan: `int` is fen and `Decimal` yuan, as everywhere; text has to say which."""
    for keys, scale in ((fen, -2), (yuan, 0)):
        for key in keys:
            value = get(key)
            if value is None or value == "":
                continue
            if isinstance(value, float):
                raise ValueError(_unclear(name))  # noqa: TRY004  one kind of error for callers
            read = read_amount(str(value))
            return None if read is None else read.scaleb(scale)
    value = get(other[0]) if other else None
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


def _seconds(at: Any) -> float:
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("time: give a datetime with a time zone, or ISO 8601 with an offset")
    return at.timestamp()
