"""Orders, payments and refunds: who owes whom, whatever the protocol that says so.

All amounts are in fen.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from enum import Enum, auto
from typing import TYPE_CHECKING

from wechatpay.sandbox import people

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["CHINA", "PAYER", "Ledger", "Order", "Payment", "Refund", "Trouble"]

#: The time in which WeChat Pay reckons.
CHINA = timezone(timedelta(hours=8))

#: Who pays, unless somebody else is named; see :mod:`wechatpay.sandbox.people`.
PAYER = "oUpF8uMuAJOM2pxb1Q"

#: How long after its payment an order may be refunded.
_REFUNDABLE = timedelta(days=365).total_seconds()


class Trouble(Enum):
    """Why the ledger does not take something."""

    PAID = auto()
    OTHER_ORDER = auto()
    OTHER_APP = auto()
    NO_ORDER = auto()
    NOT_PAID = auto()
    OTHER_AMOUNT = auto()
    OVERDUE = auto()
    ALL_REFUNDED = auto()
    TOO_MUCH = auto()


@dataclass(frozen=True, slots=True)
class Payment:
    """What a payer did.

    Attributes:
        transaction_id: WeChat Pay's number for it.
        openid: Who paid.
        at: Unix seconds.
    """

    transaction_id: str
    openid: str
    at: float


@dataclass(frozen=True, slots=True)
class Refund:
    """What the merchant gave back.

    Attributes:
        refund_id: WeChat Pay's number for it.
        out_refund_no: The merchant's number.
        amount: Fen.
        at: Unix seconds.
    """

    refund_id: str
    out_refund_no: str
    amount: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a merchant wants to be paid for, and what came of it.

    Attributes:
        out_trade_no: The merchant's number.
        appid: The app that it is paid in.
        total: Fen.
        kind: How it is paid, such as ``JSAPI``.
        description: What is bought.
        attach: What the merchant wants to be told again.
        openid: Who has to pay; ``""`` for anybody.
        currency: ``CNY``, as a rule.
        notify_url: Who wants to know.
        terms: All that was said of it; saying it again changes nothing, saying something else is an error.
        created: Unix seconds.
        payment: How it was paid; ``None`` before.
        refunds: What of it was given back.
    """

    out_trade_no: str
    appid: str
    total: int
    kind: str
    description: str = ""
    attach: str = ""
    openid: str = ""
    currency: str = "CNY"
    notify_url: str = ""
    terms: Hashable = field(default=None, repr=False)
    created: float = 0.0
    payment: Payment | None = None
    refunds: tuple[Refund, ...] = ()

    @property
    def refunded(self) -> int:
        """Fen given back so far."""
        return sum(refund.amount for refund in self.refunds)

    @property
    def state(self) -> str:
        """``NOTPAY``, ``SUCCESS``, or ``REFUND`` once something was given back."""
        if self.payment is None:
            return "NOTPAY"
        return "REFUND" if self.refunds else "SUCCESS"

    @property
    def prepay_id(self) -> str:
        """What the payer's app asks for to pay."""
        return f"wx{_stamp(self.created)}{people.number(f'prepay {self.out_trade_no}', 18)}00"


class Ledger:
    """One merchant's orders, in memory; any thread may use it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._orders: dict[str, Order] = {}

    @property
    def orders(self) -> dict[str, Order]:
        """All orders as they are now, by the merchant's numbers, oldest first."""
        with self._lock:
            return dict(self._orders)

    def find(self, *, out_trade_no: str = "", transaction_id: str = "") -> Order | None:
        """Return an order by WeChat Pay's number, else by the merchant's; ``None`` if there is none."""
        orders = self.orders
        if not transaction_id:
            return orders.get(out_trade_no)
        paid = (order for order in orders.values() if order.payment)
        return next((o for o in paid if o.payment and o.payment.transaction_id == transaction_id), None)

    def place(self, order: Order) -> Order | Trouble:
        """Take an order, or return the one that was placed on the same terms before."""
        with self._lock:
            known = self._orders.setdefault(order.out_trade_no, replace(order, created=self._clock()))
        if known.payment:
            return Trouble.PAID
        if known.appid != order.appid:
            return Trouble.OTHER_APP
        return known if known.terms == order.terms else Trouble.OTHER_ORDER

    def pay(self, out_trade_no: str, openid: str = "") -> Order | Trouble:
        """Let a payer pay an order.

        Args:
            out_trade_no: The merchant's number.
            openid: Who pays; by default whom the order names, else `PAYER`.
        """
        with self._lock:
            if (order := self._orders.get(out_trade_no)) is None:
                return Trouble.NO_ORDER
            if order.payment:
                return Trouble.PAID
            now = self._clock()
            number = f"4200{people.number(out_trade_no, 6)}{_stamp(now)[:8]}"
            number += people.number(f"{out_trade_no} {now}", 10)
            payment = Payment(number, openid or order.openid or PAYER, now)
            self._orders[out_trade_no] = order = replace(order, payment=payment)
            return order

    def refund(
        self, out_trade_no: str, out_refund_no: str, amount: int, total: int
    ) -> tuple[Order, Refund] | Trouble:
        """Give something back, or return the refund that was made before with the same number.

        Args:
            out_trade_no: The order, by the merchant's number.
            out_refund_no: The merchant's number for the refund.
            amount: Fen to give back.
            total: Fen that the order was about, as the merchant remembers.
        """
        with self._lock:
            if (order := self._orders.get(out_trade_no)) is None:
                return Trouble.NO_ORDER
            if order.payment is None:
                return Trouble.NOT_PAID
            made = self._made(out_refund_no)
            if made is not None:
                is_same = made[0] is order and (made[1].amount, order.total) == (amount, total)
                return made if is_same else Trouble.OTHER_AMOUNT
            now = self._clock()
            if trouble := _refused(order, amount, total, now - order.payment.at):
                return trouble
            number = f"50{people.number(out_refund_no, 8)}{_stamp(now)[:8]}"
            number += people.number(f"{out_refund_no} {now}", 11)
            refund = Refund(number, out_refund_no, amount, now)
            self._orders[out_trade_no] = order = replace(order, refunds=(*order.refunds, refund))
            return order, refund

    def _made(self, out_refund_no: str) -> tuple[Order, Refund] | None:
        every = ((order, refund) for order in self._orders.values() for refund in order.refunds)
        return next((pair for pair in every if pair[1].out_refund_no == out_refund_no), None)


def _refused(order: Order, amount: int, total: int, age: float) -> Trouble | None:
    if total != order.total:
        return Trouble.OTHER_AMOUNT
    if age > _REFUNDABLE:
        return Trouble.OVERDUE
    if order.refunded == order.total:
        return Trouble.ALL_REFUNDED
    return Trouble.TOO_MUCH if amount > order.total - order.refunded else None


def _stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, CHINA):%Y%m%d%H%M%S}"
