"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pages
import pytest
import sandboxes

from wechatpay import Builder, pytest_plugin
from wechatpay.sandbox import Sandbox

ROOT = Path(__file__).parents[1]

ORDER = {
    "appid": "wx8888888888888888",
    "mchid": "1900000109",
    "description": "tea",
    "out_trade_no": "N20261130",
    "notify_url": "https://shop.example.com/notify",
    "amount": {"total": 101},
}

HEAD = f"""
import asyncio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from wechatpay.notification import views
from wechatpay import APIError, InvalidRequestError, NoResponseError, SignatureError
from wechatpay.sandbox import faults

ORDER = {ORDER!r}
"""


@pytest.fixture(scope="module")
def _loaded():
    """Load all that a run loads; what a run in this process loads it forgets, but cryptography loads once."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        native = Builder(**sandbox.settings(check=True)).v3.pay.transactions.native
        native.post(json=ORDER)
        native.postAsync(json=ORDER).wait()


@pytest.fixture
def run(pytester, _loaded):
    """Give a function that runs a test file with the plugin."""

    def run(source, *arguments):
        pytester.makepyfile(HEAD + source)
        given = ("-p", "no:wechatpay", "-p", "wechatpay.pytest_plugin", "-p", "no:cacheprovider", *arguments)
        return pytester.runpytest_inprocess("-W", "error", *given)

    return run


def test_fixtures_serve_sync_and_async_tests(run):
    """Builders call the test's own sandbox, on any loop, checked, and leave no connection open."""
    result = run("""
def test_builder_and_sandbox_belong_together(wechatpay, wechatpay_sandbox):
    assert wechatpay.v3.pay.transactions.native.post(json=ORDER).json()["code_url"]
    assert ["N20261130"] == list(wechatpay_sandbox.orders)
    wechatpay_sandbox.pay("N20261130")
    found = wechatpay.v3.pay.transactions.outTradeNo._no_.get(no="N20261130", query={"mchid": "1900000109"})
    assert "SUCCESS" == found.json()["trade_state"]

async def order(instance):
    return (await instance.v3.pay.transactions.native.postAsync(json=ORDER)).json()["code_url"]

def test_loop_of_its_own(wechatpay_async):
    assert asyncio.run(order(wechatpay_async))

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_loop_of_a_plugin(wechatpay_async, wechatpay_sandbox):
    assert await order(wechatpay_async)
    await wechatpay_sandbox.apay("N20261130")
    assert "SUCCESS" == wechatpay_sandbox.orders["N20261130"].state

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_application_on_the_same_loop(wechatpay_async, wechatpay_sandbox):
    paid = []

    @views.aiohttp(wechatpay_async.getDriver().notifications())
    async def notified(notification):
        paid.append(notification.resource["out_trade_no"])

    app = web.Application()
    app.router.add_post("/notify", notified)
    async with TestServer(app) as server:
        url = str(server.make_url("/notify"))
        native = wechatpay_async.v3.pay.transactions.native
        await native.postAsync(json={**ORDER, "notify_url": url}, check=False)
        await wechatpay_sandbox.apay("N20261130")
    assert ["N20261130"] == paid

def test_promise_without_a_loop(wechatpay_async):
    assert wechatpay_async.v3.pay.transactions.native.postAsync(json=ORDER).wait().json()["code_url"]

@pytest.mark.parametrize("fixture", ["wechatpay", "wechatpay_async"])
def test_misspelt_member_is_not_sent(request, fixture, wechatpay_sandbox):
    with pytest.raises(InvalidRequestError, match="out_trade_no"):
        native = request.getfixturevalue(fixture).v3.pay.transactions.native
        native.post(json={**ORDER, "out_trade_on": "N2"})
    assert not wechatpay_sandbox.requests

seen = []

@pytest.mark.parametrize("number", range(3))
def test_no_order_and_no_fault_of_another_test(wechatpay, wechatpay_sandbox, number):
    assert not wechatpay_sandbox.orders
    wechatpay.v3.pay.transactions.native.post(json=ORDER)
    wechatpay_sandbox.inject(faults.Reset())
    seen.append((wechatpay_sandbox.pay("N20261130").payment.transaction_id, wechatpay_sandbox.identity))

def test_numbers_of_its_own_and_keys_of_the_run():
    assert 3 == len({number for number, _ in seen})
    assert 1 == len({id(identity) for _, identity in seen})
""")

    result.assert_outcomes(passed=11)


def test_marked_tests_meet_their_faults(run):
    """Faults are injected in the order of the markers, outermost first; text makes faults, too."""
    result = run("""
@pytest.mark.wechatpay_faults("Reset")
class TestFaults:
    @pytest.mark.wechatpay_faults(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED"), "RateLimit")
    def test_both(self, wechatpay):
        order = wechatpay.v3.pay.transactions.native.post
        for error in (NoResponseError, APIError, APIError):
            with pytest.raises(error):
                order(json=ORDER)
        assert order(json=ORDER).json()["code_url"]

@pytest.mark.wechatpay_faults(faults.WrongSignature(), "Reset; times=2", path="v3/certificates")
def test_other_path(wechatpay):
    assert wechatpay.v3.pay.transactions.native.post(json=ORDER).json()["code_url"]
    with pytest.raises(SignatureError):
        wechatpay.v3.certificates.get()
    with pytest.raises(NoResponseError):
        wechatpay.v3.certificates.get()

@pytest.mark.wechatpay_faults("Reset", path="v3/pay/transaction/native")
def test_misspelt_path(wechatpay):
    pass

@pytest.mark.wechatpay_faults("Reset")
def test_marker_that_would_do_nothing():
    pass

@pytest.mark.wechatpay_faults("Rest")
def test_misspelt_fault(wechatpay):
    pass
""")

    result.assert_outcomes(passed=2, errors=3)
    result.stdout.fnmatch_lines(
        [
            "*did you mean 'v3/pay/transactions/native'*",
            "*wechatpay_faults: the test has no sandbox*",
            "*'Rest' is unknown*",
        ]
    )


def test_marked_fault_that_no_request_met_is_an_error(run):
    """The test would pass for nothing: all is as it should be without the fault, too."""
    result = run("""
@pytest.mark.wechatpay_faults("Reset", faults.RateLimit(), times=2, path="v3/certificates")
def test_other_path(wechatpay):
    assert wechatpay.v3.pay.transactions.native.post(json=ORDER).json()["code_url"]

@pytest.mark.wechatpay_faults("Reset", path="v3/certificates")
def test_failure_says_so(wechatpay):
    assert 0

@pytest.mark.wechatpay_faults("Reset", times=None)
def test_all(wechatpay):
    for _ in range(2):
        with pytest.raises(NoResponseError):
            wechatpay.v3.pay.transactions.native.post(json=ORDER)

@pytest.mark.wechatpay_faults("Reset", probability=0.00001)
def test_chance(wechatpay):
    wechatpay.v3.pay.transactions.native.post(json=ORDER)

@pytest.mark.wechatpay_faults("Reset")
def test_cleared(wechatpay, wechatpay_sandbox):
    wechatpay_sandbox.clear_faults()

@pytest.mark.wechatpay_faults("Reset")
def test_skipped(wechatpay):
    pytest.skip()
""")

    result.assert_outcomes(passed=4, errors=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "wechatpay_faults: no request met Reset(executed=True) (path v3/certificates), RateLimit(*",
            "fault Reset(executed=True) (path v3/certificates): no request met it",
        ]
    )


@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_report_of_a_failed_test_shows_the_traffic_and_the_seed(run, more):
    """What was sent, received, lost and delivered stands below the traceback, also when a worker ran it."""
    result = run(
        """
@pytest.mark.wechatpay_faults("Reset", path="v3/pay/transactions/out-trade-no/{out_trade_no}/close")
def test_lost_response(wechatpay, wechatpay_sandbox):
    with pytest.raises(APIError):
        wechatpay.v3.pay.transactions.jsapi.post(check=False, json={"appid": "wx8888888888888888"})
    wechatpay.v3.pay.transactions.native.post(
        check=False, json={**ORDER, "attach": "a" * 400, "notify_url": "http://127.0.0.1:9/notify"}
    )
    wechatpay_sandbox.pay("N20261130")
    wechatpay.v3.pay.transactions.outTradeNo._no_.close.post(no="N20261130", json={"mchid": "1900000109"})

def test_early_failure(wechatpay):
    assert 0
""",
        "--wechatpay-seed=tea",
        *more,
    )

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*- wechatpay sandbox -*",
            "seed tea; repeat it with --wechatpay-seed=tea",
            "POST /v3/pay/transactions/jsapi → 400",
            '  sent     {"appid":"wx8888888888888888"}',
            '  received {"code":"PARAM_ERROR",*',
            "POST /v3/pay/transactions/native → 200",
            '  sent     {"appid":*aaa…',
            '  received {"code_url":*',
            "POST /v3/pay/transactions/out-trade-no/N20261130/close → connection reset",
            "callback TRANSACTION.SUCCESS → http://127.0.0.1:9/notify: no reply, attempt 1",
            "*- wechatpay sandbox -*",
            "seed tea; *",
            "no requests",
        ]
    )
    result.stdout.no_fnmatch_line("*Authorization*")


@pytest.mark.parametrize(("option", "is_shown"), [("--full-trace", True), ("--tb=long", False)])
def test_traceback_ends_in_the_test(run, option, is_shown):
    """The error says what is wrong; how the package found out is left out."""
    result = run(
        """
def test_misspelt_member(wechatpay):
    wechatpay.v3.pay.transactions.native.post(json={**ORDER, "atach": "tea"})
""",
        option,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*InvalidRequestError: json.atach: unknown*"])
    assert is_shown == ("wechatpay/builder.py:" in result.stdout.str())
    assert "check_call" not in result.stdout.str()


def test_seed_repeats_the_numbers(run):
    """The same seed gives the same numbers in any order of the tests; without one they are new each time."""
    source = """
@pytest.mark.parametrize("number", range(2))
def test_number(wechatpay, wechatpay_sandbox, number):
    wechatpay.v3.pay.transactions.native.post(json=ORDER)
    order = wechatpay_sandbox.pay("N20261130")
    print("number", number, order.prepay_id, order.payment.transaction_id, order.payer_url)
"""

    def numbers(*arguments):
        shown = run(source, "-s", *arguments).outlines
        return sorted(line.partition("number ")[2] for line in shown if "number " in line)

    first = numbers("--wechatpay-seed=a")

    assert 2 == len(first)
    assert first[1:] == numbers("--wechatpay-seed=a", "-k", "1")
    assert first[1:] != numbers("-k", "1")


def test_plugin_is_an_entry_point():
    """The plugin is found by pytest where the package is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"wechatpay": pytest_plugin.__name__} == project["entry-points"]["pytest11"]


def test_nothing_heavy_is_loaded_before_a_fixture_is_used():
    """A run of pytest without these fixtures does not pay for them."""
    code = (
        "import pytest, secrets, sys; before = {*sys.modules}; import wechatpay.pytest_plugin;"
        "print(sorted({*sys.modules} - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert "['wechatpay', 'wechatpay.pytest_plugin']\n" == found


def test_documented_tests_pass(run):
    """The tests of the documentation run as they stand."""
    page = next(page for page in pages.PAGES if page.name == "testing.md")
    source = "\n".join(block.text for block in pages.blocks(page) if block.language == "python")

    run(source).assert_outcomes(passed=4)
