"""APIv3's scheduled and insurance deductions (委托代扣): contracts, schedules, deductions.

https://pay.weixin.qq.com/doc/v3/merchant/4012089417
"""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.contracts import Contract, describe_contract
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.order_checks import amount_violation
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.payments import reject
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.test_users import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.contracts import Contracts
    from wechatpay.sandbox.payments import Payments

__all__ = ["Papay"]

#: Seconds from the schedule until the deduction is allowed, and for how long.
_NOTICE, _PERIOD = 86400, 7 * 86400

_RULE = "请求参数符合参数格式，但不符合业务规则"


class Papay:
    """Handles scheduled deductions.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, contracts: Contracts, payments: Payments, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            contracts: The merchant's contracts.
            payments: Places the orders with which a contract is signed.
            clock: Returns Unix seconds.
        """
        self._payments = payments
        self._contracts = contracts
        self._clock = clock
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", "v3/papay/sign/contracts/pre-entrust-sign"): self._prepare,
            ("POST", "v3/papay/pay/harmony/transactions/apply"): self._apply,
        }
        for partner in ("", "partner/"):
            orders = f"v3/pay/{partner}transactions"
            self.handlers["POST", f"{orders}/app-with-contract"] = partial(self._order, "APP")
            self.handlers["POST", f"{orders}/jsapi-with-contract"] = partial(self._order, "JSAPI")
            sign = f"v3/papay/scheduled-deduct-sign/{partner}contracts/pre-entrust-sign"
            for scene in ("app", "h5", "jsapi", "mini-program"):
                self.handlers["POST", f"{sign}/{scene}"] = self._prepare
            plan = f"v3/papay/sign/{partner}contracts/plan-id/{{plan_id}}"
            by_code = f"{plan}/out-contract-code/{{out_contract_code}}"
            self.handlers["GET", by_code] = self._query
            self.handlers["POST", f"{by_code}/terminate"] = self._terminate
            schedule = f"v3/papay/pay/{partner}schedules/contract-id/{{contract_id}}"
            self.handlers["GET", schedule] = self._query_schedule
            self.handlers["POST", f"{schedule}/schedule"] = self._schedule
            self.handlers["POST", f"v3/papay/pay/{partner}transactions/apply"] = self._apply
        insurance = "v3/papay/insurance-sign/contracts"
        for scene in ("app", "h5", "jsapi", "mini-program"):
            self.handlers["POST", f"{insurance}/pre-entrust-sign/{scene}"] = self._prepare
        by_code = f"{insurance}/plan-id/{{plan_id}}/out-contract-code/{{out_contract_code}}"
        self.handlers["GET", by_code] = self._query
        self.handlers["POST", f"{by_code}/terminate"] = self._terminate
        self.handlers["POST", "v3/papay/insurance-pay/transactions/apply"] = self._apply
        harmony = "v3/papay/sign/contracts/harmony-plan-id/{plan_id}/out-contract-code/{out_contract_code}"
        self.handlers["GET", harmony] = self._query

    def _prepare(self, call: Call) -> HttpResponse:
        body = call.body
        openid = body.get("openid") or body.get("sp_openid") or body.get("sub_openid") or ""
        if openid and standing(openid) is None:
            return error_responses.error(400, "PARAM_ERROR", "无效的openid")
        schedule = body.get("deduct_schedule") or {}
        code = body["out_contract_code"]
        prepared = self._contracts.prepare(
            Contract(
                code=code,
                kind="insurance" if "/insurance-sign/" in call.operation.template else "papay",
                plan_id=str(body["plan_id"]),
                appid=body.get("sp_appid") or body["appid"],
                openid=openid,
                sub_mchid=body.get("sub_mchid", ""),
                sub_appid=body.get("sub_appid", ""),
                display_account=body.get("contract_display_account") or body["insured_display_name"],
                user_code=body.get("out_user_code", ""),
                notify_url=body["contract_notify_url"],
                estimated_date=schedule.get("estimated_deduct_date", ""),
                estimated=(schedule.get("estimated_deduct_amount") or {}).get("total", 0),
            )
        )
        if not prepared:
            return error_responses.invalid_request(_RULE)
        session = prepared.session
        members = {
            "pre_entrustweb_id": session,
            "redirect_url": f"https://payapp.weixin.qq.com/papay/h5entrustweb?pre_entrustweb_id={session}",
            "redirect_appid": "wxbd687630cd02ce1d",
            "redirect_path": f"pages/index/index?session_id={session}",
            "miniprogram_username": "gh_9ced09aef0b5",
            "miniprogram_path": f"pages/index/index?session_id={session}",
        }
        return HttpResponse.json(shape(call.operation.response, members))

    def _order(self, trade_type: str, call: Call) -> HttpResponse:
        """下单并签约: place an order whose payer signs a contract by paying; its callback is APIv2's."""
        response, info = self._payments.order(trade_type, call), call.body["contract_info"]
        if response.status == HTTPStatus.OK and info.get("plan_id") and info.get("contract_code"):
            contract = Contract(
                code=info["contract_code"],
                kind="papay",
                plan_id=info["plan_id"],
                appid=info.get("contract_appid") or call.body.get("sp_appid") or call.body["appid"],
                sub_mchid=call.body.get("sub_mchid", ""),
                sub_appid=call.body.get("sub_appid", ""),
                display_account=info.get("contract_display_account", ""),
                notify_url=info.get("contract_notify_url", ""),
                protocol="v2",
                request_serial=info.get("request_serial", ""),
            )
            self._contracts.prepare(contract, out_trade_no=call.body["out_trade_no"])
        return response

    def _query(self, call: Call) -> HttpResponse:
        if (contract := self._find(call)) is None:
            return error_responses.no_resource("记录不存在")
        return _respond(call, describe_contract(contract, call.mchid))

    def _terminate(self, call: Call) -> HttpResponse:
        if (contract := self._find(call)) is None:
            return error_responses.no_resource("记录不存在")
        try:
            ended = self._contracts.terminate(
                contract.code, "MCH_API_TERMINATE", call.body["contract_termination_remark"]
            )
        except ConfigurationError:
            return error_responses.invalid_request(_RULE)
        return _respond(call, describe_contract(ended, call.mchid))

    def _find(self, call: Call) -> Contract | None:
        wanted = call.variables
        contract = self._contracts.find(
            code=wanted.get("out_contract_code", ""),
            contract_id=wanted.get("contract_id") or call.body.get("contract_id", ""),
            plan_id=wanted.get("plan_id", ""),
        )
        is_ours = contract and contract.sub_mchid == call.parameters.get("sub_mchid", "")
        return contract if is_ours else None

    def _schedule(self, call: Call) -> HttpResponse:
        contract, amount = self._find(call), call.body["schedule_amount"]["total"]
        if contract is None:
            return error_responses.no_resource("记录不存在")
        if violation := amount_violation("schedule_amount/total", amount):
            return error_responses.bad_parameter(violation)
        is_scheduled = self._schedule_state(contract) == "SCHEDULED"
        if contract.state != "SIGNED" or (is_scheduled and contract.scheduled != amount):
            return error_responses.invalid_request(_RULE)
        if not is_scheduled:
            contract = self._contracts.change(
                contract, schedule_state="SCHEDULED", scheduled=amount, scheduled_from=self._clock() + _NOTICE
            )
        return self._describe_schedule(call, contract)

    def _query_schedule(self, call: Call) -> HttpResponse:
        contract = self._find(call)
        if contract is None:
            return error_responses.no_resource("记录不存在")
        return self._describe_schedule(call, contract)

    def _schedule_state(self, contract: Contract) -> str:
        is_over = self._clock() > contract.scheduled_from + _PERIOD
        return "EXPIRED" if contract.schedule_state == "SCHEDULED" and is_over else contract.schedule_state

    def _describe_schedule(self, call: Call, contract: Contract) -> HttpResponse:
        members: dict[str, Any] = {"schedule_state": self._schedule_state(contract)}
        if contract.scheduled:
            amount = {"total": contract.scheduled, "currency": "CNY"}
            members |= {
                "deduct_start_date": format_rfc3339(contract.scheduled_from)[:10],
                "deduct_end_date": format_rfc3339(contract.scheduled_from + _PERIOD)[:10],
                "scheduled_amount": amount,
            }
            if contract.schedule_state == "PAID":
                paid = {"deduct_amount": amount, "deduct_date": format_rfc3339(contract.deducted)[:10]}
                members |= paid
        return _respond(call, members)

    def _apply(self, call: Call) -> HttpResponse:
        contract, body = self._find(call), call.body
        if contract is None or contract.state != "SIGNED":
            return error_responses.invalid_request(_RULE)
        if violation := amount_violation("amount/total", body["amount"]["total"]):
            return error_responses.bad_parameter(violation)
        order = Order(
            out_trade_no=body["out_trade_no"],
            appid=contract.appid,
            total=body["amount"]["total"],
            trade_type="PAP",
            description=body["description"],
            attach=body.get("attach", ""),
            notify_url=body["transaction_notify_url"],
            terms=f"PAP {json.dumps(body, sort_keys=True)}",
            protocol="v3",
            sub_mchid=contract.sub_mchid,
            sub_appid=contract.sub_appid,
        )
        needs_schedule = not any(kind in call.operation.template for kind in ("/harmony/", "/insurance-pay/"))
        is_scheduled = not needs_schedule or (
            self._schedule_state(contract) == "SCHEDULED"
            and contract.scheduled == order.total
            and contract.scheduled_from <= self._clock()
        )
        # A repeated request finds the schedule paid, and changes nothing.
        if not (is_scheduled or self._contracts.has_deducted(order.out_trade_no)):
            return error_responses.invalid_request(_RULE)
        placed = self._contracts.deduct(contract, order)
        if isinstance(placed, Rejection):
            return reject(placed)
        return _respond(call, {"out_trade_no": order.out_trade_no, "amount": body["amount"]})


def _respond(call: Call, members: dict[str, Any]) -> HttpResponse:
    return HttpResponse.json(shape(call.operation.response, members))
