"""APIv3: JSON, signed with RSA.

https://pay.weixin.qq.com/doc/v3/merchant/4012081606
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay import jsontext
from wechatpay.errors import ConfigurationError, RequestError
from wechatpay.exchange import Stack
from wechatpay.messages import Headers
from wechatpay.multipart import Part
from wechatpay.protocols import rules
from wechatpay.protocols.assembly import USER_AGENT, assemble, refuse, send
from wechatpay.protocols.failure import failure
from wechatpay.protocols.signing import Signer, StreamTally, Verifier
from wechatpay.sink import Sink

if TYPE_CHECKING:
    from wechatpay.exchange import Flow
    from wechatpay.media import Media
    from wechatpay.messages import Call, Request
    from wechatpay.multipart import File
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
                "APIv3 needs the settings mchid, serial, private_key and certs, which were left out"
            )
        self._settings = settings
        self._platform = settings.merchant.platform
        self._defaults = Headers(
            {
                "Accept": _ACCEPT,
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
                "Wechatpay-Serial": self._platform.preferred.serial,
            }
        )
        self.stack = Stack(
            self._exchange,
            signer=Signer(settings.merchant, settings.clock, settings.nonce),
            verifier=Verifier(self._platform, settings.clock),
        )

    def request(self, call: Call, path: str) -> Request:
        """Build the request for ``call``, whose template expanded to ``path``.

        Raises:
            RequestError: The call cannot be sent as it is.
        """
        refuse(call, _FOREIGN)
        content = _content(call)
        request = assemble(
            self._settings,
            call,
            path,
            defaults=self._defaults.with_({"Content-Type": "application/json"})
            if content
            else self._defaults,
            content=content,
            query=call.options.get("query"),
        )
        serial = request.headers.get("Wechatpay-Serial")
        if serial is None or self._platform.get(serial) is None:
            raise RequestError(
                "headers: Wechatpay-Serial must name a key that certs holds: "
                f"{', '.join(self._platform.serials)}"
            )
        if (destination := call.options.get("sink")) is not None:
            sink = Sink(destination, direct=rules.is_unsigned(request.route), tally=StreamTally)
            return request.with_(sink=sink)
        return request

    @staticmethod
    def attach(request: Request, media: Media, file: File) -> Request:
        """Give ``request`` a hashed file, behind the JSON that describes it.

        Raises:
            RequestError: The description has no JSON.
        """
        upload = media.upload(file, Part("meta", media.described(file), "application/json"))
        headers = {"Content-Type": upload.content_type, "Content-Length": str(len(upload))}
        return request.with_(upload=upload, headers=headers)

    @staticmethod
    def _exchange(request: Request) -> Flow:
        response = yield from send(request)
        if response.status_code >= 400:  # noqa: PLR2004  HTTP's errors
            raise failure(request, response)
        return response


def _content(call: Call) -> bytes:
    options = call.options
    if (value := options.get("json")) is not None:
        return jsontext.encode(value)
    if (body := options.get("body")) is not None:
        return _encoded(body)
    return b""


def _encoded(body: Any) -> bytes:
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            raise RequestError(
                "body: holds a lone surrogate, which is no text that UTF-8 can carry"
            ) from None
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    raise RequestError(f"body: give bytes or text, not {type(body).__name__}")
