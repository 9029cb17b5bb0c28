"""Profit sharing of APIv2: receivers, single and repeated shares, returns, and the end of sharing.

``secapi/pay/profitsharing`` shares once and unfreezes the rest, ``secapi/pay/multiprofitsharing`` leaves it
frozen until ``secapi/pay/profitsharingfinish``. All of them share one store with APIv3.
https://pay.weixin.qq.com/wiki/doc/api/allocation.php?chapter=27_1&index=1
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.clock import format_digits
from wechatpay.sandbox.profit_sharing import REJECTIONS
from wechatpay.sandbox.sharing import (
    MAX_RATIO,
    MERCHANT,
    Part,
    Sharing,
    SharingLedger,
    SharingRejection,
    SharingReturn,
)
from wechatpay.sandbox.xml_messages import documented, failure, success

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wechatpay.sandbox.apiv2 import HandlerV2
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.messages import HttpResponse

__all__ = ["ProfitSharingV2"]

#: APIv2's spelling of APIv3's codes.
_CODES = {"RESOURCE_NOT_EXISTS": "ORDERNOTEXIST", "NOT_ENOUGH": "NOTENOUGH"}

_BAD_RECEIVER = ("PARAM_ERROR", "分账接收方的参数格式错误")


class ProfitSharingV2:
    """Handles APIv2's profit sharing.

    Attributes:
        handlers: What handles each operation, by template.
    """

    def __init__(self, sharings: SharingLedger, ledger: Ledger) -> None:
        """Prepare.

        Args:
            sharings: The merchant's shares.
            ledger: The merchant's orders.
        """
        self._sharings = sharings
        self._ledger = ledger
        self.handlers: dict[str, HandlerV2] = {
            "v2/pay/profitsharingaddreceiver": self._add_receiver,
            "v2/pay/profitsharingremovereceiver": self._remove_receiver,
            "v2/secapi/pay/profitsharing": partial(self._share, is_unfreezing=True),
            "v2/secapi/pay/multiprofitsharing": partial(self._share, is_unfreezing=False),
            "v2/secapi/pay/profitsharingfinish": self._finish,
            "v2/pay/profitsharingquery": self._query,
            "v2/secapi/pay/profitsharingreturn": self._return,
            "v2/pay/profitsharingreturnquery": self._query_return,
            "v2/pay/profitsharingorderamountquery": self._amounts,
            "v2/pay/profitsharingmerchantratioquery": _ratio,
        }

    def _add_receiver(self, sent: Mapping[str, str]) -> HttpResponse:
        """添加分账接收方: allow an account to receive shares."""
        receivers = _read(sent["receiver"], "type", "account")
        if len(receivers) != 1:
            return failure(sent, *_BAD_RECEIVER)
        receiver = receivers[0]
        rejection = self._sharings.add_receiver(
            sent.get("sub_mch_id", ""),
            receiver["type"],
            receiver["account"],
            receiver.get("relation_type", ""),
            has_name=bool(receiver.get("name")),
        )
        return _reject(sent, rejection) if rejection else _echo(sent, receiver)

    def _remove_receiver(self, sent: Mapping[str, str]) -> HttpResponse:
        """删除分账接收方: forbid an account to receive shares."""
        receivers = _read(sent["receiver"], "type", "account")
        if len(receivers) != 1:
            return failure(sent, *_BAD_RECEIVER)
        receiver = receivers[0]
        self._sharings.remove_receiver(sent.get("sub_mch_id", ""), receiver["type"], receiver["account"])
        return _echo(sent, receiver)

    def _share(self, sent: Mapping[str, str], *, is_unfreezing: bool) -> HttpResponse:
        """请求单次分账, 请求多次分账: share the receipts of an order."""
        receivers = _read(sent["receivers"], "type", "account", "description")
        if not receivers or any(type(receiver.get("amount")) is not int for receiver in receivers):
            return failure(sent, *_BAD_RECEIVER)
        made = self._sharings.share(
            sent["transaction_id"],
            sent["out_order_no"],
            [Part(r["type"], r["account"], r["amount"], r["description"]) for r in receivers],
            sub_mchid=sent.get("sub_mch_id", ""),
            is_unfreezing=is_unfreezing,
        )
        if isinstance(made, SharingRejection):
            return _reject(sent, made)
        parts = _write(_describe(part, made, "receiver_account") for part in made.parts)
        status = {"status": "FINISHED"} if is_unfreezing else {}
        return success(sent, {**_numbers(made), **status, "receivers": parts})

    def _finish(self, sent: Mapping[str, str]) -> HttpResponse:
        """完结分账: unfreeze the rest."""
        made = self._sharings.unfreeze(
            sent["transaction_id"],
            sent["out_order_no"],
            sent["description"],
            sent["mch_id"],
            sent.get("sub_mch_id", ""),
        )
        return _reject(sent, made) if isinstance(made, SharingRejection) else success(sent, _numbers(made))

    def _query(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询分账结果: return a share with its parts."""
        found = self._find(sent)
        if found is None or found.transaction_id != sent["transaction_id"]:
            return failure(sent, "ORDERNOTEXIST", "记录不存在")
        parts = _write(_describe(part, found, "account") for part in found.parts)
        order = self._ledger.find(out_trade_no=found.out_trade_no)
        app = {"appid": order.appid} if order else {}
        return success(sent, {**app, **_numbers(found), "status": "FINISHED", "receivers": parts})

    def _return(self, sent: Mapping[str, str]) -> HttpResponse:
        """分账回退: let a merchant return its part, or some of it."""
        made = self._sharings.give_back(
            self._find(sent),
            sent["out_return_no"],
            sent["return_account"],
            int(sent["return_amount"]),
            sent["description"],
        )
        return (
            _reject(sent, made) if isinstance(made, SharingRejection) else self._describe_return(sent, made)
        )

    def _query_return(self, sent: Mapping[str, str]) -> HttpResponse:
        """回退结果查询: return what was given back."""
        found, sharing = self._sharings.find_return(sent["out_return_no"]), self._find(sent)
        if found is None or sharing is None or found.out_order_no != sharing.out_order_no:
            return failure(sent, "ORDERNOTEXIST", "记录不存在")
        return self._describe_return(sent, found)

    def _find(self, sent: Mapping[str, str]) -> Sharing | None:
        return self._sharings.find_own(
            sent.get("sub_mch_id", ""),
            out_order_no=sent.get("out_order_no", ""),
            order_id=sent.get("order_id", ""),
        )

    def _describe_return(self, sent: Mapping[str, str], returned: SharingReturn) -> HttpResponse:
        sharing = self._sharings.find(out_order_no=returned.out_order_no)
        members: dict[str, str | int] = {
            "order_id": sharing.order_id if sharing else "",
            "out_order_no": returned.out_order_no,
            "out_return_no": returned.out_return_no,
            "return_no": returned.return_id,
            "return_account_type": MERCHANT,
            "return_account": returned.return_mchid,
            "return_amount": returned.amount,
            "description": returned.description,
            "result": "SUCCESS",
            "finish_time": format_digits(returned.at),
        }
        return success(sent, members)

    def _amounts(self, sent: Mapping[str, str]) -> HttpResponse:
        """查询订单待分账金额: return the fen that can still be shared."""
        order = self._ledger.find(transaction_id=sent["transaction_id"])
        if order is None:
            return _reject(sent, SharingRejection.NO_ORDER)
        members = {"transaction_id": sent["transaction_id"], "unsplit_amount": order.frozen}
        return documented({**_HEAD, **_merchants(sent), **members})


_HEAD = {"return_code": "SUCCESS", "return_msg": "OK"}


def _ratio(sent: Mapping[str, str]) -> HttpResponse:
    """查询最大分账比例: return the hundredths of a percent that may be shared."""
    return documented({**_HEAD, **_merchants(sent), "max_ratio": MAX_RATIO})


def _merchants(sent: Mapping[str, str]) -> dict[str, str]:
    named = {name: sent[name] for name in ("mch_id", "sub_mch_id", "brand_mch_id") if sent.get(name)}
    return {**named, "nonce_str": sent.get("nonce_str", "")}


def _numbers(made: Sharing) -> dict[str, str | int]:
    return {
        "transaction_id": made.transaction_id,
        "out_order_no": made.out_order_no,
        "order_id": made.order_id,
    }


def _describe(part: Part, made: Sharing, account: str) -> dict[str, Any]:
    """Return a part; the response and the query name its account in two ways."""
    merchant = {"receiver_mchid": part.account} if part.type == MERCHANT else {}
    return {
        "type": part.type,
        account: part.account,
        **merchant,
        "amount": part.amount,
        "description": part.description,
        "result": "SUCCESS",
        "detail_id": part.detail_id,
        "finish_time": format_digits(made.at),
    }


def _echo(sent: Mapping[str, str], receiver: Mapping[str, Any]) -> HttpResponse:
    named = {"type": receiver["type"], "account": receiver["account"]}
    return success(sent, {"receiver": json.dumps(named, separators=(",", ":"))})


def _write(parts: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))


def _read(text: str, *required: str) -> list[dict[str, Any]]:
    """Read a receiver, or several, from JSON; ``[]`` if one is not an object, or lacks a required text."""
    try:
        given = json.loads(text)
    except ValueError:
        return []
    receivers = given if isinstance(given, list) else [given]
    are_valid = all(
        isinstance(receiver, dict) and all(isinstance(receiver.get(name), str) for name in required)
        for receiver in receivers
    )
    return receivers if are_valid else []


def _reject(sent: Mapping[str, str], rejection: SharingRejection) -> HttpResponse:
    if rejection is SharingRejection.NO_NAME:
        return failure(sent, "LACK_PARAMS", "缺少参数name：分账接收方类型是MERCHANT_ID时必传")
    if rejection is SharingRejection.BAD_AMOUNT:
        return failure(sent, "PARAM_ERROR", "参数amount错误：值低于最小值 1")
    _, code, message = REJECTIONS[rejection]
    return failure(sent, _CODES.get(code, code), message)
