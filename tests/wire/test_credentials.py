"""``Authorization`` stays home: nothing is followed, kept, or read that the caller did not ask for."""

from __future__ import annotations

import pytest
import requests
from cases import each
from wire.gateway import Gateway, reply, signed

from wechatpay import RedirectError


@pytest.fixture
def elsewhere():
    """Give another server, to which redirects point."""
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture(params=["own", "session"])
def instance(request, build):
    """Give a Builder on its own connections, and one on a session of the caller's."""
    if request.param == "own":
        yield build()
    else:
        with requests.Session() as session:
            yield build(session=session)


@each("verb", ["get", "post"])
@each(
    "status",
    ["300 Choices", "301 Moved", "302 Found", "303 See Other", "304 Not Modified", "307 Go", "308 Go"],
)
def test_redirect_is_never_followed(status, verb, client, instance, gateway, elsewhere):
    """A 3xx is an error, signed or not; the other server hears nothing."""
    location = ("Location", f"{elsewhere.url}v3/x")
    for response in (reply(b"", status, location), signed(b"", status, location)):
        gateway.respond(response)
        with pytest.raises(RedirectError, match=f"{status[:3]}.*outcome is unknown") as caught:
            client.call(instance.v3.x, verb)

        assert int(status[:3]) == caught.value.response.status_code
        assert location[1] == caught.value.response.headers["location"]
        assert gateway.seen.pop()
        assert [] == gateway.seen
    assert 0 == elsewhere.connections


@each("location", ["//evil", "/v3/y", "\xff\xfe", "http://[", "http://", "ftp://x/", "javascript:0", ""])
def test_odd_location_is_not_even_looked_at(location, client, instance, gateway):
    """Whatever a redirect says, it is a RedirectError."""
    gateway.respond(reply(b"<html>", "302 Found", ("Location", location)))
    with pytest.raises(RedirectError):
        client.call(instance.v3.x, "get")

    assert gateway.seen.pop()
    assert [] == gateway.seen


def test_redirect_never_reaches_the_sink(client, instance, gateway):
    """A download that streams begins with a 2xx, and with nothing else."""
    received = []
    gateway.respond(reply(b"<html>moved</html>", "302 Found", ("Location", "/v3/y")))
    with pytest.raises(RedirectError) as caught:
        client.call(instance.v3.billdownload.file, "get", sink=received.append)

    assert [] == received
    assert b"<html>moved</html>" == caught.value.response.content


def test_cookies_are_never_sent_back(client, instance, gateway):
    """WeChat Pay's API has no use for them; a proxy's might follow a merchant around."""
    gateway.respond(signed(b"{}", "200 OK", ("Set-Cookie", "a=b; Path=/"), ("Set-Cookie", "c=d")))
    for _ in range(3):
        client.call(instance.v3.x, "get")

    assert all("cookie" not in seen.headers for seen in gateway.seen)


def test_netrc_is_not_read(client, instance, gateway, tmp_path, monkeypatch):
    """What is in it for this host would replace the signature."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login l password p\ndefault login l password p\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    client.call(instance.v3.x, "get")

    assert gateway.seen[0].headers["authorization"].startswith("WECHATPAY2-SHA256-RSA2048 ")


def test_sync_and_async_send_the_same_headers(build, gateway, looped):
    """Header by header, but for the signature."""
    instance = build(headers={"X-Every": "1"})
    for verb, options in (
        ("get", {"query": {"a": 1}}),
        ("post", {"json": {"a": 1}, "headers": {"x-every": None, "X-Call": "2"}}),
        ("post", {}),
        ("put", {"body": b"x", "headers": {"Content-Type": "text/plain", "Accept": None}}),
        ("patch", {}),
        ("delete", {}),
    ):
        gateway.seen.clear()
        getattr(instance.v3.x, verb)(**options)
        looped.call(instance.v3.x, verb, **options)
        first, second = (dict(seen.headers, authorization="") for seen in gateway.seen)

        assert first == second
