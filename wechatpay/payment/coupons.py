"""Handing out coupons (商家券, 代金券): the mini-program plugin and the H5 page."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from wechatpay.crypto import hashing
from wechatpay.errors import InvalidRequestError
from wechatpay.payment.values import digest, query_string, require, texts, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CouponPlugin", "coupon_plugin", "coupon_url"]

_PAGE = "https://action.weixin.qq.com/busifavor/getcouponinfo"


class CouponPlugin(TypedDict):
    """What the element ``<send-coupon>`` of a mini program takes."""

    send_coupon_params: list[dict[str, str]]
    send_coupon_merchant: str
    sign: str


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
        InvalidRequestError: There is no coupon, one is not complete, or an argument is missing.
        CryptoError: ``secret`` is missing.
    """
    listed = [_coupon(index, coupon) for index, coupon in enumerate(coupons or ())]
    if not listed:
        raise InvalidRequestError("coupons: give at least one, with stock_id and out_request_no")
    merchant = word("send_coupon_merchant", send_coupon_merchant)
    flat = {"send_coupon_merchant": merchant} | {
        f"{name}{index}": value for index, coupon in enumerate(listed) for name, value in coupon.items()
    }
    sign = digest(flat, secret, hashing.ALGO_HMAC_SHA256)
    return {"send_coupon_params": listed, "send_coupon_merchant": merchant, "sign": sign}


def coupon_url(  # noqa: PLR0913  an argument for each value
    stock_id: str,
    out_request_no: str,
    send_coupon_merchant: str,
    open_id: str,
    secret: str,
    *,
    coupon_code: str | None = None,
) -> str:
    """Give the address of the page on which a user takes a business coupon.

    See https://pay.weixin.qq.com/wiki/doc/apiv3/apis/chapter9_4_1.shtml.

    Args:
        stock_id: The stock of coupons.
        out_request_no: The merchant's number of this request: repeated, it hands out nothing new.
        send_coupon_merchant: Id of the merchant that hands out, whose secret it is.
        open_id: The user's, under an ``appid`` of that merchant.
        secret: APIv2 secret.
        coupon_code: The coupon's own code, where the stock asks for it.

    Raises:
        InvalidRequestError: An argument is missing, or not one word of text.
        CryptoError: ``secret`` is missing.
    """
    fields = {
        "stock_id": word("stock_id", stock_id),
        "out_request_no": word("out_request_no", out_request_no),
        "send_coupon_merchant": word("send_coupon_merchant", send_coupon_merchant),
        "open_id": word("open_id", open_id),
    }
    if coupon_code:
        fields["coupon_code"] = word("coupon_code", coupon_code)
    fields["sign"] = digest(fields, secret, hashing.ALGO_HMAC_SHA256)
    return f"{_PAGE}?{query_string(fields)}#wechat_pay&wechat_redirect"


def _coupon(index: int, coupon: Mapping[str, str]) -> dict[str, str]:
    where = f"coupons[{index}]"
    fields = texts(coupon, where)
    require(("stock_id", "out_request_no"), fields, where)
    return fields
