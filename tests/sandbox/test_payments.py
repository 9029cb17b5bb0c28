"""The life of an APIv3 order: placed, paid, refunded, billed, closed."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest
import sandboxes

from wechatpay import APIError, Builder
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.clock import CHINA


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as running:
        yield running


@pytest.fixture
def v3(sandbox):
    """Give the root of APIv3's chain."""
    with Builder(**sandbox.settings()) as instance:
        yield instance.v3


def order(sandbox, number, **changes):
    """Give the parameters of an order of one yuan."""
    usual = {
        "appid": sandbox.identity.app["appid"],
        "mchid": sandbox.identity.mchid,
        "description": "tea",
        "out_trade_no": number,
        "notify_url": "https://example.com/notify",
        "amount": {"total": 100},
    }
    return {**usual, **changes}


def refund(number, amount, **changes):
    """Give the parameters of a refund."""
    amounts = {"refund": amount, "total": 100, "currency": "CNY"}
    return {"out_trade_no": number, "out_refund_no": f"R-{number}", "amount": amounts, **changes}


def state(sandbox, v3, number):
    """Query an order and return its state."""
    query = {"mchid": sandbox.identity.mchid}
    return v3.pay.transactions.outTradeNo._n_.get(n=number, query=query).json()["trade_state"]


def refused(call, **arguments):
    """Return status and code of an error."""
    with pytest.raises(APIError) as caught:
        call(**arguments)
    return caught.value.status_code, caught.value.code


def test_native_order_can_be_paid_and_refunded(sandbox, v3):
    """The states follow one another, and partial refunds add up."""
    code_url = v3.pay.transactions.native.post(json=order(sandbox, "LIFE-1")).json()["code_url"]
    states = [state(sandbox, v3, "LIFE-1")]
    sandbox.pay("LIFE-1")
    states.append(state(sandbox, v3, "LIFE-1"))
    accepted = v3.refund.domestic.refunds.post(json=refund("LIFE-1", 40)).json()
    states.append(state(sandbox, v3, "LIFE-1"))
    found = v3.refund.domestic.refunds._n_.get(n="R-LIFE-1").json()

    assert code_url.startswith("weixin://wxpay/bizpayurl?pr=")
    assert ["NOTPAY", "SUCCESS", "REFUND"] == states
    assert ("PROCESSING", "SUCCESS") == (accepted["status"], found["status"])
    assert 40 == sandbox.orders["LIFE-1"].refunded


def test_repeated_refund_moves_money_once(sandbox, v3):
    """The same number gives the same refund; another amount, or more than is left, is refused."""
    v3.pay.transactions.native.post(json=order(sandbox, "ONCE-1"))
    sandbox.pay("ONCE-1")
    refunds = v3.refund.domestic.refunds
    first, again = (refunds.post(json=refund("ONCE-1", 60)).json()["refund_id"] for _ in range(2))

    assert first == again
    assert 60 == sandbox.orders["ONCE-1"].refunded
    assert (400, "INVALID_REQUEST") == refused(refunds.post, json=refund("ONCE-1", 61))
    more = refund("ONCE-1", 41, out_refund_no="R-ONCE-2")
    assert (400, "INVALID_REQUEST") == refused(refunds.post, json=more)
    assert (404, "RESOURCE_NOT_EXISTS") == refused(refunds.post, json=refund("NOWHERE-1", 1))


def test_order_number_stands_for_one_order(sandbox, v3):
    """The same order gets a new credential; another one, a paid one and a closed one are refused."""
    place = v3.pay.transactions.native.post
    first, again = (place(json=order(sandbox, "SAME-1")).json()["code_url"] for _ in range(2))
    other = order(sandbox, "SAME-1", amount={"total": 101})

    assert first != again
    assert (403, "OUT_TRADE_NO_USED") == refused(place, json=other)
    sandbox.pay("SAME-1")
    assert (400, "ORDER_PAID") == refused(place, json=order(sandbox, "SAME-1"))


def test_unpaid_order_can_be_closed_twice(sandbox, v3):
    """204 each time; it cannot be ordered again."""
    v3.pay.transactions.native.post(json=order(sandbox, "CLOSE-1"))
    close = v3.pay.transactions.outTradeNo._n_.close.post
    body = {"mchid": sandbox.identity.mchid}
    found = [close(n="CLOSE-1", json=body).status_code for _ in range(2)]

    assert [204, 204] == found
    assert "CLOSED" == state(sandbox, v3, "CLOSE-1")
    assert (400, "ORDER_CLOSED") == refused(v3.pay.transactions.native.post, json=order(sandbox, "CLOSE-1"))
    assert (404, "ORDER_NOT_EXIST") == refused(close, n="NOWHERE-1", json=body)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"out_trade_no": "1"}, "out_trade_no"),
        ({"amount": {"total": 0}}, "/amount/total"),
        ({"amount": {"total": 10**30}}, "/amount/total"),
        ({"amount": {}}, "/amount/total"),
        ({"amount": {"total": "100"}}, "/amount/total"),
        ({"notify_url": "http://example.com/notify"}, "notify_url"),
        ({"time_expire": "tomorrow"}, "time_expire"),
        ({"made_up": 1}, "made_up"),
    ],
    ids=str,
)
def test_wrong_parameter_of_an_order_is_named(sandbox, v3, changes, field):
    """400 PARAM_ERROR names the member; nested ones by a JSON pointer."""
    with pytest.raises(APIError) as caught:
        v3.pay.transactions.native.post(json=order(sandbox, "WRONG-1", **changes))

    assert (400, "PARAM_ERROR") == (caught.value.status_code, caught.value.code)
    assert field == caught.value.detail["field"]


def test_bill_adds_up_to_the_ledger(sandbox, v3):
    """The hash is of the plain bill, whose summary has the payments and refunds of the day."""
    v3.pay.transactions.native.post(json=order(sandbox, "BILL-1"))
    sandbox.pay("BILL-1")
    fetch = Builder(**sandbox.settings())
    day = f"{datetime.fromtimestamp(sandbox.now, CHINA):%Y-%m-%d}"
    sandbox.advance(36 * 3600)
    for kind in ("tradebill", "fundflowbill"):
        offered = v3.bill[kind].get(query={"bill_date": day}).json()
        bill = fetch.chain(offered["download_url"]).get().content
        assert offered["hash_value"] == hashlib.sha1(bill, usedforsecurity=False).hexdigest()
        if kind == "tradebill":
            total = sum(o.total for o in sandbox.orders.values() if o.payment)
            assert f"`{total // 100}.{total % 100:02}".encode() in bill.splitlines()[-1]


def test_any_documented_operation_gets_a_generated_response(sandbox, v3):
    """It echoes the request, and misses no required member."""
    found = v3.profitsharing.merchantConfigs._sub_mchid_.get(sub_mchid="1900000999").json()

    assert "1900000999" == found["sub_mchid"]
    assert isinstance(found["max_ratio"], int)
