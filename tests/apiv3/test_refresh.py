"""Keys are renewed while calls are made: on use, once for all, and never oftener than is allowed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import keys
import pytest
import rotation
from rotation import SERIALS, refused
from wire.gateway import proof, reply

from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.errors import (
    APIError,
    ClockSkewError,
    ConfigurationError,
    ConnectError,
    SignatureError,
    UnknownSerialError,
)

OLD, NEW, THIRD = (SERIALS[name] for name in ("old", "new", "third"))
HOUR = 3600


@pytest.fixture
def ready(downloading, wechat):
    """Give a Builder that has downloaded the first certificate."""
    downloading.v3.x.get()
    wechat.downloads = 0
    wechat.pairs.clear()
    return downloading


def failing(code="PARAM_ERROR"):
    """Give the body of an error response."""
    return b'{"code":"%s","message":"x"}' % code.encode()


def test_response_of_a_new_key_is_verified_after_one_download(client, ready, wechat):
    """A key that is not known yet is asked for, and the call succeeds."""
    wechat.rotate("new", keep=["old"])
    client.call(ready.v3.x, "get")
    client.call(ready.v3.x, "get")

    assert 1 == wechat.downloads
    assert {OLD, NEW} == set(ready.getDriver().platform.serials)


def test_refresh_works_when_every_known_certificate_is_retired(client, ready, wechat):
    """No known certificate is offered, or signs, any more, and the refresh still works."""
    wechat.rotate("new")
    client.call(ready.v3.x, "get")
    wechat.pairs.clear()
    client.call(ready.v3.x, "get")

    assert 1 == wechat.downloads
    assert [(NEW, None)] == wechat.pairs


def test_key_that_is_not_offered_stays_unknown(client, ready, wechat):
    """One download is made for it; the response is refused."""
    wechat.serial = THIRD
    for _ in range(5):
        with pytest.raises(UnknownSerialError) as caught:
            client.call(ready.v3.x, "get")

    assert THIRD == caught.value.serial
    assert 1 == wechat.downloads


def test_next_unknown_key_is_asked_for_a_minute_later(client, ready, wechat, clock):
    """The budget is one download a minute."""
    wechat.serial = THIRD
    with pytest.raises(UnknownSerialError):
        client.call(ready.v3.x, "get")
    wechat.serial = None
    wechat.rotate("new")
    with pytest.raises(UnknownSerialError):
        client.call(ready.v3.x, "get")
    clock.ahead = 61
    client.call(ready.v3.x, "get")

    assert 2 == wechat.downloads


def test_unknown_public_key_is_not_downloaded(client, ready, wechat):
    """No list of certificates holds a public key: the error says to configure it."""
    wechat.serial = "PUB_KEY_ID_0114232134912410000000000000"
    with pytest.raises(UnknownSerialError, match="add WeChat Pay's public key"):
        client.call(ready.v3.x, "get")

    assert 0 == wechat.downloads


def test_unknown_key_of_a_merchant_on_the_move_is_asked_for(client, build, wechat):
    """A merchant with a public key may still get responses signed by a certificate."""
    certs = {"PUB_KEY_ID_1": keys.public_key("platform")}
    instance = build(**rotation.settings(certs=certs))
    client.call(instance.v3.x, "get")

    assert 1 == wechat.downloads
    assert ("PUB_KEY_ID_1", OLD) == instance.getDriver().platform.serials
    assert [("PUB_KEY_ID_1", None)] == wechat.pairs


def test_without_apiv3_key_nothing_is_asked_for(client, build, wechat, gateway):
    """Keys that were given are all there is."""
    instance = build(certs={NEW: rotation.certificate("new")})
    with pytest.raises(UnknownSerialError):
        client.call(instance.v3.x, "get")

    assert 1 == len(gateway.seen)


def test_probe_causes_no_refresh(client, ready, wechat, gateway):
    """A probe under an unknown key fails, and that is all."""
    headers = dict(proof(b"{}", serial=NEW)) | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}
    gateway.respond(reply(b"{}", "200 OK", *headers.items()))
    with pytest.raises(SignatureError, match="probe"):
        client.call(ready.v3.x, "get")

    assert ["/v3/x"] == [seen.target for seen in gateway.seen[2:]]


def test_response_of_another_time_causes_no_refresh(client, ready, gateway):
    """A response that no key could verify causes no download."""
    gateway.respond(reply(b"{}", "200 OK", *proof(b"{}", serial=NEW, at=1)))
    with pytest.raises(ClockSkewError):
        client.call(ready.v3.x, "get")

    assert ["/v3/x"] == [seen.target for seen in gateway.seen[2:]]


def test_hundreds_of_forged_responses_make_one_download(ready, wechat, looped):
    """Serial numbers that are made up cost one download a minute, however many they are."""
    forged = iter(range(200))
    wechat.__class__ = Forging
    wechat.forged = forged

    async def one():
        with pytest.raises(UnknownSerialError):
            await ready.v3.x.getAsync()

    async def many():
        for _ in range(4):
            await asyncio.gather(*(one() for _ in range(50)))

    looped.run(many())

    assert next(forged, None) is None
    assert 1 == wechat.downloads
    assert (OLD,) == ready.getDriver().platform.serials


class Forging(rotation.Rotation):
    """Signs every response but the downloads with a key that does not exist."""

    def __call__(self, seen, peer):
        """Respond to one request."""
        if seen.target.startswith("/v3/certificates"):
            super().__call__(seen, peer)
        else:
            headers = {
                "Wechatpay-Timestamp": str(int(self.now())),
                "Wechatpay-Nonce": "x",
                "Wechatpay-Serial": f"{next(self.forged):040X}",
                "Wechatpay-Signature": "AAAA",
            }
            peer.send(reply(b"{}", "200 OK", *headers.items()))


def test_hundred_tasks_with_an_unknown_key_make_one_download(ready, wechat):
    """All wait for the one download that the first of them makes."""
    wechat.rotate("new")
    wechat.pause = 0.2

    async def main():
        return await asyncio.gather(*(ready.v3.x.getAsync() for _ in range(100)))

    assert 100 == len(asyncio.run(main()))
    assert 1 == wechat.downloads


def test_hundred_threads_with_an_unknown_key_make_one_download(ready, wechat):
    """Threads wait for it just as well."""
    wechat.rotate("new")
    wechat.pause = 0.2
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        responses = [future.result(30) for future in [pool.submit(ready.v3.x.get) for _ in range(100)]]

    assert 100 == len(responses)
    assert 1 == wechat.downloads


def test_hundred_calls_of_sync_and_async_with_an_unknown_key_make_one_download(ready, wechat):
    """Threads wait for a task's download, and tasks for a thread's."""
    wechat.rotate("new")
    wechat.pause = 0.3

    async def tasks():
        await asyncio.gather(*(ready.v3.x.getAsync() for _ in range(25)))

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        made = [pool.submit(asyncio.run, tasks()) for _ in range(2)]
        made += [pool.submit(ready.v3.x.get) for _ in range(50)]
        for future in made:
            future.result(30)

    assert 1 == wechat.downloads
    assert 100 == len(wechat.pairs)


def test_certificates_are_renewed_after_twelve_hours(client, ready, wechat, clock):
    """The next certificate is known before anything is signed with it."""
    wechat.offered = ["old", "new"]
    client.call(ready.v3.x, "get")
    assert 0 == wechat.downloads
    clock.ahead = 12 * HOUR + 1
    client.call(ready.v3.x, "get")
    client.call(ready.v3.x, "get")

    assert 1 == wechat.downloads
    assert {OLD, NEW} == set(ready.getDriver().platform.serials)


def test_renewal_holds_up_one_call_alone(ready, wechat, clock):
    """While one call renews the certificates, the others use those there are."""
    clock.ahead = 12 * HOUR + 1
    renewed = threading.Event()

    def download(peer):
        renewed.wait(30)
        peer.send(wechat.signed(rotation.body(rotation.item("old"))))

    wechat.download = download

    async def main():
        renewing = ready.v3.x.getAsync()
        while not wechat.downloads:  # noqa: ASYNC110  the gateway counts on a thread
            await asyncio.sleep(0.01)
        await asyncio.gather(*(ready.v3.x.getAsync() for _ in range(20)))
        others = len(wechat.pairs)
        renewed.set()
        await renewing
        return others

    assert 20 == asyncio.run(main())
    assert 1 == wechat.downloads


@pytest.mark.parametrize(
    "download",
    [
        pytest.param(lambda peer: peer.close(), id="closed"),
        pytest.param(refused(404), id="404"),
        pytest.param(refused(500, "SYSTEM_ERROR"), id="500"),
        pytest.param(lambda peer: peer.send(reply(b"<html>", "502 Bad Gateway")), id="502"),
        pytest.param(lambda peer: peer.send(reply(b"{}")), id="unsigned"),
        pytest.param(lambda peer: peer.send(reply(b"", "204 No Content")), id="empty"),
    ],
)
def test_outage_during_a_refresh_keeps_the_set(client, ready, wechat, download, caplog):
    """A refresh that fails costs nothing: calls go on with the keys there are, and it is tried again."""
    wechat.download, clock = download, wechat.now
    clock.ahead = 12 * HOUR + 1
    for _ in range(3):
        client.call(ready.v3.x, "get")
    assert 1 == wechat.downloads
    assert (OLD,) == ready.getDriver().platform.serials
    assert "could not be refreshed" in caplog.text
    wechat.download, wechat.offered = None, ["old", "new"]
    clock.ahead += 61
    client.call(ready.v3.x, "get")

    assert {OLD, NEW} == set(ready.getDriver().platform.serials)


def test_forged_refresh_keeps_the_set(client, ready, wechat, clock):
    """A list that is not WeChat Pay's changes nothing."""
    clock.ahead = 12 * HOUR + 1
    wechat.download = lambda peer: peer.send(
        wechat.signed(rotation.body(rotation.item("new")), serial=NEW, key="odd")
    )
    client.call(ready.v3.x, "get")

    assert (OLD,) == ready.getDriver().platform.serials


def failed_call(client, instance, wechat, gateway):
    """Make a call that gets a signed error response; return the error."""

    def behaviour(seen, peer):
        if "certificates" in seen.target:
            wechat(seen, peer)
        else:
            peer.send(wechat.signed(failing(), status="400 Bad Request"))

    gateway.behaviour = behaviour
    with pytest.raises(APIError) as caught:
        client.call(instance.v3.x, "get")
    return caught.value


def test_error_response_of_a_new_key_is_verified(client, ready, wechat, gateway):
    """An error is marked as WeChat Pay's even if a new key signed it."""
    wechat.rotate("new")
    error = failed_call(client, ready, wechat, gateway)

    assert error.verified
    assert "PARAM_ERROR" == error.code


def test_error_response_is_never_hidden_by_a_refresh_that_fails(client, ready, wechat, gateway):
    """The body reaches the caller, verified or not."""
    wechat.rotate("new")
    wechat.download = refused(500)
    error = failed_call(client, ready, wechat, gateway)

    assert not error.verified
    assert "PARAM_ERROR" == error.code


def test_platform_is_asked_on_demand(ready, wechat):
    """`refresh` downloads whatever the schedule says; `arefresh` does so on the loop."""
    platform = ready.getDriver().platform
    wechat.offered = ["old", "new"]
    platform.refresh()
    assert {OLD, NEW} == set(platform.serials)
    wechat.offered = ["old", "new", "third"]
    asyncio.run(platform.arefresh())

    assert {OLD, NEW, THIRD} == set(platform.serials)
    assert 2 == wechat.downloads


def test_platform_lives_without_the_builder_that_gave_it(ready, wechat):
    """The platform is all that is needed to ask."""
    platform = ready.chain("v3").getDriver().platform
    del ready
    platform.refresh()

    assert OLD == platform.preferred.serial


def test_demand_that_fails_says_why_and_keeps_the_set(ready, wechat):
    """A failed `refresh` raises, and changes nothing."""
    platform = ready.getDriver().platform
    wechat.download = refused(404)
    with pytest.raises(ConfigurationError, match="public-key mode"):
        platform.refresh()
    wechat.download = refused(503)
    with pytest.raises(ConnectError):
        asyncio.run(platform.arefresh())

    assert (OLD,) == platform.serials
    assert [OLD] == [key.serial for key in platform.keys]


def test_concurrent_demands_make_one_download(ready, wechat):
    """A `refresh` during a download waits for that download."""
    wechat.pause = 0.2
    platform = ready.getDriver().platform

    async def main():
        await asyncio.gather(*(platform.arefresh() for _ in range(20)))

    asyncio.run(main())

    assert 1 == wechat.downloads


def cancel_in_download(wechat, begin, *others):
    """Cancel the first of these calls during its download; return the results of the others."""
    wechat.pause, before = 0.2, wechat.downloads

    async def main():
        calls = [asyncio.ensure_future(begin())]
        for _ in range(300):
            if before == wechat.downloads:
                await asyncio.sleep(0.01)
        calls += [asyncio.ensure_future(other()) for other in others]
        await asyncio.sleep(0.05)
        calls[0].cancel()
        wechat.pause = 0.0
        first, *found = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, asyncio.CancelledError)
        return found

    return asyncio.run(main())


@pytest.mark.parametrize("waiting", [0, 3], ids=["alone", "waited for"])
def test_cancelled_fetch_is_made_by_the_next_call(waiting, client, ready, wechat):
    """Who waits for the new key, or needs it next, fetches it when the call that did is cancelled."""
    wechat.rotate("new", keep=["old"])
    get = ready.v3.x.getAsync
    found = cancel_in_download(wechat, get, *[get] * waiting)
    client.call(ready.v3.x, "get")

    assert [200] * waiting == [response.status_code for response in found]
    assert 2 == wechat.downloads


def test_cancelled_fetches_are_bounded(ready, wechat, clock):
    """Senders of forged callbacks that hang up make some downloads a minute at most, and lock nobody out."""
    wechat.rotate("new", keep=["old"])
    platform = ready.getDriver().platform
    for _ in range(11):
        cancel_in_download(wechat, lambda: platform.arenew("F0"))
    platform.renew("F0")
    assert 11 == wechat.downloads
    clock.ahead = 61
    ready.v3.x.get()

    assert 12 == wechat.downloads


def test_cancelled_demand_is_not_taken_for_a_download(ready, wechat):
    """Who waits for a demand that is cancelled makes a download of their own."""
    platform = ready.getDriver().platform
    assert [None] == cancel_in_download(wechat, platform.arefresh, platform.arefresh)
    assert 2 == wechat.downloads


def test_demand_without_apiv3_key_names_the_setting(instance):
    """Nothing can be downloaded without an APIv3 key."""
    with pytest.raises(ConfigurationError, match="apiv3_key: missing"):
        instance.getDriver().platform.refresh()


def test_callback_of_a_new_key_is_asked_for_within_the_budget(ready, wechat):
    """`renew` looks for a key as verifying does, and fails in silence while there are keys."""
    platform = ready.getDriver().platform
    wechat.rotate("new")
    platform.renew(NEW)
    assert NEW == platform.get(NEW).serial
    asyncio.run(platform.arenew(THIRD))
    platform.renew("PUB_KEY_ID_1")

    assert platform.get(THIRD) is None
    assert 1 == wechat.downloads


def test_first_callback_downloads(downloading, wechat):
    """A callback may well come before the first call."""
    platform = downloading.getDriver().platform
    platform.renew(OLD)

    assert OLD == platform.get(OLD).serial


def test_first_callback_that_cannot_be_verified_says_why(downloading, wechat):
    """Without any key the failure is the caller's to know."""
    wechat.download = refused(404)
    platform = downloading.getDriver().platform
    with pytest.raises(ConfigurationError, match="PUB_KEY_ID_"):
        platform.renew(OLD)
    with pytest.raises(ConfigurationError, match="PUB_KEY_ID_"):
        asyncio.run(platform.arenew(OLD))

    assert 1 == wechat.downloads


def test_platform_without_a_protocol_never_asks():
    """Keys without a Builder, such as a handler's for callbacks only, are never downloaded."""
    platform = PlatformKeys()

    assert not platform.can_download
    assert [] == list(platform.find(OLD, 0))
    assert "<PlatformKeys >" == repr(platform)
    for download in (platform.refresh, lambda: platform.renew(OLD)):
        with pytest.raises(ConfigurationError, match="only a Builder downloads certificates"):
            download()


def test_live_platform_shows_serial_numbers_alone(instance):
    """Its `repr` is that of the set."""
    assert "<PlatformKeys PUB_KEY_ID_0114232134912410000000000000>" == repr(instance.getDriver().platform)
