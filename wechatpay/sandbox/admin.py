"""The sandbox's HTTP interface for tests in other languages, and its console for browsers.

Actions are ``POST /_sandbox/<action>`` with a JSON object, everything else is a GET; ``docs/sandbox.md``
lists them. A web page from elsewhere controls nothing and reads nothing: requests with a foreign ``Host`` or
``Origin`` are refused, and no page can frame the console.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay.errors import ConfigurationError
from wechatpay.messages import Headers
from wechatpay.sandbox import qr
from wechatpay.sandbox.callbacks import CompleteResource
from wechatpay.sandbox.deliveries import Task
from wechatpay.sandbox.descriptions import (
    describe_exchange,
    describe_order,
    describe_state,
    summarize_exchange,
)
from wechatpay.sandbox.faults.injections import describe, make
from wechatpay.sandbox.messages import Delivery, HttpResponse
from wechatpay.sandbox.posting import check
from wechatpay.sandbox.settings_snippet import PREFIX, settings_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.sandbox.merchant import Merchant
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.orders import Order
    from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["accepts", "respond"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

#: The console's files, and their types.
_FILE = re.compile(r"[a-z_]+\.(css|html|js|svg)")
_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}

#: Headers of pages: nothing from elsewhere is loaded, nobody frames them, and a new version shows at once.
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def accepts(request: HttpRequest) -> bool:
    """Return whether a request is for this interface."""
    return request.path == "/" or request.path.startswith(PREFIX)


def respond(sandbox: Sandbox, request: HttpRequest) -> Delivery:
    """Execute a request."""
    if not _is_local(request):
        return Delivery(_error(403, "requests of other origins are refused"))
    name = request.path.removeprefix(PREFIX) if request.path != "/" else "index.html"
    if request.method == "GET" and name == "events":
        return Delivery(HttpResponse(headers=Headers(_EVENT_HEADERS)), events=_Events(sandbox))
    try:
        if request.method == "GET":
            return Delivery(_get(sandbox, name, dict(request.query)))
        if request.method == "POST":
            return Delivery(_post(sandbox, name, json.loads(request.body or b"{}")))
    except (ValueError, TypeError, RecursionError) as error:
        # A wrong member is one of the function that has the action's name.
        return Delivery(_error(400, str(error).removeprefix("_")))
    return Delivery(_unknown())


def _is_local(request: HttpRequest) -> bool:
    origin = request.headers.get("Origin")
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}")
        return host.hostname in _LOOPBACK and (origin is None or urlsplit(origin).netloc == host.netloc)
    except ValueError:  # not a host, such as "[::1"
        return False


def _error(status: int, message: str) -> HttpResponse:
    return HttpResponse.json({"message": message}, status)


def _unknown() -> HttpResponse:
    views = ", ".join(f"GET {PREFIX}{name}" for name in (*_VIEWS, "events"))
    actions = ", ".join(f"POST {PREFIX}{name}" for name in (*_MERCHANT_ACTIONS, *_ACTIONS))
    return _error(404, f"unknown action: use {views}, {actions}")


def _get(sandbox: Sandbox, name: str, query: dict[str, str]) -> HttpResponse:
    if view := _VIEWS.get(name):
        return view(sandbox, **query)
    if not _FILE.fullmatch(name):
        return _unknown()
    file = resources.files(__package__).joinpath("console", name)
    if not file.is_file():
        return _unknown()
    kind = _TYPES[name.rpartition(".")[2]]
    headers = {"Content-Type": f"{kind}; charset=utf-8", **_PAGE_HEADERS}
    return HttpResponse(200, file.read_bytes(), Headers(headers))


def _post(sandbox: Sandbox, name: str, given: Any) -> HttpResponse:
    if not isinstance(given, dict):
        raise ConfigurationError("body: give a JSON object")
    if action := _MERCHANT_ACTIONS.get(name):
        mchid = given.pop("mchid", sandbox.identity.mchid)
        if (merchant := sandbox.merchants.get(mchid)) is None:
            raise ConfigurationError(f"mchid: {mchid!r:.40} is unknown; see {', '.join(sandbox.merchants)}")
        return HttpResponse.json(action(merchant, **given))
    if shared := _ACTIONS.get(name):
        return HttpResponse.json(shared(sandbox, **given))
    return _unknown()


def _show_state(sandbox: Sandbox, limit: str = "1000") -> HttpResponse:
    return HttpResponse.json(describe_state(sandbox, int(limit)))


def _show_exchanges(sandbox: Sandbox, after: str = "0") -> HttpResponse:
    found = [exchange for exchange in sandbox.exchanges if exchange.number > int(after)]
    return HttpResponse.json([summarize_exchange(exchange) for exchange in found])


def _show_exchange(sandbox: Sandbox, number: str) -> HttpResponse:
    found = next((exchange for exchange in sandbox.exchanges if exchange.number == int(number)), None)
    if found is None:
        return _error(404, "number: the sandbox keeps the last 1000 requests only")
    return HttpResponse.json(describe_exchange(sandbox, found))


def _show_fault_kinds(sandbox: Sandbox) -> HttpResponse:  # noqa: ARG001  the same for all sandboxes
    return HttpResponse.json(describe())


def _show_settings(sandbox: Sandbox) -> HttpResponse:
    return HttpResponse.json(settings_json(sandbox))


def _draw_code(sandbox: Sandbox, text: str) -> HttpResponse:  # noqa: ARG001  it is a drawing only
    headers = {"Content-Type": "image/svg+xml", **_PAGE_HEADERS}
    return HttpResponse(200, qr.svg(text).encode(), Headers(headers))


_VIEWS: Mapping[str, Callable[..., HttpResponse]] = {
    "state": _show_state,
    "exchanges": _show_exchanges,
    "exchange": _show_exchange,
    "fault-kinds": _show_fault_kinds,
    "settings": _show_settings,
    "save": lambda sandbox: HttpResponse.json(sandbox.save()),
    "qr": _draw_code,
}


def _describe(merchant: Merchant, order: Order) -> dict[str, Any]:
    return describe_order(merchant, order, merchant.now)


def _pay(merchant: Merchant, out_trade_no: str, openid: str = "") -> dict[str, Any]:
    return _describe(merchant, merchant.pay_later(out_trade_no, openid=openid))


def _refund(
    merchant: Merchant, out_trade_no: str, amount: int | None = None, reason: str = ""
) -> dict[str, Any]:
    return asdict(merchant.refund(out_trade_no, amount, reason=reason))


def _trigger(
    merchant: Merchant, url: str, event: str = "TRANSACTION.SUCCESS", resource: Any = None
) -> dict[str, Any]:
    check(url)
    changed = merchant.plaintext(event, resource) if isinstance(resource, dict | None) else b""
    if isinstance(changed, bytes):
        raise ConfigurationError("resource: give a JSON object")
    merchant.deliveries.add(Task(event, url, CompleteResource(changed), {}))
    return {"event": event}


def _resend(merchant: Merchant, event_id: str) -> dict[str, Any]:
    merchant.deliveries.resend_later(event_id)
    return {"event_id": event_id}


def _disturb(merchant: Merchant, **given: Any) -> dict[str, Any]:
    merchant.disturb_callbacks(**given)
    return asdict(merchant.deliveries.disturbance)


def _confirm_transfer(merchant: Merchant, out_bill_no: str) -> dict[str, Any]:
    return {"out_bill_no": out_bill_no, "state": merchant.confirm_transfer(out_bill_no)}


def _fill_bills(merchant: Merchant, day: str, count: int, seed: str = "") -> dict[str, Any]:
    try:
        chosen = date.fromisoformat(day)
    except (TypeError, ValueError):
        raise ConfigurationError("day: give YYYY-MM-DD") from None
    merchant.bills.fill(chosen, count, seed)
    return {"day": day, "count": count}


def _rotate(merchant: Merchant) -> dict[str, Any]:
    made = merchant.rotate()
    return {"serial": made.serial, "published": made.published}


def _retire(merchant: Merchant, serial: str) -> dict[str, Any]:
    merchant.retire(serial)
    return {}


_MERCHANT_ACTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "pay": _pay,
    "decline": lambda merchant, out_trade_no: _describe(merchant, merchant.decline(out_trade_no)),
    "expire": lambda merchant, out_trade_no: _describe(merchant, merchant.expire(out_trade_no)),
    "refund": _refund,
    "settle-refund": lambda merchant, out_refund_no, status="SUCCESS": asdict(
        merchant.settle_refund(out_refund_no, status)
    ),
    "confirm-transfer": _confirm_transfer,
    "fill-bills": _fill_bills,
    "trigger": _trigger,
    "resend": _resend,
    "disturb-callbacks": _disturb,
    "rotate": _rotate,
    "retire": _retire,
}


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


def _load(sandbox: Sandbox, saved: dict[str, Any]) -> dict[str, Any]:
    sandbox.load(saved)
    return {}


def _reset(sandbox: Sandbox) -> dict[str, Any]:
    sandbox.reset()
    return {}


_ACTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "advance": _advance,
    "inject": _inject,
    "clear-faults": _clear_faults,
    "load": _load,
    "reset": _reset,
}

_EVENT_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", **_PAGE_HEADERS}


@dataclass(frozen=True, slots=True)
class _Events:
    """Server-sent events: ``exchange`` for each request, and ``change`` when the state changed."""

    sandbox: Sandbox

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.sandbox.listen(wake)

    def read(self, after: int) -> tuple[int, bytes]:
        found = [exchange for exchange in self.sandbox.exchanges if exchange.number > after]
        last = found[-1].number if found else after
        events = [f"event: exchange\ndata: {json.dumps(summarize_exchange(e))}\n\n" for e in found]
        return last, "".join([*events, "event: change\ndata: {}\n\n"]).encode()
