"""Keys change under load, and no call fails, nor is one key named and another used."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time

import keys
import pytest
import rotation
from rotation import SERIALS

from wechatpay import Sensitive
from wechatpay.errors import InvalidRequestError, UnknownSerialError

OLD, NEW, THIRD = (SERIALS[name] for name in ("old", "new", "third"))
NAME = "张三"

#: Calls at once, and calls when the change has been made.
LOAD, AFTER = 80, 10


def threads(node, count, **options):
    """Make blocking calls, all at once."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [future.result(60) for future in [pool.submit(node.post, **options) for _ in range(count)]]


def tasks(node, count, **options):
    """Make calls on a loop, all at once."""

    async def main():
        return await asyncio.gather(*(node.postAsync(**options) for _ in range(count)))

    return asyncio.run(main())


@pytest.fixture(params=[threads, tasks], ids=["sync", "async"])
def together(request):
    """Give one way after the other of making many calls at once."""
    return request.param


@pytest.fixture
def during(wechat):
    """Give a function that has something done while the load is on: after so many calls arrived."""
    running = []

    def during(count, change):
        def wait():
            while len(wechat.pairs) < count:
                time.sleep(0.001)
            change()

        running.append(threading.Thread(target=wait))
        running[-1].start()

    yield during
    for thread in running:
        thread.join(10)
        assert not thread.is_alive()


def test_rotation_under_load_fails_no_call(together, downloading, wechat, during):
    """WeChat Pay withdraws the only known certificate while many calls are on their way."""
    downloading.v3.x.get()
    during(25, lambda: wechat.rotate("new"))
    responses = together(downloading.v3.x, LOAD, json={"name": Sensitive(NAME)})
    responses += together(downloading.v3.x, AFTER, json={"name": Sensitive(NAME)})

    assert [200] * (LOAD + AFTER) == [response.status_code for response in responses]
    assert 2 == wechat.downloads
    # The gateway decrypted each with the key that the same request named.
    assert {(OLD, NAME), (NEW, NAME)} == set(wechat.pairs[1:])
    assert [(NEW, NAME)] * AFTER == wechat.pairs[-AFTER:]


def test_first_use_and_rotation_under_load_fails_no_call(together, downloading, wechat, during):
    """Nothing is known at first, and what is learnt is soon withdrawn."""
    wechat.pause = 0.05
    during(40, lambda: wechat.rotate("new"))
    responses = together(downloading.v3.x, LOAD, json={"name": Sensitive(NAME)})

    assert LOAD == len(responses)
    assert {NAME} == {text for _, text in wechat.pairs}


def test_scheduled_refresh_under_load_moves_to_the_new_certificate(together, downloading, wechat):
    """The next certificate is taken into use, while the present one still signs."""
    downloading.v3.x.get()
    wechat.offered, wechat.pause = ["old", "new"], 0.1
    wechat.items = {"old": rotation.item("old"), "new": rotation.item("new", (0, 365))}
    wechat.now.ahead = 12 * 3600 + 1
    responses = together(downloading.v3.x, LOAD, json={"name": Sensitive(NAME)})
    together(downloading.v3.x, AFTER, json={"name": Sensitive(NAME)})

    assert LOAD == len(responses)
    assert 2 == wechat.downloads
    assert {(OLD, NAME), (NEW, NAME)} == set(wechat.pairs[1:])
    assert [(NEW, NAME)] * AFTER == wechat.pairs[-AFTER:]


@pytest.mark.parametrize("given", ["public keys", "certificates"])
def test_keys_added_and_retired_under_load_fail_no_call(together, build, wechat, during, given):
    """A merchant moves from one key to the next on a live Builder."""

    def key(name):
        return keys.public_key(name) if given == "public keys" else rotation.certificate(name)

    instance = build(certs={OLD: key("old")})
    platform = instance.getDriver().platform

    def move():
        platform.add(NEW, key("new"))
        wechat.signer = "new"
        platform.retire(OLD)

    during(25, move)
    responses = together(instance.v3.x, LOAD, json={"name": Sensitive(NAME)})
    responses += together(instance.v3.x, AFTER, json={"name": Sensitive(NAME)})

    assert LOAD + AFTER == len(responses)
    assert {(OLD, NAME), (NEW, NAME)} == set(wechat.pairs)
    assert [(NEW, NAME)] * AFTER == wechat.pairs[-AFTER:]


def test_retired_key_is_trusted_only_by_calls_that_named_it(client, build, wechat, gateway):
    """A call keeps the set it began with; the next call does not know the key any more."""
    instance = build(certs={OLD: rotation.certificate("old"), NEW: rotation.certificate("new", (-9, 9))})
    platform = instance.getDriver().platform

    def retiring(seen, peer):
        if OLD in platform.serials:
            platform.retire(OLD)
        wechat(seen, peer)

    gateway.behaviour = retiring
    client.call(instance.v3.x, "get")
    with pytest.raises(UnknownSerialError):
        client.call(instance.v3.x, "get")

    assert [(OLD, None), (NEW, None)] == wechat.pairs


def test_named_key_encrypts_across_a_rotation(together, build, wechat, during):
    """A caller's Wechatpay-Serial decides, whichever key is preferred."""
    instance = build(certs={name: keys.public_key(key) for name, key in ((OLD, "old"), (NEW, "new"))})
    platform = instance.getDriver().platform
    during(25, lambda: platform.add(THIRD, keys.public_key("third")))
    together(instance.v3.x, LOAD, json={"name": Sensitive(NAME)}, headers={"wechatpay-serial": NEW})

    assert {(NEW, NAME)} == set(wechat.pairs)


def test_leaving_certificate_may_be_named_but_not_encrypted_with(client, downloading, wechat):
    """What WeChat Pay no longer offers, it may no longer be able to read."""
    client.call(downloading.v3.x, "get")
    wechat.rotate("new")
    client.call(downloading.v3.x, "get")
    client.call(downloading.v3.x, "get", headers={"Wechatpay-Serial": OLD})
    with pytest.raises(InvalidRequestError, match="no longer offers"):
        client.call(
            downloading.v3.x,
            "post",
            json={"name": Sensitive(NAME)},
            headers={"Wechatpay-Serial": OLD},
        )

    assert (OLD, None) == wechat.pairs[-1]


def test_what_the_caller_changes_after_the_call_began_is_not_sent(downloading, wechat):
    """A first call waits for keys; what was passed is sent as it was passed."""
    wechat.pause = 0.1

    async def main():
        payload, promises = {}, []
        for name in ("一", "二", "三"):
            payload["name"] = Sensitive(name)
            promises.append(downloading.v3.x.postAsync(json=payload))
        payload.clear()
        await asyncio.gather(*promises)

    asyncio.run(main())

    assert {"一", "二", "三"} == {text for _, text in wechat.pairs}


def test_last_key_retired_while_a_call_begins_sends_nothing(downloading, wechat):
    """No blank is ever sent in the place of something encrypted."""
    platform = downloading.getDriver().platform
    ensure_key = platform.ensure_key

    def retiring():
        key = yield from ensure_key()
        platform.retire(OLD)
        return key

    platform.ensure_key = retiring
    with pytest.raises(Exception, match="nothing was sent"):
        downloading.v3.x.post(json={"name": Sensitive(NAME)})

    assert [] == wechat.pairs
