"""Responses of web frameworks, made into replies and of replies.

A function that handles an event may return its framework's own response. That is sent as it is; its status,
headers and body are what the store keeps for later deliveries.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay.notification.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["Responses", "of_aiohttp", "of_django", "of_flask", "of_starlette"]

#: Headers that are not kept: frameworks set the first two, and WeChat Pay takes no cookies.
_LEFT_OUT = frozenset({"content-length", "transfer-encoding", "set-cookie"})

#: A failure in APIv2's XML, or as the first word.
_FAILURE = re.compile(r"(?:.*<return_code>\s*(?:<!\[CDATA\[)?)?\s*(?:FAIL|ERROR)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _OwnReply(Reply):
    """A reply made of a framework's response, which is sent in its place."""

    response: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Responses:
    """How the responses of one framework are read and made.

    Attributes:
        read: Makes a reply of a response; returns anything else as it is.
        make: Makes a response of a reply.
    """

    read: Callable[[Any], Any]
    make: Callable[[Reply], Any]

    def read_awaited(self, outcome: Any) -> Any:
        """Do the same as ``read``, with what an awaitable returns."""
        return self._aread(outcome) if inspect.isawaitable(outcome) else self.read(outcome)

    async def _aread(self, outcome: Awaitable[Any]) -> Any:
        return self.read(await outcome)

    def send(self, reply: Reply) -> Any:
        """Return the response to send: the one that the reply was made of, if there is one."""
        return reply.response if isinstance(reply, _OwnReply) else self.make(reply)


def of_flask() -> Responses:
    """Read what Flask's views may return beside fields: a response, text, or a tuple with a status."""
    from flask import Response, current_app  # noqa: PLC0415  an optional dependency
    from werkzeug.wrappers import Response as WerkzeugResponse  # noqa: PLC0415

    def read(outcome: Any) -> Any:
        if not isinstance(outcome, WerkzeugResponse | str | bytes | tuple):
            return outcome
        try:
            response = current_app.make_response(outcome)
        except TypeError:
            return outcome
        return _adapt(response, response.status_code, response.headers.items(), response.get_data())

    return Responses(read, lambda reply: Response(reply.body, reply.status, dict(reply.headers)))


def of_django() -> Responses:
    """Read Django's responses, except streamed ones and templates that were not rendered."""
    from django.http import HttpResponse  # noqa: PLC0415  an optional dependency

    def read(outcome: Any) -> Any:
        if not (isinstance(outcome, HttpResponse) and getattr(outcome, "is_rendered", True)):
            return outcome
        return _adapt(outcome, outcome.status_code, outcome.headers.items(), outcome.content)

    return Responses(
        read, lambda reply: HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))
    )


def of_starlette() -> Responses:
    """Read responses of Starlette and FastAPI, except streamed ones."""
    from starlette.responses import Response  # noqa: PLC0415  an optional dependency

    def read(outcome: Any) -> Any:
        if not (isinstance(outcome, Response) and hasattr(outcome, "body")):
            return outcome
        return _adapt(outcome, outcome.status_code, outcome.headers.items(), outcome.body)

    return Responses(read, lambda reply: Response(reply.body, reply.status, dict(reply.headers)))


def of_aiohttp() -> Responses:
    """Read responses of aiohttp's server, except streamed ones."""
    from aiohttp import web  # noqa: PLC0415  an optional dependency

    def read(outcome: Any) -> Any:
        if not (isinstance(outcome, web.Response) and isinstance(outcome.body, bytes | None)):
            return outcome
        return _adapt(outcome, outcome.status, outcome.headers.items(), outcome.body or b"")

    return Responses(
        read, lambda reply: web.Response(status=reply.status, headers=reply.headers, body=reply.body)
    )


def _adapt(response: Any, status: int, headers: Iterable[tuple[str, str]], body: bytes | memoryview) -> Reply:
    """Make a reply of a response.

    If the body reports a failure, a status of success becomes 500: WeChat Pay goes by the status.
    """
    kept = {name: value for name, value in headers if name.lower() not in _LEFT_OUT}
    reply = _OwnReply(status, kept, bytes(body), response)
    if reply.is_success and _reports_failure(reply.body):
        return Reply(500, kept, reply.body)
    return reply


def _reports_failure(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        parsed = json.loads(text)
        text = str(parsed.get("code", parsed.get("return_code")) if isinstance(parsed, dict) else parsed)
    return _FAILURE.match(text) is not None
