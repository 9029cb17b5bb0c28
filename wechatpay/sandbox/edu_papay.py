"""APIv3's education deductions (教育续费通): contracts, the notice to the payer, deductions.

https://pay.weixin.qq.com/doc/v3/partner/4012085882
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.contracts import Contract
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.order_checks import amount_violation
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.payments import DESCRIPTIONS
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.test_users import standing

if TYPE_CHECKING:
    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.contracts import Contracts
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["EduPapay"]

_RULE = "请求的业务参数符合参数格式，但不符合业务规则"


class EduPapay:
    """Handles education deductions.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, contracts: Contracts, ledger: Ledger) -> None:
        """Prepare.

        Args:
            contracts: The merchant's contracts.
            ledger: The merchant's orders.
        """
        self._contracts = contracts
        self._ledger = ledger
        root = "v3/edu-papay"
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", f"{root}/contracts/presign"): self._prepare,
            ("GET", f"{root}/contracts/id/{{contract_id}}"): self._query,
            ("DELETE", f"{root}/contracts/{{contract_id}}"): self._terminate,
            ("POST", f"{root}/user-notifications/{{contract_id}}/send"): self._announce,
            ("POST", f"{root}/transactions"): self._deduct,
            ("GET", f"{root}/transactions/id/{{transaction_id}}"): self._query_order,
            ("GET", f"{root}/transactions/out-trade-no/{{out_trade_no}}"): self._query_order,
        }

    def _prepare(self, call: Call) -> HttpResponse:
        body = call.body
        if standing(body["openid"]) is None:
            return error_responses.error(400, "PARAM_ERROR", "无效的openid")
        names = ("openid", "plan_id", "user_id", "period_start_date", "sub_mchid")
        token = self._ledger.make_number(" ".join(str(body.get(name)) for name in names), 32)
        self._contracts.prepare(
            Contract(
                code=token,
                kind="edu-papay",
                plan_id=body["plan_id"],
                appid=body["appid"],
                openid=body["openid"],
                sub_mchid=body.get("sub_mchid", ""),
                sub_appid=body.get("sub_appid", ""),
                user_code=body["user_id"],
            )
        )
        return HttpResponse.json({"presign_token": token})

    def _find(self, call: Call) -> Contract | None:
        contract_id = call.variables.get("contract_id") or call.body.get("contract_id", "")
        contract = self._contracts.find(contract_id=contract_id)
        return contract if contract and contract.state == "SIGNED" else None

    def _query(self, call: Call) -> HttpResponse:
        contract = self._find(call)
        if contract is None:
            return error_responses.error(404, "NOT_FOUND", "记录不存在")
        return HttpResponse.json(shape(call.operation.response, describe_education(contract, call.mchid)))

    def _terminate(self, call: Call) -> HttpResponse:
        contract = self._find(call)
        if contract is None:
            return error_responses.error(404, "NOT_FOUND", "记录不存在")
        try:
            self._contracts.terminate(contract.code, "MCH_API_TERMINATE")
        except ConfigurationError:  # pragma: no cover  another thread ended it
            return error_responses.invalid_request(_RULE)
        return HttpResponse(204)

    def _announce(self, call: Call) -> HttpResponse:
        contract = self._find(call)
        if contract is None:
            return error_responses.error(404, "NOT_FOUND", "记录不存在")
        self._contracts.change(contract, is_announced=True)
        return HttpResponse(204)

    def _deduct(self, call: Call) -> HttpResponse:
        contract, body = self._find(call), call.body
        if contract is None:
            return error_responses.error(404, "NOT_FOUND", "记录不存在")
        if violation := amount_violation("amount/total", body["amount"]["total"]):
            return error_responses.bad_parameter(violation)
        order = Order(
            out_trade_no=body["out_trade_no"],
            appid=body["appid"],
            total=body["amount"]["total"],
            trade_type="PAP",
            description=body["body"],
            attach=body.get("attach", ""),
            notify_url=body["notify_url"],
            terms=f"EDU {json.dumps(body, sort_keys=True)}",
            protocol="v3",
            sub_mchid=contract.sub_mchid,
            sub_appid=contract.sub_appid,
            device_id=body["device_information"].get("device_id", ""),
            device_ip=body["device_information"]["device_ip"],
        )
        if self._ledger.find(out_trade_no=order.out_trade_no):
            return error_responses.error(400, "ALREADY_EXISTS", "资源已存在")
        if not contract.is_announced:
            return error_responses.invalid_request(_RULE)
        self._contracts.deduct(contract, order)
        return HttpResponse(204)

    def _query_order(self, call: Call) -> HttpResponse:
        self._contracts.settle()
        order = self._ledger.find_own(
            call.query.get("sub_mchid", ""),
            out_trade_no=call.variables.get("out_trade_no", ""),
            transaction_id=call.variables.get("transaction_id", ""),
        )
        if isinstance(order, Rejection) or order.trade_type != "PAP":
            return error_responses.error(404, "NOT_FOUND", "记录不存在")
        return HttpResponse.json(shape(call.operation.response, _describe_order(order, call.mchid)))


def describe_education(contract: Contract, mchid: str) -> dict[str, Any]:
    """Return an education contract under its documented names."""
    return {
        "sp_mchid": mchid,
        "appid": contract.appid,
        "sub_mchid": contract.sub_mchid or None,
        "sub_appid": contract.sub_appid or None,
        "openid": contract.openid,
        "plan_id": contract.plan_id,
        "contract_information": {
            "contract_id": contract.contract_id,
            "contract_status": "ADD" if contract.state == "SIGNED" else "DELETE",
            "create_time": format_rfc3339(contract.signed),
        },
    }


def _describe_order(order: Order, mchid: str) -> dict[str, Any]:
    paid: dict[str, Any] = {}
    if order.payment:
        paid = {
            "transaction_id": order.payment.transaction_id,
            "bank_type": "OTHERS",
            "success_time": format_rfc3339(order.payment.at),
        }
    return {
        "sp_mchid": mchid,
        "appid": order.appid,
        "sub_mchid": order.sub_mchid or None,
        "sub_appid": order.sub_appid or None,
        "out_trade_no": order.out_trade_no,
        "attach": order.attach or None,
        **paid,
        "trade_state": order.state,
        "trade_state_description": DESCRIPTIONS[order.state],
        "payer": {"openid": order.openid},
        "amount": {
            "total": order.total,
            "payer_total": order.total if order.payment else 0,
            "discount_total": 0,
            "currency": order.currency,
        },
        "device_information": {"device_id": order.device_id or None, "device_ip": order.device_ip},
    }
