"""The PHP SDK's recorded APIv2 calls: over a raw socket, and without one."""

from __future__ import annotations

import functools
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from cases import each
from digests import response_body
from merchants import MCHID
from wire.gateway import reply

from wechatpay import InvalidRequestError

VECTORS = Path(__file__).parents[1] / "vectors"
ROWS = [
    row
    for line in (VECTORS / "wire.jsonl").read_text().splitlines()
    if (row := json.loads(line))["uri"].startswith("v2/")
]
FIELDS = {"mch_id": MCHID, "out_trade_no": "1217752501201407033233368018"}


SPELLINGS = {
    "attribute": lambda root, row: functools.reduce(getattr, row["attr"], root),
    "chain": lambda root, row: root.chain(row["uri"]),
    "angles": lambda root, row: root.chain(re.sub(r"\{(\w+)\}", r"<\1>", row["uri"])),
    "item": lambda root, row: root[row["uri"]],
}


@each("row", ROWS, ids=[row["uri"] for row in ROWS])
@each("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_recorded_call_is_what_arrives(row, spell, client, gateway, instance):
    """Target, body and ``sign`` are byte by byte what the PHP SDK sends."""
    # Responds with the same digest as was asked for; what matters here is what arrives.
    gateway.respond(reply(response_body(row["options"]["xml"].get("sign_type", "MD5"))))
    client.call(spell(instance, row), row["verb"], row["options"])
    seen, expected = gateway.seen.pop(), row["request"]

    assert (expected["method"], expected["target"]) == (seen.method, seen.target)
    assert expected["body"].encode() == seen.body
    assert expected["content_type"] == seen.headers["content-type"]
    assert "authorization" not in seen.headers


UNITS = {
    vector["name"]: vector
    for vector in json.loads((VECTORS / "units.json").read_bytes())["vectors"]["Request"]
    if "v2" in vector["uri"].lower()
}

#: Where ours differs from the PHP SDK on purpose, and why.
DIFFERENT = {
    "leading slash v2 is NOT v2": "a leading / is dropped, so this is APIv2",
    "absolute url with v2": "an absolute URL is sorted by its path, so this is APIv2, which takes no json",
    "v2 sign_type empty": "an unknown sign_type is an error, not an empty <sign/>",
    "v2 int mch_id (strict !==)": "merchant ids are compared as text",
    "v2 xml is a list": "xml is a mapping of fields, and mchid is never empty",
}


@pytest.mark.parametrize("name", sorted(UNITS.keys() - DIFFERENT))
def test_recorded_request_is_ours(name, sent):
    """URL and body are those of the PHP SDK; what it refuses is refused."""
    vector = UNITS[name]
    # We refuse floats; the Decimal of the same digits stands for each.
    vector = json.loads(json.dumps(vector), parse_float=lambda text: Decimal(text).normalize())
    if "exception" in vector:
        with pytest.raises(InvalidRequestError):
            sent(vector["verb"], vector["uri"], vector["options"])
        return
    request, expected = sent(vector["verb"], vector["uri"], vector["options"]), vector["result"]

    assert (expected["method"], expected["body"].encode()) == (request.method, request.content)
    # The gateway of these tests stands for the recorded host.
    assert expected["target"] == request.target
    for header in ("Accept", "Content-Length"):
        assert expected["headers"].get(header) == request.headers.get(header)


def test_leading_slash_still_means_apiv2(sent):
    """``/v2/…`` is what ``v2/…`` is: a leading slash is dropped."""
    vector = UNITS["leading slash v2 is NOT v2"]

    assert "/pay/micropay" == sent("post", vector["uri"], vector["options"]).target


@pytest.mark.parametrize("name", ["absolute url with v2", "v2 sign_type empty", "v2 xml is a list"])
def test_what_php_lets_pass_is_refused(name, sent):
    """What could only be refused by the server, or mean something else, is refused before it is sent."""
    vector = UNITS[name]
    with pytest.raises(InvalidRequestError):
        sent(vector["verb"], vector["uri"], vector["options"])


def test_absolute_url_is_sorted_by_its_path(sent):
    """A payment host in front changes where the call goes, not what it is."""
    request = sent("post", "https://api.mch.weixin.qq.com/v2/pay/orderquery", {"xml": FIELDS})

    assert "https://api.mch.weixin.qq.com/pay/orderquery" == request.url
