"""Orders, payments and refunds of one merchant: one ledger under APIv2, APIv3, partner and combined orders.

All amounts are in fen. https://pay.weixin.qq.com/doc/v3/merchant/4012791858
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from wechatpay.sandbox.clock import format_digits
from wechatpay.sandbox.orders import (
    CODE_PAY,
    ORDER_LIFETIME,
    Order,
    Payment,
    Refund,
    Rejection,
    ended_rejection,
    payment_rejection,
    refund_rejection,
)
from wechatpay.sandbox.rules import Rules
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import PAYER, POOR, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Ledger"]

#: The shortest time in which an order can be paid, in seconds: an earlier end is postponed.
_SHORTEST = 60

#: How long after it was made a payment by code may be reversed, in seconds.
REVERSE_PERIOD = timedelta(days=7).total_seconds()


class Ledger:
    """One merchant's orders; thread-safe.

    Attributes:
        ledgers: Those of all merchants, by ``mchid``.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        seed: str = "",
        refund_delay: float = 0.0,
        rules: Rules | None = None,
        ledgers: Mapping[str, Ledger] | None = None,
    ) -> None:
        """Make an empty ledger.

        Args:
            clock: Returns Unix seconds.
            seed: Determines WeChat Pay's numbers, but for their date; ``""`` for new ones in each run.
            refund_delay: Seconds after which the money of an APIv3 refund arrives.
            rules: The rules of the sandbox.
            ledgers: Those of all merchants, by ``mchid``.
        """
        self.ledgers = {} if ledgers is None else ledgers
        self._clock = clock
        self._rules = rules or Rules()
        # Without a seed, an app that keeps the ids of callbacks must not take another run's for the same.
        self._seed = seed or secrets.token_hex(8)
        self._series = 0
        self._refund_delay = refund_delay
        self._lock = threading.RLock()
        self._orders: Table[str, Order] = Table()
        self._by_refund: Table[str, str] = Table()
        self._by_transaction: Table[str, str] = Table()
        self._combined: Table[str, tuple[tuple[str, str], ...]] = Table()
        self._processing: Table[str, float] = Table()
        self._used_codes: Table[str, str] = Table()

    def begin_series(self) -> None:
        """Give other numbers from now on, also to orders whose numbers were used before: the state is new."""
        self._series += 1

    @property
    def orders(self) -> dict[str, Order]:
        """All orders in their present state, by ``out_trade_no``, oldest first."""
        with self._lock:
            return {name: self._present(order) for name, order in self._orders.items()}

    def find(self, *, out_trade_no: str = "", transaction_id: str = "") -> Order | None:
        """Return an order by WeChat Pay's number if given, else by the merchant's; ``None`` if unknown."""
        with self._lock:
            key = self._by_transaction.get(transaction_id) if transaction_id else out_trade_no
            order = self._orders.get(key or "")
            return self._present(order) if order else None

    def find_own(
        self, sub_mchid: str, *, out_trade_no: str = "", transaction_id: str = ""
    ) -> Order | Rejection:
        """Return the order that all given numbers name, if it is the party's.

        Args:
            sub_mchid: The sub-merchant; ``""`` for a direct order.
            out_trade_no: The merchant's number.
            transaction_id: WeChat Pay's number.
        """
        order = self.find(out_trade_no=out_trade_no, transaction_id=transaction_id)
        if order is None:
            return Rejection.NO_TRANSACTION if transaction_id else Rejection.NO_ORDER
        if out_trade_no and order.out_trade_no != out_trade_no:
            return Rejection.OTHER_NUMBER
        return order if order.sub_mchid == sub_mchid else Rejection.OTHER_PARTY

    def find_refund(self, *, out_refund_no: str = "", refund_id: str = "") -> tuple[Order, Refund] | None:
        """Return a refund and its order by one of its numbers; ``None`` if unknown."""
        with self._lock:
            order = self.find(out_trade_no=self._by_refund.get(out_refund_no or refund_id, ""))
            refunds = order.refunds if order else ()
            wanted = (out_refund_no or None, refund_id or None)
            found = [r for r in refunds if r.out_refund_no == wanted[0] or r.refund_id == wanted[1]]
            return (order, found[0]) if order and found else None

    def ledger_of(self, mchid: str) -> Ledger:
        """Return the ledger of a merchant's parts of combined orders; this one if the merchant is unknown."""
        return self.ledgers.get(mchid, self)

    def find_combined(self, combine_out_trade_no: str) -> tuple[Order, ...]:
        """Return the parts of a combined order that the merchant placed; ``()`` if unknown."""
        with self._lock:
            parts = self._combined.get(combine_out_trade_no, ())
            found = [self.ledger_of(mchid).find(out_trade_no=number_) for mchid, number_ in parts]
            return tuple(order for order in found if order)

    def find_combined_number(self, number_: str) -> str:
        """Return the number of the combined order that has this number, or a part with it, else ``""``."""
        with self._lock:
            parts = ((name, part) for name, each in self._combined.items() for _, part in each)
            names = (name for name, part in parts if number_ == part)
            return number_ if number_ in self._combined else next(names, "")

    def place(self, order: Order) -> Order | Rejection:
        """Accept an order; the same order placed again is returned, with a new ``prepay_id`` in APIv3."""
        with self._lock:
            if rejection := self.conflict(order):
                return rejection
            now = self._clock()
            known = self.find(out_trade_no=order.out_trade_no)
            if known and order.protocol != "v3":
                return known
            if known is None:
                expires = max(order.expires, now + _SHORTEST) if order.expires else 0.0
                known = replace(order, created=now, expires=expires)
            times = known.times_issued + 1
            session = self.make_number(f"session {times} {order.out_trade_no}", 32)
            return self._store(replace(known, issued=now, times_issued=times, session=session))

    def place_combined(self, orders: Iterable[Order]) -> tuple[Order, ...] | Rejection:
        """Accept the parts of a combined order, each in its merchant's ledger: all of them or none."""
        with self._lock:
            parts = tuple(orders)
            ledgers = [self.ledger_of(part.mchid) for part in parts]
            conflicts = (ledger.conflict(part) for ledger, part in zip(ledgers, parts, strict=True))
            if rejection := next(filter(None, conflicts), None):
                return rejection
            placed = [ledger.place(part) for ledger, part in zip(ledgers, parts, strict=True)]
            numbers = tuple((part.mchid, part.out_trade_no) for part in parts)
            self._combined[parts[0].combine_out_trade_no] = numbers
            return tuple(part for part in placed if isinstance(part, Order))

    def conflict(self, order: Order) -> Rejection | None:
        """Return why an order cannot be placed, or ``None``."""
        known = self.find(out_trade_no=order.out_trade_no)
        if known is None:
            return None
        if known.combine_out_trade_no != order.combine_out_trade_no:
            return Rejection.OTHER_ORDER
        if ended := ended_rejection(known):
            return ended
        if known.payment:
            return Rejection.PAID
        if known.appid != order.appid:
            return Rejection.OTHER_APP
        return None if known.terms == order.terms else Rejection.OTHER_ORDER

    def pay(self, out_trade_no: str, openid: str = "") -> Order | Rejection:
        """Pay an order, as the payer does.

        Args:
            out_trade_no: The merchant's number.
            openid: The payer; by default the one that the order names, else the usual test user.
        """
        with self._lock:
            order = self.find(out_trade_no=out_trade_no)
            if order is None:
                return Rejection.NO_ORDER
            now = self._clock()
            if rejection := payment_rejection(order, openid, now):
                return rejection
            digits = f"4200{self.make_number(out_trade_no, 6)}{format_digits(now)[:8]}"
            digits += self.make_number(f"payment {out_trade_no}", 10)
            payer = "" if openid == order.sub_openid else openid
            payment = Payment(digits, payer or order.openid or PAYER, now)
            self._by_transaction[digits] = out_trade_no
            return self._store(replace(order, payment=payment, status="NOTPAY"))

    def pay_combined(self, combine_out_trade_no: str, openid: str = "") -> tuple[Order, ...] | Rejection:
        """Pay all parts of a combined order, or none of them."""
        with self._lock:
            parts, now = self.find_combined(combine_out_trade_no), self._clock()
            rejections = (payment_rejection(part, openid, now) for part in parts)
            if rejection := next(filter(None, rejections), None):
                return rejection
            paid = [self.ledger_of(part.mchid).pay(part.out_trade_no, openid) for part in parts]
            return tuple(part for part in paid if isinstance(part, Order))

    def pay_by_code(self, order: Order, auth_code: str, *, is_waiting: bool) -> Order | Rejection:
        """Order and pay at once with a payment code, which can be used for one order only.

        Args:
            order: The order.
            auth_code: The payment code.
            is_waiting: Whether the payer has to enter the password first: ``USERPAYING``.
        """
        with self._lock:
            if self._used_codes.get(auth_code, order.out_trade_no) != order.out_trade_no:
                return Rejection.CODE_USED
            placed = self.place(order)
            if isinstance(placed, Rejection):
                return placed
            self._used_codes[auth_code] = placed.out_trade_no
            if is_waiting:
                return self._store(replace(placed, status="USERPAYING"))
            return self.pay(placed.out_trade_no)

    def deduct(self, out_trade_no: str) -> Order | Rejection:
        """Carry out an accepted deduction: it is paid, or ``PAY_FAIL`` if the payer has no money."""
        with self._lock:
            order = self.find(out_trade_no=out_trade_no)
            if order is not None and order.openid.endswith(POOR):
                return self._store(replace(order, status="PAY_FAIL"))
            return self.pay(out_trade_no)

    def share(self, out_trade_no: str, amount: int, *, is_unfreezing: bool = False) -> Order:
        """Give a part of the frozen receipts of an order to others, and unfreeze the rest if wanted.

        Args:
            out_trade_no: The order, which exists.
            amount: Fen.
            is_unfreezing: Whether to unfreeze the rest.
        """
        with self._lock:
            order = self._orders[out_trade_no]
            is_unfrozen = order.is_unfrozen or is_unfreezing
            return self._store(replace(order, shared=order.shared + amount, is_unfrozen=is_unfrozen))

    def decline(self, out_trade_no: str) -> Order | Rejection:
        """Fail the payer's attempt: code pay becomes ``PAYERROR``, other orders stay ``NOTPAY``."""
        with self._lock:
            order = self._find_payable(out_trade_no)
            if isinstance(order, Rejection):
                return order
            is_code_pay = order.trade_type == CODE_PAY
            return self._store(replace(order, status="PAYERROR")) if is_code_pay else order

    def expire(self, out_trade_no: str) -> Order | Rejection:
        """End the time in which an order can be paid; it stays ``NOTPAY`` until it is closed."""
        with self._lock:
            order = self._find_payable(out_trade_no)
            if isinstance(order, Rejection):
                return order
            return self._store(replace(order, expires=self._clock() - 1))

    def close(self, out_trade_no: str) -> Order | Rejection:
        """Close an unpaid order; closing it again changes nothing."""
        with self._lock:
            order = self._find_unpaid(out_trade_no)
            if isinstance(order, Rejection):
                return order
            if order.trade_type == CODE_PAY:
                return Rejection.CODE_PAY
            return self._store(replace(order, status="CLOSED"))

    def _find_unpaid(self, out_trade_no: str) -> Order | Rejection:
        order = self.find(out_trade_no=out_trade_no)
        if order is None:
            return Rejection.NO_ORDER
        return Rejection.PAID if order.payment else order

    def _find_payable(self, out_trade_no: str) -> Order | Rejection:
        order = self._find_unpaid(out_trade_no)
        return (ended_rejection(order) or order) if isinstance(order, Order) else order

    def reverse(self, out_trade_no: str) -> Order | Rejection:
        """Reverse a code payment: an unpaid one is closed, of a paid one what is left is refunded.

        Nothing changes if it is done again, or if all was refunded before.
        """
        with self._lock:
            order = self.find(out_trade_no=out_trade_no)
            if order is None:
                return Rejection.NO_ORDER
            if order.status == "REVOKED":
                return order
            age = self._clock() - order.created
            if age < self._rules.reverse_interval:
                return Rejection.REVERSED_EARLY
            if age > REVERSE_PERIOD:
                return Rejection.REVERSED_LATE
            left = order.total - order.refunded
            if order.payment and not left:
                return order
            if order.payment:
                refund = self._make_refund(f"{out_trade_no}-reverse", left, "SUCCESS")
                # The merchant did not make it: neither its queries nor its bills have a number for it.
                reversal = replace(refund, out_refund_no="", is_reversal=True)
                order = replace(order, refunds=(*order.refunds, reversal))
            return self._store(replace(order, status="REVOKED"))

    def refund(  # noqa: PLR0913  a refund has that many parameters
        self,
        out_trade_no: str,
        out_refund_no: str,
        amount: int,
        total: int,
        *,
        protocol: str = "v2",
        notify_url: str = "",
        reason: str = "",
        is_manual: bool = False,
    ) -> tuple[Order, Refund] | Rejection:
        """Refund an order, or return the refund that was made with the same number.

        Args:
            out_trade_no: The order, by the merchant's number.
            out_refund_no: The merchant's number of the refund.
            amount: Fen to refund.
            total: Fen of the whole order, as the merchant states it.
            protocol: In ``v2`` the money arrives at once, in ``v3`` after the ledger's ``refund_delay``.
            notify_url: Receives the callback.
            reason: Shown to the payer.
            is_manual: Whether it is made on WeChat Pay's web site, where refunds may follow one another.
        """
        with self._lock:
            order = self.find(out_trade_no=out_trade_no)
            if order is None:
                return Rejection.NO_ORDER
            if order.payment is None:
                return Rejection.NOT_PAID
            if made := self.find_refund(out_refund_no=out_refund_no):
                is_same = made[0].out_trade_no == out_trade_no
                is_same = is_same and (made[1].amount, order.total) == (amount, total)
                return made if is_same else Rejection.OTHER_AMOUNT
            now = self._clock()
            if rejection := refund_rejection(order, amount, total, now - order.payment.at):
                return rejection
            is_early = order.refunds and now - order.refunds[-1].at < self._rules.refund_interval
            if is_early and not is_manual:
                return Rejection.TOO_SOON
            is_instant = protocol == "v2"
            refund = self._make_refund(out_refund_no, amount, "SUCCESS" if is_instant else "PROCESSING")
            refund = replace(refund, notify_url=notify_url, reason=reason, protocol=protocol)
            self._by_refund[out_refund_no] = self._by_refund[refund.refund_id] = out_trade_no
            if not is_instant:
                self._processing[out_refund_no] = refund.at
            return self._store(replace(order, refunds=(*order.refunds, refund))), refund

    def settle_refund(self, out_refund_no: str, status: str) -> tuple[Order, Refund] | Rejection:
        """Decide a refund: ``SUCCESS``, ``CLOSED``, ``ABNORMAL``, or ``PROCESSING`` to keep it undecided."""
        with self._lock:
            if (found := self.find_refund(out_refund_no=out_refund_no)) is None:
                return Rejection.NO_REFUND
            order, refund = found
            if refund.status in {"SUCCESS", "CLOSED"}:
                return Rejection.REFUND_STATE
            done = self._clock() if status == "SUCCESS" else 0.0
            return self._update_refund(order, replace(refund, status=status, done=done))

    def retry_abnormal_refund(self, refund_id: str) -> tuple[Order, Refund] | Rejection:
        """Send an abnormal refund to another bank card."""
        with self._lock:
            if (found := self.find_refund(refund_id=refund_id)) is None:
                return Rejection.NO_REFUND
            order, refund = found
            if refund.status != "ABNORMAL":
                return Rejection.REFUND_STATE
            again = replace(refund, status="PROCESSING", channel="OTHER_BANKCARD", done=0.0)
            return self._update_refund(order, again)

    @property
    def has_processing_refunds(self) -> bool:
        """Whether the money of some refund has not arrived yet."""
        return bool(self._processing)

    def due_refunds(self) -> list[tuple[Order, Refund]]:
        """Return the refunds whose money has arrived by now, as ``SUCCESS``."""
        with self._lock:
            now = self._clock()
            due = [name for name, at in self._processing.items() if at + self._refund_delay <= now]
            settled = [self.settle_refund(name, "SUCCESS") for name in due]
            return [pair for pair in settled if isinstance(pair, tuple)]

    def _make_refund(self, out_refund_no: str, amount: int, status: str) -> Refund:
        now = self._clock()
        digits = f"50{self.make_number(out_refund_no, 8)}{format_digits(now)[:8]}"
        digits += self.make_number(f"refund {out_refund_no}", 11)
        return Refund(digits, out_refund_no, amount, now, status, now if status == "SUCCESS" else 0.0)

    def make_number(self, name: str, count: int) -> str:
        """Make one of WeChat Pay's numbers: another seed, merchant or series has another one.

        Args:
            name: What it is the number of.
            count: How many digits it has.
        """
        return number(f"{self._seed} {self._series} {name}", count)

    def _update_refund(self, order: Order, refund: Refund) -> tuple[Order, Refund]:
        self._processing.pop(refund.out_refund_no, None)
        if refund.status == "PROCESSING":
            self._processing[refund.out_refund_no] = self._clock()
        refunds = tuple(refund if r.refund_id == refund.refund_id else r for r in order.refunds)
        return self._store(replace(order, refunds=refunds)), refund

    def _is_thawed(self, paid: float) -> bool:
        return self._clock() > paid + self._rules.freeze_days * 86400

    def _store(self, order: Order) -> Order:
        self._orders[order.out_trade_no] = order
        return order

    def _present(self, order: Order) -> Order:
        """Return an order as it is now: WeChat Pay closes it after seven days without payment."""
        if order.frozen and order.payment and self._is_thawed(order.payment.at):
            return self._store(replace(order, is_unfrozen=True))
        is_open = order.payment is None and order.status in {"NOTPAY", "USERPAYING", "PAYERROR"}
        if is_open and self._clock() > order.created + ORDER_LIFETIME:
            return self._store(replace(order, status="CLOSED"))
        return order
