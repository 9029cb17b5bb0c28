"""A request is sent once: what may have been received is never repeated, whatever breaks."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time

import merchants
import pytest
from cases import each
from wire.clients import Sync
from wire.gateway import Gateway, reply, signed

from wechatpay import APIError, ConnectError, NoResponseError, ReadTimeoutError
from wechatpay.transports import connections as blocking_connections
from wechatpay.transports import loop_session


@pytest.fixture(params=["sync", "looped"])
def pooled(request):
    """Give the ways of calling that keep connections between calls."""
    return Sync() if request.param == "sync" else request.getfixturevalue("looped")


def at_second(behaviour):
    """Respond to the first request, and treat the others as told."""
    first = iter([signed()])

    def response(seen, peer):
        if reply := next(first, None):
            peer.send(reply)
        else:
            behaviour(seen, peer)

    return response


BREAKS = {
    "closes": lambda _, peer: peer.close(),
    "resets": lambda _, peer: peer.reset(),
    "stops in the headers": lambda _, peer: (peer.send(b"HTTP/1.1 200 OK\r\nContent-Le"), peer.close()),
    "stops between the headers": lambda _, peer: (peer.send(b"HTTP/1.1 200 OK\r\nA: b\r\n"), peer.close()),
    "sends a header that is none": lambda _, peer: peer.send(
        signed().replace(b"\r\n", b"\r\nno colon\r\n", 1)
    ),
    "stops in the body": lambda _, peer: (peer.send(signed(b"{}" * 50)[:-9]), peer.close()),
    "talks nonsense": lambda _, peer: (peer.send(b"what?\r\n\r\n"), peer.close()),
    "stops in a chunk": lambda _, peer: (
        peer.send(reply(b"5\r\nab", "200 OK", ("Transfer-Encoding", "chunked"))),
        peer.close(),
    ),
    "breaks its encoding": lambda _, peer: peer.send(
        reply(b"x" * 20, "200 OK", ("Content-Encoding", "gzip"))
    ),
}


@each("verb", ["get", "post", "put", "delete"])
@each("behaviour", BREAKS.values(), ids=BREAKS)
def test_broken_connection_is_not_a_response(behaviour, verb, client, instance, gateway, caplog):
    """The outcome is unknown; exactly one request has arrived."""
    gateway.behaviour = behaviour
    with pytest.raises(NoResponseError, match=r"/v3/x.*outcome unknown") as caught:
        client.call(instance.v3.x, verb, query={"token": "T0KEN"})

    assert gateway.seen.pop()
    assert [] == gateway.seen
    assert f"<Request {verb.upper()} /v3/x>" == repr(caught.value.request)
    assert "T0KEN" not in f"{caught.value} {caplog.text}"


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("behaviour", [BREAKS["closes"], BREAKS["resets"]], ids=["closes", "resets"])
def test_kept_connection_that_breaks_is_not_a_reason_to_send_again(
    behaviour, verb, pooled, instance, gateway
):
    """Both libraries would repeat a GET on a fresh connection, with a nonce that was used."""
    gateway.behaviour = at_second(behaviour)
    pooled.call(instance.v3.x, verb)
    with pytest.raises(NoResponseError):
        pooled.call(instance.v3.x, verb)

    assert 2 == len(gateway.seen)
    assert 1 == gateway.connections
    assert 2 == len({merchants.nonce(seen) for seen in gateway.seen})


def test_connection_that_was_closed_meanwhile_is_not_used(pooled, instance, gateway):
    """A server that drops an idle connection costs nothing but another one."""
    pooled.call(instance.v3.x, "post")
    gateway.drop()
    time.sleep(0.05)
    pooled.call(instance.v3.x, "post")

    assert 2 == len(gateway.seen)
    assert 2 == gateway.connections


def test_connections_are_kept(pooled, instance, gateway):
    """Calls in a row share one connection, also after errors."""
    for status in ("200 OK", "404 Not Found", "500 Oops", "200 OK"):
        gateway.respond(signed(b"{}", status))
        with contextlib.suppress(APIError):
            pooled.call(instance.v3.x, "get")

    assert 4 == len(gateway.seen)
    assert 1 == gateway.connections


@pytest.mark.slow
def test_idle_connection_is_not_used_again_after_seven_seconds(looped, instance, gateway):
    """WeChat Pay drops what was idle for 8 s: a request may not meet that moment."""
    assert 7.0 == blocking_connections.IDLE_SECONDS == loop_session.IDLE_SECONDS

    def call():
        for client in (Sync(), looped):
            client.call(instance.v3.x, "post")
        return gateway.connections

    assert 2 == call()
    time.sleep(6)
    assert 2 == call()
    time.sleep(7.1)
    assert 4 == call()


def test_age_of_a_connection_counts_from_the_last_response(monkeypatch, instance, gateway):
    """The blocking side looks at the clock, and at nothing else."""
    now = [1000.0]
    monkeypatch.setattr(blocking_connections.time, "monotonic", lambda: now[0])
    for later, connections in ((0, 1), (6.9, 1), (6.9, 1), (7.0, 2)):
        now[0] += later
        instance.v3.x.get()

        assert connections == gateway.connections


def refused_port():
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_refused_connection_is_tried_twice(client, build, caplog):
    """Nothing left, so once more is safe; then the caller decides."""
    instance = build(base_uri=f"http://127.0.0.1:{refused_port()}/")
    caplog.set_level(logging.DEBUG, logger="wechatpay")
    with pytest.raises(ConnectError, match=r"nothing was sent.*127\.0\.0\.1") as caught:
        client.call(instance.v3.x, "get")

    assert isinstance(caught.value, ConnectionError)
    assert 1 == caplog.text.count("trying once more")


def test_name_that_no_host_has_is_a_connect_error(client, build):
    """A label of 64 letters cannot be looked up: nothing was sent."""
    instance = build(base_uri=f"https://{'a' * 64}.example/")
    with pytest.raises(ConnectError, match="nothing was sent"):
        client.call(instance.v3.x, "get")


def test_second_attempt_reaches_a_server_that_has_come_up(client, build, caplog):
    """What is told of the first attempt is told before the second begins."""
    late = Gateway(listening=False)
    instance = build(base_uri=late.url)
    logger = logging.getLogger("wechatpay")
    caplog.set_level(logging.DEBUG, logger="wechatpay")
    come_up = logging.Handler()
    come_up.emit = lambda record: "trying once more" in record.getMessage() and late.listen()
    logger.addHandler(come_up)
    try:
        response = client.call(instance.v3.x, "post", json={})
    finally:
        logger.removeHandler(come_up)
        late.close()

    assert 200 == response.status_code
    assert 1 == len(late.seen)


def test_silence_is_a_timeout(client, build, gateway):
    """Whoever waits longer than ``timeout`` gets an error that is a TimeoutError, too."""
    released = threading.Event()
    gateway.behaviour = lambda _, __: released.wait(5)
    with pytest.raises(ReadTimeoutError, match="outcome unknown: no response in time") as caught:
        client.call(build().v3.x, "get", timeout=(5, 0.2))
    released.set()

    assert isinstance(caught.value, TimeoutError)
    assert 1 == len(gateway.seen)


def test_silence_within_the_body_is_a_timeout(client, build, gateway):
    """Each read has its own ``timeout``."""
    released = threading.Event()
    gateway.behaviour = lambda _, peer: (peer.send(signed(b"{}" * 50)[:-9]), released.wait(5))
    with pytest.raises(ReadTimeoutError):
        client.call(build(timeout=(5, 0.2)).v3.x, "post")
    released.set()

    assert 1 == len(gateway.seen)


def trickle(data, seconds):
    """Send ``data`` in some pieces, over so many seconds."""

    def behaviour(_, peer):
        for at in range(0, len(data), len(data) // 8):
            peer.send(data[at : at + len(data) // 8])
            time.sleep(seconds / 8)

    return behaviour


@pytest.mark.parametrize("part", ["head", "body"])
def test_response_that_trickles_is_a_timeout(part, client, build, gateway):
    """``timeout`` bounds the whole of a response in memory, so that a few bytes cannot hold a call."""
    padding = ("X-Pad", "x" * 4000) if part == "head" else ("X-Pad", "")
    body = b"{}" if part == "head" else b'"%b"' % (b"x" * 4000)
    gateway.behaviour = trickle(signed(body, "200 OK", padding), 4)
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError, match="outcome unknown: no response in time"):
        client.call(build(timeout=(5, 0.4)).v3.x, "get")

    assert time.monotonic() - began < 3
    assert 1 == len(gateway.seen)


def test_download_that_trickles_is_waited_for(client, build, gateway, tmp_path):
    """A long download may take long: ``timeout`` bounds each of its reads."""
    gateway.behaviour = trickle(reply(b"x" * 4000), 2.4)
    client.call(build(timeout=(5, 1.2)).v3.billdownload.file, "get", sink=tmp_path / "bill")

    assert 4000 == (tmp_path / "bill").stat().st_size
