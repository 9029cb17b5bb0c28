"""The sandbox as users have it: its life, its settings, what it remembers."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import re
import threading
import time

import pytest
import requests
import sandboxes
from sandboxes import CALLS

from wechatpay import APIError, Builder, ConfigurationError, ReadTimeoutError
from wechatpay import sandbox as package
from wechatpay.sandbox import Sandbox, faults, payments_v2
from wechatpay.sandbox.settings_snippet import settings_snippet

QUERY = {"organization_id": "1"}


def palm(instance):
    """Give the node of one operation."""
    return instance.v3.palmservice.authorization.openid._openid_


def test_newcomer_needs_two_lines():
    """A sandbox with fresh keys gives all the settings that a Builder needs."""
    with Sandbox() as sandbox, Builder(**sandbox.settings()) as instance:
        response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert "AUTHORIZATION_STATE_ON" == response.json()["state"]


@pytest.mark.parametrize(("attributes", "arguments"), CALLS)
def test_every_operation_responds_sync_and_async(client, instance, attributes, arguments):
    """The four operations are served, signed, to the blocking and the asynchronous side."""
    response = client.call(functools.reduce(getattr, attributes.split("."), instance), "get", arguments)

    assert 200 == response.status_code


@pytest.mark.parametrize("index", [0, 1], ids=["public key", "certificate"])
def test_request_chooses_the_key_that_signs(instance, index):
    """The response is signed with the key that Wechatpay-Serial names: a public key or a certificate's."""
    serial = tuple(sandboxes.identity().certs)[index]
    response = palm(instance).get(
        openid="oUpF8uMuAJOM2pxb1Q", query=QUERY, headers={"Wechatpay-Serial": serial}
    )

    assert serial == response.headers["Wechatpay-Serial"]


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
        response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == response.status_code


@pytest.mark.parametrize(
    "thing", [package, Sandbox, faults, payments_v2], ids=["package", "class", "faults", "payments_v2"]
)
def test_documented_examples_run(sandbox, thing):
    """What the docstrings show works as written."""
    (example,) = sandboxes.examples(thing)
    exec(example, {"Sandbox": Sandbox, "Builder": Builder, "faults": faults, "sandbox": sandbox})


def test_settings_can_be_changed(sandbox):
    """Settings of the caller's own come over the sandbox's."""
    sandbox.inject(faults.Delay(1.0))
    with Builder(**sandbox.settings(timeout=0.05)) as instance, pytest.raises(ReadTimeoutError):
        palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)


def test_settings_can_have_a_session(sandbox):
    """It has its own proxies, which the settings leave out then."""
    with requests.Session() as session:
        session.trust_env = False
        with Builder(**sandbox.settings(session=session)) as instance:
            response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == response.status_code


def test_clock_is_shared_when_it_is_given():
    """With a clock of the caller's, both sides live in its time."""
    with (
        Sandbox(identity=sandboxes.identity(), clock=lambda: 1e9) as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert "1000000000" == response.headers["Wechatpay-Timestamp"]


def test_several_run_at_once(sandbox):
    """Each sandbox has its own port and takes its own merchant's requests only."""
    with Sandbox() as other, Builder(**sandbox.settings(base_uri=other.base_uri)) as instance:
        with pytest.raises(APIError, match="PARAM_ERROR"):
            palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

        assert ([], 1) == (sandbox.requests, len(other.requests))


def test_nothing_is_left_behind():
    """Threads, sockets and tasks end with the block, also while a response is under way."""
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

        assert time.monotonic() - begun < 4


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
    """A port that another holds is an error that says what to do, sync and async; and leaves no thread."""
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
        response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == response.status_code


def test_settings_can_be_pasted(sandbox, tmp_path):
    """The handout is Python that builds a client, with key files that only their owner reads."""
    names = {}
    exec(settings_snippet(sandbox, tmp_path), names)
    with names["instance"] as instance:
        response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)
        token = instance.cgiBin.token.get(query={"grant_type": "client_credential"}).json()
        assert instance.getDriver().notifications()

    assert (200, 7200) == (response.status_code, token["expires_in"])
    files = list((tmp_path / sandbox.identity.mchid).iterdir())
    assert {"apiclient_cert.pem", "apiclient_key.pem", "authority.pem", "pub_key.pem", "wechatpay.pem"} == {
        path.name for path in files
    }
    assert all(0o600 == path.stat().st_mode & 0o777 for path in files)


@pytest.mark.parametrize("mode", ["both", "public-key", "certificates"])
def test_settings_can_be_handed_over_as_json(mode):
    """Another process, such as a server that is to get callbacks, takes them as they are."""
    with Sandbox(identity=sandboxes.identity(), mode=mode) as sandbox:
        text = json.dumps(sandbox.settings())
        with Builder(**json.loads(text)) as instance:
            response = palm(instance).get(openid="oUpF8uMuAJOM2pxb1Q", query=QUERY)

    assert 200 == response.status_code


@pytest.mark.parametrize("folder", ["keys", "我的 keys%20"], ids=["plain", "percent-encoded"])
def test_settings_for_tls_can_be_pasted(sandbox, tmp_path, folder):
    """What the handout's comment says is all that APIv2's ``security`` takes."""
    text, _, comment = settings_snippet(sandbox, tmp_path / folder).partition(
        "# APIv2 with security=True wants TLS:\n# "
    )
    names = {}
    exec(re.sub(r"base_uri=.*,\n", f"{comment.strip()},\n", text), names)
    fields = {"appid": sandbox.identity.app["appid"], "mch_id": sandbox.identity.mchid}
    fields |= {"out_trade_no": "1", "out_refund_no": "1", "total_fee": 1, "refund_fee": 1}
    with names["instance"] as instance, pytest.raises(APIError, match="ORDERNOTEXIST"):
        instance.v2.secapi.pay.refund.post(xml=fields, security=True)


@pytest.mark.parametrize("thing", [sandboxes.identity(), sandboxes.received()], ids=["keys", "request"])
def test_secrets_are_not_shown(thing):
    """No repr shows a key, a secret, a query or a signature."""
    identity = sandboxes.identity()
    secrets = (identity.apiv3_key, identity.secret, identity.app["secret"])

    assert not any(
        word in repr(thing) for word in ("BEGIN", "object", "organization", "WECHATPAY2", *secrets)
    )


def test_seed_may_be_a_number():
    """As everywhere in Python."""
    numbers = []
    for seed in (1, "1"):
        with Sandbox(identity=sandboxes.identity(), seed=seed, clock=lambda: 1_700_000_000.0) as sandbox:
            Builder(**sandbox.settings()).v3.pay.transactions.native.post(
                json={
                    "appid": "wx8888888888888888",
                    "mchid": sandbox.identity.mchid,
                    "description": "tea",
                    "out_trade_no": "SEED0001",
                    "notify_url": "https://example.com/notify",
                    "amount": {"total": 1},
                }
            )
            numbers.append(sandbox.pay("SEED0001").payment.transaction_id)

    assert numbers[0] == numbers[1]
