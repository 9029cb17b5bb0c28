"""The sandbox as users have it: its life, its settings, what it remembers."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
import time

import pytest
import sandboxes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import CALLS

from wechatpay import APIError, Builder, ConfigurationError, NoAnswerError, ReadTimeoutError
from wechatpay.messages import Headers
from wechatpay.sandbox import Received, Sandbox, faults
from wechatpay.sandbox.handout import handout

QUERY = {"organization_id": "1"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


@pytest.fixture
def sandbox():
    """Give a running sandbox."""
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        yield sandbox


@pytest.fixture
def instance(sandbox):
    """Give a Builder that calls it."""
    with Builder(**sandbox.settings()) as instance:
        yield instance


def palm(instance):
    """Give the node of one operation."""
    return instance.v3.palmservice.authorization.openid._openid_


def test_newcomer_needs_two_lines():
    """A sandbox with fresh keys gives all the settings that a Builder needs."""
    with Sandbox() as sandbox, Builder(**sandbox.settings()) as instance:
        answer = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert "AUTHORIZATION_STATE_ON" == answer.json()["state"]


@pytest.mark.parametrize(("attributes", "arguments"), CALLS)
def test_every_operation_answers_in_every_colour(client, instance, attributes, arguments):
    """The four operations are served, signed, to the blocking and the asynchronous side."""
    answer = client.call(functools.reduce(getattr, attributes.split("."), instance), "get", arguments)

    assert 200 == answer.status_code


@pytest.mark.parametrize("index", [0, 1], ids=["public key", "certificate"])
def test_request_chooses_the_key_that_signs(instance, index):
    """The answer is signed with the key that Wechatpay-Serial names: a public key or a certificate's."""
    serial = tuple(sandboxes.identity().certs)[index]
    answer = palm(instance).get(
        openid="oUpF8uMuAJOM2pxb1Q", query=QUERY, headers={"Wechatpay-Serial": serial}
    )

    assert serial == answer.headers["Wechatpay-Serial"]


def test_certificate_has_a_serial_number_of_forty_digits():
    """Serial numbers look like WeChat Pay's, so that both kinds of keys are exercised."""
    public_key, certificate = sandboxes.identity().certs

    assert public_key.startswith("PUB_KEY_ID_01")
    assert 40 == len(certificate) == len(f"{int(certificate, 16):X}")


def test_proxies_of_the_environment_do_not_matter(sandbox, monkeypatch):
    """A developer's proxy variables break nothing."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with Builder(**sandbox.settings()) as instance:
        answer = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == answer.status_code


def test_settings_can_be_changed(sandbox):
    """Settings of the caller's own come over the sandbox's."""
    sandbox.inject(faults.Delay(1.0))
    with Builder(**sandbox.settings(timeout=0.05)) as instance, pytest.raises(ReadTimeoutError):
        palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)


def test_clock_is_shared_when_it_is_given():
    """With a clock of the caller's, both sides live in its time."""
    with (
        Sandbox(identity=sandboxes.identity(), clock=lambda: 1e9) as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        answer = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert "1000000000" == answer.headers["Wechatpay-Timestamp"]


def test_several_run_at_once(sandbox):
    """Each sandbox has its own port and takes its own merchant's requests only."""
    with Sandbox() as other, Builder(**sandbox.settings(base_uri=other.base_uri)) as instance:
        with pytest.raises(APIError, match="PARAM_ERROR"):
            palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

        assert ([], 1) == (sandbox.requests, len(other.requests))


def test_nothing_is_left_behind():
    """Threads, sockets and tasks end with the block, also while an answer is under way."""
    before = threading.active_count()
    with Sandbox(identity=sandboxes.identity()) as sandbox:
        sandbox.inject(faults.Delay(60))
        with Builder(**sandbox.settings(timeout=0.05)) as instance, pytest.raises(ReadTimeoutError):
            palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)
    gc.collect()

    assert before == threading.active_count()


def test_idle_connection_does_not_delay_the_end():
    """A client that keeps its connection open does not keep the sandbox."""
    sandbox = Sandbox(identity=sandboxes.identity()).start()
    with Builder(**sandbox.settings()) as instance:
        palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)
        begun = time.monotonic()
        sandbox.stop()

        assert time.monotonic() - begun < 1


def test_settings_of_a_stopped_sandbox_are_refused():
    """Before ``with`` there is no port, and the error says so."""
    with pytest.raises(ConfigurationError, match="with Sandbox"):
        Sandbox(identity=sandboxes.identity()).settings()


def test_async_block_serves_a_running_loop():
    """``async with`` starts and ends it without blocking the loop for long."""

    async def main():
        async with (
            Sandbox(identity=sandboxes.identity()) as sandbox,
            Builder(**sandbox.settings()) as instance,
        ):
            return await palm(instance).getAsync(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == asyncio.run(main()).status_code


@pytest.mark.parametrize("taken", [False, True], ids=["free port", "taken port"])
def test_cancelled_start_leaves_nothing(sandbox, taken):
    """A task that is cancelled while its sandbox starts leaves no thread."""
    before = threading.active_count()
    port = int(sandbox.base_uri.split(":")[2].strip("/")) if taken else 0

    async def start():
        async with Sandbox(identity=sandboxes.identity(), port=port):
            raise AssertionError

    async def main():
        task = asyncio.create_task(start())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())

    assert before == threading.active_count()


def test_async_block_of_a_stopped_sandbox_ends():
    """Stopping early does no harm."""

    async def main():
        async with Sandbox(identity=sandboxes.identity()) as sandbox:
            sandbox.stop()
        sandbox.stop()

    asyncio.run(main())


def test_second_start_is_refused(sandbox):
    """A sandbox runs once at a time."""
    with pytest.raises(ConfigurationError, match="runs already"):
        sandbox.start()


def test_taken_port_is_named(sandbox):
    """A port that another holds is an error that says what to do, in both colours; and leaves no thread."""
    port = int(sandbox.base_uri.split(":")[2].strip("/"))
    before = threading.active_count()

    async def main():
        async with Sandbox(identity=sandboxes.identity(), port=port):
            raise AssertionError

    with pytest.raises(ConfigurationError, match=f"port {port}: .*port 0 lets"):
        Sandbox(identity=sandboxes.identity(), port=port).start()
    with pytest.raises(ConfigurationError, match=f"port {port}: .*port 0 lets"):
        asyncio.run(main())

    assert before == threading.active_count()


def test_it_can_be_started_again(sandbox):
    """A stopped sandbox starts again with the same keys."""
    sandbox.stop()
    with sandbox, Builder(**sandbox.settings()) as instance:
        answer = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == answer.status_code


def test_requests_are_kept_for_assertions(sandbox, instance):
    """A test can look at what was received: method, raw target, headers, body."""
    with pytest.raises(APIError, match="404"):
        instance.v3.nowhere.post(query={"a": "1 2", "b": "~"}, json={"名": 1}, headers={"X-Mine": "yes"})
    (seen,) = sandbox.requests

    assert ("POST", "/v3/nowhere?a=1%202&b=~", "/v3/nowhere") == (seen.method, seen.target, seen.path)
    assert [("a", "1 2"), ("b", "~")] == seen.query
    assert ("yes", '{"名":1}'.encode(), {"名": 1}) == (seen.headers["x-mine"], seen.body, seen.json())
    assert "<Received POST /v3/nowhere>" == repr(seen)


def test_only_the_last_thousand_requests_are_kept(sandbox):
    """Memory does not grow with the requests, those that are refused included."""
    for number in range(1001):
        sandbox._respond(Received("GET", f"/v3/{number}", Headers(), b""))

    assert (1000, "/v3/1") == (len(sandbox.requests), sandbox.requests[0].target)


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


def test_error_answers_are_signed(client, instance):
    """What the sandbox refuses, it refuses with a signature."""
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.nowhere, "get")

    assert caught.value.verified


def test_every_answer_has_a_line_in_the_log(sandbox, instance, caplog):
    """The log tells method, path and outcome, and nothing of the contents."""
    caplog.set_level(logging.INFO, "wechatpay.sandbox")
    for fault in (None, faults.HtmlPage(), faults.Reset()):
        if fault:
            sandbox.inject(fault)
        with pytest.raises((APIError, NoAnswerError)):
            instance.v3.nowhere.get(query={"secret": "x"})
    palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert [
        "GET /v3/nowhere → 404 RESOURCE_NOT_EXISTS",
        "GET /v3/nowhere → 502",
        "GET /v3/nowhere → connection reset",
        "GET /v3/palmservice/authorization/openid/oUpF8uMuAJOM2pxb1Q → 200",
    ] == [record.getMessage() for record in caplog.records if record.name == "wechatpay.sandbox"]


def test_settings_can_be_pasted(sandbox, tmp_path):
    """The handout is Python that builds a client, with key files that only their owner reads."""
    names = {}
    exec(handout(sandbox, tmp_path), names)
    with names["instance"] as instance:
        answer = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == answer.status_code
    assert {"apiclient_key.pem", "pub_key.pem", "wechatpay.pem"} == {path.name for path in tmp_path.iterdir()}
    assert all(0o600 == path.stat().st_mode & 0o777 for path in tmp_path.iterdir())


@pytest.mark.parametrize("thing", [sandboxes.identity(), sandboxes.received()], ids=["keys", "request"])
def test_secrets_are_not_shown(thing):
    """No repr shows a key, a query or a signature."""
    assert not any(secret in repr(thing) for secret in ("BEGIN", "object", "organization", "WECHATPAY2"))
