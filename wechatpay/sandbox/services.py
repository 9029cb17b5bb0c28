"""All that has a state beside the orders, wired together: transfers, sharing, contracts, the pay score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wechatpay.sandbox import uploads
from wechatpay.sandbox.agreements import Agreements
from wechatpay.sandbox.announcements import refund_task
from wechatpay.sandbox.bills import Bills
from wechatpay.sandbox.combined_orders import CombinedOrders
from wechatpay.sandbox.contracts import Contracts
from wechatpay.sandbox.edu_papay import EduPapay
from wechatpay.sandbox.papay import Papay
from wechatpay.sandbox.papay_v2 import PapayV2
from wechatpay.sandbox.payments import Payments
from wechatpay.sandbox.payments_v2 import PaymentsV2
from wechatpay.sandbox.profit_sharing import ProfitSharing
from wechatpay.sandbox.profit_sharing_v2 import ProfitSharingV2
from wechatpay.sandbox.refunds import Refunds
from wechatpay.sandbox.score_orders import ScoreOrders
from wechatpay.sandbox.security_echo import SecurityEcho
from wechatpay.sandbox.sharing import SharingLedger
from wechatpay.sandbox.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from wechatpay.sandbox.apiv2 import HandlerV2
    from wechatpay.sandbox.apiv3 import Handler
    from wechatpay.sandbox.deliveries import Task
    from wechatpay.sandbox.fund_texts import FundEntry
    from wechatpay.sandbox.keys import Identity, Signers
    from wechatpay.sandbox.ledger import Ledger
    from wechatpay.sandbox.orders import Order, Refund
    from wechatpay.sandbox.rules import Rules

__all__ = ["Services"]


class Services:
    """The services of WeChat Pay for one merchant.

    Attributes:
        transfers: Transfers to users.
        contracts: Contracts and deductions.
        score_orders: Service orders of the pay score.
        agreements: Authorizations.
        sharings: Profit sharing.
        bills: Bills of all these.
        handlers: What handles each operation of APIv3, by method and template.
        handlers_v2: What handles each operation of APIv2, by template.
        owners: The objects that hold the state.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each service needs some of them
        self,
        identity: Identity,
        signers: Signers,
        ledger: Ledger,
        clock: Callable[[], float],
        send: Callable[[Task], bool],
        settle: Callable[[], object],
        rules: Rules,
    ) -> None:
        """Wire the services together.

        Args:
            identity: The merchant.
            signers: WeChat Pay's keys.
            ledger: The merchant's orders.
            clock: Returns Unix seconds.
            send: Delivers a callback.
            settle: Lets everything happen that is due.
            rules: The rules of the sandbox.
        """
        self._mchid = identity.mchid
        self._send = send
        self.transfers = Transfers(ledger, clock, send)
        self.contracts = Contracts(ledger, clock, send, identity.mchid)
        self.score_orders = ScoreOrders(ledger, clock, send, identity.mchid, rules)
        self.agreements = Agreements(self.contracts, clock, send)
        self.sharings = SharingLedger(ledger, clock)
        key = identity.private_key.public_key()
        self.bills = Bills(ledger, clock, rules, self.bookings, self.sharings.rows, key)
        self.owners = (
            self.transfers,
            self.contracts,
            self.score_orders,
            self.agreements,
            self.sharings,
            self.bills,
        )
        payments = Payments(ledger, rules)
        self.handlers: dict[tuple[str, str], Handler] = {
            **uploads.HANDLERS,
            **payments.handlers,
            **CombinedOrders(ledger).handlers,
            **Refunds(ledger, settle).handlers,
            **self.bills.handlers,
            **self.transfers.handlers,
            **self.score_orders.handlers,
            **self.agreements.handlers,
            **ProfitSharing(self.sharings, ledger).handlers,
            **Papay(self.contracts, payments, clock).handlers,
            **EduPapay(self.contracts, ledger).handlers,
            **SecurityEcho(identity, signers, send).handlers,
        }
        self.handlers_v2: dict[str, HandlerV2] = {
            **PaymentsV2(ledger, clock, self.announce_refund, self.bills.are_ready).handlers,
            **PapayV2(self.contracts, ledger).handlers,
            **ProfitSharingV2(self.sharings, ledger).handlers,
        }

    def announce_refund(self, order: Order, refund: Refund) -> None:
        """Send the callback of a refund that was decided, if it names a URL."""
        if refund.notify_url:
            self._send(refund_task(order, refund, self._mchid))

    def settle(self) -> bool:
        """Let everything happen that is due, and return whether something else waits for the clock."""
        self.contracts.settle()
        self.score_orders.settle()
        return self.transfers.settle()

    def bookings(self) -> list[FundEntry]:
        """Return the bookings on the merchant's account that belong to no order."""
        return [*self.transfers.bookings(), *self.sharings.bookings()]
