"""Responses that tests make up, and the verifier accepts."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import requests
import responses
import sandboxes
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from django.test import Client
from notification import servers
from starlette.requests import Request

from wechatpay import APIError, Builder, ClockSkewError, ConfigurationError, SignatureError, testing
from wechatpay.notification import views

URL = "https://api.mch.weixin.qq.com/v3/certificates"


@pytest.fixture(scope="module")
def platform():
    """Give one platform to all tests."""
    return testing.Platform(identity=sandboxes.identity())


@pytest.fixture
def instance(platform):
    """Give a Builder that accepts them."""
    with Builder(**platform.settings()) as instance:
        yield instance


def test_fresh_platform_needs_nothing():
    """Two lines give a Builder and an response that it accepts."""
    platform = testing.Platform()
    with responses.RequestsMock() as mock, Builder(**platform.settings()) as instance:
        mock.add(**platform.response("GET", URL, json={"名": 1}))
        response = instance.v3.certificates.get()

    assert {"名": 1} == response.json()


def test_settings_with_a_session_are_accepted(platform):
    """A session has its own proxies: the platform's, none, are left out of the settings."""
    with requests.Session() as session, responses.RequestsMock() as mock:
        mock.add(**platform.response("GET", URL, json={}))
        instance = Builder(**platform.settings(session=session, client_session=lambda _: None))

        assert {} == instance.v3.certificates.get().json()


@responses.activate
def test_response_is_accepted(platform, instance):
    """``responses.add`` gets status, headers, body and signature."""
    responses.add(**platform.response("POST", URL, body="text", status=202, headers={"X-Mine": "yes"}))
    response = instance.v3.certificates.post(json={})

    assert (202, b"text", "yes") == (response.status_code, response.content, response.headers["X-Mine"])


@responses.activate
def test_empty_response_is_accepted(platform, instance):
    """A 204 has no body, and a signature."""
    responses.add(**platform.response("DELETE", URL, status=204))

    assert instance.v3.certificates["delete"].chain("") is not None
    assert instance.v3.certificates.delete().json() is None


@responses.activate
def test_error_is_accepted(platform, instance):
    """An error can be made up as well, and is verified."""
    body = {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}
    responses.add(**platform.response("GET", URL, json=body, status=404))
    with pytest.raises(APIError) as caught:
        instance.v3.certificates.get()

    assert ("ORDER_NOT_EXIST", True) == (caught.value.code, caught.value.verified)


@responses.activate
def test_changed_response_is_refused(platform, instance):
    """The verifier is at work: what was not signed is refused."""
    responses.add(**platform.response("GET", URL, json={"state": "ON"}) | {"body": b'{"state":"OFF"}'})
    with pytest.raises(SignatureError):
        instance.v3.certificates.get()


@responses.activate
def test_callback_signs_at_each_call():
    """A response that is set up once is accepted for as long as the tests run."""
    now = [1_700_000_000.0]
    platform = testing.Platform(identity=sandboxes.identity(), clock=lambda: now[0])
    responses.add_callback("GET", URL, platform.callback(json={"state": "ON"}))
    with Builder(**platform.settings()) as instance:
        nonces = set()
        for _ in range(2):
            nonces.add(instance.v3.certificates.get().headers["Wechatpay-Nonce"])
            now[0] += 86400

    assert 2 == len(nonces)


@responses.activate
def test_response_is_accepted_for_five_minutes():
    """What is signed once grows old, as WeChat Pay's responses do; the clock is shared."""
    now = [1_700_000_000.0]
    platform = testing.Platform(identity=sandboxes.identity(), clock=lambda: now[0])
    responses.add(**platform.response("GET", URL, json={}))
    with Builder(**platform.settings()) as instance:
        now[0] += 300
        instance.v3.certificates.get()
        now[0] += 1
        with pytest.raises(ClockSkewError):
            instance.v3.certificates.get()


@pytest.mark.parametrize("index", [0, 1], ids=["public key", "certificate"])
@responses.activate
def test_key_that_signs_can_be_chosen(platform, instance, index):
    """Both kinds of keys can be tested."""
    serial = tuple(platform.settings()["certs"])[index]
    responses.add(**platform.response("GET", URL, json={}, serial=serial))

    assert serial == instance.v3.certificates.get().headers["Wechatpay-Serial"]


@pytest.mark.parametrize("verb", ["get", "post"])
def test_aiohttp_handler_is_accepted(platform, verb):
    """A handler for aiohttp's test server signs at each call."""

    async def main():
        app = web.Application()
        app.router.add_route("*", "/v3/certificates", platform.handler(json={"state": "ON"}))
        async with TestServer(app) as server:
            settings = platform.settings(base_uri=str(server.make_url("/")))
            async with Builder(**settings) as instance:
                node = instance.v3.certificates
                return [await getattr(node, f"{verb}Async")() for _ in range(2)]

    first, second = asyncio.run(main())

    assert {"state": "ON"} == first.json() == second.json()
    assert first.headers["Wechatpay-Nonce"] != second.headers["Wechatpay-Nonce"]


def test_aiohttp_response_fits_own_handlers(platform):
    """A handler of the user's own signs what it makes up."""

    async def echo(request):
        return platform.web_response(
            json={"got": await request.json()}, headers={"Content-Type": "text/plain"}
        )

    async def main():
        app = web.Application()
        app.router.add_post("/v3/certificates", echo)
        async with TestServer(app) as server:
            settings = platform.settings(base_uri=str(server.make_url("/")))
            async with Builder(**settings) as instance:
                return await instance.v3.certificates.postAsync(json=[1])

    response = asyncio.run(main())

    assert ({"got": [1]}, "text/plain") == (response.json(), response.headers["Content-Type"])


def test_response_fits_any_library(platform):
    """Status, headers and body are there for whatever a test sends with."""
    response = platform.sign(json=None, status=203)

    assert (203, b"null") == (response.status, response.body)
    assert "Wechatpay-Signature" in response.headers
    assert "<HttpResponse 203, 4 bytes>" == repr(response)


@pytest.mark.parametrize("make", ["sign", "callback", "handler", "web_response"])
def test_two_bodies_are_refused(platform, make):
    """``json`` and ``body`` exclude each other, and the test that sets them up hears of it."""
    with pytest.raises(ConfigurationError, match="one body"):
        getattr(platform, make)(json={}, body=b"")


def test_unknown_key_is_refused(platform):
    """Only WeChat Pay's keys sign; the error names them."""
    with pytest.raises(ConfigurationError, match="PUB_KEY_ID"):
        platform.sign(serial="none")


def test_documented_examples_run():
    """What the module shows works as written."""
    names = {}
    for example in sandboxes.examples(testing):
        exec(example, names)
    names["test_palm"]()
    names["test_order_is_settled"]()
    asyncio.run(names["test_palm_async"]())


@pytest.fixture
def settled():
    """Give what the application has dealt with."""
    return []


@pytest.fixture
def process(settled):
    """Give what deals with an event."""
    return lambda notification: settled.append(notification.resource["out_trade_no"])


@pytest.mark.parametrize("event", ["TRANSACTION.SUCCESS", "v2/payment"])
def test_callback_fits_djangos_test_client(platform, instance, process, settled, event):
    """Headers and body go in as they are, and get through the protection against CSRF."""
    with servers.urls(instance.getDriver().notifications(), process):
        callback = platform.notification(event, {"out_trade_no": "N1"})
        reply = Client(enforce_csrf_checks=True, SERVER_NAME="127.0.0.1").post(
            servers.PATH, callback.body, callback.content_type, headers=callback.headers
        )

    assert (200, ["N1"]) == (reply.status_code, settled)


@pytest.mark.parametrize("event", ["TRANSACTION.SUCCESS", "v2/payment"])
def test_callback_fits_aiohttps_test_client(platform, instance, process, settled, event):
    """The same goes for aiohttp's."""

    async def main():
        app = web.Application()
        app.router.add_post(servers.PATH, views.aiohttp(instance.getDriver().notifications())(process))
        async with TestClient(TestServer(app)) as client:
            callback = platform.notification(event, {"out_trade_no": "N1"})
            reply = await client.post(servers.PATH, headers=callback.headers, data=callback.body)
            return reply.status

    assert (200, ["N1"]) == (asyncio.run(main()), settled)


@pytest.mark.parametrize("event", ["TRANSACTION.SUCCESS", "v2/payment"])
def test_callback_fits_any_asgi_application(platform, instance, process, settled, event):
    """What Starlette's test client, and FastAPI's, makes of headers and body gets through."""
    endpoint = views.starlette(instance.getDriver().notifications())(process)
    callback = platform.notification(event, {"out_trade_no": "N1"})
    headers = [(name.lower().encode(), value.encode()) for name, value in callback.headers.items()]

    async def receive():
        return {"type": "http.request", "body": callback.body}

    reply = asyncio.run(endpoint(Request({"type": "http", "method": "POST", "headers": headers}, receive)))

    assert (200, ["N1"]) == (reply.status_code, settled)


def test_no_http_library_is_loaded_before_it_is_used():
    """Neither ``responses`` nor aiohttp needs to be there for the other's users."""
    code = (
        "import sys; from wechatpay import testing;"
        "testing.Platform().response('GET', 'https://x/', json={});"
        "print({'aiohttp', 'requests', 'responses'} & sys.modules.keys())"
    )

    assert (
        "set()\n"
        == subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )
