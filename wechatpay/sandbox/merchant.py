"""One merchant of a sandbox: its keys, orders and callbacks, and what its payers do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox.announcements import combined_task, payment_task
from wechatpay.sandbox.api import Gateway
from wechatpay.sandbox.apiv2 import ApiV2
from wechatpay.sandbox.apiv3 import ApiV3
from wechatpay.sandbox.callbacks import Notifier
from wechatpay.sandbox.deliveries import Deliveries
from wechatpay.sandbox.keys import Signers, change_settings, list_certificates
from wechatpay.sandbox.ledger import Ledger
from wechatpay.sandbox.merchant_callbacks import MerchantCallbacks
from wechatpay.sandbox.open_platform import OpenPlatform
from wechatpay.sandbox.orders import Order, Refund, Rejection
from wechatpay.sandbox.responses import ResponseGenerator
from wechatpay.sandbox.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.agreements import Agreements
    from wechatpay.sandbox.bills import Bills
    from wechatpay.sandbox.clock import VirtualClock
    from wechatpay.sandbox.contracts import Contracts
    from wechatpay.sandbox.deliveries import Task
    from wechatpay.sandbox.faults.injections import Injections
    from wechatpay.sandbox.keys import Identity, Mode, PlatformSigner
    from wechatpay.sandbox.rules import Rules
    from wechatpay.sandbox.score_orders import ScoreOrders
    from wechatpay.sandbox.server import Address
    from wechatpay.sandbox.store import Store
    from wechatpay.settings import SettingsDict

__all__ = ["Environment", "Merchant"]

_Made = TypeVar("_Made", Order, tuple[Order, ...])

_REASONS = {
    Rejection.NO_ORDER: "was never placed; order first, then pay",
    Rejection.PAID: "is paid already",
    Rejection.CLOSED: "is closed; order with a new number",
    Rejection.REVERSED: "was reversed; order with a new number",
    Rejection.EXPIRED: "has expired; order again for a new prepay_id, after time_expire with a new number",
    Rejection.OTHER_PAYER: "belongs to another payer; omit openid",
}


@dataclass(frozen=True, slots=True)
class Environment:
    """What the merchants of a sandbox share.

    Attributes:
        wall: Returns the Unix seconds of signatures.
        now: The sandbox's clock.
        mode: How merchants verify.
        seed: Determines numbers and generated responses.
        refund_delay: Seconds until the money of an APIv3 refund arrives.
        rules: The rules of the sandbox.
        injections: The faults that wait for a request.
        store: Keeps the state.
        locate: Returns where the sandbox listens.
        common: Settings of all Builders.
        merchants: All of them, by ``mchid``.
        ledgers: Their orders, by ``mchid``.
    """

    wall: Callable[[], float]
    now: VirtualClock
    mode: Mode
    seed: str
    refund_delay: float
    rules: Rules
    injections: Injections
    store: Store
    locate: Callable[[], Address]
    common: SettingsDict
    merchants: dict[str, Merchant]
    ledgers: dict[str, Ledger]


class Merchant(MerchantCallbacks):
    """One merchant of a sandbox.

    Attributes:
        identity: Its keys, and those of the WeChat Pay that it talks to.
        gateway: Responds to its requests.
    """

    def __init__(self, identity: Identity, environment: Environment) -> None:
        """Prepare the merchant.

        Args:
            identity: Its keys.
            environment: What it shares with the others.
        """
        now, wall, seed = environment.now, environment.wall, environment.seed
        self.identity = identity
        self._environment = environment
        self._store = environment.store
        self._signers = Signers(identity, environment.mode, wall)
        notifier = Notifier(identity, self._signers, wall, now)
        deliveries = Deliveries(notifier, now, self._settle, self._store.transaction)
        super().__init__(notifier, deliveries)
        ledgers = environment.ledgers
        own_seed = f"{seed} {identity.mchid}" if seed else ""
        self._ledger = Ledger(now, own_seed, environment.refund_delay, environment.rules, ledgers)
        ledgers[identity.mchid] = self._ledger
        self._services = Services(
            identity,
            self._signers,
            self._ledger,
            now,
            self.deliveries.add,
            self._settle,
            environment.rules,
        )
        generator = ResponseGenerator(identity, now, seed)
        handlers = {
            **self._services.handlers,
            ("GET", "v3/certificates"): lambda _: list_certificates(self._signers, identity.apiv3_key),
        }
        apis = (
            OpenPlatform(identity, now, self._ledger),
            ApiV3(identity, wall, self._signers, handlers, generator),
            ApiV2(identity, self._services.handlers_v2, generator),
        )
        self.gateway = Gateway(apis, environment.injections)
        for owner in (self.deliveries, self._ledger, *self._services.owners):
            self._store.add(f"{identity.mchid}.{type(owner).__name__}", owner)

    def settings(self, *, tls: bool = False, **changes: Unpack[SettingsDict]) -> SettingsDict:
        """Return the settings of a Builder that talks to this sandbox.

        They use no proxy, whatever the environment says.

        Args:
            tls: Whether to use HTTPS, as with WeChat Pay: APIv2's ``security`` requires it, because only TLS
                can carry the merchant certificate. Everything else works either way.
            changes: Settings that replace these. With a session of your own, ``proxies`` and ``verify`` are
                left out: to use it with ``tls``, set its ``verify`` to that of ``settings(tls=True)``.

        Raises:
            ConfigurationError: The sandbox does not run.
        """
        address = self._environment.locate()
        where: SettingsDict = {"base_uri": address.plain}
        if tls:
            where = {"base_uri": address.tls, "verify": str(address.bundle)}
        own = self.identity.settings()
        if self._signers.mode == "certificates":
            # Such a merchant downloads them.
            del own["certs"]
        else:
            own["certs"] = self._signers.certs
        return change_settings({**own, **where, **self._environment.common}, changes)

    @property
    def now(self) -> float:
        """The time of the sandbox's clock, in Unix seconds."""
        return self._environment.now()

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
    def orders(self) -> dict[str, Order]:
        """The merchant's orders in their present state, by ``out_trade_no``, oldest first."""
        return self._ledger.orders

    def pay(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay an order, as payers do with their phones.

        Its ``notify_url`` is called if it leads to this machine, and again in WeChat Pay's intervals until it
        acknowledges; see `delivered`.

        Args:
            out_trade_no: The merchant's number; of a combined order its ``combine_out_trade_no``, or that of
                one of its parts, which are all paid.
            openid: The payer; by default the one that the order names, else ``oUpF8uMuAJOM2pxb1Q``.

        Returns:
            The order, with its ``payment``; of a combined order the first one.

        Raises:
            ConfigurationError: The order is unknown, or cannot be paid in its state.
        """
        with self._store.transaction():
            order, task, payee = self._pay(out_trade_no, openid)
            number = payee.deliveries.reserve(task) if task else None
        if number is not None:
            payee.deliveries.deliver(number)
        return order

    def pay_later(self, out_trade_no: str, *, openid: str = "") -> Order:
        """Pay as `pay` does, and call the ``notify_url`` in the background.

        Raises:
            ConfigurationError: As `pay` does.
        """
        with self._store.transaction():
            order, task, payee = self._pay(out_trade_no, openid)
            if task:
                payee.deliveries.add(task)
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
            ConfigurationError: The order is unknown, paid, closed or reversed.
        """
        with self._store.transaction():
            return _accept(self._ledger.decline(out_trade_no), out_trade_no)

    def expire(self, out_trade_no: str) -> Order:
        """End the time in which an order can be paid; it stays ``NOTPAY`` until it is closed.

        Raises:
            ConfigurationError: The order is unknown, paid, closed or reversed.
        """
        with self._store.transaction():
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
        with self._store.transaction():
            settled = self._ledger.settle_refund(out_refund_no, status)
            if isinstance(settled, Rejection):
                why = "is unknown" if settled is Rejection.NO_REFUND else "is final already"
                raise ConfigurationError(f"out_refund_no: {out_refund_no!r:.80} {why}")
            self._services.announce_refund(*settled)
        return settled[1]

    def refund(self, out_trade_no: str, amount: int | None = None, *, reason: str = "") -> Refund:
        """Refund an order as the merchant does on WeChat Pay's web site, without a callback.

        Args:
            out_trade_no: The merchant's number.
            amount: Fen; by default what is left.
            reason: Shown to the payer.

        Raises:
            ConfigurationError: The order is unknown or not paid, or less is left.
        """
        with self._store.transaction():
            order = self._ledger.find(out_trade_no=out_trade_no)
            total, refunded = (order.total, order.refunded) if order else (0, 0)
            count = len(order.refunds) if order else 0
            made = self._ledger.refund(
                out_trade_no,
                f"{out_trade_no}-R{count + 1}",
                total - refunded if amount is None else amount,
                total,
                protocol="v3",
                reason=reason,
                is_manual=True,
            )
        if isinstance(made, Rejection):
            why = made.name.lower().replace("_", " ")
            raise ConfigurationError(f"out_trade_no: {out_trade_no!r:.80} cannot be refunded: {why}")
        self.deliveries.wake()
        return made[1]

    @property
    def transfers(self) -> list[dict[str, Any]]:
        """The transfers to users, as the query has them, oldest first."""
        return self._services.transfers.describe()

    def confirm_transfer(self, out_bill_no: str) -> str:
        """Confirm a transfer, as the payee does with the phone.

        Returns:
            The state of the transfer: ``SUCCESS``.

        Raises:
            ConfigurationError: The transfer is unknown, or does not wait for a confirmation.
        """
        with self._store.transaction():
            return self._services.transfers.confirm(out_bill_no)

    @property
    def bills(self) -> Bills:
        """The bills; ``bills.fill(day, 10_000)`` fills those of a day with generated orders."""
        return self._store.wrap(self._services.bills)

    @property
    def contracts(self) -> Contracts:
        """The contracts of payers: sign and end them in the payer's place."""
        return self._store.wrap(self._services.contracts)

    @property
    def score_orders(self) -> ScoreOrders:
        """The service orders of the pay score: confirm and pay them in the payer's place."""
        return self._store.wrap(self._services.score_orders)

    @property
    def agreements(self) -> Agreements:
        """The authorizations of payers: give and revoke them in the payer's place."""
        return self._store.wrap(self._services.agreements)

    def _pay(self, number: str, openid: str) -> tuple[Order, Task | None, Merchant]:
        """Pay an order or a combined order, and return it with its callback and who sends that."""
        known = self._ledger.find(out_trade_no=number)
        combined = known.combine_out_trade_no if known else self._ledger.find_combined_number(number)
        if combined:
            payee = self._environment.merchants.get(known.combine_mchid, self) if known else self
            paid = _accept(
                self._ledger.ledger_of(payee.identity.mchid).pay_combined(combined, openid), number
            )
            return paid[0], combined_task(paid, payee.identity.mchid), payee
        order = _accept(self._ledger.pay(number, openid), number)
        self._services.contracts.settle()
        if order.trade_type == "MICROPAY":
            return order, None, self
        return order, payment_task(order, self.identity.mchid), self

    def _settle(self) -> bool:
        """Let the refunds arrive that are due, end expired transfers, and return whether others wait."""
        with self._store.transaction():
            is_waiting = self._services.settle()
            for order, refund in self._ledger.due_refunds():
                self._services.announce_refund(order, refund)
            return is_waiting or self._ledger.has_processing_refunds


def _accept(made: _Made | Rejection, number: str) -> _Made:
    """Return an order, or the parts of a combined one.

    Raises:
        ConfigurationError: The ledger rejected the operation.
    """
    if isinstance(made, Rejection):
        raise ConfigurationError(f"out_trade_no: {number!r:.80} {_REASONS[made]}")
    return made
