"""Error responses of APIv3: any body becomes an error that says what is known."""

from __future__ import annotations

import json
import time

import keys
import merchants
import pytest
from cases import each
from sandboxes import identity
from wire.gateway import reply, signed

from wechatpay import APIError, Builder, RedirectError, ServerError
from wechatpay.sandbox import Sandbox

PATH = "v3/pay/transactions/<id>"
JSON = ("Content-Type", "application/json; charset=utf-8")
PARAM_ERROR = '{"code":"PARAM_ERROR","message":"金额错误","detail":{"field":"/amount"}}'.encode()


def caught(client, instance, verb="get", **options):
    """Make a call that fails, and give its error."""
    with pytest.raises(APIError) as raised:
        client.call(instance[PATH], verb, id="1", **options)
    return raised.value


def test_error_says_what_weixin_pay_said(gateway, instance, client):
    """Code, words and details are attributes; the text names the call and what support asks for."""
    gateway.respond(signed(PARAM_ERROR, "400 Bad Request", JSON))
    error = caught(client, instance)

    assert (APIError, 400, "PARAM_ERROR", "金额错误") == (
        type(error),
        error.status_code,
        error.code,
        error.message,
    )
    assert {"field": "/amount"} == error.detail
    assert str(error).startswith(
        "GET v3/pay/transactions/{id} → 400 PARAM_ERROR: 金额错误 (a parameter is missing"
    )
    assert str(error).endswith(" [Request-ID 0123]")
    assert "0123" == error.request_id
    assert PARAM_ERROR == error.response.content
    assert "/v3/pay/transactions/1" == error.request.target


@each(
    "body",
    [
        b"",
        b"<html><h1>502</h1></html>",
        b"null",
        b'["code","X"]',
        b'{"code":404,"message":["no"]}',
        b"[" * 100_000,
        b'{"code":"\xff"}',
    ],
    ids=["empty", "html", "null", "list", "no text", "deep", "no UTF-8"],
)
@each(("status", "kind"), [("403 Forbidden", APIError), ("502 Bad Gateway", ServerError)])
def test_any_body_reaches_the_caller(gateway, instance, client, body, status, kind):
    """A page of a machine in between is a response, too; what it is not is guessed at."""
    gateway.respond(reply(body, status, ("Content-Type", "text/html")))
    error = caught(client, instance)

    assert (kind, "", "", None) == (type(error), error.code, error.message, error.detail)
    assert body == error.response.content
    assert f"no error code (text/html, {len(body)} bytes: see .response.text)" in str(error)
    assert not error.retryable


def test_error_can_be_printed_whatever_came(gateway, instance, client):
    """Half a character in WeChat Pay's words is not a reason for a log to fail."""
    gateway.respond(signed(b'{"code":"X","message":"\\ud83d"}', "400 Bad Request", JSON))
    error = caught(client, instance)

    assert "X: ?" in str(error).encode().decode()
    assert "?" == error.message


@each(
    ("status", "code", "retryable"),
    [
        ("429 Too Many Requests", "RATELIMIT_EXCEEDED", True),
        ("429 Too Many Requests", "FREQUENCY_LIMITED", True),
        ("500 Internal Server Error", "SYSTEM_ERROR", True),
        ("500 Internal Server Error", "BANK_ERROR", False),
        ("400 Bad Request", "SYSTEM_ERROR", False),
        ("403 Forbidden", "RATELIMIT_EXCEEDED", False),
        ("404 Not Found", "ORDER_NOT_EXIST", False),
    ],
)
def test_error_says_whether_to_repeat(gateway, instance, client, status, code, retryable):
    """Only what WeChat Pay says to repeat with the same business number is retryable."""
    gateway.respond(signed(json.dumps({"code": code}).encode(), status, JSON))

    assert caught(client, instance).retryable is retryable


def test_payment_by_code_is_queried_after_an_error(gateway, instance, client):
    """The payer may have paid already: after a 5xx the order is queried, not paid again."""
    gateway.respond(signed(b'{"code":"SYSTEM_ERROR"}', "500 Internal Server Error", JSON))
    with pytest.raises(ServerError, match="query it with GET v3/pay/transactions/out-trade-no") as error:
        client.call(instance.v3.pay.transactions.codepay, "post", json={})

    assert not error.value.retryable


@each(
    ("response", "verified"),
    [
        (lambda status: signed(PARAM_ERROR, status, JSON), True),
        (lambda status: reply(PARAM_ERROR, status, JSON), False),
        (lambda status: signed(PARAM_ERROR, status, JSON, key="stranger"), False),
        (lambda status: signed(PARAM_ERROR, status, JSON, serial="PUB_KEY_ID_0"), False),
        (lambda status: signed(PARAM_ERROR, status, JSON, at=int(time.time()) - 400), False),
    ],
    ids=["signed", "unsigned", "by a stranger", "unknown key", "stale"],
)
@each("status", ["400 Bad Request", "503 Service Unavailable"])
def test_error_says_whether_it_is_verified(gateway, instance, client, response, status, verified):
    """A proof that fails never hides what came: the caller reads `.verified`."""
    gateway.respond(response(status))
    error = caught(client, instance)

    assert error.verified is verified
    assert ("PARAM_ERROR", PARAM_ERROR) == (error.code, error.response.content)


@each("status", [301, 302, 303, 304, 307, 308])
@each("location", ["https://evil.example/", "http://[::1", "/v3/elsewhere", None])
def test_redirect_is_not_followed(gateway, instance, client, status, location):
    """`Authorization` stays home, wherever the response points."""
    gateway.respond(reply(b"", f"{status} Moved", *([("Location", location)] if location else [])))

    with pytest.raises(RedirectError, match=f"^{status}: redirects are not followed") as raised:
        client.call(instance[PATH], "post", id="1", json={})
    assert (status, location) == (
        raised.value.response.status_code,
        raised.value.response.headers.get("Location"),
    )
    assert gateway.seen.pop()
    assert [] == gateway.seen


def disputing(change, **more):
    """Make a gateway that received another text than was signed, as a proxy may bring it about."""

    def behave(seen, peer):
        text = change(merchants.signed_text(seen).decode())
        information = {"truncated_sign_message": text, "sign_message_length": len(text.encode()), **more}
        body = {"code": "SIGN_ERROR", "message": "错误的签名", "detail": {"sign_information": information}}
        peer.send(reply(json.dumps(body).encode(), "401 Unauthorized", JSON))

    return behave


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.replace("POST", "PUT"), "differs in the method, at byte 1: server 'UT', ours 'OST'"),
        (lambda t: t.replace("/1", "/2"), "differs in the path, at byte 26: server '2?', ours '1?'"),
        (
            lambda t: t.replace("?token=top-secret", ""),
            "differs in the path, at byte 27: server '', ours '?'",
        ),
        (lambda t: t.replace("top", "TOP"), "differs in the query, at byte 34"),
        (lambda t: t.replace("\n1", "\n2"), "differs in the timestamp, at byte 45: server '2"),
        (
            lambda t: t.replace("NONCE", "other"),
            "differs in the nonce, at byte 56: server 'other0000000', ours 'NONCE0000000'",
        ),
        (
            lambda t: t.replace('"me"', '"you"'),
            "differs in the body, at byte 99 (ours is 104 bytes, the server's 105)",
        ),
    ],
    ids=["method", "path", "no query", "query", "timestamp", "nonce", "body"],
)
def test_sign_error_shows_where_the_texts_part(gateway, build, client, change, expected):
    """The first difference is what a proxy, or a mistake, changed; queries and bodies are not quoted."""
    instance = build(nonce=lambda: f"{'NONCE':0<32}")
    gateway.behaviour = disputing(change)
    error = caught(client, instance, "post", query={"token": "top-secret"}, json={"payer": "me"})

    assert f"; the server signed another text, which {expected}" in str(error)
    assert not any(word in str(error) for word in ("secret", "TOP", 'me"', "you"))


@pytest.mark.parametrize("said", ["secret", ["secret"], True, None], ids=repr)
def test_sign_error_quotes_no_odd_length(gateway, build, client, said):
    """What should be a number, and is none, is not shown."""
    gateway.behaviour = disputing(lambda t: t.replace('"me"', '"you"'), sign_message_length=said)
    error = caught(client, build(), "post", json={"payer": "me"})

    assert "the server's unknown)" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "information",
    [None, [], {}, {"truncated_sign_message": 5}],
    ids=["none", "list", "empty", "number"],
)
def test_sign_error_without_a_text_is_an_error_like_others(gateway, instance, client, information):
    """Without the server's text there is nothing to compare."""
    body = {"code": "SIGN_ERROR", "message": "签名错误", "detail": {"sign_information": information}}
    gateway.respond(reply(json.dumps(body).encode(), "401 Unauthorized", JSON))

    assert "the server signed" not in str(caught(client, instance))


@pytest.mark.parametrize("words", ["paid", "已支付已支付已支付"])
def test_sign_error_of_equal_texts_points_at_the_key(client, words):
    """When both signed the same, the key is another merchant's; a text that is cut is not an other text."""
    with (
        Sandbox(identity=identity()) as sandbox,
        Builder(**sandbox.settings(private_key=keys.private_key("stranger"))) as instance,
    ):
        error = caught(client, instance, "post", json={"note": words})

    assert "; the server signed the same text: does private_key belong to serial?" in str(error)
