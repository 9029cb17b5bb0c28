"""What APIv2's documents say about single paths, as data.

A *route* is a path without leading ``/``, without ``v2/`` and without the prefix that a base URI added.
Routes are compared as a whole and without regard to case.
"""

from __future__ import annotations

from wechatpay.errors import ask_catalogue

__all__ = [
    "carries_no_merchant_id",
    "is_repeated_after",
    "is_unsigned",
    "needs_certificate",
    "needs_query_after_error",
    "next_step",
    "returns_file",
    "returns_json",
]


def _routes(listed: str) -> frozenset[str]:
    """Read lines of a folder and the names in it."""
    lines = [line.split() for line in listed.strip().splitlines()]
    return frozenset(folder + name for folder, *names in lines for name in names)


#: Responses that may lack ``sign``; a ``sign`` that is present is checked all the same.
_UNSIGNED = _routes(
    """
    applyment/micro/ signcontract
    billcommentsp/ batchquerycomment
    mchrisk/ querymchrisk setmchriskcallback syncmchriskresult
    mmpaymkttransfers/ gethbinfo gettransferinfo sendgroupredpack sendminiprogramhb sendredpack
    mmpaymkttransfers/promotion/ paywwsptrans2pocket querywwsptrans2pocket transfers
    mmpaysptrans/ pay_bank query_bank
    papay/ entrustweb h5entrustweb
    papay/partner/ entrustweb h5entrustweb
    pay/ downloadbill downloadfundflow
    payitil/ report
    risk/ getpublickey getviolation
    secapi/mch/ submchmanage
    xdc/apiv2getsignkey/sign/ getsignkey
    xdc/apiv2sandbox/pay/ micropay orderquery
    """
)

#: Downloads: CSV on success, gzipped if requested; XML on failure.
_FILES = _routes("pay/ downloadbill downloadfundflow")

#: The only endpoint that returns JSON; it never carries a ``sign``.
_JSON = _routes("appauth/ getaccesstoken")

#: The only endpoint whose fields carry no merchant id.
_WITHOUT_MERCHANT_ID = _routes("applyment/micro/ signcontract")

#: Payments by code or face: after ``SYSTEMERROR`` query the order, do not pay again.
_QUERY_AFTER_ERROR = _routes("pay/ micropay facepay\n deposit/ micropay facepay")

#: How to learn the outcome of an operation: the endpoint and the number to query by.
_QUERIES = {
    route: f"query it with {endpoint} by {number}"
    for routes, endpoint, number in (
        ("deposit/ consume facepay micropay reverse", "deposit/orderquery", "out_trade_no"),
        ("deposit/ refund", "deposit/refundquery", "out_refund_no"),
        ("mmpaymkttransfers/ sendgroupredpack sendminiprogramhb sendredpack",
         "mmpaymkttransfers/gethbinfo", "mch_billno"),
        ("mmpaymkttransfers/ sendworkwxredpack", "mmpaymkttransfers/queryworkwxredpack", "mch_billno"),
        ("mmpaymkttransfers/promotion/ transfers", "mmpaymkttransfers/gettransferinfo", "partner_trade_no"),
        ("mmpaymkttransfers/promotion/ paywwsptrans2pocket",
         "mmpaymkttransfers/promotion/querywwsptrans2pocket", "partner_trade_no"),
        ("mmpaysptrans/ pay_bank", "mmpaysptrans/query_bank", "partner_trade_no"),
        ("pay/ closeorder micropay unifiedorder\n secapi/pay/ reverse", "pay/orderquery", "out_trade_no"),
        ("pay/ facepay\n secapi/pay/ facepayreverse", "pay/facepayquery", "out_trade_no"),
        ("pay/ pappayapply", "pay/paporderquery", "out_trade_no"),
        ("pay/partner/ pappayapply", "pay/partner/paporderquery", "out_trade_no"),
        ("secapi/pay/ multiprofitsharing profitsharing profitsharingfinish",
         "pay/profitsharingquery", "out_order_no"),
        ("secapi/pay/ profitsharingreturn", "pay/profitsharingreturnquery", "out_return_no"),
        ("secapi/pay/ refund", "pay/refundquery", "out_refund_no"),
        ("secapi/pay/ refundv2", "pay/refundqueryv2", "out_refund_no"),
        ("wxv/ createhotelbill finishhotelbill", "wxv/queryhotelbill", "out_order_no"),
        ("wxv/ createrentbill finishrentbill", "wxv/queryrentbill", "out_order_no"),
    )
    for route in _routes(routes)
}  # fmt: skip


def is_unsigned(route: str) -> bool:
    """Return whether responses on ``route`` may come without ``sign``."""
    return route.lower() in _UNSIGNED


def returns_file(route: str) -> bool:
    """Return whether a successful response on ``route`` is a file."""
    return route.lower() in _FILES


def returns_json(route: str) -> bool:
    """Return whether responses on ``route`` are JSON."""
    return route.lower() in _JSON


def carries_no_merchant_id(route: str) -> bool:
    """Return whether requests on ``route`` may come without a merchant id."""
    return route.lower() in _WITHOUT_MERCHANT_ID


def needs_query_after_error(route: str) -> bool:
    """Return whether to query the order, not to send again, after ``SYSTEMERROR`` on ``route``."""
    return route.lower() in _QUERY_AFTER_ERROR


def is_repeated_after(code: str, route: str) -> bool:
    """Return whether the documents say to send the same request to ``route`` again after ``code``."""
    return code == "USERPAYING" and route.lower() == "secapi/pay/reverse"


def needs_certificate(route: str) -> bool:
    """Return whether ``route`` requires the merchant certificate on the connection; for errors only."""
    return ask_catalogue(_has_security, route, default=False)


def _has_security(route: str) -> bool:
    from wechatpay.catalogue.lookup import find  # noqa: PLC0415  a call that succeeds reads no catalogue

    operation = find("POST", f"v2/{route}")
    return operation is not None and operation.security


def next_step(route: str) -> str:
    """Return what to do when the outcome of a call to ``route`` is unknown."""
    route = route.lower()
    if "query" in route or "/get" in route or "/download" in route:
        return "a query changes nothing: send it again"
    query = _QUERIES.get(route, "query what became of it")
    return f"{query}, and repeat it with the same number only"
