"""APIv3 against what the PHP SDK does: requests it makes, responses it trusts, settings it takes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import keys
import merchants
import pytest
from cases import each
from wire import gateway as wire

from wechatpay import Builder, ConfigurationError, InvalidRequestError, WeChatPayError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "units.json").read_bytes())["vectors"]
PLATFORM_SERIAL = "7132D72A03E93CDDF8C03BBD1F37EEDF00000001"


def named(group, *, differing=()):
    """Give the vectors of a group, but for those that differ, as parameters."""
    return [
        pytest.param(vector, id=vector["name"])
        for vector in VECTORS[group]
        if vector["name"] not in differing and not vector.get("uri", "").lower().startswith("v2/")
    ]


# What PHP sends, and we send otherwise, on purpose: name of the vector, then our target.
OTHER_TARGETS = {
    "percent in path": "/v3/a%2Fb%25zz",  # triplets in upper case: the form both libraries leave alone
    "colon in the first segment": "/v3:x/y",  # a path, no scheme
    "template: query operator plus query option": "/v3/x?a=1&b=2",  # merges
}

# What PHP sends, and we refuse, on purpose: name of the vector, then a word of the reason.
REFUSED_CALLS = {
    "leading slash v2 is NOT v2": "secret",  # a leading / is dropped, so this is APIv2, which is not set up
    "absolute url with v2": "secret",  # the same: the path decides once the host is trusted
    "fragment in uri": "fragment",
    "dot segments": "dot segment",
    "template: missing": "openid",
    "template: empty": "openid",
    "template: reserved": "fragment",
    "template: variable named like a guzzle option (query)": "query",
    "headers null": "headers",
    "own Authorization header is replaced": "Authorization",
    "json with invalid utf-8": "bytes",
}


@each("vector", named("Request", differing=REFUSED_CALLS))
def test_request_is_the_one_php_makes(vector, gateway, instance, client):
    """Method, target, body and headers are PHP's; Content-Type goes with a body only."""
    client.call(instance.chain(vector["uri"]), vector["verb"], **options(vector))

    seen = gateway.seen.pop()
    expected = vector["result"]
    assert expected["method"] == seen.method
    assert OTHER_TARGETS.get(vector["name"], expected["target"]) == seen.target
    assert expected["body"].encode() == seen.body
    assert expected["headers"]["Accept"] == seen.headers["accept"]
    assert (expected["headers"]["Content-Type"] if seen.body else None) == seen.headers.get("content-type")
    assert seen.headers["user-agent"]
    assert merchants.signed_text(seen)
    assert [] == gateway.seen


@each("vector", [row for row in named("Request") if row.id in REFUSED_CALLS])
def test_call_that_php_lets_pass_is_refused(vector, gateway, instance, client):
    """What could only be a mistake is an error that names it, and nothing is sent."""
    given = b"\xff" if vector["name"] == "json with invalid utf-8" else None
    with pytest.raises((InvalidRequestError, ConfigurationError), match=REFUSED_CALLS[vector["name"]]):
        client.call(
            instance.chain(vector["uri"]), vector["verb"], **({"json": given} if given else options(vector))
        )

    assert [] == gateway.seen


def options(vector):
    """Give a vector's options; PHP's empty list may stand for an empty map."""
    return dict(vector["options"] or {})


# Where ours is stricter or wiser: name of the vector, then whether we trust the response.
BELIEVED_OTHERWISE = {
    # Unsigned, as documented; PHP's list does not have it.
    "no signature headers on v3/transferdownload/signfile": True,
    # A prefix of the base URI does not hide an unsigned path.
    "base_uri with a prefix is part of the exempt check": True,
    # An error response always raises; it is the error's .response.
    "status 401 signed, http_errors=false": False,
    "status 404 signed, http_errors=false": False,
    "status 429 signed, http_errors=false": False,
    "status 502 signed, http_errors=false": False,
}


@each(
    "vector",
    [row for row in named("V3Response") if "garbage" not in row.values[0]["certs"].values()],
)
def test_response_is_accepted_as_php_believes_it(vector, gateway, build, client):
    """The responses that PHP takes are taken, and no others; headers are told by name in any case."""
    gateway.respond(received(vector))
    certs = {serial(name): KEYS[key] for name, key in vector["certs"].items()}
    instance = build(certs=certs, **prefixed(vector, gateway))
    given = {name: value for name, value in options(vector).items() if name == "json"}

    believed = BELIEVED_OTHERWISE.get(vector["name"], vector["outcome"]["accepted"])
    if believed:
        response = client.call(instance.chain(vector["uri"]), vector["verb"], **given)
        assert vector["body"].encode() == response.content
    else:
        with pytest.raises(WeChatPayError) as caught:
            client.call(instance.chain(vector["uri"]), vector["verb"], **given)
        assert vector["status"] == caught.value.response.status_code
        assert vector["body"].encode() == caught.value.response.content


def test_key_that_does_not_load_is_refused_at_once(build):
    """PHP finds out at the first response; we at construction."""
    with pytest.raises(ConfigurationError, match="certs"):
        build(certs={PLATFORM_SERIAL: "garbage"})


def serial(name):
    """Put the platform's serial number in its place."""
    return name.replace("{{platform_serial}}", PLATFORM_SERIAL)


KEYS = {
    "platform.crt": keys.certificate("platform", int(PLATFORM_SERIAL, 16)),
    "platform.spki.pem": keys.public_pem("platform"),
    "other.spki.pem": keys.public_pem("other"),
}


def prefixed(vector, gateway):
    """Give the base URI of a vector that has a path of its own."""
    prefix = options(vector).get("base_uri", "").partition("://")[2].partition("/")[2]
    return {"base_uri": gateway.url + prefix} if prefix else {}


def received(vector):
    """Lay out the response that a vector describes."""
    timestamp = int(time.time()) + vector["timestamp_offset"]
    body = vector["signed_body"].encode()
    fields = dict(wire.proof(body, at=timestamp, nonce=vector["nonce"], serial=serial(vector["serial"])))
    for name in vector["omit_headers"]:
        del fields[name]
    for name, value in dict(vector["set_headers"] or {}).items():
        fields[name] = serial(value).replace("{{ts}}", str(timestamp))
    return wire.reply(vector["body"].encode(), f"{vector['status']} Status", *fields.items())


INIT = {vector["name"]: vector for vector in VECTORS["Init"]}


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("mchid int", "mchid"),
        ("mchid empty string", "mchid"),
        ("certs empty", "certs"),
        ("certs string", "certs"),
        ("certs list", "certs"),
    ],
)
def test_wrong_setting_is_refused_by_name(name, setting):
    """What PHP refuses is refused, and what it lets pass to fail later, too."""
    with pytest.raises(ConfigurationError, match=f"^{setting}:"):
        Builder(**merchants.settings(**INIT[name]["config_override"]))


def test_merchants_own_serial_is_not_a_platform_serial():
    """The merchant's certificate among WeChat Pay's is the usual mix-up."""
    with pytest.raises(ConfigurationError, match="merchant's own certificate"):
        Builder(
            **merchants.settings(certs={merchants.MERCHANT_SERIAL: keys.public_key("platform"), "Y": "z"})
        )


def test_several_missing_settings_are_named_together():
    """One look at the error is enough to complete the group."""
    with pytest.raises(ConfigurationError, match=r"^mchid, serial, "):
        Builder(**merchants.settings(mchid=None, serial=None, certs=None))


def test_private_key_that_does_not_load_is_refused_at_once():
    """PHP finds out when it signs; we at construction, without quoting the text."""
    with pytest.raises(ConfigurationError, match=r"private_key: .*leave serial, private_key and certs out"):
        Builder(**merchants.settings(private_key="garbage"))


def test_default_base_uri_and_accept_are_phps(build, gateway):
    """Ported code goes to the same host and asks for the same types."""
    expected = INIT["default headers v3"]["result"]
    instance = Builder(**merchants.settings())
    build().v3.certificates.get()

    assert expected["base_uri"] in repr(instance.getDriver())
    assert expected["Accept"] == gateway.seen[0].headers["accept"]


def test_stack_order_is_phps_signing_inside():
    """Requests are signed last, and responses verified first, as in PHP's stack."""
    instance = Builder(**merchants.settings())

    assert ["signer", "verifier"] == list(instance.getDriver().select("v3").stack)
