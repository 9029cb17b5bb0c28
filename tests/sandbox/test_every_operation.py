"""Every documented operation, called through the library, sync and async.

The ordinary suite calls every fourth operation, the slow tests all of them.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import documented
import pytest
import sandboxes

from wechatpay import APIError, Builder, catalogue
from wechatpay.catalogue.check import check_response
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.clock import CHINA

APP = "wx8888888888888888"
PARTNER = {"sp_mchid": documented.MCHID, "sub_mchid": "1900000110"}

#: Responses that the documents contradict themselves on, and why.
CONTRADICTORY = {
    "GET v3/pay/partner/transactions/id/{transaction_id}": "no payer_total, which paid orders have",
    "GET v3/pay/partner/transactions/out-trade-no/{out_trade_no}": "no payer_total, which paid orders have",
    "GET v3/pay/transactions/id/{transaction_id}": "no payer_total, which paid orders have",
    "GET v3/pay/transactions/out-trade-no/{out_trade_no}": "no payer_total, which paid orders have",
    "POST v2/applyment/micro/signcontract": "no field at all",
    "POST v2/billcommentsp/batchquerycomment": "the error only, no success",
    "POST v2/pay/refundquery": "an error code, although there is no error",
    "POST v3/gov/subsidy/zhejiang/authcode/try": "numbers with the values of texts",
}


def label(operation):
    """Name an operation."""
    return f"{operation.verb} {operation.template}"


def parameters():
    """Return all operations, three of four marked as slow."""
    for index, operation in enumerate(catalogue.operations()):
        marks = [pytest.mark.slow] if index % 4 else []
        yield pytest.param(operation, marks=marks, id=label(operation))


class Shop:
    """Places the orders, refunds and transfers that some operations need."""

    def __init__(self, sandbox, instance):
        """Give a sandbox and a Builder that calls it."""
        self.sandbox = sandbox
        self.instance = instance

    def order(self, **changes):
        """Place an order, and return its number."""
        number = documented.number()
        parties = (
            {"sp_appid": APP, **PARTNER}
            if "sub_mchid" in changes
            else {"appid": APP, "mchid": documented.MCHID}
        )
        path = (
            "v3/pay/partner/transactions/native" if "sub_mchid" in changes else "v3/pay/transactions/native"
        )
        body = {
            **parties,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": "https://shop.example.com/notify",
            "amount": {"total": 100},
            **changes,
        }
        self.instance.chain(path).post(json=body)
        return number

    def paid(self, **changes):
        """Place and pay an order, and return it."""
        return self.sandbox.pay(self.order(**changes))

    def v2_order(self):
        """Place an order of APIv2, and return its number."""
        number = documented.number()
        order = {
            "appid": APP,
            "mch_id": documented.MCHID,
            "body": "tea",
            "total_fee": 1,
            "trade_type": "NATIVE",
        }
        more = {"spbill_create_ip": "127.0.0.1", "notify_url": "https://shop.example.com/notify"}
        self.instance.v2.pay.unifiedorder.post(xml={**order, **more, "out_trade_no": number})
        return number

    def v2_paid(self):
        """Place and pay an order of APIv2, and return it."""
        return self.sandbox.pay(self.v2_order())

    def by_code(self, **parties):
        """Pay by payment code, and return the order's number."""
        path = (
            "v3/pay/partner/transactions/codepay" if "sub_mchid" in parties else "v3/pay/transactions/codepay"
        )
        operation = catalogue.find("POST", path)
        given = documented.merge(documented.arguments(operation), {"json": parties})
        self.instance.chain(path).post(**given)
        return given["json"]["out_trade_no"]

    def combined(self):
        """Place a combined order, and return its numbers."""
        operation = catalogue.find("POST", "v3/combine-transactions/native")
        given = documented.arguments(operation)
        self.instance.chain(operation.template).post(**given)
        return given["json"]

    def paid_combined(self):
        """Place and pay a combined order, and return its number."""
        number = self.combined()["combine_out_trade_no"]
        self.sandbox.pay(number)
        return number

    def refund(self, status="SUCCESS"):
        """Refund an order, and return the refund."""
        number, order = documented.number(), self.paid()
        body = {
            "out_trade_no": order.out_trade_no,
            "out_refund_no": number,
            "amount": {"refund": 1, "total": 100, "currency": "CNY"},
        }
        self.instance.v3.refund.domestic.refunds.post(json=body)
        return self.sandbox.settle_refund(number, status)

    def transfer(self):
        """Make a transfer, and return WeChat Pay's response."""
        operation = catalogue.find("POST", "v3/fund-app/mch-transfer/transfer-bills")
        return self.instance.chain(operation.template).post(**documented.arguments(operation)).json()

    def bill(self):
        """Return the token of a bill."""
        day = self.day()
        url = self.instance.v3.bill.tradebill.get(query={"bill_date": day}).json()["download_url"]
        return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}

    def day(self):
        """Return a day on which there was a payment, and whose bill exists."""
        at = self.paid().payment.at
        self.sandbox.advance(2 * 86400)
        return f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d}"


def by_number(shop, **parties):
    """Return the arguments that name an unpaid order."""
    return {"out_trade_no": shop.order(**parties)}


def closing(shop):
    """Return the arguments that close a combined order."""
    combined = shop.combined()
    parts = [
        {name: part[name] for name in ("mchid", "out_trade_no", "sub_mchid")}
        for part in combined["sub_orders"]
    ]
    return {"combine_out_trade_no": combined["combine_out_trade_no"], "json": {"sub_orders": parts}}


SUB = {"sub_mchid": PARTNER["sub_mchid"]}
V3 = "v3/pay/transactions"
PARTNERS = "v3/pay/partner/transactions"
TRANSFERS = "v3/fund-app/mch-transfer/transfer-bills"
REFUNDS = "v3/refund/domestic/refunds"
COMBINED = "v3/combine-transactions/out-trade-no/{combine_out_trade_no}"

#: The arguments of operations that ask for something that exists.
EXISTING = {
    f"GET {V3}/id/{{transaction_id}}": lambda s: {"transaction_id": s.paid().payment.transaction_id},
    f"GET {V3}/out-trade-no/{{out_trade_no}}": lambda s: {"out_trade_no": s.paid().out_trade_no},
    f"POST {V3}/out-trade-no/{{out_trade_no}}/close": by_number,
    f"POST {V3}/out-trade-no/{{out_trade_no}}/reverse": lambda s: {"out_trade_no": s.by_code()},
    f"GET {PARTNERS}/id/{{transaction_id}}": lambda s: {
        "transaction_id": s.paid(**SUB).payment.transaction_id,
        "query": SUB,
    },
    f"GET {PARTNERS}/out-trade-no/{{out_trade_no}}": lambda s: {
        "out_trade_no": s.paid(**SUB).out_trade_no,
        "query": SUB,
    },
    f"POST {PARTNERS}/out-trade-no/{{out_trade_no}}/close": lambda s: {**by_number(s, **SUB), "json": SUB},
    f"POST {PARTNERS}/out-trade-no/{{out_trade_no}}/reverse": lambda s: {
        "out_trade_no": s.by_code(**SUB),
        "json": SUB,
    },
    f"POST {PARTNERS}/jsapi": lambda _: {"json": {"payer": {"sp_openid": documented.PAYER}}},
    f"POST {PARTNERS}/miniprogram": lambda _: {"json": {"payer": {"sp_openid": documented.PAYER}}},
    f"GET {COMBINED}": lambda s: {"combine_out_trade_no": s.paid_combined()},
    f"POST {COMBINED}/close": closing,
    f"POST {REFUNDS}": lambda s: {
        "json": {"out_trade_no": s.paid().out_trade_no, "transaction_id": None, "amount": {"total": 100}}
    },
    f"GET {REFUNDS}/{{out_refund_no}}": lambda s: {"out_refund_no": s.refund().out_refund_no},
    f"POST {REFUNDS}/{{refund_id}}/apply-abnormal-refund": lambda s: {
        "refund_id": (refund := s.refund("ABNORMAL")).refund_id,
        "json": {"out_refund_no": refund.out_refund_no},
    },
    f"GET {TRANSFERS}/out-bill-no/{{out_bill_no}}": lambda s: {"out_bill_no": s.transfer()["out_bill_no"]},
    f"POST {TRANSFERS}/out-bill-no/{{out_bill_no}}/cancel": lambda s: {
        "out_bill_no": s.transfer()["out_bill_no"]
    },
    f"GET {TRANSFERS}/transfer-bill-no/{{transfer_bill_no}}": lambda s: {
        "transfer_bill_no": s.transfer()["transfer_bill_no"]
    },
    "GET v3/bill/tradebill": lambda s: {"query": {"bill_date": s.day()}},
    "GET v3/bill/fundflowbill": lambda s: {"query": {"bill_date": s.day()}},
    "GET v3/billdownload/file": lambda s: {"query": s.bill()},
    "POST v2/pay/closeorder": lambda s: {"xml": {"out_trade_no": s.v2_order()}},
    "POST v2/pay/downloadbill": lambda s: {"xml": {"bill_date": s.day().replace("-", "")}},
    "POST v2/pay/downloadfundflow": lambda s: {"xml": {"bill_date": s.day().replace("-", "")}},
    "POST v2/pay/orderquery": lambda s: {"xml": {"transaction_id": s.v2_paid().payment.transaction_id}},
    "POST v2/pay/refundquery": lambda s: {
        "xml": {"transaction_id": None, "out_refund_no": s.refund().out_refund_no}
    },
    "POST v2/secapi/pay/refund": lambda s: {"xml": {"transaction_id": s.v2_paid().payment.transaction_id}},
    "POST v2/secapi/pay/reverse": lambda s: {"xml": {"transaction_id": None, "out_trade_no": s.by_code()}},
}


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


@pytest.mark.parametrize("operation", list(parameters()))
def test_documented_call_succeeds(shop, call, operation):
    """The library accepts the documented parameters, the sandbox too, and the response is as documented."""
    for way in ("sync", "async"):
        response = call(way, operation, {**build(shop, operation), "check": True})

        assert operation.response_status == response.status_code
        if operation.response_kind in {"json", "xml"} and label(operation) not in CONTRADICTORY:
            check_response(
                operation, response.json() if operation.response_kind == "json" else response.xml()
            )


@pytest.mark.parametrize("operation", list(parameters()))
def test_call_without_a_required_member_is_refused(shop, call, operation):
    """The error is WeChat Pay's: 400 PARAM_ERROR, or APIv2's LACK_PARAMS."""
    given = incomplete = documented.incomplete(operation, documented.arguments(operation))
    if incomplete is None:
        return
    is_v3 = operation.template.startswith("v3/")
    expected = {(400, "PARAM_ERROR")} if is_v3 else {(200, "LACK_PARAMS"), (200, "20001")}
    for way in ("sync", "async"):
        with pytest.raises(APIError) as caught:
            call(way, operation, given)

        assert (caught.value.status_code, caught.value.code) in expected
