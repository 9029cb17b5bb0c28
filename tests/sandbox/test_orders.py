"""APIv2's orders: the library and the sandbox, over real sockets."""

from __future__ import annotations

import gzip
import io

import pytest
import sandboxes
from cases import each
from sandboxes import NOW
from wire.clients import Sync

from wechatpay import APIError, Builder, ConfigurationError, NoResponseError
from wechatpay.sandbox import Rules, Sandbox, faults

TODAY = "20231115"


@pytest.fixture
def sandbox():
    """Give a running sandbox whose clock stands still, and which has the bill of the day."""
    rules = Rules(early_bills=True)
    with Sandbox(identity=sandboxes.identity(), clock=lambda: NOW, rules=rules) as sandbox:
        yield sandbox


@pytest.fixture
def client():
    """Give one way of making a call: the sandbox cannot tell one from another."""
    return Sync()


@pytest.fixture
def call(client, sandbox):
    """Give a function that calls APIv2 over TLS and returns the response's fields, verified."""
    with Builder(**sandbox.settings(tls=True)) as instance:

        def call(path, xml, **options):
            return client.call(instance.chain(f"v2/{path}"), "post", xml=xml, **options)

        yield call


def fields(**given):
    """Give fields with the app and the merchant; the library adds the rest."""
    return {"appid": "wx8888888888888888", "mch_id": sandboxes.identity().mchid, **given}


def order(**changes):
    """Give the fields of an order."""
    return sandboxes.fields(nonce_str=None, **changes)


def refund(**changes):
    """Give the fields of a refund of 0.40 yuan."""
    usual = {"out_trade_no": "20150806125346", "out_refund_no": "r1", "total_fee": 101, "refund_fee": 40}
    return {name: value for name, value in fields(**usual | changes).items() if value is not None}


def refused(call, path, xml, **options):
    """Give code and message of the error that a call ends in; it is proved WeChat Pay's."""
    with pytest.raises(APIError) as caught:
        call(path, xml, **options)
    assert caught.value.verified
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("sign_type", [None, "MD5", "HMAC-SHA256"])
def test_money_goes_there_and_back(call, sandbox, sign_type):
    """An order is placed, paid, asked for, refunded in part, and asked for again, however it is signed."""
    more = {"sign_type": sign_type} if sign_type else {}
    placed = call("pay/unifiedorder", order(**more)).xml()
    before = call("pay/orderquery", fields(out_trade_no="20150806125346", **more)).xml()
    payment = sandbox.pay("20150806125346").payment
    after = call("pay/orderquery", fields(transaction_id=payment.transaction_id, **more)).xml()
    given = call("secapi/pay/refund", refund(**more), security=True).xml()
    last = call("pay/orderquery", fields(out_trade_no="20150806125346", **more)).xml()

    assert placed["prepay_id"] == sandbox.orders["20150806125346"].prepay_id
    assert {32 if sign_type != "HMAC-SHA256" else 64} == {
        len(response["sign"]) for response in (placed, given)
    }
    assert ["NOTPAY", "SUCCESS", "REFUND"] == [response["trade_state"] for response in (before, after, last)]
    assert ("101", "101", "20231115061320") == (after["total_fee"], after["cash_fee"], after["time_end"])
    assert ("40", payment.transaction_id) == (given["refund_fee"], given["transaction_id"])
    assert given["refund_id"] == sandbox.orders["20150806125346"].refunds[0].refund_id


@pytest.mark.parametrize(
    ("kind", "links"),
    [("JSAPI", set()), ("APP", set()), ("NATIVE", {"code_url"}), ("MWEB", {"mweb_url"})],
)
def test_each_kind_of_order_has_its_links(call, kind, links):
    """A page, a QR code, or nothing but the prepay_id."""
    response = call("pay/unifiedorder", order(trade_type=kind, openid="oUpF8uMuAJOM2pxb1Q")).xml()

    assert kind == response["trade_type"]
    assert links == response.keys() & {"code_url", "mweb_url"}
    assert all(response["prepay_id"] in response[name] for name in links - {"code_url"})


def test_payer_in_the_app_of_the_sub_merchant_pays(call, sandbox):
    """The query has both openids, which are not the same."""
    sub = {"sub_mch_id": "1900000998", "sub_appid": "wx0000000000000001"}
    openid = "oUpF8uMuAJOM2pxb1Q_never"
    call("pay/unifiedorder", order(trade_type="JSAPI", sub_openid=openid, **sub))
    payer = sandbox.pay("20150806125346").payment.openid
    query = fields(out_trade_no="20150806125346", sub_mch_id=sub["sub_mch_id"])
    found = call("pay/orderquery", query).xml()

    assert (payer, openid) == (found["openid"], found["sub_openid"])
    assert (True, True) == (payer.endswith("_never"), payer != openid)


def test_any_text_comes_back_as_it_was(call):
    """What could end CDATA, or a line, does no harm."""
    attach = "]]> <b>\r\n & 茶"
    call("pay/unifiedorder", order(attach=attach))

    assert attach == call("pay/orderquery", fields(out_trade_no="20150806125346")).xml()["attach"]


def test_same_order_again_has_the_same_prepay_id(call):
    """A repeated request, which is signed anew, changes nothing."""
    first, again = (call("pay/unifiedorder", order()).xml()["prepay_id"] for _ in range(2))

    assert first == again


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"total_fee": 102}, "INVALID_REQUEST", id="other amount"),
        pytest.param({"attach": "x"}, "INVALID_REQUEST", id="other field"),
        pytest.param({"appid": "wx1"}, "OUT_TRADE_NO_USED", id="other app"),
    ],
)
def test_number_of_an_order_is_its_own(call, changes, code):
    """A number cannot stand for two orders."""
    call("pay/unifiedorder", order())

    assert code == refused(call, "pay/unifiedorder", order(**changes))[0]


def test_paid_order_is_not_taken_again(call, sandbox):
    """Nobody pays twice; the tester's second payment is an error, too, as is one for no order."""
    call("pay/unifiedorder", order())
    sandbox.pay("20150806125346", openid="o-7")

    assert ("ORDERPAID", "该订单已支付") == refused(call, "pay/unifiedorder", order())
    assert "o-7" == call("pay/orderquery", fields(out_trade_no="20150806125346")).xml()["openid"]
    with pytest.raises(ConfigurationError, match="paid already"):
        sandbox.pay("20150806125346")
    with pytest.raises(ConfigurationError, match="never placed"):
        sandbox.pay("7")


@pytest.mark.parametrize(
    ("time_expire", "seconds"),
    [
        pytest.param("20231115062320", 600, id="ten minutes"),
        pytest.param("20200101000000", 60, id="in the past: a minute"),
    ],
)
def test_order_is_paid_until_it_expires(call, sandbox, time_expire, seconds):
    """``time_expire`` is in China's time; the order stays unpaid until it is closed."""
    for number in ("E1", "E2"):
        call("pay/unifiedorder", order(out_trade_no=number, time_expire=time_expire))
    sandbox.advance(seconds)
    sandbox.pay("E1")
    sandbox.advance(1)
    with pytest.raises(ConfigurationError, match="has expired"):
        sandbox.pay("E2")

    assert "NOTPAY" == call("pay/orderquery", fields(out_trade_no="E2")).xml()["trade_state"]


def test_order_that_the_tester_expires_is_not_paid(call, sandbox):
    """As in APIv3."""
    call("pay/unifiedorder", order(out_trade_no="E3"))
    sandbox.expire("E3")
    with pytest.raises(ConfigurationError, match="has expired"):
        sandbox.pay("E3")


@each(
    ("changes", "code", "word"),
    [
        pytest.param({"total_fee": 0}, "PARAM_ERROR", "total_fee", id="nothing"),
        pytest.param({"total_fee": -1}, "PARAM_ERROR", "total_fee", id="less"),
        pytest.param({"total_fee": "1.01"}, "PARAM_ERROR", "total_fee", id="yuan"),
        pytest.param({"total_fee": None}, "LACK_PARAMS", "total_fee", id="no amount"),
        pytest.param({"body": ""}, "LACK_PARAMS", "body", id="empty"),
        pytest.param({"trade_type": "H5"}, "PARAM_ERROR", "trade_type", id="unknown kind"),
        pytest.param({"trade_type": "JSAPI"}, "LACK_PARAMS", "openid", id="no payer"),
        pytest.param({"body": "茶" * 43}, "PARAM_ERROR", "body", id="long"),
        pytest.param({"out_trade_no": "1" * 33}, "PARAM_ERROR", "out_trade_no", id="long number"),
        pytest.param({"time_expire": "2023111506"}, "PARAM_ERROR", "time_expire", id="short time"),
        pytest.param({"time_expire": "20231315061320"}, "PARAM_ERROR", "time_expire", id="no time"),
    ],
)
def test_wrong_field_of_an_order_is_named(call, sandbox, changes, code, word):
    """The documented rules are checked, and nothing is placed."""
    refusal = refused(call, "pay/unifiedorder", order(**changes))

    assert code == refusal[0]
    assert word in refusal[1]
    assert {} == sandbox.orders


@pytest.mark.parametrize(
    ("named", "code"),
    [
        pytest.param({"out_trade_no": "7"}, "ORDERNOTEXIST", id="no order"),
        pytest.param({"transaction_id": "4200"}, "ORDERNOTEXIST", id="no transaction"),
        pytest.param({}, "LACK_PARAMS", id="neither"),
    ],
)
def test_unknown_order_is_an_error(call, named, code):
    """One of the two numbers has to be there, and to be known."""
    assert code == refused(call, "pay/orderquery", fields(**named))[0]


@each(
    ("changes", "code"),
    [
        pytest.param({"refund_fee": 102}, "INVALID_REQUEST", id="too much"),
        pytest.param({"refund_fee": 62, "out_refund_no": "r2"}, "INVALID_REQUEST", id="more than is left"),
        pytest.param({"refund_fee": 0}, "PARAM_ERROR", id="nothing"),
        pytest.param({"refund_fee": "0.4"}, "PARAM_ERROR", id="yuan"),
        pytest.param({"total_fee": 100, "out_refund_no": "r2"}, "REFUND_FEE_MISMATCH", id="other total"),
        pytest.param({"refund_fee": 41, "out_refund_no": "r0"}, "REFUND_FEE_MISMATCH", id="other amount"),
        pytest.param({"out_trade_no": "7"}, "ORDERNOTEXIST", id="no order"),
        pytest.param({"out_trade_no": "unpaid", "total_fee": 101}, "ORDERNOTEXIST", id="not paid"),
        pytest.param({"transaction_id": "4200"}, "INVALID_TRANSACTIONID", id="no transaction"),
        pytest.param({"out_trade_no": None}, "LACK_PARAMS", id="neither number"),
        pytest.param({"out_refund_no": None}, "LACK_PARAMS", id="no refund's number"),
    ],
)
def test_wrong_refund_is_an_error(call, sandbox, changes, code):
    """A refund stays within what was paid, and its number stands for one refund."""
    sandbox.reset()
    call("pay/unifiedorder", order())
    call("pay/unifiedorder", order(out_trade_no="unpaid"))
    sandbox.pay("20150806125346")
    call("secapi/pay/refund", refund(out_refund_no="r0"), security=True)

    assert code == refused(call, "secapi/pay/refund", refund(**changes), security=True)[0]
    assert 40 == sandbox.orders["20150806125346"].refunded


def test_order_is_refunded_to_the_last_fen(call, sandbox):
    """And no further; the same request again is the same refund."""
    call("pay/unifiedorder", order())
    number = sandbox.pay("20150806125346").payment.transaction_id
    whole = refund(out_trade_no=None, transaction_id=number, refund_fee=101)
    first, again = (call("secapi/pay/refund", whole, security=True).xml()["refund_id"] for _ in range(2))

    assert first == again
    assert ("ERROR", "订单已全额退款") == refused(
        call, "secapi/pay/refund", refund(out_refund_no="r2"), security=True
    )


def test_bill_of_the_day_is_downloaded(call, sandbox):
    """It is CSV, whole or compressed, in memory or in a file."""
    call("pay/unifiedorder", order())
    sandbox.pay("20150806125346")
    plain = call("pay/downloadbill", fields(bill_date=TODAY, bill_type="SUCCESS")).content
    sink = io.BytesIO()
    call("pay/downloadbill", fields(bill_date=TODAY, tar_type="GZIP"), sink=sink)

    assert plain.startswith("\ufeff交易时间,".encode())
    assert b"`20150806125346,`oUpF8uMuAJOM2pxb1Q,`NATIVE" in plain
    assert gzip.decompress(sink.getvalue()).endswith(b"`1,`1.01,`0.00,`0.00,`0.01000,`1.01,`0.00\r\n")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        pytest.param({}, "20002", "No Bill Exist", id="nothing happened"),
        pytest.param({"bill_date": "20231116"}, "20001", "invalid bill_date", id="tomorrow"),
        pytest.param({"bill_date": "20231131"}, "20001", "invalid bill_date", id="no day"),
        pytest.param({"bill_date": "2023-11-15"}, "20001", "invalid bill_date", id="dashes"),
        pytest.param({"bill_type": "all"}, "20001", "invalid bill_type", id="no type"),
        pytest.param({"bill_date": ""}, "20001", "missing parameter", id="no date"),
    ],
)
def test_failing_download_returns_xml(call, changes, code, message):
    """Errors of downloads have an ``error_code``, and no signature."""
    with pytest.raises(APIError) as caught:
        call("pay/downloadbill", fields(bill_date=TODAY) | changes)

    assert (code, message) == (caught.value.code, caught.value.message)


def test_wrong_secret_is_a_wrong_signature(client, sandbox):
    """Who has another secret is told so in WeChat Pay's words, and the library says what to look at."""
    with Builder(**sandbox.settings(secret="0" * 32)) as instance:
        with pytest.raises(APIError, match=r"签名错误.*APIv2 key") as caught:
            client.call(instance.v2.pay.orderquery, "post", xml=fields(out_trade_no="1"))

        assert not caught.value.verified


def test_plain_settings_serve_all_that_needs_no_certificate(client, sandbox):
    """APIv2 works over HTTP as APIv3 does."""
    with Builder(**sandbox.settings()) as instance:
        assert "NATIVE" == client.call(instance.v2.pay.unifiedorder, "post", xml=order()).xml()["trade_type"]


def test_nothing_is_done_twice_after_an_unknown_outcome(call, sandbox):
    """A refund whose response got lost is asked for again with the same number: the money goes once."""
    call("pay/unifiedorder", order())
    sandbox.pay("20150806125346")
    sandbox.inject(faults.Reset(), path="v2/secapi/pay/refund")
    with pytest.raises(NoResponseError):
        call("secapi/pay/refund", refund(), security=True)
    (lost,) = sandbox.orders["20150806125346"].refunds

    assert lost.refund_id == call("secapi/pay/refund", refund(), security=True).xml()["refund_id"]
    assert 40 == sandbox.orders["20150806125346"].refunded
