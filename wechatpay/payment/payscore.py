"""The views of WeChat Pay Score (支付分) that a merchant opens: confirm, look at, and authorise an order.

The dictionaries are the ``extraData`` of a mini program's ``wx.openBusinessView``. `query_string` turns them
into the ``queryString`` of the same call in a web page, or the ``query`` of ``WXOpenBusinessView`` in an app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay import formatter
from wechatpay.crypto import hashing
from wechatpay.payment.values import digest, now, word

if TYPE_CHECKING:
    from wechatpay.payment.values import Clock, Nonce

__all__ = ["payscore_detail", "payscore_enable", "payscore_use"]


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
        package: As the order was answered.
        secret: APIv2 secret, though orders are APIv3's.
        clock: Returns Unix seconds.
        nonce: Returns a fresh random string of at most 32 characters.

    Returns:
        ``mch_id package timestamp nonce_str sign_type sign``.

    Raises:
        InvalidRequestError: An argument is missing, or not one word of text.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "package": package}
    return _digested(fields, secret, clock, nonce)


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
        InvalidRequestError: An argument is missing, or not one word of text.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "service_id": service_id, "out_order_no": out_order_no}
    return _digested(fields, secret, clock, nonce)


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
        InvalidRequestError: An argument is missing, or not one word of text.
        CryptoError: ``secret`` is missing.
    """
    fields = {"mch_id": mch_id, "service_id": service_id, "out_request_no": out_request_no}
    return _digested(fields, secret, clock, nonce)


def _digested(given: dict[str, str], secret: str, clock: Clock, nonce: Nonce) -> dict[str, str]:
    fields = {name: word(name, value) for name, value in given.items()}
    fields |= {
        "timestamp": now(clock),
        "nonce_str": word("nonce", nonce()),
        "sign_type": hashing.ALGO_HMAC_SHA256,
    }
    return {**fields, "sign": digest(fields, secret, hashing.ALGO_HMAC_SHA256)}
