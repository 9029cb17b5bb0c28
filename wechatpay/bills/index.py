"""An index of the merchant's books on the disk, by WeChat Pay's numbers and by the merchant's."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
import weakref
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wechatpay.bills.books import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Index"]

#: Entries that are written at once.
_BATCH = 1000

#: KiB of the index that are held in memory.
_CACHE = 16 * 1024

_COLUMNS = "transaction_id, out_trade_no, refund_id, out_refund_no, amount, fee, state, at, n"


class Index:
    """The entries of some books, in a temporary SQLite database: in memory there is one bit for each.

    Raises:
        InvalidRequestError: As reading the books does.
        OSError: It cannot be written.
    """

    def __init__(self, books: Iterable[Entry]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="wechatpay-"))
        self._database = sqlite3.connect(folder / "books", check_same_thread=False, isolation_level=None)
        # A comparison that nobody ends is removed, too.
        self._remove = weakref.finalize(self, _remove, self._database, folder)
        try:
            self._fill(books)
        except BaseException:
            self.close()
            raise
        self._taken = bytearray(self._count // 8 + 1)

    def _fill(self, books: Iterable[Entry]) -> None:
        run = self._database.execute
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{_CACHE}",
            "temp_store = FILE",
        ):
            run(f"PRAGMA {pragma}")
        run(
            "CREATE TABLE entry (n INTEGER PRIMARY KEY, wechat TEXT, merchant TEXT, transaction_id TEXT, "
            "out_trade_no TEXT, refund_id TEXT, out_refund_no TEXT, amount INTEGER, fee TEXT, state TEXT, "
            "at REAL)"
        )
        self._count = 0
        entries = iter(books)
        run("BEGIN")
        while batch := [_record(entry) for entry in itertools.islice(entries, _BATCH)]:
            self._database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch)
            self._count = batch[-1][0]
        run("COMMIT")
        run("CREATE INDEX wechat ON entry (wechat) WHERE wechat IS NOT NULL")
        run("CREATE INDEX merchant ON entry (merchant) WHERE merchant IS NOT NULL")

    def take(self, theirs: Entry) -> tuple[Entry | None, bool]:
        """Take the entry of a row out: by WeChat Pay's number, else by the merchant's.

        Returns:
            The entry, if there is one that was not taken; and whether one was taken before.
        """
        is_taken = False
        for column, key in zip(("wechat", "merchant"), _keys(theirs), strict=True):
            if key is None:
                continue
            for record in self._select(column, key):
                n = record[-1]
                if self._is_taken(n):
                    is_taken = True
                else:
                    self._taken[n >> 3] |= 1 << (n & 7)
                    return _entry(record), is_taken
        return None, is_taken

    def has_order(self, theirs: Entry) -> bool:
        """Return whether the books have the order of a refund."""
        order = Entry(theirs.transaction_id, theirs.out_trade_no)
        keys = zip(("wechat", "merchant"), _keys(order), strict=True)
        return any(next(self._select(column, key), None) for column, key in keys if key is not None)

    def rest(self) -> Iterator[tuple[Entry, bool]]:
        """Yield the entries that were not taken, and whether others with the same number were."""
        for record in self._database.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY n"):  # noqa: S608  constants
            if self._is_taken(record[-1]):
                continue
            entry = _entry(record)
            keys = zip(("wechat", "merchant"), _keys(entry), strict=True)
            others = (self._select(column, key) for column, key in keys if key is not None)
            yield entry, any(self._is_taken(other[-1]) for found in others for other in found)

    def _select(self, column: str, key: str) -> Iterator[Any]:
        return self._database.execute(f"SELECT {_COLUMNS} FROM entry WHERE {column} = ? ORDER BY n", (key,))  # noqa: S608  constants

    def _is_taken(self, n: int) -> bool:
        return bool(self._taken[n >> 3] & 1 << (n & 7))

    def close(self) -> None:
        """Remove the database."""
        self._remove()


def _remove(database: sqlite3.Connection, folder: Path) -> None:
    database.close()
    shutil.rmtree(folder, ignore_errors=True)


def _keys(entry: Entry) -> tuple[str | None, str | None]:
    """Return WeChat Pay's and the merchant's number, distinct for payments and refunds."""
    if entry.is_refund:
        numbers, sign = (entry.refund_id, entry.out_refund_no), "R"
    else:
        numbers, sign = (entry.transaction_id, entry.out_trade_no), "P"
    first, second = (f"{sign}{number}" if number else None for number in numbers)
    return first, second


def _record(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.position,
        *_keys(entry),
        entry.transaction_id,
        entry.out_trade_no,
        entry.refund_id,
        entry.out_refund_no,
        entry.amount,
        None if entry.fee is None else str(entry.fee),
        entry.state,
        entry.at,
    )


def _entry(record: Any) -> Entry:
    order, trade, refund, out_refund, amount, fee, state, at, n = record
    return Entry(
        order, trade, refund, out_refund, amount, None if fee is None else Decimal(fee), state, at, n
    )
