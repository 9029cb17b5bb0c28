"""Only what the merchant signed gets past APIv2's checks; its responses hold to the documents."""

from __future__ import annotations

import logging

import pytest
import sandboxes
from digests import digest, received
from sandboxes import NOW, asked, fields

from wechatpay import catalogue
from wechatpay.messages import Headers
from wechatpay.sandbox import HttpRequest, Rules, Sandbox, xml_messages

ORDER, QUERY, REFUND, BILL = (
    "/pay/unifiedorder",
    "/pay/orderquery",
    "/secapi/pay/refund",
    "/pay/downloadbill",
)
SECRET = sandboxes.identity().secret


@pytest.fixture
def gateway():
    """Give a sandbox without a socket."""
    return Sandbox(identity=sandboxes.identity(), clock=lambda: NOW, rules=Rules(early_bills=True))


@pytest.fixture
def response(gateway):
    """Give a function that asks it, and gives the fields of the response."""
    return lambda request: received(gateway._respond(request).response)


def xml(body, path=ORDER):
    """Make a request of any bytes."""
    return HttpRequest("POST", path, Headers({"Content-Type": "text/xml"}), body)


@pytest.mark.parametrize("algorithm", ["MD5", "HMAC-SHA256"])
def test_response_is_signed_as_the_request_was(response, algorithm):
    """The digest of the response's fields is of the request's kind; it names app, merchant and a nonce."""
    found = response(asked(ORDER, fields(sign_type=algorithm), algorithm))

    assert "SUCCESS" == found["result_code"]
    assert digest(found, algorithm, SECRET) == found["sign"]
    assert ("wx8888888888888888", "1900000109") == (found["appid"], found["mch_id"])
    assert found["nonce_str"]


@pytest.mark.parametrize("path", ["/pay/facepayquery", "/deposit/orderquery", "/pay/refundqueryv2"])
def test_one_number_names_an_order(response, path):
    """Where WeChat Pay takes either number, one is enough, and at least one is required."""
    party = {"appid": "wx8888888888888888", "mch_id": "1900000109", "nonce_str": "n"}

    assert "SUCCESS" == response(asked(path, {**party, "out_trade_no": "7"}))["result_code"]
    assert "LACK_PARAMS" == response(asked(path, party))["err_code"]


def test_nonces_of_responses_differ(response):
    """So that no two responses are the same."""
    assert response(asked(ORDER, fields()))["nonce_str"] != response(asked(ORDER, fields()))["nonce_str"]


def test_failures_are_signed_too(response):
    """An ``err_code`` comes with a signature."""
    found = response(asked(QUERY, fields(out_trade_no="7")))

    assert ("SUCCESS", "FAIL", "ORDERNOTEXIST") == (
        found["return_code"],
        found["result_code"],
        found["err_code"],
    )
    assert digest(found, "MD5", SECRET) == found["sign"]


def test_whom_it_concerns_is_echoed(response):
    """Sub-merchants and devices are told again."""
    more = {"sub_appid": "wx2", "sub_mch_id": "1900000108", "device_info": "WEB"}
    found = response(asked(ORDER, fields(**more)))

    assert more == {name: found[name] for name in more}


def test_empty_fields_are_not_signed(response):
    """What is empty counts as left out, for the signature and for the rules."""
    assert "SUCCESS" == response(asked(ORDER, fields(), attach="", limit_pay=""))["result_code"]


@pytest.mark.parametrize(
    ("given", "algorithm", "changes"),
    [
        pytest.param({}, "MD5", {"total_fee": "1"}, id="changed"),
        pytest.param({}, "MD5", {"attach": "x"}, id="added"),
        pytest.param({}, "MD5", {"sign": "0" * 32}, id="other sign"),
        pytest.param({}, "MD5", {"sign": ""}, id="empty sign"),
        pytest.param({}, "HMAC-SHA256", {}, id="not the algorithm it names"),
        pytest.param({"sign_type": "HMAC-SHA256"}, "MD5", {}, id="weaker than it says"),
    ],
)
def test_wrong_signature_is_refused(response, given, algorithm, changes):
    """The refusal has a ``return_msg``, and no signature."""
    found = response(asked(ORDER, fields(**given), algorithm, **changes))

    assert {"return_code": "FAIL", "return_msg": "签名错误"} == found


def test_signature_is_in_upper_case(response):
    """As the documents say."""
    request = asked(ORDER, fields())
    lower = digest(fields(), "MD5", SECRET).lower()

    assert "签名错误" == response(asked(ORDER, fields(), sign=lower))["return_msg"]
    assert "SUCCESS" == response(request)["return_code"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"mch_id": "1900000108"}, "商户号mch_id或sub_mch_id不存在", id="other merchant"),
        pytest.param({"mch_id": None}, "商户号mch_id或sub_mch_id不存在", id="no merchant"),
        pytest.param({"mchid": "1900000108"}, "商户号mch_id或sub_mch_id不存在", id="two merchants"),
        pytest.param({"sign_type": "SHA1"}, "sign_type参数格式错误", id="unknown algorithm"),
    ],
)
def test_stranger_is_refused(response, changes, words):
    """However well it is signed."""
    assert {"return_code": "FAIL", "return_msg": words} == response(asked(ORDER, fields(**changes)))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "post数据为空", id="empty"),
        pytest.param("<xml><a>茶</a></xml>".encode("gb18030"), "编码格式错误", id="other encoding"),
        pytest.param(b"<xml><a>1</a>", "XML格式错误", id="cut off"),
        pytest.param(b"{}", "XML格式错误", id="json"),
        pytest.param(b"<root><a>1</a></root>", "XML格式错误", id="other root"),
        pytest.param(b"<xml><a>1</a><a>2</a></xml>", "XML格式错误", id="field twice"),
        pytest.param(b"<xml><a><b>1</b></a></xml>", "XML格式错误", id="nested"),
        pytest.param(b"<!DOCTYPE xml><xml><a>1</a></xml>", "XML格式错误", id="document type"),
        pytest.param(b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><a>&a;</a></xml>', "XML格式错误", id="entity"),
        pytest.param(b"<xml><a>\0</a></xml>", "XML格式错误", id="character that XML does not allow"),
    ],
)
def test_what_is_no_document_is_refused(response, body, words):
    """In WeChat Pay's words."""
    assert {"return_code": "FAIL", "return_msg": words} == response(xml(body))


@pytest.mark.parametrize("text", ["", "a", "<&>\"'", "]]>", "]]]]>>", "\r\n\t\r", "微信 🍵"], ids=repr)
def test_any_text_is_written_so_that_it_is_read(text):
    """Texts come back letter by letter, from another parser as well; numbers go as they are."""
    written = xml_messages.write({"a": text, "b": 1})

    assert {"a": text, "b": "1"} == xml_messages.read(written)
    assert b"<b>1</b>" in written


def test_unknown_path_is_an_error(gateway):
    """404, once the signature is in order."""
    found = gateway._respond(asked("/pay/nowhere", fields())).response

    assert 404 == found.status
    assert "沙箱没有这个接口" in received(found)["return_msg"]
    assert (
        "签名错误"
        == received(gateway._respond(asked("/pay/nowhere", fields(), a="b")).response)["return_msg"]
    )


def test_orders_are_posted(response):
    """The fields of a GET are read from its query; but here it is the wrong method."""
    given = fields()
    query = "&".join(
        f"{name}={value}" for name, value in {**given, "sign": digest(given, "MD5", SECRET)}.items()
    )

    assert "请使用post方法" == response(HttpRequest("GET", f"{ORDER}?{query}", Headers(), b""))["return_msg"]


@pytest.mark.parametrize("nonce", [None, "", "n" * 33], ids=["missing", "empty", "long"])
def test_nonce_is_asked_for(response, nonce):
    """One to 32 characters."""
    assert response(asked(ORDER, fields(nonce_str=nonce)))["err_code"] in {"LACK_PARAMS", "PARAM_ERROR"}


@pytest.mark.parametrize("is_paid", [False, True], ids=["unpaid", "paid"])
@pytest.mark.parametrize("kind", ["JSAPI", "NATIVE", "APP", "MWEB"])
def test_responses_hold_to_the_documents(gateway, response, kind, is_paid):
    """Responses have every field that is always there, and no unknown one, each with a documented value."""
    order = fields(trade_type=kind, openid="o-1", attach="a", device_info="WEB")
    found = [(ORDER, response(asked(ORDER, order)))]
    if is_paid:
        gateway._ledger.pay(order["out_trade_no"])
        more = {"out_refund_no": "r1", "refund_fee": "1"}
        given = asked(REFUND, fields(**more), certificate=sandboxes.identity().serial)
        found.append((REFUND, response(given)))
        # A state of NOTPAY leaves out most of what the catalogue says is always there.
        found.append((QUERY, response(asked(QUERY, fields()))))
    for path, told in found:
        check(catalogue.find("POST", f"v2{path}").response, told)


def check(known, told):
    """Hold a response to its documented fields."""
    assert told.keys() <= known.keys() | {"cash_refund_fee", "device_info"}
    assert {name for name, field in known.items() if field.required} <= told.keys()
    for name, value in told.items():
        field = known.get(name)
        assert not (field and field.enum) or value in field.enum
        assert not field or field.type != "integer" or value.isdigit()


def test_unpaid_order_tells_little(response):
    """As documented: the number, what was attached, and the state."""
    response(asked(ORDER, fields(attach="a")))
    found = response(asked(QUERY, fields()))

    assert {"out_trade_no", "attach", "trade_state", "trade_state_desc"} == found.keys() - {
        "return_code", "return_msg", "result_code", "appid", "mch_id", "nonce_str", "sign",
    }  # fmt: skip


def test_every_response_has_a_line_in_the_log(gateway, caplog):
    """The log tells method, path, status and error code, and nothing of the contents."""
    caplog.set_level(logging.INFO, "wechatpay.sandbox")
    requests = [
        asked(ORDER, fields()),
        asked(QUERY, fields(out_trade_no="7")),
        asked(ORDER, fields(), sign="x"),
        asked(BILL, fields(bill_date="20231115")),
        asked(REFUND, fields()),
    ]
    for request in requests:
        gateway._respond(request)
    gateway._ledger.pay(fields()["out_trade_no"])
    gateway._respond(asked(BILL, fields(bill_date="20231115")))

    assert [
        "POST /pay/unifiedorder → 200",
        "POST /pay/orderquery → 200 ORDERNOTEXIST",
        "POST /pay/unifiedorder → 200 FAIL",
        "POST /pay/downloadbill → 200 20002",
        "POST /secapi/pay/refund → 400 FAIL",
        "POST /pay/downloadbill → 200",
    ] == [record.getMessage() for record in caplog.records]
