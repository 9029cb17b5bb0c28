"""The sandbox's HTTP interface for tests in other languages."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
import sandboxes
from shops import serving

from wechatpay import APIError, Builder
from wechatpay.sandbox import Sandbox


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity(), refund_delay=60) as running:
        yield running


@pytest.fixture
def v3(sandbox):
    """Give the root of APIv3's chain."""
    with Builder(**sandbox.settings()) as instance:
        yield instance.v3


@pytest.fixture
def ask(sandbox):
    """Give a function that sends a request as another language's tests do, and gives status and JSON."""

    def ask(action, method="POST", headers=None, body=None, **given):
        port = urlsplit(sandbox.base_uri).port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            text = json.dumps(given).encode() if body is None else body
            connection.request(method, f"/_sandbox/{action}", text, headers or {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return ask


def order(sandbox, v3, number, notify_url="https://example.com/notify"):
    """Place an order of one yuan."""
    v3.pay.transactions.native.post(
        json={
            "appid": sandbox.identity.app["appid"],
            "mchid": sandbox.identity.mchid,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": notify_url,
            "amount": {"total": 100},
        }
    )


def test_order_is_paid(sandbox, v3, ask):
    """The reply describes the paid order, and the callback follows."""
    with serving() as shop:
        order(sandbox, v3, "ADMIN-1", shop.url)
        status, paid = ask("pay", out_trade_no="ADMIN-1", openid="oUpF8uMuAJOM2pxb1Q")
        called = sandbox.expect_callback("TRANSACTION.SUCCESS")

    assert (200, "SUCCESS", 0) == (status, paid["state"], paid["refunded"])
    assert called.is_acknowledged


@pytest.mark.parametrize("action", ["decline", "expire"])
def test_order_stays_unpaid(sandbox, v3, ask, action):
    """An attempt that fails, and the end of the time to pay, leave the order ``NOTPAY``."""
    order(sandbox, v3, "ADMIN-2")
    status, found = ask(action, out_trade_no="ADMIN-2")

    assert (200, "NOTPAY") == (status, found["state"])


def test_refund_is_settled(sandbox, v3, ask):
    """The status that was asked for is the refund's."""
    order(sandbox, v3, "ADMIN-3")
    sandbox.pay("ADMIN-3")
    amount = {"refund": 40, "total": 100, "currency": "CNY"}
    given = {"out_trade_no": "ADMIN-3", "out_refund_no": "R-ADMIN-3", "amount": amount}
    v3.refund.domestic.refunds.post(json=given)
    status, settled = ask("settle-refund", out_refund_no="R-ADMIN-3", status="ABNORMAL")

    assert (200, "ABNORMAL") == (status, settled["status"])
    assert "ABNORMAL" == v3.refund.domestic.refunds._n_.get(n="R-ADMIN-3").json()["status"]


def test_unknown_transfer_is_not_confirmed(ask):
    """400 says what is wrong."""
    status, found = ask("confirm-transfer", out_bill_no="NOWHERE1")

    assert 400 == status
    assert "unknown" in found["message"]


def test_clock_is_advanced(sandbox, ask):
    """The reply has the new time."""
    before = sandbox.now
    status, found = ask("advance", seconds=3600)

    assert 200 == status
    assert before + 3600 <= found["now"] <= sandbox.now


def test_fault_is_injected_once(v3, ask):
    """The next call meets it, and the one after that does not."""
    call = v3.profitsharing.merchantConfigs._sub_mchid_.get
    answer = ask("inject", fault="ErrorResponse", status=403, code="NO_AUTH")
    with pytest.raises(APIError) as caught:
        call(sub_mchid="1900000999")

    assert (200, {"fault": "ErrorResponse"}) == answer
    assert (403, "NO_AUTH") == (caught.value.status_code, caught.value.code)
    assert 200 == call(sub_mchid="1900000999").status_code


def test_faults_are_cleared(v3, ask):
    """A fault for all calls is gone."""
    ask("inject", fault="ErrorResponse", status=403, code="NO_AUTH", times=None)

    assert (200, {}) == ask("clear-faults")
    assert 200 == v3.profitsharing.merchantConfigs._sub_mchid_.get(sub_mchid="1900000999").status_code


def test_state_lists_what_happened(sandbox, v3, ask):
    """Orders, attempts and requests are there; requests of this interface are not."""
    with serving() as shop:
        order(sandbox, v3, "ADMIN-4", shop.url)
        sandbox.pay("ADMIN-4")
    status, state = ask("state", method="GET")

    assert 200 == status
    assert {"now", "orders", "attempts", "requests", "waiting", "faults", "merchants"} <= state.keys()
    assert [("ADMIN-4", "SUCCESS")] == [(o["out_trade_no"], o["state"]) for o in state["orders"]]
    assert [(1, True)] == [(a["number"], a["is_acknowledged"]) for a in state["attempts"]]
    assert [{"method": "POST", "path": "/v3/pay/transactions/native"}] == state["requests"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "127.0.0.1.example.com:80"},
        {"Origin": "https://example.com"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "action"), [("POST", "advance"), ("GET", "state")])
def test_foreign_page_is_refused(sandbox, ask, method, action, headers):
    """No web page from elsewhere controls the sandbox, or reads from it."""
    before = sandbox.now
    status, found = ask(action, method, headers, seconds=3600)

    assert (403, {"message": "requests of other origins are refused"}) == (status, found)
    assert sandbox.now < before + 3600


def test_own_origin_is_accepted(sandbox, ask):
    """A page of the sandbox's own address may ask."""
    status, _ = ask("state", "GET", {"Origin": sandbox.base_uri.rstrip("/")})

    assert 200 == status


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "made-up"), ("GET", "pay"), ("POST", "state"), ("PUT", "pay")]
)
def test_unknown_action_is_answered_with_the_known_ones(ask, method, action):
    """404 lists them all."""
    status, found = ask(action, method)

    assert 404 == status
    assert "POST /_sandbox/pay" in found["message"]
    assert "POST /_sandbox/clear-faults" in found["message"]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("pay", b"{"),
        ("pay", b"\xff"),
        ("pay", b"[]"),
        ("pay", b""),
        ("pay", b'{"out_trade_no":"NOWHERE-1"}'),
        ("pay", b'{"out_trade_no":"NOWHERE-1","made_up":1}'),
        ("pay", b'{"out_trade_no":[]}'),
        ("pay", b'{"sandbox":1,"out_trade_no":"1"}'),
        ("decline", b'{"out_trade_no":{}}'),
        ("advance", b'{"seconds":-1}'),
        ("advance", b'{"seconds":"1"}'),
        ("advance", b'{"seconds":NaN}'),
        ("advance", b'{"seconds":Infinity}'),
        ("advance", b'{"seconds":1e300}'),
        ("settle-refund", b'{"out_refund_no":"NOWHERE-1"}'),
        ("settle-refund", b'{"out_refund_no":"NOWHERE-1","status":"MADE_UP"}'),
        ("inject", b'{"fault":"MadeUp"}'),
        ("inject", b'{"fault":"Fault"}'),
        ("inject", b'{"fault":[]}'),
        ("inject", b'{"fault":"ErrorResponse","made_up":1}'),
        ("inject", b'{"fault":"ErrorResponse","times":0}'),
    ],
    ids=str,
)
def test_wrong_request_is_answered_with_the_reason(ask, action, body):
    """400 has a message; the sandbox still works."""
    status, found = ask(action, body=body)

    assert 400 == status
    assert found["message"]
    assert 200 == ask("state", method="GET")[0]
