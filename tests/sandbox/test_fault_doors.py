"""Faults from Python, from a request's header and by probability; before or after the request is executed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests
import sandboxes

from wechatpay import (
    APIError,
    Builder,
    ConfigurationError,
    NoResponseError,
    ReadTimeoutError,
    RedirectError,
    ServerError,
)
from wechatpay.sandbox import Sandbox, faults

HEADER = "Wechatpay-Sandbox-Fault"


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity(), seed="7") as running:
        yield running


@pytest.fixture
def instance(sandbox):
    """Give a Builder that waits half a second for a response."""
    with Builder(**sandbox.settings(timeout=(5.0, 0.5))) as instance:
        yield instance


def order(sandbox, instance, number="DOOR-1", **options):
    """Place an order."""
    return instance.v3.pay.transactions.native.post(
        json={
            "appid": sandbox.identity.app["appid"],
            "mchid": sandbox.identity.mchid,
            "description": "tea",
            "out_trade_no": number,
            "notify_url": "https://example.com/notify",
            "amount": {"total": 100},
        },
        **options,
    )


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (faults.ErrorResponse, ServerError),
        (faults.RateLimit, APIError),
        (faults.HtmlPage, ServerError),
        (faults.Reset, NoResponseError),
        (faults.Hang, ReadTimeoutError),
    ],
)
def test_fault_comes_before_or_after_the_request_is_executed(sandbox, instance, kind, error, executed):
    """The order exists afterwards if ``executed`` says so."""
    sandbox.inject(kind(executed=executed))
    with pytest.raises(error):
        order(sandbox, instance)

    assert executed == ("DOOR-1" in sandbox.orders)


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(faults.Delay(5), ReadTimeoutError, id="Delay"),
        pytest.param(faults.SlowBody(5), ReadTimeoutError, id="SlowBody"),
        pytest.param(faults.TruncatedBody(), NoResponseError, id="TruncatedBody"),
        pytest.param(faults.Redirect(), RedirectError, id="Redirect"),
    ],
)
def test_request_behind_a_bad_connection_may_be_executed(sandbox, instance, fault, error, executed):
    """The client cannot know; the order exists afterwards if ``executed`` says so."""
    sandbox.inject(replace(fault, executed=executed))
    with pytest.raises(error):
        order(sandbox, instance, timeout=0.3)

    assert executed == ("DOOR-1" in sandbox.orders)


@pytest.mark.parametrize("fault", [faults.Delay(0.01, executed=False), faults.SlowBody(0.01, executed=False)])
def test_late_response_of_a_request_that_was_not_executed_is_an_error(sandbox, instance, fault):
    """A signed one: the client that waits sees it."""
    sandbox.inject(fault)
    with pytest.raises(ServerError) as caught:
        order(sandbox, instance)

    assert caught.value.verified
    assert not sandbox.orders


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("RateLimit", 429, "FREQUENCY_LIMITED"),
        ("ErrorResponse; status=403; code=NO_AUTH", 403, "NO_AUTH"),
        ("ErrorResponse;status=403;code=NO_AUTH;message=a = b;executed=true;", 403, "NO_AUTH"),
        ("HtmlPage; status=404", 404, ""),
        ("Invented", 400, "PARAM_ERROR"),
        ("ErrorResponse; status=200", 400, "PARAM_ERROR"),
        ("ErrorResponse; status=a", 400, "PARAM_ERROR"),
        ("ErrorResponse; status=true", 400, "PARAM_ERROR"),
        ("ErrorResponse; invented=1", 400, "PARAM_ERROR"),
        ("ErrorResponse; probability=0.5", 400, "PARAM_ERROR"),
        ("Delay", 400, "PARAM_ERROR"),
        ("Delay; seconds=-1", 400, "PARAM_ERROR"),
        ("SlowBody; seconds=1e9", 400, "PARAM_ERROR"),
        ("Reencoded", 400, "PARAM_ERROR"),
    ],
)
def test_header_asks_for_a_fault_of_this_request(sandbox, instance, text, status, code):
    """The next request meets none; a header that makes no sense is an error which says so."""
    with pytest.raises(APIError) as caught:
        order(sandbox, instance, headers={HEADER: text})

    assert (status, code) == (caught.value.status_code, caught.value.code)
    assert 200 == order(sandbox, instance, "DOOR-2").status_code


def test_header_works_on_the_open_platform(sandbox):
    """There it is the only header of that kind which is accepted."""
    url = f"{sandbox.base_uri}cgi-bin/token"
    response = requests.get(url, headers={HEADER: "ErrorResponse; code=-1"}, timeout=5)

    assert -1 == response.json()["errcode"]


def test_probability_is_decided_by_the_seed():
    """The same seed gives the same faults; some requests meet them and others do not."""

    def outcomes():
        found = []
        with Sandbox(identity=sandboxes.identity(), seed="7") as sandbox:
            sandbox.inject(faults.RateLimit(), times=None, probability=0.4)
            with Builder(**sandbox.settings()) as instance:
                for _ in range(12):
                    try:
                        found.append(instance.v3.certificates.get().status_code)
                    except APIError as error:
                        found.append(error.status_code)
        return found

    first = outcomes()

    assert {200, 429} == set(first)
    assert first == outcomes()


@pytest.mark.parametrize("probability", [0, -1, 1.1, float("nan")])
def test_impossible_probability_is_refused(sandbox, probability):
    """It is above 0 and at most 1."""
    with pytest.raises(ConfigurationError, match="probability"):
        sandbox.inject(faults.Reset(), probability=probability)


def test_slow_body_arrives_in_time(sandbox):
    """Pieces make up the whole response."""
    sandbox.inject(faults.SlowBody(0.2))
    with Builder(**sandbox.settings()) as instance:
        assert "code_url" in order(sandbox, instance).json()


def test_slow_body_meets_the_timeout(sandbox, instance):
    """The read timeout bounds the whole body."""
    sandbox.inject(faults.SlowBody(5))
    with pytest.raises(ReadTimeoutError):
        order(sandbox, instance)


def test_rotated_key_signs_the_response():
    """A merchant that downloads certificates accepts it."""
    with Sandbox(identity=sandboxes.identity(), mode="certificates") as sandbox:
        known = {signer.serial for signer in sandbox.identity.signers}
        sandbox.inject(faults.KeyRotation(), path="v3/pay/transactions/native")
        with Builder(**sandbox.settings()) as instance:
            serial = order(sandbox, instance).headers["Wechatpay-Serial"]

    assert serial not in known
