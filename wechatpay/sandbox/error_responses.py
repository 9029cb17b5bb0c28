"""APIv3's error responses with WeChat Pay's codes and texts.

https://pay.weixin.qq.com/doc/v3/merchant/4012081709
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.sandbox.messages import HttpResponse

if TYPE_CHECKING:
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.parameters import Violation

__all__ = [
    "bad_authorization",
    "bad_header",
    "bad_parameter",
    "bad_signature",
    "error",
    "invalid_request",
    "no_resource",
    "not_allowed",
]


#: Bytes of the body that a truncated signed text ends with.
_SHOWN = 10


def error(status: int, code: str, message: str, detail: Any = None) -> HttpResponse:
    """Make an error response.

    Args:
        status: HTTP status.
        code: WeChat Pay's error code.
        message: Its text.
        detail: The ``detail`` member; ``None`` leaves it out.
    """
    extra = {} if detail is None else {"detail": detail}
    return HttpResponse.json({"code": code, "message": message, **extra}, status)


def bad_authorization(message: str, field: str, issue: str) -> HttpResponse:
    """Refuse an ``Authorization`` before its signature is checked."""
    detail = {"detail": {"issue": issue}, "field": field, "location": "authorization"}
    return error(401, "SIGN_ERROR", message, detail)


def bad_signature(request: HttpRequest, text: bytes, body: bytes) -> HttpResponse:
    """Refuse a signature and show the text that should have been signed, without most of the body."""
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
                "method": request.method,
                "url": request.target,
                "truncated_sign_message": shown.decode("utf-8", "replace"),
                "sign_message_length": len(text),
            },
        },
    )


def bad_header(message: str, name: str, value: str | None) -> HttpResponse:
    """Refuse a header other than ``Authorization``."""
    return _bad("header", name, value, message)


def bad_parameter(violation: Violation) -> HttpResponse:
    """Refuse a parameter that violates a rule."""
    location, name = violation.location, violation.name
    label = name.rpartition("/")[2]
    issue = violation.message or f"输入源“/{location}/{name}”映射到字段“{label}”{violation.rule}"
    # A member of the body is named by a JSON pointer once it is nested.
    return _bad(location, f"/{name}" if "/" in name else name, violation.value, issue)


def invalid_request(message: str, status: int = 400, code: str = "INVALID_REQUEST") -> HttpResponse:
    """Refuse a request that violates a business rule."""
    return error(status, code, message)


def _bad(location: str, name: str, value: Any, issue: str) -> HttpResponse:
    detail = {"field": name, "value": value, "issue": issue, "location": location}
    return error(400, "PARAM_ERROR", issue, detail)


def no_resource(message: str) -> HttpResponse:
    """Report that the resource does not exist."""
    return error(404, "RESOURCE_NOT_EXISTS", message)


def not_allowed(method: str, allowed: list[str]) -> HttpResponse:
    """Report that the path does not support the method."""
    message = f"该接口不支持HTTP方法{method}，请使用{'、'.join(allowed)}"
    return error(405, "METHOD_NOT_ALLOWED", message)
