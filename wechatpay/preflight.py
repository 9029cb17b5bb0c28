"""The last look at a request before it leaves: what is signed is what is sent, and only to whom it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay import uri
from wechatpay.errors import InvalidRequestError
from wechatpay.uri import hosts

if TYPE_CHECKING:
    from wechatpay.messages import Request
    from wechatpay.settings import Settings

__all__ = ["check"]


def check(request: Request, settings: Settings) -> None:
    """Hold back what a middleware changed after it was signed, what would change on its way, or go astray.

    Raises:
        InvalidRequestError: The request is one of these.
    """
    if request.snapshot is not None and not request.snapshot.matches(request):
        raise InvalidRequestError(
            "a middleware inside the signer changed the method, the target or the body: "
            "what is signed is what is sent; move it outside with stack.before('signer', …)",
            request=request,
        )
    if why := _spoilt(request):
        raise InvalidRequestError(
            f"a middleware made a request that cannot be sent as it is: {why}", request=request
        )
    if hosts.is_open_platform(request.url):
        hosts.refuse_credentials(request)
        settings.open_platform.trust.check(request.url)
    else:
        settings.trust.check(request.url)


def _spoilt(request: Request) -> str:
    """Tell what HTTP, or one of the libraries, would not carry as it is."""
    if not (request.method.isupper() and request.method.isalpha()):
        return "the method is an upper-case word"
    target = request.target
    if uri.normalise(target) != target:
        return "the URL must be percent-encoded, by urllib.parse.quote() for example"
    if not request.headers.is_sendable():
        return "headers are printable ASCII text, and their names are words"
    if request.headers.get("Host") is not None:
        return "Host follows from the URL"
    body = request.content
    is_framed = request.headers.get("Content-Length", "0") == str(len(body))
    if isinstance(body, str) or not is_framed or request.headers.get("Transfer-Encoding") is not None:
        return "Content-Length is that of a body of bytes: change it by request.with_(content=b'…')"
    return ""
