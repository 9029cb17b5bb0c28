"""The second signature, of WeCom (企业微信), that its red packs and payments to staff carry in APIv2.

See https://work.weixin.qq.com/api/doc/90000/90135/90281.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wechatpay import formatter
from wechatpay.crypto import hashing
from wechatpay.payment.values import proper, require, texts, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wechatpay.payment.values import Nonce

__all__ = ["workwx_redpack", "workwx_transfer"]

# These are digested, and no others.
_REDPACK: Final = (
    "act_name",
    "mch_billno",
    "mch_id",
    "nonce_str",
    "re_openid",
    "total_amount",
    "wxappid",
)
_TRANSFER: Final = (
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
        InvalidRequestError: A parameter that is signed is missing, or one has no text.
        CryptoError: ``secret`` is missing.
    """
    return _signed(_REDPACK, parameters, secret, nonce)


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
        InvalidRequestError: A parameter that is signed is missing, or one has no text.
        CryptoError: ``secret`` is missing.
    """
    return _signed(_TRANSFER, parameters, secret, nonce)


def _signed(names: Sequence[str], parameters: Mapping[str, Any], secret: str, nonce: Nonce) -> dict[str, str]:
    given = texts(parameters)
    fields = {"nonce_str": given.get("nonce_str") or word("nonce", nonce()), **given}
    require((name for name in names if name != _OPTIONAL), fields)
    text = formatter.query_string_like({name: fields.get(name) for name in names})
    return {**fields, "workwx_sign": hashing.md5(text, proper(secret), agency=True).upper()}
