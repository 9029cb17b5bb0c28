"""Refunds of APIv3, for all kinds of orders.

https://pay.weixin.qq.com/doc/v3/merchant/4012791862
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.orders import Order, Refund, Rejection
from wechatpay.sandbox.parameters import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["Refunds", "describe_refund"]

_REJECTIONS = {
    Rejection.NO_ORDER: (404, "RESOURCE_NOT_EXISTS", "订单不存在"),
    Rejection.NO_TRANSACTION: (404, "RESOURCE_NOT_EXISTS", "订单不存在"),
    Rejection.OTHER_NUMBER: (400, "INVALID_REQUEST", "您的请求参数与订单信息不一致"),
    Rejection.OTHER_PARTY: (400, "INVALID_REQUEST", "您的请求参数与订单信息不一致"),
    Rejection.NOT_PAID: (404, "RESOURCE_NOT_EXISTS", "订单不存在"),
    Rejection.OTHER_AMOUNT: (400, "INVALID_REQUEST", "订单或退款金额不一致"),
    Rejection.OTHER_TOTAL: (400, "INVALID_REQUEST", "您的请求参数与订单信息不一致"),
    Rejection.FROZEN: (400, "INVALID_REQUEST", "申请退款金额大于剩余未分账金额，请等待分账完成后再试"),
    Rejection.OVERDUE: (400, "INVALID_REQUEST", "当前订单过期不能申请退款"),
    Rejection.ALL_REFUNDED: (400, "INVALID_REQUEST", "订单已全额退款"),
    Rejection.TOO_MUCH: (400, "INVALID_REQUEST", "申请退款金额超过订单可退金额"),
    Rejection.TOO_MANY: (400, "INVALID_REQUEST", "请求参数符合参数格式，但不符合业务规则"),
    Rejection.TOO_SOON: (429, "FREQUENCY_LIMITED", "单笔订单退款频率限制"),
    Rejection.NO_REFUND: (404, "RESOURCE_NOT_EXISTS", "退款单不存在"),
    Rejection.REFUND_STATE: (400, "INVALID_REQUEST", "退款单状态错误"),
}

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")

#: Bytes of a reason, at most.
_REASON = 80


class Refunds:
    """Handles APIv3's refunds.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, ledger: Ledger, settle: Callable[[], object]) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            settle: Lets the refunds arrive that are due.
        """
        self._ledger = ledger
        self._settle = settle
        root = "v3/refund/domestic/refunds"
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", root): self._refund,
            ("GET", f"{root}/{{out_refund_no}}"): self._query,
            ("POST", f"{root}/{{refund_id}}/apply-abnormal-refund"): self._retry,
        }

    def _refund(self, call: Call) -> HttpResponse:
        body, amount = call.body, call.body["amount"]
        if violation := _violation(body):
            return error_responses.bad_parameter(violation)
        sources = amount.get("from")
        if sources and sum(source["amount"] for source in sources) != amount["refund"]:
            return error_responses.invalid_request("请求参数符合参数格式，但不符合业务规则")
        self._settle()
        order = self._ledger.find_own(
            body.get("sub_mchid", ""),
            out_trade_no=body.get("out_trade_no", ""),
            transaction_id=body.get("transaction_id", ""),
        )
        if order is Rejection.OTHER_PARTY and "sub_mchid" not in body:
            return error_responses.invalid_request("受理机构发起退款时，必须传入子商户mchid")
        if isinstance(order, Rejection):
            return _respond(order)
        if amount["currency"] != order.currency:
            return _respond(Rejection.OTHER_TOTAL)
        made = self._ledger.refund(
            order.out_trade_no,
            body["out_refund_no"],
            amount["refund"],
            amount["total"],
            protocol="v3",
            notify_url=body.get("notify_url", ""),
            reason=body.get("reason", ""),
        )
        return _respond(made)

    def _query(self, call: Call) -> HttpResponse:
        self._settle()
        found = self._ledger.find_refund(out_refund_no=call.variables["out_refund_no"])
        return _respond(_check_party(call, found) or found or Rejection.NO_REFUND)

    def _retry(self, call: Call) -> HttpResponse:
        found = self._ledger.find_refund(refund_id=call.variables["refund_id"])
        if found and found[1].out_refund_no != call.body["out_refund_no"]:
            return _respond(Rejection.NO_REFUND)
        return _respond(
            _check_party(call, found) or self._ledger.retry_abnormal_refund(call.variables["refund_id"])
        )


def describe_refund(order: Order, refund: Refund) -> dict[str, Any]:
    """Return a refund as the response and the query have it."""
    done = {"success_time": format_rfc3339(refund.done)} if refund.status == "SUCCESS" else {}
    return {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": order.payment.transaction_id if order.payment else "",
        "out_trade_no": order.out_trade_no,
        "channel": refund.channel,
        "user_received_account": "支付用户零钱",
        **done,
        "create_time": format_rfc3339(refund.at),
        "status": refund.status,
        "funds_account": "AVAILABLE",
        "amount": {
            "total": order.total,
            "refund": refund.amount,
            "payer_total": order.total,
            "payer_refund": refund.amount,
            "settlement_refund": refund.amount,
            "settlement_total": order.total,
            "discount_refund": 0,
            "currency": order.currency,
        },
    }


def _violation(body: Mapping[str, Any]) -> Violation | None:
    """Return the first rule that a refund's parameters violate beyond those of the catalogue."""
    number, reason, amount = body["out_refund_no"], body.get("reason", ""), body["amount"]["refund"]
    if not _NUMBER.fullmatch(number):
        rule = "字符串规则校验失败，应为1至64位数字、字母或_-|*@"
        return Violation("body", "out_refund_no", number, rule)
    if amount < 1:
        return Violation("body", "amount/refund", amount, "数值规则校验失败，值低于最小值 1")
    if len(reason.encode()) > _REASON:
        return Violation("body", "reason", reason, f"长度规则校验失败，不得超过{_REASON}字节")
    return None


def _check_party(call: Call, found: tuple[Order, Refund] | None) -> Rejection | None:
    """Refuse a refund of another sub-merchant than the one that the request names."""
    if found is None or found[0].sub_mchid == call.parameters.get("sub_mchid", ""):
        return None
    return Rejection.OTHER_PARTY


def _respond(made: tuple[Order, Refund] | Rejection) -> HttpResponse:
    if isinstance(made, Rejection):
        return error_responses.error(*_REJECTIONS[made])
    return HttpResponse.json(describe_refund(*made))
