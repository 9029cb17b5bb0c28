"""Profit sharing: what is frozen, shared, returned and unfrozen, and what is refused."""

from __future__ import annotations

from datetime import datetime

import documented
import pytest
import sandboxes
from scenes import APP, PARTNER, RECEIVER, Shop

from wechatpay import APIError, Builder, Sensitive, bills
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.clock import CHINA

SUB, OTHER = PARTNER["sub_mchid"], "1900000888"
MERCHANT = {"type": "MERCHANT_ID", "account": RECEIVER}


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings()) as instance:
        yield Shop(sandbox, instance)


def left(shop, transaction_id):
    """Return the fen that can still be shared."""
    path = "v3/profitsharing/transactions/{transaction_id}/amounts"
    return shop.instance.chain(path).get(transaction_id=transaction_id).json()["unsplit_amount"]


def share(shop, **body):
    """Request a share, and return the response."""
    return shop.instance.v3.profitsharing.orders.post(json=body).json()


def refused(shop, **body):
    """Request a share that is refused, and return status, code and text."""
    with pytest.raises(APIError) as caught:
        share(shop, **body)
    return caught.value.status_code, caught.value.code, caught.value.message


def test_share_is_taken_from_the_frozen_receipts(shop):
    """The rest is what was paid, without the fee of 0.6 % and the share."""
    made = shop.shared()

    assert 1000 - 6 - 100 == left(shop, made["transaction_id"])


def test_share_is_queried_with_its_parts(shop):
    """It is finished, and each receiver has its amount."""
    made = shop.shared()
    path = "v3/profitsharing/orders/{out_order_no}"
    query = {"transaction_id": made["transaction_id"]}
    found = shop.instance.chain(path).get(out_order_no=made["out_order_no"], query=query).json()
    (receiver,) = found["receivers"]

    assert ("FINISHED", "SUCCESS", 100, RECEIVER) == (
        found["state"],
        receiver["result"],
        receiver["amount"],
        receiver["account"],
    )


def test_shares_of_another_party_do_not_exist(shop):
    """They are made, queried, returned and unfrozen by the sub-merchant of the order only."""
    root, order = (
        "v3/profitsharing",
        shop.paid(sub_mchid=SUB, amount={"total": 1000}, settle_info={"profit_sharing": True}),
    )
    shop.sandbox.advance(60)
    receiver = {**MERCHANT, "name": Sensitive("张三"), "relation_type": "PARTNER", "appid": APP}
    for party in ({}, {"sub_mchid": OTHER}, {"sub_mchid": SUB}):
        shop.instance.chain(f"{root}/receivers/add").post(json={**receiver, **party})
    paid = {"transaction_id": order.payment.transaction_id}
    out_order_no, out_return_no = documented.number(), documented.number()
    parts = [{**MERCHANT, "amount": 100, "description": "share"}]
    request = {"appid": APP, **paid, "receivers": parts, "unfreeze_unsplit": False}
    back = {"out_order_no": out_order_no, "return_mchid": RECEIVER, "amount": 40, "description": "return"}
    rest = {**paid, "out_order_no": documented.number(), "description": "rest"}

    def act(number, returned, **party):
        """Return what each step ends in: its status."""
        numbers = {"out_order_no": out_order_no, "out_return_no": out_return_no}
        steps = (
            (f"{root}/orders", "post", {"json": {**request, "out_order_no": number, **party}}),
            (f"{root}/orders/{{out_order_no}}", "get", {**numbers, "query": {**paid, **party}}),
            (f"{root}/return-orders", "post", {"json": {**back, "out_return_no": returned, **party}}),
            (
                f"{root}/return-orders/{{out_return_no}}",
                "get",
                {**numbers, "query": {"out_order_no": out_order_no, **party}},
            ),
            (f"{root}/orders/unfreeze", "post", {"json": {**rest, **party}}),
        )
        for path, verb, given in steps:
            known = {
                name: value for name, value in given.items() if name in {"json", "query"} or name in path
            }
            try:
                yield getattr(shop.instance.chain(path), verb)(**known).status_code
            except APIError as error:
                yield error.status_code

    others = ({}, {"sub_mchid": OTHER})
    before = [list(act(documented.number(), documented.number(), **party)) for party in others]
    assert [[404, 404, 400, 404, 404]] * 2 == before
    assert [200] * 5 == list(act(out_order_no, out_return_no, sub_mchid=SUB))
    after = [list(act(out_order_no, documented.number(), **party)) for party in others]
    assert [[400, 404, 400, 404, 404]] * 2 == after


def test_repeated_share_moves_nothing(shop):
    """The same number and content gives the same result; other content is refused."""
    made = shop.shared()
    again = share(shop, **made)

    assert made["out_order_no"] == again["out_order_no"]
    assert 894 == left(shop, made["transaction_id"])

    other = [{**made["receivers"][0], "amount": 50}]
    assert (400, "INVALID_REQUEST", "分账接收方与原请求不一致") == refused(
        shop, **{**made, "receivers": other}
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"amount": 301}, (403, "RULE_LIMIT", "分账金额超出最大分账比例"), id="above 30 %"),
        pytest.param(
            {"account": "1900000999"}, (400, "INVALID_REQUEST", "分账接收方关系不存在"), id="stranger"
        ),
        pytest.param({"amount": 0}, (400, "PARAM_ERROR", None), id="nothing"),
    ],
)
def test_wrong_share_is_refused(shop, changes, expected):
    """With WeChat Pay's status, code and text; nothing moves."""
    made = shop.shared(is_open=True)
    status, code, message = refused(shop, **{**made, "receivers": [{**made["receivers"][0], **changes}]})

    assert (status, code) == expected[:2]
    assert expected[2] in {None, message}
    assert 994 == left(shop, made["transaction_id"])


def test_order_that_was_not_marked_is_not_shared(shop):
    """Receipts are frozen only if the order says so."""
    order = shop.paid(amount={"total": 1000})
    made = {**shop.shared(is_open=True), "transaction_id": order.payment.transaction_id}

    assert (400, "INVALID_REQUEST", "非分账订单不支持分账") == refused(shop, **made)


def test_order_is_not_shared_within_a_minute(shop):
    """The settlement takes that long."""
    shop.shared(is_open=True)
    order = shop.paid(amount={"total": 1000}, settle_info={"profit_sharing": True})
    made = {
        "transaction_id": order.payment.transaction_id,
        "out_order_no": documented.number(),
        "receivers": [{**MERCHANT, "amount": 1, "description": "share"}],
        "unfreeze_unsplit": False,
    }

    assert (400, "INVALID_REQUEST", "订单处理中，请稍后重试") == refused(shop, **made)


def test_unfrozen_order_is_not_shared_any_more(shop):
    """The rest is the merchant's; a number that was used before unfreezes nothing."""
    made = shop.shared()
    body = {"transaction_id": made["transaction_id"], "description": "end"}
    node = shop.instance.v3.profitsharing.orders.unfreeze
    node.post(json={**body, "out_order_no": made["out_order_no"]})
    before = left(shop, made["transaction_id"])
    node.post(json={**body, "out_order_no": documented.number()})

    assert (894, 0) == (before, left(shop, made["transaction_id"]))
    again = {**made, "out_order_no": documented.number()}
    assert (400, "INVALID_REQUEST", "订单已完结分账，不支持分账") == refused(shop, **again)


def test_receipts_are_unfrozen_after_thirty_days(shop):
    """By themselves."""
    made = shop.shared(is_open=True)
    shop.sandbox.advance(30 * 86400)

    assert 0 == left(shop, made["transaction_id"])


def test_refund_of_a_shared_order_is_bounded_by_the_frozen_rest(shop):
    """More is refunded once the rest is unfrozen."""
    made = shop.shared()
    body = {
        "transaction_id": made["transaction_id"],
        "out_refund_no": documented.number(),
        "amount": {"refund": 950, "total": 1000, "currency": "CNY"},
    }
    node = shop.instance.v3.refund.domestic.refunds
    with pytest.raises(APIError, match="申请退款金额大于剩余未分账金额"):
        node.post(json=body)
    end = {
        "transaction_id": made["transaction_id"],
        "out_order_no": documented.number(),
        "description": "end",
    }
    shop.instance.v3.profitsharing.orders.unfreeze.post(json=end)

    assert "PROCESSING" == node.post(json=body).json()["status"]


def test_return_is_bounded_by_the_share(shop):
    """A receiver returns at most what it got, once for each number."""
    made = shop.returned()
    node = shop.instance.chain("v3/profitsharing/return-orders")
    assert "SUCCESS" == node.post(json=made).json()["result"]

    for changes in ({"amount": 41}, {"out_return_no": documented.number(), "amount": 61}):
        with pytest.raises(APIError, match="INVALID_REQUEST"):
            node.post(json={**made, **changes})
    rest = {**made, "out_return_no": documented.number(), "amount": 60}
    assert "SUCCESS" == node.post(json=rest).json()["result"]
    with pytest.raises(APIError, match="分账指令不存在"):
        node.post(json={**rest, "out_return_no": documented.number(), "return_mchid": "1900000999"})


def test_unknown_numbers_are_not_found(shop):
    """404, with the texts of WeChat Pay."""
    made = shop.returned()
    for path, variables in (
        ("v3/profitsharing/orders/{out_order_no}", {"out_order_no": "X1", "query": {"transaction_id": "1"}}),
        (
            "v3/profitsharing/return-orders/{out_return_no}",
            {"out_return_no": made["out_return_no"], "query": {"out_order_no": "X1"}},
        ),
        ("v3/profitsharing/transactions/{transaction_id}/amounts", {"transaction_id": "1"}),
    ):
        with pytest.raises(APIError) as caught:
            shop.instance.chain(path).get(**variables)

        assert 404 == caught.value.status_code
    for node in (shop.instance.v3.profitsharing.orders, shop.instance.v3.profitsharing.orders.unfreeze):
        body = {"transaction_id": "1", "out_order_no": documented.number()}
        more = {"description": "end"} if "unfreeze" in repr(node) else {"unfreeze_unsplit": True}
        with pytest.raises(APIError, match="订单不存在"):
            node.post(json={**body, **more})


def test_receivers_are_checked(shop):
    """A merchant has a name, a person a known openid; a deleted receiver gets nothing."""
    receivers = shop.instance.v3.profitsharing.receivers
    base = {"appid": APP, "relation_type": "PARTNER"}
    with pytest.raises(APIError, match="name"):
        receivers.add.post(json={**base, **MERCHANT})
    with pytest.raises(APIError, match="无效的openid"):
        receivers.add.post(json={**base, "type": "PERSONAL_OPENID", "account": "nobody"})
    receivers.add.post(json={**base, "type": "PERSONAL_OPENID", "account": documented.PAYER})
    made = shop.shared(is_open=True)
    receivers.delete.post(json={"appid": APP, **MERCHANT})

    assert "分账接收方关系不存在" == refused(shop, **made)[2]
    receivers.add.post(json={**base, **MERCHANT, "name": Sensitive("张三")})
    assert 3000 == shop.instance.chain("v3/profitsharing/merchant-configs/1").get().json()["max_ratio"]


def test_plain_name_is_refused(shop):
    """Encrypted members are decrypted with WeChat Pay's key."""
    body = {"appid": APP, **MERCHANT, "relation_type": "PARTNER", "name": "张三"}
    with pytest.raises(APIError, match="解密失败"):
        shop.instance.v3.profitsharing.receivers.add.post(json=body)


def test_two_parts_for_one_receiver_are_refused(shop):
    """A receiver is named once in a request."""
    made = shop.shared(is_open=True)

    assert 400 == refused(shop, **{**made, "receivers": made["receivers"] * 2})[0]


def test_unmarked_order_is_not_unfrozen(shop):
    """There is nothing to unfreeze."""
    order = shop.paid()
    body = {
        "transaction_id": order.payment.transaction_id,
        "out_order_no": documented.number(),
        "description": "end",
    }
    with pytest.raises(APIError, match="非分账订单不支持分账"):
        shop.instance.v3.profitsharing.orders.unfreeze.post(json=body)


def test_shares_and_returns_are_in_the_fund_bill(shop):
    """A share leaves the account, a return comes back to it."""
    made = shop.returned()
    day = datetime.fromtimestamp(shop.sandbox.now, CHINA).date()
    shop.sandbox.advance(2 * 86400)
    rows = [row.cells for row in bills.fetch(shop.instance, "fund", day, clock=lambda: shop.sandbox.now)]
    (returned,) = [row for row in rows if row["业务凭证号"] == made["out_return_no"]]
    shared = [row for row in rows if row["业务名称"] == "分账"]

    assert ("收入", "0.40") == (returned["收支类型"], returned["收支金额(元)"])
    assert {("支出", "1.00")} == {(row["收支类型"], row["收支金额(元)"]) for row in shared}


@pytest.mark.parametrize("kind", ["fund", "sub-merchant-fund"])
def test_fund_bill_of_a_sub_merchant_has_its_own_shares(shop, kind):
    """Neither those of another sub-merchant nor the merchant's own transfers."""
    shop.sandbox.confirm_transfer(shop.transfer()["out_bill_no"])
    receiver = {**MERCHANT, "name": Sensitive("张三"), "relation_type": "PARTNER", "appid": APP}
    made, returned = {}, {}
    for party in (SUB, OTHER):
        order = shop.paid(sub_mchid=party, amount={"total": 1000}, settle_info={"profit_sharing": True})
        shop.sandbox.advance(60)
        shop.instance.v3.profitsharing.receivers.add.post(json={**receiver, "sub_mchid": party})
        parts = [{**MERCHANT, "amount": 100, "description": "share"}]
        paid = {"transaction_id": order.payment.transaction_id, "sub_mchid": party, "appid": APP}
        number, back = documented.number(), documented.number()
        made[party] = share(shop, **paid, out_order_no=number, receivers=parts, unfreeze_unsplit=False)
        body = {"out_order_no": number, "out_return_no": back, "return_mchid": RECEIVER, "amount": 40}
        body |= {"description": "return", "sub_mchid": party}
        returned[party] = shop.instance.v3.profitsharing.returnOrders.post(json=body).json()
    day = datetime.fromtimestamp(shop.sandbox.now, CHINA).date()
    shop.sandbox.advance(2 * 86400)

    def booked(**options):
        rows = bills.fetch(
            shop.instance, kind if options else "fund", day, clock=lambda: shop.sandbox.now, **options
        )
        return {row.business_id for row in rows if row.business_name != "交易"}

    for party in (SUB, OTHER):
        numbers = {made[party]["order_id"], returned[party]["return_id"]}
        # The module's other tests share orders of the same sub-merchant.
        assert numbers <= booked(sub_mchid=party)
        assert not numbers & booked(sub_mchid=SUB if party == OTHER else OTHER)
        assert numbers < booked()
    assert {made[OTHER]["order_id"], returned[OTHER]["return_id"]} == booked(sub_mchid=OTHER)
