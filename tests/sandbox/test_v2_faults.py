"""Faults befall APIv2, too, and come out of the client as the errors they stand for, sync and async."""

from __future__ import annotations

import pytest
import sandboxes
from cases import each
from sandboxes import NOW

from wechatpay import (
    APIError,
    Builder,
    NoResponseError,
    ReadTimeoutError,
    RedirectError,
    ServerError,
    SignatureError,
    VerificationError,
    WeChatPayError,
)
from wechatpay.sandbox import Sandbox, faults


@pytest.fixture
def sandbox():
    """Give a running sandbox with one order that is paid."""
    with Sandbox(identity=sandboxes.identity(), clock=lambda: NOW) as sandbox:
        yield sandbox


@pytest.fixture
def ask(client, sandbox):
    """Give a function that asks for an order which is there, and is soon out of patience."""
    number = "20150806125346"
    with Builder(**sandbox.settings(timeout=(5.0, 0.5))) as instance:
        instance.v2.pay.unifiedorder.post(xml=sandboxes.fields())
        given = {"appid": "wx8888888888888888", "mch_id": sandbox.identity.mchid, "out_trade_no": number}
        yield lambda **more: client.call(instance.v2.pay.orderquery, "post", xml={**given, **more})


@each(
    ("fault", "error"),
    [
        pytest.param(faults.WrongSignature(), SignatureError, id="wrong signature"),
        pytest.param(faults.Unsigned(), SignatureError, id="no signature"),
        pytest.param(faults.TamperedBody(), VerificationError, id="tampered body"),
        pytest.param(
            faults.TamperedBody(lambda body: body.replace(b"NOTPAY", b"SUCCESS")),
            SignatureError,
            id="tampered state",
        ),
        pytest.param(faults.ErrorResponse(code="FREQ_LIMIT"), APIError, id="error"),
        pytest.param(faults.ErrorResponse(), ServerError, id="system error"),
        pytest.param(faults.ErrorResponse(code="SYSTEMERROR", signed=False), ServerError, id="unsigned"),
        pytest.param(faults.HtmlPage(), ServerError, id="page"),
        pytest.param(faults.HtmlPage(404), APIError, id="page of a proxy"),
        pytest.param(faults.Redirect(), RedirectError, id="redirect"),
        pytest.param(faults.Reset(), NoResponseError, id="reset"),
        pytest.param(faults.Delay(5), ReadTimeoutError, id="delay"),
        pytest.param(faults.TruncatedBody(), NoResponseError, id="truncated body"),
    ],
)
def test_fault_comes_out_as_its_error(ask, sandbox, fault, error):
    """The right class comes out, after a good response on the same connection and before another."""
    assert "NOTPAY" == ask().xml()["trade_state"]
    sandbox.inject(fault)

    with pytest.raises(WeChatPayError) as caught:
        ask()

    assert error is type(caught.value)
    assert "NOTPAY" == ask().xml()["trade_state"]


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_error_response_says_what_was_set(ask, sandbox, sign_type):
    """Code and message are the caller's; the response is signed, with HTTP's 200, as APIv2's are."""
    sandbox.inject(faults.ErrorResponse(429, "FREQUENCY_LIMITED", "频率超限"))

    with pytest.raises(APIError) as caught:
        ask(sign_type=sign_type)

    error = caught.value
    assert (200, "FREQUENCY_LIMITED", "频率超限") == (error.status_code, error.code, error.message)
    assert error.verified
    assert error.retryable


@pytest.mark.parametrize(
    "fault",
    [faults.UnknownSerial(), faults.OldTimestamp(), faults.MissingHeader(), faults.Probe()],
    ids=lambda fault: type(fault).__name__,
)
def test_faults_of_headers_wait_for_apiv3(ask, sandbox, fault):
    """APIv2 has no signature headers: what is wrong with them befalls the next request of APIv3."""
    sandbox.inject(fault)
    ask()
    with (
        Builder(**sandbox.settings()) as instance,
        pytest.raises(VerificationError),
    ):
        instance.v3.palmservice.authorization.openid["oUpF8uMuAJOM2pxb1Q"].get(query={"organization_id": "1"})


@pytest.mark.parametrize("path", ["v2/pay/orderquery", "/v2/pay/orderquery", "pay/orderquery"])
def test_fault_can_wait_for_a_path(ask, sandbox, path):
    """Paths are written as the chain writes them, or as they are sent."""
    sandbox.inject(faults.HtmlPage(503), path="v2/secapi/pay/refund")
    sandbox.inject(faults.HtmlPage(502), path=path)

    with pytest.raises(ServerError) as caught:
        ask()

    assert 502 == caught.value.status_code


def test_refused_request_uses_no_fault_up(ask, sandbox):
    """A fault waits for a request that is signed as it must be."""
    sandbox.inject(faults.Reset())
    with Builder(**sandbox.settings(secret="0" * 32)) as other, pytest.raises(APIError, match="签名错误"):
        other.v2.pay.orderquery.post(xml={"mch_id": sandbox.identity.mchid})
    with pytest.raises(NoResponseError):
        ask()
