"""The checks of an order's parameters that the catalogue does not have, for all kinds of orders of APIv3.

https://pay.weixin.qq.com/doc/v3/merchant/4012791858
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay.sandbox import error_responses
from wechatpay.sandbox.clock import parse_rfc3339
from wechatpay.sandbox.parameters import Violation
from wechatpay.sandbox.test_users import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.apiv3 import Call
    from wechatpay.sandbox.messages import HttpResponse

__all__ = [
    "amount_violation",
    "currency_violation",
    "merchant_error",
    "number_violation",
    "order_error",
    "payer_violation",
    "read_expiry",
]

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def order_error(call: Call, openid: str, *violations: Violation | None) -> HttpResponse | None:
    """Return the error response to an order whose parameters are wrong, else ``None``.

    Args:
        call: The request.
        openid: The payer that the order names; ``""`` for anybody.
        violations: The rules that its numbers, amounts and payer violate.
    """
    body = call.body
    url, time = _url_violation(body.get("notify_url", "")), _time_violation(body.get("time_expire", ""))
    if violation := next(filter(None, (*violations, url, time)), None):
        return error_responses.bad_parameter(violation)
    if openid and standing(openid) is None:
        return error_responses.error(400, "PARAM_ERROR", "无效的openid")
    return merchant_error(call, body)


def merchant_error(call: Call, given: Mapping[str, Any]) -> HttpResponse | None:
    """Refuse parameters that name another merchant than the one who signed."""
    names = ("sp_mchid", "mchid", "combine_mchid")
    if next((given[name] for name in names if name in given), None) == call.mchid:
        return None
    if call.request.method == "GET":
        return error_responses.invalid_request("商户号和订单信息不匹配")
    message = "http header中的mchid与post payload中的mchid不匹配"
    return error_responses.invalid_request(message, code="PARAM_ERROR")


def read_expiry(body: Mapping[str, Any]) -> float:
    """Return when a checked order can no longer be paid, in Unix seconds; 0 if it does not say."""
    return parse_rfc3339(body["time_expire"]) if body.get("time_expire") else 0.0


def number_violation(name: str, number: str) -> Violation | None:
    """Return the rule that an order's number violates, or ``None``."""
    if _NUMBER.fullmatch(number):
        return None
    return Violation("body", name, number, "字符串规则校验失败，应为6至32位数字、字母或_-|*")


def amount_violation(name: str, fen: Any, most: int | None = None) -> Violation | None:
    """Return the rule that an amount violates, or ``None``.

    Args:
        name: The parameter.
        fen: The amount, which the catalogue may allow to be a fraction.
        most: The highest amount; ``None`` for any.
    """
    if type(fen) is not int:
        return Violation("body", name, fen, "数值规则校验失败，应为整数")
    if fen < 1:
        return Violation("body", name, fen, "数值规则校验失败，值低于最小值 1")
    if most is not None and fen > most:
        return Violation("body", name, fen, f"数值规则校验失败，值高于最大值 {most}")
    return None


def currency_violation(name: str, currency: str) -> Violation | None:
    """Return the rule that a currency violates, or ``None``."""
    return None if currency == "CNY" else Violation("body", name, currency, "枚举规则校验失败，应为CNY")


def payer_violation(name: str, openid: str, trade_type: str) -> Violation | None:
    """Return the rule that an order violates that names no payer, or ``None``: JSAPI requires one."""
    if openid or trade_type != "JSAPI":
        return None
    return Violation("body", name, None, "必填性规则校验失败，此字段为必填项")


def _url_violation(url: str) -> Violation | None:
    """Return the rule that a URL for callbacks violates; HTTP only leads to this machine."""
    violation = Violation("body", "notify_url", url, "网址规则校验失败，应为不带参数的https网址")
    try:
        parts = urlsplit(url)
    except ValueError:
        return violation
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    is_valid = not url or (is_secure and not parts.query and not parts.fragment)
    return None if is_valid else violation


def _time_violation(text: str) -> Violation | None:
    try:
        is_valid = not text or parse_rfc3339(text) > 0
    except ValueError:
        is_valid = False
    return None if is_valid else Violation("body", "time_expire", text, "时间规则校验失败，应为RFC 3339格式")
