"""APIv2's deductions (委托代扣): preparing, querying and ending contracts, contracts signed with a payment.

Contracts and deductions share one store with APIv3; a deduction is refunded as any order is.
https://pay.weixin.qq.com/wiki/doc/api/wxpay_v2/papay/chapter3_1.shtml
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.clock import format_local
from wechatpay.sandbox.contracts import CONTRACT_LIFETIME, TERMINATION_MODES, Contract
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.payments import DESCRIPTIONS
from wechatpay.sandbox.payments_v2 import describe_payment, links, parse_order, reject, validate
from wechatpay.sandbox.xml_messages import documented, failure, lasting, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.apiv2 import HandlerV2
    from wechatpay.sandbox.contracts import Contracts
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.messages import HttpResponse

__all__ = ["PapayV2"]

_NO_CONTRACT = ("CONTRACT_NOT_EXIST", "签约协议不存在")
_CODE_USED = ("INVALID_REQUEST", "请求参数符合参数格式，但不符合业务规则")


class PapayV2:
    """Handles APIv2's contracts and deductions.

    Attributes:
        handlers: What handles each operation, by template.
    """

    def __init__(self, contracts: Contracts, ledger: Ledger) -> None:
        """Prepare.

        Args:
            contracts: The merchant's contracts.
            ledger: The merchant's orders.
        """
        self._contracts = contracts
        self._ledger = ledger
        self.handlers: dict[str, HandlerV2] = {"v2/pay/contractorder": self._order}
        for partner in ("", "partner/"):
            self.handlers[f"v2/papay/{partner}preentrustweb"] = self._prepare_app
            self.handlers[f"v2/papay/{partner}h5entrustweb"] = self._prepare_h5
            self.handlers[f"v2/papay/{partner}querycontract"] = self._query
            self.handlers[f"v2/papay/{partner}deletecontract"] = self._terminate
            self.handlers[f"v2/pay/{partner}pappayapply"] = self._deduct
            self.handlers[f"v2/pay/{partner}paporderquery"] = self._query_order

    def _prepare_app(self, sent: Mapping[str, str]) -> HttpResponse:
        """APP纯签约: prepare a contract for signing in an app."""
        if not (prepared := self._contracts.prepare(_parse_contract(sent))):
            return failure(sent, *_CODE_USED)
        path = f"pages/index/index?session_id={prepared.session}"
        mini_program = {"miniprogram_username": "gh_9ced09aef0b5", "miniprogram_path": path}
        return success(sent, {**mini_program, "pre_entrustweb_id": prepared.session})

    def _prepare_h5(self, sent: Mapping[str, str]) -> HttpResponse:
        """H5纯签约: prepare a contract for signing in a browser."""
        if not (prepared := self._contracts.prepare(_parse_contract(sent))):
            return failure(sent, *_CODE_USED)
        page = f"https://payapp.weixin.qq.com/papay/h5entrustweb?pre_entrustweb_id={prepared.session}"
        return documented({"return_code": "SUCCESS", "result_code": "SUCCESS", "redirect_url": page})

    def _order(self, sent: Mapping[str, str]) -> HttpResponse:
        """支付中签约: place an order whose payer signs a contract by paying."""
        if error := validate(sent):
            return error
        placed = self._ledger.place(parse_order(sent, sent["trade_type"]))
        if isinstance(placed, Rejection):
            return reject(sent, placed)
        contract = _parse_contract(sent, notify_url=sent["contract_notify_url"])
        outcome = {"contract_result_code": "SUCCESS"}
        if not self._contracts.prepare(contract, out_trade_no=placed.out_trade_no):
            code, message = _CODE_USED
            outcome = {
                "contract_result_code": "FAIL",
                "contract_err_code": code,
                "contract_err_code_des": message,
            }
        names = ("plan_id", "request_serial", "contract_code", "contract_display_account", "out_trade_no")
        members = {**outcome, **{name: sent[name] for name in names}}
        credential = {"prepay_id": placed.prepay_id, "trade_type": placed.trade_type, **links(placed)}
        return success(sent, {**members, **credential})

    def _find(self, sent: Mapping[str, str]) -> Contract | None:
        """Return the contract that a request names by WeChat Pay's number, or by the plan and the code."""
        if contract_id := sent.get("contract_id"):
            found = self._contracts.find(contract_id=contract_id)
        else:
            code, plan_id = sent.get("contract_code", ""), sent.get("plan_id", "")
            found = self._contracts.find(code=code, plan_id=plan_id) if code and plan_id else None
        return found if found and found.sub_mchid == sent.get("sub_mch_id", "") else None

    def _query(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询签约关系: return a contract."""
        if (contract := self._find(sent)) is None:
            return failure(sent, *_NO_CONTRACT)
        ended: dict[str, str | int] = {}
        if contract.ended:
            ended = {
                "contract_terminated_time": format_local(contract.ended),
                "contract_termination_mode": TERMINATION_MODES[contract.mode],
                "contract_termination_remark": contract.remark,
            }
        return success(
            sent,
            {
                "contract_id": contract.contract_id,
                "plan_id": contract.plan_id,
                "contract_code": contract.code,
                "contract_display_account": contract.display_account,
                "contract_state": 0 if contract.state == "SIGNED" else 1,
                "contract_signed_time": format_local(contract.signed),
                "contract_expired_time": format_local(contract.signed + CONTRACT_LIFETIME),
                **ended,
                "openid": contract.openid,
            },
            has_nonce=False,
        )

    def _terminate(self, sent: Mapping[str, str]) -> HttpResponse:
        """申请解约: end a contract."""
        if (contract := self._find(sent)) is None:
            return failure(sent, *_NO_CONTRACT)
        try:
            ended = self._contracts.terminate(
                contract.code, "MCH_API_TERMINATE", sent["contract_termination_remark"]
            )
        except ConfigurationError:
            return failure(sent, "CONTRACTERROR", "协议已过期")
        members = {
            "contract_id": ended.contract_id,
            "plan_id": ended.plan_id,
            "contract_code": ended.code,
        }
        return success(sent, members, has_nonce=False)

    def _deduct(self, sent: Mapping[str, str]) -> HttpResponse:
        """申请扣款: accept a deduction, which is carried out afterwards."""
        contract = self._find({**sent, "sub_mch_id": sent.get("sub_mch_id", "")})
        if contract is None:
            return failure(sent, *_NO_CONTRACT)
        if contract.state != "SIGNED":
            return failure(sent, "CONTRACTERROR", "协议已过期")
        if int(sent["total_fee"]) < 1:
            return failure(sent, "PARAM_ERROR", "invalid total_fee")
        self._contracts.settle()
        order = Order(
            out_trade_no=sent["out_trade_no"],
            appid=sent["appid"],
            total=int(sent["total_fee"]),
            trade_type="PAP",
            description=sent["body"],
            attach=sent.get("attach", ""),
            currency=sent.get("fee_type", "CNY"),
            notify_url=sent["notify_url"],
            terms=f"PAP {json.dumps(sorted(lasting(sent).items()))}",
            sub_mchid=contract.sub_mchid,
            sub_appid=contract.sub_appid,
        )
        placed = self._contracts.deduct(contract, order, is_repeatable=False)
        return reject(sent, placed) if isinstance(placed, Rejection) else success(sent, {})

    def _query_order(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询订单: return the state of a deduction."""
        self._contracts.settle()
        order = self._ledger.find_own(
            sent.get("sub_mch_id", ""),
            out_trade_no=sent.get("out_trade_no", ""),
            transaction_id=sent.get("transaction_id", ""),
        )
        if isinstance(order, Rejection) or order.trade_type != "PAP":
            return reject(sent, Rejection.NO_ORDER)
        attach = {"attach": order.attach} if order.attach else {}
        return success(
            sent,
            {
                "trade_type": order.trade_type,
                "total_fee": order.total,
                **describe_payment(order),
                "openid": order.openid,
                "out_trade_no": order.out_trade_no,
                **attach,
                "trade_state": order.state,
                "trade_state_desc": DESCRIPTIONS[order.state],
            },
        )


def _parse_contract(sent: Mapping[str, str], notify_url: str = "") -> Contract:
    code = sent["contract_code"]
    return Contract(
        code=code,
        kind="papay",
        plan_id=sent["plan_id"],
        appid=sent.get("contract_appid") or sent["appid"],
        openid=sent.get("openid", ""),
        sub_mchid=sent.get("sub_mch_id", ""),
        sub_appid=sent.get("sub_appid", ""),
        display_account=sent["contract_display_account"],
        notify_url=notify_url or sent["notify_url"],
        protocol="v2",
        request_serial=sent["request_serial"],
    )
