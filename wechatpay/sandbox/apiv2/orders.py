"""Ordering, asking, and giving back: 统一下单, 查询订单, 申请退款.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=9_1
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from wechatpay.sandbox import people
from wechatpay.sandbox.apiv2.answers import failure, success
from wechatpay.sandbox.ledger import CHINA, Order, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.answer import Answer
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["paid", "query", "refund", "unified_order"]

_TROUBLES = {
    Trouble.PAID: ("ORDERPAID", "该订单已支付"),
    Trouble.OTHER_ORDER: ("INVALID_REQUEST", "201 商户订单号重复"),
    Trouble.OTHER_APP: ("OUT_TRADE_NO_USED", "商户订单号重复"),
    Trouble.NO_ORDER: ("ORDERNOTEXIST", "订单不存在"),
    Trouble.NOT_PAID: ("ORDERNOTEXIST", "未支付的订单不能发起退款"),
    Trouble.OTHER_AMOUNT: ("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试"),
    Trouble.OVERDUE: ("TRADE_OVERDUE", "订单已经超过可退款的最大期限(支付后一年内可退款)"),
    Trouble.ALL_REFUNDED: ("ERROR", "订单已全额退款"),
    Trouble.TOO_MUCH: ("INVALID_REQUEST", "累计退款金额大于支付金额"),
}

_STATES = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款，退款详情请查询退款单",
}

#: Fields that differ when the same is asked for again.
_FRESH = frozenset({"nonce_str", "sign", "sign_type"})


def unified_order(asked: Mapping[str, str], ledger: Ledger) -> Answer:
    """Take an order."""
    total, kind = int(asked["total_fee"]), asked["trade_type"]
    if total < 1:
        return failure(asked, "PARAM_ERROR", "invalid total_fee")
    if kind == "JSAPI" and not asked.get("openid"):
        return failure(asked, "LACK_PARAMS", "JSAPI支付必须传openid")
    order = Order(
        out_trade_no=asked["out_trade_no"],
        appid=asked["appid"],
        total=total,
        kind=kind,
        description=asked["body"],
        attach=asked.get("attach", ""),
        openid=asked.get("openid", ""),
        currency=asked.get("fee_type", "CNY"),
        notify_url=asked["notify_url"],
        terms=frozenset(pair for pair in asked.items() if pair[0] not in _FRESH),
    )
    placed = ledger.place(order)
    if isinstance(placed, Trouble):
        return failure(asked, *_TROUBLES[placed])
    return success(asked, {"trade_type": kind, "prepay_id": placed.prepay_id, **_links(placed)})


def _links(order: Order) -> dict[str, str]:
    number = people.number(order.prepay_id, 10)
    if order.kind == "NATIVE":
        return {"code_url": f"weixin://wxpay/bizpayurl?pr={number}"}
    if order.kind == "MWEB":
        page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb"
        return {"mweb_url": f"{page}?prepay_id={order.prepay_id}&package={number}"}
    return {}


def query(asked: Mapping[str, str], ledger: Ledger) -> Answer:
    """Tell how an order stands."""
    order = _found(asked, ledger)
    if order is None:
        return failure(asked, *_TROUBLES[Trouble.NO_ORDER])
    attach = {"attach": order.attach} if order.attach else {}
    told = {"trade_state": order.state, "trade_state_desc": _STATES[order.state]}
    return success(asked, {**paid(order), "out_trade_no": order.out_trade_no, **attach, **told})


def paid(order: Order) -> dict[str, str | int]:
    """Tell how an order was paid; ``{}`` while it is not."""
    if (payment := order.payment) is None:
        return {}
    return {
        "openid": payment.openid,
        "is_subscribe": "N",
        "trade_type": order.kind,
        "bank_type": "OTHERS",
        "total_fee": order.total,
        "fee_type": order.currency,
        "cash_fee": order.total,
        "cash_fee_type": order.currency,
        "transaction_id": payment.transaction_id,
        "time_end": f"{datetime.fromtimestamp(payment.at, CHINA):%Y%m%d%H%M%S}",
    }


def refund(asked: Mapping[str, str], ledger: Ledger) -> Answer:
    """Give back what was paid, or a part of it."""
    amount, total = int(asked["refund_fee"]), int(asked["total_fee"])
    if amount < 1:
        return failure(asked, "PARAM_ERROR", "invalid refund_fee")
    order = _found(asked, ledger)
    if order is None and asked.get("transaction_id"):
        return failure(asked, "INVALID_TRANSACTIONID", "无效transaction_id")
    number = order.out_trade_no if order else asked["out_trade_no"]
    made = ledger.refund(number, asked["out_refund_no"], amount, total)
    if isinstance(made, Trouble):
        return failure(asked, *_TROUBLES[made])
    order, given = made
    return success(
        asked,
        {
            "transaction_id": order.payment.transaction_id if order.payment else "",
            "out_trade_no": order.out_trade_no,
            "out_refund_no": given.out_refund_no,
            "refund_id": given.refund_id,
            "refund_fee": given.amount,
            "coupon_refund_fee": 0,
            "total_fee": order.total,
            "fee_type": order.currency,
            "cash_fee": order.total,
            "cash_refund_fee": given.amount,
        },
    )


def _found(asked: Mapping[str, str], ledger: Ledger) -> Order | None:
    return ledger.find(
        out_trade_no=asked.get("out_trade_no", ""), transaction_id=asked.get("transaction_id", "")
    )
