"""The parameters that invoke payment: JSAPI, mini programs, apps, H5 and native."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from wechatpay import formatter
from wechatpay.crypto import hashing
from wechatpay.errors import InvalidRequestError
from wechatpay.payment.fields import digest, format_time, query_string, sign, validate_identifier
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Collection
    from urllib.parse import SplitResult

    from wechatpay.payment.fields import Clock, Nonce, Signer

__all__ = [
    "CODE_URL_LIFETIME",
    "H5_URL_LIFETIME",
    "PREPAY_ID_LIFETIME",
    "app",
    "app_v2",
    "h5_url",
    "jsapi",
    "jsapi_v2",
]

#: How long payment can be invoked with a ``prepay_id``; the order's own ``time_expire`` may end it sooner.
PREPAY_ID_LIFETIME: Final = timedelta(hours=2)
#: How long an ``h5_url`` (``mweb_url`` in APIv2) opens.
H5_URL_LIFETIME: Final = timedelta(minutes=5)
#: How long a ``code_url`` can be scanned.
CODE_URL_LIFETIME: Final = timedelta(hours=2)


@conceal
def jsapi(
    appid: str,
    prepay_id: str,
    private_key: Signer,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Sign what ``WeixinJSBridge`` and a mini program's ``wx.requestPayment`` take (APIv3).

    See https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter3_1_4.shtml and, for mini programs,
    https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter3_5_4.shtml.

    Args:
        appid: The one under which the order was made and the payer's ``openid`` is known.
        prepay_id: From the response; valid for `PREPAY_ID_LIFETIME`.
        private_key: The merchant's key in any form, best loaded once; or a function that signs a text and
            returns base64, for a key that stays elsewhere.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``appId timeStamp nonceStr package signType paySign``.

    Raises:
        InvalidRequestError: An argument is missing, or not an identifier.
        CryptoError: The key cannot be used.
    """
    fields = _jsapi(appid, prepay_id, clock, nonce)
    return {**fields, "signType": "RSA", "paySign": sign(fields.values(), private_key)}


@conceal
def app(  # noqa: PLR0913  an argument for each value
    appid: str,
    partnerid: str,
    prepay_id: str,
    private_key: Signer,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Sign what the SDK for apps takes as ``PayReq`` (APIv3).

    See https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter3_2_4.shtml.

    Args:
        appid: The app's, under which the order was made.
        partnerid: Merchant id.
        prepay_id: From the response; valid for `PREPAY_ID_LIFETIME`.
        private_key: As for `jsapi`.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``appid partnerid prepayid package noncestr timestamp sign``.

    Raises:
        InvalidRequestError: An argument is missing, or not an identifier.
        CryptoError: The key cannot be used.
    """
    fields = _app(appid, partnerid, prepay_id, clock, nonce)
    pieces = (fields[name] for name in ("appid", "timestamp", "noncestr", "prepayid"))
    return {**fields, "sign": sign(pieces, private_key)}


@conceal
def jsapi_v2(  # noqa: PLR0913  an argument for each value
    appid: str,
    prepay_id: str,
    secret: str,
    sign_type: str = hashing.ALGO_MD5,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Digest what ``WeixinJSBridge`` and a mini program's ``wx.requestPayment`` take (APIv2).

    See https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=7_7&index=6 and, for mini programs,
    https://pay.weixin.qq.com/wiki/doc/api/wxa/wxa_api.php?chapter=7_7&index=5.

    Args:
        appid: The one under which the order was made and the payer's ``openid`` is known.
        prepay_id: From the response; valid for `PREPAY_ID_LIFETIME`.
        secret: APIv2 secret.
        sign_type: ``MD5`` or ``HMAC-SHA256``: the one that the order was made with.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``appId timeStamp nonceStr package signType paySign``.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing, or ``sign_type`` not known.
    """
    fields = {
        **_jsapi(appid, prepay_id, clock, nonce),
        "signType": validate_identifier(sign_type, "sign_type"),
    }
    return {**fields, "paySign": digest(fields, secret, sign_type)}


@conceal
def app_v2(  # noqa: PLR0913  an argument for each value
    appid: str,
    partnerid: str,
    prepay_id: str,
    secret: str,
    sign_type: str = hashing.ALGO_MD5,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Digest what the SDK for apps takes as ``PayReq`` (APIv2).

    See https://pay.weixin.qq.com/wiki/doc/api/app/app.php?chapter=9_12&index=2.

    Args:
        appid: The app's, under which the order was made.
        partnerid: Merchant id.
        prepay_id: From the response; valid for `PREPAY_ID_LIFETIME`.
        secret: APIv2 secret.
        sign_type: ``MD5`` or ``HMAC-SHA256``: the one that the order was made with; it is not in the result.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``appid partnerid prepayid package noncestr timestamp sign``.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing, or ``sign_type`` not known.
    """
    fields = _app(appid, partnerid, prepay_id, clock, nonce)
    return {**fields, "sign": digest(fields, secret, validate_identifier(sign_type, "sign_type"))}


def h5_url(url: str, redirect_url: str) -> str:
    """Add the page that the payer comes back to, encoded, to an H5 URL.

    Coming back does not mean paid: query the order.
    See https://pay.weixin.qq.com/wiki/doc/api/H5.php?chapter=15_4.

    Args:
        url: ``h5_url`` (``mweb_url`` in APIv2) from the response; it opens for `H5_URL_LIFETIME`.
            Nothing of it changes.
        redirect_url: Absolute http(s) URL, not encoded, of the domain registered for H5 payment.

    Raises:
        InvalidRequestError: One is not such a URL, or ``url`` has a ``redirect_url`` already.
    """
    query = _parse_absolute_url("url", validate_identifier(url, "url"), {"https"}).query
    if not query or "#" in url:
        raise InvalidRequestError(
            "url: not an H5 URL, which has a query and no fragment; give the h5_url of the response"
        )
    if any(name == "redirect_url" for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise InvalidRequestError("url: has a redirect_url already; give the h5_url of the response")
    _parse_absolute_url("redirect_url", redirect_url, {"https", "http"})
    return f"{url}&{query_string({'redirect_url': redirect_url})}"


def _jsapi(appid: str, prepay_id: str, clock: Clock, nonce: Nonce) -> dict[str, str]:
    # In this order: APIv3 signs the values as they come.
    return {
        "appId": validate_identifier(appid, "appid"),
        "timeStamp": format_time(clock),
        "nonceStr": validate_identifier(nonce(), "nonce"),
        "package": f"prepay_id={_validate_prepay_id(prepay_id)}",
    }


def _app(appid: str, partnerid: str, prepay_id: str, clock: Clock, nonce: Nonce) -> dict[str, str]:
    return {
        "appid": validate_identifier(appid, "appid"),
        "partnerid": validate_identifier(partnerid, "partnerid"),
        "prepayid": _validate_prepay_id(prepay_id),
        "package": "Sign=WXPay",
        "noncestr": validate_identifier(nonce(), "nonce"),
        "timestamp": format_time(clock),
    }


def _validate_prepay_id(prepay_id: str) -> str:
    if (text := validate_identifier(prepay_id, "prepay_id")).startswith("prepay_id="):
        raise InvalidRequestError(
            "prepay_id: give what follows prepay_id=; the prefix is added where it is needed"
        )
    return text


def _parse_absolute_url(name: str, url: str, schemes: Collection[str]) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname and url.isprintable() and " " not in url:
            return parts
    except (AttributeError, TypeError, ValueError):
        pass
    raise InvalidRequestError(
        f"{name}: give an absolute {' or '.join(sorted(schemes))} URL that is not encoded as a whole"
    )
