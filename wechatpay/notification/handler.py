"""The entry for callbacks: proves each, has its event dealt with once, and makes the reply."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wechatpay.errors import ConfigurationError, NotificationError
from wechatpay.notification.message import Notification
from wechatpay.notification.reader import Reader
from wechatpay.notification.refusals import ProbeNotificationError
from wechatpay.notification.reply import Reply
from wechatpay.notification.steps import Step, Steps, arun, run
from wechatpay.notification.store import MemoryStore

if TYPE_CHECKING:
    from wechatpay.notification.headers import Given
    from wechatpay.notification.reader import Renewal
    from wechatpay.notification.store import ReplayStore
    from wechatpay.platform import Platform

__all__ = ["NotificationHandler", "Process"]

_log = logging.getLogger("wechatpay")

#: Deals with an event; may be a coroutine function.
Process = Callable[[Notification], Any]


class NotificationHandler:
    """Proves, decrypts and answers callbacks, of APIv3 and of APIv2 on the same URL.

    ::

        handler = NotificationHandler(certs={"PUB_KEY_ID_…": "file:///path/to/pub_key.pem"}, apiv3_key="…")

        def paid(notification):
            orders.settle(notification.resource["out_trade_no"])

        reply = handler.handle(request.headers, request.get_data(), paid)

    Threads and event loops may share one. For a service that also makes calls,
    ``instance.getDriver().notifications()`` gives one with the Builder's settings.

    Attributes:
        store: Which events were dealt with.
    """

    def __init__(  # noqa: PLR0913  keywords, one for each setting
        self,
        *,
        certs: Mapping[str, Any] | Platform | None = None,
        apiv3_key: str | bytes | None = None,
        secret: str | None = None,
        mchid: str | None = None,
        store: ReplayStore | None = None,
        lease: float = 60.0,
        clock: Callable[[], float] = time.time,
        renewal: Renewal | None = None,
    ) -> None:
        """Check and parse the settings.

        Args:
            certs: WeChat Pay's keys, as a Builder takes them: serial number, or ``PUB_KEY_ID_…``, to
                certificate or public key. For APIv3, with ``apiv3_key``.
            apiv3_key: The APIv3 key, 32 bytes.
            secret: The APIv2 key. For APIv2.
            mchid: The merchant whose APIv2 callbacks are taken; any that ``secret`` proves by default.
            store: Which events were dealt with; by default one in memory, for one process.
            lease: Seconds after which an event that a process has begun, and never finished, is dealt with
                anew.
            clock: Returns Unix seconds.
            renewal: Looks for keys that are not among ``certs``.

        Raises:
            ConfigurationError: A setting is missing or wrong; the message names it.
        """
        if lease <= 0:
            raise ConfigurationError("lease: more than 0 seconds, and more than an event takes to deal with")
        self._reader = Reader(
            certs=certs, apiv3_key=apiv3_key, secret=secret, mchid=mchid, clock=clock, renewal=renewal
        )
        self._lease = lease
        self.store: ReplayStore = MemoryStore() if store is None else store

    def parse(self, headers: Given, body: bytes) -> Notification:
        """Prove and decrypt a callback; whether it came before is not looked at.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it came.

        Raises:
            NotificationError: It must not be acted on; ``error.reply`` is what to answer. Its kinds are in
                :mod:`wechatpay.notification.refusals`.
            InvalidRequestError: ``body`` is not bytes, or ``headers`` are none.
        """
        return run(self._reader.read(headers, body))

    async def aparse(self, headers: Given, body: bytes) -> Notification:
        """Do as `parse` does, without blocking the event loop.

        Raises:
            WeChatPayError: As `parse` does.
        """
        return await arun(self._reader.read(headers, body))

    def handle(self, headers: Given, body: bytes, process: Process) -> Reply:
        """Prove a callback, have its event dealt with once, and make the reply.

        An event that was dealt with gets the same reply again, and ``process`` is not called. One that is
        being dealt with at this moment is turned away, to be delivered again. What ``process`` raises is
        raised, so that your framework reports it and answers 500, and the event will be delivered again.

        Args:
            headers: The request's headers, as the framework gives them.
            body: The request's body, exactly as it came.
            process: Deals with the event. Returns ``None``; further fields of the reply, for the few kinds of
                events that ask for some; or a `Reply`.

        Raises:
            InvalidRequestError: ``body`` is not bytes, ``headers`` are none, or what ``process`` returned
                cannot be sent.
            ConfigurationError: ``process`` or the store is asynchronous.
            DecodeError: The store holds something else than a reply.
            Exception: What ``process`` or the store raised.
        """
        return run(self._handle(headers, body, process))

    async def ahandle(self, headers: Given, body: bytes, process: Process) -> Reply:
        """Do as `handle` does, from the event loop.

        ``process``, and the methods of the store, may be coroutine functions; others run on a thread.

        Raises:
            Exception: As `handle` does.
        """
        return await arun(self._handle(headers, body, process))

    def _handle(self, given: Given, body: bytes, process: Process) -> Steps[Reply]:
        try:
            notification = yield Step(self.parse, given, body, coroutine=self.aparse)
        except NotificationError as error:
            is_alarm = not isinstance(error, ProbeNotificationError)
            _log.log(logging.WARNING if is_alarm else logging.INFO, "callback refused: %s", error)
            return error.reply
        event = notification.id
        if not (yield Step(self.store.claim, event, self._lease)):
            known = yield Step(self.store.reply, event)
            _log.info("callback %s came again, %s", event, "dealt with" if known else "being dealt with")
            return Reply.from_bytes(known) if known else notification.reject("being dealt with", 503)
        return (yield from self._once(notification, process))

    def _once(self, notification: Notification, process: Process) -> Steps[Reply]:
        """Deal with an event that was claimed; a process that dies here leaves the claim to its lease."""
        event, begun = notification.id, time.monotonic()
        try:
            outcome = yield Step(process, notification)
            reply = outcome if isinstance(outcome, Reply) else notification.acknowledge(outcome)
        except Exception:
            yield from self._release(event, begun)
            raise
        if not reply.is_success:
            yield from self._release(event, begun)
            return reply
        try:
            yield Step(self.store.complete, event, reply.to_bytes())
        except Exception:  # noqa: BLE001  whatever a store of others raises
            # The event is dealt with: acknowledged, it is not delivered again, remembered or not.
            _log.exception("callback %s was dealt with, but the store did not take it", event)
        return reply

    def _release(self, event: str, begun: float) -> Steps[None]:
        if time.monotonic() - begun >= self._lease:
            return  # Somebody else may have claimed it meanwhile.
        try:
            yield Step(self.store.release, event)
        except Exception:  # noqa: BLE001  whatever a store of others raises
            _log.exception(
                "callback %s is blocked for %s s: the store did not release it", event, self._lease
            )
