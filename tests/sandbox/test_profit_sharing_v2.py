"""Profit sharing of APIv2: one store with APIv3, on the ledger of all orders."""

from __future__ import annotations

import json

import documented
import pytest
import sandboxes
from scenes import APP, RECEIVER, Shop

from wechatpay import APIError, Builder
from wechatpay.sandbox import Sandbox

OURS = {"mch_id": documented.MCHID, "sign_type": "HMAC-SHA256"}


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    with Sandbox(identity=sandboxes.identity()) as sandbox, Builder(**sandbox.settings(tls=True)) as instance:
        yield Shop(sandbox, instance)


def left(shop, body):
    """Return the fen that can still be shared."""
    xml = {**OURS, "transaction_id": body["transaction_id"]}
    return int(shop.instance.v2.pay.profitsharingorderamountquery.post(xml=xml).xml()["unsplit_amount"])


def share(shop, body, kind="multiprofitsharing"):
    """Request a share."""
    return shop.instance.v2.secapi.pay[kind].post(xml=body, security=True).xml()


def refused(call, *arguments, **changes):
    """Return code and text of the error."""
    with pytest.raises(APIError) as caught:
        call(*arguments, **changes)
    return caught.value.code, caught.value.message


def receivers(body, **changes):
    """Return a request with other values of its receiver."""
    (part,) = json.loads(body["receivers"])
    return {**body, "receivers": json.dumps([{**part, **changes}])}


def test_shares_of_another_party_do_not_exist(shop):
    """They are made, queried and finished by the sub-merchant of the order only."""
    body, sub = shop.v2_shared(), {"sub_mch_id": "1900000888"}
    query, finish = shop.instance.v2.pay.profitsharingquery, shop.instance.v2.secapi.pay.profitsharingfinish
    numbers = {**OURS, **{name: body[name] for name in ("transaction_id", "out_order_no")}}

    assert "ORDERNOTEXIST" == refused(query.post, xml={**numbers, **sub})[0]
    again = {**body, **sub, "out_order_no": documented.number()}
    assert "ORDERNOTEXIST" == refused(share, shop, again)[0]
    end = {**numbers, **sub, "appid": APP, "out_order_no": documented.number(), "description": "end"}
    assert "ORDERNOTEXIST" == refused(finish.post, xml=end, security=True)[0]
    assert 894 == left(shop, body)
    assert "FINISHED" == query.post(xml=numbers).xml()["status"]


def test_repeated_shares_leave_the_rest_frozen(shop):
    """Until sharing is finished."""
    body = shop.v2_shared()
    assert 894 == left(shop, body)

    end = {**OURS, "appid": APP, "transaction_id": body["transaction_id"], "description": "end"}
    node = shop.instance.v2.secapi.pay.profitsharingfinish
    node.post(xml={**end, "out_order_no": documented.number()}, security=True)

    assert 0 == left(shop, body)
    again = {**body, "out_order_no": documented.number()}
    assert ("INVALID_REQUEST", "订单已完结分账，不支持分账") == refused(share, shop, again)


def test_single_share_unfreezes_the_rest(shop):
    """The receiver has its part, the merchant everything else."""
    body = shop.v2_shared(is_open=True)
    made = share(shop, body, "profitsharing")
    (part,) = json.loads(made["receivers"])

    assert ("FINISHED", 0) == (made["status"], left(shop, body))
    assert ("SUCCESS", 100, RECEIVER) == (part["result"], part["amount"], part["receiver_account"])


def test_repeated_share_moves_nothing(shop):
    """The same number and content gives the same result; other content is refused."""
    body = shop.v2_shared()
    share(shop, body)

    assert 894 == left(shop, body)
    other = receivers(body, amount=50)
    assert ("INVALID_REQUEST", "分账接收方与原请求不一致") == refused(share, shop, other)


def test_share_is_queried_in_both_protocols(shop):
    """With the numbers of one store."""
    body = shop.v2_shared()
    xml = {**OURS, "transaction_id": body["transaction_id"], "out_order_no": body["out_order_no"]}
    found = shop.instance.v2.pay.profitsharingquery.post(xml=xml).xml()
    (part,) = json.loads(found["receivers"])
    path = "v3/profitsharing/orders/{out_order_no}"
    named = {"out_order_no": body["out_order_no"], "query": {"transaction_id": body["transaction_id"]}}
    same = shop.instance.chain(path).get(**named).json()

    assert ("FINISHED", found["order_id"]) == (found["status"], same["order_id"])
    assert part["detail_id"] == same["receivers"][0]["detail_id"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"amount": 301}, ("RULE_LIMIT", "分账金额超出最大分账比例"), id="above 30 %"),
        pytest.param({"account": "1900000999"}, ("INVALID_REQUEST", "分账接收方关系不存在"), id="stranger"),
        pytest.param({"amount": 0}, ("PARAM_ERROR", None), id="nothing"),
        pytest.param({"amount": "100"}, ("PARAM_ERROR", None), id="a text as the amount"),
        pytest.param({"description": None}, ("PARAM_ERROR", None), id="no description"),
    ],
)
def test_wrong_share_is_refused(shop, changes, expected):
    """With WeChat Pay's code; nothing moves."""
    body = shop.v2_shared(is_open=True)
    code, message = refused(share, shop, receivers(body, **changes))

    assert expected == (code, message if expected[1] else None)
    assert 994 == left(shop, body)


@pytest.mark.parametrize("text", ["receivers", "1", "[]", "[1]"])
def test_receivers_are_json(shop, text):
    """An array of objects."""
    body = shop.v2_shared(is_open=True)

    assert "PARAM_ERROR" == refused(share, shop, {**body, "receivers": text})[0]


def test_unmarked_and_unknown_orders_are_not_shared(shop):
    """Nor finished."""
    body = shop.v2_shared(is_open=True)
    order = shop.v2_paid()
    unmarked = {**body, "transaction_id": order.payment.transaction_id}
    assert ("INVALID_REQUEST", "非分账订单不支持分账") == refused(share, shop, unmarked)
    unknown = {**body, "transaction_id": "1"}

    assert "ORDERNOTEXIST" == refused(share, shop, unknown)[0]
    assert "ORDERNOTEXIST" == refused(left, shop, unknown)[0]
    end = {**OURS, "appid": APP, "transaction_id": "1", "out_order_no": "1", "description": "end"}
    node = shop.instance.v2.secapi.pay.profitsharingfinish
    assert "ORDERNOTEXIST" == refused(node.post, xml=end, security=True)[0]


def test_return_is_bounded_by_the_share(shop):
    """A receiver returns at most what it got, once for each number."""
    made = shop.v2_returned()
    node = shop.instance.v2.secapi.pay.profitsharingreturn
    assert "SUCCESS" == node.post(xml=made, security=True).xml()["result"]

    for changes in ({"return_amount": 41}, {"out_return_no": documented.number(), "return_amount": 61}):
        assert "INVALID_REQUEST" == refused(node.post, xml={**made, **changes}, security=True)[0]


def test_return_is_queried(shop):
    """By its number and the share's; another share has no such return."""
    made = shop.v2_returned()
    names = ("mch_id", "sign_type", "appid", "out_order_no", "out_return_no")
    body = {name: made[name] for name in names}
    node = shop.instance.v2.pay.profitsharingreturnquery
    found = node.post(xml=body).xml()

    assert ("SUCCESS", "40", RECEIVER) == (found["result"], found["return_amount"], found["return_account"])
    assert "ORDERNOTEXIST" == refused(node.post, xml={**body, "out_order_no": "1"})[0]


def test_receivers_are_checked(shop):
    """A merchant has a name, a person a known openid; a removed receiver gets nothing."""
    pay = shop.instance.v2.pay
    one = {"type": "MERCHANT_ID", "account": RECEIVER, "relation_type": "PARTNER"}

    def add(node=pay.profitsharingaddreceiver, **changes):
        receiver = json.dumps({**one, **changes})
        return node.post(xml={**OURS, "appid": APP, "receiver": receiver}).xml()

    assert "LACK_PARAMS" == refused(add)[0]
    assert "PARAM_ERROR" == refused(add, type="PERSONAL_OPENID", account="nobody")[0]
    for node in (pay.profitsharingaddreceiver, pay.profitsharingremovereceiver):
        assert "PARAM_ERROR" == refused(add, node, account=1)[0]
    body = shop.v2_shared(is_open=True)
    removed = add(pay.profitsharingremovereceiver)

    assert {"type": "MERCHANT_ID", "account": RECEIVER} == json.loads(removed["receiver"])
    assert "分账接收方关系不存在" == refused(share, shop, body)[1]


def test_unknown_share_is_not_found(shop):
    """Nor one of another payment."""
    body = shop.v2_shared()
    named = {**OURS, "transaction_id": body["transaction_id"], "out_order_no": body["out_order_no"]}
    for changes in ({"out_order_no": "X1"}, {"transaction_id": "1"}):
        node = shop.instance.v2.pay.profitsharingquery

        assert ("ORDERNOTEXIST", "记录不存在") == refused(node.post, xml={**named, **changes})


def test_greatest_ratio_is_queried(shop):
    """In hundredths of a percent."""
    found = shop.instance.v2.pay.profitsharingmerchantratioquery.post(xml=OURS).xml()

    assert "3000" == found["max_ratio"]


def test_share_is_returned_by_the_number_of_wechat_pay(shop):
    """Either number names the share."""
    share_ = shop.v2_shared()
    xml = {**OURS, "transaction_id": share_["transaction_id"], "out_order_no": share_["out_order_no"]}
    order_id = shop.instance.v2.pay.profitsharingquery.post(xml=xml).xml()["order_id"]
    body = {
        **OURS,
        "appid": APP,
        "order_id": order_id,
        "out_return_no": documented.number(),
        "return_account_type": "MERCHANT_ID",
        "return_account": RECEIVER,
        "return_amount": 1,
        "description": "return",
    }
    made = shop.instance.v2.secapi.pay.profitsharingreturn.post(xml=body, security=True).xml()

    assert share_["out_order_no"] == made["out_order_no"]
