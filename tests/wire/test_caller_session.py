"""The blocking side belongs to `requests`: `responses` intercepts it, and a caller's own session is used."""

from __future__ import annotations

import authority
import merchants
import pytest
import requests
import responses
from cases import each
from requests.adapters import HTTPAdapter
from responses import matchers
from sandboxes import identity
from wire.gateway import Gateway, reply, signed

from wechatpay import (
    APIError,
    Builder,
    ConnectError,
    IncompleteHeadersError,
    NoResponseError,
    ReadTimeoutError,
    RedirectError,
    ResponseTooLargeError,
    TransportError,
    WeChatPayError,
)
from wechatpay.testing import Platform

PAY = "https://api.mch.weixin.qq.com/v3/pay"


@pytest.fixture(scope="module")
def platform():
    """Give a WeChat Pay that signs what it is to send."""
    return Platform(identity=identity())


@pytest.fixture
def merchant(platform):
    """Give a Builder that trusts it."""
    with Builder(**platform.settings()) as instance:
        yield instance


@pytest.fixture
def session():
    """Give a session as a caller may make it."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@responses.activate
def test_matcher_sees_the_exact_url(platform, merchant):
    """A GET is told by its query, as it would go over the wire."""
    match = matchers.query_param_matcher({"mchid": "1", "note": "a b/ü~"})
    responses.add(**platform.response("GET", f"{PAY}/id/4%2F2", json={"state": "paid"}), match=[match])

    response = merchant.v3.pay.id._id_.get(id="4/2", query={"mchid": 1, "note": "a b/ü~"})

    assert {"state": "paid"} == response.json()
    assert f"{PAY}/id/4%2F2?mchid=1&note=a%20b%2F%C3%BC~" == responses.calls[0].request.url


@responses.activate
def test_matcher_sees_the_exact_body(platform, merchant):
    """A POST is told by its JSON, whose bytes are those that were signed."""
    match = [matchers.json_params_matcher({"note": "结算"}), matchers.header_matcher({"X-Note": "1"})]
    responses.add(**platform.response("POST", PAY, status=204), match=match)

    response = merchant.v3.pay.post(json={"note": "结算"}, headers={"X-Note": "1"})

    assert (204, None) == (response.status_code, response.json())
    assert '{"note":"结算"}'.encode() == responses.calls[0].request.body
    assert responses.calls[0].request.headers["Authorization"].startswith("WECHATPAY2-SHA256-RSA2048 ")


@responses.activate
def test_callback_serves_many_calls(platform, merchant):
    """Each response is signed when it is asked for."""
    responses.add_callback("GET", PAY, platform.callback(json=[1]))

    assert [[1], [1]] == [merchant.v3.pay.get().json() for _ in range(2)]


@responses.activate
def test_sink_receives_an_intercepted_download(platform, merchant, tmp_path):
    """Streams are intercepted, too."""
    responses.add(**platform.response("GET", PAY, body=b"a,b\n" * 50_000))

    assert b"" == merchant.v3.pay.get(sink=tmp_path / "bill.csv").content
    assert b"a,b\n" * 50_000 == (tmp_path / "bill.csv").read_bytes()


@responses.activate
def test_intercepted_responses_are_verified(platform, merchant):
    """A test need not, and cannot, do without signatures; errors come as they do."""
    responses.add("GET", PAY, json={})
    responses.add(**platform.response("POST", PAY, json={"code": "NOT_ENOUGH"}, status=403))

    with pytest.raises(IncompleteHeadersError):
        merchant.v3.pay.get()
    with pytest.raises(APIError, match="403 NOT_ENOUGH") as caught:
        merchant.v3.pay.post()
    assert caught.value.verified


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (requests.ConnectTimeout(), ConnectError),
        (requests.ReadTimeout(), ReadTimeoutError),
        (requests.ConnectionError(), NoResponseError),
        (requests.exceptions.ChunkedEncodingError(), NoResponseError),
    ],
    ids=["connect", "read", "connection", "chunks"],
)
@responses.activate
def test_intercepted_failures_are_ours(merchant, failure, kind):
    """What `requests` raises never reaches the caller; unless it is sure, the outcome is unknown."""
    responses.add("POST", PAY, body=failure)

    with pytest.raises(kind) as caught:
        merchant.v3.pay.post()
    assert kind is type(caught.value)


class Adapter(HTTPAdapter):
    """An adapter that counts."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def send(self, request, **kwargs):
        """Send, and keep what was asked for."""
        self.sent.append((request.url, kwargs["timeout"]))
        return super().send(request, **kwargs)


def test_call_that_is_let_through_behaves_as_requests_does(gateway, build):
    """Tests that let calls through may look at them: they see requests' own form of a response."""
    gateway.respond(signed(b'{"a":1}'))
    instance = build()
    with responses.RequestsMock() as mock:
        mock.add(responses.PassthroughResponse(responses.GET, f"{gateway.url}v3/x"))
        assert {"a": 1} == instance.v3.x.get().json()
        seen = mock.calls[0].response

    assert {"a": 1} == seen.json()
    assert "7" == seen.headers["content-length"]
    assert ([], 0, "GET") == (seen.history, len(seen.cookies), seen.request.method)


def test_session_with_its_adapter_is_used(gateway, build, session):
    """Retries, metrics, tests: what callers mount stays mounted, and their session open."""
    adapter = Adapter()
    session.mount("http://", adapter)
    with build(session=session, timeout=(1, 2)) as instance:
        instance.v3.pay._id_.get(id="~;%", query="a=(1);")
    instance.v3.pay.get()

    assert [
        (f"{gateway.url}v3/pay/~%3B%25?a=(1);", (1.0, 2.0)),
        (f"{gateway.url}v3/pay", (1.0, 2.0)),
    ] == adapter.sent
    assert merchants.signed_text(gateway.seen[0]).startswith(b"GET\n/v3/pay/~%3B%25?a=(1);\n")
    assert [1, 1] == [seen.connection for seen in gateway.seen]


def test_sessions_own_way_of_asking_is_not(gateway, build, session, tmp_path, monkeypatch):
    """Cookies, parameters and credentials of a session are not sent: what is signed stays; headers are."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session.trust_env, session.auth, session.params = True, ("user", "pass"), {"a": "1"}
    session.headers["X-Session"] = "1"
    session.cookies["key"] = "value"
    gateway.respond(signed(b"{}", "200 OK", ("Set-Cookie", "id=1; Path=/")))
    instance = build(session=session)
    for _ in range(2):
        instance.v3.pay.get()

    for seen in gateway.seen:
        assert "cookie" not in seen.headers
        assert "1" == seen.headers["x-session"]
        assert merchants.signed_text(seen).startswith(b"GET\n/v3/pay\n")


def test_length_beside_chunks_does_not_lift_the_limit(gateway, build, session):
    """A session of the caller's reads the chunks; they are counted."""
    body = b"5\r\nabcde\r\n" * 100 + b"0\r\n\r\n"
    fields = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]
    gateway.behaviour = lambda _, peer: (peer.send(reply(body, "200 OK", *fields)), peer.close())

    with pytest.raises(ResponseTooLargeError):
        build(session=session, max_response_size=100).v3.pay.get()


def test_length_of_thousands_of_digits_is_not_read(gateway, build, session):
    """Python refuses to make a number of it; no library's own error comes out."""
    response = reply(b"{}", "200 OK", ("Content-Length", "9" * 5000))
    gateway.behaviour = lambda _, peer: (peer.send(response), peer.close())

    with pytest.raises(WeChatPayError):
        build(session=session).v3.pay.get()


def test_sessions_proxies_are_honoured(gateway, build, session):
    """Who gives a session gives its way out, too."""
    session.proxies = {"http": gateway.url}
    build(session=session, base_uri="http://localhost:1/").v3.pay.get()

    assert "GET http://localhost:1/v3/pay HTTP/1.1" == gateway.seen[0].line


def test_sessions_authorities_are_honoured(build, session, tmp_path):
    """A session decides whom its connections trust, not the Builder."""
    gateway = Gateway(authority.server_context(tmp_path))
    bundle = authority.bundle(tmp_path)
    try:
        with pytest.raises(TransportError):
            build(session=session, base_uri=gateway.url).v3.pay.get()
        session.verify = bundle

        assert {} == build(session=session, base_uri=gateway.url).v3.pay.get().json()
    finally:
        gateway.close()


@each("status", [301, 302, 303, 307, 308])
@each("location", ["/v3/elsewhere", "https://evil.example/", "http://[::1", "//", "é", None])
def test_session_follows_no_redirect(gateway, build, session, status, location):
    """Wherever it points, and whether or not that is a URL: the response is an error with all its headers."""
    fields = [("Set-Cookie", "id=1"), *([("Location", location)] if location else [])]
    gateway.respond(reply(b"", f"{status} Moved", *fields))

    with pytest.raises(RedirectError) as caught:
        build(session=session).v3.pay.post(json={})
    assert (status, location) == (
        caught.value.response.status_code,
        caught.value.response.headers.get("Location"),
    )
    assert gateway.seen.pop()
    assert [] == gateway.seen
