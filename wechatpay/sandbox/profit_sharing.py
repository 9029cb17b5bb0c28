"""Profit sharing of APIv3: receivers, shares, returns, and what is unfrozen.

https://pay.weixin.qq.com/doc/v3/merchant/4012067962
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.sharing import (
    MAX_RATIO,
    Part,
    Sharing,
    SharingLedger,
    SharingRejection,
    SharingReturn,
)

if TYPE_CHECKING:
    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["REJECTIONS", "ProfitSharing"]

_UNKNOWN = "记录不存在"

#: HTTP status, code and text of each rejection.
REJECTIONS = {
    SharingRejection.BAD_OPENID: (400, "PARAM_ERROR", "无效的openid"),
    SharingRejection.NO_ORDER: (404, "RESOURCE_NOT_EXISTS", "订单不存在"),
    SharingRejection.OTHER_PARTS: (400, "INVALID_REQUEST", "分账接收方与原请求不一致"),
    SharingRejection.NOT_SHARING: (400, "INVALID_REQUEST", "非分账订单不支持分账"),
    SharingRejection.UNFROZEN: (400, "INVALID_REQUEST", "订单已完结分账，不支持分账"),
    SharingRejection.TOO_EARLY: (400, "INVALID_REQUEST", "订单处理中，请稍后重试"),
    SharingRejection.RULE: (400, "INVALID_REQUEST", "请求参数符合参数格式，但不符合业务规则"),
    SharingRejection.NO_RELATION: (400, "INVALID_REQUEST", "分账接收方关系不存在"),
    SharingRejection.ABOVE_RATIO: (403, "RULE_LIMIT", "分账金额超出最大分账比例"),
    SharingRejection.NOT_ENOUGH: (403, "NOT_ENOUGH", "分账金额不足"),
    SharingRejection.NO_SHARING: (400, "INVALID_REQUEST", "分账指令不存在，请检查是否有对应的分账单"),
}

_VIOLATIONS = {
    SharingRejection.NO_NAME: ("name", "必填性规则校验失败，此字段为必填项"),
    SharingRejection.BAD_AMOUNT: ("receivers/amount", "数值规则校验失败，值低于最小值 1"),
}


class ProfitSharing:
    """Handles APIv3's profit sharing.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, sharings: SharingLedger, ledger: Ledger) -> None:
        """Prepare.

        Args:
            sharings: The merchant's shares.
            ledger: The merchant's orders.
        """
        self._sharings = sharings
        self._ledger = ledger
        root = "v3/profitsharing"
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", f"{root}/receivers/add"): self._add_receiver,
            ("POST", f"{root}/receivers/delete"): self._delete_receiver,
            ("POST", f"{root}/orders"): self._share,
            ("GET", f"{root}/orders/{{out_order_no}}"): self._query,
            ("POST", f"{root}/orders/unfreeze"): self._unfreeze,
            ("POST", f"{root}/return-orders"): self._return,
            ("GET", f"{root}/return-orders/{{out_return_no}}"): self._query_return,
            ("GET", f"{root}/transactions/{{transaction_id}}/amounts"): self._amounts,
            ("GET", f"{root}/merchant-configs/{{sub_mchid}}"): self._ratio,
        }

    def _add_receiver(self, call: Call) -> HttpResponse:
        body = call.body
        rejection = self._sharings.add_receiver(
            body.get("sub_mchid", ""),
            body["type"],
            body["account"],
            body["relation_type"],
            has_name=bool(body.get("name")),
        )
        if rejection:
            return _reject(rejection)
        return HttpResponse.json(
            {name: value for name, value in body.items() if name in call.operation.response}
        )

    def _delete_receiver(self, call: Call) -> HttpResponse:
        body = call.body
        self._sharings.remove_receiver(body.get("sub_mchid", ""), body["type"], body["account"])
        return HttpResponse.json(shape(call.operation.response, body))

    def _share(self, call: Call) -> HttpResponse:
        body = call.body
        is_new = self._sharings.find(out_order_no=body["out_order_no"]) is None
        made = self._sharings.share(
            body["transaction_id"],
            body["out_order_no"],
            [_part(receiver) for receiver in body.get("receivers") or []],
            sub_mchid=body.get("sub_mchid", ""),
            is_unfreezing=body["unfreeze_unsplit"],
        )
        return _respond(call, made, "PROCESSING", "PENDING") if is_new else _respond(call, made)

    def _unfreeze(self, call: Call) -> HttpResponse:
        body = call.body
        made = self._sharings.unfreeze(
            body["transaction_id"],
            body["out_order_no"],
            body["description"],
            call.mchid,
            body.get("sub_mchid", ""),
        )
        return _respond(call, made, "PROCESSING", "PENDING")

    def _query(self, call: Call) -> HttpResponse:
        sub_mchid = call.query.get("sub_mchid", "")
        found = self._sharings.find_own(sub_mchid, out_order_no=call.variables["out_order_no"])
        if found is None or found.transaction_id != call.query["transaction_id"]:
            return error_responses.no_resource(_UNKNOWN)
        return _respond(call, found)

    def _return(self, call: Call) -> HttpResponse:
        body = call.body
        sharing = self._sharings.find_own(
            body.get("sub_mchid", ""),
            out_order_no=body.get("out_order_no", ""),
            order_id=body.get("order_id", ""),
        )
        made = self._sharings.give_back(
            sharing, body["out_return_no"], body["return_mchid"], body["amount"], body["description"]
        )
        return self._describe_return(call, made)

    def _query_return(self, call: Call) -> HttpResponse:
        found = self._sharings.find_return(call.variables["out_return_no"])
        sub_mchid, out_order_no = call.query.get("sub_mchid", ""), call.query["out_order_no"]
        sharing = self._sharings.find_own(sub_mchid, out_order_no=out_order_no)
        if found is None or sharing is None or found.out_order_no != out_order_no:
            return error_responses.no_resource(_UNKNOWN)
        return self._describe_return(call, found)

    def _describe_return(self, call: Call, returned: SharingReturn | SharingRejection) -> HttpResponse:
        if isinstance(returned, SharingRejection):
            return _reject(returned)
        sharing = self._sharings.find(out_order_no=returned.out_order_no)
        moment = format_rfc3339(returned.at)
        members = {
            "sub_mchid": (sharing.sub_mchid if sharing else "") or None,
            "order_id": sharing.order_id if sharing else None,
            "out_order_no": returned.out_order_no,
            "out_return_no": returned.out_return_no,
            "return_id": returned.return_id,
            "return_mchid": returned.return_mchid,
            "amount": returned.amount,
            "description": returned.description,
            "result": "SUCCESS",
            "create_time": moment,
            "finish_time": moment,
        }
        return HttpResponse.json(shape(call.operation.response, members))

    def _amounts(self, call: Call) -> HttpResponse:
        order = self._ledger.find(transaction_id=call.variables["transaction_id"])
        if order is None:
            return _reject(SharingRejection.NO_ORDER)
        return HttpResponse.json(
            {"transaction_id": call.variables["transaction_id"], "unsplit_amount": order.frozen}
        )

    def _ratio(self, call: Call) -> HttpResponse:
        return HttpResponse.json({"sub_mchid": call.variables["sub_mchid"], "max_ratio": MAX_RATIO})


def _part(receiver: Any) -> Part:
    return Part(receiver["type"], receiver["account"], receiver["amount"], receiver["description"])


def _respond(
    call: Call, made: Sharing | SharingRejection, state: str = "FINISHED", result: str = "SUCCESS"
) -> HttpResponse:
    if isinstance(made, SharingRejection):
        return _reject(made)
    moment = format_rfc3339(made.at)
    receivers = [
        {
            "type": part.type,
            "account": part.account,
            "amount": part.amount,
            "description": part.description,
            "result": result,
            "detail_id": part.detail_id,
            "create_time": moment,
            "finish_time": moment,
        }
        for part in made.parts
    ]
    members = {
        "sub_mchid": made.sub_mchid or None,
        "transaction_id": made.transaction_id,
        "out_order_no": made.out_order_no,
        "order_id": made.order_id,
        "state": state,
        "receivers": receivers,
    }
    return HttpResponse.json(shape(call.operation.response, members))


def _reject(rejection: SharingRejection) -> HttpResponse:
    if rejection in _VIOLATIONS:
        name, rule = _VIOLATIONS[rejection]
        return error_responses.bad_parameter(Violation("body", name, None, rule))
    return error_responses.error(*REJECTIONS[rejection])
