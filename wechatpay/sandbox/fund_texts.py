"""The text of bills with bookings and shares, from the ledger, as WeChat Pay's CSV.

https://pay.weixin.qq.com/doc/v3/merchant/4012791868
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wechatpay.sandbox.bill_texts import day_of, encode, join_cells, list_lines, yuan
from wechatpay.sandbox.clock import format_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from wechatpay.sandbox.bill_texts import Line
    from wechatpay.sandbox.orders import Order

__all__ = ["OPENING_BALANCE", "FundEntry", "Share", "fund_bill", "overseas_sharing_bill", "sharing_bill"]

_FUND_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"

_SHARING_HEADER = (
    "分账时间,分账发起方,分账方,微信订单号,微信分账/回退单号,分账明细单号,商户分账/回退单号,订单金额,分账接收方,分账金额,"
    "业务类型,处理状态,分账描述,备注"
)
_OVERSEAS_SHARING_HEADER = (
    "create_time,initiator,sponsor,sub_mchid,transaction_id,order_id,out_order_no,detaill_id,receiver_account,"
    "amount,currency,settlement_amount,settlement_currency,exchange_rate,business_type,status,description"
)

#: Fen on the merchant's account before the first booking.
OPENING_BALANCE = 100_000_000

#: Characters that a fund bill escapes.
_FUND_ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", ",": " "})


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
        sub_mchid: The sub-merchant whose account it is; ``""`` for the merchant's own.
    """

    at: float
    business_id: str
    name: str
    kind: str
    amount: int
    applicant: str
    remark: str
    voucher: str
    sub_mchid: str = ""


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
    bookings = [entry for line in list_lines(orders) for entry in _bookings(line, mchid)]
    balance, rows, amounts = OPENING_BALANCE, [_FUND_HEADER], []
    for index, entry in enumerate(sorted((*bookings, *others), key=lambda entry: entry.at), 1):
        balance += entry.amount
        if day_of(entry.at) == day and account == "BASIC":
            flow = f"{mchid}{day:%Y%m%d}{index:012}"
            rows.append(join_cells(_fund_cells(entry, flow, balance)))
            amounts.append(entry.amount)
    if not amounts:
        return None
    incomes = [amount for amount in amounts if amount > 0]
    expenses = [-amount for amount in amounts if amount <= 0]
    totals = (
        str(len(amounts)),
        str(len(incomes)),
        yuan(sum(incomes)),
        str(len(expenses)),
        yuan(sum(expenses)),
    )
    return encode([*rows, _FUND_SUMMARY, join_cells(totals)])


def _bookings(line: Line, mchid: str) -> Iterator[FundEntry]:
    order, refund, number = line.order, line.refund, line.payment.transaction_id
    if refund is None:
        voucher = order.out_trade_no
        yield FundEntry(line.at, number, "交易", "交易", order.total, "system", order.description, voucher)
        if line.fee:
            yield FundEntry(line.at, number, "交易", "扣除交易手续费", -line.fee, "system", "", voucher)
    elif refund.status != "CLOSED":
        remark = f"退款总金额{yuan(refund.amount)}元;含手续费{yuan(-line.fee)}元"
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
        yuan(abs(entry.amount)),
        yuan(balance),
        entry.applicant,
        entry.remark.translate(_FUND_ESCAPES),
        entry.voucher.translate(_FUND_ESCAPES),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """A share of an order's money that a receiver got, or gave back.

    Attributes:
        at: Unix seconds.
        transaction_id: The order.
        order_id: WeChat Pay's number of the sharing.
        detail_id: WeChat Pay's number of the share.
        out_order_no: The merchant's number of the sharing.
        order_amount: Fen of the order.
        receiver: Who got it.
        amount: Fen.
        description: A text.
        is_return: Whether it was given back.
        sub_mchid: The sub-merchant; ``""`` for a direct merchant.
    """

    at: float
    transaction_id: str
    order_id: str
    detail_id: str
    out_order_no: str
    order_amount: int
    receiver: str
    amount: int
    description: str = ""
    is_return: bool = False
    sub_mchid: str = ""


def sharing_bill(shares: Iterable[Share], mchid: str, day: date) -> bytes | None:
    """Write the profit-sharing bill of a day; ``None`` for a day without a row."""
    rows = [
        join_cells(
            (
                format_local(share.at),
                mchid,
                share.sub_mchid or mchid,
                share.transaction_id,
                share.order_id,
                share.detail_id,
                share.out_order_no,
                yuan(share.order_amount),
                share.receiver,
                yuan(share.amount),
                "分账回退" if share.is_return else "分账",
                "成功",
                share.description.translate(_FUND_ESCAPES),
                "",
            )
        )
        for share in shares
        if day_of(share.at) == day
    ]
    return encode([_SHARING_HEADER, *rows]) if rows else None


def overseas_sharing_bill(shares: Iterable[Share], mchid: str, day: date) -> bytes | None:
    """Write the overseas profit-sharing bill of a day; ``None`` for a day without a row."""
    rows = [
        join_cells(
            (
                f"{format_local(share.at).replace(' ', 'T')}+08:00",
                mchid,
                mchid,
                share.sub_mchid,
                share.transaction_id,
                share.order_id,
                share.out_order_no,
                share.detail_id,
                share.receiver,
                yuan(share.amount),
                "CNY",
                yuan(share.amount),
                "CNY",
                "100000000",
                "RETURN" if share.is_return else "SHARE",
                "SUCCESS",
                share.description.translate(_FUND_ESCAPES),
            )
        )
        for share in shares
        if day_of(share.at) == day
    ]
    return encode([_OVERSEAS_SHARING_HEADER, *rows]) if rows else None
