"""Refunds belong to the party and to the order that their numbers name, in both protocols."""

from __future__ import annotations

import documented
import pytest
import sandboxes
from scenes import APP, PARTNER, Shop

from wechatpay import APIError, Builder
from wechatpay.sandbox import Rules, Sandbox

SUB, OTHER = PARTNER["sub_mchid"], "1900000888"
MISMATCH = (400, "INVALID_REQUEST", "您的请求参数与订单信息不一致")
OURS_V2 = {"appid": APP, "mch_id": documented.MCHID}


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    sandbox = Sandbox(identity=sandboxes.identity(), refund_delay=3600, rules=Rules(refund_interval=0))
    with sandbox, Builder(**sandbox.settings(tls=True)) as instance:
        yield Shop(sandbox, instance)


@pytest.fixture
def refunds(shop):
    """Give the node of APIv3's refunds."""
    return shop.instance.v3.refund.domestic.refunds


def refund(**changes):
    """Return the parameters of a refund of one fen of an order of one yuan."""
    amount = {"refund": 1, "total": 100, "currency": "CNY", **changes.pop("amount", {})}
    return {"out_refund_no": documented.number(), "amount": amount, **changes}


def refused(call, **arguments):
    """Return status, code and text of the error."""
    with pytest.raises(APIError) as caught:
        call(**arguments)
    return caught.value.status_code, caught.value.code, caught.value.message


def call_v2(shop, path, **fields):
    """Call APIv2, and return the fields, or the code of the error."""
    is_secure = "secapi" in path
    try:
        return shop.instance.chain(path).post(xml={**OURS_V2, **fields}, security=is_secure).xml()
    except APIError as error:
        return error.code


def sub_order_v2(shop):
    """Place and pay an order of a sub-merchant in APIv2, and return it."""
    return shop.sandbox.pay(shop.v2_order(sub_mch_id=SUB, total_fee=100))


@pytest.mark.parametrize("placed", [{"sub_mchid": SUB}, {}], ids=["partner order", "direct order"])
def test_order_of_another_party_is_not_refunded(shop, refunds, placed):
    """No money moves for a ``sub_mchid`` that is not the order's."""
    order = shop.paid(**placed)

    body = refund(out_trade_no=order.out_trade_no, sub_mchid=OTHER)
    assert MISMATCH == refused(refunds.post, json=body)
    assert 0 == shop.sandbox.orders[order.out_trade_no].refunded


def test_refund_of_another_party_is_not_found(shop, refunds):
    """Nor sent to another card; the party that made it finds it."""
    order = shop.paid(sub_mchid=SUB)
    made = refunds.post(json=refund(out_trade_no=order.out_trade_no, sub_mchid=SUB)).json()
    number = made["out_refund_no"]
    shop.sandbox.settle_refund(number, "ABNORMAL")
    query, retry = refunds._number_.get, refunds._number_.applyAbnormalRefund.post
    body = {"out_refund_no": number, "type": "MERCHANT_BANK_CARD"}

    for given in ({"sub_mchid": OTHER}, {}):
        assert MISMATCH == refused(query, number=number, query=given)
        assert MISMATCH == refused(retry, number=made["refund_id"], json={**body, **given})
    assert "ABNORMAL" == query(number=number, query={"sub_mchid": SUB}).json()["status"]
    again = retry(number=made["refund_id"], json={**body, "sub_mchid": SUB}).json()
    assert "PROCESSING" == again["status"]


def test_numbers_of_two_orders_refund_neither(shop, refunds):
    """Both numbers of one order refund it."""
    first, second = shop.paid(), shop.paid()
    numbers = {"transaction_id": first.payment.transaction_id, "out_trade_no": second.out_trade_no}
    unknown = {**numbers, "transaction_id": "4200000000000000000000000000"}

    assert MISMATCH == refused(refunds.post, json=refund(**numbers))
    assert (404, "RESOURCE_NOT_EXISTS", "订单不存在") == refused(refunds.post, json=refund(**unknown))
    numbers["out_trade_no"] = first.out_trade_no
    assert first.out_trade_no == refunds.post(json=refund(**numbers)).json()["out_trade_no"]
    assert [1, 0] == [shop.sandbox.orders[order.out_trade_no].refunded for order in (first, second)]


def test_numbers_of_two_orders_refund_neither_in_v2(shop):
    """The error is that of the number that does not belong to the order."""
    first, second = shop.paid(), shop.paid()
    numbers = {"transaction_id": first.payment.transaction_id, "out_trade_no": second.out_trade_no}
    amounts = {"out_refund_no": documented.number(), "total_fee": 100, "refund_fee": 1}

    assert "INVALID_TRANSACTIONID" == call_v2(shop, "v2/secapi/pay/refund", **numbers, **amounts)
    assert "INVALID_TRANSACTIONID" == call_v2(shop, "v2/secapi/pay/reverse", **numbers)
    assert "ORDERNOTEXIST" == call_v2(shop, "v2/pay/orderquery", **numbers)
    assert "REFUNDNOTEXIST" == call_v2(shop, "v2/pay/refundquery", **numbers)
    assert [0, 0] == [shop.sandbox.orders[order.out_trade_no].refunded for order in (first, second)]


def test_order_of_another_party_does_not_exist_in_v2(shop):
    """It is neither queried, closed nor refunded, and its refunds are not listed."""
    order, open_ = sub_order_v2(shop), shop.v2_order(sub_mch_id=SUB)
    number = {"out_trade_no": order.out_trade_no}
    amounts = {"out_refund_no": documented.number(), "total_fee": 100, "refund_fee": 1}

    for party in ({}, {"sub_mch_id": OTHER}):
        assert "ORDERNOTEXIST" == call_v2(shop, "v2/pay/orderquery", **number, **party)
        assert "ORDERNOTEXIST" == call_v2(shop, "v2/secapi/pay/refund", **number, **amounts, **party)
        assert "ORDERNOTEXIST" == call_v2(shop, "v2/pay/closeorder", out_trade_no=open_, **party)
    call_v2(shop, "v2/secapi/pay/refund", **number, **amounts, sub_mch_id=SUB)
    for given in (number, {"out_refund_no": amounts["out_refund_no"]}):
        assert "REFUNDNOTEXIST" == call_v2(shop, "v2/pay/refundquery", **given, sub_mch_id=OTHER)
        assert "1" == call_v2(shop, "v2/pay/refundquery", **given, sub_mch_id=SUB)["refund_count"]
    assert 1 == shop.sandbox.orders[order.out_trade_no].refunded


def test_reason_has_80_bytes_at_most(shop, refunds):
    """A Chinese character has three."""
    order = shop.paid()
    long, short = ({"reason": "退" * 26 + end} for end in ("abc", "ab"))

    assert "PARAM_ERROR" == refused(refunds.post, json=refund(out_trade_no=order.out_trade_no, **long))[1]
    assert (
        "PROCESSING" == refunds.post(json=refund(out_trade_no=order.out_trade_no, **short)).json()["status"]
    )


@pytest.mark.parametrize(("parts", "is_right"), [((30, 10), True), ((30, 11), False), ((39, 0), False)])
def test_accounts_of_a_refund_add_up(shop, refunds, parts, is_right):
    """``amount.from`` says where the whole of it comes from."""
    order = shop.paid()
    sources = [
        {"account": name, "amount": part}
        for name, part in zip(("AVAILABLE", "UNAVAILABLE"), parts, strict=True)
    ]
    body = refund(out_trade_no=order.out_trade_no, amount={"refund": 40, "from": sources})
    if is_right:
        refunds.post(json=body)
    else:
        assert (400, "INVALID_REQUEST") == refused(refunds.post, json=body)[:2]

    assert 40 * is_right == shop.sandbox.orders[order.out_trade_no].refunded


def test_refund_has_the_currency_of_the_order(shop, refunds):
    """CNY."""
    body = refund(out_trade_no=shop.paid().out_trade_no, amount={"currency": "USD"})

    assert MISMATCH == refused(refunds.post, json=body)
