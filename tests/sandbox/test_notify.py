"""Callbacks reach a server on this machine, and no other."""

from __future__ import annotations

import asyncio
import socket

import pytest
import sandboxes
from aiohttp import web
from aiohttp.test_utils import TestServer
from shops import serving

from wechatpay import Builder, ConfigurationError, ConnectError, NoResponseError, ReadTimeoutError
from wechatpay.notification import views
from wechatpay.sandbox import Sandbox, faults


@pytest.fixture
def shop():
    """Give a running shop."""
    with serving() as shop:
        yield shop


@pytest.fixture(scope="module")
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.fixture
def handler(sandbox):
    """Give the handler of the merchant's Builder."""
    return Builder(**sandbox.settings()).getDriver().notifications()


def test_documented_example_runs(sandbox, shop):
    """What the docstring shows works as written."""
    (example,) = sandboxes.examples(Sandbox.notify)
    exec(example, {"sandbox": sandbox, "url": shop.url})

    assert "/notify" == shop.received[0][0]


def test_callback_arrives_and_the_reply_comes_back(sandbox, shop, handler):
    """The server gets what the library proves; its status, headers and body come back."""
    shop.replies = [(500, b'{"code":"FAIL"}')]
    reply = sandbox.notify(shop.url, "TRANSACTION.SUCCESS", {"out_trade_no": "N1"})
    path, headers, body = shop.received[0]

    assert "N1" == handler.parse(headers, body).resource["out_trade_no"]
    assert ("/notify", "application/json", "Mozilla/4.0") == (
        path,
        headers["Content-Type"],
        headers["User-Agent"],
    )
    assert (500, b'{"code":"FAIL"}', "15") == (reply.status, reply.body, reply.headers["content-length"])
    assert reply is sandbox.delivered[-1]


def test_event_is_delivered_again(sandbox, shop, handler):
    """The event is the same, and the signature another, each time, whatever the replies."""
    shop.replies = [(500, b""), (200, b"")]
    found = sandbox.notify(shop.url, times=3)
    events = [handler.parse(headers, body).id for _, headers, body in shop.received]

    assert [500, 200, 200] == [reply.status for reply in found.replies]
    assert ([True], 3) == ([len(set(events)) == 1], len(events))
    assert 3 == len({headers["Wechatpay-Nonce"] for _, headers, _ in shop.received})


@pytest.mark.parametrize(
    ("event", "status", "body", "expected"),
    [
        ("TRANSACTION.SUCCESS", 200, b"", True),
        ("TRANSACTION.SUCCESS", 204, b"", True),
        ("TRANSACTION.SUCCESS", 201, b"", False),
        ("TRANSACTION.SUCCESS", 302, b"", False),
        ("TRANSACTION.SUCCESS", 500, b'{"code":"SUCCESS"}', False),
        ("v2/payment", 200, b"<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>", True),
        ("v2/payment", 200, b"<xml>\n<return_code>SUCCESS</return_code></xml>", True),
        ("v2/payment", 200, b"<xml><return_code>FAIL</return_code></xml>", False),
        ("v2/payment", 200, b"success", False),
        ("v2/payment", 500, b"<xml><return_code>SUCCESS</return_code></xml>", False),
    ],
)
def test_reply_is_judged_as_wechat_pay_does(sandbox, shop, event, status, body, expected):
    """It is told whether WeChat Pay would deliver the event again; redirects are not followed."""
    shop.replies = [(status, b"" if status == 204 else body)]

    assert expected == sandbox.notify(shop.url, event).is_acknowledged
    assert 1 == len(shop.received)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.mch.weixin.qq.com/notify",
        "http://example.com/notify",
        "http://10.0.0.1/notify",
        "http://127.0.0.1.example.com/notify",
        "http://user@127.0.0.1/notify",
        "https://127.0.0.1/notify",
        "http://127.0.0.1:99999/notify",
        "http://127.0.0.1:0/notify",
        "http://[::1/notify",
        "file:///etc/passwd",
        "//127.0.0.1/notify",
        "",
    ],
)
def test_nobody_but_this_machine_is_called(sandbox, url):
    """A callback never leaves the computer."""
    with pytest.raises(ConfigurationError, match="url: the sandbox only calls this machine"):
        sandbox.notify(url)


@pytest.mark.parametrize("rest", ["?order=1", "#part", "/张三", "/a b", "/\r\nX: 1"])
def test_url_is_as_plain_as_wechat_pay_wants_it(sandbox, rest):
    """What would not be taken as a notify_url is not taken here."""
    with pytest.raises(ConfigurationError, match="url: WeChat Pay accepts no query"):
        sandbox.notify(f"http://127.0.0.1:1{rest}")


def test_name_that_leads_elsewhere_is_not_called(sandbox, monkeypatch):
    """Should a system take another machine for localhost, nothing is sent there."""
    with serving() as shop:
        monkeypatch.setattr("wechatpay.sandbox.posting.is_loopback", lambda host: host == "localhost")
        with pytest.raises(ConfigurationError, match="localhost is another machine here"):
            sandbox.notify(f"http://localhost:{shop.server_port}/notify")

        assert [] == shop.received


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "localhost"), ("::1", "[::1]")])
def test_this_machine_has_other_names(sandbox, address, host):
    """All of loopback will do, and a URL without a path."""
    with serving(address) as shop:
        sandbox.notify(f"http://{host}:{shop.server_port}")

        assert ["/"] == [path for path, _, _ in shop.received]


def test_proxies_of_the_environment_do_not_matter(sandbox, shop, monkeypatch):
    """A developer's proxy variables break nothing."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert 200 == sandbox.notify(shop.url).status


def test_server_that_is_not_there_is_told(sandbox, shop):
    """The most usual mistake: the port is wrong, or nothing runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port}/notify: connection refused"):
        sandbox.notify(f"http://127.0.0.1:{port}/notify")


def test_server_that_takes_too_long_is_told(sandbox, shop, monkeypatch):
    """WeChat Pay waits for 5 s, and so does the sandbox."""
    monkeypatch.setattr("wechatpay.sandbox.posting._REPLY_TIMEOUT", 0.1)
    shop.pause = 0.5
    with pytest.raises(ReadTimeoutError, match=r"did not reply within 0\.1 s"):
        sandbox.notify(shop.url)


def test_loop_that_is_blocked_is_named(sandbox, shop, monkeypatch):
    """A server cannot reply on the event loop that waits for its reply."""
    monkeypatch.setattr("wechatpay.sandbox.posting._REPLY_TIMEOUT", 0.1)
    shop.pause = 0.5

    async def main():
        sandbox.notify(shop.url)

    with pytest.raises(ReadTimeoutError, match=r"this event loop was blocked: .* await apay"):
        asyncio.run(main())


def test_server_that_breaks_the_connection_is_told(sandbox, shop):
    """A crash is no reply."""
    shop.replies = [(None, b"")]
    with pytest.raises(NoResponseError, match="broke the connection"):
        sandbox.notify(shop.url)


def test_times_are_counted_from_one(sandbox, shop):
    """No delivery has no reply."""
    with pytest.raises(ConfigurationError, match="times: 1 or more"):
        sandbox.notify(shop.url, times=0)


def test_faulty_callback_is_sent_as_it_is(sandbox, shop, handler):
    """What goes wrong goes wrong at the server, too."""
    sandbox.notify(shop.url, fault=faults.Probe())
    _, headers, body = shop.received[0]

    assert 401 == handler.handle(headers, body, pytest.fail).status


def test_server_on_the_same_loop_is_reached(sandbox):
    """A test of an asynchronous application runs in the loop that serves it."""

    async def main():
        settled = []
        async with Builder(**sandbox.settings()) as instance:
            app = web.Application()
            view = views.aiohttp(instance.getDriver().notifications())
            app.router.add_post("/notify", view(lambda paid: settled.append(paid.resource["out_trade_no"])))
            async with TestServer(app) as server:
                url = str(server.make_url("/notify"))
                found = await sandbox.anotify(url, "TRANSACTION.SUCCESS", {"out_trade_no": "N1"}, times=2)
        return found, settled

    found, settled = asyncio.run(main())

    assert ([200, 200], ["N1"]) == ([reply.status for reply in found.replies], settled)


def test_new_key_signs_callbacks(shop):
    """After a rotation the newest key signs, and a merchant with certificates downloads it."""
    with Sandbox(identity=sandboxes.identity(), mode="certificates") as sandbox:
        handler = Builder(**sandbox.settings()).getDriver().notifications()
        serials = []
        for _ in range(2):
            sandbox.notify(shop.url)
            serials.append(shop.received[-1][1]["Wechatpay-Serial"])
            assert handler.parse(*shop.received[-1][1:])
            made = sandbox.rotate()
            handler = Builder(**sandbox.settings()).getDriver().notifications()

    assert serials[0] in sandbox.identity.certs
    assert made.serial not in serials
