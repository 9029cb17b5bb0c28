"""What APIv2's documents say about single paths, as data.

A *route* is a path without leading ``/``, without ``v2/`` and without the prefix that a base URI added.
Routes are compared as a whole and without regard to case.
"""

from __future__ import annotations

__all__ = [
    "carries_no_merchant_id",
    "is_unsigned",
    "needs_certificate",
    "needs_query_after_error",
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

#: Endpoints that require the merchant certificate on the connection (mutual TLS).
_CERTIFICATE_REQUIRED = _routes(
    """
    applyment/micro/ getstate getupgradestate modifyarchives modifycontactinfo signcontract submit
    applyment/micro/ submitupgrade
    billcommentsp/ batchquerycomment
    deposit/ consume refund reverse
    fund/ queryautowithdrawbydate reautowithdrawbydate
    mchrisk/ querymchrisk syncmchriskresult
    mmpaymkttransfers/ gethbinfo gettransferinfo queryworkwxredpack send_coupon sendgroupredpack
    mmpaymkttransfers/ sendminiprogramhb sendredpack sendworkwxredpack
    mmpaymkttransfers/promotion/ paywwsptrans2pocket querywwsptrans2pocket transfers
    mmpaysptrans/ pay_bank query_bank
    pay/ downloadfundflow
    risk/ getpublickey getviolation
    secapi/mch/ addinstitutionsub addsubdevconfig channelsetting modifyinstitutionsub modifymchinfo
    secapi/mch/ queryinstitutionsub querysubdevconfig submchmanage uploadmedia
    secapi/mkt/ addrecommendconf
    secapi/pay/ facepayreverse multiprofitsharing profitsharing profitsharingfinish profitsharingreturn
    secapi/pay/ refund refundv2 reverse
    wxv/ cancelbill changerentmoney createhotelbill createrentbill finishhotelbill finishrentbill
    wxv/ queryhotelbill queryrentbill
    """
)


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


def needs_certificate(route: str) -> bool:
    """Return whether ``route`` requires the merchant certificate on the connection."""
    return route.lower() in _CERTIFICATE_REQUIRED
