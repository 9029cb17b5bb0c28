"""What most tests ask for: a gateway on a raw socket, a Builder that calls it, clients, a Redis server."""

from __future__ import annotations

import gc
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import hypothesis
import merchants
import pytest
from wire import clients
from wire.gateway import Gateway

from wechatpay import Builder

# ``--hypothesis-profile=thorough`` looks further; a busy machine may be slow at any moment.
hypothesis.settings.register_profile("quick", max_examples=50, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("quick")


def pytest_configure():
    """Take Ctrl-C where the shell ignores it, as in background jobs: programs of tests inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Measure no coverage of property tests: it triples their time, and other tests reach the same lines."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")


def pytest_collection_finish():
    """Keep the garbage collector from going through thousands of tests, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def tracing_goes_on():
    """Fail a test that ends the tracing of its thread: coverage would miss what the next tests run."""
    was_traced = sys.gettrace() is not None
    yield
    assert was_traced == (sys.gettrace() is not None)


@pytest.fixture
def gateway():
    """Give a gateway on a loopback socket that returns a signed ``{}``."""
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture
def build(gateway, monkeypatch):
    """Give a function that makes Builders calling the gateway, closed at the end."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = []

    def build(**changes):
        made.append(Builder(**merchants.settings(**{"base_uri": gateway.url} | changes)))
        return made[-1]

    yield build
    for instance in made:
        instance.getDriver().close()


@pytest.fixture
def instance(build):
    """Give a Builder that calls the gateway."""
    return build()


@pytest.fixture(params=[clients.Sync, clients.Async], ids=["sync", "async"])
def client(request):
    """Give one way of making a call after the other: ``client.call(node, verb, **options)``.

    Where threads, frames or sockets matter, a fixture of the same name adds the third way: a promise that is
    waited for.
    """
    return request.param()


@pytest.fixture(scope="session")
def looped():
    """Give the Async client on one long-lived loop, for many calls."""
    with clients.looped() as client:
        yield client


@pytest.fixture(scope="session")
def redis_url():
    """Start a Redis server on a free port; give its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no redis-server here (apt-get install redis-server)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        command = (binary, *options, "--dir", folder, "--requirepass", "hunter2")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                _wait_for(port)
                yield f"redis://:hunter2@127.0.0.1:{port}/0"
            finally:
                server.terminate()


def _wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("redis-server did not start")


@pytest.fixture
def clean_redis(redis_url):
    """Give the URL of a Redis server that holds nothing."""
    import redis  # noqa: PLC0415  only here

    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return redis_url
