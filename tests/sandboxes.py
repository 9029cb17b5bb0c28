"""Requests to a sandbox, signed here and not by the client; and calls that it responds to."""

from __future__ import annotations

import http.client
import inspect
import re
import textwrap
import time
from base64 import b64encode
from functools import cache

import digests
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay.messages import Headers
from wechatpay.sandbox import HttpRequest, Identity
from wechatpay.sandbox.messages import PLAIN, Channel

PALM = "/v3/palmservice/authorization/openid/oUpF8uMuAJOM2pxb1Q?organization_id=1"
NOW = 1_700_000_000


class Clock:
    """A clock that stands still until it is set."""

    now = float(NOW)

    def __call__(self):
        """Tell the time."""
        return self.now


#: Attributes, and arguments that the sandbox responds to.
CALLS = [
    pytest.param(
        "v3.eduPapay.user._openid_.contracts",
        {"openid": "oUpF8uMuAJOM2pxb1Q", "query": {"appid": "wx1", "plan_id": "12535"}},
        id="contracts",
    ),
    pytest.param(
        "v3.businesscircle.userAuthorizations._openid_",
        {"openid": "oUpF8uMuAJOM2pxb1Q", "query": {"appid": "wx1"}},
        id="business circle",
    ),
    pytest.param(
        "v3.payscore.acquiringbank.permissions.authorizationCode._authorization_code_",
        {
            "authorization_code": "1275342195190894594",
            "query": {"service_id": "1", "channel_id": "2", "sub_mchid": "3"},
        },
        id="pay score",
    ),
    pytest.param(
        "v3.palmservice.authorization.openid._openid_",
        {"openid": "oUpF8uMuAJOM2pxb1Q", "query": {"organization_id": "1"}},
        id="palm",
    ),
]


@cache
def identity():
    """Give keys, the same ones for all sandboxes of a run."""
    return Identity.generate()


def authorization(method="GET", target=PALM, body=b"", **changes):
    """Sign a request, and lay ``Authorization`` out; ``changes`` replace fields after signing."""
    given = {"timestamp": str(int(time.time())), "nonce_str": f"n{time.perf_counter_ns()}"} | changes
    text = b"\n".join(
        (
            method.encode(),
            target.encode(),
            given["timestamp"].encode(),
            given["nonce_str"].encode(),
            body,
            b"",
        )
    )
    signature = b64encode(identity().private_key.sign(text, PKCS1v15(), SHA256())).decode()
    fields = {"mchid": identity().mchid, "serial_no": identity().serial, "signature": signature} | given
    return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def received(method="GET", target=PALM, body=b"", headers=None, **changes):
    """Make a signed request without a socket; ``headers`` of ``None`` are left out."""
    usual = Headers(
        {
            "Accept": "application/json",
            "User-Agent": "test",
            "Authorization": authorization(method, target, body, **changes),
        }
    )
    return HttpRequest(method, target, usual.with_(headers or {}), body)


def send(sandbox, method="GET", target=PALM, body=b"", headers=None):
    """Send a signed request over a socket, and nothing but what is said here."""
    given = {"Accept": "*/*", "User-Agent": "test", "Authorization": authorization(method, target, body)}
    connection = http.client.HTTPConnection("127.0.0.1", int(sandbox.base_uri.split(":")[2].strip("/")), 10)
    try:
        connection.request(method, target, body, given | (headers or {}))
        response = connection.getresponse()
        return response.status, Headers(response.getheaders()), response.read()
    finally:
        connection.close()


def examples(thing):
    """Give the code of a docstring's examples."""
    blocks = re.findall(r"::\n\n((?: {4}.*\n?|\n)+)", inspect.getdoc(thing))
    return [textwrap.dedent(block) for block in blocks]


def fields(**changes):
    """Give the fields of a v2 order, with ``changes``; those of ``None`` are left out."""
    usual = {
        "appid": "wx8888888888888888",
        "mch_id": identity().mchid,
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
        "body": "腾讯充值中心-QQ会员充值",
        "out_trade_no": "20150806125346",
        "total_fee": "101",
        "spbill_create_ip": "127.0.0.1",
        "notify_url": "https://example.com/notify",
        "trade_type": "NATIVE",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def asked(path, given, algorithm="MD5", certificate=None, **changes):
    """Make a v2 request without a socket, signed by the tests' own code; ``changes`` come after signing."""
    sign = digests.digest(given, algorithm, identity().secret)
    body = digests.document({**given, "sign": sign, **changes})
    channel = PLAIN if certificate is None else Channel(certificate)
    return HttpRequest("POST", path, Headers({"Content-Type": "text/xml"}), body, channel)
