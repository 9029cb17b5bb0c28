"""Proxies: from the settings, from the environment, and around them."""

from __future__ import annotations

import base64
import socket
import time

import merchants
import pytest
import requests
from wire import certificates
from wire.gateway import Gateway
from wire.proxy import Proxy

from wechatpay import ConfigurationError, ConnectError, NoResponseError, WeChatPayError

PASSWORD = "pr0xy-Passw0rd"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Give the bundle that the TLS gateway is accepted by."""
    return certificates.authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(bundle):
    """Give a gateway that speaks TLS, which proxies are asked to CONNECT to."""
    gateway = Gateway(certificates.server(bundle.parent))
    yield gateway
    gateway.close()


@pytest.fixture
def proxy():
    """Give a proxy for tunnels."""
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def tunnelled(build, bundle, secure):
    """Give a function that makes Builders which call the TLS gateway."""
    return lambda **changes: build(**{"base_uri": secure.url, "verify": str(bundle)} | changes)


def through(gateway):
    """Give the URL of a proxy that asks for a password."""
    return f"http://user:{PASSWORD}@127.0.0.1:{gateway.port}"


def basic():
    """Give what the proxy is to be told of it."""
    return "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("key", ["http", "all", "http://127.0.0.2:9", "all://127.0.0.2:9"])
def test_plain_request_goes_through_the_configured_proxy(key, client, build, gateway):
    """The proxy gets the absolute form, and its own credentials; the signature is over the target."""
    instance = build(base_uri="http://127.0.0.2:9/", proxies={key: through(gateway)})
    client.call(instance.v3.x, "post", json={"a": 1}, query={"b": "c d"})
    [seen] = gateway.seen

    assert "POST http://127.0.0.2:9/v3/x?b=c%20d HTTP/1.1" == seen.line
    assert "127.0.0.2:9" == seen.headers["host"]
    assert basic() == seen.headers["proxy-authorization"]
    assert merchants.signed_text(seen)


@pytest.mark.parametrize("key", ["https", "all"])
def test_tls_goes_through_a_tunnel(key, client, tunnelled, secure, proxy):
    """The proxy learns the host and its own credentials, and nothing that is meant for WeChat Pay."""
    client.call(tunnelled(proxies={key: through(proxy)}).v3.x, "post", json={"a": 1})
    [head], [seen] = proxy.heads, secure.seen

    assert head.startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.")
    assert f"proxy-authorization: {basic()}".lower() in head.lower()
    assert "wechatpay" not in head.lower().replace("wechatpay-chainable", "")
    assert "proxy-authorization" not in seen.headers
    assert merchants.signed_text(seen)


@pytest.mark.filterwarnings("ignore:An HTTPS request is being sent through an HTTPS proxy:RuntimeWarning")
def test_proxy_over_tls_is_checked_by_the_same_authorities(client, tunnelled, bundle, secure):
    """``verify`` is about every server, also the one on the way."""
    proxy = Proxy(certificates.server(bundle.parent))
    try:
        assert 200 == client.call(tunnelled(proxies={"https": proxy.url}).v3.x, "get").status_code
        with pytest.raises(ConnectError, match="nothing was sent"):
            client.call(tunnelled(proxies={"https": proxy.url}, verify=True).v3.x, "get")
    finally:
        proxy.close()
    assert 1 == len(proxy.heads)
    assert 1 == len(secure.seen)


def test_tunnel_is_kept(tunnelled, secure, proxy, looped):
    """Calls in a row share one tunnel."""
    instance = tunnelled(proxies={"https": proxy.url})
    for _ in range(3):
        instance.v3.x.get()
    for _ in range(3):
        looped.call(instance.v3.x, "get")

    assert 6 == len(secure.seen)
    assert 2 == len(proxy.heads)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_environment_is_read_once(name, client, tunnelled, secure, proxy, monkeypatch):
    """At construction, sync and async."""
    monkeypatch.setenv(name, proxy.url)
    instance = tunnelled()
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    client.call(instance.v3.x, "get")

    assert 1 == len(proxy.heads) == len(secure.seen)


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*", "example.com, 127.0.0.1"])
def test_no_proxy_goes_around_it(bypass, client, tunnelled, secure, proxy, monkeypatch):
    """Hosts in ``no_proxy`` are called directly."""
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", bypass)
    client.call(tunnelled().v3.x, "get")

    assert 1 == len(secure.seen)
    assert [] == proxy.heads


@pytest.mark.parametrize("proxies", [{}, {"http": "http://127.0.0.1:1"}, {"https": None}])
def test_settings_replace_the_environment(proxies, client, tunnelled, secure, proxy, monkeypatch):
    """``{}`` is not a proxy, and what a setting leaves out is not filled in."""
    monkeypatch.setenv("https_proxy", proxy.url)
    client.call(tunnelled(proxies=proxies).v3.x, "get")

    assert 1 == len(secure.seen)
    assert [] == proxy.heads


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*", "example.com, 127.0.0.1"])
def test_no_proxy_of_the_settings_goes_around_it(bypass, client, tunnelled, secure, proxy):
    """The key is the one that requests documents."""
    client.call(tunnelled(proxies={"https": proxy.url, "no_proxy": bypass}).v3.x, "get")

    assert 1 == len(secure.seen)
    assert [] == proxy.heads


def test_misspelt_scheme_is_refused(build):
    """Its proxy would be ignored."""
    with pytest.raises(ConfigurationError, match="proxies: 'htpps' is not a known key"):
        build(proxies={"htpps": "http://127.0.0.1:1"})


def test_user_beyond_latin_1_is_sent_as_utf_8(client, tunnelled, proxy):
    """Sync and async alike; requests' own encoding fails."""
    login = f"http://%E5%BC%A0:{PASSWORD}@127.0.0.1:{proxy.port}"
    client.call(tunnelled(proxies={"https": login}).v3.x, "get")
    expected = base64.b64encode(f"张:{PASSWORD}".encode()).decode()

    assert f"Basic {expected}" in proxy.heads[0]


def test_settings_know_no_exceptions(client, tunnelled, secure, proxy, monkeypatch):
    """``no_proxy`` belongs to the environment's proxies."""
    monkeypatch.setenv("no_proxy", "*")
    client.call(tunnelled(proxies={"https": proxy.url}).v3.x, "get")

    assert 1 == len(proxy.heads) == len(secure.seen)


@pytest.mark.parametrize("refusal", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_refused_tunnel_is_a_connect_error(refusal, client, tunnelled, secure, proxy):
    """Nothing left for WeChat Pay; the password stays out of the error."""
    proxy.refusal = f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(ConnectError, match="nothing was sent") as caught:
        client.call(tunnelled(proxies={"https": through(proxy)}).v3.x, "post", json={})

    assert [] == secure.seen
    assert 2 == len(proxy.heads)
    assert PASSWORD not in f"{caught.value!r} {caught.value}"


def test_tunnel_that_breaks_is_a_connect_error(client, tunnelled, secure, proxy):
    """A proxy that hangs up at CONNECT has sent nothing on."""
    proxy.refusal = b""
    with pytest.raises(ConnectError):
        client.call(tunnelled(proxies={"https": proxy.url}).v3.x, "get")

    assert [] == secure.seen


@pytest.mark.parametrize(
    "nonsense",
    [b"what?\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n"],
    ids=["no status line", "no status", "too long"],
)
def test_proxy_that_talks_nonsense_is_a_connect_error(nonsense, client, tunnelled, secure, proxy):
    """Whatever it says to CONNECT, nothing was sent."""
    proxy.refusal = nonsense
    with pytest.raises(ConnectError, match="nothing was sent"):
        client.call(tunnelled(proxies={"https": proxy.url}).v3.x, "post", json={})

    assert [] == secure.seen


def test_proxy_that_says_nothing_is_a_connect_error(client, tunnelled, secure):
    """A tunnel is waited for no longer than any other connection."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConnectError, match="nothing was sent"):
            client.call(tunnelled(proxies={"https": proxy}).v3.x, "post", timeout=(0.2, 30))

    assert time.monotonic() - began < 10
    assert [] == secure.seen


def test_proxy_that_is_not_there_is_a_connect_error(client, tunnelled, build, secure):
    """For both kinds of request; the error names the proxy, without its password."""
    proxy = f"http://user:{PASSWORD}@127.0.0.1:1"
    for instance in (
        tunnelled(proxies={"https": proxy}),
        build(base_uri="http://127.0.0.2:9/", proxies={"http": proxy}),
    ):
        with pytest.raises(ConnectError, match=r"through the proxy 127\.0\.0\.1:1 ") as caught:
            client.call(instance.v3.x, "get")
        assert PASSWORD not in str(caught.value)

    assert [] == secure.seen


@pytest.mark.parametrize(
    "proxy",
    [
        f"socks5://user:{PASSWORD}@127.0.0.1:1080",
        f"socks5h://user:{PASSWORD}@127.0.0.1:1080",
        f"ftp://user:{PASSWORD}@127.0.0.1",
        f"http://user:{PASSWORD}@",
        f"http://user:{PASSWORD}@host:port",
        f"http://user:{PASSWORD}@host:99999",
        f"http://user:{PASSWORD}@[::1",
        "http://",
        "",
    ],
)
def test_proxy_that_cannot_be_used_is_reported_without_its_password(
    proxy, client, tunnelled, secure, monkeypatch
):
    """In the settings at construction; in the environment, which others may have set, when it is met."""
    if proxy:
        with pytest.raises(ConfigurationError, match="proxies") as caught:
            tunnelled(proxies={"https": proxy})
        assert PASSWORD not in str(caught.value)

    monkeypatch.setenv("https_proxy", proxy)
    instance = tunnelled()
    if not proxy:
        assert 200 == client.call(instance.v3.x, "get").status_code
        return
    with pytest.raises(WeChatPayError, match="proxies") as caught:
        client.call(instance.v3.x, "get")

    assert isinstance(caught.value, ConfigurationError)
    assert PASSWORD not in str(caught.value)
    assert [] == secure.seen


@pytest.mark.parametrize("proxies", [{"https": 5}, {"https": b"http://x"}, {5: "http://x"}, "http://x", []])
def test_proxies_of_another_type_are_refused(proxies, build):
    """A mapping of scheme to URL, or nothing."""
    with pytest.raises(ConfigurationError, match="proxies"):
        build(proxies=proxies)


def test_session_brings_its_own_proxies(build, bundle, secure, proxy, monkeypatch):
    """Who brings a session has settled that there, too."""
    # A bundle of the environment goes over the session's: requests has it so.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with requests.Session() as session:
        session.proxies = {"https": proxy.url}
        session.verify = str(bundle)
        build(session=session, base_uri=secure.url).v3.x.get()

    assert 1 == len(proxy.heads) == len(secure.seen)


@pytest.mark.parametrize("break_off", ["close", "reset"])
def test_response_lost_behind_a_proxy_is_not_asked_for_twice(break_off, client, tunnelled, secure, proxy):
    """Once the tunnel stands, a connection that breaks leaves the outcome unknown, as anywhere."""
    secure.behaviour = lambda _, peer: getattr(peer, break_off)()
    with pytest.raises(NoResponseError):
        client.call(tunnelled(proxies={"https": through(proxy)}).v3.x, "post", json={"a": 1})

    assert 1 == len(secure.seen)
