"""The columns of WeChat Pay's bills: their names in the files, stable English names, and their types.

https://pay.weixin.qq.com/doc/v3/merchant/4012791866 (trade bill),
https://pay.weixin.qq.com/doc/v3/merchant/4012791868 (fund bill).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["KINDS", "Column", "Kind", "Layout", "china", "exact_fen"]

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

#: Columns that older trade bills lack because there were no coupons at the merchant's cost.
_OLD_TOTAL = "总金额"
_SAME_IN_OLD_BILLS = {"settlement_total": "total", "refund_total": "settlement_refund"}

#: Currencies that have no smaller unit: WeChat Pay's API counts them whole.
_WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND"})

_AMOUNT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{0,12})?")
_CENTS = re.compile(r"-?[0-9]{1,18}\.[0-9]{2}")
_ESCAPE = re.compile(r"\\(140|.)", re.DOTALL)
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", " ": ",", "140": "`"}
_LINE_ESCAPE = re.compile(r"\\([nr])")


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
        found |= {_normalize(each): column for each in column.names}
        keys |= {key, f"{key}_fen"} if type_ == "amount" else {key}
    sums = [line.split(" ") for line in summary.strip().splitlines()]
    totals = {name: (key, source) for names, key, source in sums for name in names.split("|")}
    return Kind(name, found, frozenset(keys), totals, is_loose)


def _normalize(name: str) -> str:
    return name.strip().translate(_HALF_WIDTH).lower()


_HALF_WIDTH = {ord("（"): "(", ord("）"): ")"}

KINDS = (
    _kind("trade", _TRADE, _TRADE_SUMMARY),
    _kind("fund", _FUND, _FUND_SUMMARY),
    _kind("sharing", _SHARING, is_loose=True),
    _kind("statement", _STATEMENT),
    _kind("overseas-sharing", _OVERSEAS_SHARING),
)


class Memo(dict[str, Any]):
    """What cells are read as, remembered for as many as fit: the same amounts and times come often."""

    _MOST = 1 << 14

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, cell: str) -> Any:
        value = self._read(cell)
        if len(self) < self._MOST:
            self[cell] = value
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """How an English name is read from the cells of a row.

    Attributes:
        place: The position of the cell.
        read: Reads the cell; raises `ValueError`.
        currency: For an amount in the smallest unit of another currency: the position of the latter's cell.
        is_fen: Whether it is an amount in fen, which as a rule has two decimals.
    """

    place: int
    read: Callable[[str], Any]
    currency: int = -1
    is_fen: bool = False

    def value(self, cells: list[str]) -> Any:
        """Read one row."""
        value = self.read(cells[self.place])
        return value if self.currency < 0 else exact_fen(value, cells[self.currency])

    def values(self, rows: list[list[str]]) -> Iterable[Any]:
        """Read the same of many rows."""
        column = [cells[self.place] for cells in rows]
        if self.is_fen and (fen := read_units(column, 2)) is not None:
            return fen
        values = map(self.read, column)
        if self.currency < 0:
            return values
        return map(exact_fen, values, [cells[self.currency] for cells in rows])


class Layout:
    """The columns of one file, found by the names in its header, whatever their number and order.

    Attributes:
        kind: The kind of bill.
        names: The names, as in the file.
        fields: How each English name is read; names that are not known keep their own.
        amounts: The position of each amount.
        places: The position of each column.
    """

    __slots__ = ("amounts", "fields", "kind", "names", "places")

    def __init__(self, kind: Kind, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.names = names
        self.places: dict[str, int] = {}
        self.amounts: dict[str, int] = {}
        self.fields: dict[str, Field] = {}
        found = [kind.columns.get(_normalize(name)) for name in names]
        for place, (name, column) in enumerate(zip(names, found, strict=True)):
            self.places.setdefault(column.key if column else name, place)
        if _OLD_TOTAL in names:
            for key, source in _SAME_IN_OLD_BILLS.items():
                if source in self.places:
                    self.places.setdefault(key, self.places[source])
        readers = {name: Memo(read).__getitem__ if name in _REPEATED else read for name, read in _READERS}
        for key, place in self.places.items():
            column = found[place]
            self.fields[key] = Field(place, readers[column.type if column else "text"])
            if column and column.type == "amount":
                self.amounts[key] = place
                currency = self.places.get(column.currency, -1)
                type_ = "fen" if currency < 0 else "amount"
                self.fields[f"{key}_fen"] = Field(place, readers[type_], currency, currency < 0)

    @classmethod
    def find(cls, header: str) -> Layout | None:
        """Find the kind of bill whose columns a header names; ``None`` if no kind has them."""
        names = tuple(name.strip().removeprefix("`") for name in header.replace("，", ",").split(","))
        normalized = [_normalize(name) for name in names]
        kind = max(KINDS, key=lambda kind: sum(name in kind.columns for name in normalized))
        known = sum(name in kind.columns for name in normalized)
        return cls(kind, names) if known >= _LEAST_COLUMNS and 2 * known > len(names) else None


#: Known columns that make a file a bill; most of its columns must be known, too, and some may be new.
_LEAST_COLUMNS = 5


@functools.cache
def china() -> tzinfo:
    """Return the time zone of WeChat Pay's days and bills: Asia/Shanghai."""
    try:
        return ZoneInfo("Asia/Shanghai")
    except ZoneInfoNotFoundError:  # pragma: no cover  a system without a time zone database
        return timezone(timedelta(hours=8), "Asia/Shanghai")


def exact_fen(yuan: Decimal | None, currency: str) -> int | None:
    """Return an amount in the currency's smallest unit, as the API counts; ``None`` if that is not exact."""
    if yuan is None:
        return None
    fen = yuan if currency in _WHOLE_CURRENCIES else yuan.scaleb(2)
    whole = int(fen)
    return whole if whole == fen else None


def read_amount(cell: str) -> Decimal | None:
    """Read an amount in yuan; ``None`` for an empty cell.

    Raises:
        ValueError: It is not a decimal number.
    """
    if not cell:
        return None
    if _AMOUNT.fullmatch(cell) is None:
        raise ValueError(f"{cell!r:.40} is not an amount")
    return Decimal(cell)


def read_units(column: list[str], decimals: int) -> list[int] | None:
    """Read amounts without their points, many times faster than one by one.

    Args:
        column: The cells.
        decimals: 2, or 5 as fees have.

    Returns:
        The numbers; ``None`` unless all amounts have so many decimals.
    """
    text = "\n".join(column)
    if _ALIKE[decimals].fullmatch(text) is None or text.count("\n") >= len(column):
        return None
    return [*map(int, text.replace(".", "").split("\n"))]


_ALIKE = {
    decimals: re.compile(rf"-?[0-9]{{1,15}}\.[0-9]{{{decimals}}}(\n-?[0-9]{{1,15}}\.[0-9]{{{decimals}}})*")
    for decimals in (2, 5)
}


def _read_fen(cell: str) -> int | None:
    if _CENTS.fullmatch(cell):
        return int(cell.replace(".", ""))
    return exact_fen(read_amount(cell), "CNY")


def _read_time(cell: str) -> datetime | None:
    if not cell or cell == "0":
        return None
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell!r:.40} is not a time") from None
    return at if at.tzinfo else at.replace(tzinfo=china())


def _read_id(cell: str) -> str:
    return "" if cell == "0" else cell


def _unescape(cell: str) -> str:
    if "\\" not in cell:
        return cell
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[1]), cell)


def _unescape_lines(cell: str) -> str:
    return _LINE_ESCAPE.sub(lambda found: _UNESCAPED[found[1]], cell) if "\\" in cell else cell


#: Types whose values come often, and are costly to read.
_REPEATED = {"amount", "fen", "time"}

_READERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("amount", read_amount),
    ("escaped", _unescape),
    ("fen", _read_fen),
    ("id", _read_id),
    ("lines", _unescape_lines),
    ("text", str),
    ("time", _read_time),
)
