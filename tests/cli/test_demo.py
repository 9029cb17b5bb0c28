"""The demo sells from the order to the bill, and notices what is not as it should be."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import sandboxes

from wechatpay import Builder, bills
from wechatpay.cli import demo
from wechatpay.sandbox import Sandbox, faults, verification


def start():
    """Start the demo in a process of its own, which Ctrl-C reaches even where tests ignore it."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from wechatpay.__main__ import main; sys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@contextmanager
def selling():
    """Give a sandbox, a Builder and a shop."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        instance = Builder(**sandbox.settings())
        with instance.getDriver(), demo.Shop(instance) as shop:
            yield sandbox, instance, shop
            shop.shutdown()


def test_demo_reads_well_where_it_is_no_terminal(capsys):
    """Every line fits 80 columns, no value is broken, and the bill adds up to the books of the shop.

    Three orders of 1.01 yuan were paid, and 0.40 yuan of each was refunded, sync and async.
    """
    assert demo.run()
    out = capsys.readouterr().out

    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert [f"{number}." for number in range(1, 8)] == re.findall(r"^\d\.", out, re.MULTILINE)
    assert re.search(r"^  code_url        weixin://wxpay/bizpayurl\S+$", out, re.MULTILINE)
    assert re.search(r"^  transaction_id  4200\d{24}$", out, re.MULTILINE)
    assert "12 calls and 6 callbacks, all verified" in out
    assert 2 == out.count("3.03 yuan paid, 1.20 yuan refunded")
    assert {"DEMO-2", "DEMO-3"} <= set(out.split())


def test_wrong_bill_fails_the_demo():
    """A payment that the shop does not know of is noticed."""
    with selling() as (sandbox, instance, shop):
        instance.v3.pay.transactions.native.post(
            json={**demo._order("OTHER-1", shop), "notify_url": "https://a.example.com/"}
        )
        sandbox.pay("OTHER-1")

        assert not demo._sell(sandbox, instance, shop)


def test_client_without_a_verifier_fails_the_demo():
    """A response that was changed on its way must be refused."""
    with selling() as (sandbox, instance, shop):
        instance.getDriver().select("v3").stack.remove("verifier")

        assert not demo._sell(sandbox, instance, shop)


def test_damaged_bill_fails_the_demo():
    """A bill without the announced digest is refused."""
    with selling() as (sandbox, instance, shop):
        sandbox.inject(faults.HtmlPage(200), path="v3/billdownload/file")

        with pytest.raises(bills.DigestError):
            demo._sell(sandbox, instance, shop)


def test_demo_that_is_refused_says_why(capsys, monkeypatch):
    """When the two sides do not agree, here about the time, the error is shown and the demo has failed."""
    monkeypatch.setattr(verification, "TOLERANCE", -1)

    assert not demo.run()
    out = capsys.readouterr().out
    assert "SIGN_ERROR" in out
    assert "Something is not as it should be" in out


def test_demo_survives_a_terminal_without_some_letters(monkeypatch):
    """Letters that an encoding lacks are question marks, and no reason to fail."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start()
    _, err = process.communicate(timeout=60)

    assert (0, "") == (process.returncode, err)


def test_interrupted_demo_is_silent():
    """Ctrl-C ends the demo at once, without a word."""
    process = start()
    for _ in range(15):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert (130, "") == (process.returncode, err)
