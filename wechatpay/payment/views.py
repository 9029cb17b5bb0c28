"""Parameters beside those of payment: WeChat Pay Score, coupons, deduction agreements, WeCom.

WeChat Pay Score (支付分): the dictionaries are the ``extraData`` of a mini program's ``wx.openBusinessView``.
`query_string` turns them into the ``queryString`` of the same call in a web page, or the ``query`` of
``WXOpenBusinessView`` in an app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from wechatpay import formatter
from wechatpay.crypto import hashing
from wechatpay.errors import InvalidRequestError
from wechatpay.payment.fields import (
    digest,
    format_fields,
    format_time,
    query_string,
    require,
    validate_identifier,
    validate_secret,
)
from wechatpay.secret import conceal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wechatpay.payment.fields import Clock, Nonce

__all__ = [
    "CouponPlugin",
    "coupon_plugin",
    "coupon_url",
    "entrust_web",
    "payscore_detail",
    "payscore_enable",
    "payscore_use",
    "workwx_redpack",
    "workwx_transfer",
]

_COUPON_PAGE: Final = "https://action.weixin.qq.com/busifavor/getcouponinfo"
_ENTRUST_REQUIRED: Final = (
    "appid",
    "mch_id",
    "plan_id",
    "contract_code",
    "request_serial",
    "contract_display_account",
    "notify_url",
)
# These are digested, and no others.
_REDPACK_SIGNED: Final = (
    "act_name",
    "mch_billno",
    "mch_id",
    "nonce_str",
    "re_openid",
    "total_amount",
    "wxappid",
)
_TRANSFER_SIGNED: Final = (
    "amount",
    "appid",
    "desc",
    "mch_id",
    "nonce_str",
    "openid",
    "partner_trade_no",
    "ww_msg_type",
)
_OPTIONAL: Final = "ww_msg_type"


@conceal
def payscore_use(
    mch_id: str,
    package: str,
    secret: str,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Digest what ``wxpayScoreUse`` takes: the payer confirms an order.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012587900.

    Args:
        mch_id: Merchant id, that of the order.
        package: From the response to the order.
        secret: APIv2 secret, though orders are APIv3's.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``mch_id package timestamp nonce_str sign_type sign``.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "package": package}
    return _digest_view(fields, secret, clock, nonce)


@conceal
def payscore_detail(  # noqa: PLR0913  an argument for each value
    mch_id: str,
    service_id: str,
    out_order_no: str,
    secret: str,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Digest what ``wxpayScoreDetail`` takes: the payer looks at an order.

    See https://pay.weixin.qq.com/doc/v3/merchant/4012587902.

    Args:
        mch_id: Merchant id, that of the order.
        service_id: Of the order.
        out_order_no: The merchant's number of the order.
        secret: APIv2 secret, though orders are APIv3's.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``mch_id service_id out_order_no timestamp nonce_str sign_type sign``.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "service_id": service_id, "out_order_no": out_order_no}
    return _digest_view(fields, secret, clock, nonce)


@conceal
def payscore_enable(  # noqa: PLR0913  an argument for each value
    mch_id: str,
    service_id: str,
    out_request_no: str,
    secret: str,
    *,
    clock: Clock = formatter.timestamp,
    nonce: Nonce = formatter.nonce,
) -> dict[str, str]:
    """Digest what ``wxpayScoreEnable`` takes: a user authorises a service.

    With an ``apply_permissions_token`` (https://pay.weixin.qq.com/doc/v3/merchant/4012647349) nothing is
    digested: the token alone is the ``extraData``.

    Args:
        mch_id: Merchant id.
        service_id: The service to authorise.
        out_request_no: The merchant's number of this request.
        secret: APIv2 secret.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``mch_id service_id out_request_no timestamp nonce_str sign_type sign``.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "service_id": service_id, "out_request_no": out_request_no}
    return _digest_view(fields, secret, clock, nonce)


def _digest_view(given: dict[str, str], secret: str, clock: Clock, nonce: Nonce) -> dict[str, str]:
    fields = {name: validate_identifier(value, name) for name, value in given.items()}
    fields |= {
        "timestamp": format_time(clock),
        "nonce_str": validate_identifier(nonce(), "nonce"),
        "sign_type": hashing.ALGO_HMAC_SHA256,
    }
    return {**fields, "sign": digest(fields, secret, hashing.ALGO_HMAC_SHA256)}


class CouponPlugin(TypedDict):
    """What the element ``<send-coupon>`` of a mini program takes."""

    send_coupon_params: list[dict[str, str]]
    send_coupon_merchant: str
    sign: str


@conceal
def coupon_plugin(
    coupons: Iterable[Mapping[str, str]], send_coupon_merchant: str, secret: str
) -> CouponPlugin:
    """Digest what the coupon plugin of a mini program takes.

    The digest knows a coupon's fields by its place: ``coupon_code0 stock_id0 coupon_code1 …``.
    See https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter9_3_1.shtml.

    Args:
        coupons: ``stock_id`` and ``out_request_no`` of each, and ``coupon_code`` where the stock asks
            for it.
        send_coupon_merchant: Id of the merchant that hands out, whose secret it is.
        secret: APIv2 secret.

    Raises:
        InvalidRequestError: There is no coupon, one is not complete, or an argument is missing, or holds
            ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    listed = [_coupon(index, coupon) for index, coupon in enumerate(coupons or ())]
    if not listed:
        raise InvalidRequestError("coupons: give at least one, with stock_id and out_request_no")
    merchant = validate_identifier(send_coupon_merchant, "send_coupon_merchant")
    flat = {"send_coupon_merchant": merchant} | {
        f"{name}{index}": value for index, coupon in enumerate(listed) for name, value in coupon.items()
    }
    sign = digest(flat, secret, hashing.ALGO_HMAC_SHA256)
    return {"send_coupon_params": listed, "send_coupon_merchant": merchant, "sign": sign}


@conceal
def coupon_url(  # noqa: PLR0913  an argument for each value
    stock_id: str,
    out_request_no: str,
    send_coupon_merchant: str,
    open_id: str,
    secret: str,
    *,
    coupon_code: str | None = None,
) -> str:
    """Return the address of the page on which a user takes a business coupon.

    See https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter9_4_1.shtml.

    Args:
        stock_id: The stock of coupons.
        out_request_no: The merchant's number of this request: repeated, it hands out nothing new.
        send_coupon_merchant: Id of the merchant that hands out, whose secret it is.
        open_id: The user's, under an ``appid`` of that merchant.
        secret: APIv2 secret.
        coupon_code: The coupon's own code, where the stock asks for it.

    Raises:
        InvalidRequestError: An argument is missing, not an identifier, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    fields = {
        "stock_id": validate_identifier(stock_id, "stock_id"),
        "out_request_no": validate_identifier(out_request_no, "out_request_no"),
        "send_coupon_merchant": validate_identifier(send_coupon_merchant, "send_coupon_merchant"),
        "open_id": validate_identifier(open_id, "open_id"),
    }
    if coupon_code:
        fields["coupon_code"] = validate_identifier(coupon_code, "coupon_code")
    fields["sign"] = digest(fields, secret, hashing.ALGO_HMAC_SHA256)
    return f"{_COUPON_PAGE}?{query_string(fields)}#wechat_pay&wechat_redirect"


def _coupon(index: int, coupon: Mapping[str, str]) -> dict[str, str]:
    where = f"coupons[{index}]"
    fields = format_fields(coupon, where)
    require(("stock_id", "out_request_no"), fields, where)
    return fields


@conceal
def entrust_web(
    parameters: Mapping[str, Any], secret: str, *, clock: Clock = formatter.timestamp
) -> dict[str, str]:
    """Digest, with MD5, the query of ``papay/entrustweb`` and ``papay/partner/entrustweb``.

    See https://pay.weixin.qq.com/wiki/doc/api/wxpay_v2/papay/chapter3_1.shtml.

    Args:
        parameters: ``appid mch_id plan_id contract_code request_serial contract_display_account notify_url``,
            none of them encoded, and what else the page takes; ``version`` is ``1.0`` unless given.
        secret: APIv2 secret.
        clock: Returns Unix seconds, for ``timestamp`` unless given.

    Returns:
        All parameters with ``sign``, for `query_string`.

    Raises:
        InvalidRequestError: A parameter is missing, or empty, or holds ``&`` and then ``=``.
        CryptoError: ``secret`` is missing.
    """
    fields = {"version": "1.0", "timestamp": format_time(clock), **format_fields(parameters)}
    require(_ENTRUST_REQUIRED, fields)
    return {**fields, "sign": digest(fields, secret, hashing.ALGO_MD5)}


@conceal
def workwx_redpack(
    parameters: Mapping[str, Any], secret: str, *, nonce: Nonce = formatter.nonce
) -> dict[str, str]:
    """Add ``workwx_sign`` to the parameters of a WeCom red pack.

    See https://open.work.weixin.qq.com/api/doc/90000/90135/90275.

    Args:
        parameters: Those of ``v2/mmpaymkttransfers/sendworkwxredpack``; ``nonce_str`` is added unless given.
        secret: The secret of WeCom's payment application, not the merchant's.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        Everything to send as ``xml``: the merchant's own ``sign`` goes over ``workwx_sign`` too.

    Raises:
        InvalidRequestError: A parameter that is signed is missing, or one cannot be written as text.
        CryptoError: ``secret`` is missing.
    """
    return _add_workwx_sign(_REDPACK_SIGNED, parameters, secret, nonce)


@conceal
def workwx_transfer(
    parameters: Mapping[str, Any], secret: str, *, nonce: Nonce = formatter.nonce
) -> dict[str, str]:
    """Add ``workwx_sign`` to the parameters of a payment to a member of staff.

    See https://open.work.weixin.qq.com/api/doc/90000/90135/90278.

    Args:
        parameters: Those of ``v2/mmpaymkttransfers/promotion/paywwsptrans2pocket``; ``nonce_str`` is added
            unless given.
        secret: The secret of WeCom's payment application, not the merchant's.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        Everything to send as ``xml``: the merchant's own ``sign`` goes over ``workwx_sign`` too.

    Raises:
        InvalidRequestError: A parameter that is signed is missing, or one cannot be written as text.
        CryptoError: ``secret`` is missing.
    """
    return _add_workwx_sign(_TRANSFER_SIGNED, parameters, secret, nonce)


def _add_workwx_sign(
    names: Sequence[str], parameters: Mapping[str, Any], secret: str, nonce: Nonce
) -> dict[str, str]:
    given = format_fields(parameters)
    fields = {"nonce_str": given.get("nonce_str") or validate_identifier(nonce(), "nonce"), **given}
    require((name for name in names if name != _OPTIONAL), fields)
    text = formatter.query_string_like({name: fields.get(name) for name in names})
    return {**fields, "workwx_sign": hashing.md5(text, validate_secret(secret), agency=True).upper()}
