"""A random shop against the ledger: nothing is paid or refunded twice, ledger, bill and callbacks agree.

Requests may be carried out although their response is lost; the shop sends them again under the same number.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import documented
import pytest
import sandboxes
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sandboxes import Clock
from shops import serving

from wechatpay import APIError, Builder, NoResponseError, bills
from wechatpay.sandbox import Rules, Sandbox, faults

APP = "wx8888888888888888"
TRANSFERS = "v3/fund-app/mch-transfer/transfer-bills"
FINAL = ("SUCCESS", "FAIL", "CANCELLED")
DAY = date(2023, 11, 15)


class Books(RuleBasedStateMachine):
    """The books of a shop, beside the ledger of the sandbox."""

    orders = Bundle("orders")
    refunds = Bundle("refunds")
    transfers = Bundle("transfers")

    def __init__(self):
        super().__init__()
        rules = Rules(refund_interval=0)
        self.sandbox = Sandbox(identity=sandboxes.identity(), clock=Clock(), rules=rules).start()
        self.instance = Builder(**self.sandbox.settings())
        self._serving = serving()
        self.server = self._serving.__enter__()
        self.paid: dict[str, int] = {}
        self.closed: set[str] = set()
        self.totals: dict[str, int] = {}
        self.refunded: dict[str, tuple[str, int]] = {}
        self.transferred: dict[str, str] = {}
        self.days = 0

    def send(self, path, body, is_lost, **variables):
        """Send a request until there is a response; return the error code, or ``""``."""
        if is_lost:
            self.sandbox.inject(faults.Reset())
        for _ in range(2):
            try:
                self.instance.chain(path).post(json=body, **variables)
            except NoResponseError:
                continue
            except APIError as error:
                return error.code
            return ""
        raise AssertionError("no response twice")

    @initialize(target=orders, total=st.integers(1, 10_000))
    def begin(self, total):
        """Begin with a paid order: whatever follows may refund it."""
        number = self.place(total, is_lost=False)
        self.pay(number, failures=0)
        return number

    @rule(target=orders, total=st.integers(1, 10_000), is_lost=st.booleans())
    def place(self, total, is_lost):
        """Place an order."""
        number = documented.number()
        self.totals[number] = total
        assert "" == self.send("v3/pay/transactions/native", self.order(number), is_lost)
        return number

    def order(self, number):
        """Return the parameters of an order."""
        return {
            "appid": APP,
            "mchid": documented.MCHID,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": self.server.url,
            "amount": {"total": self.totals[number]},
        }

    @rule(number=orders)
    def place_again(self, number):
        """Repeat an order: a paid or closed one is refused."""
        code = self.send("v3/pay/transactions/native", self.order(number), is_lost=False)
        expected = "ORDER_PAID" if number in self.paid else "ORDER_CLOSED" if number in self.closed else ""

        assert expected == code

    @rule(number=orders, failures=st.integers(0, 2))
    def pay(self, number, failures):
        """Pay in the payer's place, if that is still possible; the shop's server may fail at first."""
        if number in self.paid or number in self.closed:
            return
        self.server.replies = [(500, b"")] * failures
        self.send("v3/pay/transactions/native", self.order(number), is_lost=False)
        self.sandbox.pay(number)
        self.paid[number] = self.totals[number]

    @rule(number=orders, is_lost=st.booleans())
    def close(self, number, is_lost):
        """Close an order: a paid one is refused."""
        path = "v3/pay/transactions/out-trade-no/{out_trade_no}/close"
        code = self.send(path, {"mchid": documented.MCHID}, is_lost, out_trade_no=number)
        if number not in self.paid:
            self.closed.add(number)

        assert ("ORDER_PAID" if number in self.paid else "") == code

    @precondition(lambda self: self.paid)
    @rule(target=refunds, data=st.data(), percent=st.integers(1, 110), is_lost=st.booleans())
    def refund(self, data, percent, is_lost):
        """Refund an order: never more than what is left of it."""
        number = data.draw(st.sampled_from(sorted(self.paid)))
        amount = max(1, self.totals[number] * percent // 100)
        left = self.paid.get(number, 0) - sum(
            part for order, part in self.refunded.values() if order == number
        )
        refund = documented.number()
        code = self.send("v3/refund/domestic/refunds", self.refund_body(refund, number, amount), is_lost)
        if amount <= left:
            self.refunded[refund] = (number, amount)

        assert (code == "") == (amount <= left)
        return refund if amount <= left else multiple()

    def refund_body(self, refund, number, amount):
        """Return the parameters of a refund."""
        return {
            "out_trade_no": number,
            "out_refund_no": refund,
            "notify_url": self.server.url,
            "amount": {"refund": amount, "total": self.totals[number], "currency": "CNY"},
        }

    @rule(refund=refunds)
    def refund_again(self, refund):
        """Repeat a refund: nothing moves, and another amount is refused."""
        number, amount = self.refunded[refund]

        body = self.refund_body(refund, number, amount)
        assert "" == self.send("v3/refund/domestic/refunds", body, is_lost=False)
        body = self.refund_body(refund, number, amount + 1)
        assert "INVALID_REQUEST" == self.send("v3/refund/domestic/refunds", body, is_lost=False)

    @rule(target=transfers, amount=st.integers(10, 1000), is_lost=st.booleans())
    def transfer(self, amount, is_lost):
        """Transfer money to a user."""
        number = documented.number()
        body = {
            "appid": APP,
            "out_bill_no": number,
            "openid": documented.PAYER,
            "transfer_amount": amount,
            "transfer_remark": "thanks",
            "transfer_scene_id": "1000",
            "transfer_scene_report_infos": [
                {"info_type": name, "info_content": "抽奖"} for name in ("活动名称", "奖励说明")
            ],
            "notify_url": self.server.url,
        }
        assert "" == self.send(TRANSFERS, body, is_lost)
        self.transferred[number] = "WAIT_USER_CONFIRM"
        return number

    @rule(number=transfers, is_lost=st.booleans(), is_cancelled=st.booleans())
    def end_transfer(self, number, is_lost, is_cancelled):
        """Confirm a transfer in the payee's place, or cancel it."""
        if self.transferred[number] in FINAL:
            return
        if is_cancelled:
            self.send(f"{TRANSFERS}/out-bill-no/{{out_bill_no}}/cancel", {}, is_lost, out_bill_no=number)
        else:
            self.sandbox.confirm_transfer(number)
        self.transferred[number] = "CANCELLED" if is_cancelled else "SUCCESS"

    @precondition(lambda self: self.days < 3)
    @rule()
    def sleep(self):
        """Let a day pass: callbacks are repeated, transfers lapse."""
        self.days += 1
        self.sandbox.advance(86401)
        self.transferred = {
            number: state if state in FINAL else "FAIL" for number, state in self.transferred.items()
        }

    @invariant()
    def ledger_agrees(self):
        """The sandbox has the shop's orders, each paid and refunded once, and each transfer once."""
        found = self.sandbox.orders

        assert set(self.totals) == set(found)
        assert self.paid == {number: order.total for number, order in found.items() if order.payment}
        refunds = [
            (refund.out_refund_no, (number, refund.amount))
            for number, order in found.items()
            for refund in order.refunds
        ]
        assert sorted(self.refunded.items()) == sorted(refunds)
        transfers = [(transfer["out_bill_no"], transfer["state"]) for transfer in self.sandbox.transfers]
        assert sorted(self.transferred.items()) == sorted(transfers)

    def teardown(self):
        """Compare the callbacks and the bills with the books."""
        try:
            self.sandbox.advance(86401)
            self.sandbox.advance(86401)
            self.compare_callbacks()
            self.compare_bills()
        finally:
            self.instance.getDriver().close()
            self.sandbox.stop()
            self._serving.__exit__(None, None, None)

    def compare_callbacks(self):
        """Each payment, refund and final transfer is announced as one event, with the amount of the books."""
        done = sorted(map(self.read, filter(lambda found: found.is_acknowledged, self.sandbox.delivered)))
        payments = [("TRANSACTION.SUCCESS", number, total) for number, total in self.paid.items()]
        refunds = [("REFUND.SUCCESS", refund, amount) for refund, (_, amount) in self.refunded.items()]
        transfers = [
            ("MCHTRANSFER.BILL.FINISHED", number, state if state in FINAL else "FAIL")
            for number, state in self.transferred.items()
        ]

        assert sorted(payments + refunds + transfers) == done
        ids = Counter(attempt.id for attempt in self.sandbox.attempts if attempt.is_acknowledged)
        assert len(done) == len(ids) == ids.total()

    @staticmethod
    def read(found):
        """Return event, number, and amount or state of a callback."""
        resource = found.resource
        if found.event == "TRANSACTION.SUCCESS":
            return found.event, resource["out_trade_no"], resource["amount"]["total"]
        if found.event == "REFUND.SUCCESS":
            return found.event, resource["out_refund_no"], resource["amount"]["refund"]
        return found.event, resource["out_bill_no"], resource["state"]

    def compare_bills(self):
        """The trade bills of all days have each payment and each refund once, with its amount."""
        paid, refunded = Counter(), Counter()
        for day in range(self.days + 1):
            bill = bills.fetch(
                self.instance, "trade", DAY + timedelta(days=day), clock=lambda: self.sandbox.now
            )
            for row in bill:
                if row.is_refund:
                    refunded[row.out_refund_no] += row.refund_total_fen
                else:
                    paid[row.out_trade_no] += row.total_fen

        assert self.paid == paid
        assert {refund: amount for refund, (_, amount) in self.refunded.items()} == refunded


#: The explanation of failures traces each line, which takes longer than the test.
QUICK = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

Books.TestCase.settings = QUICK
TestBooks = Books.TestCase


class ThoroughBooks(Books):
    """The same with many more steps."""


ThoroughBooks.TestCase.settings = settings(QUICK, max_examples=40, stateful_step_count=40)
TestThoroughBooks = pytest.mark.timeout(1800)(pytest.mark.slow(ThoroughBooks.TestCase))
