"""Every documented operation, called through the library, sync and async.

The ordinary suite calls every fourth operation, the slow tests all of them.
"""

from __future__ import annotations

import asyncio
import functools

import documented
import pytest
import sandboxes
from cases import run_each
from scenes import EXISTING, Shop

from wechatpay import APIError, Builder, catalogue
from wechatpay.sandbox import Sandbox

#: Responses that the documents contradict themselves on, and why.
CONTRADICTORY = {
    "GET v3/pay/partner/transactions/id/{transaction_id}": "no payer_total, which paid orders have",
    "GET v3/pay/partner/transactions/out-trade-no/{out_trade_no}": "no payer_total, which paid orders have",
    "GET v3/pay/transactions/id/{transaction_id}": "no payer_total, which paid orders have",
    "GET v3/pay/transactions/out-trade-no/{out_trade_no}": "no payer_total, which paid orders have",
    "GET v3/profitsharing/orders/{out_order_no}": "the states of receivers in place of the share's",
    "POST v3/profitsharing/orders/unfreeze": "a reason for failure, although nothing failed",
    "POST v2/applyment/micro/signcontract": "no field at all",
    "POST v2/billcommentsp/batchquerycomment": "the error only, no success",
    "POST v2/papay/partner/querycontract": "an error code, although there is no error",
    "POST v2/papay/querycontract": "an error code, although there is no error",
    "POST v2/pay/refundquery": "an error code, although there is no error",
    "POST v3/gov/subsidy/zhejiang/authcode/try": "numbers with the values of texts",
}


def label(operation):
    """Name an operation."""
    return f"{operation.verb} {operation.template}"


def parts():
    """Return all operations in sixteen parts, three of four marked as slow."""
    for part in range(16):
        operations = [(operation,) for operation in list(catalogue.operations())[part::16]]
        yield pytest.param(operations, marks=[pytest.mark.slow] if part % 4 else [], id=str(part))


@pytest.fixture(scope="module")
def shop():
    """Give a shop with a running sandbox, which is called over TLS."""
    with (
        Sandbox(identity=sandboxes.identity(), refund_delay=3600) as sandbox,
        Builder(**sandbox.settings(tls=True)) as instance,
    ):
        yield Shop(sandbox, instance)


@pytest.fixture(scope="module")
def call(shop):
    """Give a function that calls an operation, sync or async."""
    with asyncio.Runner() as runner:

        async def await_call(verb, given):
            return await verb(**given)

        def call(way, operation, given):
            node = shop.instance.chain(operation.template)
            verb = getattr(node, operation.verb.lower() + ("Async" if way == "async" else ""))
            return runner.run(await_call(verb, given)) if way == "async" else verb(**given)

        yield call
        runner.run(shop.instance.getDriver().aclose())


def build(shop, operation):
    """Return the arguments of a call that succeeds."""
    given = documented.arguments(operation)
    existing = EXISTING.get(label(operation))
    return documented.merge(given, existing(shop)) if existing else given


@pytest.mark.parametrize("operations", list(parts()))
def test_documented_call_succeeds(shop, call, operations):
    """The library accepts the documented parameters, the sandbox too, and the response is as documented."""
    run_each(functools.partial(check_success, shop, call), operations)


def check_success(shop, call, operation):
    """Call an operation, sync and async."""
    for way in ("sync", "async"):
        response = call(way, operation, {**build(shop, operation), "check": True})

        assert operation.response_status == response.status_code
        if operation.response_kind in {"json", "xml"} and label(operation) not in CONTRADICTORY:
            members = response.json() if operation.response_kind == "json" else response.xml()
            is_v2 = operation.template.startswith("v2/")
            documented.check_members(operation.response, members, is_v2=is_v2)


@pytest.mark.parametrize("operations", list(parts()))
def test_call_without_a_required_member_is_refused(call, operations):
    """The error is WeChat Pay's: 400 PARAM_ERROR, or APIv2's LACK_PARAMS."""
    run_each(functools.partial(check_refusal, call), operations)


def check_refusal(call, operation):
    """Leave a required member out."""
    given = incomplete = documented.incomplete(operation, documented.arguments(operation))
    if incomplete is None:
        return
    is_v3 = operation.template.startswith("v3/")
    expected = {(400, "PARAM_ERROR")} if is_v3 else {(200, "LACK_PARAMS"), (200, "20001")}
    with pytest.raises(APIError) as caught:
        call("sync", operation, given)

    assert (caught.value.status_code, caught.value.code) in expected
