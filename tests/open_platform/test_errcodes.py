"""Error responses of the open platform."""

from __future__ import annotations

import json
import pickle

import pytest
from cases import each
from open_platform.accounts import APP, OPENID
from wire.gateway import reply

from wechatpay import APIError, DecodeError, RedirectError, ServerError, retry

QUERY = {"openid": OPENID, "transaction_id": "4200001"}
TOKEN = {"access_token": "T0KEN"}


def ask(client, instance, **query):
    """Ask for the unionid of who paid."""
    return client.call(instance.wxa.getpaidunionid, "get", query=QUERY | query)


def responding(gateway, code, message="words"):
    """Have the gateway response an error."""
    gateway.respond(reply(json.dumps({"errcode": code, "errmsg": message}).encode()))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"openid": "stranger"}, "40003: .* not a user of this app; .* five minutes after the payment"),
        ({"openid": "unbound"}, "89002: .* not bound to an open-platform account"),
        ({"transaction_id": "0"}, "89300: .* no such order; .* five minutes after the payment"),
        ({"transaction_id": "late"}, "89300: .* five minutes after"),
        ({"transaction_id": "other"}, "89300: .* for the openid that paid"),
    ],
    ids=["openid", "unbound", "order", "late", "other"],
)
def test_known_codes_are_explained(instance, platform, client, query, words):
    """The error has the platform's code as text and its words, and says what they mean."""
    platform.users[APP["appid"], "unbound"] = None
    platform.users[APP["appid"], "friend"] = "unionid"
    names = {"appid": APP["appid"], "mch_id": "1", "out_trade_no": ""}
    platform.pay(openid=OPENID, transaction_id="late", ago=301, **names)
    platform.pay(openid="friend", transaction_id="other", **names)
    with pytest.raises(APIError, match=f"GET wxa/getpaidunionid → 200 {words}") as caught:
        ask(client, instance, **query)

    error, code = caught.value, words[:5]
    assert (200, code, False, False) == (error.status_code, error.code, error.retryable, error.verified)
    assert "rid: " in error.message
    assert error.message in str(error)
    assert int(code) == error.response.json()["errcode"]


@pytest.mark.parametrize(("code", "retryable"), [(-1, True), (45011, True), (48001, False), (12345, False)])
def test_busy_platform_may_be_asked_again(instance, gateway, client, code, retryable):
    """-1, and calls that came too fast, may be repeated; others not, whether they are known or not."""
    responding(gateway, code)
    with pytest.raises(APIError, match=f"→ 200 {code}: words") as caught:
        ask(client, instance, **TOKEN)

    assert (str(code), "words", retryable) == (
        caught.value.code,
        caught.value.message,
        caught.value.retryable,
    )


def test_retry_repeats_what_is_busy(instance, platform, client):
    """The opt-in middleware sends again what the platform was too busy for."""
    instance.getDriver().select("mp").stack.push(retry(3, delay=0.001))
    platform.busy = 2

    assert "ok" == ask(client, instance).json()["errmsg"]


@each("body", [b'{"errcode":0}', b'{"errcode":"0"}', b"{}", b'{"a":1}', b"[]", b"", b"{,"])
def test_all_else_is_a_response(instance, gateway, client, body):
    """No ``errcode``, or 0, is success, whatever else the response is."""
    gateway.respond(reply(body))

    assert body == ask(client, instance, **TOKEN).content


def test_response_that_is_not_json_says_so_when_it_is_read(instance, gateway, client):
    """A page in the place of the response is an error as soon as it is taken for JSON."""
    gateway.respond(reply(b"<html>", "200 OK", ("Content-Type", "text/html")))
    with pytest.raises(DecodeError, match="not JSON"):
        ask(client, instance, **TOKEN).json()


@pytest.mark.parametrize(
    ("status", "kind"), [("404 Not Found", APIError), ("502 Bad Gateway", ServerError)], ids=["4xx", "5xx"]
)
def test_http_errors_are_errors(instance, gateway, client, status, kind):
    """A status of 4xx or 5xx is an error, with the body as it came."""
    gateway.respond(reply(b"<html>", status))
    with pytest.raises(kind, match=f"{status[:3]} no error code") as caught:
        ask(client, instance, **TOKEN)

    assert "<html>" == caught.value.response.text


def test_http_error_may_have_a_code(instance, gateway, client):
    """An ``errcode`` counts whatever the status is."""
    gateway.respond(reply(b'{"errcode":40003,"errmsg":"x"}', "400 Bad Request"))
    with pytest.raises(APIError, match="40003: x"):
        ask(client, instance, **TOKEN)


def test_redirects_are_not_followed(instance, gateway, client):
    """A 3xx would carry the token elsewhere."""
    gateway.respond(reply(b"", "302 Found", ("Location", gateway.url)))
    with pytest.raises(RedirectError):
        ask(client, instance, **TOKEN)

    assert 1 == len(gateway.seen)


@pytest.mark.parametrize(
    ("query", "secret"), [(TOKEN, "T0KEN"), ({}, APP["secret"])], ids=["token", "secret"]
)
def test_secrets_that_a_response_quotes_are_taken_out(instance, gateway, client, query, secret):
    """An error's words, its repr and its pickle never hold a token or secret, though the response does."""
    responding(gateway, 40125, f"you sent {secret}")
    with pytest.raises(APIError, match="40125: you sent …") as caught:
        ask(client, instance, **query)

    shown = f"{caught.value}{caught.value!r}{caught.value.message}".encode() + pickle.dumps(caught.value)
    assert secret.encode() not in shown


def test_message_cannot_forge_log_lines(instance, gateway, client):
    """Line breaks of the platform's message are shown escaped in the error's text."""
    responding(gateway, 40003, "no\n2026-01-01 INFO paid")
    with pytest.raises(APIError) as caught:
        ask(client, instance, **TOKEN)

    assert "no\n2026-01-01 INFO paid" == caught.value.message
    assert r"GET wxa/getpaidunionid → 200 40003: no\n2026-01-01 INFO paid (" in str(caught.value)
