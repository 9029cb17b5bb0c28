"""APIv3 error responses, and what a ``SIGN_ERROR`` says.

https://pay.weixin.qq.com/doc/v3/merchant/4012081709
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wechatpay.apiv3 import rules
from wechatpay.apiv3.verification import explain_clock
from wechatpay.errors import APIError, DecodeError, ServerError, describe_failure, escape, suggest

if TYPE_CHECKING:
    from wechatpay.messages import Request, Response, SignedSnapshot

__all__ = ["failure"]

#: What may be sent again as it is, with the same business number, backing off.
_RETRYABLE = frozenset({"RATELIMIT_EXCEEDED", "FREQUENCY_LIMITED", "SYSTEM_ERROR"})

#: What to do, by words of the message.
_REMEDIES = {
    "解密失败": "; wrap the field in Sensitive(…), or pass encrypt_sensitive=True",
    "未在API文档中定义的参数": "; check=True names the member before it is sent",
    "Wechatpay-Serial": "; the id of WeChat Pay's key in `certs` is not one of this merchant: copy it, "
    "with its prefix PUB_KEY_ID_, from where the public key was downloaded",
    "商户号有误": "; does `mchid` belong to `serial` and `private_key`?",
}

_LINES = ("method", "path", "timestamp", "nonce", "body")

#: Bytes quoted of a line, and up to where: a query is not quoted.
_EXCERPT = 12
_QUOTED = re.compile(rb"[^\n?]*\??")


def failure(request: Request, response: Response) -> APIError:
    """Make the error that a 4xx or 5xx response is raised as; any body will do."""
    status = response.status_code
    try:
        body = response.json()
    except DecodeError:
        body = None
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    code, message = _text(fields.get("code")), _text(fields.get("message"))
    detail = fields.get("detail")
    hint = _sign_hint(detail, request.snapshot) if code == "SIGN_ERROR" else ""
    if status == 401:  # noqa: PLR2004  HTTP's Unauthorized
        hint += _clock_hint(request, response)
    # Other codes such as ORDER_NOT_EXIST say that the path is right.
    if status == 404 and (code == "RESOURCE_NOT_EXISTS" or not code.endswith(("EXIST", "EXISTS"))):  # noqa: PLR2004
        hint = _path_hint(request)
    if isinstance(detail, dict) and (field := _text(detail.get("field"))):
        hint += f"; detail.field: {escape(field)}"
    hint += next((remedy for words, remedy in _REMEDIES.items() if words in message), "")
    is_unknown = status >= 500  # noqa: PLR2004  HTTP's server errors
    if is_unknown:
        hint += f"; the outcome is unknown: {rules.next_step(request)}"
    return (ServerError if is_unknown else APIError)(
        describe_failure(request, response, code, message, hint),
        status_code=status,
        code=code,
        message=message,
        detail=detail,
        retryable=code in _RETRYABLE
        and status in (429, 500)
        and not (is_unknown and rules.needs_query_after_error(request.route)),
        request=request,
        response=response,
    )


def _path_hint(request: Request) -> str:
    """Suggest the documented segment in place of one that the catalogue does not know."""
    suggestion = "" if request.operation else suggest(request.route, request.method)
    return suggestion and f"; {suggestion}"


def _text(value: Any) -> str:
    # Lone surrogates, which JSON can carry, cannot be printed.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _clock_hint(request: Request, response: Response) -> str:
    """Say how far our clock, by which the request was signed, is from the server's."""
    if request.snapshot is None:
        return ""
    return explain_clock(response.headers, int(request.snapshot.text.split(b"\n", 3)[2]))


def _sign_hint(detail: Any, snapshot: SignedSnapshot | None) -> str:
    """Say where the text that the server signed differs from ours."""
    information = detail.get("sign_information") if isinstance(detail, dict) else None
    theirs = information.get("truncated_sign_message") if isinstance(information, dict) else None
    if snapshot is None or not isinstance(theirs, str):
        return ""
    # A text cut within a character ends in one that stands for what is missing.
    server, ours = theirs.rstrip("\ufffd").encode("utf-8", "surrogatepass"), snapshot.text
    place = next(
        (at for at, (a, b) in enumerate(zip(server, ours, strict=False)) if a != b),
        min(len(server), len(ours)),
    )
    length = information.get("sign_message_length") if isinstance(information, dict) else None
    total = length if type(length) is int else None
    if place == len(server) and total in (None, len(ours)):
        return "; the server signed the same text: does private_key belong to serial?"
    return f"; the server signed another text, which differs in the {_difference(server, ours, place, total)}"


def _difference(server: bytes, ours: bytes, place: int, total: int | None) -> str:
    line = min(ours[:place].count(b"\n"), len(_LINES) - 1)
    if line == len(_LINES) - 1:
        return f"body, at byte {place} (ours is {len(ours)} bytes, the server's {total or 'unknown'})"
    if line == 1 and b"?" in ours[:place]:
        return f"query, at byte {place}"
    return f"{_LINES[line]}, at byte {place}: server {_excerpt(server, place)}, ours {_excerpt(ours, place)}"


def _excerpt(text: bytes, place: int) -> str:
    return repr(_QUOTED.findall(text[place : place + _EXCERPT])[0].decode("utf-8", "replace"))
