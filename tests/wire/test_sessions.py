"""A session of the caller's, and the library that stands in for the network in callers' own tests."""

from __future__ import annotations

import merchants
import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from wire.gateway import SERIAL, Seen, proof

from wechatpay import Builder, ConnectError, TransportError

URL = "https://api.mch.weixin.qq.com/v3/x"


@pytest.fixture
def instance():
    """Give a Builder that would call WeChat Pay itself."""
    with Builder(**merchants.settings(proxies={})) as instance:
        yield instance


def arrived(call):
    """Give an intercepted request in the terms of the raw socket."""
    sent = call.request
    head = f"{sent.method} {sent.path_url} HTTP/1.1\r\n"
    fields = "\r\n".join(f"{name}: {value}" for name, value in sent.headers.items())
    return Seen((head + fields).encode(), sent.body or b"", 1)


@responses.activate
def test_get_with_a_query_is_intercepted(instance):
    """`responses` sees the query, and its answer is verified as any other."""
    matching = [responses.matchers.query_param_matcher({"a": "1", "b": "~ +"})]
    responses.get(URL, body=b'{"x":1}', headers=dict(proof(b'{"x":1}')), match=matching)
    response = instance.v3.x.get(query={"a": 1, "b": "~ +"})

    assert {"x": 1} == response.json()
    assert f"{URL}?a=1&b=~%20%2B" == responses.calls[0].request.url
    assert merchants.signed_text(arrived(responses.calls[0]))


@responses.activate
def test_post_is_intercepted(instance):
    """`responses` sees the JSON and the headers."""
    matching = [
        responses.matchers.json_params_matcher({"a": [1, "二"]}),
        responses.matchers.header_matcher({"Wechatpay-Serial": SERIAL, "Content-Type": "application/json"}),
    ]
    responses.post(URL, status=204, headers=dict(proof(b"")), match=matching)

    assert 204 == instance.v3.x.post(json={"a": [1, "二"]}).status_code
    assert merchants.signed_text(arrived(responses.calls[0]))


@responses.activate
def test_call_that_nobody_expects_is_no_connection_or_answer(instance):
    """What `responses` raises for it is an error of ours, as from a network."""
    with pytest.raises(TransportError):
        instance.v3.x.get()


class Recorder(HTTPAdapter):
    """An adapter of the caller's."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def send(self, request, **how):
        """Note the request and send it."""
        self.sent.append((request, how))
        return super().send(request, **how)


@pytest.fixture
def session():
    """Give a session with settings that must not leak into requests, and an adapter that must be used."""
    with requests.Session() as session:
        session.headers["X-Session"] = "1"
        session.params = {"session": "1"}
        session.auth = ("user", "password")
        session.cookies.set("session", "1")
        session.mount("http://", Recorder())
        yield session


def test_session_sends_what_was_signed(session, build, gateway):
    """Through the adapter that is mounted, with nothing of the session's added: it would not be signed."""
    instance = build(session=session, timeout=(3, 4))
    instance.v3.x.post(json={"a": 1}, query={"b": "~"})
    [(_, how)], [seen] = session.adapters["http://"].sent, gateway.seen

    assert (3.0, 4.0) == how["timeout"]
    assert "/v3/x?b=~" == seen.target
    assert merchants.signed_text(seen)
    assert not {"x-session", "cookie"} & seen.headers.keys()


def test_session_stays_open(session, build, gateway):
    """Whoever made it closes it."""
    instance = build(session=session)
    instance.v3.x.get()
    instance.getDriver().close()
    instance.v3.x.get()

    assert 2 == len(gateway.seen)
    assert 1 == gateway.connections


def test_refused_connection_of_a_session_is_tried_twice(session, build):
    """As without one."""
    instance = build(session=session, base_uri="http://127.0.0.1:1/")
    with pytest.raises(ConnectError):
        instance.v3.x.get()

    assert 2 == len(session.adapters["http://"].sent)


def test_async_side_has_connections_of_its_own(session, build, gateway, looped):
    """A session of requests cannot serve an event loop."""
    instance = build(session=session)
    looped.call(instance.v3.x, "get")

    assert 1 == len(gateway.seen)
    assert [] == session.adapters["http://"].sent
