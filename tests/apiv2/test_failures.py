"""APIv2 failures: which error, and what it says."""

from __future__ import annotations

import pickle

import pytest
from cases import each
from digests import NONCE, digest, document, response_body, unsigned
from merchants import MCHID
from wire.gateway import reply

from wechatpay import (
    APIError,
    NoResponseError,
    RedirectError,
    ServerError,
    VerificationError,
    retry,
)

FIELDS = {"mch_id": MCHID, "nonce_str": NONCE}


def test_responses_without_result_code_pass(ask):
    """Some endpoints return ``return_code`` alone."""
    fields = {"return_code": "SUCCESS", "rate": "1"}

    assert ask(document(fields | {"sign": digest(fields)}), "pay/queryexchagerate").xml()["rate"] == "1"


@each(
    ("fields", "code", "message"),
    [
        ({"result_code": "FAIL", "err_code": "NOTENOUGH", "err_code_des": "余额"}, "NOTENOUGH", "余额"),
        ({"result_code": "FAIL", "error_code": "PARAM", "error_code_des": "x"}, "PARAM", "x"),
        ({"return_code": "FAIL", "return_msg": "mch_id 参数错误"}, "FAIL", "mch_id 参数错误"),
        ({"result_code": "FAIL", "return_msg": "OK"}, "FAIL", "OK"),
        ({"return_code": ""}, "", ""),
        ({"result_code": ""}, "", ""),
    ],
    ids=["err_code", "error_code", "return_code", "result_code", "no-return_code", "no-result_code"],
)  # fmt: skip
@each("verified", [True, False], ids=["signed", "unsigned"])
def test_failure_says_what_wechat_pay_said(fields, code, message, verified, ask):
    """An ``APIError`` has code, words and body of the response, and says whether it was signed."""
    body = response_body(**fields) if verified else unsigned(**fields)
    with pytest.raises(APIError) as caught:
        ask(body)
    error = caught.value

    assert (code, message, verified) == (error.code, error.message, error.verified)
    assert (200, False, body) == (error.status_code, error.retryable, error.response.content)
    assert code in str(error)
    assert "/pay/orderquery" in str(error)
    assert not isinstance(error, ServerError)


@pytest.mark.parametrize(
    "body", [unsigned(return_code="FAIL", sign="0" * 32), unsigned(return_code="FAIL", sign="0" * 64)]
)
def test_wrong_sign_on_a_failure_hides_nothing(body, ask):
    """A failure whose ``sign`` is wrong reaches the caller, marked."""
    with pytest.raises(APIError) as caught:
        ask(body)

    assert (False, body) == (caught.value.verified, caught.value.response.content)


@pytest.mark.parametrize("path", ["pay/orderquery", "secapi/pay/refund", "pay/micropay", "deposit/facepay"])
def test_system_error_leaves_the_outcome_unknown(path, ask):
    """``SYSTEMERROR`` is a ``ServerError``; payments by code are to be queried, not sent again."""
    with pytest.raises(ServerError) as caught:
        ask(response_body(result_code="FAIL", err_code="SYSTEMERROR"), path)

    assert (path in ("pay/orderquery", "secapi/pay/refund")) == caught.value.retryable


@pytest.mark.parametrize(
    ("code", "path", "is_retryable"),
    [
        ("BANKERROR", "pay/micropay", False),
        ("USERPAYING", "pay/micropay", False),
        ("ORDER_ACCEPTED", "pay/pappayapply", False),
        ("USERPAYING", "secapi/pay/reverse", True),
    ],
)
def test_undecided_payment_leaves_the_outcome_unknown(code, path, is_retryable, ask):
    """Codes that say neither yes nor no are a ``ServerError``, which names the query."""
    with pytest.raises(
        ServerError, match=r"outcome is unknown: query it with pay/\w+ by out_trade_no"
    ) as caught:
        ask(response_body(result_code="FAIL", err_code=code), path)

    assert is_retryable == caught.value.retryable


@pytest.mark.parametrize("code", ["BIZERR_NEED_RETRY", "FREQUENCY_LIMITED", "FREQ_LIMIT"])
def test_what_the_documents_say_to_repeat_is_retryable(code, ask):
    """Codes whose documented cure is the same request again say so."""
    with pytest.raises(APIError) as caught:
        ask(response_body(result_code="FAIL", err_code=code), "secapi/pay/refund")

    assert caught.value.retryable
    assert not isinstance(caught.value, ServerError)


def test_retry_sends_the_same_business_number(client, instance, gateway):
    """The opt-in middleware repeats a ``SYSTEMERROR`` with a nonce of its own."""
    replies = [
        response_body(result_code="FAIL", err_code="SYSTEMERROR"),
        response_body(trade_state="SUCCESS"),
    ]
    gateway.behaviour = lambda _, peer: peer.send(reply(replies.pop(0)))
    instance.getDriver().select("v2").stack.push(retry(2, delay=0.01))
    response = client.call(instance.v2.secapi.pay.refund, "post", xml={"mch_id": MCHID, "out_refund_no": "1"})

    assert "SUCCESS" == response.xml()["trade_state"]
    assert all(b"<out_refund_no>1<" in seen.body for seen in gateway.seen)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        ("400 Bad Request", b"<html>No required SSL certificate was sent</html>", APIError, ""),
        ("404 Not Found", unsigned(return_code="FAIL", return_msg="no such path"), APIError, "FAIL"),
        ("400 Bad Request", response_body(), APIError, ""),
        ("500 Internal Server Error", b"", ServerError, ""),
        ("502 Bad Gateway", response_body(result_code="FAIL", err_code="X"), ServerError, "X"),
    ],
    ids=["html", "xml", "success", "empty", "signed"],
)
def test_http_errors_are_errors_whatever_they_say(status, body, kind, code, ask):
    """A 4xx or 5xx is never a success, and its body reaches the caller as it is."""
    with pytest.raises(kind) as caught:
        ask(body, status=status, headers=[("Request-ID", "0815")])
    error = caught.value

    assert (int(status[:3]), code, body) == (error.status_code, code, error.response.content)
    assert "0815" == error.request_id
    assert isinstance(error, ServerError) == status.startswith("5")
    assert (body.count(b"<sign>") == 1) == error.verified


def test_redirects_are_not_followed(ask):
    """A 3xx is an error: signed fields stay home."""
    with pytest.raises(RedirectError):
        ask(b"", status="302 Found", headers=[("Location", "http://127.0.0.1:1/")])


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"return_msg": "签名错误"}, "pay/orderquery", "secret"),
        ({"return_msg": "证书出错"}, "secapi/pay/refund", "security=True"),
    ],
    ids=["secret", "certificate"],
)
def test_usual_causes_are_named(fields, path, said, ask):
    """The two mistakes everybody makes are named, with what to do."""
    with pytest.raises(APIError, match=said):
        ask(unsigned(return_code="FAIL", **fields), path)


def test_errors_keep_bodies_out_of_pickles_and_reprs(ask):
    """What leaves the process shows method, path, status and code, and no body."""
    with pytest.raises(APIError) as caught:
        ask(response_body(result_code="FAIL", err_code="ORDERNOTEXIST", openid="oUpF8uMuAJOM2pxb1Q"))
    copy = pickle.loads(pickle.dumps(caught.value))

    assert ("ORDERNOTEXIST", True) == (copy.code, copy.verified)
    assert b"oUpF8uMuAJOM2pxb1Q" not in pickle.dumps(caught.value)
    assert "oUpF8uMuAJOM2pxb1Q" not in repr(caught.value) + str(caught.value)


def test_text_of_an_error_says_what_was_called_and_what_came_back(ask):
    """Trackers title by it: method, path, status, code, message, what it means in English, Request-ID."""
    body = response_body(result_code="FAIL", err_code="NOTENOUGH", err_code_des="余额不足")
    with pytest.raises(APIError) as caught:
        ask(body, "pay/unifiedorder", headers=[("Request-ID", "0815-1")])

    assert (
        "POST v2/pay/unifiedorder → 200 NOTENOUGH: 余额不足 (payer's money; other card) [Request-ID 0815-1]"
        == str(caught.value)
    )


def cut_off(_, peer):
    """Send the beginning of a response."""
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<xml>")
    peer.close()


STEP = "query it with pay/orderquery by out_trade_no, and repeat it with the same number only"


@each(
    "behaviour",
    [
        lambda _, peer: peer.close(),
        cut_off,
        lambda _, peer: peer.send(reply(unsigned())),
        lambda _, peer: peer.send(reply(b"<html>")),
        lambda _, peer: peer.send(reply(response_body(result_code="FAIL", err_code="SYSTEMERROR"))),
        lambda _, peer: peer.send(reply(b"", "502 Bad Gateway")),
    ],
    ids=["none", "truncated", "unsigned", "not-xml", "system-error", "bad-gateway"],
)
def test_unknown_outcome_comes_with_the_next_step(behaviour, client, instance, gateway):
    """Whatever left the outcome unknown, the error says how to learn it."""
    gateway.behaviour = behaviour
    with pytest.raises((NoResponseError, VerificationError, ServerError), match="outcome") as caught:
        client.call(instance.v2.pay.unifiedorder, "post", xml=FIELDS)

    assert STEP in str(caught.value)


def test_message_cannot_forge_log_lines(ask, caplog, capfd):
    """Line breaks and control characters of WeChat Pay's message are escaped in the error's text."""
    caplog.set_level("DEBUG")
    message = "no\r\n2026-01-01 INFO paid\u2028\x7f"
    body = unsigned(return_code="FAIL", return_msg=message).replace(b"\r", b"&#13;")
    with pytest.raises(APIError) as caught:
        ask(body, debug=True)
    error = caught.value

    assert message == error.message
    assert r"no\r\n2026-01-01 INFO paid\u2028\x7f" in str(error)
    assert "INFO paid\u2028" not in str(error) + caplog.text + capfd.readouterr().err
