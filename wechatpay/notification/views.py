"""Views for web frameworks, as decorators of what deals with an event.

::

    @app.post("/wechatpay/notify")
    @views.flask(handler)
    def paid(notification):
        orders.settle(notification.resource["out_trade_no"])

Each hands over the raw body, as only that is signed. Nothing here imports a framework before it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError
from wechatpay.notification.steps import is_coroutine

if TYPE_CHECKING:
    from wechatpay.notification.handler import NotificationHandler, Process

__all__ = ["aiohttp", "django", "flask", "starlette"]

View = Callable[..., Any]


def flask(handler: NotificationHandler) -> Callable[[Process], View]:
    """Make a view of Flask.

    Raises:
        ConfigurationError: What is decorated is a coroutine function.
    """
    from flask import Response, request  # noqa: PLC0415  not everybody's

    def decorate(process: Process) -> View:
        if is_coroutine(process):
            raise ConfigurationError("Flask's views block: decorate a plain function")

        def view() -> Response:
            reply = handler.handle(request.headers, request.get_data(), process)
            return Response(reply.body, reply.status, dict(reply.headers))

        return _named(view, process)

    return decorate


def django(handler: NotificationHandler) -> Callable[[Process], View]:
    """Make a view of Django, an asynchronous one of a coroutine function; POST only, without CSRF token."""
    from django.http import HttpResponse  # noqa: PLC0415  not everybody's
    from django.views.decorators.csrf import csrf_exempt  # noqa: PLC0415
    from django.views.decorators.http import require_POST  # noqa: PLC0415

    def decorate(process: Process) -> View:
        def view(request: Any) -> Any:
            reply = handler.handle(request.headers, request.body, process)
            return HttpResponse(reply.body, status=reply.status, headers=reply.headers)

        async def asynchronous(request: Any) -> Any:
            reply = await handler.ahandle(request.headers, request.body, process)
            return HttpResponse(reply.body, status=reply.status, headers=reply.headers)

        chosen: View = asynchronous if is_coroutine(process) else view
        guarded: View = csrf_exempt(require_POST(_named(chosen, process)))
        return guarded

    return decorate


def starlette(handler: NotificationHandler) -> Callable[[Process], View]:
    """Make an endpoint of Starlette and FastAPI; what is no coroutine function runs on a thread."""
    from starlette.requests import Request  # noqa: PLC0415  not everybody's
    from starlette.responses import Response  # noqa: PLC0415

    def decorate(process: Process) -> View:
        async def endpoint(request: Any) -> Response:
            reply = await handler.ahandle(request.headers, await request.body(), process)
            return Response(reply.body, reply.status, dict(reply.headers))

        # FastAPI tells by the annotation what to pass, and looks names up in this module.
        endpoint.__annotations__ = {"request": Request}
        return _named(endpoint, process)

    return decorate


def aiohttp(handler: NotificationHandler) -> Callable[[Process], Callable[[Any], Awaitable[Any]]]:
    """Make a handler of aiohttp's server; what is no coroutine function runs on a thread."""
    from aiohttp import web  # noqa: PLC0415  not everybody's

    def decorate(process: Process) -> View:
        async def view(request: web.Request) -> web.Response:
            reply = await handler.ahandle(request.headers, await request.read(), process)
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

        return _named(view, process)

    return decorate


def _named(view: View, process: Process) -> View:
    """Name a view after what it calls: frameworks tell views apart by their names."""
    view.__name__ = getattr(process, "__name__", type(process).__name__)
    view.__doc__ = process.__doc__
    return view
