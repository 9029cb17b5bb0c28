"""What payers have agreed to: contracts and authorizations, asked for by openid or code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import people
from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.apiv3 import refusals
from wechatpay.sandbox.catalogue import Breach
from wechatpay.sandbox.people import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.apiv3.question import Question

__all__ = ["OPERATIONS"]

_PAGE = 20

_CONTRACTS = {
    Standing.CUSTOMER: ("ADD", "ADD", "DELETE"),
    Standing.ENDED: ("DELETE",),
    Standing.NEVER: (),
}


def contracts(question: Question) -> Answer:
    """List the contracts of a payer, newest first: 通过用户标识查询签约."""
    openid, query = question.variables["openid"], question.query
    if (standing := people.standing(openid)) is None:
        return _no_payer(openid)
    offset, limit = int(query.get("offset", "0")), int(query.get("limit", str(_PAGE)))
    for name, value, least in (("offset", offset, 0), ("limit", limit, 1)):
        if value < least:
            rule = f"数值规则校验失败，值低于最小值 {least}"
            return refusals.bad_parameter(Breach("query", name, query[name], rule))
    all_ = [
        _contract(question, index, status)
        for index, status in enumerate(_CONTRACTS[standing])
        if query.get("contract_status", status) == status
    ]
    page = all_[offset : offset + limit]
    return Answer.json({"data": page, "total_count": len(all_), "offset": offset, "limit": limit})


def _contract(question: Question, index: int, status: str) -> dict[str, Any]:
    openid = question.variables["openid"]
    seed = f"{openid} {question.query['plan_id']} {index}"
    return {
        "sp_mchid": question.mchid,
        **question.echo("appid", "sub_mchid", "sub_appid", "sub_openid", "plan_id"),
        "openid": openid,
        "contract_information": {
            "contract_id": people.number(seed, 18),
            "contract_status": status,
            "create_time": people.moment(openid, days=-index),
        },
    }


def business_circle(question: Question) -> Answer:
    """Tell whether a payer lets a business circle collect points: 商圈积分授权查询."""
    openid = question.variables["openid"]
    if (standing := people.standing(openid)) is None:
        return _no_payer(openid)
    state = {Standing.CUSTOMER: "AUTHORIZED", Standing.ENDED: "DEAUTHORIZED", Standing.NEVER: "UNAUTHORIZED"}
    times = _times(standing, openid, "authorize_time", "deauthorize_time")
    return Answer.json({"openid": openid, "authorize_state": state[standing], **times})


def pay_score(question: Question) -> Answer:
    """Tell how an authorization of the pay score stands: 从业机构查询与用户授权记录（授权协议号）."""
    code = question.variables["authorization_code"]
    if (standing := people.agreement(code)) is None:
        return refusals.no_resource(f"授权协议号{code}不存在")
    state = {Standing.CUSTOMER: "AVAILABLE", Standing.ENDED: "UNAVAILABLE", Standing.NEVER: "UNBINDUSER"}
    return Answer.json(
        {
            **question.echo("service_id", "channel_id", "sub_mchid"),
            "appid": f"wx{people.number(code, 16)}",
            "mchid": question.mchid,
            "openid": f"o{people.number(code, 27)}",
            "authorization_code": code,
            "authorization_state": state[standing],
            **_times(standing, code, "authorization_success_time", "cancel_authorization_time"),
        }
    )


def palm(question: Question) -> Answer:
    """Tell whether a payer may pay by palm: 查询刷掌授权."""
    openid = question.variables["openid"]
    if (standing := people.standing(openid)) is None:
        return _no_payer(openid)
    state = {Standing.CUSTOMER: "ON", Standing.ENDED: "OFF", Standing.NEVER: "NONE"}
    authorized = {"authorize_time": people.moment(openid)} if standing is Standing.CUSTOMER else {}
    return Answer.json(
        {
            "openid": openid,
            **question.echo("organization_id"),
            "state": f"AUTHORIZATION_STATE_{state[standing]}",
            **authorized,
        }
    )


def _times(standing: Standing, seed: str, begun: str, ended: str) -> dict[str, str]:
    if standing is Standing.NEVER:
        return {}
    times = {begun: people.moment(seed)}
    return times | {ended: people.moment(seed, days=30)} if standing is Standing.ENDED else times


def _no_payer(openid: str) -> Answer:
    return refusals.no_resource(f"用户{openid}不存在")


#: What answers each operation of the catalogue.
OPERATIONS: Mapping[tuple[str, str], Callable[[Question], Answer]] = {
    ("GET", "v3/edu-papay/user/{openid}/contracts"): contracts,
    ("GET", "v3/businesscircle/user-authorizations/{openid}"): business_circle,
    ("GET", "v3/payscore/acquiringbank/permissions/authorization-code/{authorization_code}"): pay_score,
    ("GET", "v3/palmservice/authorization/openid/{openid}"): palm,
}
