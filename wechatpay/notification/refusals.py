"""Why a callback must not be acted on.

::

    NotificationError
    ├─ UnsignedNotificationError(IncompleteHeadersError)     nothing in it could prove anything
    ├─ StaleNotificationError(ClockSkewError)                signed more than 300 s from our clock
    ├─ UnknownSerialNotificationError(UnknownSerialError)    signed by a key that is not trusted
    ├─ ForgedNotificationError(SignatureError)               the signature does not belong to it
    │   └─ ProbeNotificationError                              on purpose: WeChat Pay's own test
    ├─ ReencodedNotificationError(SignatureError)            genuine, and changed by a framework since
    ├─ MalformedNotificationError(DecodeError)               not laid out as a callback is
    ├─ UndecryptableNotificationError(CryptoError)           genuine, but apiv3_key does not open it
    ├─ ForeignNotificationError                              names another merchant
    └─ UnconfiguredNotificationError(ConfigurationError)     its kind needs settings that were left out

Each is also what the same fault of an answer is raised as, so that ``except SignatureError`` holds for both.
Those of genuine callbacks, and of missing settings, are ours to mend and are replied to with 5xx.
"""

from __future__ import annotations

from wechatpay.errors import (
    ClockSkewError,
    ConfigurationError,
    CryptoError,
    DecodeError,
    IncompleteHeadersError,
    NotificationError,
    SignatureError,
    UnknownSerialError,
)

__all__ = [
    "ForeignNotificationError",
    "ForgedNotificationError",
    "MalformedNotificationError",
    "ProbeNotificationError",
    "ReencodedNotificationError",
    "StaleNotificationError",
    "UnconfiguredNotificationError",
    "UndecryptableNotificationError",
    "UnknownSerialNotificationError",
    "UnsignedNotificationError",
]


class UnsignedNotificationError(NotificationError, IncompleteHeadersError):
    """A signature header is missing or malformed, or an APIv2 callback has no ``sign``."""

    status = 401
    reason = "not signed"


class StaleNotificationError(NotificationError, ClockSkewError):
    """The callback was signed more than 300 s from our clock: an old one, sent again, or a wrong clock.

    Attributes:
        skew: Our clock minus the signing time, in seconds.
    """

    status = 401
    reason = "signed too long ago, or too far ahead"


class UnknownSerialNotificationError(NotificationError, UnknownSerialError):
    """The callback names a platform key that is not trusted.

    Attributes:
        serial: The serial number, or public key id, that it names.
    """

    status = 401
    reason = "signed by an unknown key"


class ForgedNotificationError(NotificationError, SignatureError):
    """The signature does not belong to the callback."""

    status = 401
    reason = "the signature does not match"


class ProbeNotificationError(ForgedNotificationError):
    """A wrong signature that WeChat Pay sends on purpose, to see whether it is checked: no alarm."""


class ReencodedNotificationError(NotificationError, SignatureError):
    """The signature belongs to other bytes that say the same: hand over the body exactly as received."""

    status = 500
    reason = "the body was changed on the way"


class MalformedNotificationError(NotificationError, DecodeError):
    """The callback is not UTF-8, JSON or XML, or lacks what a callback has, such as ``resource``."""

    reason = "malformed"


class UndecryptableNotificationError(NotificationError, CryptoError):
    """The callback is genuine, but what it holds is not encrypted as it should be."""

    status = 500
    reason = "the resource could not be decrypted"


class ForeignNotificationError(NotificationError):
    """The callback is about another merchant."""

    status = 403
    reason = "meant for another merchant"


class UnconfiguredNotificationError(NotificationError, ConfigurationError):
    """Callbacks of this kind need settings that were left out."""

    status = 501
    reason = "callbacks of this kind are not served here"
