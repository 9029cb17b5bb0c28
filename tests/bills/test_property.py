"""What the ledger holds, fetch, read and reconcile find again; and every single altered row is found."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from bill_samples import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import Clock, identity

from wechatpay import Builder, bills
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.orders import Order, Payment, Refund, Rejection

DAY = dt.date(2023, 11, 15)
MIDNIGHT = dt.datetime(2023, 11, 15, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp()

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Co"], include_characters="\r\n\t`,'\"\\"), max_size=20
)


@st.composite
def orders(draw):
    """Make paid orders of one day, with refunds."""
    made = []
    for index in range(draw(st.integers(1, 6))):
        at = MIDNIGHT + draw(st.integers(0, 86_399))
        total = draw(st.integers(1, 10**9))
        parts = draw(st.lists(st.integers(1, total), max_size=2)) if total > 1 else []
        refunds = tuple(
            Refund(
                f"503{index:05}{number}",
                f"R{index}-{number}",
                amount,
                min(at + number, MIDNIGHT + 86_399),
                "SUCCESS",
            )
            for number, amount in enumerate(parts)
            if sum(parts[: number + 1]) <= total
        )
        made.append(
            Order(
                out_trade_no=f"A{index}",
                appid="wx1",
                total=total,
                trade_type="JSAPI",
                description=draw(texts),
                attach=draw(texts),
                payment=Payment(f"42{index:026}", "o-1", at),
                refunds=refunds,
            )
        )
    return made


def books(made):
    """Give what the merchant's books say of these orders."""
    for order in made:
        numbers = {"transaction_id": order.payment.transaction_id, "out_trade_no": order.out_trade_no}
        yield {**numbers, "amount": order.total, "state": order.state, "description": order.description}
        for refund in order.refunds:
            if refund.is_reversal:
                continue
            yield {
                "refund_id": refund.refund_id,
                "out_refund_no": refund.out_refund_no,
                "amount": refund.amount,
            }


@pytest.fixture(scope="module")
def shop():
    """Give a sandbox, and a Builder that talks to it, for all examples."""
    clock = Clock()
    clock.now = MIDNIGHT + 86_400 + 12 * 3600
    with (
        Sandbox(identity=identity(), clock=clock, mode="public-key") as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        yield sandbox, instance, clock


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=orders(), is_async=st.booleans(), packed=st.booleans())
def test_what_the_ledger_holds_is_found_again(shop, made, is_async, packed):
    """Whatever was bought, for whatever amount: all of it matches, with its texts."""
    sandbox, instance, clock = shop
    sandbox._ledger._orders = {order.out_trade_no: order for order in made}

    async def run():
        async with instance:
            return await bills.afetch(instance, "trade", DAY, packed=packed, clock=clock)

    with asyncio.run(run()) if is_async else bills.fetch(instance, "trade", DAY, clock=clock) as bill:
        found = bills.reconcile(bill, list(books(made)))
        count = sum(1 + len(order.refunds) for order in made)
        assert {"count": count, "fen": sum(entry["amount"] for entry in books(made))} == found.summary()[
            "matched"
        ]
        assert found.is_clean
        read = {row.out_trade_no: row.description for row in bill if not row.is_refund}
        assert {order.out_trade_no: order.description for order in made} == read


def test_reversed_payments_are_found_again(sandbox, instance, clock):
    """Reversed before and after the payment, after refunds of a part and of all of it."""
    ledger = sandbox._ledger
    for number, parts in {"A3": None, "A4": [], "A5": [30], "A6": [30, 70]}.items():
        ledger.place(Order(out_trade_no=number, appid="wx1", total=100, trade_type="MICROPAY"))
        if parts is not None:
            ledger.pay(number, "o-1")
        for part in parts or ():
            clock.now += 61
            assert not isinstance(ledger.refund(number, f"R{number}-{part}", part, 100), Rejection)
        clock.now += 61
        assert isinstance(ledger.reverse(number), Order)
    day = dt.datetime.fromtimestamp(clock.now, dt.timezone(dt.timedelta(hours=8))).date()
    clock.now += 86_400 * 2
    orders = [order for number, order in ledger.orders.items() if number >= "A3"]
    assert ["REVOKED", "REVOKED", "REVOKED", "REFUND"] == [order.state for order in orders]
    ours = list(books([order for order in orders if order.payment]))
    ours.append({"out_trade_no": "A3", "amount": 100, "state": "REVOKED"})
    with bills.fetch(instance, "trade", day, clock=clock) as bill:
        assert ["0", "0"] == [row["商户退款单号"] for row in bill if row.trade_state == "REVOKED"]
        found = bills.reconcile(bill, ours)
        summary = found.summary()
    with bills.fetch(instance, "fund", day, clock=clock) as bill:
        # The refunds of a part have the merchant's numbers, the reversals of the rest have none.
        refunds = {row.voucher for row in bill if row.business_type == "退款"}
        assert {"RA5-30", "RA6-30", "RA6-70", ""} == refunds

    # Three payments and three refunds; what was reversed unpaid is in no bill.
    assert (True, 6, 1) == (summary["is_clean"], summary["matched"]["count"], summary["skipped"])


#: The cells of payments and of refunds that matter to books.
NUMBERS = ["微信订单号", "商户订单号", "微信退款单号", "商户退款单号", "手续费"]
CELLS = {"SUCCESS": [*NUMBERS, "交易状态", "订单金额"], "REFUND": [*NUMBERS, "申请退款金额", "退款状态"]}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=orders(), data=st.data())
def test_every_altered_row_is_found(shop, made, data):
    """Any cell of a row is changed, by whoever could change digest and summary, too: it is found."""
    sandbox, instance, clock = shop
    sandbox._ledger._orders = {order.out_trade_no: order for order in made}
    with bills.fetch(instance, "trade", DAY, clock=clock) as bill:
        text = bill.paths[0].read_bytes().decode("utf-8-sig")
        expected = [dict(row) for row in bill]
    header, *lines = text.removesuffix("\r\n").split("\r\n")
    names = header.split(",")
    number = data.draw(st.integers(0, len(lines) - 3))
    cells = lines[number][1:].split(",`")
    for name in CELLS[cells[names.index("交易状态")]]:
        old = cells[names.index(name)]
        new = data.draw(st.sampled_from([f"9{old}", "0", "0.00", "", "REVOKED"]), label=name)
        changed = [new if each == name else cell for each, cell in zip(names, cells, strict=True)]
        altered = [header, *lines[:number], "`" + ",`".join(changed), *lines[number + 1 :], ""]
        if not _means_the_same(name, old, new):
            with pytest.raises(bills.BillFormatError):
                _raise_if_found(encode("\n".join(altered)), expected)


def _raise_if_found(altered, expected):
    """Compare without the summary; a difference is as good as an error."""
    if list(bills.reconcile(bills.read(altered, check=False), expected)):
        raise bills.BillFormatError


def _means_the_same(name, old, new):
    """Tell whether two texts of a cell mean the same: 0 and 0.00, and no number at all."""
    if name in {"微信退款单号", "商户退款单号"}:
        return {old, new} <= {"", "0"}
    try:
        return float(old) == float(new)
    except ValueError:
        return False
