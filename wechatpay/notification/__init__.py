"""Callbacks of WeChat Pay: proved, decrypted, dealt with once, and answered.

::

    handler = NotificationHandler(certs={"PUB_KEY_ID_…": "file:///path/to/pub_key.pem"}, apiv3_key="…")
    reply = handler.handle(headers, body, process)

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

from wechatpay.notification.handler import NotificationHandler
from wechatpay.notification.message import Notification
from wechatpay.notification.reader import Renewal
from wechatpay.notification.refusals import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UnconfiguredNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)
from wechatpay.notification.reply import Reply
from wechatpay.notification.store import MemoryStore, ReplayStore

__all__ = [
    "ForeignNotificationError",
    "ForgedNotificationError",
    "MalformedNotificationError",
    "MemoryStore",
    "Notification",
    "NotificationHandler",
    "ProbeNotificationError",
    "ReencodedNotificationError",
    "Renewal",
    "ReplayStore",
    "Reply",
    "StaleNotificationError",
    "UnconfiguredNotificationError",
    "UndecryptableNotificationError",
    "UnknownSerialNotificationError",
    "UnsignedNotificationError",
]
