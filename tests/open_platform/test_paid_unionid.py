"""``wxa/getpaidunionid``: the ways to name an order, checked before anything is sent."""

from __future__ import annotations

import pytest
from cases import each
from open_platform.accounts import APP, OPENID, UNIONID

from wechatpay import Builder, InvalidRequestError


@pytest.mark.parametrize("way", [
    {"transaction_id": "4200001"},
    {"out_trade_no": "N1"},
    {"out_trade_no": "N1", "mch_id": "1900000109"},
], ids=["transaction", "ours", "named"])  # fmt: skip
def test_order_is_named_in_one_of_two_ways(instance, client, way):
    """By WeChat Pay's number, or by the merchant's; ``mch_id`` is ours unless it is given."""
    response = client.call(instance.wxa.getpaidunionid, "get", query={"openid": OPENID, **way})

    assert UNIONID == response.json()["unionid"]


@pytest.mark.parametrize("query", [
    [("openid", OPENID), ("out_trade_no", "N1")],
    f"openid={OPENID}&out_trade_no=N1",
], ids=["pairs", "text"])  # fmt: skip
def test_query_may_have_any_form(instance, client, query):
    """The checks see the final query, however it was written."""
    response = client.call(instance.wxa.getpaidunionid, "get", query=query)

    assert UNIONID == response.json()["unionid"]


@each(
    ("query", "words"),
    [
        ({"transaction_id": "1"}, "openid: missing"),
        ({"openid": OPENID}, "transaction_id, out_trade_no: give one of them"),
        ({"openid": OPENID, "mch_id": "1"}, "transaction_id, out_trade_no: give one of them"),
        (
            {"openid": OPENID, "transaction_id": "1", "out_trade_no": "2"},
            "transaction_id, out_trade_no: give one of them",
        ),
        ({"openid": OPENID, "transaction_id": "1", "mch_id": "2"}, "mch_id: belongs to out_trade_no"),
        ({"openid": OPENID, "transaction_id": ""}, "transaction_id: give it once"),
        ({"openid": [OPENID, OPENID], "transaction_id": "1"}, "openid: give it once"),
        ({"openid": "", "transaction_id": "1"}, "openid: give it once"),
        ({"openid": OPENID, "transaction_id": "1", "access_token": ""}, "access_token: is empty"),
    ],
    ids=[
        "no-openid",
        "no-order",
        "half",
        "both",
        "mixed",
        "blank-order",
        "two-openids",
        "blank",
        "blank-token",
    ],
)
def test_wrong_query_is_refused_before_sending(instance, gateway, client, query, words):
    """Exactly one of the two ways to name the order, and one openid; else nothing is sent."""
    with pytest.raises(InvalidRequestError, match=words):
        client.call(instance.wxa.getpaidunionid, "get", query=query)

    assert [] == gateway.seen


def test_merchant_without_settings_must_be_named(gateway, platform, client):
    """Without a ``mchid`` in the settings, ``mch_id`` goes with the call; with it alone, it need not."""
    query = {"openid": OPENID, "out_trade_no": "N1"}
    nobody = Builder(base_uri=gateway.url, app=APP)
    with pytest.raises(InvalidRequestError, match="mch_id: missing"):
        client.call(nobody.wxa.getpaidunionid, "get", query=query)
    with Builder(base_uri=gateway.url, app=APP, mchid="1900000109") as instance:
        response = client.call(instance.wxa.getpaidunionid, "get", query=query)

    assert UNIONID == response.json()["unionid"]
