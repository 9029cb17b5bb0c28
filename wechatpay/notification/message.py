"""A callback that is proved to be WeChat Pay's, decrypted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from wechatpay.notification.reply import failure, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.notification.reply import Reply

__all__ = ["Notification", "moment"]

#: What a time without an offset is in.
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, repr=False)
class Notification:
    """One callback, proved and decrypted.

    It says what WeChat Pay says, which may be that something failed: look at ``trade_state``, ``status`` or,
    in APIv2, ``result_code`` before you act.

    Attributes:
        id: The same for every delivery of one event. APIv2's callbacks have none: theirs is a digest of what
            is proved.
        event_type: Such as ``TRANSACTION.SUCCESS``; ``""`` where APIv2 has none.
        create_time: When the event happened, aware; ``None`` where the callback has no such time.
        summary: A few words for people; ``""`` in APIv2.
        original_type: What ``resource`` is, such as ``transaction`` or ``refund``; ``""`` if not told.
        resource: The event itself, decrypted: what is proved, and nothing else.
        plaintext: The bytes that ``resource`` was read from.
        raw: The body as it came.
        version: ``"v3"`` or ``"v2"``.
    """

    id: str
    event_type: str
    create_time: datetime | None
    summary: str
    original_type: str
    resource: dict[str, Any] = field(compare=False)
    plaintext: bytes
    raw: bytes
    version: str = "v3"

    def acknowledge(self, data: Mapping[str, Any] | None = None) -> Reply:
        """Say that the event is dealt with, so that it is not delivered again.

        Args:
            data: Further fields of the reply, which a few events ask for, such as
                ``PARKING_FEE.QUERY_TRANS_INFO``.

        Raises:
            InvalidRequestError: ``data`` cannot be sent.
        """
        return success(self.version, data)

    def reject(self, reason: str, status: int = 500) -> Reply:
        """Say that the event could not be dealt with, so that it is delivered again.

        Args:
            reason: For WeChat Pay's eyes: no more than 128 characters of it are sent.
            status: 4xx or 5xx.

        Raises:
            InvalidRequestError: ``status`` is another.
        """
        return failure(self.version, reason, status)

    def __repr__(self) -> str:
        return f"<Notification {self.event_type or self.version} {self.id}>"


def moment(text: object) -> datetime | None:
    """Read a time, of RFC 3339 or in APIv2's digits; ``None`` is what is no time."""
    if not isinstance(text, str):
        return None
    digits = f"{text[:8]}T{text[8:]}" if text.isdigit() else text
    try:
        when = datetime.fromisoformat(digits)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=_BEIJING)
