"""APIv3's error answers, in its own words.

https://pay.weixin.qq.com/doc/v3/merchant/4012081709
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.answer import Answer

if TYPE_CHECKING:
    from wechatpay.sandbox.answer import Received
    from wechatpay.sandbox.catalogue import Breach

__all__ = [
    "bad_authorization",
    "bad_header",
    "bad_parameter",
    "bad_signature",
    "error",
    "no_resource",
    "not_allowed",
]

#: Bytes of the body that a truncated signed text ends with.
_SHOWN = 10


def error(status: int, code: str, message: str, detail: Any = None) -> Answer:
    """Make an error answer.

    Args:
        status: HTTP status.
        code: WeChat Pay's error code.
        message: Its words.
        detail: What is wrong where; left out when ``None``.
    """
    extra = {} if detail is None else {"detail": detail}
    return Answer.json({"code": code, "message": message, **extra}, status)


def bad_authorization(message: str, field: str, issue: str) -> Answer:
    """Refuse an ``Authorization`` before its signature was looked at."""
    detail = {"detail": {"issue": issue}, "field": field, "location": "authorization"}
    return error(401, "SIGN_ERROR", message, detail)


def bad_signature(received: Received, text: bytes, body: bytes) -> Answer:
    """Refuse a signature, and show the text that it ought to belong to, but for most of the body."""
    head = len(text) - len(body) - 1
    shown = text[: head + _SHOWN] if len(body) > _SHOWN else text
    return error(
        401,
        "SIGN_ERROR",
        "错误的签名，导致验签失败",
        {
            "detail": {"issue": "sign not match"},
            "field": "signature",
            "location": "authorization",
            "sign_information": {
                "method": received.method,
                "url": received.target,
                "truncated_sign_message": shown.decode("utf-8", "replace"),
                "sign_message_length": len(text),
            },
        },
    )


def bad_header(message: str, name: str, value: str | None) -> Answer:
    """Refuse a header other than ``Authorization``."""
    return _bad("header", name, value, message)


def bad_parameter(breach: Breach) -> Answer:
    """Refuse a parameter that breaks a rule."""
    location, name = breach.location, breach.name
    issue = f"输入源“/{location}/{name}”映射到字段“{name}”{breach.rule}"
    return _bad(location, name, breach.value, issue)


def _bad(location: str, name: str, value: Any, issue: str) -> Answer:
    detail = {"field": name, "value": value, "issue": issue, "location": location}
    return error(400, "PARAM_ERROR", issue, detail)


def no_resource(message: str) -> Answer:
    """Say that there is nothing of that name."""
    return error(404, "RESOURCE_NOT_EXISTS", message)


def not_allowed(method: str) -> Answer:
    """Say that the path exists, but not with this method."""
    return error(405, "METHOD_NOT_ALLOWED", f"该接口不支持HTTP方法{method}")
