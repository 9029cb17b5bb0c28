"""The text of bills with orders, from the ledger or of any size from a seed, as WeChat Pay's CSV.

UTF-8 with a byte order mark, every cell preceded by a backtick, amounts in yuan, a summary in the last two
lines. https://pay.weixin.qq.com/doc/v3/merchant/4012791866
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from wechatpay.sandbox.clock import CHINA, format_local
from wechatpay.sandbox.orders import Order, Payment, Refund, fee

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "Line",
    "day_of",
    "encode",
    "generate_orders",
    "join_cells",
    "list_lines",
    "statement",
    "trade_bill",
    "write_trade_bill",
    "yuan",
]

#: Columns that only bills of refunds have, and those that bills of payments lack.
_REFUND_TIMES = {"退款申请时间", "退款成功时间"}
_REFUND_COLUMNS = {
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "申请退款金额",
}

#: The columns that each kind of bill leaves out.
_WITHOUT: Mapping[str, set[str]] = {
    "ALL": _REFUND_TIMES,
    "SUCCESS": _REFUND_TIMES | _REFUND_COLUMNS,
    "REFUND": set(),
}

_SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
_SUCCESS_SUMMARY = "总交易单数,应结订单总金额,手续费总金额,订单总金额"

_STATEMENT_HEADER = (
    "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,充值券币种,"
    "充值券金额,优惠券币种,优惠券金额,微信退款单号,商户退款单号,退款类型,退款状态,商品名称,商户数据包,手续费,费率,标价币种,"
    "订单金额(标价币种),用户支付币种,用户支付金额,结算币种,应结订单金额,支付汇率,退款汇率,申请退款金额,用户退款币种,"
    "用户退款金额,退款结算币种,退款应结订单金额,充值券退款金额,优惠券退款金额"
)

_FEE_RATE = "0.60%"

#: Characters of names and data that a trade bill escapes.
_TRADE_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "`": "\\`",
        ",": "\\ ",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
    }
)
_REFUND_ESCAPES = {**_TRADE_ESCAPES, ord("'"): "'", ord("`"): "\\140"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a trade bill.

    Attributes:
        order: The order.
        payment: Its payment.
        refund: The refund; ``None`` for the payment itself.
    """

    order: Order
    payment: Payment
    refund: Refund | None = None

    @property
    def at(self) -> float:
        """Unix seconds."""
        return self.refund.at if self.refund else self.payment.at

    @property
    def paid(self) -> int:
        """Fen of a payment."""
        return 0 if self.refund else self.order.total

    @property
    def refunded(self) -> int:
        """Fen of a refund."""
        return self.refund.amount if self.refund else 0

    @property
    def fee(self) -> int:
        """Fen; refunds return it in proportion."""
        return -fee(self.refunded) if self.refund else fee(self.paid)

    def cells(self, mchid: str) -> Mapping[str, str]:
        """Return the cells of all columns, in their order."""
        order, refund = self.order, self.refund
        escapes = _REFUND_ESCAPES if refund else _TRADE_ESCAPES
        status = {"CLOSED": "FAIL", "ABNORMAL": "CHANGE"}
        is_reversal = refund is not None and refund.is_reversal
        return {
            "交易时间": format_local(self.at),
            "公众账号ID": order.sub_appid or order.appid,
            "商户号": order.mchid or mchid,
            "特约商户号": order.sub_mchid or "0",
            "设备号": order.device_id.translate(escapes),
            "微信订单号": self.payment.transaction_id,
            "商户订单号": order.out_trade_no,
            "用户标识": order.sub_openid or self.payment.openid,
            "交易类型": order.trade_type,
            "交易状态": "REVOKED" if is_reversal else "REFUND" if refund else "SUCCESS",
            "付款银行": "OTHERS",
            "货币种类": order.currency,
            "应结订单金额": yuan(self.paid),
            "代金券金额": yuan(0),
            "退款申请时间": format_local(self.at),
            "退款成功时间": format_local(refund.done) if refund and refund.done else "",
            "微信退款单号": refund.refund_id if refund else "0",
            "商户退款单号": refund.out_refund_no if refund and not is_reversal else "0",
            "退款金额": yuan(self.refunded),
            "充值券退款金额": yuan(0),
            "退款类型": "ORIGINAL" if refund else "",
            "退款状态": status.get(refund.status, refund.status) if refund else "",
            "商品名称": order.description.translate(escapes),
            "商户数据包": order.attach.translate(escapes),
            "手续费": f"{yuan(self.fee)}000",
            "费率": _FEE_RATE,
            "订单金额": yuan(self.paid),
            "申请退款金额": yuan(self.refunded),
            "费率备注": "",
        }


def trade_bill(orders: Iterable[Order], mchid: str, day: date, kind: str) -> bytes | None:
    """Write the trade bill of a day in China; ``None`` for a day without a row.

    Args:
        orders: All orders.
        mchid: The merchant.
        day: The day.
        kind: ``ALL``, ``SUCCESS`` or ``REFUND``; other kinds have no rows.
    """
    lines = sorted((line for line in list_lines(orders) if day_of(line.at) == day), key=lambda line: line.at)
    text = b"".join(write_trade_bill(lines, mchid, kind))
    return text or None


def write_trade_bill(lines: Iterable[Line], mchid: str, kind: str = "ALL") -> Iterator[bytes]:
    """Write a trade bill row by row: the memory does not grow with the bill.

    Args:
        lines: The payments and refunds of a day, in their order.
        mchid: The merchant.
        kind: ``ALL``, ``SUCCESS`` or ``REFUND``; other kinds have no rows.
    """
    wanted = {"ALL": (False, True), "SUCCESS": (False,), "REFUND": (True,)}.get(kind, ())
    totals = _Totals()
    columns: list[str] = []
    texts: list[str] = []
    for line in lines:
        if (line.refund is not None) not in wanted:
            continue
        cells = line.cells(mchid)
        if not columns:
            columns = [name for name in cells if name not in _WITHOUT[kind]]
            yield encode([",".join(columns)])
        totals.add(line)
        texts.append(join_cells(cells[name] for name in columns))
        if len(texts) == _ROWS_AT_ONCE:
            yield _rows(texts)
            texts = []
    if columns:
        summary = _SUCCESS_SUMMARY if kind == "SUCCESS" else _SUMMARY
        yield _rows([*texts, summary, join_cells(totals.cells(kind))])


#: Rows that are encoded at once.
_ROWS_AT_ONCE = 256


class _Totals:
    """The sums of a trade bill."""

    def __init__(self) -> None:
        self._count = self._paid = self._refunded = self._fee = 0

    def add(self, line: Line) -> None:
        self._count += 1
        self._paid += line.paid
        self._refunded += line.refunded
        self._fee += line.fee

    def cells(self, kind: str) -> tuple[str, ...]:
        paid, refunded, fees = yuan(self._paid), yuan(self._refunded), f"{yuan(self._fee)}000"
        if kind == "SUCCESS":
            return str(self._count), paid, fees, paid
        return str(self._count), paid, refunded, yuan(0), fees, paid, refunded


def list_lines(orders: Iterable[Order]) -> Iterator[Line]:
    """Yield the payment of each paid order, and its refunds."""
    for order in orders:
        if order.payment:
            yield Line(order, order.payment)
            yield from (Line(order, order.payment, refund) for refund in order.refunds)


def generate_orders(count: int, day: date, seed: str = "") -> Iterator[Order]:
    """Make paid orders of one day, some of them refunded, in the order of their payments.

    Args:
        count: How many.
        day: The day, in China.
        seed: The same seed makes the same orders.
    """
    draw = random.Random(f"{seed} {day}")  # noqa: S311  test data
    midnight = datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp()
    for index in range(count):
        at = midnight + index * 86_000 // count
        total = draw.randint(1, 1_000_000)
        number = f"{day:%Y%m%d}{index:010}"
        refunds: tuple[Refund, ...] = ()
        if draw.random() < _REFUNDED:
            amount = draw.randint(1, total)
            refunds = (Refund(f"5030000{number}001", f"R{number}", amount, at + 60, "SUCCESS", at + 60),)
        yield Order(
            out_trade_no=f"G{number}",
            appid="wx8888888888888888",
            total=total,
            trade_type=draw.choice(("JSAPI", "NATIVE", "APP", "MWEB")),
            description=draw.choice(_GOODS),
            attach=f"till={draw.randint(1, 99)}",
            payment=Payment(f"4200000{number}001", f"oGenerated{draw.getrandbits(64):016x}", at),
            refunds=refunds,
            protocol="v3",
        )


#: The part of the generated orders that is refunded, and what they buy.
_REFUNDED = 0.05
_GOODS = ("龙井茶 250g", "tea, green", 'the "best" tea', "uncle's `house` blend", "two\nlines", "back\\slash")


def statement(orders: Iterable[Order], mchid: str, day: date) -> bytes | None:
    """Write the overseas statement of a day in China; ``None`` for a day without a row."""
    lines = sorted((line for line in list_lines(orders) if day_of(line.at) == day), key=lambda line: line.at)
    names = _STATEMENT_HEADER.split(",")
    rows = [join_cells(_statement_cells(line, mchid).get(name, "") for name in names) for line in lines]
    return encode([_STATEMENT_HEADER, *rows]) if rows else None


def _statement_cells(line: Line, mchid: str) -> Mapping[str, str]:
    cells, currency = line.cells(mchid), line.order.currency
    paid, refunded, zero = yuan(line.paid), yuan(line.refunded), yuan(0)
    return {
        **cells,
        "子商户号": cells["特约商户号"],
        "充值券金额": zero,
        "优惠券金额": zero,
        "标价币种": currency,
        "订单金额(标价币种)": paid,
        "用户支付币种": currency,
        "用户支付金额": paid,
        "结算币种": currency,
        "支付汇率": "100000000",
        "退款汇率": "100000000" if line.refund else "0",
        "用户退款币种": currency if line.refund else "",
        "用户退款金额": refunded,
        "退款结算币种": currency if line.refund else "",
        "退款应结订单金额": refunded,
        "优惠券退款金额": zero,
    }


def join_cells(cells: Iterable[str]) -> str:
    """Return a row, each cell of which begins with a backtick."""
    return ",".join(f"`{cell}" for cell in cells)


def encode(rows: Iterable[str]) -> bytes:
    """Return a file."""
    return b"\xef\xbb\xbf" + _rows(rows)


def _rows(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\r\n" for row in rows).encode()


def day_of(at: float) -> date:
    """Return the day in China of Unix seconds."""
    return datetime.fromtimestamp(at, CHINA).date()


def yuan(fen: int) -> str:
    """Return fen as bills have them: yuan, with two decimals."""
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02}"
