"""Callbacks by a Builder's settings: the same keys as its responses, and the same budget for downloads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import digests
import pytest
import rotation
from notification.callbacks import APIV3_KEY, ID, ORDER, REFUND, envelope, payment, refund, signed
from rotation import SERIALS, Rotation
from wire.gateway import SERIAL

from wechatpay import ConfigurationError, InvalidRequestError, NotificationError
from wechatpay.notification import (
    ForgedNotificationError,
    MemoryStore,
    ProbeNotificationError,
    StaleNotificationError,
    UnconfiguredNotificationError,
    UnknownSerialNotificationError,
)

BODY = envelope(key=rotation.APIV3_KEY)


class Sync:
    """The blocking entry."""

    def parse(self, driver, headers, body):
        """Prove a callback."""
        return driver.notification(headers, body)


class Async:
    """The promise, awaited."""

    def parse(self, driver, headers, body):
        """Prove a callback."""

        async def awaited():
            try:
                return await driver.notificationAsync(headers, body)
            finally:
                await driver.aclose()

        return asyncio.run(awaited())


class Promised:
    """The promise, waited for where no loop runs."""

    def parse(self, driver, headers, body):
        """Prove a callback."""
        return driver.notificationAsync(headers, body).wait()


@pytest.fixture(params=[Sync, Async, Promised], ids=["sync", "async", "promise"])
def client(request):
    """Give one entry after the other."""
    return request.param()


@pytest.fixture
def wechat(gateway):
    """Give a WeChat Pay that offers one certificate, and already signs with another."""
    gateway.behaviour = Rotation("old", "new")
    return gateway.behaviour


@pytest.fixture
def driver(build):
    """Give the driver of a Builder that knows the old certificate, and can download."""
    certs = {SERIALS["old"]: rotation.certificate("old")}
    return build(**rotation.settings(certs=certs)).getDriver()


def by(name, **how):
    """Give headers signed just now by the certificate of that name."""
    return signed(BODY, **{"at": int(time.time()), "key": name, "serial": SERIALS[name]} | how)


def test_callback_is_verified_with_the_keys_of_the_builder(build, client):
    """What responses are accepted by, callbacks are."""
    driver = build(apiv3_key=APIV3_KEY).getDriver()
    body = envelope()

    assert ORDER == client.parse(driver, signed(body, at=int(time.time())), body).resource


def test_callback_of_apiv2_is_verified_with_its_secret(build, client):
    """A Builder with APIv2's settings takes its callbacks."""
    driver = build(serial=None, private_key=None, certs=None, secret=digests.SECRET).getDriver()

    assert REFUND == client.parse(driver, {}, refund()).resource


def test_callback_of_another_merchant_is_refused(build, client):
    """The merchant is the Builder's."""
    driver = build(secret=digests.SECRET).getDriver()

    with pytest.raises(NotificationError, match="for merchant '7'"):
        client.parse(driver, {}, payment(mch_id="7"))


def test_builder_without_the_apiv3_key_takes_apiv2(build, client):
    """What is missing is said when it is missed, not before."""
    driver = build(secret=digests.SECRET).getDriver()
    body = envelope()

    assert REFUND == client.parse(driver, {}, refund()).resource
    with pytest.raises(UnconfiguredNotificationError, match="give certs and apiv3_key"):
        client.parse(driver, signed(body), body)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "apiv3_key: missing; APIv3's callbacks are encrypted with it"),
        ({"serial": None, "private_key": None, "certs": None}, "give certs and apiv3_key for APIv3"),
    ],
    ids=["v3", "none"],
)
def test_builder_that_cannot_take_callbacks_says_what_it_needs(build, client, settings, said):
    """A call whose settings were left out names them."""
    with pytest.raises(ConfigurationError, match=said):
        client.parse(build(**settings).getDriver(), {}, BODY)


def test_mistake_of_the_caller_is_raised_or_the_promises(build, client):
    """A body that was decoded is not a callback."""
    with pytest.raises(InvalidRequestError, match=r"^body"):
        client.parse(build(apiv3_key=APIV3_KEY).getDriver(), {}, "text")


def test_unknown_certificate_is_downloaded_once(wechat, driver, client):
    """A callback may be the first to be signed with a new certificate."""
    for _ in range(2):
        assert ORDER == client.parse(driver, by("new"), BODY).resource

    assert 1 == wechat.downloads
    assert SERIALS["new"] in driver.platform.serials


def test_first_certificate_is_downloaded_for_a_callback(wechat, build, client):
    """A service that starts with a callback has no key yet."""
    driver = build(**rotation.settings()).getDriver()

    assert ORDER == client.parse(driver, by("new"), BODY).resource
    assert 1 == wechat.downloads


def test_known_certificate_is_not_downloaded(wechat, driver, client):
    """Nothing goes over the network for a callback whose key is known."""
    assert ORDER == client.parse(driver, by("old"), BODY).resource
    assert 0 == wechat.downloads


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (lambda: by("third") | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}, ProbeNotificationError),
        (lambda: by("third", at=int(time.time()) - 3600), StaleNotificationError),
        (lambda: by("third") | {"Wechatpay-Nonce": ""}, NotificationError),
        (lambda: by("third", serial=SERIAL[:-1] + "9"), UnknownSerialNotificationError),
        (lambda: by("third", serial=SERIALS["old"]), ForgedNotificationError),
    ],
    ids=["probe", "stale", "incomplete", "public-key", "forged"],
)
def test_nothing_is_downloaded_for_what_no_download_could_prove(wechat, driver, client, headers, expected):
    """Neither for probes nor for old callbacks, nor for a public key's id, which no download brings."""
    with pytest.raises(expected):
        client.parse(driver, headers(), BODY)

    assert 0 == wechat.downloads


def test_hundreds_of_forged_callbacks_make_one_download(wechat, driver):
    """Anybody can invent serial numbers: what they cost WeChat Pay and us is bounded."""
    for number in range(200):
        with pytest.raises(UnknownSerialNotificationError):
            driver.notification(by("third", serial=f"{number:040X}"), BODY)

    assert 1 == wechat.downloads
    assert ORDER == driver.notification(by("new"), BODY).resource


def test_callbacks_at_once_share_one_download(wechat, driver):
    """All that wait for the same certificate get it."""
    wechat.pause, headers = 0.2, by("new")
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: driver.notification(headers, BODY).id, range(50)))

    assert [ID] * 50 == found
    assert 1 == wechat.downloads


def test_callbacks_at_once_share_one_download_in_a_loop(wechat, driver):
    """So do tasks."""
    wechat.pause, headers = 0.2, by("new")

    async def gathered():
        found = await asyncio.gather(*(driver.notificationAsync(headers, BODY) for _ in range(50)))
        await driver.aclose()
        return [notification.id for notification in found]

    assert [ID] * 50 == asyncio.run(gathered())
    assert 1 == wechat.downloads


def test_outage_refuses_the_callback_and_keeps_the_keys(wechat, driver, client):
    """The callback comes again; what is known goes on to be accepted."""
    wechat.download = rotation.refused(500, "SYSTEM_ERROR")
    with pytest.raises(UnknownSerialNotificationError):
        client.parse(driver, by("new"), BODY)

    assert ORDER == client.parse(driver, by("old"), BODY).resource


def test_callback_without_any_key_to_be_had_is_refused_and_the_log_says_why(wechat, build, client, caplog):
    """A merchant in public-key mode learns what to configure; the sender learns nothing."""
    wechat.download = rotation.refused(404, "RESOURCE_NOT_EXISTS")
    driver = build(**rotation.settings()).getDriver()
    with pytest.raises(UnknownSerialNotificationError, match="certs holds none") as caught:
        client.parse(driver, by("new"), BODY)

    assert "of a callback could not be fetched" in caplog.text
    assert "public key" in caplog.text
    assert b'{"code":"FAIL","message":"signed by an unknown key"}' == caught.value.reply.body


def test_key_that_is_added_is_accepted_at_once(wechat, driver):
    """The trust set of the driver is the one of its callbacks, while it lives."""
    handler = driver.notifications()
    driver.platform.add(SERIALS["third"], rotation.certificate("third"))

    assert ORDER == handler.parse(by("third"), BODY).resource
    driver.platform.retire(SERIALS["third"])
    with pytest.raises(UnknownSerialNotificationError):
        handler.parse(by("third"), BODY)


def test_handler_of_a_driver_takes_a_store_and_a_ttl(driver):
    """Each handler remembers for itself, unless they share a store."""
    store = MemoryStore()

    assert store is driver.notifications(store=store).store
    assert driver.notifications().store is not driver.notifications().store
    with pytest.raises(ConfigurationError, match=r"^ttl"):
        driver.notifications(ttl=0)


def test_handler_of_a_driver_downloads_while_it_handles(wechat, driver, client):
    """Sync and async, the event is dealt with after the download that verifies it."""
    seen, handler = [], driver.notifications()
    if isinstance(client, Sync):
        reply = handler.handle(by("new"), BODY, seen.append)
    else:

        async def handled():
            reply = await handler.ahandle(by("new"), BODY, seen.append)
            await driver.aclose()
            return reply

        reply = asyncio.run(handled())

    assert (200, 1, 1) == (reply.status, len(seen), wechat.downloads)
