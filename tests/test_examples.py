"""The examples, started as their README says, against the sandbox."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import sandboxes

from wechatpay import formatter, testing
from wechatpay.crypto import rsa
from wechatpay.sandbox import Sandbox, faults
from wechatpay.sandbox.settings_snippet import environment

EXAMPLES = Path(__file__).parents[1] / "examples"
OPENID = "oUpF8uMuAJOM2pxb1Q"

SERVERS = {
    "fastapi": ("-m", "uvicorn", "fastapi_shop:app", "--port", "8000"),
    "flask": ("-m", "flask", "--app", "flask_shop", "run", "--port", "8000"),
    "django": ("django_shop.py", "runserver", "--noreload", "8000"),
}


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def variables(sandbox, tmp_path_factory):
    """Give the environment that ``wechatpay sandbox --env`` prints."""
    keys = tmp_path_factory.mktemp("keys")
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, **environment(sandbox, keys), "PYTHONWARNINGS": "default"}


class Shop:
    """A shop that runs, and its interface."""

    def __init__(self, url, log):
        self.url = url
        self.log = log
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path, **query):
        """Ask the shop to do something."""
        response = self.session.post(f"{self.url}/orders/{path}", params=query, timeout=20)
        return response.status_code, response.json()

    def order(self, number):
        """Ask for an order."""
        return self.session.get(f"{self.url}/orders/{number}", timeout=20).json()

    def notify(self, callback):
        """Deliver a callback, and return the status of the reply."""
        url = f"{self.url}/wechatpay/notify"
        return self.session.post(url, callback.body, headers=callback.headers, timeout=20).status_code


@pytest.fixture(scope="module", params=SERVERS)
def shop(request, variables, tmp_path_factory):
    """Give a shop that runs under its framework's own server."""
    port = free_port()
    command = [part.replace("8000", str(port)) for part in SERVERS[request.param]]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("shop") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=EXAMPLES,
            env={**variables, "SHOP_NOTIFY_URL": f"{url}/wechatpay/notify"},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, process, log)
        yield Shop(url, log)
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text()


def test_shop_sells_in_wechat_and_refunds_a_part(shop, sandbox):
    """JSAPI order, parameters of the page, payment, callback, query, partial refund and its callback."""
    status, order = shop.post("jsapi", item="tea", openid=OPENID)
    number, page = order["number"], order["payment"]
    signed = formatter.joined_by_line_feed(
        *(page[name] for name in ("appId", "timeStamp", "nonceStr", "package"))
    )

    assert (200, "RSA") == (status, page["signType"])
    assert rsa.verify(signed, page["paySign"], rsa.load_public_key(sandbox.identity.certificate))

    sandbox.pay(number)
    assert sandbox.expect_callback("TRANSACTION.SUCCESS").is_acknowledged
    assert {"total": 101, "state": "SUCCESS", "refunds": {}} == shop.order(number)

    assert (200, {"refund": f"{number}R1"}) == shop.post(f"{number}/refunds/1", amount=40)
    assert sandbox.expect_callback("REFUND.SUCCESS").is_acknowledged
    assert {f"{number}R1": "SUCCESS"} == shop.order(number)["refunds"]
    assert 40 == sandbox.orders[number].refunded

    status, refused = shop.post(f"{number}/refunds/2", amount=62)
    assert 409 == status
    assert "NOT_ENOUGH" in refused["error"] or "INVALID_REQUEST" in refused["error"]


def test_shop_sells_by_qr_code_and_closes_what_nobody_paid(shop, sandbox):
    """Native orders: one is paid and told by callback alone, the other one is closed."""
    _, paid = shop.post("native", item="tea")
    _, unpaid = shop.post("native", item="tea")
    sandbox.pay(paid["number"])
    sandbox.expect_callback("TRANSACTION.SUCCESS")

    assert paid["code_url"].startswith("weixin://wxpay/")
    assert "NOTPAY" == shop.order(unpaid["number"])["state"]
    status, closed = shop.post(f"{unpaid['number']}/close")
    assert (200, "CLOSED") == (status, closed["state"])
    assert 409 == shop.post(f"{paid['number']}/close")[0]


def test_shop_refunds_once_when_the_response_is_lost(shop, sandbox):
    """The same request again, a minute later, gets the same refund: the client has numbered it."""
    _, order = shop.post("native", item="tea")
    number = order["number"]
    sandbox.pay(number)
    sandbox.expect_callback("TRANSACTION.SUCCESS")

    sandbox.inject(faults.Reset(executed=True), path="v3/refund/domestic/refunds")
    lost, _ = shop.post(f"{number}/refunds/1", amount=40)
    assert sandbox.expect_callback("REFUND.SUCCESS").is_acknowledged
    sandbox.advance(61)

    assert (502, 200, {"refund": f"{number}R1"}) == (lost, *shop.post(f"{number}/refunds/1", amount=40))
    assert {f"{number}R1": "SUCCESS"} == shop.order(number)["refunds"]
    assert 40 == sandbox.orders[number].refunded
    assert 409 == shop.post(f"{number}/refunds/1", amount=41)[0]
    assert 200 == shop.post(f"{number}/refunds/2", amount=40)[0]
    assert 80 == sandbox.orders[number].refunded


def test_shop_reports_a_payment_of_another_amount(shop, sandbox):
    """It is not booked, its callback is not acknowledged, and each delivery is an error in the log."""
    _, order = shop.post("native", item="tea")
    wrong = testing.Platform(identity=sandbox.identity).notification(
        "TRANSACTION.SUCCESS", {"out_trade_no": order["number"], "amount": {"total": 1}}
    )
    statuses = [shop.notify(wrong), shop.notify(wrong)]

    assert [500, 500] == statuses
    assert "NOTPAY" == shop.order(order["number"])["state"]
    assert 2 == shop.log.read_text().count(f"order {order['number']}: 1 fen were paid instead of 101")


def test_shop_takes_no_state_back_when_callbacks_come_late(shop, sandbox):
    """A refunded order stays so, and a refund that succeeded: after it was abnormal, not before."""
    number = shop.post("native", item="tea")[1]["number"]
    order = {"out_trade_no": number, "amount": {"total": 101}}
    refunds = {name: {**order, "out_refund_no": name} for name in ("R1", "R2")}
    events = [
        ("TRANSACTION.SUCCESS", {**order, "trade_state": "REFUND"}),
        ("TRANSACTION.SUCCESS", {**order, "trade_state": "SUCCESS"}),
        ("REFUND.SUCCESS", {**refunds["R1"], "refund_status": "SUCCESS"}),
        ("REFUND.ABNORMAL", {**refunds["R1"], "refund_status": "ABNORMAL"}),
        ("REFUND.ABNORMAL", {**refunds["R2"], "refund_status": "ABNORMAL"}),
        ("REFUND.SUCCESS", {**refunds["R2"], "refund_status": "SUCCESS"}),
    ]
    notification = testing.Platform(identity=sandbox.identity).notification

    assert [200] * 6 == [shop.notify(notification(*event)) for event in events]
    # The sandbox, which the shop queries, still calls the order unpaid.
    expected = {"total": 101, "state": "REFUND", "refunds": {"R1": "SUCCESS", "R2": "SUCCESS"}}
    assert expected == shop.order(number)


def test_shop_refuses_a_forged_callback(shop):
    """A callback that WeChat Pay did not sign gets 401, and books nothing."""
    _, order = shop.post("native", item="tea")
    forged = testing.Platform().notification("TRANSACTION.SUCCESS", {"out_trade_no": order["number"]})

    assert 401 == shop.notify(forged)
    assert "NOTPAY" == shop.order(order["number"])["state"]


@pytest.mark.parametrize("name", ["direct", "partner"])
def test_script_orders_queries_and_closes(name, variables, sandbox):
    """The scripts run from top to bottom."""
    command, before = [sys.executable, f"{name}.py"], set(sandbox.orders)
    ran = subprocess.run(command, cwd=EXAMPLES, env=variables, capture_output=True, text=True, check=True)

    assert "" == ran.stderr
    assert re.match(r"Show this as a QR code: weixin://\S+\nState: NOTPAY\n", ran.stdout)
    assert ran.stdout.endswith("Closed\n")
    assert ["CLOSED"] == [order.state for number, order in sandbox.orders.items() if number not in before]


def test_readme_says_how_each_is_run():
    """Every example stands in the README, with the command that the tests run."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert all(path.name.removesuffix(".py") in text for path in EXAMPLES.glob("*.py"))
    for command in SERVERS.values():
        assert " ".join(command).removeprefix("-m ") in text


def free_port():
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, log):
    """Wait until the server listens."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(log.read_text())
