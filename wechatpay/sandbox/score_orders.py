"""Service orders of the pay score (微信支付分), of merchants, partners and banks, up to the deduction.

::

    CREATED ──payer confirms──► DOING/USER_CONFIRM ──merchant completes──► DOING/MCH_COMPLETE ──paid──► DONE
       └────────────── cancel ──────────┴──► REVOKED            (CREATED lapses after 30 days: EXPIRED)

https://pay.weixin.qq.com/doc/v3/merchant/4012587902
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.orders import Order
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.score_order import ScoreOrder, amount_error, complete, describe, total_amount
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import PAYER, POOR, number, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.rules import Rules

__all__ = ["ScoreOrders"]

#: How long a payer may take to confirm, in seconds.
_CONFIRMATION_PERIOD = timedelta(days=30).total_seconds()

#: The risk funds that bound the total amount.
_DEPOSITS = frozenset({"DEPOSIT", "ADVANCE", "CASH_DEPOSIT"})

_REPEATED = "订单重入参数校验失败"
_RULE = "请求参数符合参数格式，但不符合业务规则"


class ScoreOrders:
    """Handles service orders; thread-safe.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        send: Callable[[Task], bool],
        mchid: str,
        rules: Rules,
    ) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders, which hold the payments.
            clock: Returns Unix seconds.
            send: Delivers a callback.
            mchid: The merchant.
            rules: The rules of the sandbox.
        """
        self._rules = rules
        self._ledger = ledger
        self._clock = clock
        self._send = send
        self._mchid = mchid
        self._lock = threading.RLock()
        self._orders: Table[str, ScoreOrder] = Table()
        #: The payers of those that are completed and not paid: the others need no look.
        self._unpaid: Table[str, str] = Table()
        self.handlers: dict[tuple[str, str], Handler] = {}
        for kind in ("", "partner/", "acquiringbank/", "oversea/partner/"):
            root = f"v3/payscore/{kind}serviceorder"
            one = f"{root}/{{out_order_no}}"
            self.handlers["POST", f"v3/payscore/{kind}servicepayondeliveryorder"] = self._create
            self.handlers["POST", f"{root}/direct-complete"] = partial(self._create, is_completed=True)
            self.handlers["POST", root] = self._create
            self.handlers["GET", root] = self._query
            self.handlers["POST", f"{one}/complete"] = self._complete
            self.handlers["POST", f"{one}/modify"] = self._modify
            self.handlers["POST", f"{one}/cancel"] = self._cancel
            self.handlers["POST", f"{one}/sync"] = self._sync
            self.handlers["POST", f"{one}/pay"] = self._collect

    def find(self, out_order_no: str) -> ScoreOrder | None:
        """Return an order in its present state; ``None`` if unknown."""
        with self._lock:
            order = self._orders.get(out_order_no)
            if order and order.state == "CREATED" and self._clock() > order.created + _CONFIRMATION_PERIOD:
                return self._store(replace(order, state="EXPIRED"))
            return order

    def confirm(self, out_order_no: str, *, openid: str = "") -> ScoreOrder:
        """Confirm an order in the payer's place.

        Args:
            out_order_no: The merchant's number.
            openid: The payer; by default the one that the order names, else ``oUpF8uMuAJOM2pxb1Q``.

        Raises:
            ConfigurationError: The order does not wait for a confirmation.
        """
        with self._lock:
            order = self._expect(out_order_no, "CREATED", "")
            payer = order.openid or openid or PAYER
            changed = replace(order, state="DOING", description="USER_CONFIRM", openid=payer)
            confirmed = self._store(changed)
        self._announce(confirmed, "PAYSCORE.USER_CONFIRM")
        return confirmed

    def pay(self, out_order_no: str) -> ScoreOrder:
        """Pay a completed order in the payer's place.

        Raises:
            ConfigurationError: The order is not completed, or paid.
        """
        with self._lock:
            self._expect(out_order_no, "DOING", "MCH_COMPLETE")
            return self._deduct(out_order_no)

    def settle(self) -> bool:
        """Deduct what completed orders cost, except from payers without money; return whether others wait."""
        with self._lock:
            for out_order_no, openid in list(self._unpaid.items()):
                if not openid.endswith(POOR):
                    self._deduct(out_order_no)
        return False

    def _expect(self, out_order_no: str, state: str, description: str) -> ScoreOrder:
        order = self.find(out_order_no)
        found = (order.state, order.description) if order else ("unknown", "")
        if order is None or found != (state, description):
            wanted = "/".join(filter(None, (state, description)))
            raise ConfigurationError(
                f"out_order_no: {out_order_no!r:.80} is {'/'.join(filter(None, found))}, not {wanted}"
            )
        return order

    def _deduct(self, out_order_no: str) -> ScoreOrder:
        order = self._orders[out_order_no]
        payment = Order(
            out_trade_no=_payment_number(order),
            appid=order.body["appid"],
            total=order.total,
            trade_type="AUTH",
            description=order.body.get("service_introduction", ""),
            attach=f"wxzff|{order.order_id}|{out_order_no}",
            openid=order.openid,
            protocol="v3",
            sub_mchid=order.sub_mchid,
        )
        self._ledger.place(payment)
        paid = self._ledger.pay(payment.out_trade_no)
        transaction_id = paid.payment.transaction_id if isinstance(paid, Order) and paid.payment else ""
        return self._finish(order, "NEWTON", transaction_id)

    def _finish(self, order: ScoreOrder, paid_type: str, transaction_id: str = "") -> ScoreOrder:
        done = replace(order, state="DONE", description="", paid=self._clock(), paid_type=paid_type)
        done = self._store(replace(done, transaction_id=transaction_id))
        self._announce(done, "PAYSCORE.USER_PAID")
        return done

    def _create(self, call: Call, *, is_completed: bool = False) -> HttpResponse:
        body = dict(call.body)
        openid = body.get("openid") or body.get("sub_openid") or ""
        needs_confirmation = body.get("need_user_confirm", True) and not is_completed
        if (openid and standing(openid) is None) or not (openid or needs_confirmation):
            return error_responses.error(400, "PARAM_ERROR", "无效的openid")
        if is_completed and (error := amount_error(body)):
            return error
        terms = json.dumps(body, sort_keys=True)
        with self._lock:
            order = self.find(body["out_order_no"])
            if order is not None and order.terms != terms:
                return error_responses.error(400, "PARAM_ERROR", _REPEATED)
            if order is None:
                if message := self._obstacle(openid):
                    return error_responses.invalid_request(message)
                order = ScoreOrder(
                    body["out_order_no"],
                    f"15{self._ledger.make_number('score ' + body['out_order_no'], 26)}",
                    body.get("sub_mchid", ""),
                    openid,
                    self._clock(),
                    terms,
                    body,
                )
                if not needs_confirmation:
                    order = replace(order, state="DOING", description="USER_CONFIRM")
                self._store(order := complete(order, body, total_amount(body)) if is_completed else order)
        return self._respond(call, order, package=f"AAQ{number(order.order_id, 40)}")

    def _obstacle(self, openid: str) -> str:
        """Return why a payer cannot have another order; ``""`` if nothing is in the way."""
        running = [o for o in self._orders.values() if openid and o.openid == openid and o.state == "DOING"]
        if any(order.description == "MCH_COMPLETE" for order in running):
            return "存在待处理的超时未支付订单"
        return _RULE if len(running) >= self._rules.score_orders else ""

    def _query(self, call: Call) -> HttpResponse:
        order = self._find(call, call.query.get("out_order_no", ""))
        return self._respond(call, order) if isinstance(order, ScoreOrder) else order

    def _complete(self, call: Call) -> HttpResponse:
        order, body = self._find(call), call.body
        if isinstance(order, HttpResponse):
            return order
        completion = json.dumps(body, sort_keys=True)
        if order.completion:
            is_same = order.completion == completion
            return (
                self._respond(call, order)
                if is_same
                else error_responses.error(400, "PARAM_ERROR", _REPEATED)
            )
        if (order.state, order.description) != ("DOING", "USER_CONFIRM"):
            return error_responses.invalid_request("当前订单状态不合法")
        if error := amount_error(body):
            return error
        fund = order.body.get("risk_fund") or {}
        if fund.get("name") in _DEPOSITS and body["total_amount"] > fund["amount"]:
            return error_responses.invalid_request(_RULE)
        return self._respond(call, self._store(complete(order, body, body["total_amount"])))

    def _modify(self, call: Call) -> HttpResponse:
        order, body = self._find(call), call.body
        if isinstance(order, HttpResponse):
            return order
        if order.description != "MCH_COMPLETE":
            return error_responses.invalid_request("仅服务订单支付状态为待支付时，才可使用此能力")
        if error := amount_error(body):
            return error
        is_deposit = (order.body.get("risk_fund") or {}).get("name") == "DEPOSIT"
        if is_deposit or body["total_amount"] >= order.total:
            return error_responses.invalid_request(_RULE)
        changed = replace(complete(order, body, body["total_amount"]), completion=order.completion)
        return self._respond(call, self._store(changed))

    def _cancel(self, call: Call) -> HttpResponse:
        order = self._find(call)
        if isinstance(order, HttpResponse):
            return order
        is_paying = order.description == "MCH_COMPLETE" and not self._rules.can_cancel_paying
        if order.state not in {"CREATED", "DOING", "REVOKED"} or is_paying:
            return error_responses.invalid_request("当前订单状态不满足撤销条件")
        revoked = replace(order, state="REVOKED", description="")
        return self._respond(call, self._store(revoked))

    def _sync(self, call: Call) -> HttpResponse:
        order = self._find(call)
        if isinstance(order, HttpResponse):
            return order
        if order.description != "MCH_COMPLETE":
            return error_responses.invalid_request("当前订单状态不合法")
        return self._respond(call, self._finish(order, "MCH"))

    def _collect(self, call: Call) -> HttpResponse:
        order = self._find(call)
        if isinstance(order, HttpResponse):
            return order
        if order.description != "MCH_COMPLETE":
            return error_responses.invalid_request("当前订单状态不合法")
        return self._respond(call, order)

    def _find(self, call: Call, out_order_no: str = "") -> ScoreOrder | HttpResponse:
        order = self.find(out_order_no or call.variables.get("out_order_no", ""))
        if order is None or order.sub_mchid != call.parameters.get("sub_mchid", ""):
            return error_responses.no_resource("订单不存在")
        if order.body["service_id"] != call.parameters.get("service_id", order.body["service_id"]):
            return error_responses.no_resource("订单不存在")
        return order

    def _store(self, order: ScoreOrder) -> ScoreOrder:
        self._orders[order.out_order_no] = order
        if order.description == "MCH_COMPLETE":
            self._unpaid[order.out_order_no] = order.openid
        else:
            self._unpaid.pop(order.out_order_no, None)
        return order

    def _respond(self, call: Call, order: ScoreOrder, **more: str) -> HttpResponse:
        if call.operation.response_kind == "none":
            return HttpResponse(call.operation.response_status)
        members = {**describe(order, self._mchid), **more}
        return HttpResponse.json(shape(call.operation.response, members))

    def _announce(self, order: ScoreOrder, event: str) -> None:
        described = describe(order, self._mchid)
        if order.transaction_id:
            described["out_trade_no"] = _payment_number(order)
        described.pop("notify_url", None)
        members = {name: value for name, value in described.items() if value is not None}
        details: Any = {"id": f"EV-{order.order_id}-{order.state}"}
        self._send(Task(event, order.body.get("notify_url", ""), CompleteResource(members), details))


def _payment_number(order: ScoreOrder) -> str:
    """Return the ``out_trade_no`` that WeChat Pay gives the payment of a service order."""
    return f"41{number(f'{order.order_id} {order.total}', 26)}"
