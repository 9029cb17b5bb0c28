"""The query of a request to the open platform, and what in a request is secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wechatpay import uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wechatpay.messages import Request

__all__ = ["added", "members", "parameters", "secrets"]

_SECRETS = frozenset({"access_token", "appsecret", "component_access_token", "refresh_token", "secret"})


def parameters(request: Request) -> dict[str, list[str]]:
    """Read the query: the values of each name, blank ones too."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.target.partition("?")[2], keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def added(request: Request, more: Mapping[str, str]) -> Request:
    """Add to the query."""
    url, _, query = request.url.partition("?")
    return request.with_(url=f"{url}?{uri.query(more, query)}")


def members(body: bytes) -> dict[str, Any]:
    """Read a body's members, if it is a JSON object; an image, or any other file, has none."""
    if not body.lstrip().startswith(b"{"):
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def secrets(request: Request) -> Iterator[str]:
    """Find the tokens and secrets in the query and in the body."""
    query = ((name, value) for name, values in parameters(request).items() for value in values)
    for name, value in (*query, *members(request.content).items()):
        if name in _SECRETS and isinstance(value, str) and value:
            yield value
