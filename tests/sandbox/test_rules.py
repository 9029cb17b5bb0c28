"""Limits of WeChat Pay's, and the rules that its documents contradict themselves on."""

from __future__ import annotations

import asyncio

import documented
import pytest
import sandboxes
from scenes import APP, Shop

from wechatpay import APIError, Builder, ConfigurationError
from wechatpay.sandbox import Rules, Sandbox

OURS = {"appid": APP, "mch_id": documented.MCHID}
YEAR = 365 * 86400


@pytest.fixture
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings(tls=True)) as instance:
        yield Shop(sandbox, instance)


def refund(shop, order, number=None, amount=1):
    """Refund a part of an order in APIv3."""
    body = {
        "out_trade_no": order.out_trade_no,
        "out_refund_no": number or documented.number(),
        "amount": {"refund": amount, "total": order.total, "currency": "CNY"},
    }
    return shop.instance.v3.refund.domestic.refunds.post(json=body)


def refund_v2(shop, order):
    """Refund a part of an order in APIv2."""
    body = {"out_trade_no": order.out_trade_no, "out_refund_no": documented.number()}
    amounts = {"total_fee": order.total, "refund_fee": 1}
    return shop.instance.v2.secapi.pay.refund.post(xml={**OURS, **body, **amounts}, security=True)


def refused(call, *arguments, **changes):
    """Return status, code and text of the error."""
    with pytest.raises(APIError) as caught:
        call(*arguments, **changes)
    return caught.value.status_code, caught.value.code, caught.value.message


def test_refunds_of_one_order_are_a_minute_apart(shop):
    """In both protocols; those of another order, and the same refund again, are not."""
    first, second, number = shop.paid(), shop.paid(), documented.number()
    refund(shop, first, number)
    refund(shop, first, number)
    refund(shop, second)

    assert (429, "FREQUENCY_LIMITED", "单笔订单退款频率限制") == refused(refund, shop, first)
    assert (200, "FREQUENCY_LIMITED", "单笔订单退款频率限制") == refused(refund_v2, shop, first)
    assert 1 == shop.sandbox.orders[first.out_trade_no].refunded
    shop.sandbox.advance(60)
    refund_v2(shop, first)
    assert 2 == shop.sandbox.orders[first.out_trade_no].refunded


def test_refused_refund_is_accepted_a_minute_later(shop):
    """Under the same number, from the event loop, too."""
    order, number = shop.paid(), documented.number()
    amount = {"refund": 1, "total": order.total, "currency": "CNY"}
    body = {"out_trade_no": order.out_trade_no, "amount": amount}
    refund(shop, order)

    async def wait():
        async with Builder(**shop.sandbox.settings()) as instance:
            node = instance.v3.refund.domestic.refunds
            with pytest.raises(APIError, match="FREQUENCY_LIMITED"):
                await node.postAsync(json={**body, "out_refund_no": number})
            await shop.sandbox.aadvance(60)
            return await node.postAsync(json={**body, "out_refund_no": number})

    assert number == asyncio.run(wait()).json()["out_refund_no"]


def test_order_is_refunded_fifty_times(shop):
    """Not once more, though something is left."""
    shop.sandbox.rules.refund_interval = 0
    order = shop.paid()
    for _ in range(50):
        refund(shop, order)

    assert (400, "INVALID_REQUEST") == refused(refund, shop, order)[:2]
    assert (200, "INVALID_REQUEST") == refused(refund_v2, shop, order)[:2]


def test_order_is_refunded_within_a_year(shop):
    """Of its payment."""
    order = shop.paid()
    shop.sandbox.advance(YEAR - 60)
    refund(shop, order)
    shop.sandbox.advance(61)

    assert (400, "INVALID_REQUEST", "当前订单过期不能申请退款") == refused(refund, shop, order)
    assert (200, "TRADE_OVERDUE") == refused(refund_v2, shop, order)[:2]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("OUT_TRADE_NO_USED", (403, "OUT_TRADE_NO_USED", "商户订单号重复"), id="most pages"),
        pytest.param(
            "INVALID_REQUEST", (400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致"), id="others"
        ),
    ],
)
def test_other_order_under_a_used_number_is_refused(shop, code, expected):
    """With the code that the test chooses."""
    shop.sandbox.rules.other_order = code
    number = shop.order()

    assert expected == refused(shop.order, out_trade_no=number, description="coffee")


@pytest.mark.parametrize(("days", "left"), [(30, 0), (180, 994)])
def test_receipts_are_frozen_as_long_as_the_rules_say(shop, days, left):
    """30 days, on one page 180."""
    shop.sandbox.rules.freeze_days = days
    made = shop.shared(is_open=True)
    shop.sandbox.advance(31 * 86400)
    path = "v3/profitsharing/transactions/{transaction_id}/amounts"
    found = shop.instance.chain(path).get(transaction_id=made["transaction_id"]).json()

    assert left == found["unsplit_amount"]


def test_payer_has_three_service_orders_in_progress(shop):
    """Orders that nobody confirmed do not count, and another payer has three, too."""
    payer = f"{documented.PAYER}x"
    numbers = [shop.score(openid=payer) for _ in range(4)]
    for number in numbers[:3]:
        shop.sandbox.score_orders.confirm(number)

    assert (400, "INVALID_REQUEST") == refused(shop.score, openid=payer)[:2]
    shop.score(openid=f"{documented.PAYER}y", state="USER_CONFIRM")
    path = "v3/payscore/serviceorder/{out_order_no}/cancel"
    body = {"appid": APP, "service_id": "1", "reason": "no"}
    shop.instance.chain(path).post(out_order_no=numbers[0], json=body)
    shop.score(openid=payer)


def test_payer_who_owes_gets_no_service_order(shop):
    """Until the last one is paid."""
    payer = f"{documented.PAYER}_poor"
    number = shop.score(openid=payer, state="MCH_COMPLETE")

    assert (400, "INVALID_REQUEST", "存在待处理的超时未支付订单") == refused(shop.score, openid=payer)
    shop.sandbox.score_orders.pay(number)
    shop.score(openid=payer)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_service_order_is_cancelled_during_the_deduction_if_the_rules_say_so(shop, is_allowed):
    """The newer pages do not allow it."""
    shop.sandbox.rules.can_cancel_paying = is_allowed
    number = shop.score(state="MCH_COMPLETE")
    node = shop.instance.chain("v3/payscore/serviceorder/{out_order_no}/cancel")
    given = {"out_order_no": number, "json": {"appid": APP, "service_id": "1", "reason": "no"}}
    if is_allowed:
        node.post(**given)
    else:
        assert "当前订单状态不满足撤销条件" == refused(node.post, **given)[2]

    assert ("REVOKED" if is_allowed else "DOING") == shop.sandbox.score_orders.find(number).state


def test_rules_are_read_from_the_command_line():
    """Names and types are those of the attributes."""
    texts = ["refund_interval = 0", "other_order=INVALID_REQUEST", "can_cancel_paying=true", "score_orders=9"]
    expected = Rules(refund_interval=0, other_order="INVALID_REQUEST", can_cancel_paying=True, score_orders=9)

    assert expected == Rules.parse(texts)
    assert Rules() == Rules.parse([])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=1", "'speed' is unknown"),
        ("refund_interval=soon", "refund_interval: give a number, not 'soon'"),
        ("refund_interval=-1", "refund_interval: 0 or more"),
        ("refund_interval=nan", "refund_interval: 0 or more"),
        ("score_orders=1.5", "score_orders: give a whole number, not '1.5'"),
        ("can_cancel_paying=1", "can_cancel_paying: give true or false, not '1'"),
        ("other_order=PAID", "other_order: one of OUT_TRADE_NO_USED, INVALID_REQUEST"),
    ],
)
def test_wrong_rules_are_refused(text, message):
    """The error says what there is."""
    with pytest.raises(ConfigurationError, match=message):
        Rules.parse([text])
