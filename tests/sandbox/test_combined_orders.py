"""The parameters of combined orders are checked as those of single ones, and time ends for them, too."""

from __future__ import annotations

from datetime import datetime

import documented
import pytest
import sandboxes
from scenes import APP, Shop
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError, bills
from wechatpay.sandbox import Identity, Rules, Sandbox
from wechatpay.sandbox.clock import CHINA, format_rfc3339


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        yield Shop(sandbox, instance)


def part(**changes):
    """Return the parameters of a part of one yuan; its amount is one of the changes."""
    amount = {"total_amount": changes.pop("total", 100), "currency": changes.pop("currency", "CNY")}
    usual = {"mchid": documented.MCHID, "out_trade_no": documented.number(), "attach": "a", "amount": amount}
    return {**usual, "description": "tea", **changes}


def combined(*parts, **changes):
    """Return the parameters of a combined order, by default of two parts."""
    usual = {
        "combine_appid": APP,
        "combine_mchid": documented.MCHID,
        "combine_out_trade_no": documented.number(),
        "notify_url": "https://shop.example.com/notify",
        "sub_orders": list(parts or (part(), part())),
    }
    return {**usual, **changes}


def refused(shop, body, scene="native"):
    """Place a combined order, and return status, code and field of the error."""
    with pytest.raises(APIError) as caught:
        shop.instance.v3.combineTransactions[scene].post(json=body)
    detail = caught.value.detail
    return caught.value.status_code, caught.value.code, detail["field"] if detail else None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"total": 0}, "amount/total_amount", id="nothing"),
        pytest.param({"total": -5}, "amount/total_amount", id="negative"),
        pytest.param({"total": 1_000_000_001}, "amount/total_amount", id="more than ten million yuan"),
        pytest.param({"currency": "USD"}, "amount/currency", id="dollars"),
        pytest.param({"out_trade_no": "N 1"}, "out_trade_no", id="number"),
    ],
)
def test_wrong_parameter_of_a_part_is_named(shop, changes, field):
    """No part is placed."""
    body = combined(part(), part(**changes))

    assert (400, "PARAM_ERROR", f"/sub_orders/1/{field}") == refused(shop, body)
    assert body["sub_orders"][0]["out_trade_no"] not in shop.sandbox.orders


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"combine_out_trade_no": "N 1"}, "combine_out_trade_no"),
        ({"notify_url": "ftp://x?y"}, "notify_url"),
        ({"notify_url": "https://shop.example.com/notify?a=1"}, "notify_url"),
        ({"time_expire": "tomorrow"}, "time_expire"),
        ({"combine_mchid": "1900000001"}, None),
        ({"sub_orders": [part()]}, "sub_orders"),
    ],
    ids=str,
)
def test_wrong_parameter_of_a_combined_order_is_named(shop, changes, field):
    """As that of a single order; direct merchants combine two orders at least."""
    assert (400, "PARAM_ERROR", field) == refused(shop, combined(**changes))


def test_partner_may_combine_one_order(shop):
    """Of a sub-merchant."""
    body = combined(part(sub_mchid="1900000110"))

    assert shop.instance.v3.combineTransactions.native.post(json=body).json()["code_url"]


@pytest.mark.parametrize("payer", [{"openid": ""}, {"openid": "nobody"}], ids=str)
def test_payer_of_a_combined_jsapi_order_is_known(shop, payer):
    """400 PARAM_ERROR."""
    assert (400, "PARAM_ERROR") == refused(shop, combined(combine_payer_info=payer), "jsapi")[:2]


def test_parts_have_numbers_of_their_own(shop):
    """Two parts with one number are refused."""
    one = part()

    assert (403, "OUT_TRADE_NO_USED", None) == refused(shop, combined(one, {**one, "attach": "b"}))
    assert one["out_trade_no"] not in shop.sandbox.orders


def test_combined_order_is_paid_until_it_expires(shop):
    """None of its parts is paid later."""
    early, late = (combined(time_expire=format_rfc3339(shop.sandbox.now + 600)) for _ in range(2))
    for body in (early, late):
        shop.instance.v3.combineTransactions.native.post(json=body)
    shop.sandbox.advance(590)
    shop.sandbox.pay(early["combine_out_trade_no"])
    shop.sandbox.advance(20)

    for number in (late["combine_out_trade_no"], late["sub_orders"][0]["out_trade_no"]):
        with pytest.raises(ConfigurationError, match="has expired"):
            shop.sandbox.pay(number)


def place(shop, **changes):
    """Place a combined order, and return its number and those of its parts."""
    body = combined(**changes)
    shop.instance.v3.combineTransactions.native.post(json=body)
    return body["combine_out_trade_no"], *(part["out_trade_no"] for part in body["sub_orders"])


def test_who_pays_a_part_pays_all_parts(shop):
    """There is one payment, and one callback, which has all parts."""
    with serving() as server:
        number, first, second = place(shop, notify_url=server.url)
        shop.sandbox.pay(second)
        event = shop.sandbox.expect_callback("TRANSACTION.SUCCESS")

    assert number == event.resource["combine_out_trade_no"]
    assert ["SUCCESS"] * 2 == [shop.sandbox.orders[part].state for part in (first, second)]
    assert 1 == len(server.received)


def test_parts_have_the_payer_in_the_app_of_their_sub_merchant(shop):
    """And the order has the payer in the app in which it was combined."""
    subs = {"sub_mchid": "1900000998", "sub_appid": "wx0000000000000001"}
    payer = {"sub_openid": "oUpF8uMuAJOM2pxb1Q"}
    body = combined(part(**subs), part(**subs), combine_payer_info=payer)
    shop.instance.v3.combineTransactions.jsapi.post(json=body)
    shop.sandbox.pay(number := body["combine_out_trade_no"])
    found = shop.instance.chain("v3/combine-transactions/out-trade-no/{n}").get(n=number).json()

    assert [subs | payer] * 2 == [{name: each[name] for name in subs | payer} for each in found["sub_orders"]]
    assert {payer["sub_openid"], ""}.isdisjoint(found["combine_payer_info"].values())


def test_no_part_is_paid_if_one_cannot(shop):
    """All are paid, or none."""
    number, first, second = place(shop)
    shop.sandbox.expire(second)
    for name in (number, first):
        with pytest.raises(ConfigurationError, match="has expired"):
            shop.sandbox.pay(name)

    assert "NOTPAY" == shop.sandbox.orders[first].state


def test_combined_order_is_payable_for_a_minute_at_least(shop):
    """As a single one: an earlier ``time_expire`` is postponed."""
    body = combined(time_expire="2020-01-01T00:00:00+08:00")
    shop.instance.v3.combineTransactions.native.post(json=body)
    shop.sandbox.advance(50)

    assert shop.sandbox.pay(body["combine_out_trade_no"]).payment


OTHER = "1900000110"


@pytest.fixture
def mall():
    """Give two merchants, the first one the sandbox, and a client of each."""
    second = Identity.generate(OTHER, sandboxes.identity().authority)
    rules = Rules(early_bills=True)
    with (
        Sandbox(identity=sandboxes.identity(), merchants=[second], rules=rules) as sandbox,
        Builder(**sandbox.settings()) as one,
        Builder(**sandbox.merchants[OTHER].settings()) as two,
    ):
        yield Shop(sandbox, one), Shop(sandbox.merchants[OTHER], two)


def refund(shop, number):
    """Refund a part of one yuan, and return the status of the response."""
    amount = {"refund": 100, "total": 100, "currency": "CNY"}
    body = {"out_trade_no": number, "out_refund_no": documented.number(), "amount": amount}
    try:
        return shop.instance.v3.refund.domestic.refunds.post(json=body).status_code
    except APIError as error:
        return error.status_code


def billed(shop):
    """Return the numbers of the orders in the merchant's trade bill of today, and its merchants."""
    day = datetime.fromtimestamp(shop.sandbox.now, CHINA).date()
    bill = bills.fetch(shop.instance, "trade", day, clock=lambda: shop.sandbox.now + 2e5)
    return sorted({(row.out_trade_no, row.mchid) for row in bill})


@pytest.mark.parametrize("number", ["combined", "first", "second", "second at its merchant"])
def test_part_of_another_merchant_is_that_merchants_order(mall, number):
    """Who pays one number pays all parts; each merchant refunds its own part, and finds it in its bill."""
    one, two = mall
    numbers = dict(
        zip(("combined", "first", "second"), place(one, sub_orders=[part(), part(mchid=OTHER)]), strict=True)
    )
    payer = two if number.endswith("merchant") else one
    payer.sandbox.pay(numbers[number.partition(" ")[0]])

    assert ["SUCCESS"] * 2 == [
        one.sandbox.orders[numbers["first"]].state,
        two.sandbox.orders[numbers["second"]].state,
    ]
    assert [404, 404] == [refund(one, numbers["second"]), refund(two, numbers["first"])]
    assert [200, 200] == [refund(two, numbers["second"]), refund(one, numbers["first"])]
    assert [(numbers["first"], documented.MCHID)] == billed(one)
    assert [(numbers["second"], OTHER)] == billed(two)


def test_who_combined_orders_of_merchants_queries_and_closes_them(mall):
    """And gets the callback; the other merchant has only its part."""
    one, two = mall
    with serving() as server:
        number, first, second = place(one, sub_orders=[part(), part(mchid=OTHER)], notify_url=server.url)
        two.sandbox.pay(second)
        event = one.sandbox.expect_callback("TRANSACTION.SUCCESS")
    node = "v3/combine-transactions/out-trade-no/{n}"
    found = one.instance.chain(node).get(n=number).json()

    assert [first, second] == [each["out_trade_no"] for each in found["sub_orders"]]
    assert [documented.MCHID, OTHER] == [each["mchid"] for each in event.resource["sub_orders"]]
    with pytest.raises(APIError, match="ORDERNOTEXIST"):
        two.instance.chain(node).get(n=number)

    number, first, second = place(one, sub_orders=[part(), part(mchid=OTHER)])
    named = [{"mchid": documented.MCHID, "out_trade_no": first}, {"mchid": OTHER, "out_trade_no": second}]
    one.instance.chain(f"{node}/close").post(n=number, json={"combine_appid": APP, "sub_orders": named})

    assert ["CLOSED"] * 2 == [one.sandbox.orders[first].state, two.sandbox.orders[second].state]


def test_parts_of_two_merchants_may_have_one_number(mall):
    """A number is a merchant's own."""
    one, two = mall
    number, first, second = place(one, sub_orders=[same := part(), {**same, "mchid": OTHER}])
    one.sandbox.pay(number)
    ids = {shop.sandbox.orders[first].payment.transaction_id for shop in mall}

    assert (first, 2) == (second, len(ids))
    assert [200, 200] == [refund(one, first), refund(two, first)]


def test_unionid_is_found_by_each_part(mall):
    """Whichever merchant has the part: by WeChat Pay's number, or by the merchant's."""
    one, _ = mall
    number, *_ = place(one, sub_orders=[part(), part(mchid=OTHER)])
    one.sandbox.pay(number)
    found = one.instance.chain("v3/combine-transactions/out-trade-no/{n}").get(n=number).json()
    asked = [
        query
        for each in found["sub_orders"]
        for query in (
            {"transaction_id": each["transaction_id"]},
            {"mch_id": each["mchid"], "out_trade_no": each["out_trade_no"]},
        )
    ]
    payer = found["combine_payer_info"]
    ids = [one.instance.wxa.getpaidunionid.get(query={**payer, **query}).json()["unionid"] for query in asked]

    assert (4, 1) == (len(ids), len(set(ids)))


def test_part_of_an_unknown_merchant_stays_with_who_combined_it(shop):
    """The sandbox has no other place for it."""
    number, _, second = place(shop, sub_orders=[part(), part(mchid="1900000999")])
    shop.sandbox.pay(number)

    assert 200 == refund(shop, second)


@pytest.mark.parametrize("mchid", ["1900000998", documented.MCHID], ids=["unknown", "its own"])
def test_part_of_an_unknown_merchant_shares_no_number_with_what_is_kept_beside_it(shop, mchid):
    """Neither with another unknown merchant's part, nor with one of who placed both."""
    body = combined(same := part(mchid="1900000999"), {**same, "mchid": mchid})

    assert (403, "OUT_TRADE_NO_USED", None) == refused(shop, body)
