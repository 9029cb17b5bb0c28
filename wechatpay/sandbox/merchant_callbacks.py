"""The callbacks of one merchant of a sandbox: those that were delivered, and those that a test sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from wechatpay.sandbox.callbacks import Delivered, Details, Notifier, Resource
    from wechatpay.sandbox.deliveries import Attempt, Deliveries

__all__ = ["MerchantCallbacks"]


class MerchantCallbacks:
    """The callbacks of a merchant.

    Attributes:
        deliveries: Delivers those of its orders.
    """

    def __init__(self, notifier: Notifier, deliveries: Deliveries) -> None:
        """Prepare.

        Args:
            notifier: Makes and sends callbacks.
            deliveries: Repeats them until they are acknowledged.
        """
        self._notifier = notifier
        self.deliveries = deliveries

    @property
    def delivered(self) -> list[Delivered]:
        """The last 1000 callbacks that got a reply, oldest first."""
        return list(self.deliveries.delivered)

    @property
    def attempts(self) -> list[Attempt]:
        """The last 1000 attempts to deliver the callbacks of orders, oldest first."""
        return list(self.deliveries.attempts)

    def expect_callback(self, event: str, timeout: float = 5.0) -> Delivered:
        """Wait for a callback.

        Args:
            event: Its ``event_type``, such as ``REFUND.SUCCESS``.
            timeout: Seconds.

        Returns:
            The oldest delivery of that event that was not returned before.

        Raises:
            ConfigurationError: None was delivered in that time.
        """
        found = self.deliveries.expect(event, timeout)
        if found is None:
            raise ConfigurationError(
                f"event: no {event!r:.80} was delivered within {timeout:g} s; check the notify_url"
            )
        return found

    def notify(
        self,
        url: str,
        event: str = "TRANSACTION.SUCCESS",
        resource: Resource = None,
        *,
        times: int = 1,
        **details: Unpack[Details],
    ) -> Delivered:
        """Send a callback to your server on this machine, and wait up to 5 s for its reply.

        ::

            reply = sandbox.notify(url, "TRANSACTION.SUCCESS", {"out_trade_no": "N1", "amount": {"total": 1}})
            assert reply.status == 200

        Encrypted and signed as WeChat Pay does, with the newest key. Every documented event is known; change
        the fields that matter to your test.

        Args:
            url: ``http://127.0.0.1:<port>/<path>``; the sandbox calls no other machine.
            event: An ``event_type``; or APIv2's ``v2/payment``, ``v2/refund``, ``v2/contract-signed`` or
                ``v2/contract-ended``, in XML.
            resource: Fields that differ from the example's, also within objects, with ``None`` for those to
                leave out; or, as bytes, the plaintext in its place.
            times: How often to deliver the event, whatever the replies: WeChat Pay repeats unacknowledged
                ones, and sometimes others. Each delivery is signed again.
            details: Other members, or a fault; see :class:`~wechatpay.sandbox.callbacks.Details`.

        Returns:
            The replies; ``status``, ``headers`` and ``body`` are the last one's.

        Raises:
            ConfigurationError: ``url`` does not lead to this machine; or the event is unknown and has no
                ``resource``; or the fault does not apply to callbacks; or ``serial`` is not in use.
            InvalidRequestError: ``resource`` cannot be serialised.
            ConnectError: The port refuses connections.
            ReadTimeoutError: No reply came within 5 s. In an event loop that serves your own server, await
                `anotify`.
            NoResponseError: The connection broke.
        """
        delivered = self._notifier.deliver(url, event, resource, times, details)
        self.deliveries.record(delivered)
        return delivered

    async def anotify(
        self,
        url: str,
        event: str = "TRANSACTION.SUCCESS",
        resource: Resource = None,
        *,
        times: int = 1,
        **details: Unpack[Details],
    ) -> Delivered:
        """Send a callback as `notify` does, without blocking the event loop, which may be your server's.

        Raises:
            WeChatPayError: As `notify` does.
        """
        return await asyncio.to_thread(self.notify, url, event, resource, times=times, **details)
