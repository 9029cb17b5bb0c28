"""The resource of a callback, typed by its event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay.catalogue.lookup import events
from wechatpay.errors import InvalidRequestError

if TYPE_CHECKING:
    from wechatpay.notification import Notification

__all__ = ["resource"]


def resource(notification: Notification, event: str, /) -> dict[str, Any]:
    """Return ``notification.resource``, whose members type checkers know by the event's name.

    Args:
        notification: A verified callback.
        event: A name of `wechatpay.catalogue.events`, such as ``TRANSACTION.SUCCESS``.

    Raises:
        InvalidRequestError: The catalogue has no such event, or the callback is another one.
    """
    documented = events().get(event)
    if documented is None:
        raise InvalidRequestError(f"event: unknown {event!r}: wechatpay.catalogue.events() lists all")
    name = notification.event_type
    if notification.version != documented.version or (name and name != documented.name):
        raise InvalidRequestError(f"event: the callback is {notification.version} {name!r}, not {event!r}")
    return notification.resource
