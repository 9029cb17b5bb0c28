"""Contracts and authorizations of payers: of test users, and those that payers gave or revoked since.

The end of an openid or code says what a test user has authorised (:mod:`wechatpay.sandbox.test_users`);
`Agreements.authorize` and `Agreements.revoke` change it in the payer's place.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses, test_users
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.clock import format_digits, format_rfc3339
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.edu_papay import describe_education
from wechatpay.sandbox.messages import HttpResponse
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.responses import shape
from wechatpay.sandbox.store import Table
from wechatpay.sandbox.test_users import PAYER, Standing, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv3 import Call, Handler
    from wechatpay.sandbox.contracts import Contracts

__all__ = ["Agreements"]

_PAGE = 20

_CONTRACTS = {
    Standing.CUSTOMER: ("ADD", "ADD", "DELETE"),
    Standing.ENDED: ("DELETE",),
    Standing.NEVER: (),
}

#: The states of each service: authorised, revoked, never authorised.
_STATES = {
    "businesscircle": ("AUTHORIZED", "DEAUTHORIZED", "UNAUTHORIZED"),
    "palmservice": ("AUTHORIZATION_STATE_ON", "AUTHORIZATION_STATE_OFF", "AUTHORIZATION_STATE_NONE"),
    "payscore": ("AVAILABLE", "UNAVAILABLE", "UNBINDUSER"),
}


class Agreements:
    """Handles contracts of education and authorizations; thread-safe.

    Attributes:
        handlers: What handles each operation, by method and template.
    """

    def __init__(
        self, contracts: Contracts, clock: Callable[[], float], send: Callable[[Task], bool]
    ) -> None:
        """Prepare.

        Args:
            contracts: The merchant's contracts.
            clock: Returns Unix seconds.
            send: Delivers a callback.
        """
        self._contracts = contracts
        self._clock = clock
        self._send = send
        self._lock = threading.Lock()
        #: Unix seconds of the last authorization and of its end, by service and payer.
        self._changed: Table[str, tuple[float, float]] = Table()
        #: The parameters of pay-score authorizations, by authorization code.
        self._permissions: Table[str, dict[str, Any]] = Table()
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", "v3/edu-papay/user/{openid}/contracts"): self._list_contracts,
            ("GET", "v3/businesscircle/user-authorizations/{openid}"): self._business_circle,
            ("GET", "v3/palmservice/authorization/openid/{openid}"): self._palm,
        }
        for kind in ("", "acquiringbank/", "partner/"):
            root = f"v3/payscore/{kind}permissions"
            by_code = f"{root}/authorization-code/{{authorization_code}}"
            self.handlers["POST", root] = self._permit
            self.handlers["GET", by_code] = self._permission
            self.handlers["POST", f"{by_code}/terminate"] = self._end_permission
        root = "v3/payscore"
        for template in ("permissions/openid/{openid}", "partner/permissions/search", "user-service-state"):
            self.handlers["GET", f"{root}/{template}"] = self._permission_of_payer
        for template in (
            "permissions/openid/{openid}",
            "partner/permissions",
            "users/{openid}/permissions/{service_id}",
        ):
            self.handlers["POST", f"{root}/{template}/terminate"] = self._end_permission_of_payer

    def authorize(self, service: str, payer: str = PAYER) -> None:
        """Authorise a service in the payer's place.

        Args:
            service: ``businesscircle``, ``palmservice`` or ``payscore``.
            payer: The openid; of the pay score the authorization code.

        Raises:
            ConfigurationError: The service or the payer is unknown.
        """
        self._change(service, payer, (self._clock(), 0.0))

    def revoke(self, service: str, payer: str = PAYER) -> None:
        """Revoke an authorization in the payer's place.

        Args:
            service: As for `authorize`.
            payer: As for `authorize`.

        Raises:
            ConfigurationError: The service or the payer is unknown, or has not authorised it.
        """
        state, begun, _ = self._state(service, payer, self._standing(service, payer))
        if state != _STATES[service][0]:
            raise ConfigurationError(f"payer: {payer!r:.80} has not authorised {service}")
        self._change(service, payer, (begun, self._clock()))

    def _standing(self, service: str, payer: str) -> Standing:
        if service not in _STATES:
            raise ConfigurationError(f"service: {service!r:.40} is unknown; give one of {', '.join(_STATES)}")
        find = test_users.agreement if service == "payscore" else test_users.standing
        standing = find(payer)
        if standing is None:
            raise ConfigurationError(f"payer: {payer!r:.80} is unknown")
        return standing

    def _change(self, service: str, payer: str, times: tuple[float, float]) -> None:
        self._standing(service, payer)
        with self._lock:
            self._changed[f"{service}/{payer}"] = times
            permission = self._permissions.get(payer) if service == "payscore" else None
            if permission:
                # The usual test user has scanned the merchant's code.
                self._changed[f"{service}/{PAYER}"] = times
        if permission and permission.get("notify_url"):
            event = "PAYSCORE.USER_CLOSE_SERVICE" if times[1] else "PAYSCORE.USER_OPEN_SERVICE"
            members = {name: value for name, value in permission.items() if name != "notify_url"}
            members |= {
                "openid": PAYER,
                "user_service_status": event.split(".")[1],
                "openorclose_time": format_digits(times[1] or times[0]),
            }
            details: Any = {"id": f"EV-{number(f'{event} {payer} {times}', 28)}"}
            self._send(Task(event, permission["notify_url"], CompleteResource(members), details))

    def _state(self, service: str, payer: str, standing: Standing) -> tuple[str, float, float]:
        """Return the state of an authorization, and the Unix seconds of its beginning and end."""
        granted, revoked, never = _STATES[service]
        with self._lock:
            changed = self._changed.get(f"{service}/{payer}")
        if changed is not None:
            return (revoked if changed[1] else granted), changed[0], changed[1]
        begun = test_users.moment_seconds(payer)
        return {
            Standing.CUSTOMER: (granted, begun, 0.0),
            Standing.ENDED: (revoked, begun, begun + 30 * 86400),
            Standing.NEVER: (never, 0.0, 0.0),
        }[standing]

    def _list_contracts(self, call: Call) -> HttpResponse:
        """List the contracts of a payer, newest first: 通过用户标识查询签约."""
        openid, query = call.variables["openid"], call.query
        if (standing := test_users.standing(openid)) is None:
            return _no_payer(openid)
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", str(_PAGE)))
        for name, value, least in (("offset", offset, 0), ("limit", limit, 1)):
            if value < least:
                rule = f"数值规则校验失败，值低于最小值 {least}"
                return error_responses.bad_parameter(Violation("query", name, query[name], rule))
        signed = [
            shape(call.operation.response["data"].fields, describe_education(contract, call.mchid))
            for contract in self._contracts.of_payer(openid, "edu-papay")
            if contract.plan_id == query["plan_id"]
        ]
        known = [_contract(call, index, status) for index, status in enumerate(_CONTRACTS[standing])]
        all_ = [
            contract
            for contract in signed + known
            if query.get("contract_status") in {None, contract["contract_information"]["contract_status"]}
        ]
        page = all_[offset : offset + limit]
        return HttpResponse.json({"data": page, "total_count": len(all_), "offset": offset, "limit": limit})

    def _business_circle(self, call: Call) -> HttpResponse:
        """Return whether a payer lets a business circle collect points: 商圈积分授权查询."""
        openid = call.variables["openid"]
        if (standing := test_users.standing(openid)) is None:
            return _no_payer(openid)
        state, begun, ended = self._state("businesscircle", openid, standing)
        times = _times(authorize_time=begun, deauthorize_time=ended)
        return HttpResponse.json({"openid": openid, "authorize_state": state, **times})

    def _palm(self, call: Call) -> HttpResponse:
        """Return whether a payer may pay by palm: 查询刷掌授权."""
        openid = call.variables["openid"]
        if (standing := test_users.standing(openid)) is None:
            return _no_payer(openid)
        state, begun, ended = self._state("palmservice", openid, standing)
        times = {} if ended else _times(authorize_time=begun)
        return HttpResponse.json({"openid": openid, **call.echo("organization_id"), "state": state, **times})

    def _permit(self, call: Call) -> HttpResponse:
        """Prepare an authorization of the pay score: 商户预授权."""
        names = ("service_id", "appid", "sub_appid", "sub_mchid", "authorization_code", "notify_url")
        permission = {name: call.body[name] for name in names if name in call.body}
        with self._lock:
            self._permissions[call.body["authorization_code"]] = {**permission, "mchid": call.mchid}
        token = f"PT{number(str(sorted(permission.items())), 40)}"
        return HttpResponse.json(shape(call.operation.response, {"apply_permissions_token": token}))

    def _permission(self, call: Call) -> HttpResponse:
        """Return how an authorization of the pay score stands: 查询与用户授权记录（授权协议号）."""
        code = call.variables["authorization_code"]
        if (standing := test_users.agreement(code)) is None:
            return error_responses.no_resource(f"授权协议号{code}不存在")
        state, begun, ended = self._state("payscore", code, standing)
        with self._lock:
            permission = self._permissions.get(code, {})
        times = _times(authorization_success_time=begun, cancel_authorization_time=ended)
        members = {
            "appid": f"wx{number(code, 16)}",
            "mchid": call.mchid,
            "openid": f"o{number(code, 27)}",
            **permission,
            **call.echo("service_id", "channel_id", "sub_mchid"),
            "authorization_code": code,
            "authorization_state": state,
            **times,
        }
        return HttpResponse.json(shape(call.operation.response, members))

    def _end_permission(self, call: Call) -> HttpResponse:
        """End an authorization of the pay score: 解除用户授权关系（授权协议号）."""
        code = call.variables["authorization_code"]
        try:
            self.revoke("payscore", code)
        except ConfigurationError:
            return error_responses.no_resource(f"授权协议号{code}不存在")
        return HttpResponse(204)

    def _permission_of_payer(self, call: Call) -> HttpResponse:
        """Return how a payer's authorization of the pay score stands: 查询与用户授权记录（openid）."""
        openid = _payer(call)
        if (standing := test_users.standing(openid)) is None:
            return _no_payer(openid)
        state, begun, ended = self._state("payscore", openid, standing)
        members = {
            "appid": call.parameters["appid"],
            "mchid": call.mchid,
            **call.echo("service_id", "openid", "sub_openid", "sub_mchid", "sub_appid"),
            "openid": openid,
            "authorization_state": state,
            "use_service_state": "AVAILABLE" if state == "AVAILABLE" else "UNAVAILABLE",
            **_times(authorization_success_time=begun, cancel_authorization_time=ended),
        }
        return HttpResponse.json(shape(call.operation.response, members))

    def _end_permission_of_payer(self, call: Call) -> HttpResponse:
        """End a payer's authorization of the pay score: 解除用户授权关系（openid）."""
        openid = _payer(call)
        if test_users.standing(openid) is None:
            return _no_payer(openid)
        try:
            self.revoke("payscore", openid)
        except ConfigurationError:
            return error_responses.no_resource(f"用户{openid}没有授权")
        return HttpResponse(204)


def _payer(call: Call) -> str:
    """Return the openid that a request names."""
    openid: str = call.parameters.get("openid") or call.parameters.get("sub_openid") or ""
    return openid


def _contract(call: Call, index: int, status: str) -> dict[str, Any]:
    openid = call.variables["openid"]
    seed = f"{openid} {call.query['plan_id']} {index}"
    return {
        "sp_mchid": call.mchid,
        **call.echo("appid", "sub_mchid", "sub_appid", "sub_openid", "plan_id"),
        "openid": openid,
        "contract_information": {
            "contract_id": number(seed, 18),
            "contract_status": status,
            "create_time": test_users.moment(openid, days=-index),
        },
    }


def _times(**times: float) -> dict[str, str]:
    """Write those times that there were."""
    return {name: format_rfc3339(at) for name, at in times.items() if at}


def _no_payer(openid: str) -> HttpResponse:
    return error_responses.no_resource(f"用户{openid}不存在")
