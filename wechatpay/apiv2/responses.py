"""APIv2 responses: their fields, and the errors that failures are raised as.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_2
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import transformer
from wechatpay.apiv2 import rules
from wechatpay.errors import APIError, DecodeError, ServerError, VerificationError, describe_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.messages import Request, Response

__all__ = ["failure", "parse"]

#: Codes after which the same request, with the same business number, may be sent again.
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

#: Codes that leave open what became of the request: it failed in WeChat Pay or a bank, or is undecided yet.
_UNKNOWN_OUTCOME = frozenset({"BANKERROR", "ORDER_ACCEPTED", "SYSTEMERROR", "SYSTEM_ERROR", "USERPAYING"})

#: Bytes of a response in a sink that are parsed at most: more than the transformer accepts.
_MAX_SIZE = (1 << 20) + 1

#: Bytes that distinguish XML from a file, and the blanks that may precede XML.
_SNIFF_SIZE = 64
_BLANK = b"\xef\xbb\xbf \t\r\n"


def parse(request: Request, response: Response) -> dict[str, Any] | None:
    """Parse the fields of a response; ``None`` for a file and for a success in JSON.

    Raises:
        VerificationError: It cannot be parsed, so the outcome is unknown.
    """
    is_markup = _body(request, response, _SNIFF_SIZE).lstrip(_BLANK).startswith(b"<")
    if not is_markup and rules.returns_file(request.route):
        return None
    try:
        if not is_markup and rules.returns_json(request.route):
            return _from_json(replace(response, content=_body(request, response)))
        return _from_xml(_body(request, response))
    except DecodeError as error:
        raise VerificationError(
            f"{request.method} {request.path}: cannot parse the response ({error}), so the "
            f"outcome is unknown: {rules.next_step(request.route)}",
            request=request,
            response=response,
        ) from None


def _body(request: Request, response: Response, size: int = _MAX_SIZE) -> bytes:
    return request.sink.head(size) if request.sink and not response.content else response.content


def _from_xml(body: bytes) -> dict[str, Any]:
    fields = transformer.to_dict(body)
    if "return_code" not in fields:
        raise DecodeError("the body is XML without a return_code: see .response.text")
    return fields


def _from_json(response: Response) -> dict[str, Any] | None:
    """Turn the JSON of a failure into the fields that XML would have."""
    members = response.json()
    if not isinstance(members, dict) or "retcode" not in members:
        raise DecodeError("the body is JSON without a retcode: see .response.text")
    if str(members["retcode"]) == "0":
        return None
    return {"return_code": "FAIL", "err_code": str(members["retcode"]), "err_code_des": members.get("retmsg")}


def failure(request: Request, response: Response) -> APIError | None:
    """Build the error for a response that reports a failure; ``None`` for a success.

    Raises:
        VerificationError: A 2xx response cannot be parsed.
    """
    status = response.status_code
    if status < 400:  # noqa: PLR2004  HTTP's errors
        fields = parse(request, response)
        return None if fields is None or _succeeded(fields) else _error(request, response, fields)
    try:
        return _error(request, response, transformer.to_dict(response.content))
    except DecodeError:
        return _error(request, response, {})


def _succeeded(fields: Mapping[str, Any]) -> bool:
    # Some endpoints return no result_code: then return_code alone decides.
    return fields.get("return_code") == "SUCCESS" and fields.get("result_code", "SUCCESS") == "SUCCESS"


def _error(request: Request, response: Response, fields: Mapping[str, Any]) -> APIError:
    specific = _first(fields, "err_code", "error_code")
    code = specific or _result(fields)
    message = _first(fields, "err_code_des", "error_code_des", "return_msg")
    unknown = specific in _UNKNOWN_OUTCOME or response.status_code >= 500  # noqa: PLR2004  HTTP's server errors
    response = replace(response, content=_body(request, response))
    hint = "" if specific else _hint(request, message)
    if unknown:
        hint += f"; the outcome is unknown: {rules.next_step(request.route)}"
    return (ServerError if unknown else APIError)(
        describe_failure(request, response, code, message, hint),
        status_code=response.status_code,
        code=code,
        message=message,
        retryable=rules.is_repeated_after(specific, request.route)
        or (specific in _RETRYABLE and not rules.needs_query_after_error(request.route)),
        request=request,
        response=response,
    )


def _first(fields: Mapping[str, Any], *names: str) -> str:
    return next((text for name in names if isinstance(text := fields.get(name), str) and text), "")


def _result(fields: Mapping[str, Any]) -> str:
    """Return the first code that is not SUCCESS, for responses without an error code."""
    codes = (_first(fields, name) for name in ("return_code", "result_code"))
    return next((code for code in codes if code not in ("", "SUCCESS")), "")


def _hint(request: Request, message: str) -> str:
    if "签名" in message:
        return " (check that `secret` is the APIv2 key set in this merchant's WeChat Pay console)"
    if rules.needs_certificate(request.route) and not request.mutual:
        return " (this endpoint requires the merchant certificate: pass security=True)"
    return ""
