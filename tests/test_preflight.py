"""The last look at a request: what middlewares may make of it, and what is held back."""

from __future__ import annotations

import merchants
import pytest

from wechatpay import InvalidRequestError

SPOILT = {
    "blank": ({"url": "?a=b c"}, "percent-encoded"),
    "line break": ({"url": "?a=b\r\nX: y"}, "percent-encoded"),
    "lower triplet": ({"url": "?a=%e4"}, "percent-encoded"),
    "raw text": ({"url": "?a=|[]é"}, "percent-encoded"),
    "fragment": ({"url": "#f"}, "percent-encoded"),
    "bare query": ({"url": "?"}, "percent-encoded"),
    "field with a line break": ({"headers": {"X": "a\r\nY: b"}}, "printable ASCII"),
    "field beyond ASCII": ({"headers": {"X": "é"}}, "printable ASCII"),
    "field that is a number": ({"headers": {"X": 5}}, "printable ASCII"),
    "name with a line break": ({"headers": {"X\n": "y"}}, "printable ASCII"),
    "name with a blank": ({"headers": {"X Y": "z"}}, "names are words"),
    "name with a tab": ({"headers": {"X\t": "z"}}, "names are words"),
    "name with a colon": ({"headers": {"X: y, Z": "z"}}, "names are words"),
    "no name": ({"headers": {"": "z"}}, "names are words"),
    "host": ({"headers": {"Host": "127.0.0.1"}}, "Host follows"),
    "lower host": ({"headers": {"host": "127.0.0.1"}}, "Host follows"),
    "other length": ({"headers": {"Content-Length": "5"}}, "Content-Length"),
    "no length": ({"headers": {"Content-Length": None}}, "Content-Length"),
    "chunks": ({"headers": {"Transfer-Encoding": "chunked"}}, "Content-Length"),
    "two methods": ({"method": "POST GET"}, "upper-case word"),
    "lower method": ({"method": "post"}, "upper-case word"),
}


def changed(changes):
    """Make a middleware that changes requests; a URL gets its change appended."""

    def change(request, proceed):
        url = request.url + changes.get("url", "")
        return (yield from proceed(request.with_(**{**changes, "url": url})))

    return change


@pytest.mark.parametrize(("changes", "said"), SPOILT.values(), ids=SPOILT)
def test_request_that_would_not_arrive_as_signed_is_held_back(changes, said, client, instance, gateway):
    """The two libraries would each make something of their own of it, or a second header, or hang."""
    instance.getDriver().select().stack.push(changed(changes))
    with pytest.raises(InvalidRequestError, match=f"a middleware made a request .*{said}") as caught:
        client.call(instance.v3.x, "post", json={"a": 1})

    assert caught.value.request.path.startswith("/v3/x")
    assert [] == gateway.seen


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "?a=b%20c&d=%E4%BD%A0"},
        {"url": "/"},
        {"headers": {"X-Trace": "a\tb"}},
        {"headers": {"Accept": None}},
        {"headers": {"X-!#$%&'*+.^_`|~": ""}},
        {"content": b'{"b": 22}'},
        {"content": b""},
        {"method": "PUT"},
    ],
    ids=["query", "slash", "field", "no field", "odd field", "body", "no body", "method"],
)
def test_request_that_arrives_as_signed_may_leave(changes, client, instance, gateway):
    """Outside the signer a middleware may change whatever it likes."""
    instance.getDriver().select().stack.push(changed(changes))
    client.call(instance.v3.x, "post", json={"a": 1})
    [seen] = gateway.seen

    assert merchants.signed_text(seen)
    assert f"/v3/x{changes.get('url', '')}" == seen.target
    assert changes.get("method", "POST") == seen.method
    assert changes.get("content", b'{"a":1}') == seen.body


@pytest.mark.parametrize(
    "url", ["https://example.com/v3/x", "http://127.0.0.1:1/v3/x", "https://api.mch.weixin.qq.com@evil/v3/x"]
)
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_request_stays_within_the_trusted_hosts(url, inside, client, instance, gateway):
    """Wherever in the stack it is sent astray."""

    def astray(request, proceed):
        return (yield from proceed(request.with_(url=url)))

    stack = instance.getDriver().select().stack
    (stack.after if inside else stack.before)("signer", astray)
    with pytest.raises(InvalidRequestError):
        client.call(instance.v3.x, "get")

    assert [] == gateway.seen


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"content": "{}"}, "content: give bytes, not str", id="text for a body"),
        pytest.param({"timeout": 10**400}, "timeout", id="endless timeout"),
        pytest.param({"timeout": "5"}, "timeout", id="timeout in text"),
    ],
)
def test_change_of_a_wrong_type_is_refused_where_it_is_made(changes, said, client, instance, gateway):
    """A middleware's own mistake is an error of ours that names the argument."""
    instance.getDriver().select().stack.push(changed(changes))
    with pytest.raises(InvalidRequestError, match=said):
        client.call(instance.v3.x, "post", json={})

    assert [] == gateway.seen
