"""Whoever pays in the sandbox has the merchant told: by real frameworks, under their own servers."""

from __future__ import annotations

import asyncio
import logging

import pytest
import sandboxes
from aiohttp import web
from aiohttp.test_utils import TestServer
from notification import servers
from sandboxes import Clock
from shops import serving

from wechatpay.notification import views
from wechatpay.sandbox import Sandbox, faults


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity(), clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture
def handler(instance):
    """Give the handler of the merchant's Builder."""
    return instance.getDriver().notifications()


def order(instance, url, **changes):
    """Place an order whose payment is to be told to that URL."""
    xml = sandboxes.fields(nonce_str=None, notify_url=url, **changes)
    return instance.v2.pay.unifiedorder.post(xml=xml)


def test_payment_is_told(sandbox, instance, handler):
    """The order's notify_url hears of it, once, before `pay` returns."""
    with serving() as shop:
        order(instance, shop.url, out_trade_no="N1", attach="table 7")
        shop.replies = [(200, b"<xml><return_code>SUCCESS</return_code></xml>")]
        paid = sandbox.pay("N1")
        ((path, headers, body),) = shop.received

    found = handler.parse(headers, body)
    assert ("/notify", "transaction", paid.payment.transaction_id, "table 7") == (
        path,
        found.original_type,
        found.resource["transaction_id"],
        found.resource["attach"],
    )
    assert (str(paid.total), paid.appid, paid.payment.openid) == tuple(
        found.resource[name] for name in ("total_fee", "appid", "openid")
    )
    assert [True] == [delivered.is_acknowledged for delivered in sandbox.delivered]


def test_payment_is_told_on_the_loop_that_serves(sandbox, instance, handler):
    """`apay` lets an asynchronous application be told within its own loop."""

    async def main():
        settled = []
        app = web.Application()
        view = views.aiohttp(handler)
        app.router.add_post("/notify", view(lambda paid: settled.append(paid.resource["out_trade_no"])))
        async with TestServer(app) as server:
            await asyncio.to_thread(order, instance, str(server.make_url("/notify")), out_trade_no="N1")
            await sandbox.apay("N1", openid="oUpF8uMuAJOM2pxb1Q_other")
        return settled

    assert ["N1"] == asyncio.run(main())
    assert "oUpF8uMuAJOM2pxb1Q_other" == sandbox.orders["N1"].payment.openid


@pytest.mark.parametrize(
    ("url", "level"),
    [("https://example.com/notify", logging.INFO), ("https://127.0.0.1:9/notify", logging.WARNING)],
)
def test_only_plain_http_on_this_machine_is_called(sandbox, instance, caplog, url, level):
    """A notify_url on the internet is left alone; another kind of URL of this machine is a warning."""
    order(instance, url, out_trade_no="N1")
    with caplog.at_level(logging.INFO, "wechatpay.sandbox"):
        sandbox.pay("N1")

    assert [] == sandbox.delivered
    [record] = [record for record in caplog.records if "is not called" in record.getMessage()]
    assert level == record.levelno
    assert "v2/payment: notify_url is not called: url: the sandbox only calls this machine" in caplog.text


def test_payment_stands_whoever_hears_of_it(sandbox, instance, caplog):
    """A server that is down does not undo a payment."""
    order(instance, "http://127.0.0.1:1/notify", out_trade_no="N1")
    sandbox.pay("N1")

    assert "SUCCESS" == sandbox.orders["N1"].state
    assert [] == sandbox.delivered
    assert "attempt 1 was not delivered: http://127.0.0.1:1/notify: connection refused" in caplog.text


@pytest.mark.parametrize(
    "name", ["flask", "django", "asynchronous_django", "fastapi", "starlette", "aiohttp"]
)
def test_frameworks_receive_and_acknowledge(sandbox, instance, handler, name):
    """Callbacks go through real servers: settled once, acknowledged each time; forged ones are refused."""
    settled = []
    with getattr(servers, name)(handler, settled.append) as port:
        url = f"http://127.0.0.1:{port}{servers.PATH}"
        told = sandbox.notify(url, "TRANSACTION.SUCCESS", {"out_trade_no": "N1"}, times=2)
        forged = sandbox.notify(url, fault=faults.WrongSignature())
        refunded = sandbox.notify(url, "v2/refund", {"out_refund_no": "R1"})
        order(instance, url, out_trade_no="N2")
        sandbox.pay("N2")

    assert [(200, True)] * 2 == [(reply.status, reply.is_acknowledged) for reply in told.replies]
    assert (401, False) == (forged.status, forged.is_acknowledged)
    assert refunded.is_acknowledged
    assert sandbox.delivered[-1].is_acknowledged
    first, second, third = settled
    assert ("N1", "R1", "N2") == (
        first.resource["out_trade_no"],
        second.resource["out_refund_no"],
        third.resource["out_trade_no"],
    )
