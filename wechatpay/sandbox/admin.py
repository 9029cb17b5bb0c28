"""The sandbox's HTTP interface for tests in other languages: pay, decline, advance the clock, inject faults.

Every request is ``POST /_sandbox/<action>`` with a JSON object, or ``GET /_sandbox/state``. Requests of web
pages from elsewhere are refused, so that none of them can control the sandbox.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay.sandbox.faults.injections import make
from wechatpay.sandbox.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.ledger import Order
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["PREFIX", "accepts", "respond"]

PREFIX = "/_sandbox/"

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def accepts(request: HttpRequest) -> bool:
    """Return whether a request is for this interface."""
    return request.path.startswith(PREFIX)


def respond(sandbox: Sandbox, request: HttpRequest) -> HttpResponse:
    """Execute a request."""
    if not _is_local(request):
        return _error(403, "requests of other origins are refused")
    action = request.path.removeprefix(PREFIX)
    if request.method == "GET" and action == "state":
        return HttpResponse.json(_state(sandbox))
    if request.method != "POST" or action not in _ACTIONS:
        known = ", ".join(f"POST {PREFIX}{name}" for name in _ACTIONS)
        return _error(404, f"unknown action: use GET {PREFIX}state, {known}")
    try:
        given = json.loads(request.body or b"{}")
        return HttpResponse.json(_ACTIONS[action](sandbox, **given))
    except (ValueError, TypeError) as error:
        return _error(400, str(error))


def _is_local(request: HttpRequest) -> bool:
    host = urlsplit(f"//{request.headers.get('Host', '')}")
    origin = request.headers.get("Origin")
    return host.hostname in _LOOPBACK and (origin is None or urlsplit(origin).netloc == host.netloc)


def _error(status: int, message: str) -> HttpResponse:
    return HttpResponse.json({"message": message}, status)


def _pay(sandbox: Sandbox, out_trade_no: str, openid: str = "") -> dict[str, Any]:
    return _describe(sandbox.pay_later(out_trade_no, openid=openid))


def _decline(sandbox: Sandbox, out_trade_no: str) -> dict[str, Any]:
    return _describe(sandbox.decline(out_trade_no))


def _expire(sandbox: Sandbox, out_trade_no: str) -> dict[str, Any]:
    return _describe(sandbox.expire(out_trade_no))


def _settle_refund(sandbox: Sandbox, out_refund_no: str, status: str = "SUCCESS") -> dict[str, Any]:
    return asdict(sandbox.settle_refund(out_refund_no, status))


def _confirm_transfer(sandbox: Sandbox, out_bill_no: str) -> dict[str, Any]:
    return {"out_bill_no": out_bill_no, "state": sandbox.confirm_transfer(out_bill_no)}


def _advance(sandbox: Sandbox, seconds: float) -> dict[str, Any]:
    sandbox.advance_later(seconds)
    return {"now": sandbox.now}


def _inject(
    sandbox: Sandbox,
    fault: str,
    times: int | None = 1,
    path: str | None = None,
    probability: float = 1.0,
    **arguments: Any,
) -> dict[str, Any]:
    sandbox.inject(make(fault, arguments), times=times, path=path, probability=probability)
    return {"fault": fault}


def _clear_faults(sandbox: Sandbox) -> dict[str, Any]:
    sandbox.clear_faults()
    return {}


def _state(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "now": sandbox.now,
        "orders": [_describe(order) for order in sandbox.orders.values()],
        "attempts": [asdict(attempt) for attempt in sandbox.attempts],
        "requests": [{"method": r.method, "path": r.path} for r in sandbox.requests],
    }


def _describe(order: Order) -> dict[str, Any]:
    described = {name: value for name, value in asdict(order).items() if name != "terms"}
    return {**described, "state": order.state, "refunded": order.refunded}


_ACTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "pay": _pay,
    "decline": _decline,
    "expire": _expire,
    "settle-refund": _settle_refund,
    "confirm-transfer": _confirm_transfer,
    "advance": _advance,
    "inject": _inject,
    "clear-faults": _clear_faults,
}
