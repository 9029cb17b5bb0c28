"""Payments by code: when they can be reversed, and what is over then."""

from __future__ import annotations

import documented
import pytest
import sandboxes
from scenes import APP, Shop

from wechatpay import APIError, Builder, ConfigurationError
from wechatpay.sandbox import Sandbox

DAY = 86400
OURS = {"appid": APP, "mchid": documented.MCHID}
OURS_V2 = {"appid": APP, "mch_id": documented.MCHID}


@pytest.fixture
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings(tls=True)) as instance:
        yield Shop(sandbox, instance)


def pay(shop, ending="88", **more):
    """Pay by a code that ends so, in APIv3, and return the order's number."""
    code = f"13{documented.number()[1:]:0>14}{ending}"
    return shop.by_code(**OURS, payer={"auth_code": code}, **more)


def reverse(shop, number):
    """Reverse a payment in APIv3, and return status, code and text of the response."""
    node = shop.instance.chain("v3/pay/transactions/out-trade-no/{out_trade_no}/reverse")
    try:
        return node.post(out_trade_no=number, json=OURS).status_code, "", ""
    except APIError as error:
        return error.status_code, error.code, error.message


def reverse_v2(shop, number):
    """Reverse a payment in APIv2, and return the code of the error."""
    fields = {**OURS_V2, "out_trade_no": number}
    try:
        shop.instance.v2.secapi.pay.reverse.post(xml=fields, security=True)
    except APIError as error:
        return error.code
    return ""


def test_reversed_payment_stays_reversed(shop):
    """The payer can neither pay it nor fail to, and its time is not over again."""
    number = pay(shop, ending="01")
    shop.sandbox.advance(15)
    reverse(shop, number)

    for act in (shop.sandbox.decline, shop.sandbox.expire, shop.sandbox.pay):
        with pytest.raises(ConfigurationError, match="was reversed"):
            act(number)
    assert "REVOKED" == shop.sandbox.orders[number].state


def test_reversal_is_not_a_refund_of_the_merchant(shop):
    """APIv2 lists the refunds that the merchant made, and no other."""
    number = pay(shop, amount={"total": 100})
    shop.sandbox.advance(15)
    fields = {**OURS_V2, "out_trade_no": number}
    refund = {"out_refund_no": f"R{number}", "total_fee": 100, "refund_fee": 30}
    shop.instance.v2.secapi.pay.refund.post(xml={**fields, **refund}, security=True)
    reverse(shop, number)
    query = shop.instance.v2.pay.refundquery.post
    found = query(xml=fields).xml()
    made, reversal = shop.sandbox.orders[number].refunds

    assert ("1", f"R{number}") == (found["refund_count"], found["out_refund_no_0"])
    assert f"R{number}" == query(xml={**OURS_V2, "refund_id": made.refund_id}).xml()["out_refund_no_0"]
    with pytest.raises(APIError, match="REFUNDNOTEXIST"):
        query(xml={**OURS_V2, "refund_id": reversal.refund_id})


def test_closed_order_stays_closed(shop):
    """The payer cannot decline it, and its time is not over again."""
    number = shop.order()
    node = shop.instance.chain("v3/pay/transactions/out-trade-no/{out_trade_no}/close")
    node.post(out_trade_no=number, json={"mchid": documented.MCHID})

    for act in (shop.sandbox.decline, shop.sandbox.expire, shop.sandbox.pay):
        with pytest.raises(ConfigurationError, match="is closed"):
            act(number)
    assert "CLOSED" == shop.sandbox.orders[number].state


@pytest.mark.parametrize("ending", ["01", "88"], ids=["waits for the password", "paid"])
def test_payment_is_reversed_after_15_seconds(shop, ending):
    """In both protocols; sooner, nothing changes."""
    number, other = pay(shop, ending), pay(shop, ending)
    before = shop.sandbox.orders[number].state
    shop.sandbox.advance(14)

    assert (400, "INVALID_REQUEST", "正在支付中不能发起撤销") == reverse(shop, number)
    assert "USERPAYING" == reverse_v2(shop, number)
    assert before == shop.sandbox.orders[number].state
    shop.sandbox.advance(2)
    assert (200, "", "") == reverse(shop, number)
    assert not reverse_v2(shop, other)
    assert {"REVOKED"} == {order.state for order in shop.sandbox.orders.values()}


def test_payment_is_reversed_within_a_week(shop):
    """Later ones are refunded; a reversal that was made can be repeated at any time."""
    number, repeated = pay(shop), pay(shop)
    shop.sandbox.advance(7 * DAY - 60)
    reverse(shop, repeated)
    shop.sandbox.advance(61)

    assert (400, "INVALID_REQUEST", "订单无法撤销") == reverse(shop, number)
    assert "REVERSE_EXPIRE" == reverse_v2(shop, number)
    assert "SUCCESS" == shop.sandbox.orders[number].state
    assert (200, "", "") == reverse(shop, repeated)


def test_payment_is_reversed_at_once_if_the_rules_say_so(shop):
    """``reverse_interval`` is 0."""
    shop.sandbox.rules.reverse_interval = 0

    assert (200, "", "") == reverse(shop, pay(shop))
