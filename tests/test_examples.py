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
from wechatpay.sandbox import Sandbox
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

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path, **query):
        """Ask the shop to do something."""
        response = self.session.post(f"{self.url}/orders/{path}", params=query, timeout=20)
        return response.status_code, response.json()

    def order(self, number):
        """Ask for an order."""
        return self.session.get(f"{self.url}/orders/{number}", timeout=20).json()


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
        yield Shop(url)
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

    assert (200, {"refund": f"{number}R1"}) == shop.post(f"{number}/refunds", amount=40)
    assert sandbox.expect_callback("REFUND.SUCCESS").is_acknowledged
    assert {f"{number}R1": "SUCCESS"} == shop.order(number)["refunds"]
    assert 40 == sandbox.orders[number].refunded

    status, refused = shop.post(f"{number}/refunds", amount=62)
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


def test_shop_refuses_a_forged_callback(shop):
    """A callback that WeChat Pay did not sign gets 401, and books nothing."""
    _, order = shop.post("native", item="tea")
    forged = testing.Platform().notification("TRANSACTION.SUCCESS", {"out_trade_no": order["number"]})
    reply = shop.session.post(f"{shop.url}/wechatpay/notify", forged.body, headers=forged.headers, timeout=20)

    assert 401 == reply.status_code
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
