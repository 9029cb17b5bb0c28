"""Views as users write them. A line with `# wrong` has a mistake that type checkers report on it."""

from collections.abc import Mapping

from aiohttp import web
from flask import Response as FlaskResponse
from starlette.responses import JSONResponse

from wechatpay import Notification
from wechatpay.notification import NotificationHandler, Reply, views


def nothing(notification: Notification) -> None:
    """Acknowledge."""


def reject(notification: Notification, tenant: str) -> Reply | None:
    """Reject."""
    return notification.reject("later")


def true(notification: Notification) -> bool:
    """Return what cannot be sent."""
    return True


async def anothing(notification: Notification) -> None:
    """Acknowledge."""


async def atrue(notification: Notification) -> bool:
    """Return what cannot be sent."""
    return True


class Shop:
    """Handle events by a method."""

    async def paid(self, notification: Notification, tenant: str) -> web.Response | None:
        """Acknowledge."""
        return None


def decorate(handler: NotificationHandler) -> None:
    """What a function that handles an event may return."""
    views.flask(handler)(nothing)
    views.django(handler)(nothing)
    views.django(handler)(anothing)
    views.starlette(handler)(reject)
    views.starlette(handler)(anothing)
    views.aiohttp(handler)(Shop().paid)

    @views.flask(handler)
    def paid(notification: Notification, tenant: str) -> FlaskResponse | tuple[str, int] | Mapping[str, str]:
        return "", 204

    @views.starlette(handler)
    async def apaid(notification: Notification, tenant: str) -> JSONResponse:
        return JSONResponse({})

    @views.aiohttp(handler)
    async def own(notification: Notification) -> web.Response:
        return web.json_response({})

    views.flask(handler)(true)  # wrong
    views.flask(handler)(anothing)  # wrong
    views.starlette(handler)(true)  # wrong
    views.starlette(handler)(atrue)  # wrong
    views.aiohttp(handler)(atrue)  # wrong
