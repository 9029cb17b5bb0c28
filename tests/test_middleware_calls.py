"""What middlewares may do to a call, and how those that err or overreach are stopped."""

from __future__ import annotations

import json

import merchants
import pytest
from references import error_of, uncollected
from wire.gateway import reply, signed

from wechatpay import (
    APIError,
    ConfigurationError,
    InvalidRequestError,
    Response,
    SignatureError,
    WeChatPayError,
)
from wechatpay.errors import IncompleteHeadersError

PATH = "v3/pay/transactions"


@pytest.fixture
def stack(instance):
    """Give the APIv3 stack of the Builder."""
    return instance.getDriver().select().stack


def changing(**changes):
    """Make a middleware that changes the request."""

    def change(request, proceed):
        return (yield from proceed(request.with_(**changes)))

    return change


@pytest.mark.parametrize("effect", [5, None, "response"], ids=repr)
def test_unknown_effect_is_an_error_at_the_yield(gateway, instance, stack, client, effect):
    """What is no Request, Pause or Blocking is told with what is."""

    def yielding(request, proceed):
        yield effect

    stack.push(yielding)

    with pytest.raises(ConfigurationError, match=r"yield a Request, a Pause or a Blocking"):
        client.call(instance[PATH], "get")
    assert [] == gateway.seen


def test_forgotten_return_is_reported_by_name(gateway, instance, stack, client, tmp_path):
    """A middleware without `return response` loses the response: no caller, and no sink, is to trust one."""

    def forgetting(request, proceed):
        yield from proceed(request)

    stack.after("verifier", forgetting)

    with pytest.raises(
        ConfigurationError, match=r"'forgetting' returned NoneType.*return response"
    ) as caught:
        client.call(instance[PATH], "get", sink=tmp_path / "file")
    assert f"/{PATH}" == caught.value.request.path
    assert ([], 1) == (list(tmp_path.iterdir()), len(gateway.seen))


def test_way_on_without_yield_from_is_reported_by_name(gateway, instance, stack, client):
    """`return proceed(request)` in a generator gives a flow that nobody runs: nothing was sent."""

    def hurrying(request, proceed):
        return proceed(request)
        yield

    stack.push(hurrying)

    with pytest.raises(ConfigurationError, match=r"'hurrying' returned generator.*yield from proceed"):
        client.call(instance[PATH], "get")
    assert [] == gateway.seen


def test_error_of_a_middleware_reaches_the_caller(gateway, instance, stack, client):
    """It is not ours to dress up."""

    def failing(request, proceed):
        yield from proceed(request)
        raise KeyError("ledger")

    stack.push(failing)

    with pytest.raises(KeyError, match="ledger"):
        client.call(instance[PATH], "get")


def test_middleware_may_response_itself(gateway, instance, stack, client):
    """One that takes an error in may give a response of its own."""

    def forgiving(request, proceed):
        try:
            return (yield from proceed(request))
        except APIError as error:
            return Response(200, content=error.code.encode())

    stack.push(forgiving)
    gateway.respond(signed(b'{"code":"NOT_FOUND"}', "404 Not Found"))

    assert "NOT_FOUND" == client.call(instance[PATH], "get").text


def test_middleware_may_send_further_requests(gateway, instance, stack, client):
    """Each one is signed by itself."""

    def twice(request, proceed):
        yield from proceed(request.with_(method="GET", content=b"", url=f"{request.url}/status"))
        return (yield from proceed(request))

    stack.push(twice)
    client.call(instance[PATH], "post", json={"amount": 1})

    assert [("GET", f"/{PATH}/status"), ("POST", f"/{PATH}")] == [(s.method, s.target) for s in gateway.seen]
    assert 2 == len({merchants.signed_text(seen) and merchants.nonce(seen) for seen in gateway.seen})


@pytest.mark.parametrize("content", [b'{"amount":1000}', b""], ids=["longer", "empty"])
def test_body_changed_outside_the_signer_is_signed_and_sent_whole(gateway, instance, stack, client, content):
    """`Content-Length` follows the body: neither half of it leaves, nor is more waited for."""
    stack.push(changing(content=content))
    client.call(instance[PATH], "post", json={"amount": 1}, timeout=5)

    assert content == gateway.seen[0].body
    assert merchants.signed_text(gateway.seen[0]).endswith(b"\n" + content + b"\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"content": b'{"amount":1000}'},
        {"url": "/v3/refund"},
        {"url": f"/{PATH}?amount=1000"},
        {"url": "https://evil.example/v3/pay/transactions"},
        {"url": f"http://api.mch.weixin.qq.com/{PATH}"},
    ],
    ids=["method", "body", "path", "query", "host", "scheme"],
)
@pytest.mark.parametrize("place", ["signer", "verifier"])
def test_nothing_is_sent_but_what_was_signed(gateway, instance, stack, client, changes, place):
    """Inside the signer a request is final; and `Authorization` goes to no other host."""
    if changes.get("url", "").startswith("/"):
        changes = {"url": gateway.url[:-1] + changes["url"]}
    stack.after(place, changing(**changes))

    with pytest.raises(InvalidRequestError, match=r"what is signed is what is sent|nothing is sent there"):
        client.call(instance[PATH], "post", json={"amount": 1})
    assert 0 == gateway.connections


def test_removed_verifier_is_warned_of(gateway, instance, stack, client, caplog):
    """Responses of anybody's are accepted then; the log keeps who chose so."""
    gateway.respond(reply(b'{"state":"paid"}'))
    with pytest.raises(IncompleteHeadersError):
        client.call(instance[PATH], "get")
    stack.remove("verifier")

    assert {"state": "paid"} == client.call(instance[PATH], "get").json()
    assert [("wechatpay", "WARNING")] == [(line.name, line.levelname) for line in caplog.records]


def test_verifier_can_be_replaced(gateway, instance, stack, client, caplog):
    """A remote verifier stands in its place, under its name, without a warning."""

    def remote(request, proceed):
        response = yield from proceed(request)
        if json.loads(response.content) != {"proof": 1}:
            raise SignatureError("no proof", request=request, response=response)
        return response

    stack.replace("verifier", remote)
    with pytest.raises(SignatureError, match="no proof"):
        client.call(instance[PATH], "get")
    gateway.respond(reply(b'{"proof":1}'))

    assert {"proof": 1} == client.call(instance[PATH], "get").json()
    assert (["signer", "verifier"], []) == (list(stack), caplog.records)


@pytest.mark.parametrize(
    "received", [reply(b'{"code":"PARAM_ERROR"}', "400 Bad Request"), b""], ids=["400", "none"]
)
def test_failed_call_leaves_no_reference_cycle(gateway, build, received):
    """The error, and what its frames hold, are freed at once."""
    instance = build(timeout=(1, 0.2))
    instance.v3.x.get()
    gateway.respond(received)

    with uncollected():
        assert error_of(instance.v3.x.get, WeChatPayError)() is None
