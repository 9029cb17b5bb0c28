"""Orders, callbacks and traffic as the admin API's JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wechatpay.sandbox import operations
from wechatpay.sandbox.payments import credential
from wechatpay.sandbox.signed_texts import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.messages import Headers
    from wechatpay.sandbox.exchanges import Exchange
    from wechatpay.sandbox.merchant import Merchant
    from wechatpay.sandbox.orders import Order
    from wechatpay.sandbox.sandbox import Sandbox

__all__ = ["describe_exchange", "describe_order", "describe_state", "summarize_exchange"]

#: Bytes of a body that are shown.
_SHOWN = 20_000


def describe_state(sandbox: Sandbox, limit: int = 200) -> dict[str, Any]:
    """Describe everything but the traffic's contents; ``limit`` bounds each list, the newest are kept."""
    return {
        "now": sandbox.now,
        "seed": sandbox.seed,
        "merchants": list(sandbox.merchants),
        "orders": [
            describe_order(merchant, order, sandbox.now)
            for merchant in sandbox.merchants.values()
            for order in list(merchant.orders.values())[-limit:]
        ],
        "transfers": [
            {"mchid": merchant.identity.mchid, **transfer}
            for merchant in sandbox.merchants.values()
            for transfer in merchant.transfers[-limit:]
        ],
        "attempts": [
            {"mchid": merchant.identity.mchid, **asdict(attempt)}
            for merchant in sandbox.merchants.values()
            for attempt in merchant.attempts[-limit:]
        ],
        "waiting": [
            {
                "mchid": merchant.identity.mchid,
                "event": task.event,
                "url": task.url,
                "attempts": task.attempts,
                "due": task.due,
            }
            for merchant in sandbox.merchants.values()
            for task in merchant.deliveries.waiting
        ],
        "faults": sandbox.faults,
        "requests": [{"method": r.method, "path": r.path} for r in sandbox.requests[-limit:]],
    }


def describe_order(merchant: Merchant, order: Order, now: float) -> dict[str, Any]:
    """Describe an order."""
    described = {name: value for name, value in asdict(order).items() if name != "terms"}
    return {
        **described,
        "mchid": merchant.identity.mchid,
        "state": order.state,
        "refunded": order.refunded,
        "is_payable": order.payment is None
        and order.status in {"NOTPAY", "USERPAYING"}
        and order.is_payable(now),
        **credential(order),
    }


def summarize_exchange(exchange: Exchange) -> dict[str, Any]:
    """Describe a request and its response in one line."""
    found = operations.find(exchange.request, "v2" if exchange.protocol == "v2" else "")
    return {
        "number": exchange.number,
        "at": exchange.at,
        "mchid": exchange.mchid,
        "protocol": exchange.protocol,
        "method": exchange.request.method,
        "path": exchange.request.path,
        "title": found.operation.title if found else "",
        "status": exchange.response.status if exchange.response else 0,
        "code": exchange.code,
        "is_verified": exchange.is_verified,
        "fault": exchange.fault,
        "ms": round(exchange.seconds * 1000, 1),
    }


def describe_exchange(sandbox: Sandbox, exchange: Exchange) -> dict[str, Any]:
    """Describe a request and its response whole, and explain what the request signs."""
    request, response = exchange.request, exchange.response
    found = operations.find(request, "v2" if exchange.protocol == "v2" else "")
    identities = {mchid: merchant.identity for mchid, merchant in sandbox.merchants.items()}
    return {
        **summarize_exchange(exchange),
        "docs": list(found.operation.links) if found else [],
        "request": {
            "target": request.target,
            "headers": _headers(request.headers),
            "body": _text(request.body),
            "is_encrypted": request.channel.is_encrypted,
            "certificate": request.channel.certificate,
        },
        "response": response and {"headers": _headers(response.headers), "body": _text(response.body)},
        "signature": explain(exchange, identities),
    }


def _headers(headers: Headers) -> Mapping[str, str]:
    return dict(headers.items())


def _text(body: bytes) -> str:
    try:
        text = body[:_SHOWN].decode()
    except UnicodeDecodeError:
        return f"({len(body)} bytes)"
    return text if len(body) <= _SHOWN else f"{text}… ({len(body)} bytes)"
