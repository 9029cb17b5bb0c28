"""A handler with the settings of a Builder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.notification.handler import NotificationHandler

if TYPE_CHECKING:
    from wechatpay.notification.reader import Renewal
    from wechatpay.notification.store import ReplayStore
    from wechatpay.settings import Settings

__all__ = ["serving"]


def serving(
    settings: Settings, renewal: Renewal | None, store: ReplayStore | None, lease: float
) -> NotificationHandler:
    """Make a handler for what the settings allow: APIv3's callbacks, APIv2's, or both.

    Args:
        settings: A Builder's.
        renewal: Looks for keys that are not known.
        store: Which events were dealt with; by default one in memory.
        lease: Seconds; see `NotificationHandler`.

    Raises:
        ConfigurationError: They allow neither.
    """
    merchant, account = settings.merchant, settings.account
    apiv3_key = merchant.apiv3_key if merchant else None
    # Without its key APIv3 is left out where there is APIv2, and asked for where there is not.
    certs = merchant.platform if merchant and (apiv3_key or not account) else None
    return NotificationHandler(
        certs=certs,
        apiv3_key=apiv3_key,
        secret=account.secret if account else None,
        mchid=account.mchid if account else None,
        store=store,
        lease=lease,
        clock=settings.clock,
        renewal=renewal,
    )
