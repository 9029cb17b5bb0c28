"""What the text of an error says: what was called, what came back, what it means, and what to do next."""

from __future__ import annotations

import json
import re
import secrets
import time

import keys
import pytest
import rotation
import sandboxes
from wire.gateway import SERIAL, proof, reply, signed

from wechatpay import (
    APIError,
    Builder,
    ClockSkewError,
    NoResponseError,
    NotificationError,
    RedirectError,
    ServerError,
    SignatureError,
    UnknownSerialError,
    VerificationError,
)
from wechatpay.notification import NotificationHandler
from wechatpay.sandbox import Sandbox, faults

JSON = ("Content-Type", "application/json")
QUERY = "{} by {}, and repeat it with the same number only"

#: Calls, and the sentence that says what to do when their outcome is unknown.
STEPS = [
    pytest.param(
        "post",
        "v3/pay/transactions/native",
        QUERY.format("query it with GET v3/pay/transactions/out-trade-no/{out_trade_no}", "out_trade_no"),
        id="order",
    ),
    pytest.param(
        "post",
        "v3/refund/domestic/refunds",
        QUERY.format("query it with GET v3/refund/domestic/refunds/{out_refund_no}", "out_refund_no"),
        id="refund",
    ),
    pytest.param("get", "v3/certificates", "a query changes nothing: send it again", id="GET"),
]


def order(sandbox, number):
    """Make a Native order's body."""
    return {
        "mchid": sandbox.identity.mchid,
        "appid": "wx8888888888888888",
        "description": "tea",
        "notify_url": "https://shop.example.com/notify",
        "out_trade_no": number,
        "amount": {"total": 1},
    }


@pytest.fixture(scope="module")
def sandbox():
    """Give a WeChat Pay on loopback."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.mark.parametrize(("verb", "path", "step"), STEPS)
@pytest.mark.parametrize(
    ("fault", "kind", "outcome"),
    [
        (faults.Reset(), NoResponseError, "outcome unknown: no complete response from"),
        (faults.TruncatedBody(), NoResponseError, "outcome unknown: no complete response from"),
        (faults.WrongSignature(), SignatureError, "the outcome is unknown"),
        (faults.Unsigned(), VerificationError, "the outcome is unknown"),
        (faults.HtmlPage(502), ServerError, "the outcome is unknown"),
        (faults.Redirect(), RedirectError, "the outcome is unknown"),
    ],
    ids=["reset", "truncated", "forged", "unsigned", "502", "redirect"],
)
def test_error_of_unknown_outcome_says_what_to_do(sandbox, client, fault, kind, outcome, verb, path, step):
    """Money may have moved: the next step is the query of this very operation."""
    with Builder(**sandbox.settings()) as instance:
        paid, new = (f"N{secrets.token_hex(8)}" for _ in range(2))
        instance.v3.pay.transactions.native.post(json=order(sandbox, paid))
        sandbox.pay(paid)
        amount = {"refund": 1, "total": 1, "currency": "CNY"}
        bodies = {
            "v3/pay/transactions/native": order(sandbox, new),
            "v3/refund/domestic/refunds": {"out_trade_no": paid, "out_refund_no": new, "amount": amount},
        }
        options = {"json": bodies[path]} if path in bodies else {}
        sandbox.inject(fault)
        with pytest.raises(kind) as caught:
            client.call(instance.chain(path), verb, **options)

    assert outcome in str(caught.value)
    assert step in str(caught.value)


def test_undocumented_operation_is_to_be_queried(gateway, instance, client):
    """Without a documented query the advice stays general."""
    gateway.behaviour = lambda _, peer: peer.close()
    with pytest.raises(
        NoResponseError, match="; query what became of it, and repeat it with the same number"
    ):
        client.call(instance.v3.undocumented.things, "post", json={"out_trade_no": "N20261130001"})


@pytest.mark.parametrize("off", [4000, -4000], ids=["ahead", "behind"])
def test_refused_call_says_how_far_our_clock_is_off(sandbox, client, off):
    """A 401 whose `Date` is far from the time that we signed with names the difference."""
    with (
        Builder(**sandbox.settings(clock=lambda: time.time() + off)) as instance,
        pytest.raises(APIError) as caught,
    ):
        client.call(instance.v3.certificates, "get")

    assert 401 == caught.value.status_code
    found = re.search(
        r"; our clock is (\d+) s (ahead of|behind) the server's: set it right", str(caught.value)
    )
    assert abs(int(found[1]) - 4000) < 60
    assert ("ahead of" if off > 0 else "behind") == found[2]


def test_refused_call_does_not_blame_a_right_clock(sandbox, client):
    """A 401 for another reason says nothing about clocks."""
    with (
        Builder(**sandbox.settings(private_key=keys.private_key("stranger"))) as instance,
        pytest.raises(APIError) as caught,
    ):
        client.call(instance.v3.certificates, "get")

    assert "our clock" not in str(caught.value)


def test_unverified_response_says_how_far_our_clock_is_off(gateway, build, client):
    """The response is of just now by its own `Date`; our clock is what is wrong."""
    now = int(time.time())
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
    gateway.respond(signed(b"{}", "200 OK", ("Date", date), at=now))
    instance = build(clock=lambda: now + 600.0)
    with pytest.raises(ClockSkewError, match="; our clock is 600 s ahead of the server's: set it right"):
        client.call(instance.v3.certificates, "get")


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026", "Mon, 01 Jan 99999 00:00:00 GMT"])
def test_strange_date_is_passed_over(gateway, build, client, date):
    """What is not a date says nothing."""
    gateway.respond(signed(b"{}", "200 OK", ("Date", date), at=int(time.time()) - 400))
    with pytest.raises(ClockSkewError) as caught:
        client.call(build().v3.certificates, "get")

    assert "our clock is" not in str(caught.value)


def test_error_shows_the_template_and_explains_code_and_request_id(gateway, instance, client):
    """Trackers group by it: no business number in the path; the code and the Request-ID in English."""
    body = json.dumps({"code": "ORDER_NOT_EXIST", "message": "订单不存在"}).encode()
    reference = ("Request-ID", "08F78BB70610-268512771")
    gateway.respond(reply(body, "404 Not Found", JSON, reference))
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.pay.transactions.outTradeNo._out_trade_no_, "get", out_trade_no="N20261130")

    text = str(caught.value)
    assert text.startswith(
        "GET v3/pay/transactions/out-trade-no/{out_trade_no} → 404 ORDER_NOT_EXIST: 订单不存在 ("
    )
    assert "[Request-ID 08F78BB70610-268512771: order not found; " in text
    assert "N20261130" not in text


def test_code_with_several_meanings_is_explained_in_general(gateway, instance, client):
    """An operation's own explanation belongs to its own message, and to no other."""
    body = json.dumps({"code": "PARAM_ERROR", "message": "某个参数错误"}).encode()
    gateway.respond(reply(body, "400 Bad Request", JSON, ("Request-ID", "0815-0")))
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.pay.transactions.native, "post", json={})

    assert "(a parameter is missing, malformed or out of range; " in str(caught.value)
    assert str(caught.value).endswith(" [Request-ID 0815-0]")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ("401 Unauthorized", "SIGN_ERROR", "another wording"),
        ("400 Bad Request", "INVALID_REQUEST", "该商户号未绑定appid"),
    ],
)
def test_message_that_is_not_known_is_not_explained_by_another(
    status, code, message, gateway, instance, client
):
    """These codes stand for many mistakes: what explains one of them would mislead."""
    gateway.respond(reply(json.dumps({"code": code, "message": message}).encode(), status, JSON))
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.pay.transactions.jsapi, "post", json={})

    assert str(caught.value).endswith(f"{code}: {message}")


@pytest.mark.parametrize(
    ("message", "detail", "said"),
    [
        (
            "参数错误",
            {"field": "/body/amount/total", "value": "S3CRET"},
            "; detail.field: /body/amount/total",
        ),
        ("请求中含有未在API文档中定义的参数", {}, "; check=True names the member before it is sent"),
        (
            "Http头Wechatpay-Serial不是有效的微信支付公钥ID或平台证书序列号",
            {},
            "; the id of WeChat Pay's key in `certs` is not",
        ),
    ],
    ids=["field", "member", "serial"],
)
def test_parameter_that_is_wrong_is_named(message, detail, said, gateway, instance, client):
    """As far as the response names it, and never with its value."""
    body = json.dumps({"code": "PARAM_ERROR", "message": message, "detail": detail}).encode()
    gateway.respond(reply(body, "400 Bad Request", JSON))
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.pay.transactions.jsapi, "post", json={})

    assert said in str(caught.value)
    assert "S3CRET" not in str(caught.value)


def test_path_that_is_not_documented_is_corrected(gateway, instance, client):
    """WeChat Pay says RESOURCE_NOT_EXISTS of a path, too."""
    body = json.dumps({"code": "RESOURCE_NOT_EXISTS", "message": "x"}).encode()
    gateway.respond(reply(body, "404 Not Found", JSON))
    with pytest.raises(APIError, match="did you mean"):
        client.call(instance.v3.pay.transactions.out_trade_no._id_, "get", id="1")


def test_message_cannot_forge_log_lines(gateway, instance, client):
    """Line breaks and control characters of a message, a code or a Request-ID are escaped."""
    body = json.dumps({"code": "X\r\n", "message": "no\n2026-11-30 INFO paid\x1b[2J"}).encode()
    gateway.respond(reply(body, "400 Bad Request", JSON))
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.certificates, "get")

    assert r"X\r\n: no\n2026-11-30 INFO paid\x1b[2J" in str(caught.value)
    assert str(caught.value).isprintable()
    assert "no\n2026-11-30 INFO paid\x1b[2J" == caught.value.message


def test_download_url_with_a_token_is_not_shown(gateway, instance, client):
    """An absolute URL holds a token: the error shows its path alone."""
    gateway.respond(reply(b"{}", "400 Bad Request", JSON))
    with pytest.raises(APIError) as caught:
        client.call(instance[f"{gateway.url}v3/nowhere/file?token=secret-token"], "get")

    assert "GET /v3/nowhere/file → 400" in str(caught.value)
    assert "secret-token" not in str(caught.value)


@pytest.mark.parametrize("days", [(-400, -1), (1, 400)], ids=["expired", "not valid yet"])
def test_certificate_outside_its_dates_is_not_called_unknown(days, client, build, gateway):
    """Of a configured certificate the error says what is wrong with it, for responses and for callbacks."""
    serial, name = rotation.SERIALS["old"], "old"
    certs = {SERIAL: keys.public_key("platform"), serial: rotation.certificate(name, days)}
    gateway.respond(signed(b"{}", serial=serial, key=name))
    with pytest.raises(
        UnknownSerialError, match=f"{serial}.* outside its dates.* is the clock right"
    ) as caught:
        client.call(build(certs=certs).v3.x, "get")
    assert "but certs holds" not in str(caught.value)

    handler = NotificationHandler(certs=certs, apiv3_key=rotation.APIV3_KEY)
    with pytest.raises(NotificationError, match=f"{serial}.* outside its dates"):
        handler.parse(dict(proof(b"{}", serial=serial, key=name)), b"{}")
