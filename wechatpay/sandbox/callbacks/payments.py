"""What a merchant is told when one of its orders is paid."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wechatpay.errors import ConfigurationError, TransportError
from wechatpay.sandbox.apiv2.orders import paid
from wechatpay.sandbox.callbacks.delivery import check

if TYPE_CHECKING:
    from wechatpay.sandbox.callbacks.callback import Delivered
    from wechatpay.sandbox.callbacks.notifier import Notifier
    from wechatpay.sandbox.ledger import Order

__all__ = ["log_step"]

_log = logging.getLogger("wechatpay.sandbox")


def log_step(notifier: Notifier, order: Order) -> Delivered | None:
    """Tell that an order was paid, once, to its ``notify_url`` if that leads to this machine.

    Args:
        notifier: Sends the callback.
        order: An order of APIv2, paid.

    Returns:
        What became of it; ``None`` if nobody was told.
    """
    try:
        check(order.notify_url)
    except ConfigurationError:
        _log.info("order %s: its notify_url is not on this machine, and not called", order.out_trade_no)
        return None
    told = {"appid": order.appid, "out_trade_no": order.out_trade_no, "attach": order.attach or None}
    try:
        delivered = notifier.deliver(order.notify_url, "v2/payment", {**told, **paid(order)}, 1, {})
    except TransportError as error:
        # The payment was made, whoever hears of it.
        _log.warning("order %s: its payment could not be told: %s", order.out_trade_no, error)
        return None
    _log.info("order %s: its payment was told → %s", order.out_trade_no, delivered.status)
    return delivered
