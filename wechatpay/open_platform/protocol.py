"""The open platform, ``api.weixin.qq.com``: JSON, never signed, with an access token.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import jsontext, uri
from wechatpay.assembly import assemble, default_headers, encode_body, refuse, send
from wechatpay.errors import APIError, InvalidRequestError, ServerError, describe_failure
from wechatpay.media import Part
from wechatpay.middleware import Stack
from wechatpay.open_platform.tokens import TOKEN_NAMES, Authenticator, add_query, query_values
from wechatpay.transports.sink import Sink
from wechatpay.uri.hosts import is_open_platform, refuse_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.media import File, Media
    from wechatpay.messages import Call, Headers, Request, Response
    from wechatpay.middleware import Flow
    from wechatpay.settings import Settings

__all__ = ["OpenPlatform"]

_REFUSED_OPTIONS = {
    "encrypt_sensitive": "APIv3's; nothing would be encrypted here",
    "nonceless": "APIv2's; requests to the open platform carry no nonce",
    "security": "APIv2's; the merchant certificate is never sent to the open platform",
    "xml": "APIv2's; give `json`",
}

_PAID_UNIONID = "wxa/getpaidunionid"

_SECRET_NAMES = frozenset({"access_token", "appsecret", "component_access_token", "refresh_token", "secret"})

#: Maximum size in bytes of an error that comes in place of a file; the platform's have a few hundred.
_MAX_ERROR_SIZE = 64 * 1024

_RETRYABLE = frozenset({"-1", "45011"})

_WINDOW = "unionids are available for five minutes after the payment, for the openid that paid"

#: https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
_MEANINGS = {
    "-1": "the platform is busy: send it again after a pause",
    "40001": "the access_token is no longer good, or the app's secret is wrong",
    "40003": f"the openid is not a user of this app; {_WINDOW}",
    "40013": "the appid is wrong",
    "40014": "the access_token is not this app's",
    "40029": "the code is wrong, expired or already used",
    "40125": "the app's secret is wrong",
    "40164": "this machine's IP address is not on the app's list: add it in WeChat's console",
    "41001": "the access_token is missing: with cloud=True the code must run in WeChat's cloud hosting, and "
    "this path must be on its list of open interfaces",
    "42001": "the access_token expired",
    "45009": "today's calls are used up",
    "45011": "too many calls: send it again in a minute",
    "48001": "the app may not use this interface",
    "89002": "the app is not bound to an open-platform account, so its users have no unionid: bind it at "
    "https://open.weixin.qq.com/",
    "89300": f"there is no such order; {_WINDOW}",
}


class OpenPlatform:
    """Builds the open platform's requests and runs them through its stack.

    Attributes:
        stack: The middlewares, outermost first: ``token``.
        filed: The digest of uploaded files, and the name of their part.
    """

    filed = ("sha256", "media")

    def __init__(self, settings: Settings) -> None:
        platform = settings.open_platform
        self._settings = replace(settings, base_uri=platform.base_uri, trust=platform.trust)
        self._mchid = platform.mchid
        self._headers, self._headers_with_body = default_headers(
            "application/json, */*;q=0.5", "application/json", settings.headers
        )
        token = Authenticator(platform, _without_payment(self._headers), settings.clock)
        self.stack = Stack(self._exchange, token=token)

    def request(self, call: Call, place: uri.Location) -> Request:
        """Build the request for ``call``, whose template expanded to ``place``; the stack adds the token.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
        """
        refuse(call, _REFUSED_OPTIONS)
        body = _content(call)
        request = assemble(
            self._settings,
            call,
            place,
            headers=self._headers_with_body if body else self._headers,
            content=body,
            query=call.options.get("query"),
        )
        # An error is JSON in place of the file: the sink is fed once the body is known.
        sink = None if (destination := call.options.get("sink")) is None else Sink(destination)
        request = replace(request, headers=_without_payment(request.headers), sink=sink)
        for name in TOKEN_NAMES:
            if "" in query_values(request).get(name, ()):
                raise InvalidRequestError(f"{name}: is empty: pass a token, or leave it out")
        return self._check_paid_unionid(request) if request.route == _PAID_UNIONID else request

    @staticmethod
    def attach(request: Request, media: Media, file: File) -> Request:
        """Attach a file to ``request``, after the fields that describe it.

        Raises:
            InvalidRequestError: The file's ``meta`` is not a mapping of fields.
        """
        parts = [Part(name, _form_field(value)) for name, value in media.fields().items()]
        return request.with_(content=file.body(*parts), headers={"Content-Type": file.media_type})

    def _check_paid_unionid(self, request: Request) -> Request:
        """Check that one order is named: by transaction_id alone, or by mch_id and out_trade_no.

        https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/basic-info/getPaidUnionid.html
        """
        given = query_values(request)
        for name in ("openid", "transaction_id", "mch_id", "out_trade_no"):
            if name in given and (len(given[name]) > 1 or not given[name][0]):
                raise InvalidRequestError(f"{name}: give it once, and not empty")
        if "openid" not in given:
            raise InvalidRequestError("openid: missing: give the payer's openid of this app")
        if ("transaction_id" in given) == ("out_trade_no" in given):
            raise InvalidRequestError(
                "transaction_id, out_trade_no: give one of them (out_trade_no with its mch_id)"
            )
        if "transaction_id" in given and "mch_id" in given:
            raise InvalidRequestError("mch_id: belongs to out_trade_no: leave it out beside transaction_id")
        if "transaction_id" in given or "mch_id" in given:
            return request
        if self._mchid is None:
            raise InvalidRequestError(
                "mch_id: missing: give it beside out_trade_no, or give the Builder mchid"
            )
        return add_query(request, {"mch_id": self._mchid})

    @staticmethod
    def _exchange(request: Request) -> Flow:
        refuse_credentials(request)
        _refuse_secrets_over_http(request)
        return (yield from send(_failure, None, request))


def _content(call: Call) -> bytes:
    if (value := call.options.get("json")) is not None:
        return jsontext.encode(value)
    return encode_body(call.options.get("body"))


def _without_payment(headers: Headers) -> Headers:
    """Remove headers that are meant for WeChat Pay only."""
    return headers.with_({name: None for name in headers if name.lower().startswith("wechatpay-")})


def _refuse_secrets_over_http(request: Request) -> None:
    """Refuse to send a secret to the unencrypted address of WeChat's cloud hosting."""
    if request.url.startswith("http:") and is_open_platform(request.url) and any(_secrets(request)):
        raise InvalidRequestError(
            "an access_token or secret would be sent unencrypted: with cloud=True leave it out, "
            "WeChat's cloud hosting adds its own",
            request=request,
        )


def _form_field(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.encode(value, "meta").decode()


def _secrets(request: Request) -> Iterator[str]:
    """Yield the tokens and secrets in the query and in the body."""
    query = ((name, value) for name, values in query_values(request).items() for value in values)
    for name, value in (*query, *_json_object(request.content).items()):
        if name in _SECRET_NAMES and isinstance(value, str) and value:
            yield value


def _json_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; anything else, such as an image, has no members."""
    if not body.lstrip().startswith(b"{"):
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _failure(request: Request, response: Response) -> APIError | None:
    """Build the error for a response with a non-zero ``errcode`` or a 4xx or 5xx status; else ``None``."""
    body = response.content or (request.sink.head(_MAX_ERROR_SIZE) if request.sink else b"")
    members, status = _json_object(body), response.status_code
    code = "" if (given := members.get("errcode")) is None or str(given) == "0" else str(given)
    if status < 400 and not code:  # noqa: PLR2004  HTTP's errors
        return None
    message = _without_secrets(request, text) if isinstance(text := members.get("errmsg"), str) else ""
    response = replace(response, content=body)
    meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
    return (ServerError if status >= 500 else APIError)(  # noqa: PLR2004  HTTP's server errors
        describe_failure(request, response, code, message, meaning),
        status_code=status,
        code=code,
        message=message,
        retryable=code in _RETRYABLE,
        request=request,
        response=response,
    )


def _without_secrets(request: Request, message: str) -> str:
    """Remove tokens and secrets of the request that the response quotes."""
    for secret in _secrets(request):
        message = message.replace(secret, "…")
    return message
