"""The sandbox on the wire: what it receives is checked, kept and told as it came."""

from __future__ import annotations

import logging

import pytest
import sandboxes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wechatpay import APIError, NoResponseError
from wechatpay.messages import Headers
from wechatpay.sandbox import HttpRequest, Sandbox, faults

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


def test_requests_are_kept_for_assertions(sandbox, instance):
    """A test can look at what was received: method, raw target, headers, body."""
    with pytest.raises(APIError, match="404"):
        instance.v3.nowhere.post(query={"a": "1 2", "b": "~"}, json={"名": 1}, headers={"X-Mine": "yes"})
    (seen,) = sandbox.requests

    assert ("POST", "/v3/nowhere?a=1%202&b=~", "/v3/nowhere") == (seen.method, seen.target, seen.path)
    assert [("a", "1 2"), ("b", "~")] == seen.query
    assert ("yes", '{"名":1}'.encode(), {"名": 1}) == (seen.headers["x-mine"], seen.body, seen.json())
    assert "<HttpRequest POST /v3/nowhere>" == repr(seen)


@pytest.mark.no_cover
def test_only_the_last_thousand_requests_are_kept(sandbox):
    """Memory does not grow with the requests, those that are refused included."""
    for number in range(1001):
        sandbox._respond(HttpRequest("GET", f"/v3/{number}", Headers(), b""))

    assert (1000, "/v3/1") == (len(sandbox.requests), sandbox.requests[0].target)


def test_traffic_kept_is_bounded_in_bytes():
    """Large uploads push older requests out; the last one always stays."""
    gateway = Sandbox(identity=sandboxes.identity())
    body = bytes(30 * 2**20)
    for number in range(3):
        gateway._respond(HttpRequest("POST", f"/v3/{number}", Headers(), body))
    assert ["/v3/1", "/v3/2"] == [request.target for request in gateway.requests]
    gateway._respond(HttpRequest("POST", "/v3/3", Headers(), body * 3))

    assert ["/v3/3"] == [request.target for request in gateway.requests]


@pytest.mark.parametrize(
    "target",
    ["/v3/a%7Eb~c", "/v3//x//", "/v3/a%2Fb%2f?x=%20+&y=?", "/v3/./a/../b", "/v3/x?a=%zz", "/v3/x?"],
    ids=["tilde", "empty segments", "slash", "dots", "stray percent", "bare question mark"],
)
def test_target_is_verified_as_it_was_sent(sandbox, target):
    """Nothing is normalised before the signature is checked: another spelling would be refused."""
    status, _, _ = sandboxes.send(sandbox, target=target)

    assert 404 == status
    assert target == sandbox.requests[-1].target


def test_compressed_body_is_verified_as_it_was_sent(sandbox):
    """A body is not unpacked, whatever its headers say."""
    status, _, _ = sandboxes.send(sandbox, "POST", "/v3/x", b"not gzip", {"Content-Encoding": "gzip"})

    assert 404 == status


@given(value=TEXT.filter(bool), query=st.dictionaries(TEXT, TEXT, max_size=3), body=TEXT)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_accepted(instance, value, query, body):
    """Whatever stands in variables, query and body, the signature is accepted."""
    if value in {".", ".."}:
        return
    with pytest.raises(APIError) as caught:
        instance.chain("v3/any/{value}/thing").post(value=value, query=query, json={"text": body})

    assert "RESOURCE_NOT_EXISTS" == caught.value.code
    assert caught.value.verified


def test_error_responses_are_signed(client, instance):
    """What the sandbox refuses, it refuses with a signature."""
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.nowhere, "get")

    assert caught.value.verified


def test_every_response_has_a_line_in_the_log(sandbox, instance, caplog):
    """The log tells method, path and outcome, and nothing of the contents."""
    caplog.set_level(logging.INFO, "wechatpay.sandbox")
    for fault in (None, faults.HtmlPage(), faults.Reset()):
        if fault:
            sandbox.inject(fault)
        with pytest.raises((APIError, NoResponseError)):
            instance.v3.nowhere.get(query={"secret": "x"})
    instance[sandboxes.PALM.partition("?")[0]].get(query={"organization_id": "1"})

    assert [
        "GET /v3/nowhere → 404 RESOURCE_NOT_EXISTS",
        "GET /v3/nowhere → 502",
        "GET /v3/nowhere → connection reset",
        "GET /v3/palmservice/authorization/openid/oUpF8uMuAJOM2pxb1Q → 200",
    ] == [record.getMessage() for record in caplog.records if record.name == "wechatpay.sandbox"]
