"""The sandbox as users have it: a context manager with settings for a Builder."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self, Unpack

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import admin
from wechatpay.sandbox.api import Gateway
from wechatpay.sandbox.apiv2 import ApiV2, describe_payment
from wechatpay.sandbox.apiv3 import ApiV3
from wechatpay.sandbox.callbacks import CompleteResource, Notifier
from wechatpay.sandbox.clock import VirtualClock
from wechatpay.sandbox.deliveries import Deliveries, Task
from wechatpay.sandbox.faults.injections import Injections
from wechatpay.sandbox.keys import Identity, Signers, list_certificates
from wechatpay.sandbox.ledger import Ledger, Order, Refund, Rejection
from wechatpay.sandbox.lifecycle import Lifecycle
from wechatpay.sandbox.messages import Delivery
from wechatpay.sandbox.open_platform import OpenPlatform
from wechatpay.sandbox.payments import describe_combined, payment_event
from wechatpay.sandbox.refunds import refund_event
from wechatpay.sandbox.responses import ResponseGenerator
from wechatpay.sandbox.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.agreements import Agreements
    from wechatpay.sandbox.callbacks import Delivered, Details, Resource
    from wechatpay.sandbox.contracts import Contracts
    from wechatpay.sandbox.deliveries import Attempt
    from wechatpay.sandbox.faults import Fault
    from wechatpay.sandbox.keys import Mode, PlatformSigner
    from wechatpay.sandbox.messages import HttpRequest
    from wechatpay.sandbox.score_orders import ScoreOrders
    from wechatpay.sandbox.server import Server
    from wechatpay.settings import SettingsDict

__all__ = ["Sandbox"]

#: Requests kept.
_KEPT = 1000

_REASONS = {
    Rejection.NO_ORDER: "was never placed; order first, then pay",
    Rejection.PAID: "is paid already",
    Rejection.CLOSED: "is closed; order with a new number",
    Rejection.EXPIRED: "has expired; order again for a new prepay_id",
    Rejection.OTHER_PAYER: "belongs to another payer; omit openid",
}


class Sandbox(Lifecycle):
    """WeChat Pay on loopback: verifies real requests as WeChat Pay does, without a merchant account.

    ::

        with Sandbox() as sandbox:
            instance = Builder(**sandbox.settings())
            instance.v3.palmservice.authorization.openid._openid_.get(
                openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"}
            )

    Works with ``async with``, too. Each sandbox has its own keys, ports, threads and event loop; any number
    may run at once. :mod:`wechatpay.sandbox.test_users` lists the payers that it knows,
    :mod:`wechatpay.sandbox.faults` the faults; the ``wechatpay.sandbox`` logger has a line for each response.
    It keeps orders, which you `pay`, sends callbacks to your server, and changes its keys (`rotate`).
    """

    def __init__(  # noqa: PLR0913  each is a setting of its own
        self,
        *,
        identity: Identity | None = None,
        clock: Callable[[], float] | None = None,
        mode: Mode = "both",
        port: int = 0,
        tls_port: int = 0,
        seed: str = "",
        refund_delay: float = 0.0,
        host: str = "127.0.0.1",
    ) -> None:
        """Prepare a sandbox; ``with`` starts it.

        Args:
            identity: Keys from :meth:`Identity.generate`, to share them between sandboxes: making them
                takes 0.2 s. New ones by default.
            clock: Returns Unix seconds; if given, it is also among the settings. See `advance`.
            mode: How the merchant verifies: ``"public-key"``, as all do that joined since late 2024,
                ``"certificates"``, which it downloads, or ``"both"``, while it changes over.
            port: The port on 127.0.0.1; by default the system chooses one.
            tls_port: The port for HTTPS.
            seed: Determines WeChat Pay's numbers and generated responses.
            refund_delay: Seconds until the money of an APIv3 refund arrives, in the sandbox's clock.
            host: The address to listen on. Clients still call ``127.0.0.1``: another address is for
                containers, whose ports are published there.

        Raises:
            ConfigurationError: ``mode`` is unknown.
        """
        super().__init__(identity or Identity.generate(), (port, tls_port), host)
        self._clock = clock
        wall = clock or time.time
        self._now = VirtualClock(wall)
        self._lock = threading.Lock()
        self._requests: deque[HttpRequest] = deque(maxlen=_KEPT)
        self._injections = Injections(seed)
        self._signers = Signers(self.identity, mode, wall)
        self._notifier = Notifier(self.identity, self._signers, wall, self._now)
        self._deliveries = Deliveries(self._notifier, self._now, self._settle)
        self._ledger = Ledger(self._now, seed, refund_delay)
        self._services = Services(
            self.identity, self._signers, self._ledger, self._now, self._deliveries.add, self._settle
        )
        generator = ResponseGenerator(self.identity, self._now, seed)
        handlers = {
            **self._services.handlers,
            ("GET", "v3/certificates"): lambda _: list_certificates(self._signers, self.identity.apiv3_key),
        }
        apis = (
            OpenPlatform(self.identity, self._now, self._ledger),
            ApiV3(self.identity, wall, self._signers, handlers, generator),
            ApiV2(self.identity, self._now, self._ledger, generator),
        )
        self._gateway = Gateway(apis, self._injections)

    def settings(self, *, tls: bool = False, **changes: Unpack[SettingsDict]) -> SettingsDict:
        """Return the settings of a Builder that talks to this sandbox.

        They use no proxy, whatever the environment says.

        Args:
            tls: Whether to use HTTPS, as with WeChat Pay: APIv2's ``security`` requires it, because only TLS
                can carry the merchant certificate. Everything else works either way.
            changes: Settings that replace these.

        Raises:
            ConfigurationError: The sandbox does not run.
        """
        clock: SettingsDict = {"clock": self._clock} if self._clock else {}
        where: SettingsDict = {"base_uri": self.address.plain}
        if tls:
            where = {"base_uri": self.address.tls, "verify": str(self.address.bundle)}
        own = self.identity.settings()
        if self._signers.mode == "certificates":
            # Such a merchant downloads them.
            del own["certs"]
        else:
            own["certs"] = self._signers.certs
        return {**own, **where, **clock, **changes}

    def rotate(self) -> PlatformSigner:
        """Add a key of WeChat Pay's: it signs unless a request names another one, which stays in use.

        It is a certificate, which merchants download; for a merchant in public-key mode it is a public key,
        which has to be added by hand.

        Returns:
            The key: its ``serial``, and its ``published`` PEM.
        """
        return self._signers.rotate()

    def retire(self, serial: str) -> None:
        """Withdraw a key of WeChat Pay's: it is not offered any more, and signs nothing.

        Raises:
            ConfigurationError: It is not in use, or it is the last one.
        """
        self._signers.retire(serial)

    def decrypt(self, text: str, serial: str) -> str:
        """Decrypt a value that the merchant encrypted, such as a name in one of the `requests`.

        Args:
            text: Base64.
            serial: The key in the request's ``Wechatpay-Serial``.

        Raises:
            ConfigurationError: WeChat Pay never had such a key.
            ValueError: The text was not encrypted with it.
        """
        return self._signers.decrypt(text, serial)

    @property
    def requests(self) -> list[HttpRequest]:
        """The last 1000 requests, oldest first, refused ones included."""
        with self._lock:
            return list(self._requests)

    @property
    def orders(self) -> dict[str, Order]:
        """The merchant's orders in their present state, by ``out_trade_no``, oldest first."""
        return self._ledger.orders

    @property
    def now(self) -> float:
        """The time of the sandbox's clock, in Unix seconds."""
        return self._now()

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's clock, and deliver the callbacks that become due, without sleeping.

        Prepay ids expire, orders are closed, refunds arrive, callbacks are repeated. Signatures follow the
        machine's clock.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        self._now.advance(seconds)
        self._deliveries.deliver_due()

    def advance_later(self, seconds: float) -> None:
        """Advance the clock as `advance` does, and deliver due callbacks in the background.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        self._now.advance(seconds)
        self._deliveries.wake()

    async def aadvance(self, seconds: float) -> None:
        """Advance the clock as `advance` does, without blocking the event loop.

        Raises:
            ConfigurationError: ``seconds`` is negative.
        """
        await asyncio.to_thread(self.advance, seconds)

    def pay(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay an order, as payers do with their phones.

        Its ``notify_url`` is called if it leads to this machine, and again in WeChat Pay's intervals until it
        acknowledges; see `delivered`.

        Args:
            out_trade_no: The merchant's number; of a combined order its ``combine_out_trade_no``.
            openid: The payer; by default the one that the order names, else ``oUpF8uMuAJOM2pxb1Q``.

        Returns:
            The order, with its ``payment``; of a combined order the first one.

        Raises:
            ConfigurationError: The order is unknown, or cannot be paid in its state.
        """
        order, task = self._pay(out_trade_no, openid)
        if task:
            self._deliveries.deliver(task)
        return order

    def pay_later(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay as `pay` does, and call the ``notify_url`` in the background.

        Raises:
            ConfigurationError: As `pay` does.
        """
        order, task = self._pay(out_trade_no, openid)
        if task:
            self._deliveries.add(task)
        return order

    async def apay(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay as `pay` does, without blocking the event loop, which may be your server's.

        Raises:
            ConfigurationError: As `pay` does.
        """
        return await asyncio.to_thread(self.pay, out_trade_no, openid=openid)

    def decline(self, out_trade_no: str) -> Order:
        """Let the payer's attempt fail; the order stays ``NOTPAY``, a code payment becomes ``PAYERROR``.

        Raises:
            ConfigurationError: The order is unknown, or paid.
        """
        return _accept(self._ledger.decline(out_trade_no), out_trade_no)

    def expire(self, out_trade_no: str) -> Order:
        """End the time in which an order can be paid; it stays ``NOTPAY`` until it is closed.

        Raises:
            ConfigurationError: The order is unknown, or paid.
        """
        return _accept(self._ledger.expire(out_trade_no), out_trade_no)

    def settle_refund(self, out_refund_no: str, status: str = "SUCCESS") -> Refund:
        """Decide an APIv3 refund, which otherwise succeeds after ``refund_delay``.

        Args:
            out_refund_no: The merchant's number.
            status: ``SUCCESS``, ``ABNORMAL`` or ``CLOSED``.

        Raises:
            ConfigurationError: The refund is unknown or final, or the status is unknown.
        """
        if status not in {"SUCCESS", "ABNORMAL", "CLOSED"}:
            raise ConfigurationError(f"status: SUCCESS, ABNORMAL or CLOSED, not {status!r:.40}")
        settled = self._ledger.settle_refund(out_refund_no, status)
        if isinstance(settled, Rejection):
            why = "is unknown" if settled is Rejection.NO_REFUND else "is final already"
            raise ConfigurationError(f"out_refund_no: {out_refund_no!r:.80} {why}")
        self._announce_refund(*settled)
        return settled[1]

    def confirm_transfer(self, out_bill_no: str) -> str:
        """Confirm a transfer, as the payee does with the phone.

        Returns:
            The state of the transfer: ``SUCCESS``.

        Raises:
            ConfigurationError: The transfer is unknown, or does not wait for a confirmation.
        """
        return self._services.transfers.confirm(out_bill_no)

    @property
    def contracts(self) -> Contracts:
        """The contracts of payers: sign and end them in the payer's place."""
        return self._services.contracts

    @property
    def score_orders(self) -> ScoreOrders:
        """The service orders of the pay score: confirm and pay them in the payer's place."""
        return self._services.score_orders

    @property
    def agreements(self) -> Agreements:
        """The authorizations of payers: give and revoke them in the payer's place."""
        return self._services.agreements

    @property
    def delivered(self) -> list[Delivered]:
        """The last 1000 callbacks that got a reply, oldest first."""
        return list(self._deliveries.delivered)

    @property
    def attempts(self) -> list[Attempt]:
        """The last 1000 attempts to deliver the callbacks of orders, oldest first."""
        return list(self._deliveries.attempts)

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
        found = self._deliveries.expect(event, timeout)
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
        self._deliveries.record(delivered)
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

    def inject(
        self, fault: Fault, *, times: int | None = 1, path: str | None = None, probability: float = 1.0
    ) -> None:
        """Apply a fault to the next requests; see :mod:`wechatpay.sandbox.faults`.

        Faults wait in the order they were injected, and each request takes one. A request that fails
        verification takes none.

        Args:
            fault: The fault.
            times: To how many requests it applies; ``None`` for all from now on.
            path: Only on this path, such as ``"v3/edu-papay/user/{openid}/contracts"``; ``None`` for any.
            probability: That a request meets it, above 0 and up to 1; the sandbox's seed decides which ones.

        Raises:
            ConfigurationError: ``times`` or ``probability`` is out of range, or the fault applies to
                callbacks only.
        """
        self._injections.add(fault, times, path, probability)

    def clear_faults(self) -> None:
        """Remove the faults that wait."""
        self._injections.clear()

    def _pay(self, number: str, openid: str) -> tuple[Order, Task | None]:
        """Pay an order or a combined order, and return it with its callback."""
        if parts := self._ledger.find_combined(number):
            paid = tuple(_accept(self._ledger.pay(p.out_trade_no, openid), number) for p in parts)
            resource = CompleteResource(describe_combined(paid, self.identity.mchid))
            task = Task("TRANSACTION.SUCCESS", paid[0].notify_url, resource, {"id": _event_id(paid[0])})
            return paid[0], task
        order = _accept(self._ledger.pay(number, openid), number)
        if order.trade_type == "MICROPAY":
            return order, None
        return order, self._payment_task(order)

    def _payment_task(self, order: Order) -> Task:
        if order.protocol == "v3":
            event, resource, details = payment_event(order, self.identity.mchid)
            return Task(event, order.notify_url, resource, details)
        attach = order.attach or None
        fields = {"appid": order.appid, "out_trade_no": order.out_trade_no, "attach": attach}
        return Task("v2/payment", order.notify_url, {**fields, **describe_payment(order)}, {})

    def _settle(self) -> bool:
        """Let the refunds arrive that are due, end expired transfers, and return whether others wait."""
        is_waiting = self._services.settle()
        for order, refund in self._ledger.due_refunds():
            self._announce_refund(order, refund)
        return is_waiting or self._ledger.has_processing_refunds

    def _announce_refund(self, order: Order, refund: Refund) -> None:
        if refund.notify_url:
            event, resource = refund_event(order, refund, self.identity.mchid)
            details: Details = {"id": f"EV-{refund.refund_id}-{refund.status}"}
            self._deliveries.add(Task(event, refund.notify_url, CompleteResource(resource), details))

    def _finish_start(self, server: Server) -> Self:
        started = super()._finish_start(server)
        self._deliveries.start()
        return started

    def _detach(self) -> Server | None:
        self._deliveries.stop()
        return super()._detach()

    def _respond(self, request: HttpRequest) -> Delivery:
        if admin.accepts(request):
            return Delivery(admin.respond(self, request))
        with self._lock:
            self._requests.append(request)
        delivery = self._gateway.respond(request)
        self._deliveries.wake()
        return delivery


def _accept(made: Order | Rejection, number: str) -> Order:
    """Return an order.

    Raises:
        ConfigurationError: The ledger rejected the operation.
    """
    if isinstance(made, Order):
        return made
    raise ConfigurationError(f"out_trade_no: {number!r:.80} {_REASONS[made]}")


def _event_id(order: Order) -> str:
    return f"EV-{order.payment.transaction_id if order.payment else ''}"
