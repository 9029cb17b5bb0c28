"""The recorded calls of APIv3, over a raw socket: every spelling, sync and async."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import merchants
import pytest
from cases import each
from wire.clients import Sync

from wechatpay import Builder, InvalidRequestError
from wechatpay.options import Arguments

ROWS = [
    row
    for line in (Path(__file__).parents[1] / "vectors" / "wire.jsonl").read_text().splitlines()
    if (row := json.loads(line))["uri"].startswith("v3/")
]


def _angled(uri):
    return re.sub(r"\{(\w+)\}", r"<\1>", uri)


SPELLINGS = {
    "attribute": lambda root, row: functools.reduce(getattr, row["attr"], root),
    "chain-braces": lambda root, row: root.chain(row["uri"]),
    "chain-angles": lambda root, row: root.chain(_angled(row["uri"])),
    "item": lambda root, row: root[row["uri"]],
    "item-angles": lambda root, row: root[_angled(row["uri"])],
    "items": lambda root, row: functools.reduce(lambda node, part: node[part], row["uri"].split("/"), root),
}


@pytest.fixture(params=["sync", "looped"])
def pooled(request):
    """Give the blocking verbs, then the awaited ones."""
    return Sync() if request.param == "sync" else request.getfixturevalue("looped")


@each("row", ROWS, ids=[f"{row['verb']} {row['uri']}" for row in ROWS])
def test_recorded_call_is_what_arrives(row, pooled, gateway, instance):
    """Method, target and JSON body are the recorded ones, and the signature is over what arrived."""
    options = dict(row["options"])
    if "base_uri" in options:
        # The recorded host is not ours to call: its prefix is what the target shows.
        options["base_uri"] = gateway.url.removesuffix("/") + urlsplit(options["base_uri"]).path
    for spell in SPELLINGS.values():
        pooled.call(spell(instance, row), row["verb"], options)

    for seen in gateway.seen:
        assert (row["request"]["method"], row["request"]["target"]) == (seen.method, seen.target)
        assert _parsed(row["request"]["body"].encode()) == _parsed(seen.body)
        assert merchants.signed_text(seen)
        if seen.body:
            assert row["request"]["content_type"] == seen.headers["content-type"]
    assert len(SPELLINGS) == len(gateway.seen)
    gateway.seen.clear()


def _parsed(body):
    return json.loads(body) if body else None


BASES = sorted({row["options"]["base_uri"] for row in ROWS if "base_uri" in row["options"]})


@pytest.mark.parametrize("base_uri", BASES)
def test_recorded_hosts_are_trusted(base_uri):
    """The hosts that recorded calls name may be named per call."""
    instance = Builder(**merchants.settings())
    request, _ = instance.getDriver()._begin(
        "GET", "v3/certificates", Arguments(({"base_uri": base_uri}, {}))
    )

    assert f"{base_uri}v3/certificates" == request.url


@each(
    "base_uri",
    [
        "https://example.com/",
        "https://api.mch.weixin.qq.com.example.com/",
        "https://api.mch.weixin.qq.com:8443/",
        "http://api.mch.weixin.qq.com/",
        "https://user@api.mch.weixin.qq.com/",
        "https://api.mch.weixin.qq.com\\@example.com/",
        "https://api.mch.weixin.qq.com#@example.com/",
        "https://api.mch.weixin.qq.com./",
        "https://api.weixin.qq.com.evil/",
        "http://127.0.0.1:1/",
        "ftp://api.mch.weixin.qq.com/",
        "api.mch.weixin.qq.com",
        "",
    ],
)
def test_other_hosts_are_refused_before_anything_is_sent(base_uri, client, instance, gateway):
    """``Authorization`` leaves for a payment host or the configured one, and for no other."""
    with pytest.raises(InvalidRequestError):
        client.call(instance.v3.certificates, "get", base_uri=base_uri)
    if "://" in base_uri:
        with pytest.raises(InvalidRequestError):
            client.call(instance.chain(f"{base_uri}v3/certificates"), "get")

    assert [] == gateway.seen
    assert 0 == gateway.connections
