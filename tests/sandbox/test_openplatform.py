"""The open platform in the sandbox: tokens, and payers' unionids for five minutes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import sandboxes
from sandboxes import Clock
from wire.clients import Sync

from wechatpay import APIError, Builder, NoResponseError, ReadTimeoutError
from wechatpay.sandbox import Sandbox, faults
from wechatpay.sandbox.messages import Channel, HttpRequest

PAYER = "oUpF8uMuAJOM2pxb1Q"
APP = sandboxes.identity().app
GRANT = {"grant_type": "client_credential", **APP}


@pytest.fixture
def client():
    """Give one way of making a call: the sandbox cannot tell one from another."""
    return Sync()


@pytest.fixture
def clock():
    """Give a clock for both sides."""
    return Clock()


@pytest.fixture
def sandbox(clock):
    """Give a sandbox where one order was just paid."""
    with Sandbox(identity=sandboxes.identity(), clock=clock) as sandbox:
        with Builder(**sandbox.settings()) as instance:
            for number in ("N1", "N2"):
                instance.v2.pay.unifiedorder.post(
                    xml=sandboxes.fields(nonce_str=None, out_trade_no=number, appid=APP["appid"])
                )
        sandbox.pay("N1", openid=PAYER)
        yield sandbox


@pytest.fixture
def platform(clock):
    """Give a function that asks the open platform without a socket, and gives status and JSON."""
    gateway = Sandbox(identity=sandboxes.identity(), clock=clock)

    def ask(target, body=None, headers=(), *, method=None, channel=None):
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        received = HttpRequest(
            method or ("GET" if body is None else "POST"),
            target,
            sandboxes.Headers(headers),
            content,
            channel or sandboxes.PLAIN,
        )
        response = gateway._respond(received).response
        return response.status, json.loads(response.body)

    return ask


def unionid(client, instance, **way):
    """Ask for the payer's unionid."""
    query = {"openid": PAYER, **(way or {"out_trade_no": "N1"})}
    return client.call(instance.wxa.getpaidunionid, "get", query=query).json()["unionid"]


def refused(client, instance, **way):
    """Give the code of the error that asking ends in."""
    with pytest.raises(APIError) as caught:
        unionid(client, instance, **way)
    return caught.value.code


def asked(sandbox):
    """Give the paths that were asked for on the open platform, in their order."""
    paths = (received.path for received in sandbox.requests)
    return [path for path in paths if path.startswith(("/wxa/", "/cgi-bin/"))]


def test_payers_unionid_is_told(client, sandbox, instance):
    """By WeChat Pay's number or by the merchant's, for the same payer the same."""
    number = sandbox.orders["N1"].payment.transaction_id
    found = {unionid(client, instance), unionid(client, instance, transaction_id=number)}

    assert 1 == len(found)
    assert 28 == len(found.pop())


def test_it_is_told_for_five_minutes(client, instance, clock):
    """Up to 300 s after the payment, and no longer."""
    clock.now += 300
    assert unionid(client, instance)
    clock.now += 1

    assert "89300" == refused(client, instance)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        pytest.param({"out_trade_no": "N2"}, "89300", id="not paid"),
        pytest.param({"out_trade_no": "N3"}, "89300", id="no order"),
        pytest.param({"transaction_id": "4200"}, "89300", id="no payment"),
        pytest.param({"out_trade_no": "N1", "mch_id": "1230000109"}, "89300", id="another merchant"),
        pytest.param(
            {"out_trade_no": "N1", "openid": "oUpF8uMuAJOM2pxb1Q_other"}, "89300", id="another payer"
        ),
        pytest.param({"out_trade_no": "N1", "openid": "nobody"}, "40003", id="no openid"),
        pytest.param({"out_trade_no": "N1", "openid": f"{PAYER}_unbound"}, "89002", id="unbound"),
    ],
)
def test_others_are_not_told(client, instance, way, code):
    """The platform's own codes say why."""
    assert code == refused(client, instance, **way)


def test_order_in_another_app_is_not_told(client, sandbox, instance):
    """An openid belongs to an app."""
    xml = sandboxes.fields(nonce_str=None, out_trade_no="N4", appid="wx1")
    instance.v2.pay.unifiedorder.post(xml=xml)
    sandbox.pay("N4", openid=PAYER)

    assert "89300" == refused(client, instance, out_trade_no="N4")


def test_one_token_serves_until_it_is_about_to_expire(client, sandbox, instance, clock):
    """A token is fetched once in two hours."""
    unionid(client, instance)
    clock.now += 6900
    refused(client, instance)
    assert 1 == asked(sandbox).count("/cgi-bin/stable_token")

    clock.now += 100
    refused(client, instance)
    assert 2 == asked(sandbox).count("/cgi-bin/stable_token")


def test_retired_token_is_replaced_once(client, sandbox, instance):
    """Somebody else's forced refresh costs one more fetch, and no call."""
    unionid(client, instance)
    with Builder(**sandbox.settings()) as other:
        other.cgiBin.stable_token.post(json={**GRANT, "force_refresh": True})
    before = len(sandbox.requests)

    assert unionid(client, instance) == unionid(client, instance)
    assert ["getpaidunionid", "stable_token", "getpaidunionid", "getpaidunionid"] == [
        received.path.rpartition("/")[2] for received in sandbox.requests[before:]
    ]


def test_older_endpoint_retires_its_last_token(client, instance):
    """Each call of cgi-bin/token ends the token of the one before, and leaves stable ones alone."""
    node, query = instance.cgiBin.token, {"grant_type": "client_credential"}
    first, second = (client.call(node, "get", query=query).json()["access_token"] for _ in range(2))

    assert unionid(client, instance)
    assert unionid(client, instance, out_trade_no="N1", access_token=second)
    assert "40001" == refused(client, instance, out_trade_no="N1", access_token=first)


def test_threads_share_one_token(sandbox, instance, client):
    """However many ask at once, one fetch serves them."""
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(lambda _: unionid(client, instance), range(40)))

    assert (1, 1) == (len(found), asked(sandbox).count("/cgi-bin/stable_token"))


def test_nothing_of_payments_arrives(client, sandbox, instance):
    """What the library sends there carries no signature, no serial number and no certificate."""
    unionid(client, instance)
    there = [received for received in sandbox.requests if received.path in asked(sandbox)]

    assert 2 == len(there)
    assert not any(
        name.lower().startswith(("authorization", "wechatpay-")) for one in there for name in one.headers
    )


@pytest.mark.parametrize(
    ("headers", "channel", "leak"),
    [
        ({"Authorization": "WECHATPAY2-SHA256-RSA2048 x"}, None, "Authorization"),
        ({"authorization": "Bearer x"}, None, "authorization"),
        ({"Wechatpay-Serial": "PUB_KEY_ID_1"}, None, "Wechatpay-Serial"),
        ({}, Channel("5A00"), "merchant certificate"),
    ],
)
def test_what_is_payments_is_refused_there(platform, headers, channel, leak):
    """A client that leaks is told at once; the real platform would keep what it got."""
    status, body = platform("/wxa/getpaidunionid?access_token=x", None, headers, channel=channel)

    assert (400, 40097) == (status, body["errcode"])
    assert f"{leak} must never be sent to api.weixin.qq.com" in body["errmsg"]


@pytest.mark.parametrize(
    ("target", "body", "method", "code"),
    [
        pytest.param("/wxa/unheardof", None, None, 40066, id="unknown"),
        pytest.param("/sns/jscode2session", None, None, 40066, id="not served"),
        pytest.param("/cgi-bin/stable_token", None, None, 43002, id="get"),
        pytest.param("/cgi-bin/token", {}, None, 43001, id="post"),
        pytest.param("/wxa/getpaidunionid", None, None, 41001, id="no token"),
        pytest.param("/wxa/getpaidunionid?access_token=x", None, None, 40014, id="unknown token"),
        pytest.param("/cgi-bin/stable_token", b"{", None, 47001, id="not json"),
        pytest.param("/cgi-bin/stable_token", [], None, 47001, id="no object"),
        pytest.param("/cgi-bin/stable_token", GRANT | {"force_refresh": 1}, None, 47001, id="force"),
        pytest.param("/cgi-bin/stable_token", {}, None, 40002, id="no grant"),
        pytest.param("/cgi-bin/stable_token", {**GRANT, "appid": ""}, None, 41002, id="no appid"),
        pytest.param("/cgi-bin/stable_token", {**GRANT, "appid": "wx1"}, None, 40013, id="appid"),
        pytest.param("/cgi-bin/stable_token", {**GRANT, "secret": None}, None, 41004, id="no secret"),
        pytest.param("/cgi-bin/stable_token", {**GRANT, "secret": "x"}, None, 40125, id="secret"),
        pytest.param(
            "/cgi-bin/token?grant_type=client_credential&appid=x&secret=y", None, None, 40013, id="get"
        ),
    ],
)
def test_mistakes_get_the_platforms_codes(platform, target, body, method, code):
    """Errors come with status 200, as there."""
    status, response = platform(target, body, method=method)

    assert (200, code) == (status, response["errcode"])


def test_tokens_expire_and_overlap(platform, clock):
    """A stable token is the same for two hours but five minutes; then both are good, until the first ends."""

    def fetch():
        return platform("/cgi-bin/stable_token", GRANT)[1]

    def code(token):
        return platform(f"/wxa/getpaidunionid?access_token={token}&openid=nobody")[1]["errcode"]

    first = fetch()
    clock.now += 6899
    again = fetch()
    clock.now += 1
    second = fetch()

    assert (7200, 301, 7200) == (first["expires_in"], again["expires_in"], second["expires_in"])
    assert first["access_token"] == again["access_token"] != second["access_token"]
    assert [40003, 40003] == [code(token["access_token"]) for token in (first, second)]
    clock.now += 300
    assert [42001, 40003] == [code(token["access_token"]) for token in (first, second)]


def test_busy_platform_may_be_asked_again(client, sandbox, instance):
    """Its errors can be injected; what is WeChat Pay's waits for WeChat Pay."""
    sandbox.inject(faults.WrongSignature())
    sandbox.inject(faults.ErrorResponse(code="-1", message="system error"), path="wxa/getpaidunionid")
    with pytest.raises(APIError, match="-1: system error") as caught:
        unionid(client, instance)

    assert (True, 200) == (caught.value.retryable, caught.value.status_code)
    assert unionid(client, instance)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(faults.Reset(), NoResponseError, id="reset"),
        pytest.param(faults.Delay(5), ReadTimeoutError, id="delay"),
        pytest.param(faults.TruncatedBody(), NoResponseError, id="truncated"),
        pytest.param(faults.ErrorResponse(), APIError, id="WeChat Pay's own code"),
    ],
)
def test_faults_of_connections_befall_the_platform(client, sandbox, instance, fault, error):
    """A missing response is an error, wherever it was asked for."""
    sandbox.inject(fault, path="wxa/getpaidunionid")
    query = {"openid": PAYER, "out_trade_no": "N1"}
    with pytest.raises(error):
        client.call(instance.wxa.getpaidunionid, "get", query=query, timeout=0.5)
