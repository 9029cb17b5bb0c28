"""The request for WeChat Pay's platform certificates, signed like any other, verified by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay import uri
from wechatpay.messages import Request
from wechatpay.middleware import Stack, entered

if TYPE_CHECKING:
    from wechatpay.messages import Headers
    from wechatpay.middleware import Flow, Handler
    from wechatpay.settings import Settings

__all__ = ["SigningStack", "download"]

#: Hosts whose certificates are elsewhere: https://pay.weixin.qq.com/doc/global/v3/zh/4013013878
_OVERSEAS = ("apihk.", "apius.", "apieu.")

#: Seconds at most to wait for a connection, and then for each read: other calls wait for this one.
_PATIENCE = 10.0


class SigningStack(Stack):
    """A stack that can also sign without verifying."""

    def signing(self) -> Handler:
        """Return the signer and what is inside it without the verifier, for answers that prove themselves."""
        handler = self._terminal
        for name, middleware in reversed(self._layers):
            if name != "verifier":
                handler = entered(middleware, handler)
            if name == "signer":
                break
        return handler


def download(
    settings: Settings, headers: Headers, stack: SigningStack, suite: str = "RSA"
) -> tuple[Request, Flow]:
    """Begin to ask for the certificates.

    No key is named: those that we know may all be retired, and WeChat Pay then signs with one it sends along.

    Args:
        settings: The Builder's.
        headers: Those of every request.
        stack: What signs it.
        suite: Whose certificates: ``RSA`` or ``SM2``.
    """
    route = _route(settings.base_uri)
    connect, read = settings.timeout
    request = Request(
        method="GET",
        url=uri.resolve(settings.base_uri, route) + (f"?algorithm_type={suite}" if suite != "RSA" else ""),
        headers=headers.with_({**settings.headers, "Wechatpay-Serial": None}),
        timeout=(min(connect or _PATIENCE, _PATIENCE), min(read or _PATIENCE, _PATIENCE)),
        route=route,
    )
    return request, stack.signing()(request)


def _route(base_uri: str) -> str:
    origin, folder, _ = uri.split(base_uri)
    is_overseas = origin.partition("://")[2].lower().startswith(_OVERSEAS)
    return "v3/global/certificates" if is_overseas and not folder else "v3/certificates"
