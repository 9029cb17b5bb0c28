"""APIv3: JSON, signed.

https://pay.weixin.qq.com/doc/v3/merchant/4012081606
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wechatpay import jsontext
from wechatpay.apiv3 import certificates, rules
from wechatpay.apiv3.body_digest import BodyDigest
from wechatpay.apiv3.certificate_refresher import CertificateRefresher
from wechatpay.apiv3.errors import failure
from wechatpay.apiv3.fields import SERIAL, KeySelector, freeze
from wechatpay.apiv3.signing import Signer
from wechatpay.apiv3.verification import Verifier
from wechatpay.assembly import assemble, default_headers, encode_body, refuse, send
from wechatpay.errors import ConfigurationError
from wechatpay.middleware import Stack

if TYPE_CHECKING:
    from wechatpay.apiv3.fields import FieldEncryptor
    from wechatpay.media import File, Media
    from wechatpay.messages import Call, Headers, Request
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Settings
    from wechatpay.uri import Location

__all__ = ["APIv3"]

_ACCEPT = "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5"

_REFUSED_OPTIONS = {
    "nonceless": "APIv2's; an APIv3 request always has a nonce",
    "security": "APIv2's; APIv3 needs no merchant certificate on the connection",
    "xml": "APIv2's; give `json`",
}


class APIv3:
    """Builds APIv3 requests and runs them through its stack.

    Attributes:
        stack: The middlewares, outermost first: ``signer``, ``verifier``.
        filed: The digest of uploaded files, and the name of their part.
    """

    filed = ("sha256", "file")

    def __init__(self, settings: Settings) -> None:
        if settings.merchant is None:
            raise ConfigurationError(
                "APIv3 needs the settings mchid, serial, private_key, and certs or apiv3_key, "
                "which were left out"
            )
        self._settings = settings
        self._keys = settings.merchant.platform
        self._selector = KeySelector(self._keys, settings.headers)
        self._headers, self._headers_with_body = default_headers(
            _ACCEPT, "application/json", settings.headers
        )
        self.stack = Stack(
            partial(send, failure, rules.next_step, errors_from=400),
            signer=Signer(settings.merchant, settings.clock, settings.nonce),
            verifier=Verifier(self._keys, settings.clock),
        )
        if (apiv3_key := settings.merchant.apiv3_key) is not None:
            self._keys.refresh_with(
                CertificateRefresher(
                    self._keys,
                    apiv3_key,
                    self._begin_download,
                    clock=settings.clock,
                    cache=settings.merchant.cache,
                )
            )

    def _begin_download(self) -> tuple[Request, Flow]:
        request = certificates.make_request(self._settings, self._headers, self._keys.suite.name)
        return request, self.stack.sign_only()(request)

    def request(self, call: Call, place: Location) -> Request:
        """Build the request for ``call``, whose template expanded to ``place``.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
            ConfigurationError: There is no key of WeChat Pay's, and none can be downloaded.
        """
        refuse(call, _REFUSED_OPTIONS)
        request = self._assemble(call, place, self._selector.select(call, place))
        if (destination := call.options.get("sink")) is None:
            return request
        from wechatpay.transports.sink import Sink  # noqa: PLC0415  few calls download

        return replace(request, sink=Sink.of(destination, self._make_digest))

    def _make_digest(self, headers: Headers) -> BodyDigest | None:
        # Bills come unsigned: nothing would be verified by what is hashed here.
        if not headers.get("Wechatpay-Signature"):
            return None
        return BodyDigest(headers, self._keys.get(headers.get(SERIAL, "")), self._settings.clock())

    def flow(self, call: Call, place: Location, request: Request, handler: Handler) -> Flow:
        """Send a request that was just built, once there is a key of WeChat Pay's.

        The caller may change what was passed as soon as this returns.
        """
        encryptor = request.encryptor
        if encryptor is None or (encryptor.key is not None and not self._keys.is_due()):
            return handler(request)
        return self._refresh_first(freeze(call) if encryptor.is_used else call, place, request, handler)

    def _refresh_first(self, call: Call, place: Location, request: Request, handler: Handler) -> Flow:
        yield from self._keys.ensure_key()
        fresh, built = self._selector.select(call, place), request.encryptor
        if fresh.key is None:
            # The last key was retired this very moment: nothing is sent that was not encrypted.
            raise self._keys.missing()
        if built is not None and built.key is not fresh.key:
            if built.is_used:
                request = replace(self._assemble(call, place, fresh), sink=request.sink)
            else:
                request = request.with_(headers={SERIAL: fresh.key.serial}, encryptor=fresh)
        return (yield from handler(request))

    def _assemble(self, call: Call, place: Location, encryptor: FieldEncryptor) -> Request:
        content = b""
        if (value := call.options.get("json")) is not None:
            content = jsontext.encode(encryptor.json(value))
        elif "body" in call.options:
            content = encode_body(call.options["body"])
        return assemble(
            self._settings,
            call,
            place,
            headers=self._headers_with_body if content else self._headers,
            changes={SERIAL: encryptor.key.serial} if encryptor.key else None,
            content=content,
            query=encryptor.query(call.options.get("query"), place.query),
            encryptor=encryptor,
        )

    @staticmethod
    def attach(request: Request, media: Media, file: File) -> Request:
        """Give ``request`` a hashed file, behind the JSON that describes it.

        Raises:
            InvalidRequestError: The description has no JSON, or cannot be encrypted.
        """
        from wechatpay.media import Part  # noqa: PLC0415  few calls upload

        meta = media.describe(file, request.encryptor.meta if request.encryptor else None)
        return request.with_(
            content=file.body(Part("meta", meta, "application/json")),
            meta=meta.encode(),
            headers={"Content-Type": file.media_type},
        )
