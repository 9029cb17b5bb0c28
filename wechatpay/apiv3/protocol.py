"""APIv3: JSON, signed.

https://pay.weixin.qq.com/doc/v3/merchant/4012081606
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wechatpay import jsontext, uri
from wechatpay.apiv3 import certificates, rules
from wechatpay.apiv3.body_digest import StreamTally
from wechatpay.apiv3.certificate_refresher import CertificateRefresher
from wechatpay.apiv3.errors import failure
from wechatpay.apiv3.fields import SERIAL, KeySelector, freeze
from wechatpay.apiv3.signing import Signer, Verifier
from wechatpay.apiv3.verification import HEADERS
from wechatpay.assembly import USER_AGENT, assemble, refuse, send
from wechatpay.errors import ConfigurationError, InvalidRequestError, NoResponseError, RedirectError
from wechatpay.messages import Headers, Response
from wechatpay.middleware import Stack

if TYPE_CHECKING:
    from wechatpay.apiv3.fields import FieldEncryptor
    from wechatpay.media import File, Media
    from wechatpay.messages import Call, Request
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Settings

__all__ = ["V3"]

_ACCEPT = "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5"

_FOREIGN = {
    "nonceless": "APIv2's; an APIv3 request always has a nonce",
    "security": "APIv2's; APIv3 needs no merchant certificate on the connection",
    "xml": "APIv2's; give `json`",
}


class V3:
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
        self._platform = settings.merchant.platform
        self._selector = KeySelector(self._platform, settings.headers)
        self._defaults = Headers({"Accept": _ACCEPT, "Accept-Encoding": "identity", "User-Agent": USER_AGENT})
        self.stack = Stack(
            self._exchange,
            signer=Signer(settings.merchant, settings.clock, settings.nonce),
            verifier=Verifier(self._platform, settings.clock),
        )
        if (apiv3_key := settings.merchant.apiv3_key) is not None:
            self._platform.refresh_with(
                CertificateRefresher(
                    self._platform,
                    apiv3_key,
                    self._begin_download,
                    clock=settings.clock,
                    cache=settings.merchant.cache,
                )
            )

    def _begin_download(self) -> tuple[Request, Flow]:
        request = certificates.make_request(self._settings, self._defaults, self._platform.suite.name)
        return request, self.stack.sign_only()(request)

    def request(self, call: Call, path: str) -> Request:
        """Build the request for ``call``, whose template expanded to ``path``.

        Raises:
            InvalidRequestError: The call cannot be sent as it is.
            ConfigurationError: There is no key of WeChat Pay's, and none can be downloaded.
        """
        refuse(call, _FOREIGN)
        request = self._assembled(call, path, self._selector.select(call, path))
        if (destination := call.options.get("sink")) is None:
            return request
        from wechatpay.transports.sink import Sink  # noqa: PLC0415  few calls download

        sink = Sink.of(destination, self._tally)
        return replace(request, sink=sink)

    def _tally(self, headers: Headers) -> StreamTally | None:
        # Bills come unsigned: nothing would be verified by what is hashed here.
        if HEADERS[3] not in headers:
            return None
        return StreamTally(headers, self._platform.get(headers.get(SERIAL, "")))

    def flow(self, call: Call, path: str, request: Request, handler: Handler) -> Flow:
        """Send a request that was just built, once there is a key of WeChat Pay's.

        The caller may change what was passed as soon as this returns.
        """
        if request.encryptor and request.encryptor.is_used:
            call = freeze(call)
        return self._keyed(call, path, request, handler)

    def _keyed(self, call: Call, path: str, request: Request, handler: Handler) -> Flow:
        yield from self._platform.ensure_key()
        return (yield from handler(self._renewed(call, path, request)))

    def _renewed(self, call: Call, path: str, request: Request) -> Request:
        """Keep key and header the same, whatever has become of the keys since the request was built."""
        encryptor = request.encryptor
        if encryptor is None or self._selector.is_current(encryptor):
            return request
        fresh = self._selector.select(call, path)
        if fresh.key is None:
            # The last key was retired this very moment: nothing is sent that was not encrypted.
            raise self._platform.missing()
        if encryptor.is_used and encryptor.key is not fresh.key:
            return replace(self._assembled(call, path, fresh), sink=request.sink)
        return request.with_(headers={SERIAL: fresh.key.serial}, encryptor=fresh)

    def _assembled(self, call: Call, path: str, encryptor: FieldEncryptor) -> Request:
        content = _content(call, encryptor)
        query = encryptor.query(call.options.get("query"), uri.split(path)[2])
        ours = {SERIAL: encryptor.key.serial if encryptor.key else None}
        defaults = self._defaults.with_(ours | ({"Content-Type": "application/json"} if content else {}))
        return assemble(
            self._settings,
            call,
            path,
            defaults=defaults,
            content=content,
            query=query,
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

    @staticmethod
    def _exchange(request: Request) -> Flow:
        try:
            response = yield from send(request)
        except (NoResponseError, RedirectError) as error:
            error.args = (f"{error}; {rules.next_step(request.method, request.route)}",)
            raise
        if response.status_code >= 400:  # noqa: PLR2004  HTTP's errors
            raise failure(request, response)
        operation = f"{request.method} {request.route}"
        return Response(response.status_code, response.headers, response.content, operation)


def _content(call: Call, encryptor: FieldEncryptor) -> bytes:
    options = call.options
    if (value := options.get("json")) is not None:
        return jsontext.encode(encryptor.json(value))
    if (body := options.get("body")) is not None:
        return _encoded(body)
    return b""


def _encoded(body: Any) -> bytes:
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError(
                "body: holds a lone surrogate, which is no text that UTF-8 can carry"
            ) from None
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    raise InvalidRequestError(f"body: give bytes or text, not {type(body).__name__}")
