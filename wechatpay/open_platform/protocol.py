"""The open platform, ``api.weixin.qq.com``: JSON, never signed, with an access token.

https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import jsontext
from wechatpay.assembly import USER_AGENT, assemble, refuse, send
from wechatpay.errors import InvalidRequestError
from wechatpay.logs import install_filter
from wechatpay.messages import Headers
from wechatpay.middleware import Stack
from wechatpay.multipart import Part
from wechatpay.open_platform.access import TOKENS, Access
from wechatpay.open_platform.errors import failure
from wechatpay.open_platform.parameters import added, parameters, secrets
from wechatpay.sink import Sink
from wechatpay.uri.hosts import is_open_platform, refuse_credentials

if TYPE_CHECKING:
    from wechatpay.media import Media
    from wechatpay.messages import Call, Request
    from wechatpay.middleware import Flow
    from wechatpay.multipart import File
    from wechatpay.settings import Settings

__all__ = ["MP"]

_FOREIGN = {
    "nonceless": "APIv2's; the open platform knows no nonce",
    "security": "APIv2's; the merchant certificate never goes to the open platform",
    "xml": "APIv2's; give `json`",
}

_PAID_UNIONID = "wxa/getpaidunionid"


class MP:
    """Builds the open platform's requests and runs them through its stack.

    Attributes:
        stack: The middlewares, outermost first: ``token``.
        filed: The digest of uploaded files, by which they are known again, and the name of their part.
    """

    filed = ("sha256", "media")

    def __init__(self, settings: Settings) -> None:
        if settings.transport.session is not None:
            # Its pools, unlike ours, log the query, in which this protocol has its secrets.
            install_filter()
        platform = settings.open_platform
        self._settings = replace(settings, base_uri=platform.base_uri, trust=platform.trust)
        self._mchid = platform.mchid
        self._defaults = Headers(
            {
                "Accept": "application/json, */*;q=0.5",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
            }
        )
        own = _without_payment(self._defaults.with_(settings.headers))
        self.stack = Stack(self._exchange, token=Access(platform, own, settings.clock))

    def request(self, call: Call, path: str) -> Request:
        """Build the request for ``call``, whose template expanded to ``path``; its token comes later.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
        """
        refuse(call, _FOREIGN)
        body = _content(call)
        request = assemble(
            self._settings,
            call,
            path,
            defaults=self._defaults.with_({"Content-Type": "application/json"}) if body else self._defaults,
            content=body,
            query=call.options.get("query"),
        )
        # JSON in the place of an image is a failure, so a body is held back until it is seen.
        sink = None if (destination := call.options.get("sink")) is None else Sink(destination)
        request = replace(request, headers=_without_payment(request.headers), sink=sink)
        for name in TOKENS:
            if "" in parameters(request).get(name, ()):
                raise InvalidRequestError(f"{name}: is blank; pass a token, or leave it out")
        return self._paid(request) if request.route == _PAID_UNIONID else request

    @staticmethod
    def attach(request: Request, media: Media, file: File) -> Request:
        """Give ``request`` a file, behind the fields that describe it.

        Raises:
            InvalidRequestError: What describes the file is no mapping of fields.
        """
        upload = media.upload(file, *(Part(name, _field(value)) for name, value in media.fields().items()))
        headers = {"Content-Type": upload.content_type, "Content-Length": str(len(upload))}
        return request.with_(upload=upload, headers=headers)

    def _paid(self, request: Request) -> Request:
        """Check how an order is named: by WeChat Pay's number alone, or by the merchant and its number.

        https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/basic-info/getPaidUnionid.html
        """
        given = parameters(request)
        for name in ("openid", "transaction_id", "mch_id", "out_trade_no"):
            if name in given and (len(given[name]) > 1 or not given[name][0]):
                raise InvalidRequestError(f"{name}: give one, which is not blank")
        if "openid" not in given:
            raise InvalidRequestError("openid: missing; give the payer's, under the app's appid")
        if ("transaction_id" in given) == ("out_trade_no" in given):
            raise InvalidRequestError(
                "give either transaction_id or out_trade_no (with its mch_id): one of them names the order"
            )
        if "transaction_id" in given and "mch_id" in given:
            raise InvalidRequestError("mch_id: belongs to out_trade_no; leave it out beside transaction_id")
        if "transaction_id" in given or "mch_id" in given:
            return request
        if self._mchid is None:
            raise InvalidRequestError("mch_id: missing; give it beside out_trade_no, or mchid to the Builder")
        return added(request, {"mch_id": self._mchid})

    @staticmethod
    def _exchange(request: Request) -> Flow:
        refuse_credentials(request)
        _refuse_plain(request)
        response = yield from send(request)
        if error := failure(request, response):
            raise error
        return response


def _content(call: Call) -> bytes:
    if (value := call.options.get("json")) is not None:
        return jsontext.encode(value)
    body = call.options.get("body")
    if body is None or isinstance(body, bytes | bytearray):
        return bytes(body or b"")
    if not isinstance(body, str):
        raise InvalidRequestError(f"body: give bytes or text, not {type(body).__name__}")
    try:
        return body.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "body: holds a lone surrogate, which is no text that UTF-8 can carry"
        ) from None


def _without_payment(headers: Headers) -> Headers:
    """Take out what a Builder's headers may say to WeChat Pay alone."""
    return headers.with_({name: None for name in headers if name.lower().startswith("wechatpay-")})


def _refuse_plain(request: Request) -> None:
    """Keep secrets off the plain address that WeChat's cloud hosting has."""
    if request.url.startswith("http:") and is_open_platform(request.url) and any(secrets(request)):
        raise InvalidRequestError(
            "an access_token or secret would leave unencrypted: with cloud=True leave it out, "
            "the hosting adds its own",
            request=request,
        )


def _field(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.encode(value, "meta").decode()
