"""No response is ever taken for the response to another request."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time

import pytest
from wire import certificates
from wire.clients import Sync
from wire.gateway import Gateway, reply, signed

from wechatpay import IncompleteHeadersError, NoResponseError


@pytest.fixture(params=["sync", "looped"])
def client(request):
    """Give the ways of calling that keep connections between calls."""
    return Sync() if request.param == "sync" else request.getfixturevalue("looped")


def echo(seen, peer):
    """Respond with the target."""
    peer.send(signed(seen.target.encode()))


def late(gateway):
    """Have requests for ``/v3/slow`` served only when the test says so, and the others at once."""
    told = threading.Event()

    def behaviour(seen, peer):
        if seen.target == "/v3/slow":
            told.wait(5)
        echo(seen, peer)

    gateway.behaviour = behaviour
    return told


def test_response_that_comes_after_its_timeout_is_nobodys(client, instance, gateway):
    """The connection is given up with the call."""
    told = late(gateway)
    with pytest.raises(NoResponseError):
        client.call(instance.v3.slow, "get", timeout=0.1)
    told.set()

    assert ["/v3/a", "/v3/b"] == [client.call(instance.v3[name], "get").text for name in "ab"]
    assert 2 == gateway.connections


def test_response_that_comes_after_a_cancel_is_nobodys(looped, instance, gateway):
    """A task that is cancelled takes its connection with it."""
    told = late(gateway)

    async def cancelled():
        task = asyncio.ensure_future(instance.v3.slow.getAsync())
        while not gateway.seen:  # noqa: ASYNC110  the gateway is on threads
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    looped.run(cancelled())
    told.set()

    assert ["/v3/a", "/v3/b"] == [looped.call(instance.v3[name], "get").text for name in "ab"]
    assert 2 == gateway.connections


def test_cancelled_call_leaves_a_connection_that_is_another_calls_by_now(build, gateway):
    """Aiohttp puts a connection back as its last byte arrives, before the task that reads it goes on."""
    ends = {"/v3/pay": threading.Event(), "/v3/first": threading.Event()}

    def behaviour(seen, peer):
        head, blank, body = signed(b"{}", "200 OK", *close[seen.target]).partition(b"\r\n\r\n")
        peer.send(head + blank)
        if seen.target in ends:
            ends[seen.target].wait(5)
        if seen.target == "/v3/second":
            time.sleep(0.2)
        peer.send(body)

    def twice(request, proceed):
        response = yield from proceed(request)
        if request.path == "/v3/first":
            response = yield from proceed(request.with_(url=request.url.replace("first", "second")))
        return response

    async def main():
        loop = asyncio.get_running_loop()
        first = instance.v3.first.getAsync()
        cancelled = instance.v3.pay.getAsync()
        while len(gateway.seen) < 2:  # noqa: ASYNC110  the gateway is on threads
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

        def hold_the_loop():
            loop.call_later(0.05, cancelled.cancel)
            ends["/v3/first"].set()
            time.sleep(0.1)
            ends["/v3/pay"].set()
            time.sleep(0.1)

        loop.call_soon(hold_the_loop)
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        return await first

    close = {"/v3/first": [("Connection", "close")], "/v3/pay": [], "/v3/second": []}
    gateway.behaviour = behaviour
    instance = build(middlewares=[twice])

    assert 200 == asyncio.run(main()).status_code
    assert ["/v3/first", "/v3/pay", "/v3/second"] == sorted(seen.target for seen in gateway.seen)


class GiveUpError(Exception):
    """What the caller's own code raises."""


def test_rest_of_a_download_that_was_given_up_is_nobodys(client, instance, gateway):
    """A sink that fails ends the transfer; its own error comes out as it is."""

    def behaviour(seen, peer):
        if seen.target == "/v3/billdownload/file":
            peer.send(reply(b"x" * 500_000))
        else:
            echo(seen, peer)

    def full(_):
        raise GiveUpError

    gateway.behaviour = behaviour
    with pytest.raises(GiveUpError):
        client.call(instance.v3.billdownload.file, "get", sink=full)

    assert ["/v3/a", "/v3/b"] == [client.call(instance.v3[name], "get").text for name in "ab"]


def test_bytes_behind_a_response_are_nobodys(client, instance, gateway):
    """What a server says unasked is not taken for the response to the next request."""
    gateway.behaviour = lambda seen, peer: peer.send(signed(seen.target.encode()) + signed(b"unasked"))
    responses = []
    for name in "abc":
        try:
            responses.append(client.call(instance.v3[name], "get").text)
        except NoResponseError:
            responses.append(None)

    assert "unasked" not in responses
    assert "/v3/a" == responses[0]


def test_bytes_that_come_between_calls_are_nobodys(client, instance, gateway):
    """A connection that was spoken to while nobody listened is given up."""

    def behaviour(seen, peer):
        echo(seen, peer)
        if seen.target == "/v3/a":
            time.sleep(0.05)
            peer.send(signed(b"unasked"))
            told.set()

    told = threading.Event()
    gateway.behaviour = behaviour
    first = client.call(instance.v3.a, "get").text
    told.wait(5)
    time.sleep(0.05)

    assert ["/v3/a", "/v3/b"] == [first, client.call(instance.v3.b, "get").text]
    assert 2 == gateway.connections


def test_bytes_that_tls_holds_back_are_nobodys(client, build, tmp_path):
    """What came in one record with a response, and was not read with it, waits where no socket shows it."""

    def behaviour(seen, peer):
        size = len(signed(seen.target.encode(), "200 OK", ("X-Pad", "")))
        padded = signed(seen.target.encode(), "200 OK", ("X-Pad", "x" * (io.DEFAULT_BUFFER_SIZE - size)))
        peer.send(padded + (signed(b"unasked") if seen.target == "/v3/a" else b""))

    bundle = certificates.authority(tmp_path)
    gateway = Gateway(certificates.server(bundle.parent))
    gateway.behaviour = behaviour
    instance = build(base_uri=gateway.url, verify=str(bundle))
    responses = [client.call(instance.v3[name], "get").text for name in "ab"]
    gateway.close()

    assert ["/v3/a", "/v3/b"] == responses
    assert 2 == gateway.connections


def test_response_that_follows_another_protocol_is_nobodys(client, instance, gateway):
    """A server that switches without being asked has left HTTP: the connection is given up."""

    def behaviour(seen, peer):
        if seen.target != "/v3/a":
            echo(seen, peer)
            return
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        time.sleep(0.05)
        peer.send(signed(b"late"))

    gateway.behaviour = behaviour
    with pytest.raises(IncompleteHeadersError):
        client.call(instance.v3.a, "get")

    assert "/v3/b" == client.call(instance.v3.b, "get").text


@pytest.mark.parametrize("verb", ["get", "post"])
def test_interim_response_is_not_the_last(verb, client, instance, gateway):
    """Whatever precedes the response belongs to the same request."""

    def behaviour(seen, peer):
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        echo(seen, peer)

    gateway.behaviour = behaviour

    assert ["/v3/a", "/v3/b"] == [client.call(instance.v3[name], verb).text for name in "ab"]


def test_responses_of_calls_at_once_stay_apart(instance, gateway):
    """On one loop, with connections that are kept and shared."""
    gateway.behaviour = echo

    async def main():
        calls = [instance.v3._n_.getAsync(n=str(n)) for n in range(60)]
        return [(await call).text for call in calls]

    assert [f"/v3/{n}" for n in range(60)] == asyncio.run(main())
