"""The callbacks of one merchant of a sandbox: those that were delivered, and those that a test sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.deliveries import Disturbance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.sandbox.callbacks import Details, Notifier, Resource
    from wechatpay.sandbox.deliveries import Attempt, Deliveries
    from wechatpay.sandbox.posting import Delivered

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

    def plaintext(self, event: str, resource: Resource = None) -> Mapping[str, Any] | bytes:
        """Return the resource of an event before encryption.

        Args:
            event: An ``event_type``; see `notify`.
            resource: Fields that differ from the example's.

        Raises:
            ConfigurationError: The event is unknown, and has no ``resource`` or is like a documented one.
        """
        return self._notifier.plaintext(event, resource)

    @property
    def delivered(self) -> list[Delivered]:
        """The last 1000 callbacks that got a reply, oldest first."""
        return list(self.deliveries.delivered)

    @property
    def attempts(self) -> list[Attempt]:
        """The last 1000 attempts to deliver the callbacks of orders, oldest first."""
        return list(self.deliveries.attempts)

    def disturb_callbacks(
        self, *, duplicates: int = 0, delay: float = 0.0, jitter: float = 0.0, probes: bool = False
    ) -> None:
        """Let callbacks of orders arrive twice, late, in another order or after a probe, from now on.

        Args:
            duplicates: How often a callback is delivered again, 15 s later, although it was acknowledged.
            delay: Seconds until the first attempt, in the sandbox's clock.
            jitter: Up to so many seconds more, different for each callback: they arrive in another order.
            probes: Whether each callback of APIv3 is preceded by WeChat Pay's probe, a wrong signature that
                begins ``WECHATPAY/SIGNTEST/``, which must be refused.

        Raises:
            ConfigurationError: A number is negative.
        """
        if min(duplicates, delay, jitter) < 0:
            raise ConfigurationError("duplicates, delay, jitter: give 0 or more")
        self.deliveries.disturbance = Disturbance(duplicates, delay, jitter, probes)

    def resend_callback(self, event_id: str) -> Delivered | None:
        """Deliver one of the last 1000 callbacks again, as the merchant console does.

        Args:
            event_id: The ``id`` of one of the `attempts`.

        Returns:
            The delivery; ``None`` if no reply came.

        Raises:
            ConfigurationError: There was no such event.
        """
        return self.deliveries.resend(event_id)

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
            ConfigurationError: ``url`` does not lead to this machine; or the event is unknown, and has no
                ``resource`` or is like a documented one; or the fault does not apply to callbacks; or
                ``serial`` is not in use.
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
