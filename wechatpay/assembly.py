"""From Call to Request: what all protocols share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import wechatpay
from wechatpay import options, uri
from wechatpay.errors import ConnectError, InvalidRequestError, RedirectError
from wechatpay.logs import log_step
from wechatpay.messages import Headers, Request, Response, parse_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.apiv3.fields import FieldEncryptor
    from wechatpay.messages import Call
    from wechatpay.middleware import Flow
    from wechatpay.settings import Settings
    from wechatpay.transports.sink import Sink

__all__ = ["USER_AGENT", "assemble", "refuse", "send"]

USER_AGENT = f"wechatpay-chainable/{wechatpay.__version__} Python/{sys.version.split()[0]} ({sys.platform})"


def assemble(  # noqa: PLR0913  keywords, each a part of the request
    settings: Settings,
    call: Call,
    path: str,
    *,
    defaults: Headers,
    content: bytes = b"",
    query: Any = None,
    encryptor: FieldEncryptor | None = None,
    sink: Sink | None = None,
) -> Request:
    """Build the request: the final URL, the merged headers, the exact body.

    Raises:
        InvalidRequestError: The query, a header, the timeout or the base URI cannot be sent; or the host is
            not trusted.
    """
    given = call.options
    origin, route, existing = uri.split(path)
    base = origin or given.get("base_uri")
    if base is None:
        base = settings.base_uri
    if not isinstance(base, str):
        raise InvalidRequestError("base_uri: give an https URL as text, or leave it out")
    url = uri.resolve(base + "/" if origin else base, route)
    if target_query := uri.query(query, existing):
        url = f"{url}?{target_query}"
    settings.trust.check(url)
    headers = defaults.with_(settings.headers) if settings.headers else defaults
    if "headers" in given:
        headers = headers.with_(options.headers(given["headers"]))
    if content or call.verb != "GET":
        headers = headers.with_({"Content-Length": str(len(content))})
    timeout = parse_timeout(given["timeout"]) if "timeout" in given else settings.timeout
    return Request(
        method=call.verb,
        url=url,
        written=call.template,
        headers=headers,
        content=content,
        timeout=timeout,
        route=_below(settings.base_uri, url, route) if origin else route,
        encryptor=encryptor,
        sink=sink,
        debug=bool(given.get("debug")),
    )


def _below(base_uri: str, url: str, route: str) -> str:
    """Take the configured base URI's prefix off a route that came as a whole URL, as download URLs do."""
    folder = uri.resolve(base_uri, "")
    return url.removeprefix(folder).partition("?")[0] if url.startswith(folder) else route


def refuse(call: Call, names: Mapping[str, str]) -> None:
    """Refuse options that this protocol has no use for; ``names`` maps each to what to do instead.

    Raises:
        InvalidRequestError: One of them was given.
    """
    for name, advice in names.items():
        if call.options.get(name):
            raise InvalidRequestError(f"{name}: {advice}")


def _path(request: Request) -> str:
    return request.path


def _host(request: Request) -> str:
    return request.url.split("/", 3)[2]


def send(request: Request) -> Flow:
    """Send ``request``; once more if no byte of it left.

    Raises:
        RedirectError: The gateway answered 3xx.
    """
    log_step(request, "%s %s goes to %s", request.method, _path, _host)
    response: Response
    try:
        response = yield request
    except ConnectError as error:
        log_step(request, "no connection (%s): trying once more", error)
        response = yield request
    log_step(request, "answered %s, %s bytes", response.status_code, len(response.content))
    if 300 <= response.status_code < 400:  # noqa: PLR2004  the redirects
        raise RedirectError(
            f"{response.status_code}: redirects are not followed, so that Authorization stays home; "
            "the outcome is unknown",
            request=request,
            response=response,
        )
    return response
