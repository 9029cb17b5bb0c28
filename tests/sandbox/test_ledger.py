"""The ledger: who owes whom, whatever the protocol."""

from __future__ import annotations

import re

import pytest
from sandboxes import NOW, Clock

from wechatpay.sandbox.ledger import Ledger
from wechatpay.sandbox.orders import Order, Rejection
from wechatpay.sandbox.test_users import PAYER

DAY = 86400


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def ledger(clock):
    """Give a ledger with one order of 100 fen."""
    ledger = Ledger(clock)
    ledger.place(order())
    return ledger


@pytest.fixture
def paid(ledger):
    """Give the ledger once the order is paid."""
    ledger.pay("1")
    return ledger


def order(**changes):
    """Give an order of 100 fen."""
    return Order(**{"out_trade_no": "1", "appid": "wx1", "total": 100, "trade_type": "JSAPI"} | changes)


def test_order_begins_unpaid(ledger):
    """A new order is not paid, and remembers when it came."""
    (placed,) = ledger.orders.values()

    assert ("NOTPAY", NOW, None, 0) == (placed.state, placed.created, placed.payment, placed.refunded)


def test_same_order_again_is_the_same_order(ledger, clock):
    """Asking again changes nothing, and gives the same prepay_id."""
    first = ledger.orders["1"]
    clock.now += 60

    assert first == ledger.place(order())
    assert first.prepay_id == ledger.place(order()).prepay_id


def test_orders_have_numbers_like_wechat_pays(paid):
    """A prepay_id has 36 characters, a transaction_id 28 digits, a refund_id 29; each with its day."""
    _, refund = paid.refund("1", "r1", 1, 100)
    found = paid.orders["1"]

    assert re.fullmatch(r"wx20231115\d{26}", found.prepay_id)
    assert re.fullmatch(r"4200\d{6}20231115\d{10}", found.payment.transaction_id)
    assert re.fullmatch(r"50\d{8}20231115\d{11}", refund.refund_id)


def numbers(ledger):
    """Place, pay and refund an order, and return WeChat Pay's numbers."""
    ledger.place(order(trade_type="NATIVE"))
    paid = ledger.pay("1")
    _, refund = ledger.refund("1", "r1", 1, 100)
    return paid.prepay_id, paid.payer_url, paid.payment.transaction_id, refund.refund_id


def test_seed_determines_the_numbers_of_a_day():
    """Another moment of the day changes none of them, another day changes the date in them alone."""
    clock = Clock()
    first = numbers(Ledger(clock, "seed"))
    clock.now += 3600.25
    assert first == numbers(Ledger(clock, "seed"))

    clock.now += DAY
    later = numbers(Ledger(clock, "seed"))

    assert first != later
    assert list(first) == [each.replace("20231116", "20231115") for each in later]
    assert not {*first} & {*numbers(Ledger(clock, "other"))}


def test_without_a_seed_numbers_are_new_each_time(clock):
    """So that an app that has seen a callback does not take another run's for the same."""
    assert not {*numbers(Ledger(clock))} & {*numbers(Ledger(clock))}


@pytest.mark.parametrize(
    ("again", "trouble"),
    [
        pytest.param(order(terms="others"), Rejection.OTHER_ORDER, id="other terms"),
        pytest.param(order(appid="wx2"), Rejection.OTHER_APP, id="other app"),
    ],
)
def test_number_of_an_order_is_its_own(ledger, again, trouble):
    """A number that is taken is taken, and the order stays as it is."""
    before = ledger.orders

    assert trouble is ledger.place(again)
    assert before == ledger.orders


def test_paid_order_is_not_taken_again(paid):
    """Nobody pays twice."""
    assert Rejection.PAID is paid.place(order())
    assert Rejection.PAID is paid.pay("1")


@pytest.mark.parametrize(
    ("named", "given", "payer"),
    [("", "", PAYER), ("o-1", "", "o-1"), ("", "o-2", "o-2"), ("o-1", "o-2", "o-2")],
)
def test_payer_is_who_is_named(clock, named, given, payer):
    """The order may name who pays; the tester may have somebody else pay."""
    ledger = Ledger(clock)
    ledger.place(order(openid=named))

    assert payer == ledger.pay("1", given).payment.openid


def test_orders_are_found_by_either_number(paid):
    """WeChat Pay's number comes first."""
    paid.place(order(out_trade_no="2"))
    number = paid.orders["1"].payment.transaction_id

    assert "1" == paid.find(out_trade_no="1").out_trade_no
    assert "1" == paid.find(transaction_id=number, out_trade_no="2").out_trade_no
    assert paid.find(transaction_id="4200", out_trade_no="1") is None
    assert paid.find(out_trade_no="3") is None
    assert Rejection.NO_ORDER is paid.pay("3")


def test_refunds_add_up(paid, clock):
    """An order is given back piece by piece, to the last fen."""
    for number, amount in (("r1", 1), ("r2", 98), ("r3", 1)):
        clock.now += 60
        found, refund = paid.refund("1", number, amount, 100)

        assert amount == refund.amount
    assert (100, "REFUND") == (found.refunded, found.state)


def test_same_refund_again_is_the_same_refund(paid):
    """A number is refunded once, even when nothing is left."""
    first = paid.refund("1", "r1", 100, 100)

    assert first == paid.refund("1", "r1", 100, 100)
    assert 100 == paid.orders["1"].refunded


@pytest.mark.parametrize(
    ("arguments", "trouble"),
    [
        pytest.param(("3", "r2", 1, 100), Rejection.NO_ORDER, id="no order"),
        pytest.param(("2", "r2", 1, 50), Rejection.NOT_PAID, id="not paid"),
        pytest.param(("1", "r2", 1, 101), Rejection.OTHER_TOTAL, id="other total"),
        pytest.param(("1", "r2", 61, 100), Rejection.TOO_MUCH, id="more than is left"),
        pytest.param(("1", "r1", 41, 100), Rejection.OTHER_AMOUNT, id="other amount under the same number"),
        pytest.param(("1", "r1", 40, 99), Rejection.OTHER_AMOUNT, id="other total under the same number"),
        pytest.param(("4", "r1", 40, 100), Rejection.OTHER_AMOUNT, id="same number for another order"),
    ],
)
def test_wrong_refund_gives_nothing_back(paid, arguments, trouble):
    """What does not fit is refused, and nothing moves."""
    paid.refund("1", "r1", 40, 100)
    paid.place(order(out_trade_no="2", total=50))
    paid.place(order(out_trade_no="4"))
    paid.pay("4")

    assert trouble is paid.refund(*arguments)
    assert [40, 0, 0] == [found.refunded for found in paid.orders.values()]


def test_unknown_order_is_not_reversed(ledger):
    """There is nothing to close or refund."""
    assert Rejection.NO_ORDER is ledger.reverse("7")


def test_nothing_is_refunded_twice(paid):
    """When all is given back, there is a word for it."""
    paid.refund("1", "r1", 100, 100)

    assert Rejection.ALL_REFUNDED is paid.refund("1", "r2", 1, 100)


@pytest.mark.parametrize(("days", "is_late"), [(365, False), (365.01, True)])
def test_refunds_end_after_a_year(paid, clock, days, is_late):
    """An order is refunded within a year."""
    clock.now += days * DAY

    assert is_late == (paid.refund("1", "r1", 1, 100) is Rejection.OVERDUE)


def test_orders_are_a_copy(ledger):
    """Whoever looks at the orders cannot change them."""
    ledger.orders.clear()

    assert ["1"] == list(ledger.orders)
