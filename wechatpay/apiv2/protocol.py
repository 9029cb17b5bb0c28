"""APIv2: XML, signed with a digest under a shared secret.

https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.apiv2 import responses, rules
from wechatpay.apiv2.digests import Fields, Signer, Verifier, parse_query, render
from wechatpay.assembly import assemble, default_headers, refuse, send
from wechatpay.errors import ConfigurationError, InvalidRequestError
from wechatpay.middleware import Stack
from wechatpay.transports.sink import Sink

if TYPE_CHECKING:
    from wechatpay.media import File, Media
    from wechatpay.messages import Call, Request
    from wechatpay.middleware import Flow
    from wechatpay.settings import Account, Settings

__all__ = ["APIv2"]

_REFUSED_OPTIONS = {
    "encrypt_sensitive": "APIv3's; nothing would be encrypted here",
    "body": "APIv2 signs fields, not bytes; give `xml`, a mapping of fields",
    "json": "APIv3's; give `xml`",
}


class APIv2:
    """Builds APIv2 requests and runs them through its stack.

    Attributes:
        stack: The middlewares, outermost first: ``signer``, ``verifier``.
        filed: The digest of uploaded files, and the name of their part.
    """

    filed = ("md5", "media")

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._headers, self._headers_with_body = default_headers(
            "text/xml, text/plain, application/x-gzip", "text/xml; charset=utf-8", settings.headers
        )
        self.stack = Stack(
            self._exchange,
            signer=Signer(account, settings.nonce),
            verifier=Verifier(account),
        )

    def request(self, call: Call, place: uri.Location) -> Request:
        """Build the request for ``call``, whose template expanded to ``place``; the signer signs its fields.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
            ConfigurationError: ``security`` was given, and the setting ``merchant`` was left out.
        """
        refuse(call, _REFUSED_OPTIONS)
        options, is_get = call.options, call.verb == "GET"
        if (mutual := options.get("security", False)) and self._account.identity is None:
            raise ConfigurationError(
                "security: needs the setting merchant, {'cert': …, 'key': …}, which was left out"
            )
        request = assemble(
            self._settings,
            call,
            _without_prefix(place),
            headers=self._headers if is_get else self._headers_with_body,
            query=options.get("query"),
        )
        fields = _fields(options.get("xml"))
        if is_get:
            fields = Fields(parse_query(uri.query(fields, request.target.partition("?")[2])))
        # A failed download returns XML in place of the file: the sink is fed once the body is known.
        sink = None if (destination := options.get("sink")) is None else Sink.of(destination)
        fields = _with_nonce(fields, wanted=not options.get("nonceless"))
        return request.with_(parameters=fields, mutual=mutual, sink=sink)

    def attach(self, request: Request, media: Media, file: File) -> Request:
        """Attach a file, and the fields that are signed and sent before it.

        Raises:
            InvalidRequestError: The file's ``meta`` is not a mapping of fields.
        """
        fields = Fields(mch_id=self._account.mchid, media_hash=file.digest, sign_type="MD5")
        fields.update(media.fields())
        return request.with_(file=file, parameters=fields, headers={"Content-Type": file.media_type})

    @staticmethod
    def _exchange(request: Request) -> Flow:
        # The signer renders the fields; they are rendered here if it was removed from the stack.
        request = request if request.snapshot else render(request)
        return (yield from send(responses.failure, lambda sent: rules.next_step(sent.route), request))


def _without_prefix(place: uri.Location) -> uri.Location:
    """Remove ``v2/``, which selects the protocol and is not sent."""
    path = place.path[len("v2/") :]
    if not path:
        raise InvalidRequestError("v2 selects the protocol: add a path, as in v2/pay/orderquery")
    return place._replace(path=path)


def _fields(xml: Any) -> Fields:
    if xml is None:
        return Fields()
    if not isinstance(xml, Mapping):
        raise InvalidRequestError(f"xml: give a mapping of fields, not {type(xml).__name__}")
    return Fields.of(xml)


def _with_nonce(fields: Fields, *, wanted: bool) -> Fields:
    """Mark the nonce as to be drawn: each attempt draws its own."""
    if fields.get("nonce_str") in (None, ""):
        if wanted:
            fields["nonce_str"] = None
        else:
            fields.pop("nonce_str", None)
    return fields
