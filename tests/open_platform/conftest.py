"""The open platform on a raw socket, and Builders that call it."""

from __future__ import annotations

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
