"""Tools that hook into requests, urllib3 and aiohttp see every call of a default Builder."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import aiohttp
import keys
import merchants
import pages
import pytest
import requests
import requests_mock
import responses
import scripts
import vcr
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from wire.gateway import SERIAL, proof, reply, signed

from wechatpay import Builder, ConfigurationError, NoResponseError, ReadTimeoutError

LIVE = "https://api.mch.weixin.qq.com/v3/pay/transactions"


@pytest.fixture
def live():
    """Give a Builder whose settings are those of production: an escaped call would reach WeChat Pay."""
    with Builder(**merchants.settings(proxies={"https": "http://127.0.0.1:1"})) as instance:
        yield instance


@pytest.fixture
def spans():
    """Give what OpenTelemetry exports to, and a provider that exports there."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exporter.provider = provider
    return exporter


def test_requests_mock_stops_a_refund(live):
    """A mocked test never reaches the real gateway."""
    with requests_mock.Mocker() as mock:
        mock.post(LIVE, content=b'{"a":1}', headers=dict(proof(b'{"a":1}')))

        assert {"a": 1} == live.v3.pay.transactions.post(json={"b": 2}).json()
        assert {"b": 2} == mock.last_request.json()


def test_request_that_requests_mock_does_not_know_fails_with_its_error(live):
    """The mock's own error says what is missing."""
    with requests_mock.Mocker(), pytest.raises(requests_mock.NoMockAddress):
        live.v3.pay.transactions.get()


def test_request_that_responses_does_not_know_fails_with_its_error(live):
    """It is a ConnectionError of requests, but no connection was tried."""
    with responses.RequestsMock(), pytest.raises(requests.ConnectionError, match="any registered mock"):
        live.v3.pay.transactions.get()


class MockError(Exception):
    """What a test's mock, or a hook, raises."""


def test_error_of_a_mock_reaches_the_caller(live):
    """As it is."""
    with responses.RequestsMock() as mock:
        mock.get(LIVE, body=MockError())
        with pytest.raises(MockError):
            live.v3.pay.transactions.get()


def plain_response(body):
    """Make the response of a hand-written mock: its content is set, and there is nothing to read."""
    response = requests.Response()
    response.status_code, response.raw = 200, None
    response._content = body
    response.headers.update(proof(body or b""))
    return response


class PlainAdapter(requests.adapters.BaseAdapter):
    """An adapter that is such a mock."""

    def __init__(self, body):
        super().__init__()
        self._body = body

    def send(self, request, **_):
        """Respond without a network."""
        response = plain_response(self._body)
        response.url, response.request = request.url, request
        return response

    def close(self):
        """Do nothing."""


@pytest.mark.parametrize("fields", [{}, {"Content-Length": "7"}, {"Content-Encoding": "gzip"}], ids=str)
def test_plain_response_of_a_mock_is_read(fields, live, monkeypatch):
    """What requests would give of it, though it has no connection; its content is decoded already."""
    response = plain_response(b'{"a":1}')
    response.headers.update(fields)
    monkeypatch.setattr(requests.Session, "send", lambda *_, **__: response)

    assert {"a": 1} == live.v3.pay.transactions.get().json()


def test_plain_response_without_content_is_empty(live, monkeypatch):
    """A mock may set none at all."""
    monkeypatch.setattr(requests.Session, "send", lambda *_, **__: plain_response(None))

    assert b"" == live.v3.pay.transactions.get().content


def test_plain_response_of_a_mounted_mock_is_read(build, tmp_path):
    """A mock may be an adapter of the caller's session; a sink gets the content, too."""
    with requests.Session() as session:
        session.mount("http://", PlainAdapter(b'{"a":1}'))
        instance = build(session=session)

        assert {"a": 1} == instance.v3.x.get().json()
        instance.v3.x.get(sink=tmp_path / "bill")

    assert b'{"a":1}' == (tmp_path / "bill").read_bytes()


@pytest.mark.parametrize("warm", [False, True], ids=["before", "after a call"])
def test_vcrpy_records_and_replays(warm, client, build, gateway, tmp_path):
    """The recorded response is verified like any; a connection of an earlier call does not slip by."""
    instance = build()
    if warm:
        client.call(instance.v3.x, "get")
    recorder = vcr.VCR(cassette_library_dir=str(tmp_path), ignore_localhost=False)
    with recorder.use_cassette("x.yaml") as cassette:
        client.call(instance.v3.x, "get")
    seen = len(gateway.seen)
    with recorder.use_cassette("x.yaml", record_mode="none"):
        response = client.call(instance.v3.x, "get")

    assert 1 == len(cassette)
    assert b"{}" == response.content
    assert seen == len(gateway.seen) == 1 + warm


def test_timeout_of_a_mock_leaves_the_outcome_unknown(live, monkeypatch):
    """A mock that stands for a slow server is not taken for one that was never reached, nor called twice."""
    calls = []

    @contextlib.asynccontextmanager
    async def request(*_, **__):
        calls.append(1)
        raise TimeoutError
        yield

    monkeypatch.setattr(aiohttp.ClientSession, "request", request)
    with pytest.raises(ReadTimeoutError):
        asyncio.run(_awaited(live.v3.pay.transactions.postAsync(json={})))
    assert [1] == calls


def test_aioresponses_stops_an_asynchronous_call(live):
    """Where it works with the installed aiohttp."""
    aioresponses = pytest.importorskip("aioresponses").aioresponses

    async def main():
        with aioresponses() as mock:
            mock.post(LIVE, body=b'{"a":1}', headers=dict(proof(b'{"a":1}')))
            return await live.v3.pay.transactions.postAsync(json={})

    try:
        response = asyncio.run(main())
    except (
        TypeError
    ) as error:  # aioresponses makes a ClientResponse with arguments that a newer aiohttp lacks
        pytest.skip(f"aioresponses does not work with aiohttp {aiohttp.__version__}: {error}")

    assert {"a": 1} == response.json()


@pytest.mark.parametrize(
    ("instrumentor", "asynchronous"),
    [(RequestsInstrumentor, False), (URLLib3Instrumentor, False), (AioHttpClientInstrumentor, True)],
    ids=["requests", "urllib3", "aiohttp"],
)
def test_opentelemetry_traces_a_call(instrumentor, asynchronous, build, gateway, spans):
    """One span for each call, whose context goes along; the signature is over what it was."""
    instrumentor().instrument(tracer_provider=spans.provider)
    try:
        instance = build()
        if asynchronous:

            async def main():
                async with instance.getDriver():
                    await instance.v3.x.getAsync()

            asyncio.run(main())
        else:
            instance.v3.x.get()
    finally:
        instrumentor().uninstrument()
    [span] = spans.get_finished_spans()

    assert span.name.startswith("GET")
    assert f"{span.context.trace_id:032x}" in gateway.seen[0].headers["traceparent"]
    assert merchants.signed_text(gateway.seen[0])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["requests", "aiohttp"])
def test_spans_of_the_documents_have_no_query(asynchronous, instance, spans, monkeypatch):
    """With the documents' snippet, an access token stays out of traces."""
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: spans.provider)
    [setup] = [block.text for block in pages.blocks(pages.ROOT / "docs" / "transports.md")]
    exec(setup, {})
    node = instance.v3.x
    try:
        if asynchronous:
            asyncio.run(_awaited(node.getAsync(query={"access_token": "secret-text"})))
        else:
            node.get(query={"access_token": "secret-text"})
    finally:
        for instrumentor in (RequestsInstrumentor, AioHttpClientInstrumentor):
            instrumentor().uninstrument()
    [span] = spans.get_finished_spans()

    assert "/v3/x" in str(dict(span.attributes))
    assert "secret-text" not in span.to_json()


async def _awaited(promise):
    return await promise


SENTRY = """
import sentry_sdk
from sentry_sdk.transport import Transport
from wechatpay import Builder

class Kept(Transport):
    def capture_envelope(self, envelope):
        envelopes.append(envelope)

envelopes = []
sentry_sdk.init("http://key@127.0.0.1:1/1", transport=Kept, auto_enabling_integrations=False)
Builder(**{settings!r}).v3.x.get()
sentry_sdk.capture_message("look")
crumbs = envelopes[0].items[0].get_event()["breadcrumbs"]["values"]
print([c["data"]["url"] for c in crumbs if c["category"] == "httplib"], "WECHATPAY2" in str(crumbs))
"""


def test_sentry_notes_a_call(gateway):
    """Its integration leaves a breadcrumb, which shows no signature."""
    plain = {
        "private_key": keys.pem("merchant"),
        "certs": {SERIAL: keys.public_pem("platform")},
        "base_uri": gateway.url,
        "proxies": {},
    }
    done = scripts.run(SENTRY.format(settings=merchants.settings(**plain)), strict=False)

    assert f"['{gateway.url}v3/x'] False\n" == done.stdout, done.stderr


def test_hooks_of_the_callers_session_are_called(build, gateway):
    """Once for each call, with requests' own response, in which a redirect is as it came."""
    seen = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append(response))
        session.headers["X-Session"] = "1"
        build(session=session).v3.x.get()

    assert [200] == [response.status_code for response in seen]
    assert "1" == gateway.seen[0].headers["x-session"]


def test_error_of_a_hook_reaches_the_caller_and_keeps_no_place(build, gateway):
    """As it is; and the next call has its connection."""

    def fail(*_, **__):
        raise MockError

    with requests.Session() as session:
        session.hooks["response"] = fail
        instance = build(session=session)
        for _ in range(3):
            with pytest.raises(MockError):
                instance.v3.x.get()

    assert 3 == len(gateway.seen)


def test_traces_and_middlewares_of_the_callers_client_session_are_called(build, gateway):
    """A function makes a session for each loop; it is used as it is, and closed with the loop."""
    noted, made = [], []

    async def middleware(request, handler):
        noted.append(("middleware", request.method))
        return await handler(request)

    async def end(_, __, params):
        noted.append(("trace", params.response.status))

    def client_session(loop):
        assert loop is asyncio.get_running_loop()
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(end)
        made.append(aiohttp.ClientSession(trace_configs=[trace], middlewares=[middleware]))
        return made[-1]

    instance = build(client_session=client_session)

    async def main():
        await instance.v3.x.getAsync()
        await instance.v3.x.getAsync()

    asyncio.run(main())

    assert [("middleware", "GET"), ("trace", 200)] * 2 == noted
    assert [True] == [session.closed for session in made]
    assert 1 == gateway.connections
    assert all(merchants.signed_text(seen) for seen in gateway.seen)


@pytest.mark.parametrize("error", [MockError(), aiohttp.ClientError("theirs")], ids=repr)
def test_error_of_a_callers_middleware_reaches_the_caller(error, build, gateway, looped):
    """Also one of aiohttp's types, if it is not aiohttp that raises it."""

    async def fail(*_):
        raise error

    instance = build(client_session=lambda _: aiohttp.ClientSession(middlewares=[fail]))
    with pytest.raises(type(error)) as caught:
        looped.call(instance.v3.x, "get")

    assert error is caught.value
    assert [] == gateway.seen


@pytest.mark.parametrize("header", ["Authorization", "cookie", "Host", "Transfer-Encoding"])
def test_client_session_with_a_header_of_ours_is_refused(header, build, looped, gateway):
    """It would go to the open platform, too, or break what is signed."""
    made = []

    def client_session(_):
        made.append(aiohttp.ClientSession(headers={header: "x"}))
        return made[-1]

    with pytest.raises(ConfigurationError, match=f"client_session: omit the session's header {header}"):
        looped.call(build(client_session=client_session).v3.x, "get")
    looped.run(made[0].close())
    assert [] == gateway.seen


def test_client_session_that_would_send_passwords_of_a_file_is_refused(
    build, looped, gateway, tmp_path, monkeypatch
):
    """With `trust_env`, aiohttp reads .netrc; without such a file the environment's proxies are welcome."""
    (tmp_path / "netrc").write_text("default login user password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    made = []

    def client_session(_):
        made.append(aiohttp.ClientSession(trust_env=True))
        return made[-1]

    instance = build(client_session=client_session)
    with pytest.raises(ConfigurationError, match=r"client_session: .*trust_env.*netrc.*`proxy`"):
        looped.call(instance.v3.x, "get")
    looped.run(made[0].close())
    assert [] == gateway.seen
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert 200 == looped.call(instance.v3.x, "get").status_code


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_client_session_with_a_login_is_refused(build, looped):
    """It would replace the signature."""
    made = []

    def client_session(_):
        made.append(aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "pass")))
        return made[-1]

    with pytest.raises(ConfigurationError, match=r"client_session: .*`auth`"):
        looped.call(build(client_session=client_session).v3.x, "get")
    looped.run(made[0].close())


#: What a caller whose session repeats requests is advised.
SENT_AGAIN = (
    r"^POST /v3/x: outcome unknown: client_session began to send the request again, which was prevented: "
    r"remove its retries and use wechatpay\.retry\(\)"
)


@pytest.mark.parametrize("verb", ["get", "put", "delete"])
def test_callers_client_session_sends_once(verb, build, gateway, looped):
    """Aiohttp would repeat an idempotent request on another connection."""
    first = iter([signed()])
    gateway.behaviour = lambda _, peer: peer.send(r) if (r := next(first, None)) else peer.close()
    instance = build(client_session=lambda _: aiohttp.ClientSession())
    looped.call(instance.v3.x, verb)
    with pytest.raises(NoResponseError, match=r"the connection was lost .*, or client_session began"):
        looped.call(instance.v3.x, verb)

    assert 2 == len(gateway.seen)


def test_middleware_of_the_callers_client_session_cannot_send_twice(build, gateway):
    """The guard is at the connection: a payment leaves once."""

    async def again(request, handler):
        await (await handler(request)).read()
        return await handler(request)

    instance = build(client_session=lambda _: aiohttp.ClientSession(middlewares=[again]))
    gateway.respond(signed(b"{}", "200 OK", ("Connection", "close")))

    async def main():
        with pytest.raises(NoResponseError, match=SENT_AGAIN):
            await instance.v3.x.postAsync()

    asyncio.run(main())

    assert 1 == len(gateway.seen)


@pytest.mark.filterwarnings("ignore:Inheritance:DeprecationWarning")
@pytest.mark.parametrize("status", [None, "503 Busy"], ids=["no response", "503"])
@pytest.mark.parametrize("verb", ["post", "get"])
def test_client_session_that_retries_by_itself_cannot_send_twice(verb, status, build, gateway):
    """Each of its attempts is a request of its own to aiohttp; the second is stopped before it leaves."""

    class Retrying(aiohttp.ClientSession):
        async def _request(self, *args, **options):
            with contextlib.suppress(aiohttp.ClientError):
                response = await super()._request(*args, **options)
                response.release()
            return await super()._request(*args, **options)

    gateway.behaviour = lambda _, peer: peer.send(reply(b"", status)) if status else peer.close()
    instance = build(client_session=lambda _: Retrying())

    async def main():
        with pytest.raises(NoResponseError, match=SENT_AGAIN.replace("POST", verb.upper())):
            await getattr(instance.v3.x, f"{verb}Async")(query={"a": "1"})

    asyncio.run(main())

    assert 1 == len(gateway.seen)


def test_middleware_of_the_callers_client_session_may_make_requests_of_its_own(build, gateway):
    """To fetch a token, say: it is another request."""
    sessions = []

    async def fetch_first(request, handler):
        if request.method == "POST":
            await (await sessions[0].get(request.url)).read()
        return await handler(request)

    def client_session(_):
        sessions.append(aiohttp.ClientSession(middlewares=[fetch_first]))
        return sessions[0]

    instance = build(client_session=client_session)

    async def main():
        response = await instance.v3.x.postAsync()
        await (await sessions[0].get(f"{gateway.url}v3/x")).read()
        return response.status_code

    assert 200 == asyncio.run(main())
    assert ["GET", "POST", "GET"] == [seen.line.split()[0] for seen in gateway.seen]


def test_nothing_is_logged_of_what_is_secret(build, caplog):
    """What both libraries log at DEBUG has no query, no header and no body."""
    caplog.set_level(logging.DEBUG)
    build().v3.x.post(json={"a": "b0dy"}, query={"token": "T0KEN"})

    assert "WECHATPAY2" not in caplog.text
    assert "T0KEN" not in caplog.text
    assert "b0dy" not in caplog.text
