"""Profit sharing of APIv3: receivers, shares, returns, and what is unfrozen.

An order with ``settle_info.profit_sharing`` freezes its receipts. A minute after the payment they can be
shared, at most 30 % in all, and are unfrozen by request or after 30 days.
https://pay.weixin.qq.com/doc/v3/merchant/4012067962
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.bill_texts import FundEntry, Share
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import number, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.orders import Order

__all__ = ["ProfitSharing"]

#: Seconds after the payment before which nothing is shared.
_SETTLEMENT_DELAY = 60

#: Hundredths of a percent of an order that may be shared.
_MAX_RATIO = 3000

_MAX_RECEIVERS = 50

_MERCHANT = "MERCHANT_ID"
_UNKNOWN = "记录不存在"
_RULE = "请求参数符合参数格式，但不符合业务规则"


@dataclass(frozen=True, slots=True)
class _Receiver:
    """One receiver's part of a share.

    Attributes:
        type: ``MERCHANT_ID``, ``PERSONAL_OPENID`` or ``PERSONAL_SUB_OPENID``.
        account: The merchant id or openid.
        amount: Fen.
        description: Why.
        detail_id: WeChat Pay's number of the part.
        returned: Fen that the receiver returned.
    """

    type: str
    account: str
    amount: int
    description: str
    detail_id: str
    returned: int = 0


@dataclass(frozen=True, slots=True)
class _Share:
    """One request for sharing, or for unfreezing.

    Attributes:
        out_order_no: The merchant's number.
        order_id: WeChat Pay's number.
        transaction_id: The payment.
        out_trade_no: The order.
        sub_mchid: The sub-merchant of a partner's order.
        at: Unix seconds.
        is_unfreezing: Whether it only unfreezes.
        receivers: The parts.
    """

    out_order_no: str
    order_id: str
    transaction_id: str
    out_trade_no: str
    sub_mchid: str
    at: float
    is_unfreezing: bool
    receivers: tuple[_Receiver, ...]


@dataclass(frozen=True, slots=True)
class _Return:
    """What a receiver gave back.

    Attributes:
        out_return_no: The merchant's number.
        return_id: WeChat Pay's number.
        out_order_no: The share, by the merchant's number.
        return_mchid: The receiver.
        amount: Fen.
        description: Why.
        at: Unix seconds.
    """

    out_return_no: str
    return_id: str
    out_order_no: str
    return_mchid: str
    amount: int
    description: str
    at: float


class ProfitSharing:
    """Handles profit sharing; thread-safe.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
        """
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.RLock()
        self._relations: Table[str, str] = Table()
        self._shares: Table[str, _Share] = Table()
        self._returns: Table[str, _Return] = Table()
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

    def bookings(self) -> list[FundEntry]:
        """Return the bookings of shares and returns."""
        with self._lock:
            shared = [
                FundEntry(
                    share.at,
                    share.order_id,
                    "分账",
                    "分账",
                    -receiver.amount,
                    "system",
                    receiver.description,
                    receiver.detail_id,
                )
                for share in self._shares.values()
                for receiver in share.receivers
                if not share.is_unfreezing
            ]
            returned = [
                FundEntry(
                    r.at,
                    r.return_id,
                    "分账回退",
                    "分账回退",
                    r.amount,
                    "system",
                    r.description,
                    r.out_return_no,
                )
                for r in self._returns.values()
            ]
        return shared + returned

    def shares(self) -> list[Share]:
        """Return the rows of the profit-sharing bill: shares and returns."""
        with self._lock:
            rows = [
                self._row(share, receiver) for share in self._shares.values() for receiver in share.receivers
            ]
            for made in self._returns.values():
                share = self._shares[made.out_order_no]
                receiver = next(r for r in share.receivers if r.account == made.return_mchid)
                row = replace(
                    self._row(share, receiver),
                    at=made.at,
                    order_id=made.return_id,
                    out_order_no=made.out_return_no,
                    amount=made.amount,
                    description=made.description,
                    is_return=True,
                )
                rows.append(row)
        return sorted(rows, key=lambda row: row.at)

    def _row(self, share: _Share, receiver: _Receiver) -> Share:
        order = self._ledger.find(out_trade_no=share.out_trade_no)
        return Share(
            share.at,
            share.transaction_id,
            share.order_id,
            receiver.detail_id,
            share.out_order_no,
            order.total if order else 0,
            receiver.account,
            receiver.amount,
            receiver.description,
            sub_mchid=share.sub_mchid,
        )

    def _add_receiver(self, call: Call) -> HttpResponse:
        body = call.body
        if body["type"] == _MERCHANT and not body.get("name"):
            rule = "必填性规则校验失败，此字段为必填项"
            return error_responses.bad_parameter(Violation("body", "name", None, rule))
        if body["type"] != _MERCHANT and standing(body["account"]) is None:
            return error_responses.error(400, "PARAM_ERROR", "无效的openid")
        with self._lock:
            self._relations[_relation(body)] = body["relation_type"]
        return HttpResponse.json(
            {name: value for name, value in body.items() if name in call.operation.response}
        )

    def _delete_receiver(self, call: Call) -> HttpResponse:
        with self._lock:
            self._relations.pop(_relation(call.body), None)
        return HttpResponse.json(shape(call.operation.response, call.body))

    def _share(self, call: Call) -> HttpResponse:
        body = call.body
        with self._lock:
            order = self._ledger.find(transaction_id=body["transaction_id"])
            known = self._shares.get(body["out_order_no"])
            if known is not None:
                is_same = _is_same(known, body)
                return self._describe(call, known) if is_same else _refuse("分账接收方与原请求不一致")
            if order is None or order.payment is None:
                return error_responses.error(404, "RESOURCE_NOT_EXISTS", "订单不存在")
            if error := self._share_error(order, body):
                return error
            share = self._make(order, body["out_order_no"], body.get("receivers") or [])
            self._shares[share.out_order_no] = share
            total = sum(receiver.amount for receiver in share.receivers)
            self._ledger.share(order.out_trade_no, total, is_unfreezing=body["unfreeze_unsplit"])
        return self._describe(call, share, "PROCESSING", "PENDING")

    def _share_error(self, order: Order, body: Any) -> HttpResponse | None:  # noqa: PLR0911  one return a rule
        receivers = body.get("receivers") or []
        accounts = {(receiver["type"], receiver["account"]) for receiver in receivers}
        amount = sum(receiver["amount"] for receiver in receivers)
        if not order.is_sharing:
            return _refuse("非分账订单不支持分账")
        if order.is_unfrozen:
            return _refuse("订单已完结分账，不支持分账")
        if order.payment and self._clock() < order.payment.at + _SETTLEMENT_DELAY:
            return _refuse("订单处理中，请稍后重试")
        if len(accounts) != len(receivers) or len(receivers) > _MAX_RECEIVERS:
            return _refuse(_RULE)
        if any(receiver["amount"] < 1 for receiver in receivers):
            rule = "数值规则校验失败，值低于最小值 1"
            return error_responses.bad_parameter(Violation("body", "receivers/amount", None, rule))
        if any(_relation({**body, **receiver}) not in self._relations for receiver in receivers):
            return _refuse("分账接收方关系不存在")
        if (order.shared + amount) * 10_000 > order.total * _MAX_RATIO:
            return error_responses.error(403, "RULE_LIMIT", "分账金额超出最大分账比例")
        if amount > order.frozen:
            return error_responses.error(403, "NOT_ENOUGH", "分账金额不足")
        return None

    def _make(
        self, order: Order, out_order_no: str, receivers: list[Any], *, is_unfreezing: bool = False
    ) -> _Share:
        parts = tuple(
            _Receiver(
                receiver["type"],
                receiver["account"],
                receiver["amount"],
                receiver["description"],
                f"36{number(f'detail {out_order_no} {index}', 26)}",
            )
            for index, receiver in enumerate(receivers)
        )
        transaction_id = order.payment.transaction_id if order.payment else ""
        order_id = f"30{number(f'share {out_order_no}', 26)}"
        return _Share(
            out_order_no,
            order_id,
            transaction_id,
            order.out_trade_no,
            order.sub_mchid,
            self._clock(),
            is_unfreezing,
            parts,
        )

    def _unfreeze(self, call: Call) -> HttpResponse:
        body = call.body
        with self._lock:
            known = self._shares.get(body["out_order_no"])
            order = self._ledger.find(transaction_id=body["transaction_id"])
            if order is None or order.payment is None:
                return error_responses.error(404, "RESOURCE_NOT_EXISTS", "订单不存在")
            if not order.is_sharing:
                return _refuse("非分账订单不支持分账")
            if known is None:
                rest = {"type": _MERCHANT, "account": order.sub_mchid or call.mchid, "amount": order.frozen}
                receivers = [{**rest, "description": body["description"]}]
                known = self._make(order, body["out_order_no"], receivers, is_unfreezing=True)
                self._shares[known.out_order_no] = known
                self._ledger.share(order.out_trade_no, 0, is_unfreezing=True)
        # A number that was used before succeeds, too, and unfreezes nothing.
        return self._describe(call, known, "PROCESSING", "PENDING")

    def _query(self, call: Call) -> HttpResponse:
        with self._lock:
            share = self._shares.get(call.variables["out_order_no"])
        if share is None or share.transaction_id != call.query["transaction_id"]:
            return error_responses.no_resource(_UNKNOWN)
        return self._describe(call, share)

    def _describe(
        self, call: Call, share: _Share, state: str = "FINISHED", result: str = "SUCCESS"
    ) -> HttpResponse:
        moment = format_rfc3339(share.at)
        receivers = [
            {
                "type": receiver.type,
                "account": receiver.account,
                "amount": receiver.amount,
                "description": receiver.description,
                "result": result,
                "detail_id": receiver.detail_id,
                "create_time": moment,
                "finish_time": moment,
            }
            for receiver in share.receivers
        ]
        members = {
            "sub_mchid": share.sub_mchid or None,
            "transaction_id": share.transaction_id,
            "out_order_no": share.out_order_no,
            "order_id": share.order_id,
            "state": state,
            "receivers": receivers,
        }
        return HttpResponse.json(shape(call.operation.response, members))

    def _return(self, call: Call) -> HttpResponse:
        body = call.body
        with self._lock:
            share = self._find_share(body)
            known = self._returns.get(body["out_return_no"])
            if known is not None:
                is_same = (known.return_mchid, known.amount) == (body["return_mchid"], body["amount"])
                return self._describe_return(call, known) if is_same else _refuse(_RULE)
            found = [
                receiver
                for receiver in (share.receivers if share and not share.is_unfreezing else ())
                if (receiver.type, receiver.account) == (_MERCHANT, body["return_mchid"])
            ]
            if share is None or not found:
                return _refuse("分账指令不存在，请检查是否有对应的分账单")
            if not 1 <= body["amount"] <= found[0].amount - found[0].returned:
                return _refuse(_RULE)
            changed = replace(found[0], returned=found[0].returned + body["amount"])
            receivers = tuple(changed if r is found[0] else r for r in share.receivers)
            self._shares[share.out_order_no] = replace(share, receivers=receivers)
            known = _Return(
                body["out_return_no"],
                f"31{number('return ' + body['out_return_no'], 26)}",
                share.out_order_no,
                body["return_mchid"],
                body["amount"],
                body["description"],
                self._clock(),
            )
            self._returns[known.out_return_no] = known
        return self._describe_return(call, known)

    def _find_share(self, body: Any) -> _Share | None:
        if out_order_no := body.get("out_order_no"):
            return self._shares.get(out_order_no)
        return next((s for s in self._shares.values() if s.order_id == body.get("order_id")), None)

    def _query_return(self, call: Call) -> HttpResponse:
        with self._lock:
            found = self._returns.get(call.variables["out_return_no"])
        if found is None or found.out_order_no != call.query["out_order_no"]:
            return error_responses.no_resource(_UNKNOWN)
        return self._describe_return(call, found)

    def _describe_return(self, call: Call, returned: _Return) -> HttpResponse:
        share, moment = self._shares[returned.out_order_no], format_rfc3339(returned.at)
        members = {
            "sub_mchid": share.sub_mchid or None,
            "order_id": share.order_id,
            "out_order_no": share.out_order_no,
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
            return error_responses.error(404, "RESOURCE_NOT_EXISTS", "订单不存在")
        return HttpResponse.json(
            {"transaction_id": call.variables["transaction_id"], "unsplit_amount": order.frozen}
        )

    def _ratio(self, call: Call) -> HttpResponse:
        return HttpResponse.json({"sub_mchid": call.variables["sub_mchid"], "max_ratio": _MAX_RATIO})


def _relation(body: Any) -> str:
    """Return what identifies a receiver: the sub-merchant it belongs to, its type and its account."""
    return "/".join((body.get("sub_mchid", ""), body["type"], body["account"]))


def _is_same(share: _Share, body: Any) -> bool:
    """Return whether a repeated request shares the same; names are encrypted, and always differ."""
    given = [
        (receiver["type"], receiver["account"], receiver["amount"])
        for receiver in body.get("receivers") or []
    ]
    made = [(receiver.type, receiver.account, receiver.amount) for receiver in share.receivers]
    return share.transaction_id == body["transaction_id"] and sorted(given) == sorted(made)


def _refuse(message: str) -> HttpResponse:
    return error_responses.invalid_request(message)
