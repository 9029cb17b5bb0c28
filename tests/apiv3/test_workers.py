"""Workers with one directory make one download."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import fcntl
import threading
import time

import pytest
import rotation
from rotation import SERIALS, refused

from wechatpay.errors import ConfigurationError, ConnectError

OLD, NEW = SERIALS["old"], SERIALS["new"]


@pytest.fixture
def worker(build, wechat, clock, tmp_path):
    """Give a function that makes a Builder sharing a directory with the others."""
    wechat.now = clock
    return lambda **changes: build(
        **rotation.settings(clock=clock, certs_cache=tmp_path / "certs", **changes)
    )


def test_second_worker_downloads_nothing(client, worker, wechat):
    """What the first worker downloaded, the second reads."""
    client.call(worker().v3.x, "get")
    client.call(worker().v3.x, "get")

    assert 1 == wechat.downloads
    assert [(OLD, None)] * 2 == wechat.pairs


def test_workers_that_begin_together_make_one_download(worker, wechat):
    """One asks, the others wait for its file, threads and tasks alike."""
    wechat.pause = 0.3
    builders = [worker() for _ in range(8)]

    async def awaited(builder):
        return await builder.v3.x.getAsync()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = [pool.submit(builder.v3.x.get) for builder in builders[:4]]
        made += [pool.submit(asyncio.run, awaited(builder)) for builder in builders[4:]]
        for future in made:
            assert 200 == future.result(30).status_code

    assert 1 == wechat.downloads


def test_worker_waits_twelve_hours_from_the_download(client, worker, wechat, clock):
    """A file that is hours old is refreshed when its list is due, not twelve hours after it was read."""
    client.call(worker().v3.x, "get")
    clock.ahead = 11 * 3600
    second = worker()
    client.call(second.v3.x, "get")
    assert 1 == wechat.downloads
    clock.ahead = 12 * 3600 + 1
    client.call(second.v3.x, "get")

    assert 2 == wechat.downloads


def test_worker_takes_a_refresh_of_anothers(client, worker, wechat, clock):
    """Of many workers whose lists are due, one asks."""
    workers = [worker() for _ in range(3)]
    for each in workers:
        client.call(each.v3.x, "get")
    clock.ahead = 12 * 3600 + 1
    for each in workers:
        client.call(each.v3.x, "get")

    assert 2 == wechat.downloads


def test_key_that_another_worker_found_is_not_downloaded_again(client, worker, wechat, clock):
    """After a rotation one worker asks, and the others read."""
    workers = [worker() for _ in range(3)]
    for each in workers:
        client.call(each.v3.x, "get")
    clock.ahead = 5
    wechat.rotate("new")
    for each in workers:
        client.call(each.v3.x, "get")

    assert 2 == wechat.downloads


def test_file_without_the_key_that_is_sought_is_not_enough(client, worker, wechat, clock):
    """A newer list of another worker that lacks the key does not use the budget up."""
    first, second = worker(), worker()
    client.call(first.v3.x, "get")
    clock.ahead = 2
    second.getDriver().platform.refresh()
    clock.ahead = 4
    wechat.rotate("new")
    client.call(first.v3.x, "get")

    assert NEW in first.getDriver().platform.serials
    assert 3 == wechat.downloads


def test_stale_file_is_downloaded_anew(client, worker, wechat, clock):
    """A list of yesterday is not today's."""
    client.call(worker().v3.x, "get")
    clock.ahead = 13 * 3600
    client.call(worker().v3.x, "get")

    assert 2 == wechat.downloads


def test_file_of_no_use_does_not_hide_a_failure(client, worker, wechat, clock):
    """With a stale file and no response there is no key, and the error says so."""
    client.call(worker().v3.x, "get")
    clock.ahead = 13 * 3600
    wechat.download = refused(503)
    with pytest.raises(ConnectError, match="nothing was sent"):
        client.call(worker().v3.x, "get")


def test_renewal_does_not_wait_for_another_worker(client, worker, wechat, clock):
    """While another process renews the certificates, calls go on with those there are."""
    instance = worker()
    client.call(instance.v3.x, "get")
    clock.ahead = 12 * 3600 + 1
    cache = instance.getDriver().platform._refresher._cache
    lock = cache.make_lock()
    assert cache.claim(lock)
    client.call(instance.v3.x, "get")
    assert 1 == wechat.downloads
    lock.release()
    client.call(instance.v3.x, "get")

    assert 2 == wechat.downloads


def test_cancelled_download_holds_up_no_other_worker(worker, wechat, monkeypatch):
    """A call that is cancelled while a thread locks the directory unlocks it."""
    locked, go_on, flock = threading.Event(), threading.Event(), fcntl.flock

    def lock_slowly(descriptor, how):
        flock(descriptor, how)
        locked.set()
        go_on.wait(5)

    monkeypatch.setattr(fcntl, "flock", lock_slowly)
    instance = worker()

    async def main():
        call = asyncio.ensure_future(instance.v3.x.getAsync())
        await asyncio.to_thread(locked.wait, 5)
        call.cancel()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        await instance.getDriver().aclose()

    asyncio.run(main())
    cache = worker().getDriver().platform._refresher._cache

    assert cache.claim(cache.make_lock())
    assert 0 == wechat.downloads


def test_file_system_without_locks_is_taken_for_one_without_other_workers(
    client, worker, wechat, clock, monkeypatch
):
    """Each worker downloads for itself where nothing can be locked, and refreshes when that is due."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    instance = worker()
    begun = time.monotonic()
    client.call(instance.v3.x, "get")
    assert time.monotonic() - begun < 5
    clock.ahead = 12 * 3600 + 1
    client.call(instance.v3.x, "get")

    assert 2 == wechat.downloads


def test_worker_that_hangs_holds_the_others_up_for_a_while_alone(client, worker, wechat, monkeypatch):
    """Waiting for a lock that is never released ends after a while."""
    monkeypatch.setattr("wechatpay.apiv3.certificate_refresher._LOOKS", 2)
    instance = worker()
    cache = instance.getDriver().platform._refresher._cache
    lock = cache.make_lock()
    assert cache.claim(lock)
    client.call(instance.v3.x, "get")
    lock.release()

    assert 1 == wechat.downloads


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"certs_cache": 1}, "certs_cache: the path"),
        ({"certs_cache": ""}, "certs_cache: the path"),
        ({"certs_cache": "x", "apiv3_key": None, "certs": {"PUB_KEY_ID_1": b"x"}}, "which need apiv3_key"),
        ({"apiv3_key": "short"}, "apiv3_key: is 32 bytes, got 5 bytes"),
        ({"apiv3_key": "张" * 32}, "apiv3_key: is 32 bytes, got 96 bytes"),
        ({"apiv3_key": 32}, "apiv3_key: is 32 bytes, got int"),
        ({"apiv3_key": None}, r"certs \(or apiv3_key, to download them\): missing"),
        ({"certs": {}}, "certs: give a mapping"),
    ],
)
def test_wrong_settings_are_named(build, changes, why):
    """What could never work fails at construction, and no error shows a key."""
    with pytest.raises(ConfigurationError, match=why):
        build(**rotation.settings(**changes))


def test_settings_do_not_show_the_apiv3_key(downloading):
    """The APIv3 key is in no `repr`."""
    settings = downloading.getDriver()._settings

    assert rotation.APIV3_KEY not in repr(settings)
    assert rotation.APIV3_KEY.encode() == settings.merchant.apiv3_key.reveal()
