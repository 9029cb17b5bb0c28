"""What is signed is what is sent, whatever text a caller passes."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, unquote, urlsplit

import merchants
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wire.clients import Sync
from wire.gateway import Gateway

from wechatpay import Builder

# Every character there is but the few that the design refuses.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)
QUERY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = TEXT.filter(lambda text: text not in ("", ".", "..") and not text.startswith((".;", "..;")))
FIELD = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]) | st.just("\t"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | QUERY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(QUERY_TEXT, inner, max_size=3),
    max_leaves=8,
)

many = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def gateway():
    """Give one gateway for all examples."""
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture(scope="module", params=["direct", "proxied"])
def instance(request, gateway):
    """Give a Builder that calls the gateway, directly and through a plain HTTP proxy."""
    how = {"base_uri": gateway.url, "proxies": {}}
    if request.param == "proxied":
        # The gateway is the proxy: it gets, and keeps, the absolute form.
        how = {"base_uri": "http://127.0.0.2:9/", "proxies": {"http": gateway.url}}
    with Builder(**merchants.settings(**how)) as instance:
        yield instance


@pytest.fixture(params=["sync", "async"])
def arrived(request, gateway, instance):
    """Give a function that makes a call in one way and returns what arrived."""
    client = Sync() if request.param == "sync" else request.getfixturevalue("looped")

    def arrived(node, verb, **options):
        gateway.seen.clear()
        client.call(node, verb, **options)
        [seen] = gateway.seen
        assert merchants.signed_text(seen)
        return seen

    return arrived


@many
@given(value=VALUE, query=st.lists(st.tuples(QUERY_TEXT, QUERY_TEXT), max_size=4))
@example(value="x;", query=[])
@example(value="~!*'()", query=[("a", "~!*'() +&=?#%zz")])
@example(value="a/b?c#d%2e%zz", query=[("", "")])
def test_any_value_and_query_arrive_as_signed(value, query, arrived, instance):
    """Variables and queries are read back by the server as they were given."""
    seen = arrived(instance.chain("v3/a/{v}/b"), "get", v=value, query=query)
    url = urlsplit(f"http://host{seen.target}")

    assert value == unquote(url.path.split("/")[3], errors="strict")
    assert query == parse_qsl(url.query, keep_blank_values=True)


@many
@given(path=st.lists(VALUE, min_size=1, max_size=3), query=QUERY_TEXT)
@example(path=["a;", "b;"], query="")
@example(path=["a;b=1", ";"], query="c;d")
@example(path=["a|b", "c^d", "[e]"], query='[]|^`{}\\"<>')
@example(path=["%41", "%zz", "%c3%a9"], query="%41%zz")
def test_any_ready_made_target_arrives_as_signed(path, query, arrived, instance):
    """Neither library rewrites a target behind the signature's back."""
    ready = "/".join(path).replace("\\", "").replace("#", "").replace("?", "")
    if any(part.strip(".") == "" or re.search("%[025]", part) for part in ready.split("/")):
        return
    clean = query.translate(dict.fromkeys(map(ord, "#\r\n\0")))
    seen = arrived(instance.chain("v3/{+path}"), "get", path=ready, query=clean)

    assert seen.target.startswith("/v3/")


@many
@given(body=st.binary(max_size=200) | QUERY_TEXT)
@example(body=b"")
def test_any_body_arrives_as_signed(body, arrived, instance):
    """Bytes are sent as they are, text as UTF-8."""
    seen = arrived(instance.v3.x, "post", body=body)

    assert (body if isinstance(body, bytes) else body.encode()) == seen.body
    assert str(len(seen.body)) == seen.headers["content-length"]


@many
@given(value=JSON)
def test_any_json_arrives_as_signed(value, arrived, instance):
    """JSON means on arrival what it meant before."""
    seen = arrived(instance.v3.x, "post", json=value)

    assert value == (json.loads(seen.body) if seen.body else None)


@many
@given(value=FIELD.map(str.strip))
def test_any_header_arrives(value, arrived, instance):
    """A header that is accepted is sent as it is, sync and async."""
    seen = arrived(instance.v3.x, "get", headers={"X-Any": value})

    assert value == seen.headers["x-any"]
