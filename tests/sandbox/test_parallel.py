"""Many clients on one sandbox at a time: no order is lost, none is paid twice."""

from __future__ import annotations

import asyncio
import time

import documented
import pytest
import sandboxes

from wechatpay import Builder, ConfigurationError
from wechatpay.sandbox import Sandbox

CLIENTS = 100
QUERY = "v3/pay/transactions/out-trade-no/{out_trade_no}"


async def clients_order_and_pay(sandbox, seconds):
    """Let all clients order, pay twice at once, and query; return the numbers of all orders."""
    deadline = time.monotonic() + seconds
    made = []

    async def pay(number):
        try:
            return await sandbox.apay(number)
        except ConfigurationError as error:
            return error

    async def work(instance):
        while True:
            number = documented.number()
            body = {
                "appid": "wx8888888888888888",
                "mchid": sandbox.identity.mchid,
                "description": "tea",
                "out_trade_no": number,
                "notify_url": "https://shop.example.com/notify",
                "amount": {"total": 100},
            }
            await instance.v3.pay.transactions.native.postAsync(json=body)
            twice = await asyncio.gather(pay(number), pay(number))
            query = {"mchid": sandbox.identity.mchid}
            found = (await instance.chain(QUERY).getAsync(out_trade_no=number, query=query)).json()

            assert 1 == sum(isinstance(paid, ConfigurationError) for paid in twice)
            assert "SUCCESS" == found["trade_state"]
            made.append((number, found["transaction_id"]))
            if time.monotonic() >= deadline:
                return

    async with Builder(**sandbox.settings(timeout=(60, 60))) as instance:
        await asyncio.gather(*(work(instance) for _ in range(CLIENTS)))
    return made


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0, id="once"),
        pytest.param(20, id="for a while", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_no_order_is_lost_or_paid_twice(seconds):
    """The ledger has what the clients saw, each order with one payment."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        made = asyncio.run(clients_order_and_pay(sandbox, seconds))
        orders = sandbox.orders

    assert len(made) >= CLIENTS
    assert dict(made) == {number: order.payment.transaction_id for number, order in orders.items()}
    assert len(made) == len({transaction_id for _, transaction_id in made})
