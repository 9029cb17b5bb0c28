"""Orders of APIv3: JSAPI, APP, H5, Native, mini program and payment code.

https://pay.weixin.qq.com/doc/v3/merchant/4012791858
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.order_checks import (
    amount_violation,
    currency_violation,
    merchant_error,
    number_violation,
    order_error,
    payer_violation,
    read_expiry,
)
from wechatpay.sandbox.orders import CODE_PAY, Order, Rejection
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.test_users import partner_openid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.rules import Rules

__all__ = [
    "AUTH_CODE",
    "DESCRIPTIONS",
    "TRADE_TYPES",
    "Payments",
    "credential",
    "describe",
    "reject",
]

#: ``trade_type`` of each scene.
TRADE_TYPES = {"jsapi": "JSAPI", "miniprogram": "JSAPI", "app": "APP", "h5": "MWEB", "native": "NATIVE"}

#: ``trade_state_desc`` of each ``trade_state``.
DESCRIPTIONS = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款，退款详情请查询退款单",
    "CLOSED": "订单已关闭",
    "USERPAYING": "用户支付中",
    "PAYERROR": "支付失败",
    "REVOKED": "订单已撤销",
    "ACCEPT": "已接收，等待扣款",
    "PAY_FAIL": "扣款失败",
}

_REJECTIONS = {
    Rejection.PAID: (400, "ORDER_PAID", "订单已支付"),
    Rejection.OTHER_ORDER: (403, "OUT_TRADE_NO_USED", "商户订单号重复"),
    Rejection.OTHER_APP: (403, "OUT_TRADE_NO_USED", "商户订单号重复"),
    Rejection.NO_ORDER: (404, "ORDER_NOT_EXIST", "订单不存在"),
    Rejection.CLOSED: (400, "ORDER_CLOSED", "订单已关闭"),
    Rejection.CODE_PAY: (400, "INVALID_REQUEST", "当前交易不允许进行普通关单（只能撤销）"),
    Rejection.CODE_USED: (400, "AUTH_CODE_EXPIRE", "二维码已过期，请用户在微信上刷新后再试"),
    Rejection.REVERSED: (400, "ORDER_REVERSED", "订单已撤销，请重新下单支付"),
    Rejection.REVERSED_EARLY: (400, "INVALID_REQUEST", "正在支付中不能发起撤销"),
    Rejection.REVERSED_LATE: (400, "INVALID_REQUEST", "订单无法撤销"),
}

#: What a payment code looks like.
AUTH_CODE = re.compile(r"1[0-5][0-9]{16}")

#: The result of a code payment whose payment code ends so; any other one is paid.
_CODE_RESULTS = {
    "01": (202, "USERPAYING", "用户支付中，需要输入密码"),
    "02": (403, "NOT_ENOUGH", "余额不足"),
    "03": (400, "AUTH_CODE_EXPIRE", "二维码已过期，请用户在微信上刷新后再试"),
}


class Payments:
    """Handles APIv3's orders.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            rules: The rules of the sandbox.
        """
        self._rules = rules
        self._ledger = ledger
        self.handlers: dict[tuple[str, str], Handler] = {}
        for root in ("v3/pay/transactions", "v3/pay/partner/transactions"):
            for scene, trade_type in TRADE_TYPES.items():
                self.handlers["POST", f"{root}/{scene}"] = partial(self.order, trade_type)
            self.handlers["POST", f"{root}/codepay"] = self._pay_by_code
            self.handlers["GET", f"{root}/id/{{transaction_id}}"] = self._query
            self.handlers["GET", f"{root}/out-trade-no/{{out_trade_no}}"] = self._query
            self.handlers["POST", f"{root}/out-trade-no/{{out_trade_no}}/close"] = self._close
            self.handlers["POST", f"{root}/out-trade-no/{{out_trade_no}}/reverse"] = self._reverse

    def order(self, trade_type: str, call: Call) -> HttpResponse:
        """Place an order.

        Args:
            trade_type: ``JSAPI``, ``APP``, ``MWEB`` or ``NATIVE``.
            call: The request.
        """
        if error := self._order_error(call, trade_type):
            return error
        placed = self._ledger.place(self._parse(call.body, trade_type))
        if placed is Rejection.OTHER_ORDER and self._rules.other_order == "INVALID_REQUEST":
            return error_responses.invalid_request("请求重入时，参数与首次请求时不一致")
        if isinstance(placed, Rejection):
            return reject(placed)
        return HttpResponse.json(credential(placed))

    def _order_error(self, call: Call, trade_type: str) -> HttpResponse | None:
        body, amount, openid = call.body, call.body["amount"], _openid(call.body)
        return order_error(
            call,
            openid,
            number_violation("out_trade_no", body["out_trade_no"]),
            amount_violation("amount/total", amount["total"]),
            currency_violation("amount/currency", amount.get("currency", "CNY")),
            payer_violation("payer/openid", openid, trade_type),
            _sub_openid_violation(body),
        )

    def _parse(self, body: Mapping[str, Any], trade_type: str) -> Order:
        amount, payer = body["amount"], body.get("payer") or {}
        sub_openid = payer.get("sub_openid", "")
        return Order(
            out_trade_no=body["out_trade_no"],
            appid=body.get("sp_appid") or body.get("appid", ""),
            total=amount["total"],
            trade_type=trade_type,
            description=body.get("description", ""),
            attach=body.get("attach", ""),
            openid=payer.get("openid") or payer.get("sp_openid") or partner_openid(sub_openid),
            currency=amount.get("currency", "CNY"),
            notify_url=body.get("notify_url", ""),
            terms=f"{trade_type} {json.dumps(body, sort_keys=True)}",
            protocol="v3",
            is_sharing=bool((body.get("settle_info") or {}).get("profit_sharing")),
            sub_mchid=body.get("sub_mchid", ""),
            sub_appid=body.get("sub_appid", ""),
            sub_openid=sub_openid,
            device_id=(body.get("scene_info") or {}).get("device_id", ""),
            expires=read_expiry(body),
        )

    def _pay_by_code(self, call: Call) -> HttpResponse:
        code = call.body.get("payer", {}).get("auth_code", "")
        if error := self._order_error(call, CODE_PAY):
            return error
        if not AUTH_CODE.fullmatch(code):
            return error_responses.error(400, "AUTH_CODE_INVALID", "付款码检验错误")
        status, name, message = _CODE_RESULTS.get(code[-2:], (200, "", ""))
        if status >= 400:  # noqa: PLR2004  HTTP's errors
            return error_responses.error(status, name, message)
        order = self._parse(call.body, CODE_PAY)
        placed = self._ledger.pay_by_code(order, code, is_waiting=bool(name))
        if isinstance(placed, Rejection):
            return reject(placed)
        if name:
            return error_responses.error(status, name, message)
        return HttpResponse.json(describe(placed, call.mchid))

    def _find(self, call: Call) -> Order | HttpResponse:
        order = self._ledger.find(
            out_trade_no=call.variables.get("out_trade_no", ""),
            transaction_id=call.variables.get("transaction_id", ""),
        )
        if error := merchant_error(call, call.parameters):
            return error
        if order is None or order.combine_out_trade_no:
            return reject(Rejection.NO_ORDER)
        if order.sub_mchid != call.parameters.get("sub_mchid", ""):
            whose = "子商户号" if "sub_mchid" in call.parameters else "商户号"
            return error_responses.invalid_request(f"{whose}和订单信息不匹配")
        return order

    def _query(self, call: Call) -> HttpResponse:
        order = self._find(call)
        return HttpResponse.json(describe(order, call.mchid)) if isinstance(order, Order) else order

    def _close(self, call: Call) -> HttpResponse:
        order = self._find(call)
        if isinstance(order, HttpResponse):
            return order
        closed = self._ledger.close(order.out_trade_no)
        return reject(closed) if isinstance(closed, Rejection) else HttpResponse(204)

    def _reverse(self, call: Call) -> HttpResponse:
        order = self._find(call)
        if isinstance(order, HttpResponse):
            return order
        if order.trade_type != CODE_PAY:
            return error_responses.invalid_request("当前交易不允许撤销")
        reversed_ = self._ledger.reverse(order.out_trade_no)
        if isinstance(reversed_, Rejection):
            return reject(reversed_)
        echoed = {name: value for name, value in call.body.items() if isinstance(value, str)}
        return HttpResponse.json({**echoed, "out_trade_no": order.out_trade_no})


def describe(order: Order, mchid: str) -> dict[str, Any]:
    """Return an order as the query and the callback have it.

    Args:
        order: The order.
        mchid: The merchant, or the partner.
    """
    optional: dict[str, Any] = {"attach": order.attach} if order.attach else {}
    if order.device_id:
        optional["scene_info"] = {"device_id": order.device_id}
    return {
        **_parties(order, mchid),
        "out_trade_no": order.out_trade_no,
        "trade_state": order.state,
        "trade_state_desc": DESCRIPTIONS[order.state],
        **optional,
        **_payment(order),
    }


def _parties(order: Order, mchid: str) -> dict[str, Any]:
    if not order.sub_mchid:
        return {"appid": order.appid, "mchid": mchid}
    sub_appid = {"sub_appid": order.sub_appid} if order.sub_appid else {}
    return {"sp_appid": order.appid, "sp_mchid": mchid, "sub_mchid": order.sub_mchid, **sub_appid}


def _payment(order: Order) -> dict[str, Any]:
    amount: dict[str, Any] = {"total": order.total, "currency": order.currency}
    if order.payment is None:
        failed = {"trade_type": order.trade_type, "payer": {"openid": order.openid}}
        return {"amount": amount, **(failed if order.status == "PAY_FAIL" else {})}
    openid = order.payment.openid
    payer = {"sp_openid": openid} if order.sub_mchid else {"openid": openid}
    if order.sub_openid:
        payer["sub_openid"] = order.sub_openid
    return {
        "transaction_id": order.payment.transaction_id,
        "trade_type": order.trade_type,
        "bank_type": "OTHERS",
        "success_time": format_rfc3339(order.payment.at),
        "payer": payer,
        "amount": {**amount, "payer_total": order.total, "payer_currency": order.currency},
    }


def credential(order: Order) -> dict[str, str]:
    """Return what the payer's side needs: ``code_url``, ``h5_url`` or ``prepay_id``."""
    name = {"NATIVE": "code_url", "MWEB": "h5_url"}.get(order.trade_type)
    return {name: order.payer_url} if name else {"prepay_id": order.prepay_id}


def reject(rejection: Rejection, codes: Mapping[str, str] | None = None) -> HttpResponse:
    """Make the error response to an order that the ledger rejects.

    Args:
        rejection: Why.
        codes: Codes that are spelled in another way here.
    """
    status, code, message = _REJECTIONS[rejection]
    return error_responses.error(status, (codes or {}).get(code, code), message)


def _sub_openid_violation(body: Mapping[str, Any]) -> Violation | None:
    """Return the rule that an order violates that names a payer of an app but not the app."""
    if body.get("sub_appid") or not (body.get("payer") or {}).get("sub_openid"):
        return None
    return Violation("body", "sub_appid", None, "传入sub_openid时，此字段为必填项")


def _openid(body: Mapping[str, Any]) -> str:
    payer = body.get("payer") or {}
    openid: str = payer.get("openid") or payer.get("sp_openid") or payer.get("sub_openid") or ""
    return openid
