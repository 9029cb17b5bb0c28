"""One fetch for all who wait: threads, tasks, both at once, and what may go wrong with it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from interrupts import interrupted
from open_platform.accounts import APP
from open_platform.conftest import respond
from references import error_of, uncollected
from wire.gateway import reply

from wechatpay import APIError, uri
from wechatpay.middleware import Blocking
from wechatpay.open_platform import FileTokens, MemoryTokens
from wechatpay.options import Arguments, read_call

APPID = APP["appid"]


def send(client, instance):
    """Make a call that needs a token."""
    return client.call(instance.cgiBin.message.template.send, "post", json={}).json()["appid"]


@pytest.fixture
def slow(gateway, platform):
    """Have the platform take its time over tokens."""

    def behave(seen, peer):
        if "stable_token" in seen.line:
            time.sleep(0.3)
        respond(platform, seen, peer)

    gateway.behaviour = behave
    return platform


def test_threads_fetch_one_token(build, slow):
    """Threads that need a token at the same time wait for one fetch; so do those whose token was retired."""
    instance = build(app=APP)
    node = instance.cgiBin.message.template.send
    for fetches in (1, 2):
        with ThreadPoolExecutor(20) as pool:
            found = list(pool.map(lambda _: node.post(json={}).json()["appid"], range(40)))

        assert [APPID] * 40 == found
        assert fetches == len(slow.fetches)
        slow.retire(APPID)


def test_tasks_and_threads_fetch_one_token_and_no_loop_stands_still(build, slow):
    """Tasks and threads of one process share the fetch, and the loop goes on while they wait."""
    instance = build(app=APP)
    node = instance.cgiBin.message.template.send
    gaps = []

    async def tick():
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - begun)

    async def main():
        ticking = asyncio.create_task(tick())
        threads = [asyncio.to_thread(node.post, json={}) for _ in range(5)]
        found = await asyncio.gather(*threads, *(node.postAsync(json={}) for _ in range(300)))
        ticking.cancel()
        await instance.getDriver().aclose()
        return found

    found = asyncio.run(main())

    assert 305 == len(found)
    assert 1 == len(slow.fetches)
    assert 20 < len(gaps)
    assert sorted(gaps)[len(gaps) // 2] < 0.1


def test_failed_fetch_fails_all_who_wait(build, slow, gateway):
    """The error of the one fetch is everyone's, each with an object of its own; the next call asks again."""
    slow.apps[APPID] = "another"
    instance = build(app=APP)
    node = instance.cgiBin.message.template.send

    async def main():
        calls = (node.postAsync(json={}) for _ in range(50))
        found = await asyncio.gather(*calls, return_exceptions=True)
        await instance.getDriver().aclose()
        return found

    found = asyncio.run(main())

    assert {"40125"} == {error.code for error in found}
    assert 50 == len({id(error) for error in found})
    assert 1 == sum("stable_token" in seen.line for seen in gateway.seen)

    slow.apps[APPID] = APP["secret"]
    assert APPID == node.post(json={}).json()["appid"]


def test_cancelled_fetch_is_taken_over(build, slow):
    """When the task that fetches is cancelled, one of those who wait takes its place."""
    store = MemoryTokens()
    instance = build(app=APP, tokens=store)
    node = instance.cgiBin.message.template.send

    async def main():
        first = asyncio.ensure_future(node.postAsync(json={}))
        await asyncio.sleep(0.1)
        others = [asyncio.ensure_future(node.postAsync(json={})) for _ in range(5)]
        await asyncio.sleep(0.05)
        first.cancel()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        await instance.getDriver().aclose()
        return found

    begun = time.monotonic()
    first, *others = asyncio.run(main())

    assert isinstance(first, asyncio.CancelledError)
    assert [APPID] * 5 == [response.json()["appid"] for response in others]
    # The store's lock was given back: nobody waited for it to open by itself.
    assert time.monotonic() - begun < 5


class Halting(FileTokens):
    """Tokens in a file; ``halted`` is set when a thread has the lock, which then waits for ``go_on``."""

    def __init__(self, path):
        super().__init__(path)
        self.halted, self.go_on = threading.Event(), threading.Event()

    def acquire(self, key, owner):
        """Lock the file, slowly."""
        is_ours = super().acquire(key, owner)
        self.halted.set()
        self.go_on.wait(5)
        return is_ours


def test_lock_is_released_by_a_call_cancelled_while_it_locks(build, platform, tmp_path):
    """A thread that locks the file cannot be interrupted: the cancellation waits for it, and unlocks."""
    store = Halting(tmp_path / "tokens")
    instance = build(app=APP, tokens=store)

    async def main():
        call = asyncio.ensure_future(instance.cgiBin.x.postAsync(json={}))
        await asyncio.to_thread(store.halted.wait, 5)
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        asyncio.get_running_loop().call_later(0.1, store.go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        await instance.getDriver().aclose()

    asyncio.run(main())

    assert FileTokens(tmp_path / "tokens").acquire("any", "another process")
    assert [] == platform.fetches


def test_lock_is_released_by_a_call_cancelled_while_it_unlocks(build, slow, gateway, tmp_path):
    """The lock is released even if no thread was free for that when the call was cancelled."""
    instance = build(app=APP, tokens=FileTokens(tmp_path / "tokens"), pool_size=1)
    requested, begun, ended = threading.Event(), threading.Event(), threading.Event()
    behave = gateway.behaviour
    gateway.behaviour = lambda seen, peer: (requested.set(), behave(seen, peer))

    def occupy():
        begun.set()
        ended.wait(5)

    def occupying(request, proceed):
        if "busy" in request.path:
            yield Blocking(occupy)
        return (yield from proceed(request))

    instance.getDriver().select("mp").stack.push(occupying)

    async def main():
        call = asyncio.ensure_future(instance.cgiBin.x.postAsync(json={}))
        await asyncio.to_thread(requested.wait, 5)
        other = asyncio.ensure_future(instance.cgiBin.busy.postAsync(json={}))
        await asyncio.to_thread(begun.wait, 5)
        call.cancel()
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.sleep(0.05)
        other.cancel()
        ended.set()
        found = await asyncio.gather(call, other, return_exceptions=True)
        await instance.getDriver().aclose()
        return found

    found = asyncio.run(main())

    assert [asyncio.CancelledError] * 2 == [type(error) for error in found]
    assert FileTokens(tmp_path / "tokens").acquire("any", "another process")


def test_blocking_call_does_not_wait_for_the_loop_that_it_holds_up(build, slow):
    """A sync verb in a running loop, while a task of that loop fetches, fetches for itself."""
    instance = build(app=APP)
    node = instance.cgiBin.message.template.send

    async def main():
        task = asyncio.ensure_future(node.postAsync(json={}))
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        responses = [node.post(json={})]
        took = time.monotonic() - begun
        responses.append(await task)
        await instance.getDriver().aclose()
        return responses, took

    responses, took = asyncio.run(main())

    assert [APPID] * 2 == [response.json()["appid"] for response in responses]
    assert took < 5


def test_late_holder_of_the_lock_stops_nobody(build, platform, client, monkeypatch):
    """When a lock stays locked, a fetch goes on without it: to ask for a stable token twice does no harm."""
    monkeypatch.setattr("wechatpay.open_platform.tokens._MAX_WAIT", 0.2)
    store = MemoryTokens()
    instance = build(app=APP, tokens=store)
    key = f"{APPID}@{instance.getDriver()._settings.base_uri.partition('://')[2]}"
    assert store.acquire(key, "someone")

    assert APPID == send(client, instance)
    assert 1 == len(platform.fetches)


def test_anothers_token_is_used_while_its_lock_is_held(build, platform, client):
    """Who waits for a lock looks for the token as well, and goes on as soon as it is there."""
    other = build(app=APP, tokens=(store := MemoryTokens()))
    send(client, other)
    ((key, token),) = store._tokens.items()
    fresh = MemoryTokens()
    assert fresh.acquire(key, "someone")
    instance = build(app=APP, tokens=fresh)
    threading.Timer(0.2, fresh.put, (key, token)).start()

    assert APPID == send(client, instance)
    assert 1 == len(platform.fetches)


def test_token_that_came_while_the_lock_was_taken_is_used(build, platform, client):
    """Under the lock one looks again: whoever had it before has put a token there."""
    other = build(app=APP, tokens=(store := MemoryTokens()))
    send(client, other)
    ((_, token),) = store._tokens.items()

    class Late(MemoryTokens):
        def acquire(self, key, owner):
            self.put(key, token)
            return super().acquire(key, owner)

    instance = build(app=APP, tokens=Late())

    assert APPID == send(client, instance)
    assert 1 == len(platform.fetches)


def test_abandoned_call_leaves_no_fetch_behind(build, platform):
    """A call that is dropped in the middle, as a loop that stops drops its tasks, holds up no other."""
    instance = build(app=APP)
    node = instance.cgiBin.message.template.send
    mp = instance.getDriver().select("mp")
    call = read_call("POST", uri.plan("cgi-bin/x"), Arguments((None, {})))
    flow = mp.stack.handler(mp.request(call, call.plan.expand({})))
    next(flow)
    flow.close()

    assert APPID == node.post(json={}).json()["appid"]


def test_interrupted_fetch_holds_nobody_up_for_good(build, platform, monkeypatch):
    """Wherever an exception from outside takes a fetch away, the next call gets a token."""
    monkeypatch.setattr("wechatpay.open_platform.tokens._MAX_WAIT", 0.02)
    instance, number = build(app=APP), 0
    node = instance.cgiBin.message.template.send
    while interrupted(lambda: node.post(json={}), number, ["/open_platform/tokens"]):
        number += 1
        assert APPID == node.post(json={}).json()["appid"]
        platform.retire(APPID)

    assert 60 < number


def test_failed_fetch_is_freed_with_its_error(gateway, build):
    """Who waited gets a copy of the error: no reference cycle keeps the frames of the first."""
    gateway.behaviour = lambda _, peer: peer.send(reply(b'{"errcode":40013,"errmsg":"invalid appid"}'))
    node = build(app=APP).cgiBin.message.template.send

    error_of(lambda: node.post(json={}), APIError)
    with uncollected():
        assert error_of(lambda: node.post(json={}), APIError)() is None
