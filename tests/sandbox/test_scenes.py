"""Orders of every scene, code payments, combined orders and undecided refunds, in APIv3 and APIv2."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
import sandboxes
from shops import serving

from wechatpay import APIError, Builder, ConfigurationError
from wechatpay.sandbox import Sandbox
from wechatpay.sandbox.clock import CHINA
from wechatpay.sandbox.test_users import PAYER, Standing, partner_openid, standing

SUB, CODE = "1900000999", "13000000000000{:04}"
DAY = 86400


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity(), refund_delay=3600) as running:
        yield running


@pytest.fixture
def root(sandbox):
    """Give an instance."""
    with Builder(**sandbox.settings(tls=True)) as instance:
        yield instance


@pytest.fixture
def v3(root):
    """Give the root of APIv3's chain."""
    return root.v3


@pytest.fixture
def v2(sandbox, root):
    """Give a function that calls APIv2, and returns the fields or the ``err_code``."""
    ours = {"appid": sandbox.identity.app["appid"], "mch_id": sandbox.identity.mchid}

    def call(node, *, security=False, **sent):
        try:
            return root.v2.chain(node).post(xml={**ours, **sent}, security=security).xml()
        except APIError as error:
            return error.code

    return call


def order(sandbox, number, **changes):
    """Give the parameters of an order of one yuan."""
    usual = {
        "appid": sandbox.identity.app["appid"],
        "mchid": sandbox.identity.mchid,
        "description": "tea",
        "out_trade_no": number,
        "notify_url": "https://example.com/notify",
        "amount": {"total": 100},
    }
    return {**usual, **changes}


def partner_order(sandbox, number, **changes):
    """Give the parameters of a partner's order of one yuan."""
    usual = order(sandbox, number, sub_mchid=SUB, **changes)
    return {"sp_appid": usual.pop("appid"), "sp_mchid": usual.pop("mchid"), **usual}


def code_order(sandbox, number, ending, **changes):
    """Give the parameters of a payment by a code that ends so."""
    usual = order(sandbox, number, **changes)
    del usual["notify_url"]
    scene = {"store_info": {"id": "0001"}, "device_id": "D1"}
    return {**usual, "payer": {"auth_code": CODE.format(ending)}, "scene_info": scene}


def combined(sandbox, number, *parts, **changes):
    """Give the parameters of a combined order of parts of one yuan."""
    amount = {"total_amount": 100, "currency": "CNY"}
    part = {"mchid": sandbox.identity.mchid, "attach": "a", "amount": amount, "description": "tea"}
    usual = {
        "combine_appid": sandbox.identity.app["appid"],
        "combine_mchid": sandbox.identity.mchid,
        "combine_out_trade_no": number,
        "notify_url": "https://example.com/notify",
        "sub_orders": [{**part, "out_trade_no": name} for name in parts],
    }
    return {**usual, **changes}


def refund(number, amount=40, **changes):
    """Give the parameters of a refund."""
    amounts = {"refund": amount, "total": 100, "currency": "CNY"}
    return {"out_trade_no": number, "out_refund_no": f"R-{number}", "amount": amounts, **changes}


def refused(call, **arguments):
    """Return status and code of an error."""
    with pytest.raises(APIError) as caught:
        call(**arguments)
    return caught.value.status_code, caught.value.code


H5 = {"scene_info": {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}}


@pytest.mark.parametrize(
    ("scene", "changes", "name", "trade_type"),
    [
        ("jsapi", {"payer": {"openid": PAYER}}, "prepay_id", "JSAPI"),
        ("app", {}, "prepay_id", "APP"),
        ("h5", H5, "h5_url", "MWEB"),
        ("native", {}, "code_url", "NATIVE"),
    ],
)
def test_each_scene_has_its_credential_and_trade_type(sandbox, v3, scene, changes, name, trade_type):
    """The query by WeChat Pay's number says how, by whom and in which shop it was paid."""
    changes = {"attach": "a", **changes}
    changes["scene_info"] = {
        "payer_client_ip": "127.0.0.1",
        "device_id": "D1",
        **changes.get("scene_info", {}),
    }
    credential = v3.pay.transactions[scene].post(json=order(sandbox, "SCENE-1", **changes)).json()
    payment = sandbox.pay("SCENE-1").payment
    query = {"mchid": sandbox.identity.mchid}
    found = v3.pay.transactions.id._n_.get(n=payment.transaction_id, query=query).json()

    assert [name] == list(credential)
    assert (trade_type, "SUCCESS", "a") == (found["trade_type"], found["trade_state"], found["attach"])
    assert ({"openid": PAYER}, {"device_id": "D1"}) == (found["payer"], found["scene_info"])


@pytest.mark.parametrize("payer", [{}, {"openid": ""}, {"openid": "nobody"}], ids=str)
def test_jsapi_order_needs_a_known_payer(sandbox, v3, payer):
    """400 PARAM_ERROR."""
    body = order(sandbox, "PAYER-1", payer=payer)

    assert (400, "PARAM_ERROR") == refused(v3.pay.transactions.jsapi.post, json=body)


def test_order_of_another_merchant_is_refused(sandbox, v3):
    """The merchant who signs is the one who is named, in the body and in the query."""
    by_number = v3.pay.transactions.outTradeNo._n_
    v3.pay.transactions.native.post(json=order(sandbox, "OTHER-1"))
    body = order(sandbox, "OTHER-2", mchid="1900000001")

    assert (400, "PARAM_ERROR") == refused(v3.pay.transactions.native.post, json=body)
    assert (400, "PARAM_ERROR") == refused(by_number.close.post, n="OTHER-1", json={"mchid": "1900000001"})
    query = {"mchid": "1900000001"}
    assert (400, "INVALID_REQUEST") == refused(by_number.get, n="OTHER-1", query=query)


@pytest.mark.parametrize("url", ["https://[", "https://example.com/?a=1", "ftp://example.com/"])
def test_unusable_notify_url_is_refused(sandbox, v3, url):
    """400 PARAM_ERROR."""
    body = order(sandbox, "URL-1", notify_url=url)

    assert (400, "PARAM_ERROR") == refused(v3.pay.transactions.native.post, json=body)


def test_partner_order_belongs_to_the_sub_merchant(sandbox, v3):
    """It is found, refunded and closed with ``sub_mchid`` only."""
    pay = v3.pay.partner.transactions
    body = partner_order(sandbox, "PARTNER-1", sub_appid="wx0000000000000001")
    pay.jsapi.post(json={**body, "payer": {"sp_openid": PAYER}})
    sandbox.pay("PARTNER-1")
    query = {"sp_mchid": sandbox.identity.mchid, "sub_mchid": SUB}
    found = pay.outTradeNo._n_.get(n="PARTNER-1", query=query).json()
    refunds = v3.refund.domestic.refunds

    assert (query["sp_mchid"], SUB) == (found["sp_mchid"], found["sub_mchid"])
    assert ("wx0000000000000001", {"sp_openid": PAYER}) == (found["sub_appid"], found["payer"])
    other = {**query, "sub_mchid": "1900000998"}
    assert (400, "INVALID_REQUEST") == refused(pay.outTradeNo._n_.get, n="PARTNER-1", query=other)
    assert (400, "INVALID_REQUEST") == refused(refunds.post, json=refund("PARTNER-1"))
    assert refunds.post(json=refund("PARTNER-1", sub_mchid=SUB)).json()["status"] == "PROCESSING"


@pytest.mark.parametrize("openid", ["", PAYER], ids=["whoever", "named"])
def test_partner_names_the_payer_in_the_app_of_the_sub_merchant(sandbox, v3, openid):
    """By ``sub_openid``, which needs ``sub_appid``; query and callback have another ``sp_openid``, too."""
    pay = v3.pay.partner.transactions
    body = {**partner_order(sandbox, "PARTNER-SUB"), "payer": {"sub_openid": PAYER}}
    assert (400, "PARAM_ERROR") == refused(pay.jsapi.post, json=body)
    assert (400, "PARAM_ERROR") == refused(
        pay.jsapi.post, json={**body, "sub_appid": "wx0000000000000001", "payer": {}}
    )

    pay.jsapi.post(json={**body, "sub_appid": "wx0000000000000001"})
    sandbox.pay("PARTNER-SUB", openid=openid)
    query = {"sp_mchid": sandbox.identity.mchid, "sub_mchid": SUB}
    payer = pay.outTradeNo._n_.get(n="PARTNER-SUB", query=query).json()["payer"]

    assert (PAYER, True) == (payer["sub_openid"], standing(payer["sp_openid"]) is Standing.CUSTOMER)
    assert payer["sp_openid"] != PAYER


@pytest.mark.parametrize("end", ["_poor", "_unbound", "_ended", "_never"])
def test_payer_is_the_same_in_both_apps(end):
    """The openids differ, their ends do not."""
    openid = partner_openid(f"{PAYER}{end}")

    assert (True, False) == (openid.endswith(end), PAYER in openid)


def test_payment_code_is_good_for_one_payment(sandbox, v3):
    """The order is paid at once; it can be reversed, which refunds it, but not closed."""
    pay = v3.pay.transactions
    paid = pay.codepay.post(json=code_order(sandbox, "CODE-1", 10)).json()
    again = code_order(sandbox, "CODE-2", 10)
    sandbox.advance(15)
    ours = {"appid": sandbox.identity.app["appid"], "mchid": sandbox.identity.mchid}

    assert ("SUCCESS", "MICROPAY") == (paid["trade_state"], paid["trade_type"])
    assert (400, "AUTH_CODE_EXPIRE") == refused(pay.codepay.post, json=again)
    assert (400, "ORDER_PAID") == refused(pay.codepay.post, json=code_order(sandbox, "CODE-1", 11))
    pay.outTradeNo._n_.reverse.post(n="CODE-1", json=ours)
    assert ("REVOKED", 100) == (sandbox.orders["CODE-1"].state, sandbox.orders["CODE-1"].refunded)
    assert (400, "ORDER_REVERSED") == refused(pay.codepay.post, json=code_order(sandbox, "CODE-1", 11))


@pytest.mark.parametrize(
    ("ending", "changes", "error"),
    [
        (2, {}, (403, "NOT_ENOUGH")),
        (3, {}, (400, "AUTH_CODE_EXPIRE")),
        (10, {"amount": {"total": 0}}, (400, "PARAM_ERROR")),
        (10, {"amount": {"total": Decimal("1.5")}}, (400, "PARAM_ERROR")),
    ],
)
def test_failing_code_payment_places_no_order(sandbox, v3, ending, changes, error):
    """The end of the payment code says how it fails."""
    body = code_order(sandbox, "FAIL-1", ending, **changes)

    assert error == refused(v3.pay.transactions.codepay.post, json=body)
    assert {} == sandbox.orders


def test_code_of_another_form_is_invalid(sandbox, v3):
    """AUTH_CODE_INVALID."""
    body = {**code_order(sandbox, "FORM-1", 1), "payer": {"auth_code": "990000000000000000"}}

    assert (400, "AUTH_CODE_INVALID") == refused(v3.pay.transactions.codepay.post, json=body)


def test_code_payment_may_wait_for_the_payer(sandbox, v3):
    """USERPAYING, then paid, or PAYERROR and reversed; only code payments can be reversed."""
    pay, states = v3.pay.transactions, []
    ours = {"appid": sandbox.identity.app["appid"], "mchid": sandbox.identity.mchid}
    for ending, number in ((101, "WAIT-1"), (201, "WAIT-2")):
        response = pay.codepay.post(json=code_order(sandbox, number, ending))
        assert (202, "USERPAYING") == (response.status_code, response.json()["code"])
        states.append(sandbox.orders[number].state)
    sandbox.pay("WAIT-1")
    sandbox.decline("WAIT-2")
    sandbox.advance(15)
    states += [order.state for order in sandbox.orders.values()]
    close = pay.outTradeNo._n_.close.post
    body = {"mchid": sandbox.identity.mchid}

    assert (400, "INVALID_REQUEST") == refused(close, n="WAIT-2", json=body)
    pay.outTradeNo._n_.reverse.post(n="WAIT-2", json=ours)
    states.append(sandbox.orders["WAIT-2"].state)
    assert ["USERPAYING", "USERPAYING", "SUCCESS", "PAYERROR", "REVOKED"] == states
    pay.native.post(json=order(sandbox, "WAIT-3"))
    reverse = pay.outTradeNo._n_.reverse.post
    assert (400, "INVALID_REQUEST") == refused(reverse, n="WAIT-3", json=ours)
    assert (404, "ORDER_NOT_EXIST") == refused(reverse, n="WAIT-4", json=ours)


def test_combined_order_is_paid_at_once(sandbox, v3):
    """All parts become paid, each with its own number; a part is not found as an order of its own."""
    body = combined(
        sandbox, "COMBI-1", "PART-1", "PART-2", scene_info={"device_id": "D1", "payer_client_ip": "127.0.0.1"}
    )
    for part in body["sub_orders"]:
        part["sub_mchid"] = SUB
    assert v3.combineTransactions.native.post(json=body).json()["code_url"]
    query = v3.combineTransactions.outTradeNo._n_.get
    before = [part["trade_state"] for part in query(n="COMBI-1").json()["sub_orders"]]
    sandbox.pay("COMBI-1")
    found = query(n="COMBI-1").json()
    after = [part["trade_state"] for part in found["sub_orders"]]

    assert (["NOTPAY"] * 2, ["SUCCESS"] * 2) == (before, after)
    assert 2 == len({part["transaction_id"] for part in found["sub_orders"]})
    assert ({"openid": PAYER}, "D1") == (found["combine_payer_info"], found["scene_info"]["device_id"])
    assert {SUB} == {part["sub_mchid"] for part in found["sub_orders"]}
    ours = {"mchid": sandbox.identity.mchid}
    single = v3.pay.transactions.outTradeNo._n_.get
    assert (404, "ORDER_NOT_EXIST") == refused(single, n="PART-1", query=ours)


def test_combined_order_is_placed_whole_or_not_at_all(sandbox, v3):
    """A part that is taken, other parts under the same number, and another merchant are refused."""
    place = v3.combineTransactions.app.post
    v3.pay.transactions.native.post(json=order(sandbox, "TAKEN-1"))
    place(json=combined(sandbox, "COMBI-2", "PART-3", "PART-3B"))
    taken = (
        combined(sandbox, "COMBI-3", "PART-4", "TAKEN-1"),
        combined(sandbox, "COMBI-2", "PART-3", "PART-5"),
    )
    for body in taken:
        assert (403, "OUT_TRADE_NO_USED") == refused(place, json=body)
    other = combined(sandbox, "COMBI-4", "PART-6", "PART-6B", combine_mchid="1900000001")
    assert (400, "PARAM_ERROR") == refused(place, json=other)
    assert ["TAKEN-1", "PART-3", "PART-3B"] == list(sandbox.orders)


def test_combined_order_of_direct_merchants_names_no_sub_merchant(sandbox, v3):
    """It has ten parts at most."""
    body = combined(sandbox, "COMBI-D1", "DIRECT-1", "DIRECT-2")
    many = combined(sandbox, "COMBI-D2", *(f"MANY-{index}" for index in range(11)))

    assert v3.combineTransactions.native.post(json=body).json()["code_url"]
    sandbox.pay("COMBI-D1")
    found = v3.combineTransactions.outTradeNo._n_.get(n="COMBI-D1").json()
    assert ["SUCCESS"] * 2 == [part["trade_state"] for part in found["sub_orders"]]
    assert (400, "PARAM_ERROR") == refused(v3.combineTransactions.native.post, json=many)


def test_combined_order_is_closed_with_all_its_parts(sandbox, v3):
    """An incomplete list, a paid one and an unknown one are refused, in the older codes."""
    by_number, appid = v3.combineTransactions.outTradeNo._n_, sandbox.identity.app["appid"]
    for number, part in (("COMBI-5", "PART-7"), ("COMBI-6", "PART-8")):
        v3.combineTransactions.app.post(json=combined(sandbox, number, part, f"{part}B"))

    def body(*names):
        names = [*names, *(f"{name}B" for name in names)]
        parts = [{"mchid": sandbox.identity.mchid, "out_trade_no": name} for name in names]
        return {"combine_appid": appid, "sub_orders": parts}

    close = by_number.close.post
    assert (400, "INVALID_REQUEST") == refused(close, n="COMBI-5", json=body("PART-8"))
    incomplete = {**body("PART-7"), "sub_orders": body("PART-7")["sub_orders"][:1]}
    assert (400, "INVALID_REQUEST") == refused(close, n="COMBI-5", json=incomplete)
    assert 204 == close(n="COMBI-5", json=body("PART-7")).status_code
    sandbox.pay("COMBI-6")
    assert (400, "ORDERPAID") == refused(close, n="COMBI-6", json=body("PART-8"))
    assert (404, "ORDERNOTEXIST") == refused(close, n="NOWHERE-1", json=body("PART-8"))
    assert (404, "ORDERNOTEXIST") == refused(by_number.get, n="NOWHERE-1")


def abnormal(sandbox, v3, number):
    """Make a refund that fails, and return WeChat Pay's number of it."""
    v3.pay.transactions.native.post(json=order(sandbox, number))
    sandbox.pay(number)
    made = v3.refund.domestic.refunds.post(json=refund(number)).json()
    sandbox.settle_refund(f"R-{number}", "ABNORMAL")
    return made["refund_id"]


def test_abnormal_refund_goes_to_another_card(sandbox, v3):
    """It is processed again, once, and can succeed then."""
    refunds, number = v3.refund.domestic.refunds, abnormal(sandbox, v3, "ABN-001")
    body = {"out_refund_no": "R-ABN-001", "type": "MERCHANT_BANK_CARD"}
    retry = refunds._id_.applyAbnormalRefund.post
    other = {**body, "out_refund_no": "R-ABN-002"}

    assert "ABNORMAL" == refunds._n_.get(n="R-ABN-001").json()["status"]
    assert (404, "RESOURCE_NOT_EXISTS") == refused(retry, id=number, json=other)
    assert (404, "RESOURCE_NOT_EXISTS") == refused(retry, id="50", json=body)
    again = retry(id=number, json=body).json()
    assert ("PROCESSING", "OTHER_BANKCARD") == (again["status"], again["channel"])
    assert (400, "INVALID_REQUEST") == refused(retry, id=number, json=body)
    assert "SUCCESS" == sandbox.settle_refund("R-ABN-001").status


def test_closed_refund_returns_what_it_took(sandbox, v3):
    """Its amount can be refunded again; a final refund cannot be decided again."""
    sandbox.rules.refund_interval = 0
    v3.pay.transactions.native.post(json=order(sandbox, "SHUT-001"))
    sandbox.pay("SHUT-001")
    refunds = v3.refund.domestic.refunds
    refunds.post(json=refund("SHUT-001", 100))
    sandbox.settle_refund("R-SHUT-001", "CLOSED")
    refunds.post(json=refund("SHUT-001", 100, out_refund_no="R-SHUT-002"))

    assert 100 == sandbox.orders["SHUT-001"].refunded
    for number, status in (("R-SHUT-001", "SUCCESS"), ("NOWHERE", "SUCCESS"), ("R-SHUT-002", "OTHER")):
        with pytest.raises(ConfigurationError):
            sandbox.settle_refund(number, status)


@pytest.mark.parametrize(
    "changes",
    [
        {"out_refund_no": "?"},
        {"amount": {"refund": 0, "total": 100, "currency": "CNY"}},
        {"out_trade_no": ""},
    ],
    ids=str,
)
def test_wrong_parameter_of_a_refund_is_refused(v3, changes):
    """400 PARAM_ERROR."""
    body = {**refund("WRONG-1"), **changes}

    assert (400, "PARAM_ERROR") == refused(v3.refund.domestic.refunds.post, json=body)


def test_refunds_of_an_order_end(sandbox, v3):
    """After fifty, after the last fen, and for an unpaid order."""
    sandbox.rules.refund_interval = 0
    refunds = v3.refund.domestic.refunds
    for number in ("END-001", "END-002", "END-003"):
        v3.pay.transactions.native.post(json=order(sandbox, number))
    sandbox.pay("END-001")
    sandbox.pay("END-002")
    for index in range(50):
        refunds.post(json=refund("END-001", 1, out_refund_no=f"R-{index}"))
    refunds.post(json=refund("END-002", 100))
    query = refunds._n_.get

    assert (400, "INVALID_REQUEST") == refused(refunds.post, json=refund("END-001", 1))
    again = refund("END-002", 1, out_refund_no="R-LATE")
    assert (400, "INVALID_REQUEST") == refused(refunds.post, json=again)
    assert (404, "RESOURCE_NOT_EXISTS") == refused(refunds.post, json=refund("END-003", 1))
    assert (404, "RESOURCE_NOT_EXISTS") == refused(query, n="NOWHERE")


def test_payer_cannot_pay_what_is_over(sandbox, v3):
    """Expired, closed, paid and unknown orders, and somebody else's, are not paid or declined."""
    for number in ("OVER-1", "OVER-2", "OVER-3"):
        v3.pay.transactions.native.post(json=order(sandbox, number))
    v3.pay.transactions.jsapi.post(json=order(sandbox, "OVER-4", payer={"openid": PAYER}))
    v3.pay.transactions.outTradeNo._n_.close.post(n="OVER-2", json={"mchid": sandbox.identity.mchid})
    sandbox.pay("OVER-3")

    assert "NOTPAY" == sandbox.decline("OVER-1").state == sandbox.expire("OVER-1").state
    for number in ("OVER-1", "OVER-2", "OVER-3", "NOWHERE"):
        with pytest.raises(ConfigurationError):
            sandbox.pay(number)
    with pytest.raises(ConfigurationError):
        sandbox.pay("OVER-4", openid=f"{PAYER}x")
    for number in ("OVER-3", "NOWHERE"):
        for act in (sandbox.decline, sandbox.expire):
            with pytest.raises(ConfigurationError):
                act(number)


def test_unpaid_order_closes_after_a_week(sandbox, v3):
    """And the credential is valid for two hours, longer if ordered again."""
    place = v3.pay.transactions.native.post
    place(json=order(sandbox, "WEEK-1"))
    sandbox.advance(7201)
    with pytest.raises(ConfigurationError):
        sandbox.pay("WEEK-1")
    place(json=order(sandbox, "WEEK-2"))
    sandbox.advance(7 * DAY - 3600)

    assert ["CLOSED", "NOTPAY"] == [found.state for found in sandbox.orders.values()]


def micropay(number, ending, **changes):
    """Give the fields of APIv2's code payment."""
    usual = {"out_trade_no": number, "body": "tea", "total_fee": 100, "spbill_create_ip": "127.0.0.1"}
    return {**usual, "auth_code": CODE.format(ending), **changes}


@pytest.mark.parametrize(
    ("ending", "changes", "code"),
    [
        (1, {}, "USERPAYING"),
        (2, {}, "NOTENOUGH"),
        (3, {}, "AUTHCODEEXPIRE"),
        (10, {"total_fee": 0}, "PARAM_ERROR"),
        (10, {"auth_code": "990000000000000000"}, "AUTH_CODE_INVALID"),
    ],
)
def test_v2_code_payment_fails_by_the_end_of_the_code(v2, ending, changes, code):
    """In the codes of APIv2."""
    assert code == v2("pay/micropay", **micropay("V2FAIL1", ending, **changes))


def test_v2_code_payment_is_paid_and_reversed(sandbox, v2):
    """Reversal refunds it; other orders are closed instead."""
    paid = v2("pay/micropay", **micropay("V2CODE1", 10, attach="a"))
    number = {"transaction_id": paid["transaction_id"]}
    sandbox.advance(15)

    assert ("MICROPAY", "100") == (paid["trade_type"], paid["total_fee"])
    assert "ORDERPAID" == v2("pay/micropay", **micropay("V2CODE1", 11))
    assert "SUCCESS" == v2("pay/orderquery", **number)["trade_state"]
    assert "N" == v2("secapi/pay/reverse", security=True, **number)["recall"]
    assert ("REVOKED", 100) == (sandbox.orders["V2CODE1"].state, sandbox.orders["V2CODE1"].refunded)
    assert "ORDERREVERSED" == v2("pay/micropay", **micropay("V2CODE1", 11))
    assert "ORDERNOTEXIST" == v2("secapi/pay/reverse", security=True, out_trade_no="NOWHERE")


NATIVE = {
    "body": "tea",
    "total_fee": 100,
    "spbill_create_ip": "127.0.0.1",
    "notify_url": "https://example.com/notify",
    "trade_type": "NATIVE",
}


def test_v2_order_is_closed_and_not_reversed(sandbox, v2):
    """A closed order cannot be ordered again, and a paid one not be closed."""
    for number in ("V2CLOSE1", "V2CLOSE2"):
        v2("pay/unifiedorder", **NATIVE, out_trade_no=number)
    sandbox.pay("V2CLOSE2")

    reverse = {"security": True, "out_trade_no": "V2CLOSE1"}
    assert "INVALID_REQUEST" == v2("secapi/pay/reverse", **reverse)
    assert "SUCCESS" == v2("pay/closeorder", out_trade_no="V2CLOSE1")["result_code"]
    assert "ORDERCLOSED" == v2("pay/unifiedorder", **NATIVE, out_trade_no="V2CLOSE1")
    assert "ORDERPAID" == v2("pay/closeorder", out_trade_no="V2CLOSE2")
    assert "ORDERNOTEXIST" == v2("pay/closeorder", out_trade_no="NOWHERE")


def test_v2_refund_is_announced_once(sandbox, v2):
    """In encrypted XML, to the URL of the request; the same refund again is no other event."""
    v2("pay/unifiedorder", **NATIVE, out_trade_no="V2REF2")
    sandbox.pay("V2REF2")
    with serving() as server:
        server.replies = [(200, b"<xml><return_code>SUCCESS</return_code></xml>")]
        amounts = {"total_fee": 100, "refund_fee": 40, "out_trade_no": "V2REF2"}
        for _ in range(2):
            v2("secapi/pay/refund", security=True, out_refund_no="R7", notify_url=server.url, **amounts)
        event = sandbox.expect_callback("v2/refund")
        sandbox.advance(3600)

    assert ("R7", 40, "SUCCESS") == tuple(
        event.resource[name] for name in ("out_refund_no", "refund_fee", "refund_status")
    )
    assert 1 == len(server.received)
    assert b"<req_info>" in server.received[0][2]


def test_v2_refunds_are_listed(sandbox, v2):
    """All of an order, or the one that is named; none is REFUNDNOTEXIST."""
    sandbox.rules.refund_interval = 0
    v2("pay/unifiedorder", **NATIVE, out_trade_no="V2REF1")
    sandbox.pay("V2REF1")
    assert "REFUNDNOTEXIST" == v2("pay/refundquery", out_trade_no="V2REF1")
    amounts = {"total_fee": 100, "refund_fee": 40, "out_trade_no": "V2REF1"}
    for number in ("R1", "R2"):
        made = v2("secapi/pay/refund", security=True, out_refund_no=number, **amounts)
    listed = v2("pay/refundquery", out_trade_no="V2REF1")
    one = v2("pay/refundquery", refund_id=made["refund_id"])

    assert ("2", "R1", "R2") == tuple(
        listed[n] for n in ("refund_count", "out_refund_no_0", "out_refund_no_1")
    )
    assert ("1", "R2", "SUCCESS") == (one["refund_count"], one["out_refund_no_0"], one["refund_status_0"])
    assert "REFUNDNOTEXIST" == v2("pay/refundquery", out_trade_no="V2REF1", out_refund_no="R3")


def test_v2_fund_bill_has_the_digest_of_its_text(sandbox, root, v2):
    """A day without payments has no bill, and a day that is not one is refused."""
    v2("pay/micropay", **micropay("V2FUND1", 10))
    today = datetime.fromtimestamp(sandbox.now, CHINA)
    ours = {"appid": sandbox.identity.app["appid"], "mch_id": sandbox.identity.mchid}
    ask = {**ours, "account_type": "Basic", "sign_type": "HMAC-SHA256"}

    def fetch(day):
        return root.v2.pay.downloadfundflow.post(xml={**ask, "bill_date": day}, security=True)

    sandbox.advance(36 * 3600)
    response = fetch(f"{today:%Y%m%d}")
    assert response.headers["Digest"].startswith("SHA=")
    for day, code in (("20200101", "NO_BILL_EXIST"), ("20201301", "20001")):
        with pytest.raises(APIError) as caught:
            fetch(day)
        assert code == caught.value.code


@pytest.mark.parametrize(
    ("day", "error"),
    [
        ("2026-13-01", (400, "PARAM_ERROR")),
        ("2020-01-01", (400, "INVALID_REQUEST")),
        ("tomorrow", (400, "PARAM_ERROR")),
    ],
)
def test_bill_of_a_wrong_day_is_refused(v3, day, error):
    """What is no day, and a day whose bills are gone."""
    assert error == refused(v3.bill.tradebill.get, query={"bill_date": day})


def test_bill_of_an_idle_day_does_not_exist(sandbox, v3):
    """NO_STATEMENT_EXIST, and a token that was never given leads nowhere."""
    day = f"{datetime.fromtimestamp(sandbox.now - 2 * 86400, CHINA):%Y-%m-%d}"

    assert (400, "NO_STATEMENT_EXIST") == refused(v3.bill.tradebill.get, query={"bill_date": day})
    assert (400, "INVALID_REQUEST") == refused(v3.billdownload.file.get, query={"token": "x"})


def test_v2_unknown_trade_type_is_refused(v2):
    """A code payment is no order to be paid later."""
    sent = {**NATIVE, "trade_type": "MICROPAY", "out_trade_no": "V2TYPE1"}

    assert "PARAM_ERROR" == v2("pay/unifiedorder", **sent)


@pytest.mark.parametrize("status", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_decided_refund_is_told(sandbox, v3, root, status):
    """The refund's notify_url hears of it; only a successful one has a time."""
    with serving() as shop:
        v3.pay.transactions.native.post(json=order(sandbox, "TOLD-1"))
        sandbox.pay("TOLD-1")
        v3.refund.domestic.refunds.post(json=refund("TOLD-1", notify_url=shop.url))
        sandbox.settle_refund("R-TOLD-1", status)
        sandbox.expect_callback(f"REFUND.{status}")
        ((_, headers, body),) = shop.received
    found = root.getDriver().notifications().parse(headers, body).resource

    assert (status, "R-TOLD-1", 40) == (
        found["refund_status"],
        found["out_refund_no"],
        found["amount"]["refund"],
    )
    assert (status == "SUCCESS") == ("success_time" in found)


def test_reversal_refunds_what_is_left(sandbox, v3):
    """After a partial refund and a closed one, the rest is returned, once."""
    sandbox.rules.refund_interval = 0
    ours = {"appid": sandbox.identity.app["appid"], "mchid": sandbox.identity.mchid}
    v3.pay.transactions.codepay.post(json=code_order(sandbox, "LEFT-1", 10))
    v3.refund.domestic.refunds.post(json=refund("LEFT-1"))
    v3.refund.domestic.refunds.post(json=refund("LEFT-1", 60, out_refund_no="R-LEFT-2"))
    sandbox.settle_refund("R-LEFT-2", "CLOSED")
    sandbox.advance(15)
    for _ in range(2):
        v3.pay.transactions.outTradeNo._n_.reverse.post(n="LEFT-1", json=ours)

    assert [40, 60, 60] == [made.amount for made in sandbox.orders["LEFT-1"].refunds]
    assert 100 == sandbox.orders["LEFT-1"].refunded
