"""A service order of the pay score as it is kept: plain data, its amounts, and its description.

https://pay.weixin.qq.com/doc/v3/merchant/4012587902
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_digits
from wechatpay.sandbox.parameters import Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.messages import HttpResponse

__all__ = ["ScoreOrder", "amount_error", "complete", "describe", "total_amount"]

#: Parameters of a completion or modification that replace those of the creation.
_COMPLETED = ("post_payments", "post_discounts", "time_range", "location")


#: The lists of amounts of an order, and how many each may have.
_MOST = {"post_payments": 100, "post_discounts": 30}


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """A service order.

    Attributes:
        out_order_no: The merchant's number.
        order_id: WeChat Pay's number.
        sub_mchid: The sub-merchant of a partner's order.
        openid: The payer.
        created: Unix seconds.
        terms: The parameters that it was created with.
        body: What is known of it, under its documented names.
        state: ``CREATED``, ``DOING``, ``DONE``, ``REVOKED`` or ``EXPIRED``.
        description: ``USER_CONFIRM`` or ``MCH_COMPLETE``; ``""`` outside ``DOING``.
        completion: The parameters of the completion.
        total: Fen to pay.
        transaction_id: The payment; ``""`` before, or if the merchant collected it.
        paid: Unix seconds of the payment; 0 before.
        paid_type: ``NEWTON`` through the pay score, ``MCH`` collected by the merchant.
    """

    out_order_no: str
    order_id: str
    sub_mchid: str
    openid: str
    created: float
    terms: str = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    state: str = "CREATED"
    description: str = ""
    completion: str = field(default="", repr=False)
    total: int = 0
    transaction_id: str = ""
    paid: float = 0.0
    paid_type: str = ""


def _amounts(body: Mapping[str, Any], name: str) -> list[Any]:
    return [item.get("amount", 0) for item in body.get(name) or []]


def total_amount(body: Mapping[str, Any]) -> int:
    """Return the payments without the discounts, in fen."""
    return int(sum(_amounts(body, "post_payments")) - sum(_amounts(body, "post_discounts")))


def amount_error(body: Mapping[str, Any]) -> HttpResponse | None:
    """Refuse a completion or modification whose amounts are wrong, or are not its total."""
    for name, most in _MOST.items():
        amounts = _amounts(body, name)
        if len(amounts) > most:
            rule = f"数组规则校验失败，元素个数超过最大值 {most}"
            return error_responses.bad_parameter(Violation("body", name, None, rule))
        if any(type(fen) is not int or fen < 0 for fen in amounts):
            return error_responses.error(400, "PARAM_ERROR", "最终总金额计算非法")
    total = total_amount(body)
    if total < 0 or total != body.get("total_amount", total):
        return error_responses.error(400, "PARAM_ERROR", "最终总金额计算非法")
    return None


def complete(order: ScoreOrder, body: Mapping[str, Any], total: int) -> ScoreOrder:
    """Return an order as it is once the merchant completed it; one that costs nothing is done."""
    changed = {**order.body, **{name: body[name] for name in _COMPLETED if name in body}}
    return replace(
        order,
        state="DOING" if total else "DONE",
        description="MCH_COMPLETE" if total else "",
        completion=json.dumps(body, sort_keys=True),
        total=total,
        body=changed,
    )


def describe(order: ScoreOrder, mchid: str) -> dict[str, Any]:
    """Return all that is known of an order, under its documented names."""
    given = {name: value for name, value in order.body.items() if name not in {"need_user_confirm", "device"}}
    members: dict[str, Any] = {
        **given,
        "mchid": mchid,
        "openid": order.openid or None,
        "order_id": order.order_id,
        "state": order.state,
        "state_description": order.description or None,
    }
    if order.completion:
        members |= {"total_amount": order.total, "need_collection": order.total > 0}
    if order.completion and order.total:
        details = [
            {
                "seq": 1,
                "amount": order.total,
                "paid_type": order.paid_type,
                "paid_time": format_digits(order.paid),
                "transaction_id": order.transaction_id or None,
            }
        ]
        members["collection"] = {
            "state": "USER_PAID" if order.paid else "USER_PAYING",
            "total_amount": order.total,
            "paying_amount": 0 if order.paid else order.total,
            "paid_amount": order.total if order.paid else 0,
            "details": details if order.paid else None,
        }
    return members
