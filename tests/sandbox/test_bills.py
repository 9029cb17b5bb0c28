"""Trade bills, as WeChat Pay lays them out."""

from __future__ import annotations

from datetime import date

import pytest
from sandboxes import Clock

from wechatpay.sandbox.bill_texts import trade_bill
from wechatpay.sandbox.ledger import Ledger
from wechatpay.sandbox.orders import Order

TODAY = date(2023, 11, 15)
ALL = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
SUCCESS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注"
)
REFUND = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,"
    "退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def ledger(clock):
    """Give a ledger with a paid order of 1.01 yuan, a refund of 0.50, and an order that was never paid."""
    ledger = Ledger(clock)
    ledger.place(
        Order(
            out_trade_no="1", appid="wx1", total=101, trade_type="NATIVE", description="茶,\r\n壶", attach="a"
        )
    )
    ledger.pay("1", "o-1")
    clock.now += 60
    ledger.refund("1", "r1", 50, 101)
    ledger.place(Order(out_trade_no="2", appid="wx1", total=5, trade_type="APP"))
    return ledger


def lines(ledger, kind="ALL", day=TODAY):
    """Give the lines of a bill."""
    text = trade_bill(ledger.orders.values(), "1900000109", day, kind).decode()
    assert text.startswith("\ufeff")
    assert text.endswith("\r\n")
    return text[1:-2].split("\r\n")


def rows(ledger, kind="ALL", day=TODAY):
    """Give what stands between the head and the summary, by the names of the columns."""
    head, *between, _, _ = lines(ledger, kind, day)
    names = head.split(",")
    cells = [line.removeprefix("`").split(",`") for line in between]
    assert {len(names)} == set(map(len, cells))
    return [dict(zip(names, row, strict=True)) for row in cells]


def test_payer_is_named_in_the_app_of_the_sub_merchant(ledger):
    """If the order names it."""
    sub = {"sub_mchid": "1900000998", "sub_appid": "wx2", "openid": "o-2", "sub_openid": "o-3"}
    ledger.place(Order(out_trade_no="3", appid="wx1", total=5, trade_type="JSAPI", **sub))
    ledger.pay("3")

    assert [("wx1", "o-1"), ("wx2", "o-3")] == [
        (row["公众账号ID"], row["用户标识"]) for row in rows(ledger, "SUCCESS")
    ]


@pytest.mark.parametrize(("kind", "head"), [("ALL", ALL), ("SUCCESS", SUCCESS), ("REFUND", REFUND)])
def test_columns_are_the_documented_ones(ledger, kind, head):
    """Each kind of bill has its own columns."""
    assert head == lines(ledger, kind)[0]


@pytest.mark.parametrize(
    ("kind", "summary"),
    [
        ("ALL", "`2,`1.01,`0.50,`0.00,`0.01000,`1.01,`0.50"),
        ("SUCCESS", "`1,`1.01,`0.01000,`1.01"),
        ("REFUND", "`1,`0.00,`0.50,`0.00,`0.00000,`0.00,`0.50"),
    ],
)
def test_last_two_lines_are_the_summary(ledger, kind, summary):
    """Names and sums, in yuan."""
    *_, names, sums = lines(ledger, kind)

    expected = "总交易单数,应结订单总金额,手续费总金额,订单总金额"
    if kind != "SUCCESS":
        refunds = "退款总金额,充值券退款总金额"
        expected = f"总交易单数,应结订单总金额,{refunds},手续费总金额,订单总金额,申请退款总金额"
    assert expected == names
    assert summary == sums


def test_line_tells_the_payment(ledger):
    """A payment has its order, payer, time in China, and amount in yuan."""
    payment, _ = rows(ledger)

    assert {
        "交易时间": "2023-11-15 06:13:20",
        "公众账号ID": "wx1",
        "商户号": "1900000109",
        "特约商户号": "0",
        "设备号": "",
        "微信订单号": ledger.orders["1"].payment.transaction_id,
        "商户订单号": "1",
        "用户标识": "o-1",
        "交易类型": "NATIVE",
        "交易状态": "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": "1.01",
        "代金券金额": "0.00",
        "微信退款单号": "0",
        "商户退款单号": "0",
        "退款金额": "0.00",
        "充值券退款金额": "0.00",
        "退款类型": "",
        "退款状态": "",
        "商品名称": r"茶\ \r\n壶",
        "商户数据包": "a",
        "手续费": "0.01000",
        "费率": "0.60%",
        "订单金额": "1.01",
        "申请退款金额": "0.00",
        "费率备注": "",
    } == payment


def test_line_tells_the_refund(ledger):
    """A refund has its own number and amount, and none of the order's."""
    (refund,) = rows(ledger, "REFUND")

    assert ("2023-11-15 06:14:20", "REFUND", "0.00") == (
        refund["退款成功时间"],
        refund["交易状态"],
        refund["订单金额"],
    )
    assert (ledger.orders["1"].refunds[0].refund_id, "r1", "0.50", "0.50", "ORIGINAL", "SUCCESS") == tuple(
        refund[name]
        for name in ("微信退款单号", "商户退款单号", "退款金额", "申请退款金额", "退款类型", "退款状态")
    )


@pytest.mark.parametrize(
    ("total", "fee"),
    [(1, "0.00000"), (83, "0.00000"), (84, "0.01000"), (10000, "0.60000"), (123450, "7.41000")],
)
def test_fee_is_six_of_a_thousand(clock, total, fee):
    """It is rounded to the fen, half up, and given back with the money."""
    ledger = Ledger(clock)
    ledger.place(Order(out_trade_no="1", appid="wx1", total=total, trade_type="APP"))
    ledger.pay("1")
    ledger.refund("1", "r1", total, total)
    payment, refund = rows(ledger)

    assert fee == payment["手续费"]
    assert (fee if fee == "0.00000" else f"-{fee}") == refund["手续费"]


def test_bill_has_what_happened_on_its_day(ledger, clock):
    """Days begin at midnight in China; a refund stands on the day that it was made."""
    clock.now = 1_700_064_000.0
    ledger.refund("1", "r2", 1, 101)

    assert ["SUCCESS", "REFUND"] == [row["交易状态"] for row in rows(ledger)]
    assert ["r2"] == [row["商户退款单号"] for row in rows(ledger, day=date(2023, 11, 16))]


def test_lines_come_in_the_order_of_time(ledger, clock):
    """Whatever order they belong to."""
    clock.now -= 30
    ledger.pay("2")

    assert ["1", "2", "1"] == [row["商户订单号"] for row in rows(ledger)]


@pytest.mark.parametrize(
    ("kind", "day"),
    [("ALL", date(2023, 11, 14)), ("RECHARGE_REFUND", TODAY)],
    ids=["another day", "of recharges"],
)
def test_empty_bill_is_none(ledger, kind, day):
    """Where nothing happened, there is no bill."""
    assert trade_bill(ledger.orders.values(), "1900000109", day, kind) is None
