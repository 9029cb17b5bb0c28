"""`retry()`: what is sent again, what never, and how long is waited in between."""

from __future__ import annotations

import re

import pytest
from sandboxes import identity

from wechatpay import (
    APIError,
    Builder,
    ConfigurationError,
    ConnectError,
    InvalidRequestError,
    NoResponseError,
    Pause,
    ReadTimeoutError,
    RedirectError,
    Request,
    Response,
    ServerError,
    SignatureError,
    WeChatPayError,
    retry,
)
from wechatpay.sandbox import Sandbox, faults

OPENID = {"openid": "oUpF8uMuAJOM2pxb1Q", "query": {"organization_id": "1"}}
LIMITED = faults.ErrorResponse(429, "RATELIMIT_EXCEEDED")


def drive(middleware, *errors, method="GET"):
    """Run a middleware by hand, failing with these errors in turn; give its pauses and what came of it."""
    left, pauses = list(errors), []

    def proceed(request):
        if left:
            raise left.pop(0)
        return Response(200)
        yield

    flow = middleware(Request(method, "https://api.mch.weixin.qq.com/v3/pay"), proceed)
    try:
        while True:
            effect = next(flow)
            assert isinstance(effect, Pause)
            pauses.append(effect.seconds)
    except StopIteration as stop:
        return pauses, stop.value.status_code
    except (WeChatPayError, KeyError) as error:
        return pauses, error


REPEATED = [
    ("POST", ConnectError()),
    ("POST", APIError(status_code=429, code="FREQUENCY_LIMITED", retryable=True)),
    ("POST", ServerError(status_code=500, code="SYSTEM_ERROR", retryable=True)),
    ("GET", NoResponseError()),
    ("GET", ReadTimeoutError()),
    ("GET", ServerError(status_code=502)),
]
FINAL = [
    ("POST", NoResponseError()),
    ("DELETE", ReadTimeoutError()),
    ("POST", ServerError(status_code=502)),
    ("GET", APIError(status_code=404, code="ORDER_NOT_EXIST")),
    ("GET", SignatureError()),
    ("GET", RedirectError()),
    ("GET", InvalidRequestError()),
    ("GET", KeyError()),
]


def name(case):
    """Name a case by its method and error."""
    return f"{case[0]} {type(case[1]).__name__} {getattr(case[1], 'status_code', '')}".strip()


@pytest.mark.parametrize("case", REPEATED, ids=name)
def test_what_may_be_repeated_is_sent_again(case):
    """Nothing was sent, WeChat Pay says to repeat, or nothing can change by asking once more."""
    method, error = case
    pauses, outcome = drive(retry(), error, error, method=method)

    assert (2, 200) == (len(pauses), outcome)


@pytest.mark.parametrize("case", FINAL, ids=name)
def test_what_may_have_happened_is_never_repeated(case):
    """A payment of unknown outcome is to be queried; a refusal, or a mistake, stays one."""
    method, error = case

    assert ([], error) == drive(retry(), error, method=method)


def test_attempts_are_counted():
    """The last error is the one that is raised."""
    errors = [ConnectError(str(number)) for number in range(4)]

    pauses, outcome = drive(retry(attempts=4), *errors)

    assert (3, errors[3]) == (len(pauses), outcome)
    assert ([], errors[0]) == drive(retry(attempts=1), *errors)


def test_pauses_double_and_differ():
    """Each is up to a half longer than it need be: callers that failed together do not return together."""
    draws = [drive(retry(attempts=4, delay=2.0), *[ConnectError()] * 3)[0] for _ in range(50)]

    for pauses in draws:
        assert all(least <= pause <= 1.5 * least for pause, least in zip(pauses, (2, 4, 8), strict=True))
    assert 150 == len({pause for pauses in draws for pause in pauses})


def test_no_pause_is_longer_than_the_most():
    """`most` is what it says, the random part included."""
    pauses, _ = drive(retry(attempts=40, delay=1.0, most=5.0), *[ConnectError()] * 39)

    assert max(pauses) <= 5.0 < sum(pauses[-2:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 2.5},
        {"attempts": True},
        {"delay": -1},
        {"delay": "1"},
        {"delay": float("nan")},
        {"most": float("inf")},
    ],
    ids=str,
)
def test_number_out_of_range_is_refused(wrong):
    """It is told when the middleware is made, not when a payment fails."""
    with pytest.raises(ConfigurationError, match=f"retry: .*{next(iter(wrong))}"):
        retry(**wrong)


@pytest.fixture(scope="module")
def sandbox():
    """Give a WeChat Pay on loopback, which refuses a nonce that it has seen."""
    with Sandbox(identity=identity()) as sandbox:
        yield sandbox


@pytest.fixture
def patient(sandbox):
    """Give a Builder that tries three times without waiting."""
    sandbox.clear_faults()
    with Builder(**sandbox.settings(middlewares=[retry(3, delay=0)])) as instance:
        yield instance


@pytest.mark.parametrize(
    "fault", [LIMITED, faults.Reset(), faults.HtmlPage()], ids=lambda f: type(f).__name__
)
def test_each_attempt_is_signed_anew(sandbox, patient, client, fault):
    """An attempt is a request of its own: its nonce was never seen before."""
    before = len(sandbox.requests)
    sandbox.inject(fault, times=2)

    response = client.call(patient.v3.palmservice.authorization.openid._openid_, "get", **OPENID)
    attempts = sandbox.requests[before:]

    assert 200 == response.status_code
    assert 3 == len({re.search('nonce_str="(.*?)"', seen.headers["Authorization"])[1] for seen in attempts})


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(LIMITED, 3), (faults.Reset(), 1), (faults.HtmlPage(), 1), (faults.ErrorResponse(403, "NO_AUTH"), 1)],
    ids=["limited", "reset", "page", "refused"],
)
def test_payment_is_sent_as_often_as_is_safe(sandbox, patient, client, fault, expected):
    """The same bytes, with the same order number, and only when WeChat Pay says that nothing was done."""
    before = len(sandbox.requests)
    sandbox.inject(fault, times=None)

    with pytest.raises((APIError, NoResponseError)):
        client.call(patient.v3.pay.transactions.jsapi, "post", json={"out_trade_no": "1"})
    bodies = [seen.body for seen in sandbox.requests[before:]]

    assert [b'{"out_trade_no":"1"}'] * expected == bodies


def test_nothing_is_repeated_unasked(sandbox, client):
    """Without `retry()` a call is one request, but for one that found no connection."""
    before = len(sandbox.requests)
    sandbox.clear_faults()
    sandbox.inject(LIMITED)

    with Builder(**sandbox.settings()) as instance, pytest.raises(APIError):
        client.call(instance.v3.palmservice.authorization.openid._openid_, "get", **OPENID)
    assert 1 == len(sandbox.requests) - before
