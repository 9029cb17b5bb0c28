"""Access tokens kept by the library: fetched once, used while they are good, replaced once."""

from __future__ import annotations

import json
import time

import pytest
from open_platform.accounts import APP
from open_platform.conftest import respond
from wire.gateway import reply

from wechatpay import APIError, ConnectError
from wechatpay.open_platform import MemoryTokens, Token

APPID = APP["appid"]


def send(client, instance):
    """Make a call that needs a token."""
    return client.call(instance.cgiBin.message.template.send, "post", json={}).json()["appid"]


@pytest.fixture
def clock(platform):
    """Give a clock that the tests set, the platform's as well."""

    class Clock:
        now = time.time()

        def __call__(self):
            return self.now

    platform.clock = Clock()
    return platform.clock


def test_one_token_serves_until_shortly_before_it_expires(build, platform, client, clock):
    """A token is fetched once and used for two hours less four minutes; then there is a new one."""
    instance = build(app=APP, clock=clock)
    send(client, instance)
    clock.now += 7200 - 240 - 1
    send(client, instance)
    assert [("stable_token", APPID, False)] == platform.fetches

    clock.now += 2
    assert APPID == send(client, instance)
    assert [("stable_token", APPID, False)] * 2 == platform.fetches
    assert 2 == len(platform.tokens)


def test_short_lives_are_used_up_to_their_last_tenth(build, platform, client, clock):
    """What is granted for a minute is used for nearly a minute."""
    platform.lifetime = 60
    instance = build(app=APP, clock=clock)
    send(client, instance)
    clock.now += 53
    send(client, instance)
    assert 1 == len(platform.fetches)

    clock.now += 2
    send(client, instance)
    assert 2 == len(platform.fetches)


def test_fetch_says_who_asks(instance, gateway, client):
    """The token is asked for with the id and the secret in the body, never in the URL."""
    send(client, instance)

    assert "POST /cgi-bin/stable_token HTTP/1.1" == gateway.seen[0].line
    assert {"grant_type": "client_credential", **APP} == json.loads(gateway.seen[0].body)


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_refused_token_is_replaced_once(instance, gateway, platform, client, code):
    """A token that is retired, unknown or expired before its time is replaced, and the call made again."""
    send(client, instance)
    if code == 40001:
        platform.retire(APPID)
    elif code == 40014:
        platform.tokens.clear()
    else:
        next(iter(platform.tokens.values())).until = 0
    before = len(gateway.seen)

    assert APPID == send(client, instance)
    assert [
        "/cgi-bin/message/template/send",
        "/cgi-bin/stable_token",
        "/cgi-bin/message/template/send",
    ] == [seen.target.partition("?")[0] for seen in gateway.seen[before:]]
    assert send(client, instance) == APPID
    assert 2 == len(platform.fetches)


def test_token_that_is_refused_again_is_an_error(instance, gateway, platform, client):
    """One replacement, then the error: no call goes round in circles."""

    def behave(seen, peer):
        if "stable_token" in seen.line:
            respond(platform, seen, peer)
        else:
            peer.send(reply(b'{"errcode":40001,"errmsg":"invalid credential"}'))

    gateway.behaviour = behave
    with pytest.raises(APIError, match="40001: invalid credential"):
        send(client, instance)

    assert 2 == sum("template" in seen.line for seen in gateway.seen)


def test_force_only_when_the_platform_gives_the_refused_token_again(instance, gateway, platform, client):
    """Force retires everybody's token: only one that is refused and handed out again calls for it."""
    send(client, instance)
    first = next(iter(platform.tokens))

    def behave(seen, peer):
        if first in seen.target:
            peer.send(reply(b'{"errcode":40001,"errmsg":"invalid credential"}'))
        else:
            respond(platform, seen, peer)

    gateway.behaviour = behave

    assert APPID == send(client, instance)
    assert [False, False, True] == [force for _, _, force in platform.fetches]


def test_endpoint_that_refuses_every_token_is_forced_once(build, gateway, platform, client):
    """Each force retires what others use, and WeChat permits few a day: the next waits ten minutes."""
    now = [time.time()]
    instance = build(app=APP, clock=lambda: now[0])

    def behave(seen, peer):
        if "template" in seen.line:
            peer.send(reply(b'{"errcode":40001,"errmsg":"invalid credential"}'))
        else:
            respond(platform, seen, peer)

    gateway.behaviour = behave
    for expected, later in ((1, 0), (1, 0), (1, 599), (2, 1)):
        now[0] += later
        with pytest.raises(APIError, match="40001"):
            send(client, instance)
        assert expected == sum(force for _, _, force in platform.fetches)


def test_other_errors_leave_the_token_alone(instance, platform, client):
    """Only what says that the token is not good has it replaced."""
    for _ in range(2):
        with pytest.raises(APIError, match="40159"):
            client.call(instance.wxa.getwxacode, "post", json={})

    assert 1 == len(platform.fetches)


def test_wrong_secret_is_explained(build, platform, client):
    """A secret that is not the app's is the error of the fetch, and says so."""
    instance = build(app=APP | {"secret": "wrong"})
    with pytest.raises(
        APIError, match=r"POST /cgi-bin/stable_token → 200 40125: .*the app's secret is wrong"
    ):
        send(client, instance)


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"", b"[]", b'{"access_token":"T"}', b'{"access_token":"","expires_in":7200}',
        b'{"access_token":1,"expires_in":7200}', b'{"access_token":"T","expires_in":0}',
        b'{"access_token":"T","expires_in":"7200"}',
    ],
)  # fmt: skip
def test_response_without_token_is_an_error(instance, gateway, client, body):
    """What is not a token with its lifetime is not used as one, and the call is not sent."""
    gateway.respond(reply(body))
    with pytest.raises(ConnectError, match=r"^nothing was sent: .*the response holds no access_token"):
        send(client, instance)


def test_fetch_takes_no_longer_than_a_lock(build, gateway, platform, client):
    """Whatever the call's timeout, a fetch has one that a lock outlives; a shorter one is kept."""
    timeouts = []

    def watch(request, proceed):
        if request.route == "cgi-bin/stable_token":
            timeouts.append(request.timeout)
        return (yield from proceed(request))

    for timeout in (None, 600, (0.5, 3)):
        instance = build(app=APP)
        instance.getDriver().select("mp").stack.after("token", watch)
        client.call(instance.cgiBin.message.template.send, "post", json={}, timeout=timeout)

    assert [(5.0, 15.0), (5.0, 15.0), (0.5, 3.0)] == timeouts


def test_each_host_has_tokens_of_its_own(tunnel, build, gateway, platform, client):
    """Builders for a gateway and for the platform itself share a store and never a token."""
    settings, _, _ = tunnel
    store = MemoryTokens()
    for instance in (build(app=APP, tokens=store), build(**settings, app=APP, tokens=store)):
        send(client, instance)
        send(client, instance)

    assert {f"{APPID}@api.weixin.qq.com/", f"{APPID}@127.0.0.1:{gateway.port}/"} == set(store._tokens)
    assert 2 == len(platform.fetches)


def test_call_to_another_host_asks_for_its_token_there(tunnel, build, gateway, platform, client):
    """A token comes from where the call goes, be it by ``base_uri`` or by URL, not from the default."""
    settings, tls, _ = tunnel
    instance = build(**settings | {"base_uri": gateway.url}, app=APP)
    node = instance.cgiBin.message.template.send
    client.call(node, "post", json={}, base_uri="https://api.weixin.qq.com/")
    client.call(instance["https://api.weixin.qq.com/cgi-bin/message/template/send"], "post", json={})

    assert [] == gateway.seen
    assert 3 == len(tls.seen)


def test_token_is_asked_for_under_the_gateways_prefix(build, gateway, client):
    """A gateway's base URI with a path is where tokens are asked for, as RFC 3986 joins them."""
    gateway.behaviour = lambda _, peer: peer.send(reply(b'{"access_token":"T","expires_in":7200}'))
    instance = build(app=APP, base_uri=f"{gateway.url}wechat/x")
    client.call(instance.wxa.x, "get")

    assert ["/wechat/cgi-bin/stable_token", "/wechat/wxa/x?access_token=T"] == [
        s.target for s in gateway.seen
    ]


def test_middleware_that_moves_a_call_moves_its_token(build, gateway, client):
    """Where a middleware changed the path, the token is asked for at the root of the same host."""
    gateway.behaviour = lambda _, peer: peer.send(reply(b'{"access_token":"T","expires_in":7200}'))
    instance = build(app=APP)

    def move(request, proceed):
        return (yield from proceed(request.with_(url=f"{gateway.url}moved/elsewhere?a=1")))

    instance.getDriver().select("mp").stack.push(move)
    client.call(instance.wxa.x, "get")

    assert ["/cgi-bin/stable_token", "/moved/elsewhere?a=1&access_token=T"] == [
        s.target for s in gateway.seen
    ]


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda peer: peer.close(), "no complete response"),
        (lambda peer: peer.send(reply(b"", "502 Bad Gateway")), "502 no error code"),
        (lambda peer: peer.send(reply(b"", "302 Found", ("Location", "/"))), "302: redirects"),
        (lambda peer: peer.send(reply(b"<html>", "200 OK", ("Content-Type", "text/html"))), "is not JSON"),
    ],
    ids=["no response", "5xx", "redirect", "page"],
)
def test_call_whose_token_cannot_be_requested_is_not_sent(instance, gateway, client, behave, reason):
    """The error says so: the outcome of the token request is unknown, that of the call is not."""
    gateway.behaviour = lambda _, peer: behave(peer)
    with pytest.raises(ConnectError, match=rf"^nothing was sent: the access_token .*{reason}") as caught:
        send(client, instance)

    assert ["/cgi-bin/stable_token"] == [seen.target for seen in gateway.seen]
    assert "/cgi-bin/stable_token" == caught.value.request.path


@pytest.mark.parametrize("code", ["40001", "40014", "42001"])
def test_refused_call_whose_token_cannot_be_replaced_is_refused(instance, gateway, platform, client, code):
    """The call was sent: no error says that it was not."""
    send(client, instance)
    refusal = reply(f'{{"errcode":{code},"errmsg":"invalid credential"}}'.encode())
    gateway.behaviour = lambda seen, peer: (
        peer.close() if "stable_token" in seen.target else peer.send(refusal)
    )
    with pytest.raises(APIError, match=f"cgi-bin/message/template/send → 200 {code}") as caught:
        send(client, instance)

    assert code == caught.value.code
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, ConnectError)
    assert "nothing was sent" not in str(caught.value)


def test_tokens_that_are_kept_are_taken_up(build, gateway, platform, client):
    """A token that lies in the store is used without a fetch; one that is no longer good is not."""
    value = platform._issue(APPID, "stable_token")
    platform.fetches.clear()
    for until, fetches in ((time.time() + 60, 0), (time.time() - 1, 1)):
        store = MemoryTokens()
        store.put(f"{APPID}@127.0.0.1:{gateway.port}/", Token(value, until))
        instance = build(app=APP, tokens=store)
        send(client, instance)

        assert fetches == len(platform.fetches)
