"""Every fault comes out of the client as the error it stands for, sync and async."""

from __future__ import annotations

import pytest
import sandboxes
from cases import each

from wechatpay import (
    APIError,
    Builder,
    ClockSkewError,
    ConfigurationError,
    IncompleteHeadersError,
    NoResponseError,
    ReadTimeoutError,
    RedirectError,
    ServerError,
    SignatureError,
    UnknownSerialError,
    WeChatPayError,
    retry,
)
from wechatpay.sandbox import faults

CONTRACTS = "v3/edu-papay/user/{openid}/contracts"


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it and is soon out of patience."""
    with Builder(**sandbox.settings(timeout=(5.0, 0.5))) as instance:
        yield instance


def ask(client, instance, openid="oUpF8uMuAJOM2pxb1Q"):
    """Make a call that the sandbox responds to properly."""
    node = instance.v3.palmservice.authorization.openid._openid_
    return client.call(node, "get", openid=openid, query={"organization_id": "1"})


@each(
    ("fault", "error"),
    [
        pytest.param(faults.WrongSignature(), SignatureError, id="wrong signature"),
        pytest.param(faults.TamperedBody(), SignatureError, id="tampered body"),
        pytest.param(
            faults.TamperedBody(lambda body: body[:-1]), SignatureError, id="body cut and declared so"
        ),
        pytest.param(faults.Probe(), SignatureError, id="probe"),
        pytest.param(faults.UnknownSerial(), UnknownSerialError, id="unknown serial"),
        pytest.param(faults.OldTimestamp(), ClockSkewError, id="old timestamp"),
        pytest.param(faults.OldTimestamp(-310), ClockSkewError, id="future timestamp"),
        pytest.param(faults.Unsigned(), IncompleteHeadersError, id="no signature"),
        pytest.param(faults.MissingHeader(), IncompleteHeadersError, id="signature lost"),
        pytest.param(faults.MissingHeader("wechatpay-nonce"), IncompleteHeadersError, id="no nonce"),
        pytest.param(faults.MissingHeader("Wechatpay-Serial"), IncompleteHeadersError, id="no serial"),
        pytest.param(faults.MissingHeader("Wechatpay-Timestamp"), IncompleteHeadersError, id="no timestamp"),
        pytest.param(faults.ErrorResponse(400, "PARAM_ERROR"), APIError, id="400"),
        pytest.param(faults.ErrorResponse(), ServerError, id="500"),
        pytest.param(faults.ErrorResponse(599, signed=False), ServerError, id="599, not signed"),
        pytest.param(faults.HtmlPage(), ServerError, id="page"),
        pytest.param(faults.HtmlPage(404), APIError, id="page of a proxy"),
        pytest.param(faults.Redirect(), RedirectError, id="redirect"),
        pytest.param(faults.Redirect(status=307), RedirectError, id="temporary redirect"),
        pytest.param(faults.Reset(), NoResponseError, id="reset"),
        pytest.param(faults.Delay(5), ReadTimeoutError, id="delay"),
        pytest.param(faults.TruncatedBody(), NoResponseError, id="truncated body"),
    ],
)
def test_fault_comes_out_as_its_error(client, sandbox, instance, fault, error):
    """The right class comes out, after a good response on the same connection and before another."""
    sandbox.reset()
    assert 200 == ask(client, instance).status_code
    sandbox.inject(fault)

    with pytest.raises(WeChatPayError) as caught:
        ask(client, instance)

    assert error is type(caught.value)
    assert 200 == ask(client, instance).status_code
    assert 3 == len(sandbox.requests)


def test_error_response_says_what_was_set(client, sandbox, instance):
    """Status, code and message are the caller's, and the response is signed."""
    sandbox.inject(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED", "频率超限"))

    with pytest.raises(APIError) as caught:
        ask(client, instance)

    error = caught.value
    assert (429, "RATELIMIT_EXCEEDED", "频率超限") == (error.status_code, error.code, error.message)
    assert error.retryable
    assert error.verified


def test_unsigned_error_response_is_not_verified(client, sandbox, instance):
    """An error without a signature reaches the caller, marked."""
    sandbox.inject(faults.ErrorResponse(signed=False))

    with pytest.raises(ServerError) as caught:
        ask(client, instance)

    assert not caught.value.verified


def test_delay_within_the_timeout_does_no_harm(client, sandbox, instance):
    """A slow response is a proper response."""
    sandbox.inject(faults.Delay(0.05))

    assert 200 == ask(client, instance).status_code


def test_old_response_that_is_young_enough_is_accepted(client, sandbox, instance):
    """A fault can stay within the tolerance, too."""
    sandbox.inject(faults.OldTimestamp(290))

    assert 200 == ask(client, instance).status_code


def test_fault_befalls_as_many_requests_as_told(sandbox, instance):
    """``times`` requests in a row, then none."""
    sandbox.inject(faults.ErrorResponse(429, "RATELIMIT_EXCEEDED"), times=2)
    instance.getDriver().select("v3").stack.push(retry(attempts=3, delay=0))

    assert (
        200
        == instance.v3.palmservice.authorization.openid["oUpF8uMuAJOM2pxb1Q"]
        .get(query={"organization_id": "1"})
        .status_code
    )
    assert 3 == len(sandbox.requests)


def test_faults_come_in_the_order_they_were_injected(sandbox):
    """Each request takes the first that concerns it."""
    sandbox.inject(faults.HtmlPage(501))
    sandbox.inject(faults.HtmlPage(502), times=None)
    sandbox.inject(faults.HtmlPage(503))

    assert [501, 502, 502] == [sandboxes.send(sandbox)[0] for _ in range(3)]


def test_faults_can_be_cleared(sandbox):
    """Whatever waits is forgotten."""
    sandbox.inject(faults.HtmlPage(), times=None)
    sandbox.clear_faults()

    assert 200 == sandboxes.send(sandbox)[0]


@pytest.mark.parametrize(
    "path",
    [CONTRACTS, f"/{CONTRACTS}", "v3/edu-papay/user/<openid>/contracts", "v3/edu-papay/user/o-1/contracts"],
    ids=["braces", "leading slash", "angle brackets", "literal"],
)
def test_fault_can_wait_for_a_path(sandbox, path):
    """Requests on other paths pass."""
    sandbox.inject(faults.HtmlPage(503), path=path)

    assert [200, 404] == [sandboxes.send(sandbox, target=target)[0] for target in (sandboxes.PALM, "/v3/x")]
    assert 503 == sandboxes.send(sandbox, target="/v3/edu-papay/user/o%2D1/contracts?x=y")[0]


@pytest.mark.parametrize(
    "path",
    [
        "v2/secapi/pay/refund",
        "secapi/pay/refund",
        "hk/v3/statements",
        "v2/secapi/mch/addInstitutionsub",
        "wxa/getpaidunionid",
        "cgi-bin/stable_token",
    ],
)
def test_fault_can_wait_for_any_documented_path(sandbox, path):
    """APIv2's with and without ``v2/``, those of overseas hosts, and the open platform's."""
    sandbox.inject(faults.HtmlPage(503), path=path)

    assert [(path, 1)] == [(waiting["path"], waiting["left"]) for waiting in sandbox.faults]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("v3/pay/transaction/native", "did you mean 'v3/pay/transactions/native'?"),
        (
            "v3/pay/transactions/outTradeNo/{out_trade_no}/close",
            "did you mean 'v3/pay/transactions/out-trade-no/",
        ),
        ("v3/pay/transactions/", "is not documented"),
        ("v3/bill/tradebill?bill_date=2026-11-19", "did you mean 'v3/bill/tradebill'?"),
        ("https://api.mch.weixin.qq.com/v3/pay/transactions/native", "is not documented"),
        ("x", "give the whole path, without the host"),
    ],
)
def test_path_that_no_request_has_is_refused(sandbox, path, words):
    """A fault that never comes is a mistake of the test's, and lets it pass for nothing."""
    with pytest.raises(ConfigurationError) as caught:
        sandbox.inject(faults.Reset(), path=path)

    assert words in str(caught.value)
    assert not sandbox.faults


def test_text_is_a_fault(sandbox):
    """As for the marker, the header and the command line; what it says of times and path holds."""
    sandbox.inject(f"HtmlPage; status=503; path={CONTRACTS}", path="v3/pay/transactions/native", times=2)
    assert [(CONTRACTS, 2)] == [(waiting["path"], waiting["left"]) for waiting in sandbox.faults]
    with pytest.raises(ConfigurationError, match="'Rest' is unknown"):
        sandbox.inject("Rest")


@pytest.mark.parametrize("fault", [faults.Reset, None, 503], ids=["class", "None", "status"])
def test_what_is_not_a_fault_is_refused(sandbox, fault):
    """At once, not by the next request."""
    with pytest.raises(ConfigurationError, match=r"fault: give one, such as faults\.Reset\(\), or its text"):
        sandbox.inject(fault)


def test_waiting_faults_say_how_many_requests_met_them(sandbox):
    """None yet, or some of those to come."""
    sandbox.inject(faults.HtmlPage(503), times=None)
    assert [0] == [waiting["met"] for waiting in sandbox.faults]
    sandboxes.send(sandbox)
    assert [1] == [waiting["met"] for waiting in sandbox.faults]


def test_refused_request_uses_no_fault_up(sandbox):
    """A fault waits for a request that is signed as it must be."""
    sandbox.inject(faults.HtmlPage(503))

    assert 401 == sandboxes.send(sandbox, headers={"Authorization": "none"})[0]
    assert 503 == sandboxes.send(sandbox)[0]


@pytest.mark.parametrize("times", [0, -1])
def test_number_of_times_is_checked(sandbox, times):
    """A fault that never comes is a mistake of the test's."""
    with pytest.raises(ConfigurationError, match=f"times: give a whole number, 1 or more, not {times}"):
        sandbox.inject(faults.Reset(), times=times)


@pytest.mark.parametrize("kind", [faults.Delay, faults.SlowBody])
@pytest.mark.parametrize("seconds", [-1, 86401, float("nan"), "5"])
def test_seconds_of_a_fault_are_checked(kind, seconds):
    """A day at most."""
    with pytest.raises(ConfigurationError, match="seconds: give 0 to 86400, not "):
        kind(seconds)


@pytest.mark.parametrize("status", [200, 302, 600])
def test_status_of_an_error_is_checked(status):
    """An error response is a 4xx or 5xx."""
    with pytest.raises(ConfigurationError, match="400 to 599"):
        faults.ErrorResponse(status)
