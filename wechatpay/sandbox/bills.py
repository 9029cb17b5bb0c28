"""Trade bills and fund bills as WeChat Pay's CSV, and APIv3's calls for them.

UTF-8 with a byte order mark, every cell preceded by a backtick, amounts in yuan, a summary in the last two
lines. https://pay.weixin.qq.com/doc/v3/merchant/4012791866
"""

from __future__ import annotations

import gzip
import hashlib
import secrets
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from wechatpay.messages import Headers
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import CHINA, format_local
from wechatpay.sandbox.ledger import fee
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger, Order, Payment, Refund

__all__ = ["Bills", "FundEntry", "fund_bill", "trade_bill"]

#: Seconds that a ``download_url`` is valid.
_DOWNLOAD_LIFETIME = 30

#: Days for which there are bills.
_DAYS_KEPT = 92

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

_FUND_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"

_FEE_RATE = "0.60%"

#: Fen on the merchant's account before the first booking.
OPENING_BALANCE = 100_000_000

#: Characters of names and data that a trade bill escapes, and those of a fund bill.
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
_FUND_ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", ",": " "})


@dataclass(frozen=True, slots=True)
class _Line:
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
        return self.refund.at if self.refund else self.payment.at

    @property
    def paid(self) -> int:
        return 0 if self.refund else self.order.total

    @property
    def refunded(self) -> int:
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
        return {
            "交易时间": format_local(self.at),
            "公众账号ID": order.sub_appid or order.appid,
            "商户号": order.mchid or mchid,
            "特约商户号": order.sub_mchid or "0",
            "设备号": order.device_id.translate(escapes),
            "微信订单号": self.payment.transaction_id,
            "商户订单号": order.out_trade_no,
            "用户标识": self.payment.openid,
            "交易类型": order.trade_type,
            "交易状态": "REFUND" if refund else "SUCCESS",
            "付款银行": "OTHERS",
            "货币种类": order.currency,
            "应结订单金额": _yuan(self.paid),
            "代金券金额": _yuan(0),
            "退款申请时间": format_local(self.at),
            "退款成功时间": format_local(refund.done) if refund and refund.done else "",
            "微信退款单号": refund.refund_id if refund else "0",
            "商户退款单号": refund.out_refund_no if refund else "0",
            "退款金额": _yuan(self.refunded),
            "充值券退款金额": _yuan(0),
            "退款类型": "ORIGINAL" if refund else "",
            "退款状态": status.get(refund.status, refund.status) if refund else "",
            "商品名称": order.description.translate(escapes),
            "商户数据包": order.attach.translate(escapes),
            "手续费": f"{_yuan(self.fee)}000",
            "费率": _FEE_RATE,
            "订单金额": _yuan(self.paid),
            "申请退款金额": _yuan(self.refunded),
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
    wanted = {"ALL": (False, True), "SUCCESS": (False,), "REFUND": (True,)}.get(kind, ())
    lines = [line for line in _lines(orders) if (line.refund is not None) in wanted and _day(line.at) == day]
    if not lines:
        return None
    cells = [line.cells(mchid) for line in sorted(lines, key=lambda line: line.at)]
    columns = [name for name in cells[0] if name not in _WITHOUT[kind]]
    rows = [",".join(columns), *(_row(cell[name] for name in columns) for cell in cells)]
    rows += [_SUCCESS_SUMMARY if kind == "SUCCESS" else _SUMMARY, _row(_totals(lines, kind))]
    return _text(rows)


def _lines(orders: Iterable[Order]) -> Iterator[_Line]:
    for order in orders:
        if order.payment:
            yield _Line(order, order.payment)
            yield from (_Line(order, order.payment, refund) for refund in order.refunds)


def _totals(lines: list[_Line], kind: str) -> tuple[str, ...]:
    paid = _yuan(sum(line.paid for line in lines))
    refunded = _yuan(sum(line.refunded for line in lines))
    fees = f"{_yuan(sum(line.fee for line in lines))}000"
    if kind == "SUCCESS":
        return str(len(lines)), paid, fees, paid
    return str(len(lines)), paid, refunded, _yuan(0), fees, paid, refunded


@dataclass(frozen=True, slots=True)
class FundEntry:
    """A booking on the merchant's account.

    Attributes:
        at: Unix seconds.
        business_id: WeChat Pay's number of what was booked.
        name: The business, such as ``交易``.
        kind: The kind of booking, such as ``扣除交易手续费``.
        amount: Fen; negative for expenses.
        applicant: Who caused it.
        remark: A text.
        voucher: The merchant's number.
    """

    at: float
    business_id: str
    name: str
    kind: str
    amount: int
    applicant: str
    remark: str
    voucher: str


def fund_bill(
    orders: Iterable[Order], mchid: str, day: date, account: str, others: Iterable[FundEntry] = ()
) -> bytes | None:
    """Write the fund bill of a day in China; ``None`` for a day without a row.

    Args:
        orders: All orders.
        mchid: The merchant.
        day: The day.
        account: ``BASIC``; other accounts have no rows.
        others: Bookings that belong to no order.
    """
    bookings = [entry for line in _lines(orders) for entry in _bookings(line, mchid)]
    balance, rows, amounts = OPENING_BALANCE, [_FUND_HEADER], []
    for index, entry in enumerate(sorted((*bookings, *others), key=lambda entry: entry.at), 1):
        balance += entry.amount
        if _day(entry.at) == day and account == "BASIC":
            flow = f"{mchid}{day:%Y%m%d}{index:012}"
            rows.append(_row(_fund_cells(entry, flow, balance)))
            amounts.append(entry.amount)
    if not amounts:
        return None
    incomes = [amount for amount in amounts if amount > 0]
    expenses = [-amount for amount in amounts if amount <= 0]
    totals = (
        str(len(amounts)),
        str(len(incomes)),
        _yuan(sum(incomes)),
        str(len(expenses)),
        _yuan(sum(expenses)),
    )
    return _text([*rows, _FUND_SUMMARY, _row(totals)])


def _bookings(line: _Line, mchid: str) -> Iterator[FundEntry]:
    order, refund, number = line.order, line.refund, line.payment.transaction_id
    if refund is None:
        voucher = order.out_trade_no
        yield FundEntry(line.at, number, "交易", "交易", order.total, "system", order.description, voucher)
        if line.fee:
            yield FundEntry(line.at, number, "交易", "扣除交易手续费", -line.fee, "system", "", voucher)
    elif refund.status != "CLOSED":
        remark = f"退款总金额{_yuan(refund.amount)}元;含手续费{_yuan(-line.fee)}元"
        amount = -(refund.amount + line.fee)
        yield FundEntry(
            line.at, refund.refund_id, "退款", "退款", amount, f"{mchid}API", remark, refund.out_refund_no
        )


def _fund_cells(entry: FundEntry, flow: str, balance: int) -> tuple[str, ...]:
    return (
        format_local(entry.at),
        entry.business_id,
        flow,
        entry.name,
        entry.kind,
        "收入" if entry.amount > 0 else "支出",
        _yuan(abs(entry.amount)),
        _yuan(balance),
        entry.applicant,
        entry.remark.translate(_FUND_ESCAPES),
        entry.voucher.translate(_FUND_ESCAPES),
    )


def _row(cells: Iterable[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)


def _text(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\r\n" for row in rows).encode("utf-8-sig")


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, CHINA).date()


def _yuan(fen: int) -> str:
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02}"


class Bills:
    """Handles APIv3's bills; the bill of the present day exists at once.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float], others: Callable[[], Iterable[FundEntry]]
    ) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
            others: Returns the bookings that belong to no order.
        """
        self._ledger = ledger
        self._clock = clock
        self._others = others
        self._files: dict[str, tuple[float, bytes]] = {}
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", "v3/bill/tradebill"): self._trade_bill,
            ("GET", "v3/bill/fundflowbill"): self._fund_bill,
            ("GET", "v3/billdownload/file"): self._download,
        }

    def _trade_bill(self, call: Call) -> HttpResponse:
        sub_mchid = call.query.get("sub_mchid", "")
        orders = [o for o in self._ledger.orders.values() if sub_mchid in {"", o.sub_mchid}]
        kind = call.query.get("bill_type", "ALL")
        return self._offer(call, lambda day: trade_bill(orders, call.mchid, day, kind))

    def _fund_bill(self, call: Call) -> HttpResponse:
        orders, account = self._ledger.orders.values(), call.query.get("account_type", "BASIC")
        others = self._others()
        return self._offer(call, lambda day: fund_bill(orders, call.mchid, day, account, others))

    def _offer(self, call: Call, write: Callable[[date], bytes | None]) -> HttpResponse:
        text = call.query["bill_date"]
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=CHINA).date()
        except ValueError:
            violation = Violation("query", "bill_date", text, "", "账单日期格式不正确")
            return error_responses.bad_parameter(violation)
        if (_day(self._clock()) - day).days > _DAYS_KEPT:
            return error_responses.invalid_request("请求的账单日期已过期")
        if (bill := write(day)) is None:
            return error_responses.error(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
        token = secrets.token_urlsafe(24)
        file = gzip.compress(bill) if call.query.get("tar_type") == "GZIP" else bill
        self._files[token] = (self._clock() + _DOWNLOAD_LIFETIME, file)
        scheme = "https" if call.request.channel.is_encrypted else "http"
        host = call.request.headers.get("Host", "api.mch.weixin.qq.com")
        return HttpResponse.json(
            {
                "hash_type": "SHA1",
                "hash_value": hashlib.sha1(bill, usedforsecurity=False).hexdigest(),
                "download_url": f"{scheme}://{host}/v3/billdownload/file?token={token}",
            }
        )

    def _download(self, call: Call) -> HttpResponse:
        expires, file = self._files.get(call.query.get("token", ""), (0.0, b""))
        if expires < self._clock():
            return error_responses.invalid_request("无效请求")
        headers = Headers({"Content-Type": "text/plain; charset=utf-8"})
        return HttpResponse(200, file, headers, is_signed=False)
