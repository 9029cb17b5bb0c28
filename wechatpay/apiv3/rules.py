"""What APIv3's documents say about single paths: signatures, and how to learn an outcome.

A *route* is a path without leading ``/`` and without the prefix that a base URI added.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from wechatpay.errors import ask_catalogue

if TYPE_CHECKING:
    from wechatpay.messages import Request

__all__ = ["is_digest_signed", "is_unsigned", "needs_query_after_error", "next_step"]

#: Prefixes of the overseas gateways, in front of ``v3/``.
_PREFIXES = ("hk/v3/", "global/v3/")

#: Downloads that come without a signature; their digest is in the signed response that named them.
_UNSIGNED = frozenset(
    {
        "v3/bill/downloadurl",
        "v3/billdownload/file",
        "v3/new-tax-control-fapiao/download",
        "v3/transferdownload/elecvoucherfile",
        "v3/transferdownload/signfile",
    }
)

#: Images of complaints: one more segment is the image's id; ``upload`` is signed.
_COMPLAINT_IMAGES = ("v3/merchant-service/images/", "v3/global/merchant-service/images/")

#: Settlement statements: the header ``Wechatpay-Statement-Sha1`` is signed in place of the body.
_DIGEST_SIGNED = frozenset({"v3/statements", "v3/global/statements"})


def _without_prefix(route: str) -> str:
    route = route.lower()
    return route.partition("/")[2] if route.startswith(_PREFIXES) else route


@lru_cache(1024)
def is_unsigned(route: str) -> bool:
    """Return whether responses on ``route`` carry no signature."""
    route = _without_prefix(route)
    if route in _UNSIGNED:
        return True
    for prefix in _COMPLAINT_IMAGES:
        name = route.removeprefix(prefix)
        if name != route:
            return bool(name) and "/" not in name and name != "upload"
    return False


def is_digest_signed(route: str) -> bool:
    """Return whether responses on ``route`` may be signed over their SHA-1 instead of their body."""
    return _without_prefix(route) in _DIGEST_SIGNED


def needs_query_after_error(route: str) -> bool:
    """Return whether to query the order, not to send again, after a 5xx on ``route``: payments by code."""
    return _without_prefix(route).endswith("transactions/codepay")


def next_step(request: Request) -> str:
    """Return what to do when the outcome of a request is unknown."""
    if request.method == "GET":
        return "a query changes nothing: send it again"
    query = ask_catalogue(_find_query, request.method, request.route, default="")
    return f"{query or 'query what became of it'}, and repeat it with the same number only"


def _find_query(method: str, route: str) -> str:
    from wechatpay.catalogue.lookup import find_query  # noqa: PLC0415  read by errors only

    found = find_query(method, route)
    return f"query it with GET {found[0].template} by {' and '.join(found[1])}" if found else ""
