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

__all__ = ["NAMES", "NOT_REFUNDED", "REFUND_STATES", "UNPAID", "Entry", "entries_of_rows", "parse_entries"]

_NUMBERS = ("transaction_id", "out_trade_no", "refund_id", "out_refund_no")
_READ_OF_ROWS = (*_NUMBERS, "refund_total_fen", "total_fen", "refund_status", "trade_state")

#: Names of states of payments and of refunds, in the order in which they are read: a row of an order may say
#: how its refund went, too.
_PAID_STATES = ("state", "trade_state", "status", "refund_status")
_REFUNDED_STATES = ("state", "refund_status", "trade_state", "status")

_TIMES = ("time", "success_time", "paid_at", "trade_time", "create_time")

#: Names of amounts of payments and of refunds, and of fees, in the order in which they are read: text of
#: those whose unit is not stated is only refused if the others are empty.
_PAID = ("amount_fen", "total_fen", "amount_yuan", "amount", "total")
_REFUNDED = ("amount_fen", "refund_total_fen", "amount_yuan", "amount", "refund_total")
_FEES = ("fee_fen", "fee_yuan", "fee")

#: The names that count in an entry; others are not read, but for the currency of an amount.
NAMES = frozenset({*_NUMBERS, *_PAID, *_REFUNDED, *_FEES, *_PAID_STATES, *_TIMES})

#: The words of payments: those that leave no row in a bill, and the others.
UNPAID = frozenset(
    {"ACCEPT", "ACCEPTED", "CLOSED", "NOTPAY", "PAYERROR", "PAY_FAIL", "PENDING", "USERPAYING"}
)
_PAYMENT_WORDS = UNPAID | {"PAY_BACK", "REFUND", "REVOKED", "SUCCESS"}

#: The words of refunds that APIv2, bills and orders have of their own, in those of APIv3.
REFUND_STATES = {"CHANGE": "ABNORMAL", "FAIL": "CLOSED", "REFUND": "SUCCESS", "REFUNDCLOSE": "CLOSED"}

#: The words of refunds: those that leave no row in a bill, and the others.
NOT_REFUNDED = frozenset({"CLOSED", "FAIL", "REFUNDCLOSE"})
_REFUND_WORDS = frozenset({*REFUND_STATES, "ABNORMAL", "CLOSED", "PROCESSING", "SUCCESS"})

#: Names that an error expects where there are values with types, and in CSV.
_TYPED_AMOUNTS = ("amount", "amount_fen", "amount_yuan")
_TEXT_AMOUNTS = ("amount_fen", "amount_yuan")

#: The encoding that an error asks for, in the words of a spreadsheet.
_CSV_ENCODING = "'CSV UTF-8' (a spreadsheet's plain 'CSV' has the encoding of the system, such as GBK)"

#: Names of an entry that an error shows.
_SHOWN = 8

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
        state: WeChat Pay's word, of a known set in the books; ``""`` if it is not to be compared.
        at: Unix seconds; ``None`` if that is not known.
        position: The line in the bill, or the position in the books, from 1.
        is_reversal: Whether it is a row that says that its order was reversed; never of an entry.
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
    is_reversal: bool = False

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


def entries_of_rows(rows: Iterable[Row], *, with_fees: bool, with_times: bool) -> Iterator[list[Entry]]:
    """Read rows of trade bills or of overseas statements, some at a time.

    Args:
        rows: The rows.
        with_fees: Whether to read fees, too, which takes its time.
        with_times: Whether to read times, too.

    Raises:
        InvalidRequestError: The bill is of another kind.
        BillFormatError: The bill is damaged; the rows before come first.
    """
    names = [*_READ_OF_ROWS, "fee" if with_fees else "", "trade_time" if with_times else ""]
    if isinstance(rows, Bill):
        for path in rows.paths:
            with read(path) as each:
                yield from entries_of_rows(each, with_fees=with_fees, with_times=with_times)
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
    orders, trades, refunds, out_refunds, refunded, paid, statuses, states, fees, times = block.columns(names)
    are_refunds = [refund or out or "" for refund, out in zip(refunds, out_refunds, strict=True)]
    are_reversals = [state == "REVOKED" for state in states]
    if any(are_refunds):
        amounts = [a if yes else b for yes, a, b in zip(are_refunds, refunded, paid, strict=True)]
        states = [a if yes else b for yes, a, b in zip(are_refunds, statuses, states, strict=True)]
    else:
        amounts = paid
    texts = (_fill(column) for column in (orders, trades, refunds, out_refunds))
    ats = [at.timestamp() if at else None for at in times]
    rest = (amounts, fees, _fill(states), ats, block.lines, are_reversals)
    return [*map(Entry._make, zip(*texts, *rest, strict=True))]


def _fill(column: list[str | None]) -> list[str]:
    """Give the empty text in place of ``None``."""
    return [cell or "" for cell in column] if None in column else cast("list[str]", column)


def parse_entries(ours: Any, *, require_amounts: bool = True) -> Iterator[Entry]:
    """Read the merchant's books.

    Args:
        ours: Mappings, rows, or a path: ``.jsonl`` has lines of JSON, everything else is CSV.
        require_amounts: Whether an entry without an amount is an error.

    Raises:
        InvalidRequestError: An entry has no number or no amount, or its amounts, state or time are not clear.
        OSError: The file cannot be read.
    """
    if not isinstance(ours, str) and not hasattr(ours, "__fspath__"):
        yield from _parse_mappings(ours, require_amounts=require_amounts)
        return
    path = Path(ours)
    is_json = path.suffix in {".jsonl", ".ndjson"}
    encoding = "UTF-8" if is_json else _CSV_ENCODING
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            if is_json:
                lines = (json.loads(line, parse_float=Decimal) for line in file if line.strip())
                yield from _parse_mappings(lines, require_amounts=require_amounts)
            else:
                yield from _parse_csv(csv.reader(file, strict=True), require_amounts=require_amounts)
        except InvalidRequestError:
            raise
        except UnicodeDecodeError:
            raise InvalidRequestError(f"ours: {path.name} is not UTF-8: save it as {encoding}") from None
        except (csv.Error, ValueError) as error:
            raise InvalidRequestError(f"ours: {path.name} cannot be read: {error}") from None


def _parse_csv(lines: Iterator[list[str]], *, require_amounts: bool) -> Iterator[Entry]:
    header = [name.strip() for name in next(lines, [])]
    for name in NAMES.intersection(header):
        if header.count(name) > 1:
            raise InvalidRequestError(f"ours: the column {name} comes twice; give it once")
    keys = {name: place for place, name in enumerate(header)}
    read = _Reader(keys, _TEXT_AMOUNTS, require_amounts=require_amounts).read
    width = len(header)
    for position, line in enumerate(filter(None, lines), 1):
        if len(line) < width:
            line.extend([""] * (width - len(line)))
        yield _parse(read, line.__getitem__, position)


def _parse_mappings(given: Iterable[Any], *, require_amounts: bool) -> Iterator[Entry]:
    readers: dict[tuple[Any, ...], _Reader] = {}
    for position, each in enumerate(given, 1):
        if not isinstance(each, Mapping):
            raise InvalidRequestError(f"ours: entry {position} is {type(each).__name__}; give mappings")
        names = tuple(each)
        if (reader := readers.get(names)) is None:
            keys = {name: name for name in names}
            reader = _Reader(keys, _TYPED_AMOUNTS, require_amounts=require_amounts)
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
        expected: The names of amounts that an error expects.
        require_amounts: Whether an entry without an amount is an error.
    """

    def __init__(self, keys: Mapping[Any, Any], expected: Sequence[str], *, require_amounts: bool) -> None:
        self._names, self._expected, self._require_amounts = tuple(keys), expected, require_amounts
        self._numbers = [keys.get(name) for name in _NUMBERS]
        self._amounts = [_Amounts("amount", keys, names, "currency") for names in (_PAID, _REFUNDED)]
        self._fees = _Amounts("fee", keys, _FEES, "settlement_currency", "currency")
        self._states = [
            [(name, keys[name]) for name in names if name in keys]
            for names in (_PAID_STATES, _REFUNDED_STATES)
        ]
        self._times = [keys[name] for name in _TIMES if name in keys]

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
            raise ValueError(self._explain_missing("number", _NUMBERS, _NUMBERS))
        amounts = self._amounts[is_refund]
        amount = amounts.read_fen(get)
        if amount is None and self._require_amounts:
            text = self._explain_missing("amount", amounts.names, self._expected)
            raise ValueError(
                f"{text}; to compare without amounts, pass require_amounts=False (--no-require-amounts)"
            )
        fee = self._fees.read_yuan(get) if self._fees.names else None
        state, words = "", _REFUND_WORDS if is_refund else _PAYMENT_WORDS
        for name, key in self._states[is_refund]:
            if (value := get(key)) is not None and (state := str(value).strip().upper()):
                if state not in words:
                    what = "refund" if is_refund else "payment"
                    raise ValueError(
                        f"{name}: {value!r:.40} is not a state of a {what}; give {', '.join(sorted(words))}, "
                        "or leave it empty to compare without states"
                    )
                break
        at = None
        for key in self._times:
            if value := get(key):
                at = _seconds(value)
                break
        return Entry(order, trade, refund, out_refund, amount, fee, state, at, position)

    def _explain_missing(self, what: str, known: Sequence[str], expected: Sequence[str]) -> str:
        """Say which names are empty; or which were found, which are expected, and which of them is close."""
        names = [str(name) for name in self._names]
        if empty := [name for name in names if name in known]:
            return f"has no {what}: {' and '.join(empty)} {'are' if empty[1:] else 'is'} empty"
        found = ", ".join(f"{name:.40}" for name in names[:_SHOWN]) + " …" * (len(names) > _SHOWN)
        *first, last = expected
        text = f"has no {what}: found {found}; expected {', '.join(first)} or {last}"
        close = _find_close([name for name in names if name not in NAMES], expected)
        return f"{text}; did you mean {close}?" if close else text


def _find_close(names: Iterable[str], expected: Sequence[str]) -> str:
    """Return the name that one of the given ones was probably meant to be; ``""`` if that is not clear."""
    import difflib  # noqa: PLC0415  only mistakes need it

    close: list[str] = []
    for name in names:
        plain = "_".join(name.casefold().replace("-", " ").split())
        close += difflib.get_close_matches(plain, expected, 1, cutoff=0.8)
    return close[0] if close else ""


class _Amounts:
    """Reads an amount that may have several names in an entry.

    Args:
        title: What it is, for errors.
        keys: How each member is found in an entry, by its name.
        names: The names that the amount may have.
        currencies: The names that its currency may have.

    Attributes:
        names: Those that the entries have.
    """

    def __init__(self, title: str, keys: Mapping[Any, Any], names: Sequence[str], *currencies: str) -> None:
        self.names = [name for name in names if name in keys]
        self._title = title
        self._keys = [keys[name] for name in self.names]
        self._currency = next((keys[name] for name in currencies if name in keys), None)
        # By far the most books have one column, of fen: it is read faster.
        self._is_fen = len(self.names) == 1 and self.names[0].endswith("_fen")
        self._only = self._keys[0] if self._is_fen else None

    def read_fen(self, get: Callable[[Any], Any]) -> int | None:
        """Read it in fen, or in the smallest unit of its currency; ``None`` if it is empty.

        Raises:
            ValueError: It is not clear, or not a whole number.
        """
        if self._is_fen:
            value = get(self._only)
            if type(value) is int:
                return value
            if type(value) is str and value.isascii() and value.isdigit():
                return int(value)
        yuan = self.read_yuan(get)
        if yuan is None:
            return None
        if (fen := exact_fen(yuan, self._read_currency(get))) is None:
            raise ValueError("amount: is not a whole number of fen")
        return fen

    def read_yuan(self, get: Callable[[Any], Any]) -> Decimal | None:
        """Read it in yuan, or in another currency; ``None`` if it is empty.

        Raises:
            ValueError: It is not clear, or two names contradict each other.
        """
        first, found = "", None
        for name, key in zip(self.names, self._keys, strict=True):
            value = get(key)
            if type(value) is str:
                value = value.strip()
                if found is not None and not name.endswith(("_fen", "_yuan")):
                    continue
            if value is None or value == "":
                continue
            yuan = self._convert(name, value, get)
            if found is None:
                first, found = name, yuan
            elif yuan != found:
                raise ValueError(
                    f"{first} is {found} yuan, and {name} is {yuan} yuan: give one of them, or the same"
                )
        return found

    def _convert(self, name: str, value: Any, get: Callable[[Any], Any]) -> Decimal:
        """Return yuan: `int` is fen and `Decimal` yuan, as everywhere; text has to say which."""
        is_fen, is_yuan = name.endswith("_fen"), name.endswith("_yuan")
        if isinstance(value, float) or not (is_fen or is_yuan or _has_unit(value)):
            raise ValueError(
                f"{name}: give an int of fen or a Decimal of yuan; in a file, name the column "
                f"{self._title}_fen or {self._title}_yuan"
            )
        amount = cast("Decimal", read_amount(str(value))) if is_fen or is_yuan else Decimal(value)
        if is_yuan or (not is_fen and isinstance(value, Decimal)):
            return amount
        # As many decimals as the currency has.
        return amount if exact_fen(Decimal(1), self._read_currency(get)) == 1 else amount.scaleb(-2)

    def _read_currency(self, get: Callable[[Any], Any]) -> str:
        return "CNY" if self._currency is None else str(get(self._currency) or "CNY").strip()


def _has_unit(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(at: Any) -> float:
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("time: give a datetime with a time zone, or ISO 8601 with an offset")
    return at.timestamp()
