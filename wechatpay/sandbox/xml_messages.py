"""APIv2's XML: one root ``xml``, fields below, texts in CDATA; and its responses.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_2
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from wechatpay.messages import Headers
from wechatpay.sandbox.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.parameters import Violation

__all__ = [
    "documented",
    "element",
    "failure",
    "lasting",
    "no_certificate",
    "no_encryption",
    "read",
    "refuse",
    "success",
    "violation_response",
    "write",
]


_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read(body: bytes) -> dict[str, str]:
    """Read the fields of a document.

    Raises:
        ValueError: The body is not such a document; the text is WeChat Pay's.
    """
    if not body:
        raise ValueError("post数据为空")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ValueError("编码格式错误") from None
    try:
        root = None if _DOCTYPE.search(text) else ET.fromstring(text)  # noqa: S314  without entities no bombs
    except (ET.ParseError, ValueError):
        root = None
    fields = {} if root is None else {child.tag: child.text or "" for child in root}
    if root is None or root.tag != "xml" or len(fields) < len(root) or any(map(len, root)):
        raise ValueError("XML格式错误")
    return fields


def write(fields: Mapping[str, Any]) -> bytes:
    """Write fields, each on a line of its own: texts, numbers, objects, and lists, whose items repeat."""
    lines = "\n".join(element(name, value) for name, value in fields.items())
    return f"<xml>{lines}\n</xml>".encode()


def element(name: str, value: Any) -> str:
    """Write one field; numbers go without CDATA."""
    if isinstance(value, list):
        return "\n".join(element(name, item) for item in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(element(*member) for member in value.items())}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    # A parser reads a bare CR as LF, and CDATA has no other way to write one.
    text = value.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<{name}><![CDATA[{text}]]></{name}>"


_ECHOED = ("appid", "mch_id", "sub_appid", "sub_mch_id", "device_info")

#: The page of the proxy in front of WeChat Pay.
_NO_CERTIFICATE = (
    "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


#: Fields that differ when the same request is made again.
_FRESH = frozenset({"nonce_str", "sign", "sign_type"})


def lasting(sent: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a request that are the same when it is repeated."""
    return {name: value for name, value in sent.items() if name not in _FRESH}


def documented(members: Mapping[str, Any]) -> HttpResponse:
    """Make a response of exactly these members."""
    return _response(members)


def success(
    sent: Mapping[str, str], result: Mapping[str, str | int], *, has_nonce: bool = True
) -> HttpResponse:
    """Make a successful response.

    Args:
        sent: The fields of the request.
        result: Further fields of the response.
        has_nonce: Whether it has a ``nonce_str``: those about contracts have none.
    """
    head = _head(sent)
    if not has_nonce:
        del head["nonce_str"]
    return _response({**head, "result_code": "SUCCESS", **result})


def failure(sent: Mapping[str, str], code: str, message: str) -> HttpResponse:
    """Make an error response to a verified request.

    Args:
        sent: The fields of the request.
        code: ``err_code``.
        message: ``err_code_des``.
    """
    return _response({**_head(sent), "result_code": "FAIL", "err_code": code, "err_code_des": message})


def violation_response(sent: Mapping[str, str], violation: Violation) -> HttpResponse:
    """Refuse a field that violates a rule."""
    if violation.value is None:
        return failure(sent, "LACK_PARAMS", f"缺少参数{violation.name}：{violation.rule}")
    return failure(sent, "PARAM_ERROR", f"参数{violation.name}错误：{violation.rule}")


def refuse(message: str, *, status: int = 200, **more: str) -> HttpResponse:
    """Refuse a request that is not verified; such responses are not signed.

    Args:
        message: ``return_msg``.
        status: HTTP status.
        more: Further fields.
    """
    return _response({"return_code": "FAIL", "return_msg": message, **more}, status)


def no_certificate() -> HttpResponse:
    """Refuse a connection without the merchant certificate with WeChat Pay's page."""
    return HttpResponse(400, _NO_CERTIFICATE.encode(), Headers({"Content-Type": "text/html"}))


def no_encryption() -> HttpResponse:
    """Refuse plain HTTP where the merchant certificate is required."""
    return refuse(
        "No required SSL certificate was sent: plain HTTP carries none; "
        "take the settings from sandbox.settings(tls=True)",
        status=400,
    )


def _head(sent: Mapping[str, str]) -> dict[str, str | int]:
    echoed = {name: sent[name] for name in _ECHOED if sent.get(name)}
    return {
        "return_code": "SUCCESS",
        "return_msg": "OK",
        **echoed,
        "nonce_str": secrets.token_hex(8),
    }


def _response(fields: Mapping[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(status, write(fields), Headers({"Content-Type": "text/xml; charset=utf-8"}))
