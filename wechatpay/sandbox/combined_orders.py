"""Combined orders of APIv3 (合单): several orders, paid at once.

https://pay.weixin.qq.com/doc/v3/merchant/4012556944
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
    number_violation,
    order_error,
    payer_violation,
    read_expiry,
)
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.payments import TRADE_TYPES, credential, reject
from wechatpay.sandbox.test_users import number, partner_openid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["CombinedOrders", "describe_combined"]

#: Combined orders spell some codes in the older way.
_CODES = {"ORDER_PAID": "ORDERPAID", "ORDER_NOT_EXIST": "ORDERNOTEXIST"}

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,32}")

#: Fen of one part, at most: ten million yuan.
_HIGHEST = 1_000_000_000


class CombinedOrders:
    """Handles combined orders.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
        """
        self._ledger = ledger
        root = "v3/combine-transactions"
        by_number = f"{root}/out-trade-no/{{combine_out_trade_no}}"
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", by_number): self._query,
            ("POST", f"{by_number}/close"): self._close,
        }
        for scene, trade_type in TRADE_TYPES.items():
            self.handlers["POST", f"{root}/{scene}"] = partial(self._order, trade_type)

    def _order(self, trade_type: str, call: Call) -> HttpResponse:
        body = call.body
        combined = body["combine_out_trade_no"]
        payer = body.get("combine_payer_info") or {}
        openid, sub_openid = payer.get("openid", ""), payer.get("sub_openid", "")
        named = openid or sub_openid
        if error := order_error(call, named, *_violations(body, named, trade_type)):
            return error
        parts = [
            Order(
                out_trade_no=part["out_trade_no"],
                appid=body["combine_appid"],
                total=part["amount"]["total_amount"],
                trade_type=trade_type,
                description=part.get("description", ""),
                attach=part.get("attach", ""),
                openid=openid or partner_openid(sub_openid),
                currency=part["amount"].get("currency", "CNY"),
                notify_url=body.get("notify_url", ""),
                terms=f"{trade_type} {json.dumps(body, sort_keys=True)}",
                protocol="v3",
                is_sharing=bool((part.get("settle_info") or {}).get("profit_sharing")),
                mchid=part["mchid"],
                sub_mchid=part.get("sub_mchid", ""),
                sub_appid=part.get("sub_appid", ""),
                sub_openid=sub_openid,
                combine_mchid=call.mchid,
                combine_out_trade_no=combined,
                expires=read_expiry(body),
                device_id=(body.get("scene_info") or {}).get("device_id", ""),
            )
            for part in body["sub_orders"]
        ]
        known, places = self._places(self._ledger.find_combined(combined)), self._places(parts)
        if len(places) < len(parts) or (known and known != places):
            return reject(Rejection.OTHER_ORDER)
        placed = self._ledger.place_combined(parts)
        if isinstance(placed, Rejection):
            return reject(placed, _CODES)
        return HttpResponse.json(credential(placed[0]))

    def _places(self, parts: Iterable[Order]) -> set[tuple[Ledger, str]]:
        """Return where parts are: a number is unique within its merchant's ledger."""
        return {(self._ledger.ledger_of(part.mchid), part.out_trade_no) for part in parts}

    def _query(self, call: Call) -> HttpResponse:
        parts = self._ledger.find_combined(call.variables["combine_out_trade_no"])
        if not parts:
            return reject(Rejection.NO_ORDER, _CODES)
        return HttpResponse.json(describe_combined(parts, call.mchid))

    def _close(self, call: Call) -> HttpResponse:
        parts = self._ledger.find_combined(call.variables["combine_out_trade_no"])
        if not parts:
            return reject(Rejection.NO_ORDER, _CODES)
        named = {(part["mchid"], part["out_trade_no"]) for part in call.body["sub_orders"]}
        if named != {(part.mchid, part.out_trade_no) for part in parts}:
            return error_responses.invalid_request(
                "输入的请求非法，请求关单的子单信息与下单时的子单信息不一致"
            )
        for part in parts:
            closed = self._ledger.ledger_of(part.mchid).close(part.out_trade_no)
            if isinstance(closed, Rejection):
                return reject(closed, _CODES)
        return HttpResponse(204)


def _violations(body: Mapping[str, Any], openid: str, trade_type: str) -> Iterator[Violation | None]:
    """Return the rules that a combined order and its parts violate."""
    number_, parts = body["combine_out_trade_no"], body["sub_orders"]
    if not _NUMBER.fullmatch(number_):
        rule = "字符串规则校验失败，应为1至32位数字、字母或_-|*@"
        yield Violation("body", "combine_out_trade_no", number_, rule)
    is_direct = not any(part.keys() & {"sub_mchid", "individual_auth_id"} for part in parts)
    least, most = (2, 10) if is_direct else (1, 50)
    if not least <= len(parts) <= most:
        yield Violation("body", "sub_orders", None, f"数组规则校验失败，元素个数应为{least}至{most}")
    for index, part in enumerate(parts):
        name, amount = f"sub_orders/{index}", part["amount"]
        yield number_violation(f"{name}/out_trade_no", part["out_trade_no"])
        yield amount_violation(f"{name}/amount/total_amount", amount["total_amount"], _HIGHEST)
        yield currency_violation(f"{name}/amount/currency", amount["currency"])
    yield payer_violation("combine_payer_info/openid", openid, trade_type)


def describe_combined(parts: tuple[Order, ...], mchid: str) -> dict[str, Any]:
    """Return a combined order as the query and the callback have it.

    Args:
        parts: Its orders.
        mchid: The merchant who placed it.
    """
    first = parts[0]
    paid: dict[str, Any] = {}
    if first.payment:
        paid = {
            "combine_transaction_id": f"45{number(first.payment.transaction_id, 26)}",
            "combine_payer_info": {"openid": first.payment.openid},
        }
    scene = {"scene_info": {"device_id": first.device_id}} if first.device_id else {}
    return {
        "combine_appid": first.appid,
        "combine_mchid": mchid,
        "combine_out_trade_no": first.combine_out_trade_no,
        **scene,
        "sub_orders": [_describe_part(part) for part in parts],
        **paid,
    }


def _describe_part(order: Order) -> dict[str, Any]:
    amount: dict[str, Any] = {"total_amount": order.total, "currency": order.currency}
    paid: dict[str, Any] = {}
    if order.payment:
        moment = format_rfc3339(order.payment.at)
        amount |= {"payer_amount": order.total, "payer_currency": order.currency}
        paid = {
            "bank_type": "OTHERS",
            "success_time": f"{moment[:19]}.000{moment[19:]}",
            "transaction_id": order.payment.transaction_id,
        }
    sub = {name: getattr(order, name) for name in ("sub_mchid", "sub_appid", "sub_openid")}
    return {
        "mchid": order.mchid,
        **{name: value for name, value in sub.items() if value},
        "trade_type": order.trade_type,
        "trade_state": order.state,
        "attach": order.attach,
        "amount": amount,
        **paid,
        "out_trade_no": order.out_trade_no,
    }
