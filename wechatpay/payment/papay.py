"""Automatic deduction (委托代扣) in APIv2: the page on which a user agrees to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wechatpay import formatter
from wechatpay.crypto import hashing
from wechatpay.payment.values import digest, now, require, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.payment.values import Clock

__all__ = ["entrust_web"]

_REQUIRED: Final = (
    "appid",
    "mch_id",
    "plan_id",
    "contract_code",
    "request_serial",
    "contract_display_account",
    "notify_url",
)


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
        InvalidRequestError: A parameter is missing, or has no text.
        CryptoError: ``secret`` is missing.
    """
    fields = {"version": "1.0", "timestamp": now(clock), **texts(parameters)}
    require(_REQUIRED, fields)
    return {**fields, "sign": digest(fields, secret, hashing.ALGO_MD5)}
