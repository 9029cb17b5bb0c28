"""The delivery of callbacks: intervals, duplicates, delays, another order, probes, resending."""

from __future__ import annotations

import documented
import pytest
import sandboxes
from sandboxes import Clock
from scenes import Shop
from shops import serving

from wechatpay import Builder, ConfigurationError
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.deliveries import intervals


@pytest.fixture
def shop():
    """Give a shop whose clock stands still."""
    with (
        Sandbox(identity=sandboxes.identity(), clock=Clock()) as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        yield Shop(sandbox, instance)


@pytest.mark.parametrize(
    ("event", "count", "total"),
    [
        pytest.param("TRANSACTION.SUCCESS", 15, 24 * 3600 + 240, id="payment"),
        pytest.param("REFUND.SUCCESS", 15, 24 * 3600 + 240, id="refund"),
        pytest.param("PAYSCORE.USER_PAID", 15, 24 * 3600 + 240, id="pay score"),
        pytest.param("MCHTRANSFER.BILL.FINISHED", 64, 150 + 3000 + 79200, id="transfer"),
        pytest.param("PAPAY.TERMINATE", 9, 240 + 7200 + 3600, id="end of a contract"),
        pytest.param("COUPON.USE", 8, 480, id="coupon"),
        pytest.param("PRODUCT_COUPON_SP.SEND", 8, 480, id="product coupon"),
        pytest.param("PAYSCORE.USER_SIGN_PLAN", 8, 480, id="plan"),
        pytest.param("ENTRUST.SIGNING", 21, 1 + 600 + 3000, id="education"),
        pytest.param("v2/contract-signed", 29, 30 + 90 + 6900, id="contract of APIv2"),
        pytest.param("ECOMMERCE_ENTRUST.SIGN", 29, 30 + 90 + 6900, id="contract of a platform"),
        pytest.param("v2/combined-payment", 9, 240 + 7200 + 3600, id="combined payment of APIv2"),
    ],
)
def test_every_family_has_its_intervals(event, count, total):
    """After the last attempt there is silence."""
    waits = intervals(event)

    assert (count, total) == (len(waits), sum(waits))


def test_transfer_is_repeated_in_its_own_intervals(shop):
    """Every 15 seconds at first; each attempt says what the server replied."""
    with serving() as server:
        server.replies = [(500, b"busy")] * 3
        operation = "v3/fund-app/mch-transfer/transfer-bills"
        body = {
            "appid": "wx8888888888888888",
            "out_bill_no": "T1",
            "openid": documented.PAYER,
            "transfer_amount": 100,
            "transfer_remark": "thanks",
            "transfer_scene_id": "1000",
            "transfer_scene_report_infos": [
                {"info_type": name, "info_content": "抽奖"} for name in ("活动名称", "奖励说明")
            ],
            "notify_url": server.url,
        }
        shop.instance.chain(operation).post(json=body)
        shop.sandbox.confirm_transfer("T1")
        shop.sandbox.advance(100)
        attempts = shop.sandbox.attempts

    assert [0, 15, 30, 45] == [attempt.at - attempts[0].at for attempt in attempts]
    assert ["busy", "busy", "busy", ""] == [attempt.reply for attempt in attempts]
    assert [False, False, False, True] == [attempt.is_acknowledged for attempt in attempts]
    assert 1 == len({attempt.id for attempt in attempts})


def test_acknowledged_callback_is_delivered_again(shop):
    """The same event, with the same id."""
    with serving() as server:
        shop.sandbox.disturb_callbacks(duplicates=2)
        shop.paid(notify_url=server.url)
        shop.sandbox.advance(100)
        attempts = shop.sandbox.attempts

    assert [1, 2, 3] == [attempt.number for attempt in attempts]
    assert [True] * 3 == [attempt.is_acknowledged for attempt in attempts]
    assert 1 == len({attempt.id for attempt in attempts})


def test_callback_is_delayed(shop):
    """In the sandbox's clock."""
    with serving() as server:
        shop.sandbox.disturb_callbacks(delay=60)
        shop.paid(notify_url=server.url)
        assert [] == server.received
        shop.sandbox.advance(60)

        assert 1 == len(server.received)


def test_callbacks_arrive_in_another_order(shop):
    """Jitter moves each one by its own time, the same with each run."""
    with serving() as server:
        shop.sandbox.disturb_callbacks(jitter=600)
        numbers = [shop.paid(notify_url=server.url).out_trade_no for _ in range(8)]
        shop.sandbox.advance(600)
        arrived = [found.resource["out_trade_no"] for found in shop.sandbox.delivered]

    assert sorted(numbers) == sorted(arrived)
    assert numbers != arrived


def test_probe_comes_first(shop):
    """It is refused, and the callback follows; a server that accepts it is seen in the attempts."""
    with serving() as server:
        server.replies = [(401, b"")]
        shop.sandbox.disturb_callbacks(probes=True)
        shop.paid(notify_url=server.url)
        shop.sandbox.advance(0)
        attempts = shop.sandbox.attempts

    assert [(True, 401), (False, 200)] == [(attempt.is_probe, attempt.status) for attempt in attempts]
    assert server.received[0][1]["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")


def test_apiv2_has_no_probes(shop):
    """Its callbacks carry no signature in headers."""
    with serving() as server:
        shop.sandbox.disturb_callbacks(probes=True)
        shop.sandbox.pay(shop.v2_order(notify_url=server.url))

        assert [False] == [attempt.is_probe for attempt in shop.sandbox.attempts]


def test_callback_is_sent_again_on_demand(shop):
    """By the id of an attempt, also when it was acknowledged."""
    with serving() as server:
        shop.paid(notify_url=server.url)
        (first,) = shop.sandbox.attempts
        again = shop.sandbox.resend_callback(first.id)

    assert again.is_acknowledged
    assert [first.id] * 2 == [attempt.id for attempt in shop.sandbox.attempts]
    assert shop.sandbox.resend_callback(first.id) is None
    with pytest.raises(ConfigurationError, match="take it from `attempts`"):
        shop.sandbox.resend_callback("EV-unknown")


def test_only_the_last_callbacks_are_kept(shop):
    """A long-lived sandbox does not grow."""
    with serving() as server:
        first = shop.paid(notify_url=server.url)
        deliveries = shop.sandbox.deliveries
        event_id = shop.sandbox.attempts[0].id
        task = deliveries._sent[event_id]
        for index in range(1000):
            deliveries._sent[f"EV-{index}"] = task
        shop.paid(notify_url=server.url)

    assert first.out_trade_no
    assert event_id not in deliveries._sent


def test_disturbances_are_not_negative(shop):
    """The error names the arguments."""
    with pytest.raises(ConfigurationError, match="duplicates, delay, jitter"):
        shop.sandbox.disturb_callbacks(delay=-1)
