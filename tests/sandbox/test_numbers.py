"""WeChat Pay's numbers: the seed determines them; without one they are new in each run."""

from __future__ import annotations

import itertools

import documented
import pytest
import sandboxes
from scenes import APP, Shop

from wechatpay import Builder
from wechatpay.sandbox import Identity, Sandbox

OTHER = "1900000110"


@pytest.fixture
def run(monkeypatch):
    """Give a function that makes one of everything in a new sandbox, under the same merchant's numbers."""

    def run(seed):
        monkeypatch.setattr(documented, "_numbers", itertools.count(1))
        sandbox = Sandbox(identity=sandboxes.identity(), seed=seed, clock=lambda: 1_700_000_000.0)
        with sandbox, Builder(**sandbox.settings()) as instance:
            return make_all(Shop(sandbox, instance))

    return run


def make_all(shop):
    """Make one of everything, and return WeChat Pay's numbers."""
    order, chain = shop.paid(), shop.instance.chain
    number = shop.paid_combined()
    combined = chain("v3/combine-transactions/out-trade-no/{n}").get(n=number).json()
    returned = shop.returned()
    share = {name: returned[name] for name in ("out_order_no", "out_return_no")}
    paid = next(each.payment for each in shop.sandbox.orders.values() if each.is_sharing).transaction_id
    path = "v3/profitsharing/orders/{out_order_no}"
    shared = chain(path).get(out_order_no=share["out_order_no"], query={"transaction_id": paid}).json()
    path = "v3/profitsharing/return-orders/{out_return_no}"
    query = {"out_order_no": share["out_order_no"]}
    score = {"appid": APP, "service_id": "1", "out_order_no": shop.score()}
    education = shop.enrolled()
    return {
        "prepay_id": order.prepay_id,
        "code_url": order.payer_url,
        "transaction_id": order.payment.transaction_id,
        "combine_transaction_id": combined["combine_transaction_id"],
        "part": combined["sub_orders"][1]["transaction_id"],
        "refund_id": shop.sandbox.refund(order.out_trade_no, 1).refund_id,
        "transfer_bill_no": shop.transfer()["transfer_bill_no"],
        "order_id": shared["order_id"],
        "detail_id": shared["receivers"][0]["detail_id"],
        "return_id": chain(path).get(out_return_no=share["out_return_no"], query=query).json()["return_id"],
        "contract_id": shop.contract().contract_id,
        "session": shop.v2_contract().session,
        "presign_token": education.code,
        "education": education.contract_id,
        "score": chain("v3/payscore/serviceorder").get(query=score).json()["order_id"],
    }


def test_seed_determines_all_numbers(run):
    """Two runs with one seed have the same numbers, and no number of another seed's."""
    first, again, other = run("tea"), run("tea"), run("ink")

    assert first == again
    assert [] == [name for name, value in first.items() if value == other[name]]


def test_without_a_seed_all_numbers_are_new(run):
    """An app that runs on must not take another run's order, share or contract for its own."""
    first, again = run(""), run("")

    assert [] == [name for name, value in first.items() if value == again[name]]


@pytest.mark.parametrize("seed", ["", "tea"])
def test_two_orders_share_no_session(seed):
    """Two merchants may use one number, and a merchant the same one again after a reset."""
    second = Identity.generate(OTHER, sandboxes.identity().authority)
    body = {"appid": APP, "description": "tea", "out_trade_no": "SAME-0001", "amount": {"total": 100}}
    body["notify_url"] = "https://shop.example.com/notify"

    def order(merchant):
        with Builder(**merchant.settings()) as instance:
            instance.v3.pay.transactions.native.post(json={**body, "mchid": merchant.identity.mchid})
        placed = merchant.orders["SAME-0001"]
        return placed.prepay_id, placed.payer_url

    with Sandbox(identity=sandboxes.identity(), merchants=[second], seed=seed) as sandbox:
        placed = [order(sandbox), order(sandbox), order(sandbox.merchants[OTHER])]
        sandbox.reset()
        placed.append(order(sandbox))

    assert [4, 4] == [len(set(each)) for each in zip(*placed, strict=True)]
