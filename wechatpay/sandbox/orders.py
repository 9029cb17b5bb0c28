"""Orders, payments and refunds as the ledger keeps them, and what their state allows. Amounts are in fen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

from wechatpay.sandbox.clock import format_digits
from wechatpay.sandbox.test_users import number

__all__ = [
    "CODE_PAY",
    "ORDER_LIFETIME",
    "Order",
    "Payment",
    "Refund",
    "Rejection",
    "ended_rejection",
    "fee",
    "payment_rejection",
    "refund_rejection",
]

#: How long an order may be paid, in seconds; WeChat Pay closes it then.
ORDER_LIFETIME = timedelta(days=7).total_seconds()

#: Seconds that a ``prepay_id`` and a ``code_url`` are valid, and an ``h5_url``.
PREPAY_LIFETIME = 7200
H5_LIFETIME = 300

#: The trade type of payments by payment code.
CODE_PAY = "MICROPAY"

#: How long after its payment an order may be refunded, in seconds.
_REFUND_PERIOD = timedelta(days=365).total_seconds()

#: Partial refunds of one order.
_MAX_REFUNDS = 50

#: The states in which an unpaid order cannot be paid any more.
_ENDED = frozenset({"CLOSED", "REVOKED", "PAY_FAIL"})

#: Fen of fee for 1000 fen.
_FEE_RATE = 6


class Rejection(Enum):
    """Why the ledger rejects an operation."""

    PAID = auto()
    OTHER_ORDER = auto()
    OTHER_APP = auto()
    NO_ORDER = auto()
    NO_TRANSACTION = auto()
    OTHER_NUMBER = auto()
    OTHER_PARTY = auto()
    NOT_PAID = auto()
    OTHER_AMOUNT = auto()
    OTHER_TOTAL = auto()
    OVERDUE = auto()
    ALL_REFUNDED = auto()
    TOO_MUCH = auto()
    CLOSED = auto()
    EXPIRED = auto()
    OTHER_PAYER = auto()
    CODE_PAY = auto()
    REVERSED = auto()
    REVERSED_EARLY = auto()
    REVERSED_LATE = auto()
    NO_REFUND = auto()
    REFUND_STATE = auto()
    TOO_MANY = auto()
    TOO_SOON = auto()
    FROZEN = auto()
    CODE_USED = auto()


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of an order.

    Attributes:
        transaction_id: WeChat Pay's number.
        openid: The payer.
        at: Unix seconds.
    """

    transaction_id: str
    openid: str
    at: float


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund of an order, whole or in part.

    Attributes:
        refund_id: WeChat Pay's number.
        out_refund_no: The merchant's number; ``""`` for a reversal.
        amount: Fen.
        at: Unix seconds at which it was accepted.
        status: ``PROCESSING``, ``SUCCESS``, ``CLOSED`` or ``ABNORMAL``.
        done: Unix seconds at which the money arrived; 0 before.
        notify_url: Receives the callback; ``""`` for none.
        channel: ``ORIGINAL``, or ``OTHER_BANKCARD`` after an abnormal refund.
        reason: Shown to the payer.
        protocol: ``v2`` or ``v3``, which is also that of its callback.
        is_reversal: Whether WeChat Pay made it because the order was reversed.
    """

    refund_id: str
    out_refund_no: str
    amount: int
    at: float
    status: str = "SUCCESS"
    done: float = 0.0
    notify_url: str = ""
    channel: str = "ORIGINAL"
    reason: str = ""
    protocol: str = "v3"
    is_reversal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order.

    Attributes:
        out_trade_no: The merchant's number.
        appid: The app in which it is paid.
        total: Fen.
        trade_type: ``JSAPI``, ``NATIVE``, ``APP``, ``MWEB`` (H5) or ``MICROPAY`` (payment code).
        description: What is bought.
        attach: Data of the merchant, returned as it is.
        openid: The only payer allowed; ``""`` for anybody.
        currency: ``CNY``.
        notify_url: Receives the callback.
        terms: The parameters of the order: ordering again with the same ones changes nothing, with others is
            an error.
        protocol: ``v2`` or ``v3``, which is also that of its callbacks.
        sub_mchid: The sub-merchant of a partner's order; ``""`` for a direct one.
        sub_appid: The sub-merchant's app.
        sub_openid: The payer in the sub-merchant's app; ``""`` if the order does not name it.
        combine_mchid: The merchant who placed the combined order that it belongs to; ``""`` for none.
        combine_out_trade_no: The number of that combined order.
        mchid: The merchant of a combined order's part.
        device_id: The shop's device.
        device_ip: The address of the device.
        expires: Unix seconds after which it cannot be paid; 0 for seven days after ordering.
        issued: Unix seconds of the last time that it was ordered.
        times_issued: How often it was ordered.
        session: Digits of the payment session; new ones each time that an APIv3 order is repeated.
        created: Unix seconds.
        status: ``NOTPAY``, ``CLOSED``, ``USERPAYING``, ``PAYERROR`` or ``REVOKED``, of a deduction ``ACCEPT``
            or ``PAY_FAIL``; see `state`.
        payment: The payment; ``None`` before.
        is_sharing: Whether the receipts are frozen for profit sharing.
        shared: Fen that receivers of profit sharing got.
        is_unfrozen: Whether the rest that was not shared is unfrozen.
        refunds: The refunds.
    """

    out_trade_no: str
    appid: str
    total: int
    trade_type: str
    description: str = ""
    attach: str = ""
    openid: str = ""
    currency: str = "CNY"
    notify_url: str = ""
    terms: str = field(default="", repr=False)
    protocol: str = "v2"
    sub_mchid: str = ""
    sub_appid: str = ""
    sub_openid: str = ""
    combine_mchid: str = ""
    combine_out_trade_no: str = ""
    mchid: str = ""
    device_id: str = ""
    device_ip: str = ""
    expires: float = 0.0
    issued: float = 0.0
    times_issued: int = 0
    session: str = ""
    created: float = 0.0
    status: str = "NOTPAY"
    payment: Payment | None = None
    is_sharing: bool = False
    shared: int = 0
    is_unfrozen: bool = False
    refunds: tuple[Refund, ...] = ()

    @property
    def refunded(self) -> int:
        """Fen refunded so far; closed refunds do not count."""
        return sum(refund.amount for refund in self.refunds if refund.status != "CLOSED")

    @property
    def frozen(self) -> int:
        """Fen that can still be shared: what was paid without fee, shares and refunds."""
        if not self.is_sharing or self.is_unfrozen or self.payment is None:
            return 0
        return max(0, self.total - fee(self.total) - self.shared - self.refunded)

    @property
    def state(self) -> str:
        """``trade_state``: ``SUCCESS`` once paid, ``REFUND`` after any refund, else `status`."""
        if self.status == "REVOKED" or self.payment is None:
            return self.status
        return "REFUND" if self.refunds else "SUCCESS"

    @property
    def prepay_id(self) -> str:
        """The payment session, with the day on which it began."""
        day = format_digits(self.issued or self.created)[:8]
        return f"wx{day}{number(f'prepay {self.session}', 24)}00"

    @property
    def payer_url(self) -> str:
        """What a Native order's QR code holds, or the page of an H5 order; ``""`` for others."""
        package = number(f"package {self.session}", 10)
        if self.trade_type == "NATIVE":
            return f"weixin://wxpay/bizpayurl?pr={package}"
        if self.trade_type == "MWEB":
            page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb"
            return f"{page}?prepay_id={self.prepay_id}&package={package}"
        return ""

    def is_payable(self, now: float) -> bool:
        """Return whether the payer's app still accepts the order; the ``prepay_id`` of APIv2 does not end."""
        if self.protocol == "v2":
            return not self.expires or now <= self.expires
        lifetime = H5_LIFETIME if self.trade_type == "MWEB" else PREPAY_LIFETIME
        return now <= min(self.expires or self.created + ORDER_LIFETIME, self.issued + lifetime)


def fee(fen: int) -> int:
    """Return WeChat Pay's fee for an amount, in fen, rounded half up."""
    return (fen * _FEE_RATE + 500) // 1000


def ended_rejection(order: Order) -> Rejection | None:
    """Return why nobody can pay an unpaid order any more; ``None`` if somebody can."""
    if order.status not in _ENDED:
        return None
    return Rejection.REVERSED if order.status == "REVOKED" else Rejection.CLOSED


def payment_rejection(order: Order, openid: str, now: float) -> Rejection | None:
    """Return why a payer cannot pay an order now, or ``None``; ``""`` stands for any payer."""
    if order.payment:
        return Rejection.PAID
    if ended := ended_rejection(order):
        return ended
    if not order.is_payable(now):
        return Rejection.EXPIRED
    if order.protocol == "v3" and openid and order.openid and openid not in {order.openid, order.sub_openid}:
        return Rejection.OTHER_PAYER
    return None


def refund_rejection(order: Order, amount: int, total: int, age: float) -> Rejection | None:
    """Return why an order cannot be refunded, or ``None``.

    Args:
        order: The order, which is paid.
        amount: Fen to refund.
        total: Fen of the whole order, as the merchant states it.
        age: Seconds since it was paid.
    """
    if total != order.total:
        return Rejection.OTHER_TOTAL
    if age > _REFUND_PERIOD:
        return Rejection.OVERDUE
    if order.refunded == order.total:
        return Rejection.ALL_REFUNDED
    if len(order.refunds) >= _MAX_REFUNDS:
        return Rejection.TOO_MANY
    if amount > order.total - order.refunded:
        return Rejection.TOO_MUCH
    is_partly_shared = order.is_sharing and order.shared and not order.is_unfrozen
    return Rejection.FROZEN if is_partly_shared and amount > order.frozen else None
