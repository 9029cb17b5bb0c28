"""The open platform on a raw socket, Builders that call it, and a Redis server of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time

import authority
import pytest
from open_platform import detour
from open_platform.accounts import APP, OPENID, ORDER, UNIONID
from open_platform.gateway import OpenPlatform
from tunnels import Tunnels
from wire import clients
from wire.gateway import Gateway, reply


def respond(platform, seen, peer):
    """Respond to what a raw socket received; through a proxy, its target is absolute."""
    target = seen.line.split(" ")[1]
    if not target.startswith("/"):
        target = "/" + target.split("/", 3)[3]
    status, kind, body = platform.respond(seen.method, target, seen.fields, seen.body)
    peer.send(reply(body, f"{status} -", ("Content-Type", kind)))


@pytest.fixture
def platform(gateway):
    """Give an open platform, behind the gateway, where one app's user has just paid."""
    platform = OpenPlatform({APP["appid"]: APP["secret"]}, users={(APP["appid"], OPENID): UNIONID})
    platform.pay(appid=APP["appid"], openid=OPENID, **ORDER)
    gateway.behaviour = lambda seen, peer: respond(platform, seen, peer)
    return platform


@pytest.fixture
def instance(build, platform):
    """Give a Builder with the app, which calls that platform."""
    return build(app=APP)


@pytest.fixture
def tunnel(platform, tmp_path):
    """Give settings by which ``https://api.weixin.qq.com/`` ends on loopback, and what arrives there."""
    tls = Gateway(detour.context(tmp_path))
    tls.behaviour = lambda seen, peer: respond(platform, seen, peer)
    proxy = Tunnels(tls.port)
    settings = {"proxies": {"https": proxy.url}, "verify": authority.bundle(tmp_path)}
    yield settings | {"base_uri": "https://api.mch.weixin.qq.com/"}, tls, proxy
    proxy.close()
    tls.close()


@pytest.fixture(params=[clients.Sync, clients.Async], ids=["sync", "async"])
def client(request):
    """Give one way of making a call after the other."""
    return request.param()


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
