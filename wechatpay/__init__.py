"""A chainable client for WeChat Pay: every endpoint, sync and async, signed and verified.

::

    from wechatpay import Builder

    instance = Builder(mchid=..., serial=..., private_key=..., certs=...)
    response = instance.v3.pay.transactions.id._transaction_id_.get(transaction_id="...", query={...})
    response = await instance.v3.pay.transactions.id._transaction_id_.getAsync(...)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wechatpay.apiv3.fields import Sensitive
    from wechatpay.builder import Builder
    from wechatpay.errors import (
        APIError,
        ClockSkewError,
        ConfigurationError,
        ConnectError,
        CryptoError,
        DecodeError,
        IncompleteHeadersError,
        InvalidRequestError,
        NoResponseError,
        NotificationError,
        PoolTimeoutError,
        ReadTimeoutError,
        RedirectError,
        ResponseTooLargeError,
        ServerError,
        SignatureError,
        TransportError,
        UnknownSerialError,
        VerificationError,
        WeChatPayError,
    )
    from wechatpay.media import Media
    from wechatpay.messages import Request, Response
    from wechatpay.middleware import Blocking, Pause
    from wechatpay.notification import Notification, NotificationHandler
    from wechatpay.promise import Promise
    from wechatpay.retries import retry

__version__ = "0.1.0"

__all__ = [
    "APIError",
    "Blocking",
    "Builder",
    "ClockSkewError",
    "ConfigurationError",
    "ConnectError",
    "CryptoError",
    "DecodeError",
    "IncompleteHeadersError",
    "InvalidRequestError",
    "Media",
    "NoResponseError",
    "Notification",
    "NotificationError",
    "NotificationHandler",
    "Pause",
    "PoolTimeoutError",
    "Promise",
    "ReadTimeoutError",
    "RedirectError",
    "Request",
    "Response",
    "ResponseTooLargeError",
    "Sensitive",
    "ServerError",
    "SignatureError",
    "TransportError",
    "UnknownSerialError",
    "VerificationError",
    "WeChatPayError",
    "retry",
]

_HOMES = {
    "Blocking": "middleware",
    "Builder": "builder",
    "Media": "media",
    "Notification": "notification",
    "NotificationHandler": "notification",
    "Pause": "middleware",
    "Promise": "promise",
    "Request": "messages",
    "Response": "messages",
    "Sensitive": "apiv3.fields",
    "retry": "retries",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that importing the package costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
