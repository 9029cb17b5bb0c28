"""The columns of WeChat Pay's bills: their names in the files, stable English names, and their types.

https://pay.weixin.qq.com/doc/v3/merchant/4012791866 (trade bill),
https://pay.weixin.qq.com/doc/v3/merchant/4012791868 (fund bill).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "Column", "Kind", "normalize"]

#: English name, type, and the names in files, old and new. An amount may name the column of its currency.
_TRADE = """
trade_time time 交易时间
appid text 公众账号ID
mchid text 商户号
sub_mchid id 特约商户号|子商户号
device_info escaped 设备号
transaction_id text 微信订单号
out_trade_no text 商户订单号
openid text 用户标识
trade_type text 交易类型
trade_state text 交易状态
bank_type text 付款银行
currency text 货币种类
settlement_total amount 应结订单金额
coupon_amount amount 代金券金额|代金券或立减优惠金额|企业红包金额
refund_requested_at time 退款申请时间
refund_succeeded_at time 退款成功时间
refund_id id 微信退款单号
out_refund_no id 商户退款单号
settlement_refund amount 退款金额
coupon_refund amount 充值券退款金额|代金券或立减优惠退款金额|企业红包退款金额
refund_channel text 退款类型
refund_status text 退款状态
description escaped 商品名称
attach escaped 商户数据包
fee amount 手续费
fee_rate text 费率
total amount 订单金额|总金额
refund_total amount 申请退款金额
fee_rate_note text 费率备注
"""

_FUND = """
booked_at time 记账时间
business_id text 微信支付业务单号
flow_id text 资金流水单号
business_name text 业务名称
business_type text 业务类型
direction text 收支类型
amount amount 收支金额(元)
balance amount 账户结余(元)
applicant text 资金变更提交申请人
remark lines 备注
voucher lines 业务凭证号
"""

_SHARING = """
shared_at time 分账时间
initiator text 分账发起方
sharer text 分账方
transaction_id text 微信订单号
order_id text 微信分账/回退单号
detail_id text 分账明细单号
out_order_no text 商户分账/回退单号
order_amount amount 订单金额
receiver text 分账接收方
amount amount 分账金额
business_type text 业务类型
status text 处理状态
description text 分账描述
remark text 备注
"""

_STATEMENT = """
trade_time time 交易时间|Transaction time
appid text 公众账号ID|Official account ID
mchid text 商户号|Vendor ID
sub_mchid id 子商户号|Sub vendor ID
device_info escaped 设备号|Device ID
transaction_id text 微信订单号|Wechat order number
out_trade_no text 商户订单号|Vendor order number
openid text 用户标识|User tag
trade_type text 交易类型|Transaction type
trade_state text 交易状态|Transaction status
bank_type text 付款银行|Payment bank
prepaid_coupon_currency text 充值券币种
prepaid_coupon_amount amount:prepaid_coupon_currency 充值券金额
discount_coupon_currency text 优惠券币种
discount_coupon_amount amount:discount_coupon_currency 优惠券金额|Coupon amount
refund_id id 微信退款单号|Wechat refund number
out_refund_no id 商户退款单号|Vendor refund number
refund_channel text 退款类型
refund_status text 退款状态
description escaped 商品名称
attach escaped 商户数据包
fee amount:settlement_currency 手续费
fee_rate text 费率
currency text 标价币种|Currency type
total amount:currency 订单金额(标价币种)|Total amount
payer_currency text 用户支付币种
payer_total amount:payer_currency 用户支付金额
settlement_currency text 结算币种
settlement_total amount:settlement_currency 应结订单金额
payment_rate text 支付汇率
refund_rate text 退款汇率
refund_total amount:currency 申请退款金额
payer_refund_currency text 用户退款币种
payer_refund amount:payer_refund_currency 用户退款金额
settlement_refund_currency text 退款结算币种
settlement_refund amount:settlement_refund_currency 退款应结订单金额
prepaid_coupon_refund amount:prepaid_coupon_currency 充值券退款金额
discount_coupon_refund amount:discount_coupon_currency 优惠券退款金额
"""

_OVERSEAS_SHARING = """
create_time time create_time
initiator text initiator
sponsor text sponsor
sub_mchid id sub_mchid
transaction_id text transaction_id
order_id text order_id
out_order_no text out_order_no
detail_id text detaill_id|detail_id
receiver_account text receiver_account
amount amount:currency amount
currency text currency
settlement_amount amount:settlement_currency settlement_amount
settlement_currency text settlement_currency
exchange_rate text exchange_rate
business_type text business_type
status text status
description text description
"""

#: A summary's columns: the name in files, and what it is the sum of. ``#`` counts rows; ``+`` and ``-`` look
#: at income or expenses only.
_TRADE_SUMMARY = """
总交易单数 count #
应结订单总金额 settlement_total settlement_total
总交易额 total total
退款总金额|总退款金额 settlement_refund settlement_refund
充值券退款总金额|总代金券或立减优惠退款金额|总企业红包退款金额 coupon_refund coupon_refund
手续费总金额 fee fee
订单总金额 total total
申请退款总金额 refund_total refund_total
"""

_FUND_SUMMARY = """
资金流水总笔数 count #
收入笔数 in_count +#
收入金额 in_amount +amount
支出笔数 out_count -#
支出金额 out_amount -amount
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        key: Its English name.
        type: ``text``, ``id`` (``0`` stands for none), ``escaped``, ``lines``, ``amount`` or ``time``.
        names: Its names in files, the present one first.
        currency: English name of the column that holds the currency of an amount; ``""`` for CNY.
    """

    key: str
    type: str
    names: tuple[str, ...]
    currency: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of bill; there is one of each, in `KINDS`.

    Attributes:
        name: ``trade``, ``fund``, ``sharing``, ``statement`` or ``overseas-sharing``.
        columns: The columns, by each of their names in files.
        keys: The English names of all columns.
        summary: Of each name in a summary, the English name and what it is the sum of; empty if bills of this
            kind have no summary.
        is_loose: Whether cells of older files may lack the backtick.
    """

    name: str
    columns: Mapping[str, Column]
    keys: frozenset[str]
    summary: Mapping[str, tuple[str, str]]
    is_loose: bool = False


def _kind(name: str, columns: str, summary: str = "", *, is_loose: bool = False) -> Kind:
    found: dict[str, Column] = {}
    keys: set[str] = set()
    for line in columns.strip().splitlines():
        key, type_, names = line.split(" ", 2)
        type_, _, currency = type_.partition(":")
        column = Column(key, type_, tuple(names.split("|")), currency)
        found |= {normalize(each): column for each in column.names}
        keys |= {key, f"{key}_fen"} if type_ == "amount" else {key}
    sums = [line.split(" ") for line in summary.strip().splitlines()]
    totals = {name: (key, source) for names, key, source in sums for name in names.split("|")}
    return Kind(name, found, frozenset(keys), totals, is_loose)


def normalize(name: str) -> str:
    """Return the form in which names are compared: half-width and lower-case."""
    return name.strip().translate(_HALF_WIDTH).lower()


_HALF_WIDTH = {ord("（"): "(", ord("）"): ")"}

KINDS = (
    _kind("trade", _TRADE, _TRADE_SUMMARY),
    _kind("fund", _FUND, _FUND_SUMMARY),
    _kind("sharing", _SHARING, is_loose=True),
    _kind("statement", _STATEMENT),
    _kind("overseas-sharing", _OVERSEAS_SHARING),
)
