"""Orders, payments by code, refunds and bills of APIv2, on the same ledger as APIv3.

::

    with Sandbox() as sandbox:
        instance = Builder(**sandbox.settings(tls=True))
        ours = {"appid": "wx8888888888888888", "mch_id": sandbox.identity.mchid}
        order = {"out_trade_no": "N1", "body": "tea", "total_fee": 101, "trade_type": "NATIVE"}
        more = {"spbill_create_ip": "127.0.0.1", "notify_url": "https://example.com/notify"}
        instance.v2.pay.unifiedorder.post(xml={**ours, **order, **more})
        sandbox.pay("N1")  # in the payer's place
        refund = {"out_trade_no": "N1", "out_refund_no": "R1", "total_fee": 101, "refund_fee": 40}
        instance.v2.secapi.pay.refund.post(xml={**ours, **refund}, security=True)

Amounts are in fen, and days are China's.

A number stands for one order: the same request again gets the same ``prepay_id``, another one
``INVALID_REQUEST``, one with another ``appid`` ``OUT_TRADE_NO_USED``, any for a paid order ``ORDERPAID``.
Refunds likewise: the same again moves nothing, another amount or total is ``REFUND_FEE_MISMATCH``, more than
is left ``INVALID_REQUEST``, a fully refunded order ``ERROR``, an unpaid or unknown one ``ORDERNOTEXIST``, a
``transaction_id`` that is unknown or another order's ``INVALID_TRANSACTIONID``, an order paid more than a
year ago ``TRADE_OVERDUE``. An order is known under its own ``sub_mch_id`` only.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_1
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from wechatpay.messages import Headers
from wechatpay.sandbox import bill_texts, fund_texts
from wechatpay.sandbox.clock import CHINA, format_digits, format_local, parse_digits
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.orders import CODE_PAY, Order, Rejection
from wechatpay.sandbox.payments import AUTH_CODE, DESCRIPTIONS
from wechatpay.sandbox.test_users import partner_openid
from wechatpay.sandbox.xml_messages import failure, lasting, refuse, success

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.apiv2 import HandlerV2
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.orders import Refund

__all__ = ["PaymentsV2", "describe_payment", "links", "parse_order", "reject", "validate"]

_REJECTIONS = {
    Rejection.PAID: ("ORDERPAID", "该订单已支付"),
    Rejection.OTHER_ORDER: ("INVALID_REQUEST", "201 商户订单号重复"),
    Rejection.OTHER_APP: ("OUT_TRADE_NO_USED", "商户订单号重复"),
    Rejection.NO_ORDER: ("ORDERNOTEXIST", "订单不存在"),
    Rejection.NO_TRANSACTION: ("INVALID_TRANSACTIONID", "无效transaction_id"),
    Rejection.OTHER_NUMBER: ("INVALID_TRANSACTIONID", "无效transaction_id"),
    Rejection.OTHER_PARTY: ("ORDERNOTEXIST", "订单不存在"),
    Rejection.NOT_PAID: ("ORDERNOTEXIST", "未支付的订单不能发起退款"),
    Rejection.OTHER_AMOUNT: ("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试"),
    Rejection.OTHER_TOTAL: ("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试"),
    Rejection.FROZEN: ("INVALID_REQUEST", "申请退款金额大于剩余未分账金额，请等待分账完成后再试"),
    Rejection.CODE_USED: ("AUTHCODEEXPIRE", "二维码已过期，请用户在微信上刷新后再试"),
    Rejection.OVERDUE: ("TRADE_OVERDUE", "订单已经超过可退款的最大期限(支付后一年内可退款)"),
    Rejection.ALL_REFUNDED: ("ERROR", "订单已全额退款"),
    Rejection.TOO_MUCH: ("INVALID_REQUEST", "累计退款金额大于支付金额"),
    Rejection.TOO_MANY: ("INVALID_REQUEST", "请求参数符合参数格式，但不符合业务规则"),
    Rejection.TOO_SOON: ("FREQUENCY_LIMITED", "单笔订单退款频率限制"),
    Rejection.CLOSED: ("ORDERCLOSED", "该订单已关闭"),
    Rejection.CODE_PAY: ("INVALID_REQUEST", "当前交易不允许进行普通关单（只能撤销）"),
    Rejection.REVERSED: ("ORDERREVERSED", "订单已撤销，请重新下单支付"),
    Rejection.REVERSED_EARLY: ("USERPAYING", "正在支付中不能发起撤销"),
    Rejection.REVERSED_LATE: ("REVERSE_EXPIRE", "订单无法撤销"),
}


#: The result of a code payment whose payment code ends so; any other one is paid.
_CODE_RESULTS = {
    "01": ("USERPAYING", "需要用户输入支付密码"),
    "02": ("NOTENOUGH", "余额不足"),
    "03": ("AUTHCODEEXPIRE", "二维码已过期，请用户在微信上刷新后再试"),
}

#: The longest values of an order's parameters, in bytes.
_LENGTHS = {"out_trade_no": 32, "body": 127, "attach": 127, "detail": 6000, "notify_url": 256}

_DAY = re.compile(r"[0-9]{8}")


class PaymentsV2:
    """Handles APIv2's orders, refunds and bills.

    Attributes:
        handlers: What handles each operation, by template.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        announce: Callable[[Order, Refund], object],
        have_bills: Callable[[date], bool],
    ) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
            announce: Sends the callback of a refund.
            have_bills: Returns whether the bills of a day exist.
        """
        self._announce = announce
        self._have_bills = have_bills
        self._ledger = ledger
        self._clock = clock
        self.handlers: dict[str, HandlerV2] = {
            "v2/pay/unifiedorder": self._order,
            "v2/pay/orderquery": self._query,
            "v2/pay/closeorder": self._close,
            "v2/pay/micropay": self._pay_by_code,
            "v2/secapi/pay/reverse": self._reverse,
            "v2/secapi/pay/refund": self._refund,
            "v2/pay/refundquery": self._query_refunds,
            "v2/pay/downloadbill": self._trade_bill,
            "v2/pay/downloadfundflow": self._fund_bill,
        }

    def _order(self, sent: Mapping[str, str]) -> HttpResponse:
        """统一下单: accept an order."""
        if error := validate(sent):
            return error
        trade_type = sent["trade_type"]
        placed = self._ledger.place(parse_order(sent, trade_type))
        if isinstance(placed, Rejection):
            return reject(sent, placed)
        return success(sent, {"trade_type": trade_type, "prepay_id": placed.prepay_id, **links(placed)})

    def _pay_by_code(self, sent: Mapping[str, str]) -> HttpResponse:
        """付款码支付: order and pay at once."""
        code = sent["auth_code"]
        if error := _terms_error(sent):
            return error
        if not AUTH_CODE.fullmatch(code):
            return failure(sent, "AUTH_CODE_INVALID", "付款码检验错误")
        name, message = _CODE_RESULTS.get(code[-2:], ("", ""))
        if name and name != "USERPAYING":
            return failure(sent, name, message)
        paid = self._ledger.pay_by_code(parse_order(sent, CODE_PAY), code, is_waiting=bool(name))
        if isinstance(paid, Rejection):
            return reject(sent, paid)
        if name:
            return failure(sent, name, message)
        return success(sent, {**describe_payment(paid), "out_trade_no": paid.out_trade_no})

    def _query(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询订单: return the state of an order."""
        order = self._find(sent)
        if isinstance(order, Rejection) or order.combine_out_trade_no:
            return reject(sent, Rejection.NO_ORDER)
        attach = {"attach": order.attach} if order.attach else {}
        state = {"trade_state": order.state, "trade_state_desc": DESCRIPTIONS[order.state]}
        return success(
            sent, {**describe_payment(order), "out_trade_no": order.out_trade_no, **attach, **state}
        )

    def _close(self, sent: Mapping[str, str]) -> HttpResponse:
        """关闭订单: close an unpaid order."""
        order = self._find(sent)
        closed = order if isinstance(order, Rejection) else self._ledger.close(order.out_trade_no)
        if isinstance(closed, Rejection):
            return reject(sent, closed)
        return success(sent, {"result_msg": "OK"})

    def _reverse(self, sent: Mapping[str, str]) -> HttpResponse:
        """撤销订单: close or refund a payment by code."""
        order = self._find(sent)
        if isinstance(order, Rejection):
            return reject(sent, order)
        if order.trade_type != CODE_PAY:
            return failure(sent, "INVALID_REQUEST", "当前交易不允许撤销")
        reversed_ = self._ledger.reverse(order.out_trade_no)
        return reject(sent, reversed_) if isinstance(reversed_, Rejection) else success(sent, {"recall": "N"})

    def _refund(self, sent: Mapping[str, str]) -> HttpResponse:
        """申请退款: refund an order, whole or in part."""
        amount, total = int(sent["refund_fee"]), int(sent["total_fee"])
        if amount < 1:
            return failure(sent, "PARAM_ERROR", "invalid refund_fee")
        found = self._find(sent)
        if isinstance(found, Rejection):
            return reject(sent, found)
        is_new = self._ledger.find_refund(out_refund_no=sent["out_refund_no"]) is None
        made = self._ledger.refund(
            found.out_trade_no, sent["out_refund_no"], amount, total, notify_url=sent.get("notify_url", "")
        )
        if isinstance(made, Rejection):
            return reject(sent, made)
        order, refund = made
        if is_new:
            self._announce(order, refund)
        fields: dict[str, str | int] = {
            "transaction_id": order.payment.transaction_id if order.payment else "",
            "out_trade_no": order.out_trade_no,
            "out_refund_no": refund.out_refund_no,
            "refund_id": refund.refund_id,
            "refund_fee": refund.amount,
            "coupon_refund_fee": 0,
            "total_fee": order.total,
            "fee_type": order.currency,
            "cash_fee": order.total,
            "cash_refund_fee": refund.amount,
        }
        return success(sent, fields)

    def _query_refunds(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询退款: list the refunds of an order, or one of them."""
        names = ("out_refund_no", "refund_id")
        order: Order | Rejection = Rejection.NO_REFUND
        refunds: tuple[Refund, ...] = ()
        if not any(sent.get(name) for name in names):
            order = self._find(sent)
            made = order.refunds if isinstance(order, Order) else ()
            refunds = tuple(refund for refund in made if not refund.is_reversal)
        elif found := self._ledger.find_refund(**{name: sent.get(name, "") for name in names}):
            order, refunds = found[0], (found[1],)
        if isinstance(order, Rejection) or order.payment is None or not refunds:
            return failure(sent, "REFUNDNOTEXIST", "退款订单查询失败")
        if order.sub_mchid != sent.get("sub_mch_id", ""):
            return failure(sent, "REFUNDNOTEXIST", "退款订单查询失败")
        fields: dict[str, str | int] = {
            "transaction_id": order.payment.transaction_id,
            "out_trade_no": order.out_trade_no,
            "total_fee": order.total,
            "cash_fee": order.total,
            "refund_count": len(refunds),
        }
        for index, refund in enumerate(refunds):
            fields |= {f"{name}_{index}": value for name, value in _describe_refund(refund).items()}
        return success(sent, fields)

    def _trade_bill(self, sent: Mapping[str, str]) -> HttpResponse:
        """下载对账单: the trade bill of a day."""
        if (day := self._bill_day(sent["bill_date"])) is None:
            return refuse("invalid bill_date", error_code="20001")
        if not self._have_bills(day):
            return refuse("Bill Creating", error_code="20002")
        wanted, kind = sent.get("sub_mch_id", ""), sent.get("bill_type", "ALL")
        orders = [order for order in self._ledger.orders.values() if wanted in {"", order.sub_mchid}]
        if (bill := bill_texts.trade_bill(orders, sent["mch_id"], day, kind)) is None:
            return refuse("No Bill Exist", error_code="20002")
        return _download(bill, sent)

    def _fund_bill(self, sent: Mapping[str, str]) -> HttpResponse:
        """下载资金账单: the fund bill of a day."""
        if (day := self._bill_day(sent["bill_date"])) is None:
            return refuse("invalid bill_date", error_code="20001")
        if not self._have_bills(day):
            return failure(sent, "BILL_CREATING", "账单未生成")
        account = sent.get("account_type", "Basic").upper()
        bill = fund_texts.fund_bill(self._ledger.orders.values(), sent["mch_id"], day, account)
        if bill is None:
            return failure(sent, "NO_BILL_EXIST", "No Bill Exist")
        response = _download(bill, sent)
        hash_ = hashlib.sha1(bill, usedforsecurity=False).hexdigest()
        return HttpResponse(200, response.body, response.headers.with_({"Digest": f"SHA={hash_}"}))

    def _bill_day(self, text: str) -> date | None:
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            return None
        return day if day and day <= datetime.fromtimestamp(self._clock(), CHINA).date() else None

    def _find(self, sent: Mapping[str, str]) -> Order | Rejection:
        return self._ledger.find_own(
            sent.get("sub_mch_id", ""),
            out_trade_no=sent.get("out_trade_no", ""),
            transaction_id=sent.get("transaction_id", ""),
        )


def reject(sent: Mapping[str, str], rejection: Rejection) -> HttpResponse:
    """Make the error response to an order that the ledger rejects."""
    return failure(sent, *_REJECTIONS[rejection])


def validate(sent: Mapping[str, str]) -> HttpResponse | None:
    """Return the error response to an order whose parameters are wrong, else ``None``."""
    trade_type = sent["trade_type"]
    too_long = (name for name, size in _LENGTHS.items() if len(sent.get(name, "").encode()) > size)
    if name := next(too_long, ""):
        return failure(sent, "PARAM_ERROR", f"参数{name}错误：不得超过{_LENGTHS[name]}字节")
    if trade_type not in {"JSAPI", "NATIVE", "APP", "MWEB"}:
        return failure(sent, "PARAM_ERROR", "参数trade_type错误")
    if trade_type == "JSAPI" and not (sent.get("openid") or sent.get("sub_openid")):
        return failure(sent, "LACK_PARAMS", "JSAPI支付必须传openid")
    return _terms_error(sent)


def _terms_error(sent: Mapping[str, str]) -> HttpResponse | None:
    if int(sent["total_fee"]) < 1:
        return failure(sent, "PARAM_ERROR", "invalid total_fee")
    try:
        _parse_expiry(sent)
    except ValueError:
        return failure(sent, "PARAM_ERROR", "参数time_expire错误：应为yyyyMMddHHmmss")
    return None


def _parse_expiry(sent: Mapping[str, str]) -> float:
    return parse_digits(sent["time_expire"]) if sent.get("time_expire") else 0.0


def parse_order(sent: Mapping[str, str], trade_type: str) -> Order:
    """Return the order that a request describes."""
    return Order(
        out_trade_no=sent["out_trade_no"],
        appid=sent["appid"],
        total=int(sent["total_fee"]),
        trade_type=trade_type,
        description=sent["body"],
        attach=sent.get("attach", ""),
        openid=sent.get("openid") or partner_openid(sent.get("sub_openid", "")),
        currency=sent.get("fee_type", "CNY"),
        notify_url=sent.get("notify_url", ""),
        terms=json.dumps(sorted(lasting(sent).items())),
        is_sharing=sent.get("profit_sharing") == "Y",
        device_id=sent.get("device_info", ""),
        sub_mchid=sent.get("sub_mch_id", ""),
        sub_appid=sent.get("sub_appid", ""),
        sub_openid=sent.get("sub_openid", ""),
        expires=_parse_expiry(sent),
    )


def describe_payment(order: Order) -> dict[str, str | int]:
    """Return the fields of a payment; ``{}`` for an unpaid order."""
    if (payment := order.payment) is None:
        return {}
    return {
        "openid": payment.openid,
        "is_subscribe": "N",
        **({"sub_openid": order.sub_openid, "sub_is_subscribe": "N"} if order.sub_openid else {}),
        "trade_type": order.trade_type,
        "bank_type": "OTHERS",
        "total_fee": order.total,
        "fee_type": order.currency,
        "cash_fee": order.total,
        "cash_fee_type": order.currency,
        "transaction_id": payment.transaction_id,
        "time_end": format_digits(payment.at),
    }


def _describe_refund(refund: Refund) -> dict[str, str | int]:
    done = {"refund_success_time": format_local(refund.done)} if refund.done else {}
    return {
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_channel": refund.channel,
        "refund_fee": refund.amount,
        "refund_status": {"CLOSED": "REFUNDCLOSE", "ABNORMAL": "CHANGE"}.get(refund.status, refund.status),
        "refund_recv_accout": "支付用户零钱",
        **done,
    }


def links(order: Order) -> dict[str, str]:
    """Return what the payer's side needs beside the ``prepay_id``."""
    name = {"NATIVE": "code_url", "MWEB": "mweb_url"}.get(order.trade_type)
    return {name: order.payer_url} if name else {}


def _download(bill: bytes, sent: Mapping[str, str]) -> HttpResponse:
    if sent.get("tar_type") == "GZIP":
        return HttpResponse(200, gzip.compress(bill), Headers({"Content-Type": "application/x-gzip"}))
    return HttpResponse(200, bill, Headers({"Content-Type": "text/plain; charset=utf-8"}))
