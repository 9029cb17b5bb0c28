"""`retry()`: what is sent again, what never, and how long is waited in between."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections import deque

import pytest
from references import uncollected
from sandboxes import identity

from wechatpay import (
    APIError,
    Blocking,
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


UNKNOWN = [
    ServerError(status_code=500, code="SYSTEM_ERROR", retryable=True),
    ServerError(status_code=200, code="SYSTEMERROR", retryable=True),
]
SETTLES_NOTHING = [
    ConnectError(),
    APIError(status_code=429, code="FREQUENCY_LIMITED", retryable=True),
    APIError(status_code=401, code="SIGN_ERROR"),
    APIError(status_code=403, code="NO_AUTH"),
    APIError(status_code=403, code="NOT_ENOUGH"),
    APIError(status_code=403),
    APIError(status_code=404, code="ORDER_NOT_EXIST"),  # not verified: a hint, not a fact
    InvalidRequestError(),
    ConfigurationError(),
]
SETTLES = [
    APIError(status_code=400, code="ORDERPAID", verified=True),
    APIError(status_code=200, code="ORDERPAID", verified=True),
    APIError(status_code=400, code="ALREADY_EXISTS", verified=True),
    APIError(status_code=404, code="ORDER_NOT_EXIST", verified=True),
]


def describe(error):
    """Name an error by its type, status and code."""
    return f"{type(error).__name__} {getattr(error, 'status_code', '')} {getattr(error, 'code', '')}".strip()


@pytest.mark.parametrize("last", SETTLES_NOTHING, ids=describe)
@pytest.mark.parametrize("first", UNKNOWN, ids=describe)
def test_unknown_outcome_is_raised_though_a_later_attempt_failed_otherwise(first, last):
    """The first attempt may have moved money: no error of a later one says that it did not."""
    _, outcome = drive(retry(2), first, last, method="POST")

    assert (first, last) == (outcome, outcome.__cause__)


@pytest.mark.parametrize("last", SETTLES, ids=describe)
def test_state_of_the_order_settles_an_unknown_outcome(last):
    """An error that says what the order's state is says what became of the earlier attempt, too."""
    assert last is drive(retry(2), UNKNOWN[0], last, method="POST")[1]


@pytest.mark.parametrize(
    "last", [NoResponseError(), ServerError(status_code=502), SignatureError(), RedirectError()], ids=describe
)
def test_last_of_two_unknown_outcomes_is_raised(last):
    """Both say to query."""
    assert last is drive(retry(2), UNKNOWN[0], last, method="POST")[1]


def test_success_settles_an_unknown_outcome():
    """The repeated request has the same business number: it is the same payment."""
    assert 200 == drive(retry(3), UNKNOWN[0], ConnectError(), method="POST")[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connect_error_means_that_no_attempt_was_sent(method):
    """After an attempt that was refused, "nothing was sent" would be wrong."""
    limited = APIError(status_code=429, code="FREQUENCY_LIMITED", retryable=True)

    assert limited is drive(retry(3), ConnectError(), limited, ConnectError(), method=method)[1]


@pytest.mark.parametrize("last", [SETTLES[3], SETTLES_NOTHING[1], SETTLES_NOTHING[3]], ids=describe)
def test_last_response_to_a_query_is_raised(last):
    """A GET changes nothing, so that its earlier attempts leave nothing open."""
    assert last is drive(retry(2), NoResponseError(), last)[1]


def test_failed_attempts_leave_no_reference_cycles():
    """The errors, and what their frames hold, are freed at once."""
    errors = deque([ConnectError(), ServerError(retryable=True)])
    freed = [weakref.ref(error) for error in errors]

    def proceed(request):
        raise errors.pop()
        yield

    with uncollected():
        with contextlib.suppress(ServerError):
            deque(retry(2)(Request("POST", "https://api.mch.weixin.qq.com/v3/pay"), proceed))

        assert [None, None] == [reference() for reference in freed]


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


REFUNDS = "v3/refund/domestic/refunds"
V2_ORDER = {"appid": "wx8888888888888888", "mch_id": identity().mchid, "out_trade_no": "1"}


@pytest.mark.parametrize(
    ("protocol", "code", "path", "options"),
    [
        ("v3", "SYSTEM_ERROR", REFUNDS, {"json": {"out_refund_no": "1"}}),
        ("v2", "SYSTEMERROR", "v2/pay/unifiedorder", {"xml": V2_ORDER}),
    ],
    ids=["v3", "v2"],
)
def test_call_that_may_have_been_executed_is_not_reported_as_not_sent(client, protocol, code, path, options):
    """WeChat Pay executed the first attempt, and could not be reached for the second."""
    with Sandbox(identity=identity()) as sandbox:

        def stop(request, proceed):
            try:
                return (yield from proceed(request))
            finally:
                yield Blocking(sandbox.stop)

        sandbox.inject(faults.ErrorResponse(code=code, executed=True))
        with Builder(**sandbox.settings()) as instance:
            stack = instance.getDriver().select(protocol).stack
            stack.push(retry(2, delay=0))
            stack.push(stop)
            with pytest.raises(ServerError, match="the outcome is unknown: query it with") as caught:
                client.call(instance[path], "post", **options)

    assert isinstance(caught.value.__cause__, ConnectError)


def test_nothing_is_repeated_unasked(sandbox, client):
    """Without `retry()` a call is one request, but for one that found no connection."""
    before = len(sandbox.requests)
    sandbox.clear_faults()
    sandbox.inject(LIMITED)

    with Builder(**sandbox.settings()) as instance, pytest.raises(APIError):
        client.call(instance.v3.palmservice.authorization.openid._openid_, "get", **OPENID)
    assert 1 == len(sandbox.requests) - before
