"""The sandbox as users have it: a context manager with settings for a Builder."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Unpack

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.callbacks.notifier import Notifier
from wechatpay.sandbox.callbacks.payments import log_step
from wechatpay.sandbox.gateway import Gateway
from wechatpay.sandbox.keys.identity import Identity
from wechatpay.sandbox.ledger import Order, Trouble
from wechatpay.sandbox.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.answer import Received
    from wechatpay.sandbox.callbacks import Delivered
    from wechatpay.sandbox.callbacks.notifier import Details, Resource
    from wechatpay.sandbox.delivery import Delivery, Fault
    from wechatpay.sandbox.keys.identity import PlatformSigner
    from wechatpay.sandbox.keys.signers import Mode
    from wechatpay.settings import SettingsDict

__all__ = ["Sandbox"]

#: Requests remembered, and callbacks.
_REMEMBERED = 1000


class Sandbox(Running):
    """WeChat Pay on loopback: checks real requests as WeChat Pay does, and needs no merchant account.

    ::

        with Sandbox() as sandbox:
            instance = Builder(**sandbox.settings())
            instance.v3.palmservice.authorization.openid._openid_.get(
                openid="oUpF8uMuAJOM2pxb1Q", query={"organization_id": "1"}
            )

    Works with ``async with``, too. Each sandbox has its own keys, ports, thread and event loop; any number
    may run at once. Whom it knows is told in :mod:`wechatpay.sandbox.people`, what can be made to go wrong in
    :mod:`wechatpay.sandbox.faults`; the ``wechatpay.sandbox`` logger has a line for every answer. It also
    keeps orders, which you `pay`, sends callbacks to your server (`notify`), and changes its keys (`rotate`).
    """

    def __init__(
        self,
        *,
        identity: Identity | None = None,
        clock: Callable[[], float] | None = None,
        mode: Mode = "both",
        port: int = 0,
        tls_port: int = 0,
    ) -> None:
        """Prepare a sandbox; ``with`` starts it.

        Args:
            identity: Keys from :meth:`Identity.generate`, to share them between sandboxes: making them
                takes 0.2 s. Fresh ones by default.
            clock: Returns Unix seconds; given, it is among the settings, too.
            mode: How the merchant verifies: ``"public-key"``, as all do that joined since late 2024,
                ``"certificates"``, which it downloads, or ``"both"``, on the move from these to that.
            port: The port on 127.0.0.1; chosen by the system by default.
            tls_port: The same for HTTPS.

        Raises:
            ConfigurationError: There is no such mode.
        """
        super().__init__(identity or Identity.generate(), (port, tls_port))
        self._clock = clock
        self._gateway = Gateway(self.identity, clock or time.time, mode)
        self._notifier = Notifier(self.identity, self._gateway.signers, clock or time.time)
        self._lock = threading.Lock()
        self._requests: deque[Received] = deque(maxlen=_REMEMBERED)
        self._delivered: deque[Delivered] = deque(maxlen=_REMEMBERED)

    def settings(self, *, tls: bool = False, **changes: Unpack[SettingsDict]) -> SettingsDict:
        """Return the settings of a Builder that talks to this sandbox.

        They name no proxy, whatever the environment says.

        Args:
            tls: Whether to talk by HTTPS, as with WeChat Pay: APIv2's ``security`` needs it, for only TLS
                can carry the merchant certificate. All else works either way.
            changes: Settings of your own, which come over these.

        Raises:
            ConfigurationError: The sandbox does not run.
        """
        clock: SettingsDict = {"clock": self._clock} if self._clock else {}
        where: SettingsDict = {"base_uri": self.address.plain}
        if tls:
            where = {"base_uri": self.address.tls, "verify": str(self.address.bundle)}
        own, signers = self.identity.settings(), self._gateway.signers
        if signers.mode == "certificates":
            # Such a merchant downloads what it needs.
            del own["certs"]
        else:
            own["certs"] = signers.certs
        return {**own, **where, **clock, **changes}

    def rotate(self) -> PlatformSigner:
        """Have WeChat Pay use one more key: it signs all that names no other, and the others stay.

        It is a certificate, which merchants download; for a merchant in public-key mode it is a public key,
        which has to be added by hand.

        Returns:
            The key: its ``serial``, and what is ``published`` of it as PEM.
        """
        return self._gateway.signers.rotate()

    def retire(self, serial: str) -> None:
        """Have WeChat Pay withdraw a key: it is not offered any more, and signs nothing.

        Raises:
            ConfigurationError: It is not in use, or the last one.
        """
        self._gateway.signers.retire(serial)

    def decrypt(self, text: str, serial: str) -> str:
        """Decrypt what the merchant encrypted, such as a name in one of the `requests`.

        Args:
            text: Base64.
            serial: The key that the request's ``Wechatpay-Serial`` named.

        Raises:
            ConfigurationError: WeChat Pay never had such a key.
            ValueError: The text was not encrypted with it.
        """
        return self._gateway.signers.decrypt(text, serial)

    @property
    def requests(self) -> list[Received]:
        """What was received, oldest first, refused requests included; the last 1000."""
        with self._lock:
            return list(self._requests)

    @property
    def orders(self) -> dict[str, Order]:
        """The merchant's orders as they are now, by ``out_trade_no``, oldest first."""
        return self._gateway.ledger.orders

    def pay(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay an order, as people do with their phones.

        Its ``notify_url`` is called, once, if it leads to this machine; see `delivered` for the reply.

        Args:
            out_trade_no: The merchant's number for it.
            openid: Who pays; by default whom the order names, else ``oUpF8uMuAJOM2pxb1Q``.

        Returns:
            The order, with its ``payment``.

        Raises:
            ConfigurationError: There is no such order, or it is paid already.
        """
        paid = self._gateway.ledger.pay(out_trade_no, openid)
        if isinstance(paid, Order):
            if told := log_step(self._notifier, paid):
                self._delivered.append(told)
            return paid
        why = "is paid already" if paid is Trouble.PAID else "was never placed; order first, then pay"
        raise ConfigurationError(f"out_trade_no: {out_trade_no!r:.80} {why}")

    async def apay(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Do as `pay` does, without blocking the event loop, which may be your server's.

        Raises:
            ConfigurationError: As `pay` does.
        """
        return await asyncio.to_thread(self.pay, out_trade_no, openid=openid)

    @property
    def delivered(self) -> list[Delivered]:
        """What became of the callbacks that were sent, oldest first; the last 1000."""
        return list(self._delivered)

    def notify(
        self,
        url: str,
        event: str = "TRANSACTION.SUCCESS",
        resource: Resource = None,
        *,
        times: int = 1,
        **details: Unpack[Details],
    ) -> Delivered:
        """Send a callback to your server on this machine, and wait for its reply as long as WeChat Pay does.

        ::

            reply = sandbox.notify(url, "TRANSACTION.SUCCESS", {"out_trade_no": "N1", "amount": {"total": 1}})
            assert reply.status == 200

        Encrypted and signed as WeChat Pay does, with the newest key. There are realistic examples of the most
        used events, in ``callbacks/events.jsonl``, of which you change what matters to you.

        Args:
            url: ``http://127.0.0.1:<port>/<path>``; the sandbox calls nobody else.
            event: An ``event_type``; or APIv2's ``v2/payment``, ``v2/refund``, ``v2/contract-signed`` or
                ``v2/contract-ended``, in XML.
            resource: Fields that differ from the example's, also within objects, with ``None`` for those to
                leave out; or, as bytes, what to encrypt in its place.
            times: How often to deliver the event, whatever the replies: WeChat Pay repeats what was not
                acknowledged, and now and then what was. Each delivery is signed anew.
            details: What else the callback says, or what is wrong with it; see
                :class:`~wechatpay.sandbox.callbacks.notifier.Details`.

        Returns:
            The replies; ``status``, ``headers`` and ``body`` are the last one's.

        Raises:
            ConfigurationError: ``url`` does not lead to this machine; or there is no example of that event,
                and no ``resource``; or the fault is none of callbacks; or ``serial`` is no key in use.
            InvalidRequestError: ``resource`` cannot be written.
            ConnectError: Nobody listens there.
            ReadTimeoutError: No reply came within 5 s. In an event loop that serves your own server, await
                `anotify`.
            NoResponseError: The connection broke.
        """
        delivered = self._notifier.deliver(url, event, resource, times, details)
        self._delivered.append(delivered)
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
        """Do as `notify` does, without blocking the event loop, which may be your server's.

        Raises:
            WeChatPayError: As `notify` does.
        """
        return await asyncio.to_thread(self.notify, url, event, resource, times=times, **details)

    def inject(self, fault: Fault, *, times: int | None = 1, path: str | None = None) -> None:
        """Let something go wrong with the next requests; see :mod:`wechatpay.sandbox.faults`.

        Faults wait in the order they were injected, and each request takes one. A request that the sandbox
        refuses, because it is not signed as it must be, takes none.

        Args:
            fault: What goes wrong.
            times: With how many requests; ``None`` for all from now on.
            path: Only on this path, such as ``"v3/edu-papay/user/{openid}/contracts"``; ``None`` for any.

        Raises:
            ConfigurationError: ``times`` is less than 1.
        """
        self._gateway.injections.add(fault, times, path)

    def clear_faults(self) -> None:
        """Forget the faults that wait."""
        self._gateway.injections.clear()

    def _respond(self, received: Received) -> Delivery:
        with self._lock:
            self._requests.append(received)
        return self._gateway.respond(received)
