"""What a call may take: connections, memory, time; and what other people's code may break."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import gzip
import itertools
import os
import resource
import signal
import socket
import threading
import time
import tracemalloc
import zlib
from pathlib import Path
from unittest.mock import create_autospec

import aiohttp
import interrupts
import merchants
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from wire import certificates
from wire.clients import Sync
from wire.gateway import Gateway, reply, signed

from wechatpay import (
    ConfigurationError,
    ConnectError,
    InvalidRequestError,
    NoResponseError,
    PoolTimeoutError,
    ReadTimeoutError,
    Request,
    ResponseTooLargeError,
    TransportError,
)
from wechatpay.background import Job
from wechatpay.media import Media
from wechatpay.transports import asynchronous, blocking, connections, loop_session
from wechatpay.transports.network import Network, Proxies


@pytest.fixture(params=["sync", "looped"])
def pooled(request):
    """Give the ways of calling that keep connections between calls."""
    return Sync() if request.param == "sync" else request.getfixturevalue("looped")


def held(gateway):
    """Have the gateway respond to requests for ``/v3/slow`` once the event is set, and the others at once."""
    released = threading.Event()
    gateway.behaviour = lambda seen, peer: (
        released.wait(10) if seen.target == "/v3/slow" else None,
        peer.send(signed()),
    )
    return released


def test_waiting_for_a_free_connection_ends_in_time(pooled, build, gateway, caplog):
    """It counts against the connect timeout, once; nothing was sent, and the place is free later."""
    caplog.set_level("DEBUG", "wechatpay")
    released = held(gateway)
    instance = build(pool_size=1)
    slow = threading.Thread(target=pooled.call, args=(instance.v3.slow, "get"))
    slow.start()
    while not gateway.seen:
        time.sleep(0.01)
    began = time.monotonic()
    with pytest.raises(PoolTimeoutError, match="no free connection within the connect timeout") as caught:
        pooled.call(instance.v3.x, "get", timeout=(0.2, 5))
    took = time.monotonic() - began
    released.set()
    slow.join(5)

    assert took < 4
    assert "once more" not in caplog.text
    assert isinstance(caught.value, ConnectError)
    assert isinstance(caught.value, TimeoutError)
    assert 1 == len(gateway.seen)
    assert 200 == pooled.call(instance.v3.x, "get").status_code
    assert 1 == gateway.connections


def test_calls_that_wait_get_their_turn(build, gateway):
    """In the order in which they came, as soon as there is a place."""
    gateway.behaviour = lambda _, peer: (time.sleep(0.01), peer.send(signed()))
    instance = build(pool_size=2)
    threads = [threading.Thread(target=instance.v3.x.get) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert 30 == len(gateway.seen)
    assert 2 >= gateway.connections


def test_pool_size_is_for_each_host(gateway):
    """A host whose connections are all in use does not hold up another, sync or async."""
    released = held(gateway)
    other = Gateway()
    network = Network(
        1, verify=True, identity=None, proxies=Proxies.read({}), max_response_size=99, max_download_size=99
    )
    transport = blocking.BlockingTransport(network, None)
    slow = threading.Thread(target=transport.send, args=(Request("GET", f"{gateway.url}v3/slow"),))
    slow.start()
    while not gateway.seen:
        time.sleep(0.01)

    async def main():
        transport = asynchronous.AsyncTransport(network, None, None)
        waiting = asyncio.create_task(transport.send(Request("GET", f"{gateway.url}v3/slow")))
        await asyncio.sleep(0.05)
        status = (await transport.send(Request("GET", f"{other.url}v3/x"))).status_code
        released.set()
        await waiting
        await transport.aclose()
        return status

    try:
        assert 200 == transport.send(Request("GET", f"{other.url}v3/x")).status_code
        assert 200 == asyncio.run(main())
    finally:
        released.set()
        slow.join(5)
        transport.close()
        other.close()


class InterruptError(Exception):
    """What a signal handler raises."""


def lines_of_a_call(instance, files):
    """Count the lines of ``files`` that a call runs."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename not in files:
            return trace if event == "call" else None
        count += event == "line"
        return trace

    with interrupts.traced(trace):
        instance.v3.x.get()
    return count


def interrupted_at(instance, files, line):
    """Make a call that is interrupted at one of its lines in ``files``."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename in files and event == "line":
            count += 1
            if count == line:
                raise InterruptError
        return trace

    with contextlib.suppress(InterruptError, TransportError), interrupts.traced(trace):
        instance.v3.x.get()


@pytest.mark.no_cover  # coverage uses the same hook
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_exception_from_outside_loses_no_place(build, gateway):
    """At whatever line a signal handler raises, the next call has its connection."""
    instance = build(pool_size=1, timeout=(1, 5))
    instance.v3.x.get()
    files = {blocking.__file__, connections.__file__}
    lines = lines_of_a_call(instance, files)
    for line in range(1, lines + 1):
        interrupted_at(instance, files, line)

        assert 200 == instance.v3.x.get().status_code, line
    assert lines > 50
    # What was interrupted is not closed before it is collected.
    gc.collect()


@pytest.mark.timeout(60, method="thread")  # its own signal is the test's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_signal_handler_that_raises_loses_no_place(build, gateway):
    """Also within the libraries, wherever it strikes."""
    instance = build(pool_size=1, timeout=(1, 5))

    def interrupt(*_):
        raise InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for step in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + step * 0.00005)
                instance.v3.x.get()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except (InterruptError, TransportError):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()

    assert 200 == instance.v3.x.get().status_code


class TestRetries:
    """Sessions that send by themselves once more."""

    def test_session_that_retries_sends_a_payment_twice(self, gateway):
        """This is why: a POST that was received and reset is sent again, and the error is of a connection."""

        def behaviour(_, peer):
            if len(gateway.seen) == 2:
                gateway.close()
            peer.reset()

        gateway.behaviour = behaviour
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=Retry(3, allowed_methods=None)))
            with pytest.raises(requests.ConnectionError):
                session.post(f"{gateway.url}v3/pay", json={})

        assert 2 == len(gateway.seen)

    @pytest.mark.parametrize("retries", [1, Retry(3, allowed_methods=None), Retry(None, connect=2)], ids=repr)
    def test_session_that_retries_is_refused(self, retries, build, gateway):
        """At construction, and when it is changed later; nothing is sent."""
        with requests.Session() as session:
            instance = build(session=session)
            session.mount("http://127.0.0.1", HTTPAdapter(max_retries=retries))
            with pytest.raises(ConfigurationError, match=r"session: .* max_retries.* send a payment twice"):
                build(session=session)
            with pytest.raises(ConfigurationError, match="max_retries"):
                instance.v3.pay.post(json={})

        assert [] == gateway.seen

    @pytest.mark.parametrize("retries", [3, True, None])
    def test_retries_that_urllib3_makes_of_a_number_are_refused(self, retries, build):
        """Adapters have a Retry, but urllib3 takes its older spellings, too: ``None`` is three."""
        with requests.Session() as session:
            session.get_adapter("http://").max_retries = retries
            with pytest.raises(ConfigurationError, match="max_retries"):
                build(session=session)

    @pytest.mark.parametrize("retries", [0, False, Retry(0)], ids=repr)
    def test_session_that_never_retries_is_accepted(self, retries, build):
        """However that is written."""
        with requests.Session() as session:
            session.get_adapter("http://").max_retries = retries

            assert 200 == build(session=session).v3.x.get().status_code


@pytest.mark.parametrize("setting", [{"proxies": {}}, {"verify": True}, {"pool_size": 5}], ids=str)
@pytest.mark.parametrize("session", ["session", "client_session"])
def test_setting_that_a_session_makes_meaningless_is_refused(setting, session, build):
    """Rather than ignored."""
    sessions = {"session": requests.Session(), "client_session": lambda _: None}
    with pytest.raises(ConfigurationError, match=f"{next(iter(setting))}: .*{session} brings its own"):
        build(**{session: sessions[session]}, **setting)


async def make_client_session(_):
    """Make a session too late: it would have to be awaited."""
    return aiohttp.ClientSession()


@pytest.mark.parametrize(
    "given",
    [
        42,
        "session",
        aiohttp.ClientSession,
        lambda: None,
        lambda _, __: None,
        make_client_session,
        functools.partial(aiohttp.ClientSession, trust_env=False),
    ],
    ids=["number", "text", "class", "no parameter", "two parameters", "async", "partial"],
)
def test_client_session_is_a_function(given, build):
    """Each loop needs a session of its own; what cannot make one is refused at construction."""
    with pytest.raises(ConfigurationError, match="client_session: give a function"):
        build(client_session=given)


@pytest.mark.parametrize(
    "given",
    [lambda *_: None, lambda loop=None: None, functools.partial(lambda _, loop: loop, 1), max],
    ids=["any number", "a default", "partial", "builtin"],
)
def test_function_that_can_be_called_with_a_loop_is_a_client_session(given, build):
    """However its parameters are written."""
    assert build(client_session=given)


@pytest.mark.parametrize(
    "given", [requests.Session, create_autospec(requests.Session)], ids=["class", "mock"]
)
def test_session_is_an_object_with_adapters(given, build):
    """Its adapters could retry; without any it is not a session."""
    with pytest.raises(ConfigurationError, match=r"session: give a requests\.Session"):
        build(session=given)


@pytest.mark.parametrize("made", [None, requests.Session()], ids=["None", "requests"])
def test_client_session_returns_a_session_of_aiohttp(made, build, looped):
    """Anything else is refused where it comes up."""
    with pytest.raises(ConfigurationError, match="client_session: the function returned"):
        looped.call(build(client_session=lambda _: made).v3.x, "get")


def test_failed_handshake_of_a_session_is_a_connect_error(build, tmp_path, monkeypatch):
    """Nothing was sent, whoever made the session."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    certificates.authority(tmp_path)
    gateway = Gateway(certificates.server(tmp_path))
    try:
        with requests.Session() as session, pytest.raises(ConnectError, match="nothing was sent"):
            build(session=session, base_uri=gateway.url).v3.x.post(json={})
    finally:
        gateway.close()

    assert [] == gateway.seen


ZEROS = 80 << 20

PACK = {"gzip": gzip.compress, "deflate": zlib.compress}


@functools.cache
def bomb(encoding):
    """Give zeros that unpack to far more than is read."""
    return PACK[encoding](bytes(ZEROS))


@pytest.mark.no_cover
@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
def test_bomb_is_not_unpacked(encoding, status, client, build, gateway):
    """Memory does not grow with what a few bytes unpack to."""
    gateway.respond(reply(bomb(encoding), status, ("Content-Encoding", encoding)))
    instance = build(max_response_size=8 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError, match="max_response_size"):
            client.call(instance.v3.x, "get")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 32 << 20


def test_long_response_is_refused(client, build, gateway):
    """Whatever it says of its length."""
    gateway.behaviour = lambda _, peer: (peer.send(signed(b"x" * 2_000_000)), peer.close())
    with pytest.raises(ResponseTooLargeError, match="max_response_size"):
        client.call(build(max_response_size=1_000_000).v3.x, "get")


def test_download_has_a_bound_of_its_own(client, build, gateway, tmp_path):
    """What it unpacks to is not without end; nothing is left behind."""
    gateway.respond(reply(gzip.compress(bytes(4 << 20)), "200 OK", ("Content-Encoding", "gzip")))
    with pytest.raises(ResponseTooLargeError, match="max_download_size"):
        client.call(build(max_download_size=1 << 20).v3.billdownload.file, "get", sink=tmp_path / "bill")
    assert [] == list(tmp_path.iterdir())

    client.call(build().v3.billdownload.file, "get", sink=tmp_path / "bill")

    assert 4 << 20 == (tmp_path / "bill").stat().st_size


@pytest.mark.parametrize("packed", [gzip.compress(bytes(9999))[:-9], b"no gzip"], ids=["cut off", "other"])
def test_malformed_packing_is_not_a_response(packed, client, instance, gateway):
    """Neither is a part of what was packed."""
    gateway.respond(reply(packed, "200 OK", ("Content-Encoding", "gzip")))
    with pytest.raises(NoResponseError, match=r"outcome unknown.*\(its compressed body is malformed\)"):
        client.call(instance.v3.x, "get")


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_body_that_is_not_encoded_is_read_as_it_is(encoding, client, instance, gateway):
    """A proxy may leave the header and empty it."""
    gateway.respond(signed(b'{"a":1}', "200 OK", ("Content-Encoding", encoding)))

    assert {"a": 1} == client.call(instance.v3.x, "get").json()


@pytest.mark.parametrize("to_file", [False, True], ids=["memory", "sink"])
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 9999], ids=lambda text: text[:12])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
def test_encoding_that_nobody_asked_for_is_named(
    status, encoding, to_file, client, instance, gateway, tmp_path
):
    """It cannot be read, so the outcome is unknown; the text says why, in reasonable length."""
    gateway.respond(reply(b"xx", status, ("Content-Encoding", encoding)))
    sink = {"sink": tmp_path / "bill"} if to_file else {}
    with pytest.raises(
        NoResponseError, match=f"outcome unknown: .*{status[:3]}.*'{encoding[:40]}'"
    ) as caught:
        client.call(instance.v3.x, "get", **sink)

    assert "which was not asked for" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "<Request GET /v3/x>" == repr(caught.value.request)
    assert [] == list(tmp_path.iterdir())


def test_long_body_has_the_timeout_for_each_of_its_pieces(pooled, build, gateway):
    """A slow network path is not a reason to give up a request that is leaving."""
    instance = build(timeout=(0.5, 1))
    pooled.call(instance.v3.x, "post", body=b"x" * 3_000_000)
    [seen] = gateway.seen

    assert b"x" * 3_000_000 == seen.body
    assert merchants.signed_text(seen)


def test_upload_that_makes_progress_is_waited_for_at_the_end(build):
    """The end of the process waits for each piece as long as the call does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began, context = time.monotonic(), contextvars.copy_context()
        job = Job("POST /v3/x", 0.0, context)

        def read_slowly():
            connection, _ = listener.accept()
            with connection:
                while time.monotonic() < began + 2:
                    time.sleep(0.01)
                    connection.recv(1 << 16)

        reader = threading.Thread(target=read_slowly)
        reader.start()
        with pytest.raises(NoResponseError):
            context.run(
                asyncio.run,
                _post(build(base_uri=f"http://127.0.0.1:{listener.getsockname()[1]}/"), bytes(20_000_000)),
            )
        reader.join(5)

    assert job.deadline > began + 1 + 100 + 0.5


async def _post(instance, body):
    await instance.v3.x.postAsync(body=body, timeout=(1, 100))


@pytest.mark.parametrize("length", [9_000, 60_000])
def test_long_header_is_read(length, client, instance, gateway):
    """Both sides take as much as http.client does."""
    gateway.respond(signed(b"{}", "200 OK", ("X-Long", "x" * length)))

    assert "x" * length == client.call(instance.v3.x, "get").headers["X-Long"]


def test_old_idle_connections_are_closed(instance, gateway, monkeypatch):
    """After many calls at once, the connections that a few calls do not need end with their time."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    barrier = threading.Barrier(8)
    gateway.behaviour = lambda _, peer: (barrier.wait(5), peer.send(signed()))
    threads = [threading.Thread(target=instance.v3.x.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    gateway.behaviour = lambda _, peer: peer.send(signed())
    before = open_sockets(gateway)
    for _ in range(4):
        time.sleep(0.1)
        instance.v3.x.get()

    assert (8, 1) == (before, open_sockets(gateway))


def open_sockets(gateway):
    """Count this process's connections to the gateway."""
    found = 0
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as copy:
            found += copy.getpeername() == ("127.0.0.1", gateway.port)
    return found


def test_slow_sink_does_not_hold_the_loop(instance, gateway):
    """A callable of the caller's is fed on a thread."""
    gateway.respond(reply(b"x" * 300_000))
    beats = []

    async def beat():
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def main():
        beating = asyncio.create_task(beat())
        await instance.v3.billdownload.file.getAsync(sink=lambda _: time.sleep(0.1))
        beating.cancel()

    asyncio.run(main())

    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 0.09


def test_proxy_that_drips_its_reply_is_a_connect_error(client, build, tmp_path):
    """A reply to CONNECT that comes byte by byte is waited for as long as any connection."""

    def drip(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            try:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(2):
            threading.Thread(target=drip, args=(server,), daemon=True).start()
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConnectError, match="nothing was sent"):
            client.call(
                build(base_uri="https://127.0.0.1:1/", proxies={"https": proxy}).v3.x, "get", timeout=(0.3, 9)
            )

    assert time.monotonic() - began < 4


@pytest.mark.parametrize("timeout", [1e12, (1e300, 5), (5, 1e300)], ids=str)
def test_huge_timeout_is_as_long_as_a_socket_can_wait(timeout, client, instance):
    """No library's own error comes out."""
    assert 200 == client.call(instance.v3.x, "get", timeout=timeout).status_code


def test_scheme_in_capitals_is_verified_as_any(client, build, tmp_path):
    """``verify`` holds for ``HTTPS://`` too."""
    bundle = certificates.authority(tmp_path)
    gateway = Gateway(certificates.server(tmp_path))
    shouted = gateway.url.replace("https", "HTTPS")
    try:
        assert 200 == client.call(build(base_uri=shouted, verify=str(bundle)).v3.x, "get").status_code
        with pytest.raises(ConnectError):
            client.call(build(base_uri=shouted, verify=True).v3.x, "get")
    finally:
        gateway.close()


@pytest.mark.parametrize("sink", ["a\0b", b"a\0b"], ids=["text", "bytes"])
def test_sink_with_nul_in_its_path_is_refused(sink, client, instance, gateway):
    """Before anything is sent."""
    with pytest.raises(InvalidRequestError, match="sink: a path cannot hold NUL"):
        client.call(instance.v3.x, "get", sink=sink if isinstance(sink, str) else os.fsdecode(sink))

    assert [] == gateway.seen


class TestNoDescriptors:
    """A process with no file descriptors left."""

    @pytest.fixture
    def exhausted(self):
        """Give a function that leaves no descriptors, until the test ends."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)

        def exhaust():
            used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208  numbers
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, before[1]))
            spare = []
            while True:
                try:
                    spare.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    break
            return spare

        spare = []
        yield lambda: spare.extend(exhaust())
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in spare:
            os.close(descriptor)

    def test_no_connection_can_be_made(self, pooled, build, gateway, exhausted):
        """Nothing was sent."""
        pooled.call(build().v3.x, "get")
        instance = build()
        exhausted()
        with pytest.raises(ConnectError, match=r"nothing was sent.*Too many open files"):
            pooled.call(instance.v3.x, "get")

        assert 1 == len(gateway.seen)

    @pytest.mark.filterwarnings("ignore:.*BaseEventLoop.__del__:pytest.PytestUnraisableExceptionWarning")
    def test_no_event_loop_can_be_made(self, build, gateway, exhausted):
        """The promise is rejected, as of any call that fails; nothing was sent."""
        instance = build()
        exhausted()
        promise = instance.v3.x.getAsync()
        with pytest.raises(ConnectError, match=r"GET /v3/x: nothing was sent.*Too many open files"):
            promise.wait()
        gc.collect()  # asyncio complains about the loop that it could not make

        assert [] == gateway.seen

    @pytest.mark.filterwarnings("ignore:.*BaseEventLoop.__del__:pytest.PytestUnraisableExceptionWarning")
    def test_no_callback_can_be_called(self, instance, exhausted):
        """What became of the call is known to the promise that it is chained to."""
        promise = instance.v3.x.getAsync()
        promise.wait()
        instance.getDriver().close()
        exhausted()
        with pytest.raises(NoResponseError, match=r"cannot run any more.*Too many open files"):
            promise.then(print).wait()

        assert 200 == promise.wait().status_code
        gc.collect()  # as above

    def test_no_download_can_be_written(self, pooled, build, gateway, exhausted):
        """The error says what could not be done."""
        instance = build()
        pooled.call(instance.v3.x, "get")
        gateway.respond(reply(b"x"))
        pooled.call(instance.v3.billdownload.file, "get", sink=[].append)
        exhausted()
        with pytest.raises(NoResponseError, match=r"sink: .*Too many open files"):
            pooled.call(instance.v3.billdownload.file, "get", sink=[].append)


def test_idle_seconds_are_the_same():
    """Both sides drop an idle connection before WeChat Pay does."""
    assert connections.IDLE_SECONDS == loop_session.IDLE_SECONDS == 7.0


def test_server_that_does_not_read_is_a_timeout(client, build):
    """Its window is full long before the body has left; how much it took is unknown."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        instance = build(base_uri=f"http://127.0.0.1:{listener.getsockname()[1]}/")
        media = Media(bytes(20_000_000), filename="photo.jpg")
        with pytest.raises(ReadTimeoutError, match="outcome unknown"):
            client.call(instance.v3.merchant.media.upload, "post", media=media, timeout=(5, 0.5))
