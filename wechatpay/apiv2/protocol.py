"""APIv2: XML, signed with a digest under a shared secret.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.apiv2.digests import Signer, Verifier, parsed, rendered
from wechatpay.apiv2.responses import failure
from wechatpay.assembly import USER_AGENT, assemble, refuse, send
from wechatpay.errors import ConfigurationError, InvalidRequestError
from wechatpay.messages import Headers
from wechatpay.middleware import Stack
from wechatpay.sink import Sink

if TYPE_CHECKING:
    from wechatpay.media import Media
    from wechatpay.messages import Call, Request
    from wechatpay.middleware import Flow
    from wechatpay.multipart import File
    from wechatpay.settings import Account, Settings

__all__ = ["V2"]

_FOREIGN = {
    "body": "APIv2 signs fields, not bytes; give `xml`, a mapping",
    "json": "APIv3's; give `xml`",
}


class V2:
    """Builds APIv2 requests and runs them through its stack.

    Attributes:
        stack: The middlewares, outermost first: ``signer``, ``verifier``.
        filed: The digest of uploaded files, and the name of their part.
    """

    filed = ("md5", "media")

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._defaults = Headers(
            {
                "Accept": "text/xml, text/plain, application/x-gzip",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
            }
        )
        self._with_body = self._defaults.with_({"Content-Type": "text/xml; charset=utf-8"})
        self.stack = Stack(
            self._exchange,
            signer=Signer(account, settings.nonce),
            verifier=Verifier(account),
        )

    def request(self, call: Call, path: str) -> Request:
        """Build the request for ``call``, whose template expanded to ``path``; its fields are not yet signed.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
            ConfigurationError: It asks for ``security``, and the setting ``merchant`` was left out.
        """
        refuse(call, _FOREIGN)
        options, is_get = call.options, call.verb == "GET"
        if (mutual := bool(options.get("security"))) and self._account.identity is None:
            raise ConfigurationError(
                "security: needs the setting merchant, {'cert': …, 'key': …}, which was left out"
            )
        path = _without_prefix(path)
        request = assemble(
            self._settings,
            call,
            path,
            defaults=self._defaults if is_get else self._with_body,
            query=options.get("query"),
        )
        fields = _fields(options.get("xml"))
        if is_get:
            fields = parsed(uri.query(fields, request.target.partition("?")[2]))
        # An XML answer to a download is a failure, so even unsigned bodies are held back until they are seen.
        sink = None if (destination := options.get("sink")) is None else Sink(destination)
        fields = _with_nonce(fields, wanted=not options.get("nonceless"))
        return request.with_(parameters=fields, mutual=mutual, sink=sink)

    def attach(self, request: Request, media: Media, file: File) -> Request:
        """Give ``request`` a hashed file, and the fields that are signed and sent in front of it.

        Raises:
            InvalidRequestError: What describes the file is no mapping of fields.
        """
        upload = media.upload(file)
        fields = {
            "mch_id": self._account.mchid,
            "media_hash": file.digest,
            "sign_type": "MD5",
            **media.fields(),
        }
        return request.with_(upload=upload, parameters=fields, headers={"Content-Type": upload.content_type})

    @staticmethod
    def _exchange(request: Request) -> Flow:
        # Nothing was put where it is sent when the signer was taken out.
        response = yield from send(request if request.seal else rendered(request))
        if error := failure(request, response):
            raise error
        return response


def _without_prefix(path: str) -> str:
    """Take out ``v2/``, by which the chain tells the protocols apart."""
    origin, route, query = uri.split(path)
    route = route[len("v2/") :]
    if not route:
        raise InvalidRequestError("v2 is the protocol, and no path by itself: go on, as in v2/pay/orderquery")
    return f"{origin and origin + '/'}{route}{query and '?' + query}"


def _fields(xml: Any) -> Mapping[str, Any]:
    if xml is None:
        return {}
    if not isinstance(xml, Mapping):
        raise InvalidRequestError(f"xml: give a mapping of fields, not {type(xml).__name__}")
    return xml


def _with_nonce(fields: Mapping[str, Any], *, wanted: bool) -> dict[str, Any]:
    """Leave a place for the nonce, which each attempt draws anew."""
    fields = dict(fields)
    if fields.get("nonce_str") in (None, ""):
        if wanted:
            fields["nonce_str"] = None
        else:
            fields.pop("nonce_str", None)
    return fields
