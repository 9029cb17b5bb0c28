"""Asynchronous calls as users make them, on a loopback gateway: timeouts of all kinds, exit, PHP's chain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading

import anyio
import keys
import merchants
import pytest
import scripts
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from wire.gateway import SERIAL, signed

from wechatpay import InvalidRequestError
from wechatpay.promise import Promise


@pytest.fixture
def silent(gateway):
    """Let the gateway respond to slow calls only when the test lets it."""
    ended = threading.Event()

    def behave(seen, peer):
        if seen.target.startswith("/v3/slow"):
            ended.wait(10)
        peer.send(signed(b'{"ok":1}'))

    gateway.behaviour = behave
    yield ended
    ended.set()


async def _anyio_fail_after(call):
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.1):
            await call()


async def _anyio_move_on_after(call):
    with anyio.move_on_after(0.1) as scope:
        await call()
    assert scope.cancelled_caught


async def _anyio_task_group(call):
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await asyncio.sleep(0.1)
        group.cancel_scope.cancel()


async def _asyncio_timeout(call):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await call()


async def _asyncio_wait_for(call):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call(), 0.1)


@pytest.mark.parametrize(
    "limit",
    [_anyio_fail_after, _anyio_move_on_after, _anyio_task_group, _asyncio_timeout, _asyncio_wait_for],
)
@pytest.mark.parametrize(
    "how", ["awaited", "chained", "gathered", "of another loop", "in a task"], ids=lambda how: how
)
def test_timeout_around_a_call_ends_in_what_its_library_promises(instance, gateway, silent, limit, how):
    """The cancellation that was delivered is the one that comes out; the next call is none the worse."""
    instance.v3.quick.getAsync().wait()
    outside = instance.v3.slow.getAsync() if how == "of another loop" else None

    async def call():
        promise = outside or instance.v3.slow.getAsync()
        if how == "chained":
            promise = promise.then(lambda response: response)
        elif how == "gathered":
            promise = Promise.all({"it": promise})
        elif how == "in a task":
            promise = asyncio.create_task(promise)
        await promise

    async def main():
        await instance.v3.quick.getAsync()
        await limit(call)
        silent.set()
        assert 0 == asyncio.current_task().cancelling()
        response = await instance.v3.quick.getAsync()
        await instance.getDriver().aclose()
        return response.json()

    assert {"ok": 1} == asyncio.run(main())
    assert "/v3/slow" in [seen.target for seen in gateway.seen]


def test_timeout_in_a_starlette_endpoint_is_its_response(instance, silent):
    """An endpoint that limits its call to WeChat Pay can say so to its caller."""

    async def endpoint(request):
        try:
            with anyio.fail_after(0.1):
                await instance.v3.slow.getAsync()
        except TimeoutError:
            response = await instance.v3.quick.getAsync()
            return JSONResponse(response.json(), 504)

    app, sent = Starlette(routes=[Route("/pay", endpoint)]), []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    async def main():
        scope = {"type": "http", "method": "GET", "path": "/pay", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        await instance.getDriver().aclose()

    asyncio.run(main())

    assert 504 == sent[0]["status"]
    assert {"ok": 1} == json.loads(sent[1]["body"])


def test_cancelled_call_frees_its_connection(build, silent, gateway):
    """A pool of one serves the next call after a timeout."""
    instance = build(pool_size=1, timeout=(2, 2))

    async def main():
        for _ in range(3):
            with anyio.move_on_after(0.05):
                await instance.v3.slow.getAsync()
        async with instance.getDriver():
            return (await instance.v3.quick.getAsync()).json()

    assert {"ok": 1} == asyncio.run(main())


def test_ported_chain_waits_for_the_response(instance, silent):
    """As in PHP: then, otherwise, wait; a wrong call is a rejected promise."""
    seen = []
    instance.v3.quick.getAsync().then(lambda response: seen.append(response.json())).otherwise(print).wait()
    wrong = instance.v3.quick.getAsync(json=1, body=b"1").then(print).otherwise(lambda error: error).wait()

    assert [{"ok": 1}] == seen
    assert isinstance(wrong, InvalidRequestError)


def test_calls_of_many_threads_and_loops_share_a_builder(instance, silent):
    """Each gets its own response, awaited or waited for."""

    async def main():
        return await Promise.all([instance.v3.quick.getAsync() for _ in range(5)])

    def call():
        inside = asyncio.run(main())
        outside = Promise.all([instance.v3.quick.getAsync() for _ in range(5)]).wait()
        return [response.json()["ok"] for response in [*inside, *outside]]

    results = []
    threads = [threading.Thread(target=lambda: results.append(sum(call()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [10] * 4 == results


def test_exit_waits_for_the_pauses_and_retries_of_a_call(gateway):
    """What a middleware takes comes on top of the timeouts: a call is not cut off between two attempts."""
    settings = merchants.settings(
        private_key=keys.pem(), certs={SERIAL: keys.public_pem("platform")}, base_uri=gateway.url, proxies={}
    )
    script = scripts.run(f"""
        from wechatpay import Builder, Pause

        def again(request, proceed):
            yield from proceed(request)
            yield Pause(1)
            return (yield from proceed(request))

        instance = Builder(**{settings!r}, timeout=(0.3, 0.3), middlewares=[again])
        instance.v3.pay.getAsync().then(lambda response: print(response.status_code))
        """)

    assert ("200\n", "") == (script.stdout, script.stderr)
    assert 2 == len(gateway.seen)


@pytest.mark.parametrize("pause", [0, 0.05])
def test_forgotten_await_is_a_warning(instance, silent, pause):
    """As with a coroutine: a test, or a script, in which nothing was waited for does not pass in silence."""

    async def main():
        instance.v3.slow.postAsync(json={})
        await asyncio.sleep(pause)

    def run():
        asyncio.run(main())
        gc.collect()

    with pytest.warns(RuntimeWarning, match=r"POST /v3/slow was never awaited"):
        run()


@pytest.mark.parametrize("use", ["await", "task", "then", "cancel"])
def test_promise_that_was_used_is_no_warning(instance, silent, use):
    """Cancelling is not forgetting."""

    async def main():
        promise = instance.v3.slow.postAsync(json={})
        if use == "await":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await promise
        if use == "task":
            asyncio.create_task(promise)  # noqa: RUF006  ends with the loop
            await asyncio.sleep(0.05)
        if use == "then":
            derived = promise.then(print)
            await asyncio.sleep(0.05)
            derived.cancel()
        if use == "cancel":
            promise.cancel()

    asyncio.run(main())
    gc.collect()
