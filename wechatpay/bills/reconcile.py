"""Comparing bills with your own books, of any size: matched, missing on either side, or different.

Your books go into an index on the disk, by WeChat Pay's numbers and by yours; the bill streams past it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date as Date  # noqa: N812  `date` is a type of dates
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TextIO

from wechatpay.bills.books import (
    NOT_REFUNDED,
    REFUND_STATES,
    UNPAID,
    Entry,
    entries_of_rows,
    parse_entries,
)
from wechatpay.bills.files import Bill, open_output
from wechatpay.bills.format import rounds_to
from wechatpay.bills.index import Index
from wechatpay.bills.layout import china, parse_day
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from wechatpay.bills.read import Row

__all__ = ["OUTCOMES", "Finding", "Reconciliation", "reconcile"]

#: What may come of a row or an entry, and what to do about it.
OUTCOMES: Mapping[str, str] = {
    "matched": "",
    "missing_here": "WeChat Pay has it and your books do not: query it, then deliver or refund it",
    "missing_there": "your books have it and the bill does not: query it; stop the delivery if it is false",
    "amount_differs": "query it, and correct your books",
    "fee_differs": "compare the rate with the one that was agreed",
    "state_differs": "a notification was lost: query it, then deliver, refund or close it",
    "number_differs": "the same order has two numbers of WeChat Pay's: query both",
    "refund_without_order": "your books have neither the refund nor its order: query who refunded it",
    "duplicate": "it is there twice: correct your books",
    "across_midnight": "it is near midnight and not in this bill: look for it in the neighbouring day's",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one row of a bill, one entry of your books, or both.

    Attributes:
        outcome: One of `OUTCOMES`.
        is_refund: Whether it is a refund.
        transaction_id: WeChat Pay's number of the order.
        out_trade_no: The merchant's number of the order.
        refund_id: WeChat Pay's number of the refund.
        out_refund_no: The merchant's number of the refund.
        amount: Fen, as the bill says, else as your books say.
        theirs: What the bill says where both differ: fen, yuan of a fee, a state or a number.
        ours: What your books say.
        line: The line in the bill; 0 if it is not there.
        entry: The position in your books, from 1; 0 if it is not there.
    """

    outcome: str
    is_refund: bool
    transaction_id: str
    out_trade_no: str
    refund_id: str
    out_refund_no: str
    amount: int | None
    theirs: str = ""
    ours: str = ""
    line: int = 0
    entry: int = 0

    @property
    def advice(self) -> str:
        """What to do about it."""
        return OUTCOMES[self.outcome]


def reconcile(  # noqa: PLR0913  each is an option
    rows: Bill | Iterable[Row],
    ours: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    *,
    day: Date | str | tuple[Date | str, Date | str] | None = None,
    margin: timedelta = timedelta(minutes=10),
    matched: bool = False,
    require_amounts: bool = True,
) -> Reconciliation:
    """Compare a bill with your own books.

    ::

        orders = [{"out_trade_no": "A1", "amount": 101, "state": "SUCCESS"}]
        with bills.reconcile(bills.read("trade-2026-11-19.csv"), orders) as found:
            for finding in found:
                print(finding.outcome, finding.out_trade_no, finding.advice)
        print(found.summary())

    Payments are matched by ``transaction_id``, then by ``out_trade_no``, refunds by ``refund_id``, then by
    ``out_refund_no``. Every entry needs an amount; fees, states and times that it does not have are not
    compared.

    Args:
        rows: A fetched bill, or rows of trade bills or overseas statements, of any number of days.
        ours: Mappings, or a path of CSV (``.jsonl`` for lines of JSON), with these members, all optional but
            one number and the amount: ``transaction_id out_trade_no refund_id out_refund_no``; ``amount``
            and ``fee``, as `int` fen or `Decimal` yuan (in a file ``amount_fen`` or ``amount_yuan``,
            ``fee_fen`` or ``fee_yuan``; fees of refunds are negative); ``state``, one of WeChat Pay's words
            for payments or refunds; ``time``, aware. Rows of another bill do, too.
        day: The day of the bill, in Beijing, or the first and the last one, so that your books may hold more:
            `date` or ISO text. By default the day of a fetched bill, else every entry is expected.
        margin: How near to midnight an entry may belong to the neighbouring day, and a row may be of it.
        matched: Whether to yield what matches, too.
        require_amounts: Whether an entry without an amount is an error; ``False`` compares the amounts that
            are there.

    Returns:
        The findings, an iterator, with counts and a summary.

    Raises:
        InvalidRequestError: An entry has no number or no amount, its amount, state or time is not clear, or
            its amounts contradict each other; the error says which. ``day`` is not a day, its last one is
            before its first, or the bill is of another day: the iterator raises it at the first row outside.
        BillFormatError: The bill is damaged; the iterator raises it.
        OSError: The index cannot be written, or ``ours`` cannot be read.
    """
    bill_day = rows.date if isinstance(rows, Bill) else None
    window = _Window.make(bill_day if day is None else day, margin, is_checked=day is not None)
    if bill_day is not None:
        window.check(_midnight(bill_day) + _DAY / 2, "the bill")
    books = parse_entries(ours, require_amounts=require_amounts)
    return Reconciliation(rows, books, window, matched=matched)


class Reconciliation(Iterator[Finding]):
    """The findings of a comparison, one after the other; usable with ``with``.

    Attributes:
        counts: How many there were of each outcome so far, ``matched`` included.
        sums: Fen of each outcome so far.
        amounts_compared: How many amounts of the bill were compared with one of your books so far.
        skipped: How many entries of your books no bill of these days has: unpaid ones, and other days'.
    """

    def __init__(
        self, rows: Iterable[Row], books: Iterable[Entry], window: _Window, *, matched: bool
    ) -> None:
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.sums = dict.fromkeys(OUTCOMES, 0)
        self.amounts_compared = self.skipped = 0
        self._window = window
        self._matched = matched
        self._index = Index(books)
        # Rows whose entry says REVOKED, by the number of their order.
        self._held: dict[str, tuple[Entry, Entry]] = {}
        self._findings = self._compare(rows)

    def __next__(self) -> Finding:
        return next(self._findings)

    @property
    def is_clean(self) -> bool:
        """Whether nothing but matches was found so far."""
        return sum(self.counts.values()) == self.counts["matched"]

    def summary(self) -> dict[str, Any]:
        """Compare what is left, and return counts and sums in fen by outcome, and what was compared."""
        for _ in self:
            pass
        outcomes = {name: {"count": self.counts[name], "fen": self.sums[name]} for name in OUTCOMES}
        compared = {"amounts_compared": self.amounts_compared, "skipped": self.skipped}
        return {"is_clean": self.is_clean, **compared, **outcomes}

    def to_json(self, to: str | os.PathLike[str] | TextIO) -> None:
        """Write what is left as lines of JSON, the last of which is the summary.

        Args:
            to: A path, which is replaced at the end, or a text file.

        Raises:
            OSError: It cannot be written.
        """
        with open_output(to) as file:
            for finding in self:
                file.write(f"{json.dumps(asdict(finding), ensure_ascii=False)}\n")
            file.write(f"{json.dumps({'summary': self.summary()})}\n")

    def to_csv(self, to: str | os.PathLike[str] | TextIO) -> None:
        """Write what is left as CSV.

        Args:
            to: A path, which is replaced at the end, or a text file opened with ``newline=""``.

        Raises:
            OSError: It cannot be written.
        """
        with open_output(to) as file:
            writer = csv.writer(file)
            writer.writerow(Finding.__dataclass_fields__)
            writer.writerows(asdict(finding).values() for finding in self)

    def close(self) -> None:
        """Remove the index; comparing to the end does so, too."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compare(self, rows: Iterable[Row]) -> Iterator[Finding]:
        try:
            for theirs, ours, is_taken in self._pairs(rows):
                if not theirs.is_refund and (ours is None or ours.state == "REVOKED"):
                    yield from self._reverse(theirs, ours, is_taken=is_taken)
                elif ours is None:
                    yield self._note(self._explain_absence(theirs, is_taken=is_taken), theirs, None)
                else:
                    yield from self._report(theirs, ours)
            for theirs, ours in self._held.values():
                yield from self._report(theirs, ours)
            for ours, is_taken in self._index.rest():
                verdict = "duplicate" if is_taken else self._judge(ours)
                if verdict is None:
                    self.skipped += 1
                else:
                    yield self._note(verdict, None, ours)
        finally:
            self.close()

    def _pairs(self, rows: Iterable[Row]) -> Iterator[tuple[Entry, Entry | None, bool]]:
        """Yield each row, its entry if there is one that was not taken, and whether one was taken before."""
        is_checked = self._window.is_checked
        for batch in entries_of_rows(rows, with_fees=self._index.has_fees, with_times=is_checked):
            for theirs, (ours, is_taken) in zip(batch, self._index.take(batch), strict=True):
                if is_checked:
                    self._window.check(theirs.at, f"line {theirs.position} of the bill")
                if theirs.is_reversal and theirs.is_refund and ours is None and not is_taken:
                    # The merchant did not make this refund, and may not know its number: its order counts.
                    order = theirs._replace(refund_id="", out_refund_no="", state="REVOKED")
                    yield order, *next(self._index.take([order]))
                else:
                    yield theirs, ours, is_taken

    def _reverse(self, theirs: Entry, ours: Entry | None, *, is_taken: bool) -> Iterator[Finding]:
        """Compare what may be one of two rows: a reversed order may have a payment and its reversal."""
        key = theirs.transaction_id or theirs.out_trade_no
        first, entry = self._held.get(key, (theirs, ours))
        if entry is not None and first.state != theirs.state:
            del self._held[key]
            payment = theirs if first.is_reversal else first
            yield from self._report(payment._replace(state="REVOKED"), entry)
            if ours is not None:
                yield self._note("duplicate", None, ours)
        elif ours is not None and first is theirs:
            # The other row may follow.
            self._held[key] = theirs, ours
        elif ours is not None:
            yield from self._report(theirs, ours)
        elif is_taken and theirs.is_reversal and first is theirs:
            state = self._index.find_orders(theirs)[0].state
            outcome = "duplicate" if state == "REVOKED" else "state_differs"
            yield self._note(outcome, theirs, None, "REVOKED", state)
        else:
            yield self._note(self._explain_absence(theirs, is_taken=is_taken), theirs, None)

    def _report(self, theirs: Entry, ours: Entry) -> Iterator[Finding]:
        """Compare a row with its entry."""
        if ours.amount is not None:
            self.amounts_compared += 1
        if differences := _differ(theirs, ours):
            for outcome, they_say, we_say in differences:
                yield self._note(outcome, theirs, ours, they_say, we_say)
        elif self._matched:
            yield self._note("matched", theirs, ours)
        else:
            self._count("matched", theirs)

    def _explain_absence(self, theirs: Entry, *, is_taken: bool) -> str:
        if is_taken:
            return "duplicate"
        is_foreign = theirs.is_refund and not self._index.find_orders(theirs)
        return "refund_without_order" if is_foreign else "missing_here"

    def _judge(self, ours: Entry) -> str | None:
        """Return what comes of an entry that no row matches; ``None`` if no bill of these days has it."""
        if ours.state in (NOT_REFUNDED if ours.is_refund else UNPAID | {"REVOKED"}):
            return None
        return self._window.judge(ours.at)

    def _count(self, outcome: str, entry: Entry) -> None:
        self.counts[outcome] += 1
        self.sums[outcome] += entry.amount or 0

    def _note(
        self,
        outcome: str,
        theirs: Entry | None,
        ours: Entry | None,
        they_say: object = "",
        we_say: object = "",
    ) -> Finding:
        shown = theirs or ours or Entry()
        self._count(outcome, shown)
        return Finding(
            outcome,
            shown.is_refund,
            shown.transaction_id,
            shown.out_trade_no,
            shown.refund_id,
            shown.out_refund_no,
            shown.amount,
            str(they_say),
            str(we_say),
            theirs.position if theirs else 0,
            ours.position if ours else 0,
        )


def _differ(theirs: Entry, ours: Entry) -> list[tuple[str, object, object]]:
    """Return each outcome that is not a match, what the bill says and what the books say."""
    found: list[tuple[str, object, object]] = [
        ("number_differs", they_say, we_say)
        for they_say, we_say in zip(theirs[:4], ours[:4], strict=True)
        if we_say and we_say != they_say
    ]
    # Its payment is in another bill, with the fee; a part of the amount may have been refunded before.
    is_lone_reversal = theirs.is_reversal and not theirs.is_refund
    is_part = is_lone_reversal and 0 < (theirs.amount or 0) < (ours.amount or 0)
    if ours.amount is not None and ours.amount != theirs.amount and not is_part:
        found.append(("amount_differs", theirs.amount, ours.amount))
    fee = None if is_lone_reversal else ours.fee
    if fee is not None and (theirs.fee is None or not rounds_to(theirs.fee, fee)):
        found.append(("fee_differs", theirs.fee, fee))
    if (ours.state or is_lone_reversal) and not _agree(theirs, ours):
        found.append(("state_differs", theirs.state, ours.state))
    return found


def _agree(theirs: Entry, ours: Entry) -> bool:
    if theirs.is_refund:
        stated = REFUND_STATES.get(theirs.state, theirs.state)
        # A bill is never written again: what was being processed has been decided since.
        return stated in {"PROCESSING", REFUND_STATES.get(ours.state, ours.state)}
    expected = "REVOKED" if ours.state == "REVOKED" else "SUCCESS"
    return ours.state not in UNPAID and theirs.state == expected


@dataclass(frozen=True, slots=True)
class _Window:
    """The days of a bill.

    Attributes:
        start: Unix seconds at which they begin; ``None`` for all times.
        end: Unix seconds at which they end.
        margin: Seconds around midnight.
        is_checked: Whether the rows of the bill must be of these days.
    """

    start: float | None = None
    end: float = 0.0
    margin: float = 0.0
    is_checked: bool = False

    @classmethod
    def make(cls, day: Any, margin: timedelta, *, is_checked: bool) -> _Window:
        if day is None:
            return cls()
        pair = (day, day) if isinstance(day, Date | str) else day
        if not isinstance(pair, tuple) or len(pair) != _PAIR:
            raise InvalidRequestError(
                f"day: give a date or YYYY-MM-DD, or a tuple of the first and the last, not {day!r:.60}"
            )
        first, last = (parse_day("day", each) for each in pair)
        if last < first:
            raise InvalidRequestError(f"day: the last day, {last}, is before the first, {first}")
        start, end = (_midnight(each) for each in (first, last))
        return cls(start, end + _DAY, margin.total_seconds(), is_checked)

    def check(self, at: float | None, what: str) -> None:
        """Raise if something of the bill is not of these days."""
        if self.start is None or at is None or self.start - self.margin <= at < self.end + self.margin:
            return
        days = f"{datetime.fromtimestamp(self.start, china()):%Y-%m-%d}"
        if self.end - self.start > _DAY:
            days += f" to {datetime.fromtimestamp(self.end - _DAY, china()):%Y-%m-%d}"
        raise InvalidRequestError(
            f"day: {what} is of {datetime.fromtimestamp(at, china()):%Y-%m-%d}, and the days given are "
            f"{days}: give those of the bill"
        )

    def judge(self, at: float | None) -> str | None:
        """Return what comes of an entry of this time that no row matches; ``None`` outside these days."""
        if self.start is None or at is None:
            return "missing_there"
        if not self.start <= at < self.end:
            return None
        is_near = at < self.start + self.margin or at >= self.end - self.margin
        return "across_midnight" if is_near else "missing_there"


#: Seconds of a day: China has no summer time.
_DAY = 86_400

_PAIR = 2


def _midnight(day: Date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=china()).timestamp()
