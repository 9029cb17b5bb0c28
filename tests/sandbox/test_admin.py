"""The sandbox's HTTP interface for tests in other languages."""

from __future__ import annotations

import http.client
import json
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests
import sandboxes
from cases import each
from shops import serving

from wechatpay import APIError, Builder, NoResponseError
from wechatpay.sandbox import Sandbox, faults
from wechatpay.sandbox.clock import CHINA


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
            response = connection.getresponse()
            return response.status, json.loads(response.read())
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
    response = ask("inject", fault="ErrorResponse", status=403, code="NO_AUTH")
    with pytest.raises(APIError) as caught:
        call(sub_mchid="1900000999")

    assert (200, {"fault": "ErrorResponse"}) == response
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
        {"Host": "[::1"},
        {"Origin": "http://["},
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


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 100_000, b'{"seconds":' + b"[" * 100_000], ids=["cut", "nested", "nested member"]
)
def test_body_that_does_not_parse_is_refused(ask, body):
    """The reply says that the request was wrong; nothing of the sandbox failed."""
    status, found = ask("advance", body=body)

    assert (400, {"message"}) == (status, set(found))


def test_own_origin_is_accepted(sandbox, ask):
    """A page of the sandbox's own address may ask."""
    status, _ = ask("state", "GET", {"Origin": sandbox.base_uri.rstrip("/")})

    assert 200 == status


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "made-up"), ("GET", "pay"), ("POST", "state"), ("PUT", "pay")]
)
def test_unknown_action_is_refused_with_the_known_ones(ask, method, action):
    """404 lists them all."""
    status, found = ask(action, method)

    assert 404 == status
    assert "POST /_sandbox/pay" in found["message"]
    assert "POST /_sandbox/clear-faults" in found["message"]


@each(
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
        ("fill-bills", b'{"day":"2026-02-30","count":1}'),
        ("fill-bills", b'{"day":1,"count":1}'),
        ("fill-bills", b'{"day":"2026-02-03","count":-3}'),
        ("fill-bills", b'{"day":"2026-02-03","count":1.5}'),
        ("fill-bills", b'{"day":"2026-02-03","count":true}'),
        ("inject", b'{"fault":"MadeUp"}'),
        ("inject", b'{"fault":"Fault"}'),
        ("inject", b'{"fault":[]}'),
        ("inject", b'{"fault":"ErrorResponse","made_up":1}'),
        ("inject", b'{"fault":"ErrorResponse","times":0}'),
    ],
    ids=str,
)
def test_wrong_request_is_refused_with_the_reason(ask, action, body):
    """400 has a message; the sandbox still works."""
    status, found = ask(action, body=body)

    assert 400 == status
    assert found["message"]
    assert 200 == ask("state", method="GET")[0]


def test_bills_of_a_day_are_filled(sandbox, v3, ask):
    """The trade bill of that day has as many payments, and some refunds."""
    day = (datetime.fromtimestamp(sandbox.now, CHINA) - timedelta(days=2)).date().isoformat()
    assert 200 == ask("fill-bills", day=day, count=20, seed="admin")[0]
    offered = v3.bill.tradebill.get(query={"bill_date": day}).json()
    token = offered["download_url"].partition("token=")[2]
    lines = v3.billdownload.file.get(query={"token": token}).text.splitlines()

    assert 20 == sum(",`SUCCESS,`OTHERS," in line for line in lines)


def test_order_is_refunded(sandbox, v3, ask):
    """A part of it, then what is left, then nothing more."""
    order(sandbox, v3, "ADMIN-5")
    sandbox.pay("ADMIN-5")
    _, part = ask("refund", out_trade_no="ADMIN-5", amount=30, reason="cold")
    _, rest = ask("refund", out_trade_no="ADMIN-5")
    status, refused = ask("refund", out_trade_no="ADMIN-5")

    assert [30, 70] == [part["amount"], rest["amount"]]
    assert 400 == status
    assert "all refunded" in refused["message"]
    assert 400 == ask("refund", out_trade_no="NOWHERE-2")[0]


def test_transfer_is_listed_and_confirmed(sandbox, v3, ask):
    """A transfer waits until the payee confirms it."""
    v3.fundApp.mchTransfer.transferBills.post(
        json={
            "appid": sandbox.identity.app["appid"],
            "out_bill_no": "ADMINTRANSFER1",
            "transfer_scene_id": "1000",
            "openid": "oUpF8uMuAJOM2pxb1Q",
            "transfer_amount": 100,
            "transfer_remark": "prize",
            "transfer_scene_report_infos": [
                {"info_type": name, "info_content": "抽奖"} for name in ("活动名称", "奖励说明")
            ],
        }
    )
    (listed,) = ask("state", "GET")[1]["transfers"]

    assert ("ADMINTRANSFER1", "WAIT_USER_CONFIRM") == (listed["out_bill_no"], listed["state"])
    assert {"out_bill_no": "ADMINTRANSFER1", "state": "SUCCESS"} == ask(
        "confirm-transfer", out_bill_no="ADMINTRANSFER1"
    )[1]


def test_callback_is_sent_and_sent_again(sandbox, ask):
    """Any event, to any URL of this machine, with the members that matter."""
    with serving() as shop:
        resource = {"out_trade_no": "ADMIN-6"}
        assert 200 == ask("trigger", url=shop.url, event="TRANSACTION.SUCCESS", resource=resource)[0]
        first = sandbox.expect_callback("TRANSACTION.SUCCESS")
        (attempt,) = ask("state", "GET")[1]["attempts"]
        assert 200 == ask("resend", event_id=attempt["id"])[0]
        again = sandbox.expect_callback("TRANSACTION.SUCCESS")

    assert "ADMIN-6" == first.resource["out_trade_no"] == again.resource["out_trade_no"]
    assert 400 == ask("resend", event_id="NOWHERE")[0]
    assert 400 == ask("trigger", url="https://example.com/notify")[0]
    assert 400 == ask("trigger", url=shop.url, resource=[])[0]


def test_callbacks_are_disturbed(sandbox, ask):
    """What is given replaces what was there."""
    status, found = ask("disturb-callbacks", duplicates=1, probes=True)

    assert 200 == status
    assert (1, 0.0, True) == (found["duplicates"], found["delay"], found["has_probes"])
    assert 400 == ask("disturb-callbacks", delay=-1)[0]


def test_keys_are_rotated_and_retired(sandbox, ask):
    """The new key signs; the old one is withdrawn."""
    before = list(sandbox.settings()["certs"])
    _, made = ask("rotate")
    assert 200 == ask("retire", serial=before[0])[0]

    assert [made["serial"], *before[1:]] == list(sandbox.settings()["certs"])
    assert made["published"].startswith("-----BEGIN CERTIFICATE-----")


def test_state_is_saved_loaded_and_reset(sandbox, v3, ask):
    """What was saved is there again after a reset."""
    order(sandbox, v3, "ADMIN-7")
    _, saved = ask("save", "GET")
    assert (200, {}) == ask("reset")
    assert {} == sandbox.orders
    assert (200, {}) == ask("load", saved=saved)

    assert ["ADMIN-7"] == list(sandbox.orders)
    assert [400] * 3 == [ask("load", saved=nonsense)[0] for nonsense in ({"x": []}, {}, None)]
    assert ["ADMIN-7"] == list(sandbox.orders)


def test_traffic_is_shown(sandbox, v3, ask):
    """In short and whole, with what the request signs."""
    order(sandbox, v3, "ADMIN-8")
    _, (listed,) = ask("exchanges", "GET")
    status, whole = ask(f"exchange?number={listed['number']}", "GET")

    assert ("POST", "/v3/pay/transactions/native", 200, True) == tuple(
        listed[name] for name in ("method", "path", "status", "is_verified")
    )
    assert "Native" in listed["title"]
    assert 200 == status
    assert "ADMIN-8" in whole["request"]["body"]
    assert "code_url" in whole["response"]["body"]
    assert "body" == whole["signature"]["lines"][-1]["name"]
    assert [] == ask(f"exchanges?after={listed['number']}", "GET")[1]
    assert 404 == ask("exchange?number=99", "GET")[0]
    assert 400 == ask("exchange?number=a", "GET")[0]
    assert 400 == ask("exchange?invented=1", "GET")[0]


def test_binary_and_long_bodies_are_cut(sandbox, v3, ask):
    """A picture is not shown, a long text is shortened; a reset connection has no response."""
    url = f"{sandbox.base_uri}v3/certificates"
    requests.post(url, data=b"\xff\xfe", timeout=5)
    requests.post(url, data=b"a" * 30_000, timeout=5)
    sandbox.inject(faults.Reset())
    with pytest.raises(NoResponseError):
        v3.certificates.get()
    bodies = [ask(f"exchange?number={number}", "GET")[1]["request"]["body"] for number in (1, 2)]

    assert "(2 bytes)" == bodies[0]
    assert bodies[1].endswith("… (30000 bytes)")
    assert len(bodies[1]) < 21_000
    assert ask("exchange?number=3", "GET")[1]["response"] is None


def test_settings_and_fault_kinds_are_shown(sandbox, ask):
    """The settings are those of the settings file."""
    assert sandbox.identity.mchid == ask("settings", "GET")[1]["mchid"]
    kinds = {kind["fault"]: kind for kind in ask("fault-kinds", "GET")[1]}
    assert {"name": "executed", "type": "bool", "default": True} in kinds["Reset"]["fields"]
    assert "Reencoded" not in kinds
    assert all(kind["text"] for kind in kinds.values())


def test_code_is_drawn(sandbox):
    """It is a picture of its own, without a script."""
    response = requests.get(f"{sandbox.base_uri}_sandbox/qr", params={"text": "weixin://wxpay"}, timeout=5)

    assert "image/svg+xml" == response.headers["Content-Type"]
    assert response.text.startswith("<svg")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html"),
        ("_sandbox/phone.html", "text/html"),
        ("_sandbox/main.js", "text/javascript"),
        ("_sandbox/console.css", "text/css"),
        ("_sandbox/icon.svg", "image/svg+xml"),
    ],
)
def test_console_cannot_be_framed_and_loads_nothing_from_elsewhere(sandbox, path, kind):
    """The headers forbid it; a page of another origin gets nothing at all."""
    url = f"{sandbox.base_uri}{path}"
    response = requests.get(url, timeout=5)

    assert (200, f"{kind}; charset=utf-8") == (response.status_code, response.headers["Content-Type"])
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert 403 == requests.get(url, headers={"Host": "evil.example"}, timeout=5).status_code
    assert 403 == requests.get(url, headers={"Origin": "https://evil.example"}, timeout=5).status_code


@pytest.mark.parametrize("name", ["none.js", "../admin.py", "..%2fadmin.py", "console.py", "sub/main.js"])
def test_other_files_are_not_served(sandbox, name):
    """Nothing but the console's own files is readable."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(sandbox.base_uri).port, timeout=10)
    connection.request("GET", f"/_sandbox/{name}")
    status = connection.getresponse().status
    connection.close()

    assert 404 == status


def test_events_are_sent_as_they_happen(sandbox, v3):
    """First what is there, then each request; the stream ends with the sandbox."""
    order(sandbox, v3, "ADMIN-9")
    with requests.get(f"{sandbox.base_uri}_sandbox/events", stream=True, timeout=10) as response:
        lines = response.iter_lines(decode_unicode=True)
        assert "text/event-stream; charset=utf-8" == response.headers["Content-Type"]
        first = next(json.loads(line[6:]) for line in lines if line.startswith('data: {"number'))
        order(sandbox, v3, "ADMIN-10")
        second = next(json.loads(line[6:]) for line in lines if line.startswith('data: {"number'))
        sandbox.stop()

    assert [1, 2] == [first["number"], second["number"]]


def test_other_merchant_is_named(ask):
    """An action concerns the first merchant unless it names another one."""
    status, found = ask("pay", mchid="1900000999", out_trade_no="1")

    assert 400 == status
    assert "1900000999" in found["message"]
