"""Contracts and authorizations of payers, queried by openid or code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import error_responses, test_users
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.test_users import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.apiv3 import Call, Handler

__all__ = ["HANDLERS"]


_PAGE = 20

_CONTRACTS = {
    Standing.CUSTOMER: ("ADD", "ADD", "DELETE"),
    Standing.ENDED: ("DELETE",),
    Standing.NEVER: (),
}


def contracts(call: Call) -> HttpResponse:
    """List the contracts of a payer, newest first: 通过用户标识查询签约."""
    openid, query = call.variables["openid"], call.query
    if (standing := test_users.standing(openid)) is None:
        return _no_payer(openid)
    offset, limit = int(query.get("offset", "0")), int(query.get("limit", str(_PAGE)))
    for name, value, least in (("offset", offset, 0), ("limit", limit, 1)):
        if value < least:
            rule = f"数值规则校验失败，值低于最小值 {least}"
            return error_responses.bad_parameter(Violation("query", name, query[name], rule))
    all_ = [
        _contract(call, index, status)
        for index, status in enumerate(_CONTRACTS[standing])
        if query.get("contract_status", status) == status
    ]
    page = all_[offset : offset + limit]
    return HttpResponse.json({"data": page, "total_count": len(all_), "offset": offset, "limit": limit})


def _contract(call: Call, index: int, status: str) -> dict[str, Any]:
    openid = call.variables["openid"]
    seed = f"{openid} {call.query['plan_id']} {index}"
    return {
        "sp_mchid": call.mchid,
        **call.echo("appid", "sub_mchid", "sub_appid", "sub_openid", "plan_id"),
        "openid": openid,
        "contract_information": {
            "contract_id": test_users.number(seed, 18),
            "contract_status": status,
            "create_time": test_users.moment(openid, days=-index),
        },
    }


def business_circle(call: Call) -> HttpResponse:
    """Return whether a payer lets a business circle collect points: 商圈积分授权查询."""
    openid = call.variables["openid"]
    if (standing := test_users.standing(openid)) is None:
        return _no_payer(openid)
    state = {Standing.CUSTOMER: "AUTHORIZED", Standing.ENDED: "DEAUTHORIZED", Standing.NEVER: "UNAUTHORIZED"}
    times = _times(standing, openid, "authorize_time", "deauthorize_time")
    return HttpResponse.json({"openid": openid, "authorize_state": state[standing], **times})


def pay_score(call: Call) -> HttpResponse:
    """Return how an authorization of the pay score stands: 从业机构查询与用户授权记录（授权协议号）."""
    code = call.variables["authorization_code"]
    if (standing := test_users.agreement(code)) is None:
        return error_responses.no_resource(f"授权协议号{code}不存在")
    state = {Standing.CUSTOMER: "AVAILABLE", Standing.ENDED: "UNAVAILABLE", Standing.NEVER: "UNBINDUSER"}
    return HttpResponse.json(
        {
            **call.echo("service_id", "channel_id", "sub_mchid"),
            "appid": f"wx{test_users.number(code, 16)}",
            "mchid": call.mchid,
            "openid": f"o{test_users.number(code, 27)}",
            "authorization_code": code,
            "authorization_state": state[standing],
            **_times(standing, code, "authorization_success_time", "cancel_authorization_time"),
        }
    )


def palm(call: Call) -> HttpResponse:
    """Return whether a payer may pay by palm: 查询刷掌授权."""
    openid = call.variables["openid"]
    if (standing := test_users.standing(openid)) is None:
        return _no_payer(openid)
    state = {Standing.CUSTOMER: "ON", Standing.ENDED: "OFF", Standing.NEVER: "NONE"}
    authorized = {"authorize_time": test_users.moment(openid)} if standing is Standing.CUSTOMER else {}
    return HttpResponse.json(
        {
            "openid": openid,
            **call.echo("organization_id"),
            "state": f"AUTHORIZATION_STATE_{state[standing]}",
            **authorized,
        }
    )


def _times(standing: Standing, seed: str, begun: str, ended: str) -> dict[str, str]:
    if standing is Standing.NEVER:
        return {}
    times = {begun: test_users.moment(seed)}
    return times | {ended: test_users.moment(seed, days=30)} if standing is Standing.ENDED else times


def _no_payer(openid: str) -> HttpResponse:
    return error_responses.no_resource(f"用户{openid}不存在")


#: What handles each operation, by method and template.
HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "v3/edu-papay/user/{openid}/contracts"): contracts,
    ("GET", "v3/businesscircle/user-authorizations/{openid}"): business_circle,
    ("GET", "v3/payscore/acquiringbank/permissions/authorization-code/{authorization_code}"): pay_score,
    ("GET", "v3/palmservice/authorization/openid/{openid}"): palm,
}
