"""The sandbox's clock, and the callbacks that are repeated as it advances."""

from __future__ import annotations

import asyncio
import itertools
import math
from datetime import timedelta

import pytest
import sandboxes
from sandboxes import Clock
from shops import serving

from wechatpay import Builder, ConfigurationError
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.clock import parse_rfc3339

#: Seconds between the attempts, as WeChat Pay documents them.
INTERVALS = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]


@pytest.fixture
def sandbox():
    """Give a running sandbox, whose clock stands still."""
    with Sandbox(identity=sandboxes.identity(), clock=Clock(), refund_delay=60) as running:
        yield running


@pytest.fixture
def shop():
    """Give a running shop."""
    with serving() as shop:
        yield shop


@pytest.fixture
def v3(sandbox):
    """Give the root of APIv3's chain."""
    with Builder(**sandbox.settings()) as instance:
        yield instance.v3


def place(sandbox, v3, url):
    """Place an order of one yuan."""
    v3.pay.transactions.native.post(
        json={
            "appid": sandbox.identity.app["appid"],
            "mchid": sandbox.identity.mchid,
            "description": "tea",
            "out_trade_no": "CLOCK-1",
            "notify_url": url,
            "amount": {"total": 100},
        }
    )


def test_clock_advances(sandbox):
    """Steps add up; the event loop's variant advances the same clock."""
    start = sandbox.now
    sandbox.advance(10)
    sandbox.advance_later(5)
    asyncio.run(sandbox.aadvance(0.5))
    sandbox.advance(timedelta(hours=1))

    assert start + 15.5 + 3600 == sandbox.now


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, -math.inf, 1e300, "36h", None])
def test_clock_never_goes_back_nor_too_far(sandbox, seconds):
    """The time is as before."""
    start = sandbox.now
    for advance in (sandbox.advance, sandbox.advance_later):
        with pytest.raises(ConfigurationError, match="seconds"):
            advance(seconds)

    assert start == sandbox.now


@pytest.mark.parametrize("text", ["tomorrow", "", "2026-01-01T00:00:00", "2026-01-01 00:00:00+08:00"])
def test_moment_needs_a_zone(text):
    """Only RFC 3339 is read."""
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)


def test_callback_is_repeated_until_it_is_acknowledged(sandbox, v3, shop):
    """The second attempt comes after 15 s, not before, and it is the last."""
    place(sandbox, v3, shop.url)
    shop.replies = [(500, b"")]
    sandbox.pay("CLOCK-1")
    sandbox.advance(14)
    early = len(sandbox.attempts)
    sandbox.advance(1)
    sandbox.advance(86400)

    assert 1 == early
    assert [(1, 500, False), (2, 200, True)] == [
        (a.number, a.status, a.is_acknowledged) for a in sandbox.attempts
    ]
    assert 2 == len(shop.received)


def test_callback_is_given_up_after_sixteen_attempts(sandbox, v3, shop):
    """They follow WeChat Pay's intervals, however far the clock is advanced at once."""
    place(sandbox, v3, shop.url)
    shop.replies = [(500, b"")] * 20
    sandbox.pay("CLOCK-1")
    sandbox.advance(7 * 86400)
    moments = [attempt.at for attempt in sandbox.attempts]

    assert INTERVALS == [late - early for early, late in itertools.pairwise(moments)]
    assert 16 == len(shop.received)


def test_repeated_callback_keeps_its_id(sandbox, v3, shop):
    """A merchant recognises the event that it has seen."""
    place(sandbox, v3, shop.url)
    shop.replies = [(500, b"")]
    sandbox.pay("CLOCK-1")
    sandbox.advance(15)
    handler = Builder(**sandbox.settings()).getDriver().notifications()
    ids = {handler.parse(headers, body).id for _, headers, body in shop.received}

    assert 1 == len(ids)


def test_server_that_is_down_is_called_again(sandbox, v3):
    """The payment holds; the attempt has no status."""
    with serving() as shop:
        url = shop.url
    place(sandbox, v3, url)
    paid = sandbox.pay("CLOCK-1")
    sandbox.advance(15)

    assert "SUCCESS" == paid.state
    assert [(1, 0, False), (2, 0, False)] == [
        (a.number, a.status, a.is_acknowledged) for a in sandbox.attempts
    ]


def test_server_elsewhere_is_never_called(sandbox, v3):
    """There is no attempt."""
    place(sandbox, v3, "https://example.com/notify")
    sandbox.pay("CLOCK-1")
    sandbox.advance(86400)

    assert [] == sandbox.attempts


def test_expected_callbacks_come_one_by_one(sandbox, shop):
    """Each delivery is returned once, oldest first, and other events are passed over."""
    replies = [sandbox.notify(shop.url, event) for event in ("REFUND.SUCCESS", "TRANSACTION.SUCCESS")]
    replies.append(sandbox.notify(shop.url, "REFUND.SUCCESS"))
    found = [sandbox.expect_callback("REFUND.SUCCESS", timeout=1) for _ in range(2)]

    assert found[0] is replies[0]
    assert found[1] is replies[2]
    with pytest.raises(ConfigurationError, match=r"REFUND.SUCCESS"):
        sandbox.expect_callback("REFUND.SUCCESS", timeout=0.01)


def test_refund_arrives_when_the_clock_reaches_it(sandbox, v3, shop):
    """Its callback is delivered in the background."""
    place(sandbox, v3, "https://example.com/notify")
    sandbox.pay("CLOCK-1")
    refund = {
        "out_trade_no": "CLOCK-1",
        "out_refund_no": "R-CLOCK-1",
        "notify_url": shop.url,
        "amount": {"refund": 1, "total": 100, "currency": "CNY"},
    }
    v3.refund.domestic.refunds.post(json=refund)
    early = v3.refund.domestic.refunds._n_.get(n="R-CLOCK-1").json()["status"]
    sandbox.advance_later(60)
    called = sandbox.expect_callback("REFUND.SUCCESS")

    assert "PROCESSING" == early
    assert called.is_acknowledged
