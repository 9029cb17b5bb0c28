"""Your own books: entries from mappings, CSV or lines of JSON; and an index of them on the disk."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from wechatpay.bills.columns import exact_fen, read_amount
from wechatpay.bills.errors import BillFormatError
from wechatpay.bills.files import Bill
from wechatpay.bills.read import blocks_of, read
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wechatpay.bills.read import Block, Row

__all__ = ["Entry", "Index", "entries_of_rows", "parse_entries"]

#: Entries that are looked up at once: older SQLite takes 999 parameters.
_BATCH = 500

#: KiB of the index that are held in memory.
_CACHE = 16 * 1024

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
                raise ValueError(_unclear(name))  # noqa: TRY004  callers are told in one way
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


#: What is read of the index, and where the keys are.
_COLUMNS = "n, wechat, merchant, more"
_PLACES = {"wechat": 1, "merchant": 2}

#: Between the parts of ``more``: binding one text to a statement takes half the time of six.
_SEPARATOR = "\x1f"
_PARTS = 6

#: Entries that one statement adds.
_ADDED = 100


class Index:
    """The entries of some books, in a temporary SQLite database: in memory there is one bit for each.

    Attributes:
        has_fees: Whether any of them has a fee.

    Raises:
        InvalidRequestError: As reading the books does.
        OSError: It cannot be written.
    """

    def __init__(self, books: Iterable[Entry]) -> None:
        self.has_fees = False
        folder = Path(tempfile.mkdtemp(prefix="wechatpay-"))
        self._database = sqlite3.connect(folder / "books", check_same_thread=False, isolation_level=None)
        # A comparison that nobody ends is removed, too.
        self._remove = weakref.finalize(self, _remove, self._database, folder)
        try:
            self._fill(books)
        except BaseException:
            self.close()
            raise

    def _fill(self, books: Iterable[Entry]) -> None:
        run = self._database.execute
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{_CACHE}",
            "temp_store = FILE",
        ):
            run(f"PRAGMA {pragma}")
        run("CREATE TABLE entry (n INTEGER PRIMARY KEY, wechat TEXT, merchant TEXT, more TEXT)")
        run("BEGIN")
        entries, insert = iter(books), "INSERT INTO entry (wechat, merchant, more) VALUES"
        try:
            while batch := [*islice(entries, _ADDED)]:
                values = [*chain.from_iterable(map(_record, batch))]
                run(f"{insert} {', '.join(['(?, ?, ?)'] * len(batch))}", values)
                self.has_fees = self.has_fees or any(entry.fee is not None for entry in batch)
        except UnicodeEncodeError as error:
            raise InvalidRequestError(f"ours: a text is not Unicode: {error.reason}") from None
        run("COMMIT")
        ((count, wechat, merchant),) = run("SELECT max(n), max(wechat), max(merchant) FROM entry")
        self._taken = bytearray((count or 0) // 8 + 1)
        self._count = count or 0
        self._names = [name for name, key in (("wechat", wechat), ("merchant", merchant)) if key]
        for name in self._names:
            run(f"CREATE INDEX {name} ON entry ({name}) WHERE {name} IS NOT NULL")

    def take(self, batch: Sequence[Entry]) -> Iterator[tuple[Entry | None, bool]]:
        """Take the entry of each row out: by WeChat Pay's number, else by the merchant's.

        Yields:
            The entry, if there is one that was not taken; and whether one was taken before.
        """
        keys = [theirs.keys for theirs in batch]
        by_wechat = self._find("wechat", [wechat for wechat, _ in keys])
        by_merchant = self._find(
            "merchant", [merchant for wechat, merchant in keys if wechat not in by_wechat]
        )
        for wechat, merchant in keys:
            records, is_taken = by_wechat.get(wechat), False
            if records is None:
                yield self._take_first(by_merchant.get(merchant, ()))
                continue
            ours, is_taken = self._take_first(records)
            if ours is None:
                # Its entries by the first number were taken by other rows.
                ours, _ = self._take_first(self._find("merchant", [merchant]).get(merchant, ()))
            yield ours, is_taken

    def _take_first(self, records: Sequence[Any]) -> tuple[Entry | None, bool]:
        is_taken = False
        for record in records:
            n = record[0]
            if self._taken[n >> 3] & 1 << (n & 7):
                is_taken = True
            else:
                self._taken[n >> 3] |= 1 << (n & 7)
                return _entry(record), is_taken
        return None, is_taken

    def has_order(self, theirs: Entry) -> bool:
        """Return whether the books have the order of a refund."""
        order = Entry(theirs.transaction_id, theirs.out_trade_no)
        return any(
            self._find(name, [key]) for name, key in zip(("wechat", "merchant"), order.keys, strict=True)
        )

    def rest(self) -> Iterator[tuple[Entry, bool]]:
        """Yield the entries that were not taken, and whether others with the same number were."""
        taken = self._taken
        left = (n for n in range(1, self._count + 1) if not taken[n >> 3] & 1 << (n & 7))
        while numbers := [*islice(left, _BATCH)]:
            marks = ", ".join("?" * len(numbers))
            query = f"SELECT {_COLUMNS} FROM entry WHERE n IN ({marks}) ORDER BY n"  # noqa: S608  constants
            records = self._database.execute(query, numbers).fetchall()
            same = [
                self._find(name, [record[place] for record in records]) for name, place in _PLACES.items()
            ]
            for record in records:
                others = (
                    found.get(record[place], ()) for found, place in zip(same, _PLACES.values(), strict=True)
                )
                yield _entry(record), any(self._is_taken(other[0]) for found in others for other in found)

    def _find(self, name: str, keys: Iterable[str | None]) -> dict[str | None, list[Any]]:
        """Look many keys up at once; those that are not there are left out."""
        found: dict[str | None, list[Any]] = {}
        wanted = [key for key in keys if key is not None]
        if name not in self._names:
            return found
        place = _PLACES[name]
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            marks = ", ".join("?" * len(some))
            query = f"SELECT {_COLUMNS} FROM entry WHERE {name} IN ({marks}) ORDER BY {name}, n"  # noqa: S608  constants
            for record in self._database.execute(query, some):
                found.setdefault(record[place], []).append(record)
        return found

    def _is_taken(self, n: int) -> bool:
        return bool(self._taken[n >> 3] & 1 << (n & 7))

    def close(self) -> None:
        """Remove the database."""
        self._remove()


def _remove(database: sqlite3.Connection, folder: Path) -> None:
    database.close()
    shutil.rmtree(folder, ignore_errors=True)


def _record(entry: Entry) -> tuple[str | None, str | None, str]:
    order, trade, refund, out_refund, amount, fee, state, at, position = entry
    more = _SEPARATOR.join(
        (
            "" if amount is None else str(amount),
            "" if fee is None else str(fee),
            state,
            "" if at is None else repr(at),
            *((order, trade) if refund or out_refund else ("", "")),
        )
    )
    if more.count(_SEPARATOR) != _PARTS - 1:
        raise InvalidRequestError(f"ours: entry {position}: has a control character in its state or number")
    return *entry.keys, more


def _entry(record: Any) -> Entry:
    n, wechat, merchant, more = record
    first, second = wechat[1:] if wechat else "", merchant[1:] if merchant else ""
    amount, fee, state, at, order, trade = more.split(_SEPARATOR)
    values = int(amount) if amount else None, Decimal(fee) if fee else None, state, float(at) if at else None
    if (wechat or merchant)[0] == "P":
        return Entry(first, second, "", "", *values, n)
    return Entry(order, trade, first, second, *values, n)
