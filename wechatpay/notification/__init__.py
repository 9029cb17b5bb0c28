"""Callbacks of WeChat Pay: verify, decrypt, handle once, reply.

::

    handler = NotificationHandler(certs={"PUB_KEY_ID_…": "file:///path/to/pub_key.pem"}, apiv3_key="…")
    reply = handler.handle(headers, body, process)

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

from wechatpay.notification.errors import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    OversizedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UnconfiguredNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)
from wechatpay.notification.handler import NotificationHandler, Renewal
from wechatpay.notification.message import Notification
from wechatpay.notification.reply import Reply
from wechatpay.notification.store import MemoryStore, RedisStore, ReplayStore, SQLiteStore

__all__ = [
    "ForeignNotificationError",
    "ForgedNotificationError",
    "MalformedNotificationError",
    "MemoryStore",
    "Notification",
    "NotificationHandler",
    "OversizedNotificationError",
    "ProbeNotificationError",
    "RedisStore",
    "ReencodedNotificationError",
    "Renewal",
    "ReplayStore",
    "Reply",
    "SQLiteStore",
    "StaleNotificationError",
    "UnconfiguredNotificationError",
    "UndecryptableNotificationError",
    "UnknownSerialNotificationError",
    "UnsignedNotificationError",
]
