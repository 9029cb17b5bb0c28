"""From Call to Request, and from Request to Response: what all protocols share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import wechatpay
from wechatpay import options, uri
from wechatpay.errors import (
    APIError,
    ConnectError,
    InvalidRequestError,
    NoResponseError,
    PoolTimeoutError,
    RedirectError,
    suggest,
)
from wechatpay.logs import log_step
from wechatpay.messages import Headers, Request, Response, parse_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.messages import Call
    from wechatpay.middleware import Flow
    from wechatpay.settings import Settings

__all__ = ["assemble", "default_headers", "encode_body", "refuse", "send"]

_USER_AGENT = f"wechatpay-chainable/{wechatpay.__version__} Python/{sys.version.split()[0]} ({sys.platform})"


def default_headers(
    accept: str, content_type: str, changes: Mapping[str, str | None]
) -> tuple[Headers, Headers]:
    """Return the headers of requests without a body, and of those with one.

    Args:
        accept: The header ``Accept``.
        content_type: The header ``Content-Type`` of a body.
        changes: The setting ``headers``.
    """
    defaults = Headers({"Accept": accept, "Accept-Encoding": "identity", "User-Agent": _USER_AGENT})
    return defaults.with_(changes), defaults.with_({"Content-Type": content_type, **changes})


def assemble(  # noqa: PLR0913  keywords, each a part of the request
    settings: Settings,
    call: Call,
    place: uri.Location,
    *,
    headers: Headers,
    changes: Mapping[str, str | None] | None = None,
    content: bytes = b"",
    query: Any = None,
    **more: Any,
) -> Request:
    """Build the request: the final URL, the merged headers, the exact body.

    Args:
        settings: The Builder's.
        call: What the caller wrote.
        place: Where its template expanded to.
        headers: Those of every request, the setting ``headers`` included.
        changes: Headers that this request has whatever the caller says; ``None`` removes one.
        content: The body.
        query: What follows the query of ``place``: see :func:`wechatpay.uri.query`.
        more: Other attributes of the request.

    Raises:
        InvalidRequestError: The query, a header, the timeout or the base URI cannot be sent.
    """
    base = place.origin + "/" if place.origin else call.options.get("base_uri")
    if base is None:
        base = settings.base_uri
    elif not isinstance(base, str):
        raise InvalidRequestError("base_uri: give an https URL as text, or leave it out")
    url = uri.folder(base) + place.path
    if base is not settings.base_uri:
        settings.trust.check(url)
    if target_query := uri.query(query, place.query):
        url = f"{url}?{target_query}"
    fields: dict[str, str | None] = {}
    if "headers" in call.options:
        fields.update(options.read_headers(call.options["headers"]))
    if content or call.verb != "GET":
        fields["Content-Length"] = str(len(content))
    if changes:
        fields.update(changes)
    if debug := call.options.get("debug", False):
        more["logged"] = True
    return Request(
        method=call.verb,
        url=url,
        written=call.plan.template,
        headers=headers.with_(fields) if fields else headers,
        content=content,
        timeout=parse_timeout(call.options["timeout"]) if "timeout" in call.options else settings.timeout,
        route=_strip_base(settings.base_uri, url, place.path) if place.origin else place.path,
        debug=debug,
        **more,
    )


def _strip_base(base_uri: str, url: str, path: str) -> str:
    """Take the configured base URI off a whole URL, as download URLs are."""
    folder = uri.folder(base_uri)
    return url.removeprefix(folder).partition("?")[0] if url.startswith(folder) else path


def encode_body(body: Any) -> bytes:
    """Encode the option ``body``; ``None`` is empty.

    Raises:
        InvalidRequestError: It is neither bytes nor text that UTF-8 can carry.
    """
    if body is None or isinstance(body, bytes | bytearray):
        return bytes(body or b"")
    if isinstance(body, str):
        try:
            return body.encode()
        except UnicodeEncodeError:
            flaw = "body: holds a lone surrogate, which UTF-8 cannot carry"
    else:
        flaw = f"body: give bytes or text, not {type(body).__name__}"
    del body
    raise InvalidRequestError(flaw)


def refuse(call: Call, names: Mapping[str, str]) -> None:
    """Refuse options that a protocol has no use for.

    Args:
        call: What the caller wrote.
        names: What to do instead, by option.

    Raises:
        InvalidRequestError: One of them was given.
    """
    for name in names.keys() & call.options.keys():
        if call.options[name]:
            hint = suggest(call.plan.template, call.verb)
            raise InvalidRequestError(f"{name}: {names[name]}{hint and '; '}{hint}")


def send(
    fail: Callable[[Request, Response], APIError | None],
    next_step: Callable[[Request], str] | None,
    request: Request,
    *,
    errors_from: int = 200,
) -> Flow:
    """Send a request, once more if no byte of it left.

    Args:
        fail: Makes the error of a response that is one; else returns ``None``.
        next_step: Says what to do when the outcome of a request is unknown.
        request: What to send.
        errors_from: The lowest status of a response that can be an error.

    Raises:
        RedirectError: The response is a redirect.
        APIError: The response is an error.
    """
    if request.logged:
        log_step(request, "%s %s goes to %s", request.method, request.path, request.host)
    response: Response
    try:
        try:
            response = yield request
        except PoolTimeoutError:
            raise  # the connect timeout is over
        except ConnectError as error:
            log_step(request, "no connection (%s): trying once more", error)
            response = yield request
    except NoResponseError as lost:
        if next_step is not None:
            lost.args = (f"{lost}; {next_step(request)}",)
        raise
    status = response.status_code
    if request.logged:
        log_step(request, "received %s, %s bytes", status, len(response.content))
    if 300 <= status < 400:  # noqa: PLR2004  the redirects
        step = f": {next_step(request)}" if next_step else ""
        raise RedirectError(
            f"{status}: redirects are not followed: Authorization must not reach another host; "
            f"the outcome is unknown{step}",
            request=request,
            response=response,
        )
    if status >= errors_from and (failure := fail(request, response)):
        try:
            raise failure
        finally:
            del failure  # its traceback has this frame
    return Response(status, response.headers, response.content, f"{request.method} {request.route}")
