"""An index of the merchant's books on the disk, by WeChat Pay's numbers and by the merchant's."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import weakref
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.bills.books import Entry
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Index"]

#: Entries that are looked up at once: older SQLite takes 999 parameters.
_BATCH = 500

#: KiB of the index that are held in memory.
_CACHE = 16 * 1024

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

    def find_orders(self, theirs: Entry) -> list[Entry]:
        """Return the entries of the order of a payment or a refund, whether they were taken or not."""
        order = Entry(theirs.transaction_id, theirs.out_trade_no)
        found = (
            self._find(name, [key]) for name, key in zip(("wechat", "merchant"), order.keys, strict=True)
        )
        return [_entry(record) for each in found for records in each.values() for record in records]

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
    order, trade, refund, out_refund, amount, fee, state, at, position, _ = entry
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
        raise InvalidRequestError(f"ours: entry {position}: has a control character in its number")
    return *entry.keys, more


def _entry(record: Any) -> Entry:
    n, wechat, merchant, more = record
    first, second = wechat[1:] if wechat else "", merchant[1:] if merchant else ""
    amount, fee, state, at, order, trade = more.split(_SEPARATOR)
    values = int(amount) if amount else None, Decimal(fee) if fee else None, state, float(at) if at else None
    if (wechat or merchant)[0] == "P":
        return Entry(first, second, "", "", *values, n)
    return Entry(order, trade, first, second, *values, n)
