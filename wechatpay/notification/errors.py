"""Why a callback must not be acted on.

::

    NotificationError
    ├─ OversizedNotificationError                            larger than callbacks are
    ├─ UnsignedNotificationError(IncompleteHeadersError)     a signature header is missing or malformed
    ├─ StaleNotificationError(ClockSkewError)                signed more than 300 s from our clock
    ├─ UnknownSerialNotificationError(UnknownSerialError)    signed with a key that is not trusted
    ├─ ForgedNotificationError(SignatureError)               the signature does not match
    │   └─ ProbeNotificationError                              on purpose: WeChat Pay's own test
    ├─ ReencodedNotificationError(SignatureError)            genuine, but the body was re-encoded on the way
    ├─ MalformedNotificationError(DecodeError)               not laid out as a callback is
    ├─ UndecryptableNotificationError(CryptoError)           genuine, but apiv3_key does not decrypt it
    ├─ ForeignNotificationError                              names another merchant
    └─ UnconfiguredNotificationError(ConfigurationError)     needs settings that were left out

Each is also the error that the same fault of a response raises, so ``except SignatureError`` catches both.
Replies to genuine callbacks, and to those that lack settings here, are 5xx: this side has to be fixed.
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
    "OversizedNotificationError",
    "ProbeNotificationError",
    "ReencodedNotificationError",
    "StaleNotificationError",
    "UnconfiguredNotificationError",
    "UndecryptableNotificationError",
    "UnknownSerialNotificationError",
    "UnsignedNotificationError",
]


class OversizedNotificationError(NotificationError):
    """The body is larger than ``max_body``."""

    status = 413
    reason = "too large"


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
    """The signature does not match the callback."""

    status = 401
    reason = "the signature does not match"


class ProbeNotificationError(ForgedNotificationError):
    """WeChat Pay sent a wrong signature on purpose, to see whether signatures are checked. All is well."""


class ReencodedNotificationError(NotificationError, SignatureError):
    """The signature belongs to other bytes that say the same: pass the body exactly as it was received."""

    status = 500
    reason = "the body was changed on the way"


class MalformedNotificationError(NotificationError, DecodeError):
    """The callback is not UTF-8, JSON or XML, or lacks a required field, such as ``resource``."""

    reason = "malformed"


class UndecryptableNotificationError(NotificationError, CryptoError):
    """The callback is genuine, but its content cannot be decrypted with ``apiv3_key``."""

    status = 500
    reason = "the resource could not be decrypted"


class ForeignNotificationError(NotificationError):
    """The callback is for another merchant."""

    status = 403
    reason = "meant for another merchant"


class UnconfiguredNotificationError(NotificationError, ConfigurationError):
    """Callbacks of this kind need settings that were left out."""

    status = 501
    reason = "callbacks of this kind are not served here"
