"""From chain to target: the naming rule, the template, and its expansion for sending.

The rest of the package asks here about URIs; the rules are in ``naming`` (names to templates), ``template``
(RFC 6570), ``expansion`` (a template and its variables), ``querystring`` (the option), ``target`` (what goes
over the wire) and ``hosts`` (where it may go).
"""

from __future__ import annotations

from wechatpay.uri.expansion import Location, Plan, plan
from wechatpay.uri.naming import attribute, child, join, literal
from wechatpay.uri.querystring import query
from wechatpay.uri.target import absolute, authority, folder, is_normal, split
from wechatpay.uri.template import expand, quote, redact, show

__all__ = [
    "Location",
    "Plan",
    "absolute",
    "attribute",
    "authority",
    "child",
    "expand",
    "folder",
    "is_normal",
    "join",
    "literal",
    "plan",
    "query",
    "quote",
    "redact",
    "show",
    "split",
]
