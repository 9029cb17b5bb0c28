"""Trade bills: what was paid and given back on a day, as WeChat Pay's CSV.

UTF-8 with a byte order mark, every cell behind a backtick, amounts in yuan; a summary in the last two lines.
https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_6
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from wechatpay.sandbox.ledger import CHINA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from wechatpay.sandbox.ledger import Order, Payment, Refund

__all__ = ["trade_bill"]

#: Columns that only bills of refunds have, and those that bills of payments lack.
_MOMENTS = {"退款申请时间", "退款成功时间"}
_REFUNDS = {
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "申请退款金额",
}

#: What each kind of bill leaves out.
_WITHOUT: Mapping[str, set[str]] = {"ALL": _MOMENTS, "SUCCESS": _MOMENTS | _REFUNDS, "REFUND": set()}

_SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"

#: WeChat Pay keeps 6 of 1000.
_RATE = "0.60%"


@dataclass(frozen=True, slots=True)
class _Line:
    """A payment, or a refund of one.

    Attributes:
        order: What it belongs to.
        payment: How the order was paid.
        refund: What was given back; ``None`` for the payment itself.
    """

    order: Order
    payment: Payment
    refund: Refund | None = None

    @property
    def at(self) -> float:
        return self.refund.at if self.refund else self.payment.at

    @property
    def paid(self) -> int:
        return 0 if self.refund else self.order.total

    @property
    def given_back(self) -> int:
        return self.refund.amount if self.refund else 0

    @property
    def fee(self) -> int:
        """Fen, rounded half up; given back with the money."""
        return -_fee(self.given_back) if self.refund else _fee(self.paid)

    def cells(self, mchid: str) -> Mapping[str, str]:
        """Return what stands in each column, in their order."""
        order, refund = self.order, self.refund
        return {
            "交易时间": _moment(self.at),
            "公众账号ID": order.appid,
            "商户号": mchid,
            "特约商户号": "0",
            "设备号": "",
            "微信订单号": self.payment.transaction_id,
            "商户订单号": order.out_trade_no,
            "用户标识": self.payment.openid,
            "交易类型": order.kind,
            "交易状态": "REFUND" if refund else "SUCCESS",
            "付款银行": "OTHERS",
            "货币种类": order.currency,
            "应结订单金额": _yuan(self.paid),
            "代金券金额": _yuan(0),
            "退款申请时间": _moment(self.at),
            "退款成功时间": _moment(self.at),
            "微信退款单号": refund.refund_id if refund else "0",
            "商户退款单号": refund.out_refund_no if refund else "0",
            "退款金额": _yuan(self.given_back),
            "充值券退款金额": _yuan(0),
            "退款类型": "ORIGINAL" if refund else "",
            "退款状态": "SUCCESS" if refund else "",
            "商品名称": order.description,
            "商户数据包": order.attach,
            "手续费": f"{_yuan(self.fee)}000",
            "费率": _RATE,
            "订单金额": _yuan(self.paid),
            "申请退款金额": _yuan(self.given_back),
            "费率备注": "",
        }


def trade_bill(orders: Iterable[Order], mchid: str, day: date, kind: str) -> bytes | None:
    """Write the bill of a day in China; ``None`` if nothing happened on it.

    Args:
        orders: All orders.
        mchid: Whose.
        day: Which day.
        kind: ``ALL``, ``SUCCESS`` or ``REFUND``; of any other there never is one.
    """
    wanted = {"ALL": (False, True), "SUCCESS": (False,), "REFUND": (True,)}.get(kind, ())
    lines = [
        line
        for line in _lines(orders)
        if (line.refund is not None) in wanted and datetime.fromtimestamp(line.at, CHINA).date() == day
    ]
    if not lines:
        return None
    cells = [line.cells(mchid) for line in sorted(lines, key=lambda line: line.at)]
    columns = [name for name in cells[0] if name not in _WITHOUT[kind]]
    rows = [",".join(columns), *(_row(cell[name] for name in columns) for cell in cells)]
    rows += [_SUMMARY, _row(_totals(lines))]
    return "".join(f"{row}\r\n" for row in rows).encode("utf-8-sig")


def _lines(orders: Iterable[Order]) -> Iterator[_Line]:
    for order in orders:
        if order.payment:
            yield _Line(order, order.payment)
            yield from (_Line(order, order.payment, refund) for refund in order.refunds)


def _totals(lines: list[_Line]) -> Iterator[str]:
    paid = _yuan(sum(line.paid for line in lines))
    given_back = _yuan(sum(line.given_back for line in lines))
    fees = f"{_yuan(sum(line.fee for line in lines))}000"
    return iter((str(len(lines)), paid, given_back, _yuan(0), fees, paid, given_back))


def _row(cells: Iterable[str]) -> str:
    return ",".join(f"`{cell.translate(_UNCELLED)}" for cell in cells)


#: What would begin another line, as names of goods may; a comma begins a cell with the backtick alone.
_UNCELLED = str.maketrans("\r\n", "  ")


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d %H:%M:%S}"


def _yuan(fen: int) -> str:
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02}"


def _fee(fen: int) -> int:
    return (fen * 6 + 500) // 1000
