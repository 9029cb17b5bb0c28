"""Transfers to users, which the payee confirms (商家转账).

https://pay.weixin.qq.com/doc/v3/merchant/4012716434
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.clock import format_rfc3339
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.fund_texts import FundEntry
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import number, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.ledger import Ledger

__all__ = ["Transfers"]

#: Seconds in which the payee can confirm.
_CONFIRMATION_PERIOD = 86400

#: Seconds in which a transfer can be queried.
_QUERY_PERIOD = 30 * 86400

#: Fen: the smallest transfer, and the smallest one that must name the payee.
_MINIMUM, _NAMED = 10, 200_000

#: Characters of some parameters, at most.
_LENGTHS = {"transfer_remark": 32, "info_type": 15, "info_content": 32}

#: The reports that a scene requires, and what its payees may be shown; other scenes are not documented.
_SCENES = {
    "1000": (["奖励说明", "活动名称"], {"活动奖励", "现金奖励"}),
    "1005": (["岗位类型", "报酬说明"], set()),
    "1011": (["赔付原因"], {"退款", "商家赔付"}),
}

_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_ROOT = "v3/fund-app/mch-transfer/transfer-bills"


@dataclass(frozen=True, slots=True)
class _Transfer:
    out_bill_no: str
    transfer_bill_no: str
    created: float
    updated: float
    state: str
    body: dict[str, Any] = field(repr=False)
    mchid: str = ""
    fail_reason: str = ""


class Transfers:
    """Handles transfers to users; thread-safe.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float], send: Callable[[Task], bool]) -> None:
        """Prepare.

        Args:
            ledger: The merchant's orders; it makes the numbers.
            clock: Returns Unix seconds.
            send: Delivers a callback.
        """
        self._ledger = ledger
        self._clock = clock
        self._send = send
        self._lock = threading.RLock()
        self._transfers: Table[str, _Transfer] = Table()
        #: When those were created that wait for the payee: the others need no look.
        self._waiting: Table[str, float] = Table()
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", _ROOT): self._create,
            ("GET", f"{_ROOT}/out-bill-no/{{out_bill_no}}"): self._query,
            ("GET", f"{_ROOT}/transfer-bill-no/{{transfer_bill_no}}"): self._query,
            ("POST", f"{_ROOT}/out-bill-no/{{out_bill_no}}/cancel"): self._cancel,
        }

    def confirm(self, out_bill_no: str) -> str:
        """Confirm a transfer as the payee, and return its state.

        Raises:
            ConfigurationError: It is unknown, or does not wait for a confirmation.
        """
        with self._lock:
            self.settle()
            transfer = self._transfers.get(out_bill_no)
            if transfer is None or transfer.state != "WAIT_USER_CONFIRM":
                state = "unknown" if transfer is None else transfer.state
                raise ConfigurationError(
                    f"out_bill_no: {out_bill_no!r:.80} is {state}, not WAIT_USER_CONFIRM"
                )
            return self._finish(transfer, "SUCCESS").state

    def describe(self) -> list[dict[str, Any]]:
        """Return all transfers as the query has them, oldest first."""
        with self._lock:
            self.settle()
            return [_describe(transfer) for transfer in self._transfers.values()]

    def settle(self) -> bool:
        """End the transfers that were not confirmed in time, and return whether others wait."""
        with self._lock:
            now = self._clock()
            for name in [n for n, created in self._waiting.items() if now > created + _CONFIRMATION_PERIOD]:
                self._finish(self._transfers[name], "FAIL", "OVERDUE_CLOSE")
            return bool(self._waiting)

    def bookings(self) -> list[FundEntry]:
        """Return the bookings of the transfers that succeeded."""
        with self._lock:
            return [
                FundEntry(
                    t.updated,
                    t.transfer_bill_no,
                    "商家转账",
                    "商家转账",
                    -t.body["transfer_amount"],
                    f"{t.mchid}API",
                    t.body["transfer_remark"],
                    t.out_bill_no,
                )
                for t in self._transfers.values()
                if t.state == "SUCCESS"
            ]

    def _create(self, call: Call) -> HttpResponse:
        body = dict(call.body)
        if not (_NUMBER.fullmatch(body["out_bill_no"]) and isinstance(body["transfer_amount"], int)):
            return error_responses.error(400, "PARAM_ERROR", "参数错误")
        if error := _rule_error(body):
            return error
        if standing(body["openid"]) is None:
            return error_responses.invalid_request("Openid格式错误或者不属于商家公众账号")
        if body["transfer_amount"] < _MINIMUM:
            return error_responses.invalid_request("超过单笔转账上下限，核实产品设置是否准确")
        with self._lock:
            known = self._transfers.get(body["out_bill_no"])
            if known and json.dumps(_comparable(known.body)) != json.dumps(_comparable(body)):
                return error_responses.invalid_request("单号已存在但信息不一致，请查单后比较确认")
            if known is None:
                now, out_bill_no = self._clock(), body["out_bill_no"]
                digits = f"13300{self._ledger.make_number(f'transfer {out_bill_no}', 27)}"
                known = _Transfer(out_bill_no, digits, now, now, "WAIT_USER_CONFIRM", body, call.mchid)
                self._transfers[out_bill_no] = known
                self._waiting[out_bill_no] = now
        return HttpResponse.json(_created(known))

    def _query(self, call: Call) -> HttpResponse:
        transfer = self._find(call)
        if transfer is None or self._clock() > transfer.created + _QUERY_PERIOD:
            return _not_found()
        return HttpResponse.json(_describe(transfer))

    def _cancel(self, call: Call) -> HttpResponse:
        with self._lock:
            transfer = self._find(call)
            if transfer is None:
                return _not_found()
            if transfer.state in {"SUCCESS", "FAIL"}:
                return error_responses.invalid_request("当前转账单状态不支持撤销")
            if transfer.state != "CANCELLED":
                transfer = self._finish(transfer, "CANCELLED")
        names = ("out_bill_no", "transfer_bill_no", "state", "update_time")
        described = _describe(transfer)
        return HttpResponse.json({name: described[name] for name in names})

    def _find(self, call: Call) -> _Transfer | None:
        with self._lock:
            self.settle()
            if out_bill_no := call.variables.get("out_bill_no"):
                return self._transfers.get(out_bill_no)
            wanted = call.variables["transfer_bill_no"]
            return next((t for t in self._transfers.values() if t.transfer_bill_no == wanted), None)

    def _finish(self, transfer: _Transfer, state: str, fail_reason: str = "") -> _Transfer:
        ended = replace(transfer, state=state, updated=self._clock(), fail_reason=fail_reason)
        self._transfers[transfer.out_bill_no] = ended
        self._waiting.pop(transfer.out_bill_no, None)
        if url := transfer.body.get("notify_url"):
            resource = CompleteResource(_describe(ended))
            for name in ("appid", "transfer_remark", "user_name"):
                resource.pop(name, None)
            event_id = f"EV-{transfer.transfer_bill_no}"
            self._send(Task("MCHTRANSFER.BILL.FINISHED", url, resource, {"id": event_id}))
        return ended


def _violations(body: Mapping[str, Any]) -> Iterator[Violation]:
    """Return the rules that a transfer's parameters violate beyond those of the catalogue."""
    parts = {"transfer_remark": body["transfer_remark"]}
    for index, report in enumerate(body["transfer_scene_report_infos"]):
        parts |= {f"transfer_scene_report_infos/{index}/{name}": text for name, text in report.items()}
    for name, text in parts.items():
        most = _LENGTHS[name.rpartition("/")[2]]
        if len(text) > most:
            yield Violation("body", name, text, f"长度规则校验失败，不得超过{most}个字符")
    if body["transfer_amount"] >= _NAMED and not body.get("user_name"):
        yield Violation("body", "user_name", None, "必填性规则校验失败，此字段为必填项")


def _rule_error(body: Mapping[str, Any]) -> HttpResponse | None:
    """Refuse wrong parameters, and reports and perceptions that the scene of a transfer does not have."""
    if violation := next(_violations(body), None):
        return error_responses.bad_parameter(violation)
    given = sorted(report["info_type"] for report in body["transfer_scene_report_infos"])
    reports, perceptions = _SCENES.get(body["transfer_scene_id"], (given, None))
    if not given:
        return error_responses.error(400, "PARAM_ERROR", "需传入转账场景报备信息，请检查")
    if given != sorted(reports):
        message = "未传入完整且对应的转账场景报备信息，请根据接口文档检查"
        return error_responses.error(400, "PARAM_ERROR", message)
    perception = body.get("user_recv_perception")
    if perception and perceptions is not None and perception not in perceptions:
        return error_responses.invalid_request("暂不支持展示当前传入的用户收款感知")
    return None


def _created(transfer: _Transfer) -> dict[str, Any]:
    confirmation = (
        {"package_info": f"ABBQO{number(transfer.transfer_bill_no, 40)}"}
        if transfer.state == "WAIT_USER_CONFIRM"
        else {}
    )
    return {
        "out_bill_no": transfer.out_bill_no,
        "transfer_bill_no": transfer.transfer_bill_no,
        "create_time": format_rfc3339(transfer.created),
        "state": transfer.state,
        **confirmation,
    }


def _describe(transfer: _Transfer) -> dict[str, Any]:
    body = transfer.body
    failed = {"fail_reason": transfer.fail_reason} if transfer.fail_reason else {}
    return {
        "mch_id": transfer.mchid,
        "out_bill_no": transfer.out_bill_no,
        "transfer_bill_no": transfer.transfer_bill_no,
        "appid": body["appid"],
        "state": transfer.state,
        "transfer_amount": body["transfer_amount"],
        "transfer_remark": body["transfer_remark"],
        **failed,
        "openid": body["openid"],
        "create_time": format_rfc3339(transfer.created),
        "update_time": format_rfc3339(transfer.updated),
    }


def _comparable(body: dict[str, Any]) -> list[Any]:
    """Return the parameters that a repeated request must share; encrypted ones always differ."""
    return sorted((name, json.dumps(value)) for name, value in body.items() if name != "user_name")


def _not_found() -> HttpResponse:
    return error_responses.error(404, "NOT_FOUND", "记录不存在")
