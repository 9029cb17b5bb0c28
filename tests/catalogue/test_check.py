"""`check=True` compares a call with the documents before anything is sent."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import calls
import merchants
import pytest
from cases import each

from wechatpay import Builder, ConnectError, InvalidRequestError, Media, Sensitive, uri
from wechatpay.apiv3.errors import failure
from wechatpay.catalogue import find, operations
from wechatpay.catalogue.check import check_call, suggest
from wechatpay.messages import Request, Response
from wechatpay.options import Arguments, read_call

BATCHES = "v3/fund-app/brand-redpacket/brand-merchant-batches"

WIRE = Path(__file__).parents[1] / "vectors" / "wire.jsonl"

JSAPI = {
    "appid": "wx8888888888888888",
    "mchid": "1900000109",
    "description": "tea",
    "out_trade_no": "N1",
    "notify_url": "https://shop.example/notify",
    "amount": {"total": 1},
    "payer": {"openid": "o1"},
}

UNIFIED = {
    "appid": "wx8888888888888888",
    "mch_id": "1900000109",
    "body": "tea",
    "out_trade_no": "N1",
    "total_fee": "1",
    "spbill_create_ip": "127.0.0.1",
    "notify_url": "https://shop.example/notify",
    "trade_type": "NATIVE",
}


TRANSIT = calls.options(find("POST", "v2/transit/pay/payapply"))["xml"]

TOKEN = find("GET", "v2/appauth/getaccesstoken")

REFUND = calls.options(find("POST", "v2/secapi/pay/refund"))["xml"]


def check(verb, template, /, **given):
    """Check a call as the driver does."""
    call = read_call(verb, uri.plan(template), Arguments((None, given)))
    check_call(call, call.plan.expand(call.variables))


@pytest.fixture(scope="module")
def instance():
    """A client that checks; nothing listens where it sends to."""
    return Builder(**merchants.settings(base_uri="http://127.0.0.1:9/", check=True))


def test_a_call_of_every_operation_with_every_member_passes():
    """All 1,143 documented calls pass."""
    for operation in operations():
        given = calls.options(operation) | {
            name: field.value for name, field in operation.path.items() if field.value
        }
        media = {"media": Media(b"", filename="a.png")} if operation.body_kind == "multipart" else {}
        check(operation.verb, operation.template, **given, **media)


@each(
    "line",
    [line for line in WIRE.read_text("utf-8").splitlines() if '"uri": "v3/' in line],
    ids=lambda line: json.loads(line)["uri"],
)
def test_a_recorded_call_passes(line):
    """What the PHP SDK was recorded to send is accepted."""
    row = json.loads(line)

    check(row["verb"].upper(), row["uri"], **dict(row["options"]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"amount": {"total": "1"}}, "json.amount.total: give int, not str"),
        ({"amount": {"total": True}}, "json.amount.total: give int, not bool"),
        ({"amount": {"totel": 1}}, "json.amount.totel: unknown; did you mean total?"),
        ({"amount": {}}, "json.amount.total: missing"),
        ({"amount": {"currency": "CNY"}}, "json.amount.total: missing"),
        ({"amount": 1}, "json.amount: give mapping, not int"),
        ({"attach": None}, "json.attach: None is sent as null, which is refused: leave it out"),
        ({"appid": 1}, "json.appid: give text, not int"),
        ({"support_fapiao": "true"}, "json.support_fapiao: give bool, not str"),
        ({"limit_pay": "no_debit"}, "json.limit_pay: give a list, not str"),
        (
            {"limit_pay": ["no_money"]},
            "json.limit_pay[0]: give one of no_balance, no_credit, no_debit, balance_only",
        ),
        (
            {"detail": {"goods_detail": [{"quantity": 1}]}},
            "json.detail.goods_detail[0].merchant_goods_id: missing",
        ),
        ({"zzz": 1}, "json.zzz: unknown"),
    ],
)
def test_a_wrong_member_is_named_by_its_place(body, message):
    """The error names the place and what the documents say."""
    with pytest.raises(InvalidRequestError) as caught:
        check("POST", "v3/pay/transactions/jsapi", json=JSAPI | body)

    assert f"{message} (POST v3/pay/transactions/jsapi, JSAPI下单)" == str(caught.value)


@pytest.mark.parametrize("name", ["sp_openid", "sub_openid"])
@pytest.mark.parametrize("scene", ["jsapi", "jsapi-with-contract", "miniprogram"])
def test_partner_names_the_payer_in_one_of_two_ways(scene, name):
    """By the openid in its own app or in that of the sub-merchant; without one the call is refused."""
    template = f"v3/pay/partner/transactions/{scene}"
    body = calls.options(find("POST", template))["json"] | {"payer": {name: "o1"}}
    check("POST", template, json=body)

    with pytest.raises(InvalidRequestError, match=r"json\.payer: give one of sp_openid, sub_openid \("):
        check("POST", template, json=body | {"payer": {}})


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("v2/pay/paporderquery", "transaction_id out_trade_no"),
        ("v2/pay/partner/paporderquery", "transaction_id out_trade_no"),
        ("v2/pay/facepayquery", "transaction_id out_trade_no"),
        ("v2/pay/refundqueryv2", "transaction_id out_trade_no out_refund_no refund_id"),
        ("v2/deposit/orderquery", "transaction_id out_trade_no"),
        ("v2/deposit/consume", "transaction_id out_trade_no"),
        ("v2/deposit/refund", "transaction_id out_trade_no"),
        ("v2/deposit/refundquery", "transaction_id out_trade_no out_refund_no refund_id"),
        (
            "v2/cgi-bin/mch/customs/customdeclarequery",
            "out_trade_no transaction_id sub_order_no sub_order_id",
        ),
        (
            "v2/cgi-bin/mch/newcustoms/customdeclareredeclare",
            "out_trade_no transaction_id sub_order_no sub_order_id",
        ),
        ("v2/wxv/queryrentbill", "out_order_no return_query_id"),
        ("v2/wxv/queryhotelbill", "out_order_no return_query_id"),
        ("v3/refund/domestic/refunds", "transaction_id out_trade_no"),
        ("v3/ecommerce/refunds/apply", "transaction_id out_trade_no"),
        ("v2/secapi/pay/reverse", "transaction_id out_trade_no"),
        ("v2/secapi/pay/facepayreverse", "transaction_id out_trade_no"),
        ("v2/deposit/reverse", "transaction_id out_trade_no"),
        ("v3/customs/redeclare", "out_trade_no transaction_id sub_order_no sub_order_id"),
        ("v3/global/customs/redeclare", "out_trade_no transaction_id sub_order_no sub_order_id"),
        ("v3/profitsharing/return-orders", "order_id out_order_no"),
        ("v3/ecommerce/profitsharing/returnorders", "order_id out_order_no"),
        ("v3/brand/profitsharing/returnorders", "order_id out_order_no"),
    ],
)
def test_one_of_the_documented_numbers_is_enough(template, names):
    """Any of them; without one the call is refused."""
    given = calls.options(operation := find("POST", template))
    kind, names = operation.body_kind, names.split()
    rest = {name: value for name, value in given[kind].items() if name not in names}
    for name in names:
        check("POST", template, **given | {kind: {**rest, name: "1"}})

    with pytest.raises(InvalidRequestError, match=f"{kind}: give one of {', '.join(names)} "):
        check("POST", template, **given | {kind: rest})


@each(
    ("verb", "template", "given", "message"),
    [
        ("POST", "v3/pay/transactions/jsapi", {}, "json.appid: missing"),
        ("POST", "v3/pay/transactions/jsapi", {"xml": {"a": 1}}, "xml: give json"),
        ("POST", "v3/pay/transactions/jsapi", {"json": [1]}, "json: give a mapping, not list"),
        ("GET", "v3/pay/transactions/id/{transaction_id}", {"transaction_id": "1"}, "query.mchid: missing"),
        (
            "GET",
            "v3/pay/transactions/id/{transaction_id}",
            {"transaction_id": "1", "query": {"mchid": "1"}, "json": {"a": 1}},
            "json: this operation has no body",
        ),
        (
            "GET",
            "v3/pay/transactions/id/4200001",
            {"query": {"mchid": "1", "mch": "1"}},
            "query.mch: unknown; did you mean mchid?",
        ),
        ("POST", "v3/merchant/media/upload", {}, "media: missing: give a Media"),
        ("POST", "v2/secapi/pay/refund", {"xml": {}}, "xml.appid: missing"),
        (
            "POST",
            "v2/pay/orderquery",
            {"xml": {"appid": "a", "mch_id": "1"}},
            "xml: give one of transaction_id",
        ),
        ("POST", "v2/pay/unifiedorder", {"xml": UNIFIED | {"total_fee": "1.5"}}, "xml.total_fee: give int"),
        (
            "POST",
            "v2/pay/unifiedorder",
            {"xml": UNIFIED | {"detail": "{"}},
            "xml.detail: the text is not JSON",
        ),
        (
            "POST",
            "v2/pay/unifiedorder",
            {"xml": UNIFIED | {"detail": "{}"}},
            "xml.detail.goods_detail: missing",
        ),
        (
            "POST",
            "v2/pay/unifiedorder",
            {"xml": UNIFIED | {"detail": '{"goods_detail": [{"goods_id": 1, "zz": 1}]}'}},
            "xml.detail.goods_detail[0].",
        ),
        (
            "POST",
            "v2/xdc/apiv2getsignkey/sign/getsignkey",
            {"xml": {"mch_id": "1" * 33}},
            "xml.mch_id: 33 bytes, at most 32",
        ),
        (
            "POST",
            "v2/transit/pay/payapply",
            {"xml": TRANSIT | {"scene_info": '{"scene_info": {}}'}},
            "start_time",
        ),
        ("POST", "v2/secapi/pay/refund", {"xml": REFUND}, "security: this operation needs the merchant"),
        ("GET", "v3/pay/transactions/jsapi", {}, "takes POST, not GET"),
        (
            "POST",
            "v3/pay/transactions/jsapy",
            {"json": {}},
            "did you mean `jsapi`? There is no `jsapy` below v3/pay/transactions",
        ),
        ("POST", "v3/nothing/at/all", {"json": {}}, "the catalogue has no POST"),
        ("POST", "v3/new/thing", {"json": {}}, "give check=False in a call of an operation that is newer"),
    ],
)
def test_a_call_that_the_documents_do_not_have_is_refused(verb, template, given, message):
    """Unknown operations, missing options and wrong kinds of body are named."""
    with pytest.raises(InvalidRequestError) as caught:
        check(verb, template, **given)

    assert message in str(caught.value)


@each(
    ("verb", "template", "given"),
    [
        ("POST", "v2/pay/unifiedorder", {"xml": UNIFIED}),
        ("POST", "v2/pay/unifiedorder", {"xml": UNIFIED | {"total_fee": 1, "sign_type": "MD5"}}),
        ("POST", "v3/pay/transactions/jsapi", {"body": b"{}"}),
        ("GET", "v3/pay/transactions/id/1?mchid=1", {}),
        ("GET", "v3/pay/transactions/id/1", {"query": "mchid=1"}),
        ("GET", "v3/pay/transactions/id/1", {"query": [("mchid", "1")]}),
        ("POST", "https://api.mch.weixin.qq.com/v3/pay/transactions/jsapi", {"json": JSAPI}),
        ("POST", "wxa/anything", {"json": {"a": 1}}),
        ("POST", "https://api.mch.weixin.qq.com/hk/v3/pay/transactions/jsapi", {"json": JSAPI}),
        ("POST", "v2/pay/unifiedorder", {"xml": UNIFIED | {"detail": "plain text"}}),
        (
            "POST",
            "v2/transit/pay/payapply",
            {"xml": TRANSIT | {"scene_info": '{"scene_info": {"start_time": "1"}}'}},
        ),
        ("GET", "v3/pay/transactions/id/1", {"query": {"mchid": "1", "unset": None}}),
        (
            "POST",
            "v3/pay/transactions/jsapi",
            {
                "json": JSAPI
                | {
                    "payer": {
                        "openid": "o",
                        "identity": {"type": "IDCARD", "number": Sensitive("1"), "name": "n"},
                    }
                }
            },
        ),
        ("GET", "v3/bill/tradebill", {"query": {"bill_date": "2026-01-01"}}),
        ("GET", TOKEN.template, {"xml": calls.options(TOKEN)["query"]}),
        ("GET", "v3/apply4subject/applyment", {}),
    ],
)
def test_what_the_documents_allow_passes(verb, template, given):
    """Text for numbers in APIv2, ready-made bodies, every form of query and sensitive texts are accepted."""
    check(verb, template, **given)


def test_numbers_with_a_fraction_are_decimals():
    """A `number` is an int or a Decimal, never a float, which the encoder refuses."""
    body = calls.options(find("POST", BATCHES))

    with pytest.raises(InvalidRequestError, match="give int or Decimal, not float"):
        check(
            "POST",
            BATCHES,
            json=_replace_numbers(body["json"], 1.5),
        )
    check(
        "POST",
        BATCHES,
        json=_replace_numbers(body["json"], Decimal("1.5")),
    )


def _replace_numbers(value, number):
    if isinstance(value, dict):
        return {name: _replace_numbers(item, number) for name, item in value.items()}
    if isinstance(value, list):
        return [_replace_numbers(item, number) for item in value]
    return number if type(value) is int else value


def test_a_checked_call_is_refused_before_anything_is_sent(instance):
    """The setting turns the check on; both sync and async calls raise."""
    with pytest.raises(InvalidRequestError, match=r"json\.amount\.total: give int"):
        instance.v3.pay.transactions.jsapi.post(json=JSAPI | {"amount": {"total": "1"}})
    with pytest.raises(InvalidRequestError, match=r"json\.amount\.total: give int"):
        instance.v3.pay.transactions.jsapi.postAsync(json=JSAPI | {"amount": {"total": "1"}}).wait()


def test_a_call_may_turn_the_check_off_or_on(instance):
    """The option wins over the setting: unchecked, the call goes as far as the connection."""
    with pytest.raises(ConnectError):
        instance.v3.pay.transactions.jsapi.post(json={}, check=False)
    with (
        Builder(**merchants.settings(base_uri="http://127.0.0.1:9/")) as unchecked,
        pytest.raises(InvalidRequestError, match="missing"),
    ):
        unchecked.v3.pay.transactions.jsapi.post(json={}, check=True)


def test_no_error_shows_a_value():
    """Values may be secrets: the error gives types and places alone."""
    with pytest.raises(InvalidRequestError) as caught:
        check("POST", "v3/pay/transactions/jsapi", json=JSAPI | {"payer": "secret-openid"})

    assert "secret-openid" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "v3/pay/transactions/out-tradeno/123",
            "did you mean `outTradeNo`? There is no `out-tradeno` below v3/pay/transactions",
        ),
        (
            "v3/pay/transactions/outTradeNo/123",
            "did you mean `out-trade-no`? There is no `outTradeNo` below v3/pay/transactions",
        ),
        ("v3/pay/transaction/jsapi", "did you mean `transactions`? There is no `transaction` below v3/pay"),
        ("v33/pay", "did you mean `v3`? There is no `v33`"),
        ("v3/pay/transactions/jsapi", ""),
        ("v3/zzzzzzz", ""),
    ],
)
def test_the_first_unknown_segment_is_corrected(path, expected):
    """A 404 and an unknown operation say what was meant."""
    assert expected == suggest(path)


@pytest.mark.parametrize(
    ("request_", "template", "title"),
    [
        (
            Request("GET", "https://h/v3/pay/transactions/id/42", route="v3/pay/transactions/id/42"),
            "v3/pay/transactions/id/{transaction_id}",
            "微信支付订单号查询",
        ),
        (
            Request("POST", "https://h/pay/unifiedorder", route="pay/unifiedorder", parameters={}),
            "v2/pay/unifiedorder",
            "统一下单",
        ),
        (Request("GET", "https://h/v3/new/1", route="v3/new/1", written="v3/new/{id}"), "v3/new/{id}", ""),
    ],
    ids=["v3", "v2", "unknown"],
)
def test_a_request_knows_its_template_and_title(request_, template, title):
    """Middlewares name metrics by the template, which holds no business number."""
    assert (template, title) == (request_.template, request_.title)


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        (
            "v3/pay/transactions/out-tradeno/1",
            "NOT_FOUND",
            "did you mean `outTradeNo`?",
        ),
        ("v3/pay/transactions/id/1", "NOT_FOUND", ""),
        ("v3/pay/transactions/out-tradeno/1", "ORDER_NOT_EXIST", ""),
    ],
)
def test_a_404_for_an_undocumented_path_suggests_the_segment(path, code, expected):
    """The path is at fault only where the catalogue does not have it."""
    request = Request("GET", f"https://api.mch.weixin.qq.com/{path}", route=path)
    error = failure(request, Response(404, content=json.dumps({"code": code, "message": "m"}).encode()))

    assert expected in str(error)
    assert bool(expected) == ("did you mean" in str(error))
