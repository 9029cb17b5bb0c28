"""What the documents say about single paths, as data.

A *route* is a path without leading ``/`` and without the prefix that a base URI added.
"""

from __future__ import annotations

__all__ = [
    "answers_in_json",
    "answers_with_a_file",
    "is_digest_signed",
    "is_unsigned",
    "is_unsigned_v2",
    "names_no_merchant",
    "needs_certificate",
    "wants_a_query",
]

#: Prefixes of the overseas gateways, in front of ``v3/``.
_PREFIXES = ("hk/v3/", "global/v3/")

#: Downloads that come without a signature; their hash comes with the signed answer that named them.
_UNSIGNED = frozenset(
    {
        "v3/billdownload/file",
        "v3/new-tax-control-fapiao/download",
        "v3/transferdownload/elecvoucherfile",
        "v3/transferdownload/signfile",
    }
)

#: Images of complaints: one more segment is the image's id; ``upload`` is signed.
_IMAGES = ("v3/merchant-service/images/", "v3/global/merchant-service/images/")

#: Settlement statements: the header ``Wechatpay-Statement-Sha1`` is signed in place of the body.
_DIGEST_SIGNED = frozenset({"v3/statements", "v3/global/statements"})


def _routes(listed: str) -> frozenset[str]:
    """Read lines of a folder and the names in it."""
    lines = [line.split() for line in listed.strip().splitlines()]
    return frozenset(folder + name for folder, *names in lines for name in names)


#: APIv2 answers that need no ``sign``; one that is there is checked all the same.
_UNSIGNED_V2 = _routes(
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

#: APIv2's downloads: CSV, gzipped if asked for, when they succeed, XML when they do not.
_FILES_V2 = _routes("pay/ downloadbill downloadfundflow")

#: The one APIv2 endpoint that answers JSON, and never a ``sign``.
_JSON_V2 = _routes("appauth/ getaccesstoken")

#: The one APIv2 endpoint whose fields name no merchant.
_NAMELESS_V2 = _routes("applyment/micro/ signcontract")

#: APIv2 payments by code or face: after ``SYSTEMERROR`` the order is to be queried, not paid again.
_QUERIED_V2 = _routes("pay/ micropay facepay\n deposit/ micropay facepay")

#: APIv2 endpoints that want the merchant certificate on the connection.
_CERTIFIED_V2 = _routes(
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


def _bare(route: str) -> str:
    route = route.lower()
    return route.partition("/")[2] if route.startswith(_PREFIXES) else route


def is_unsigned(route: str) -> bool:
    """Tell whether answers on ``route`` carry no signature."""
    route = _bare(route)
    if route in _UNSIGNED:
        return True
    for prefix in _IMAGES:
        name = route.removeprefix(prefix)
        if name != route:
            return bool(name) and "/" not in name and name != "upload"
    return False


def is_digest_signed(route: str) -> bool:
    """Tell whether answers on ``route`` may be signed over their SHA-1 instead of their body."""
    return _bare(route) in _DIGEST_SIGNED


def is_unsigned_v2(route: str) -> bool:
    """Tell whether APIv2 answers on ``route`` may come without ``sign``."""
    return route.lower() in _UNSIGNED_V2


def answers_with_a_file(route: str) -> bool:
    """Tell whether APIv2 answers on ``route`` are files when they succeed."""
    return route.lower() in _FILES_V2


def answers_in_json(route: str) -> bool:
    """Tell whether APIv2 answers on ``route`` are JSON."""
    return route.lower() in _JSON_V2


def names_no_merchant(route: str) -> bool:
    """Tell whether APIv2 requests on ``route`` may come without a merchant id."""
    return route.lower() in _NAMELESS_V2


def wants_a_query(route: str) -> bool:
    """Tell whether, after ``SYSTEMERROR`` on ``route``, to query rather than to send again."""
    return route.lower() in _QUERIED_V2


def needs_certificate(route: str) -> bool:
    """Tell whether APIv2 wants the merchant certificate on the connection for ``route``."""
    return route.lower() in _CERTIFIED_V2
