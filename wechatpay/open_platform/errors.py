"""The open platform's error answers: a JSON with an ``errcode``, whatever the status.

https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay.errors import APIError, ServerError
from wechatpay.open_platform.parameters import members, secrets

if TYPE_CHECKING:
    from wechatpay.messages import Request, Response

__all__ = ["RETIRED", "failure"]

#: The access token is not, or no longer, the app's. 40014 is what one answers that another app's would.
RETIRED = frozenset({"40001", "40014", "42001"})

_RETRYABLE = frozenset({"-1", "45011"})

_WINDOW = "it answers only within five minutes of the payment, and for the openid that paid"

_MEANINGS = {
    "-1": "the platform is busy: send it again, backing off",
    "40001": "the access_token is no longer good, or the app's secret is wrong",
    "40003": f"the openid is not one of this app's users; {_WINDOW}",
    "40013": "the appid is wrong",
    "40014": "the access_token is none of this app's",
    "40029": "the code is wrong, expired or used already",
    "40125": "the app's secret is wrong",
    "40164": "this machine's IP address is not on the app's list: add it in WeChat's console",
    "41001": "no access_token arrived: with cloud=True the code must run in WeChat's cloud hosting, with "
    "this path among the open interfaces that it may call",
    "42001": "the access_token expired",
    "45009": "today's calls are used up",
    "45011": "too many calls just now: send it again in a minute",
    "48001": "the app may not use this interface",
    "89002": "the app is bound to no open-platform account, so its users have no unionid: bind it at "
    "https://open.weixin.qq.com/",
    "89300": f"there is no such order; {_WINDOW}",
}

#: Bytes of an answer in a sink that are looked at: an error has a few hundred.
_MOST = 64 * 1024


def failure(request: Request, response: Response) -> APIError | None:
    """Make the error for an answer with an ``errcode`` other than 0, or a 4xx or 5xx; else ``None``."""
    body, status = _body(request, response), response.status_code
    fields = members(body)
    code = _code(fields)
    if status < 400 and not code:  # noqa: PLR2004  HTTP's errors
        return None
    message = _hushed(request, text) if isinstance(text := fields.get("errmsg"), str) else ""
    words = f"{code}: {message}" if code else _unspoken(response)
    meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
    return (ServerError if status >= 500 else APIError)(  # noqa: PLR2004  HTTP's server errors
        f"{request.method} {request.path} → {words}{meaning}",
        status_code=status,
        code=code,
        message=message,
        retryable=code in _RETRYABLE,
        request=request,
        response=replace(response, content=body),
    )


def _body(request: Request, response: Response) -> bytes:
    return response.content or (request.sink.head(_MOST) if request.sink else b"")


def _code(fields: dict[str, Any]) -> str:
    code = fields.get("errcode")
    return "" if code is None or str(code) == "0" else str(code)


def _unspoken(response: Response) -> str:
    kind = response.headers.get("Content-Type", "no Content-Type")
    size = len(response.content)
    return f"{response.status_code} without an errcode ({kind}, {size} bytes: see .response.text)"


def _hushed(request: Request, message: str) -> str:
    """Take out what was sent in confidence, should the answer quote it."""
    for secret in secrets(request):
        message = message.replace(secret, "…")
    return message
