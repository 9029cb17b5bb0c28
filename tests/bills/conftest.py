"""A sandbox with a day's payments and refunds, and both ways of calling."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from sandboxes import Clock, identity

from wechatpay import Builder, bills
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.orders import Order

#: The sandbox's clock stands in the morning of the day after.
DAY = dt.date(2023, 11, 15)
NOON = dt.datetime(2023, 11, 15, 12, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp()


@pytest.fixture
def clock():
    """Give a clock, at noon of the day of the bills."""
    clock = Clock()
    clock.now = NOON
    return clock


@pytest.fixture
def sandbox(clock):
    """Give a sandbox in which 1.01 and 20.00 were paid, and 0.50 was refunded; the next day it is noon."""
    with Sandbox(identity=identity(), clock=clock, mode="public-key") as sandbox:
        for number, total in (("A1", 101), ("A2", 2000)):
            sandbox._ledger.place(
                Order(
                    out_trade_no=number, appid="wx1", total=total, trade_type="NATIVE", description="茶,\n壶"
                )
            )
            sandbox._ledger.pay(number, "o-1")
            clock.now += 60
        sandbox._ledger.refund("A1", "R1", 50, 101)
        clock.now += 86_400
        yield sandbox


@pytest.fixture
def instance(sandbox):
    """Give a Builder that talks to the sandbox."""
    with Builder(**sandbox.settings()) as instance:
        yield instance


@pytest.fixture(params=["sync", "async"])
def fetch(request, instance, clock):
    """Give a function that fetches in one way of calling and then in the other."""

    def fetch(kind="trade", date=DAY, to=None, **options):
        options = {"pause": 0.01, "clock": clock, **options}
        if request.param == "sync":
            return bills.fetch(instance, kind, date, to, **options)

        async def run():
            async with instance:
                return await bills.afetch(instance, kind, date, to, **options)

        return asyncio.run(run())

    return fetch
