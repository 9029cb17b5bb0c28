"""Keys that rotate, and merchants that download them, have a public key alone, or both."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sandboxes
from sandboxes import Clock

from wechatpay import Builder, ConfigurationError, Sensitive, SignatureError
from wechatpay.sandbox import Sandbox, faults
from wechatpay.testing import Platform

NAME = "张三"
DOWNLOAD = "/v3/certificates"


@pytest.fixture
def clock():
    """Give a clock for both sides."""
    return Clock()


@pytest.fixture
def sandbox(clock):
    """Give a sandbox whose merchant downloads certificates."""
    with Sandbox(identity=sandboxes.identity(), clock=clock, mode="certificates") as sandbox:
        yield sandbox


def ask(client, instance, **query):
    """Make a call that succeeds."""
    return client.call(palm(instance), "get", **asked(**query))


def palm(instance):
    """Give the node of that call."""
    return instance.v3.palmservice.authorization.openid._openid_


def asked(**query):
    """Give the arguments of that call."""
    return {"openid": "oUpF8uMuAJOM2pxb1Q", "query": {"organization_id": "1", **query}}


def downloads(sandbox):
    """Count how often the certificates were asked for."""
    return sum(received.path == DOWNLOAD for received in sandbox.requests)


def threads(instance, count, **query):
    """Make calls on threads, all at once."""
    with ThreadPoolExecutor(50) as pool:
        made = [pool.submit(palm(instance).get, **asked(**query)) for _ in range(count)]
        return [future.result(60) for future in made]


def tasks(instance, count, **query):
    """Make calls on a loop, all at once."""

    async def main():
        return await asyncio.gather(*(palm(instance).getAsync(**asked(**query)) for _ in range(count)))

    return asyncio.run(main())


@pytest.fixture(params=[threads, tasks], ids=["sync", "async"])
def together(request):
    """Give one way after the other of making many calls at once."""
    return request.param


def test_merchant_with_certificates_downloads_them(client, sandbox, instance):
    """The settings hold no keys; the first call gets them, and the response is accepted."""
    response = ask(client, instance)
    (serial,) = instance.getDriver().platform.serials

    assert "certs" not in sandbox.settings()
    assert (serial, 1) == (response.headers["Wechatpay-Serial"], downloads(sandbox))
    assert serial == sandbox.requests[-1].headers["Wechatpay-Serial"]
    assert 40 == len(serial)


@pytest.mark.parametrize("mode", ["public-key", "both"])
def test_merchant_with_keys_downloads_nothing(client, mode):
    """Keys that were given are used as they are, also by those who are on the move."""
    with (
        Sandbox(identity=sandboxes.identity(), mode=mode) as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        response = ask(client, instance)

        assert response.headers["Wechatpay-Serial"].startswith("PUB_KEY_ID_")
        assert {"public-key": 1, "both": 2}[mode] == len(sandbox.settings()["certs"])
        assert 0 == downloads(sandbox)


def test_merchant_in_public_key_mode_learns_what_to_configure(client):
    """Who gives no key where there are no certificates is told what to give."""
    with Sandbox(identity=sandboxes.identity(), mode="public-key") as sandbox:
        settings = {name: value for name, value in sandbox.settings().items() if name != "certs"}
        with (
            Builder(**settings) as instance,
            pytest.raises(ConfigurationError, match="PUB_KEY_ID_…") as caught,
        ):
            ask(client, instance)

    assert 404 == caught.value.response.status_code
    assert "无可用的平台证书" in caught.value.response.text


def test_mode_that_there_is_not_is_refused():
    """The error names those there are."""
    with pytest.raises(ConfigurationError, match="mode: one of public-key, certificates, both, not 'rsa'"):
        Sandbox(identity=sandboxes.identity(), mode="rsa")


def test_new_certificate_is_offered_beside_the_old(client, sandbox, instance, clock):
    """Within the overlap the old key signs for those who name it; the next refresh brings the new one."""
    old = ask(client, instance).headers["Wechatpay-Serial"]
    new = sandbox.rotate().serial
    assert old == ask(client, instance).headers["Wechatpay-Serial"]

    clock.now += 12 * 3600 + 1
    ask(client, instance)
    assert {old, new} == set(instance.getDriver().platform.serials)
    assert new == ask(client, instance).headers["Wechatpay-Serial"]
    assert 2 == downloads(sandbox)


def test_withdrawn_certificate_locks_nobody_out(client, sandbox, instance):
    """When every known certificate is retired, the next call gets the new one and succeeds."""
    old = ask(client, instance).headers["Wechatpay-Serial"]
    new = sandbox.rotate().serial
    sandbox.retire(old)
    responses = [ask(client, instance) for _ in range(2)]

    assert [new] * 2 == [response.headers["Wechatpay-Serial"] for response in responses]
    assert 2 == downloads(sandbox)
    assert new == sandbox.requests[-1].headers["Wechatpay-Serial"]


def test_rotation_under_load_fails_no_call(together, sandbox, instance):
    """The only known certificate is withdrawn amid 80 calls: none fails, each names the key it used."""
    old = palm(instance).get(**asked(name=Sensitive(NAME))).headers["Wechatpay-Serial"]
    new = sandbox.rotate().serial

    def withdraw():
        while len(sandbox.requests) < 25:
            time.sleep(0.001)
        sandbox.retire(old)

    thread = threading.Thread(target=withdraw)
    thread.start()
    responses = together(instance, 80, name=Sensitive(NAME))
    thread.join(10)
    responses += together(instance, 10, name=Sensitive(NAME))
    named = [
        (received.headers["Wechatpay-Serial"], dict(received.query)["name"])
        for received in sandbox.requests
        if received.path != DOWNLOAD
    ]

    assert [200] * 90 == [response.status_code for response in responses]
    assert {NAME} == {sandbox.decrypt(text, serial) for serial, text in named}
    assert {old, new} == {serial for serial, _ in named}
    assert [new] * 10 == [serial for serial, _ in named[-10:]]
    assert 2 == downloads(sandbox)


def test_many_calls_with_an_unknown_key_make_one_download(together, sandbox, instance):
    """All of them wait for the first one's."""
    old = palm(instance).get(**asked()).headers["Wechatpay-Serial"]
    sandbox.rotate()
    sandbox.retire(old)

    assert [200] * 40 == [response.status_code for response in together(instance, 40)]
    assert 2 == downloads(sandbox)


def test_hundreds_of_forged_callbacks_make_one_download(sandbox, instance, clock):
    """Made-up serial numbers cost one download, however many they are; the genuine callback passes."""
    palm(instance).get(**asked())
    handler = instance.getDriver().notifications()
    forger = Platform(identity=sandboxes.identity(), clock=clock)
    (certificate,) = instance.getDriver().platform.serials
    forged = forger.notification(fault=faults.WrongSignature())
    refused = {
        handler.handle(
            {**forged.headers, "Wechatpay-Serial": f"{number:040X}"}, forged.body, pytest.fail
        ).status
        for number in range(200)
    }
    genuine = forger.notification(serial=certificate)

    assert {401} == refused
    assert 200 == handler.handle(genuine.headers, genuine.body, lambda _: None).status
    assert 2 == downloads(sandbox)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.ErrorResponse(503), id="503"),
        pytest.param(faults.HtmlPage(), id="page"),
        pytest.param(faults.Reset(), id="reset"),
        pytest.param(faults.WrongSignature(), id="forged"),
        pytest.param(faults.OldTimestamp(), id="stale"),
        pytest.param(faults.Unsigned(), id="unsigned"),
        pytest.param(faults.TruncatedBody(), id="truncated"),
    ],
)
def test_outage_during_a_refresh_keeps_the_set(client, sandbox, instance, clock, fault):
    """A refresh that fails costs nothing; the one after it brings the new certificate."""
    old = ask(client, instance).headers["Wechatpay-Serial"]
    new = sandbox.rotate().serial
    sandbox.inject(fault, path="v3/certificates")
    clock.now += 12 * 3600 + 1
    assert [200] * 3 == [ask(client, instance).status_code for _ in range(3)]
    assert (old,) == instance.getDriver().platform.serials

    clock.now += 61
    ask(client, instance)
    assert {old, new} == set(instance.getDriver().platform.serials)


def test_probe_is_no_reason_to_download(client, sandbox, instance):
    """A probe fails, and that is all."""
    ask(client, instance)
    sandbox.inject(faults.Probe())
    with pytest.raises(SignatureError, match="probe"):
        ask(client, instance)

    assert 1 == downloads(sandbox)


def test_public_key_that_rotates_is_added_by_hand(client):
    """In public-key mode no list tells of a new key: it is taken from the console."""
    with (
        Sandbox(identity=sandboxes.identity(), mode="public-key") as sandbox,
        Builder(**sandbox.settings()) as instance,
    ):
        platform = instance.getDriver().platform
        (old,) = platform.serials
        made = sandbox.rotate()
        assert made.serial.startswith("PUB_KEY_ID_01")
        assert old == ask(client, instance).headers["Wechatpay-Serial"]

        platform.add(made.serial, made.published)
        platform.retire(old)
        sandbox.retire(old)
        assert made.serial == ask(client, instance).headers["Wechatpay-Serial"]


def test_rotation_is_each_sandboxs_own(sandbox):
    """What was made from the same keys stays as it was."""
    sandbox.rotate()
    with Sandbox(identity=sandboxes.identity(), mode="both") as other:
        assert list(sandboxes.identity().certs) == list(other.settings()["certs"])


def test_last_key_and_unknown_ones_cannot_be_withdrawn(sandbox):
    """WeChat Pay always has a key; the error says what to do first."""
    (serial,) = (signer.serial for signer in sandbox.identity.signers if signer.is_certificate)
    with pytest.raises(ConfigurationError, match=r"never without a key; rotate\(\) first"):
        sandbox.retire(serial)
    with pytest.raises(ConfigurationError, match=f"serial: 'none' is not in use; there are {serial}"):
        sandbox.retire("none")


def test_only_what_was_encrypted_with_a_key_opens(sandbox, instance):
    """A test that names the wrong key learns it."""
    (serial,) = (signer.serial for signer in sandbox.identity.signers if signer.is_certificate)
    with pytest.raises(ConfigurationError, match="serial: WeChat Pay never had a key 'none'"):
        sandbox.decrypt("AAAA", "none")
    with pytest.raises(ValueError):  # noqa: PT011  whatever cryptography says
        sandbox.decrypt("AAAA", serial)
