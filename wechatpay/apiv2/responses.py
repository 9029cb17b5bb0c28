"""APIv2 answers: what they hold, and the errors that failures are raised as.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_2
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import rules, transformer
from wechatpay.errors import APIError, DecodeError, ServerError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.messages import Request, Response

__all__ = ["failure", "fields"]

#: What may be sent again as it is, with the same business number, backing off.
_RETRYABLE = frozenset(
    {
        "BIZERR_NEED_RETRY",
        "FREQUENCY_LIMITED",
        "FREQ_LIMIT",
        "RATELIMIT_EXCEEDED",
        "SYSTEMERROR",
        "SYSTEM_ERROR",
    }
)

_UNKNOWN_OUTCOME = frozenset({"SYSTEMERROR", "SYSTEM_ERROR"})

#: Bytes of an answer in a sink that are looked at: more than the transformer reads.
_MOST = (1 << 20) + 1

#: Bytes that tell XML from a file, and what may stand in front of it.
_SNIFFED = 64
_BLANK = b"\xef\xbb\xbf \t\r\n"


def fields(request: Request, response: Response) -> dict[str, Any] | None:
    """Read an answer; ``None`` is a file, or the one answer in JSON when it is a success.

    Raises:
        VerificationError: It is none of these, so nothing tells what came of the request.
    """
    is_markup = _body(request, response, _SNIFFED).lstrip(_BLANK).startswith(b"<")
    if not is_markup and rules.answers_with_a_file(request.route):
        return None
    try:
        if not is_markup and rules.answers_in_json(request.route):
            return _from_json(replace(response, content=_body(request, response)))
        return _from_xml(_body(request, response))
    except DecodeError as error:
        raise VerificationError(
            f"{request.method} {request.path}: an answer that cannot be read, outcome unknown: {error}",
            request=request,
            response=response,
        ) from None


def _body(request: Request, response: Response, most: int = _MOST) -> bytes:
    return request.sink.head(most) if request.sink and not response.content else response.content


def _from_xml(body: bytes) -> dict[str, Any]:
    found = transformer.to_dict(body)
    if "return_code" not in found:
        raise DecodeError("the body is XML without a return_code; look at the raw body")
    return found


def _from_json(response: Response) -> dict[str, Any] | None:
    """Put the JSON answer into the words of the others."""
    given = response.json()
    if not isinstance(given, dict) or "retcode" not in given:
        raise DecodeError("the body is JSON without a retcode")
    if str(given["retcode"]) == "0":
        return None
    return {"return_code": "FAIL", "err_code": str(given["retcode"]), "err_code_des": given.get("retmsg")}


def failure(request: Request, response: Response) -> APIError | None:
    """Make the error for an answer that is none of success; ``None`` for one that is.

    Raises:
        VerificationError: A 2xx answer cannot be read.
    """
    status = response.status_code
    if status < 400:  # noqa: PLR2004  HTTP's errors
        found = fields(request, response)
        return None if found is None or _succeeded(found) else _error(request, response, found)
    try:
        return _error(request, response, transformer.to_dict(response.content))
    except DecodeError:
        return _error(request, response, {})


def _succeeded(found: Mapping[str, Any]) -> bool:
    # Some endpoints answer no result_code: what return_code says is all there is.
    return found.get("return_code") == "SUCCESS" and found.get("result_code", "SUCCESS") == "SUCCESS"


def _error(request: Request, response: Response, found: Mapping[str, Any]) -> APIError:
    specific = _first(found, "err_code", "error_code")
    code = specific or _verdict(found)
    message = _first(found, "err_code_des", "error_code_des", "return_msg")
    words = f"{code}: {message}" if code else _unspoken(response)
    hint = "" if specific else _hint(request, message)
    unknown = specific in _UNKNOWN_OUTCOME or response.status_code >= 500  # noqa: PLR2004  HTTP's server errors
    return (ServerError if unknown else APIError)(
        f"{request.method} {request.path} → {words}{hint}",
        status_code=response.status_code,
        code=code,
        message=message,
        retryable=specific in _RETRYABLE and not rules.wants_a_query(request.route),
        request=request,
        response=replace(response, content=_body(request, response)),
    )


def _first(found: Mapping[str, Any], *names: str) -> str:
    return next((text for name in names if isinstance(text := found.get(name), str) and text), "")


def _verdict(found: Mapping[str, Any]) -> str:
    """Return the first code that is not SUCCESS, for answers that name no error."""
    codes = (_first(found, name) for name in ("return_code", "result_code"))
    return next((code for code in codes if code not in ("", "SUCCESS")), "")


def _unspoken(response: Response) -> str:
    kind = response.headers.get("Content-Type", "no Content-Type")
    size = len(response.content)
    return f"{response.status_code} without an error code ({kind}, {size} bytes: see .response.text)"


def _hint(request: Request, message: str) -> str:
    if "签名" in message:
        return " (is `secret` the APIv2 key that this merchant set in WeChat Pay's console?)"
    if rules.needs_certificate(request.route) and not request.mutual:
        return " (this endpoint wants the merchant certificate: pass security=True)"
    return ""
