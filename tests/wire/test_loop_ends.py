"""Loops that end in every way, and processes that fork in the middle."""

from __future__ import annotations

import asyncio
import threading
import time

import keys
import merchants
import pytest
import scripts
from wire.clients import looped
from wire.gateway import SERIAL, signed

SCRIPT = """
import asyncio, atexit, os, threading
import aiohttp  # loaded by the first call, it takes longer than the debug mode of asyncio likes
from wechatpay import Builder

instance = Builder(**{settings!r})

async def call():
    return (await instance.v3.x.getAsync()).status_code
"""

SHUT_DOWN = {
    "asyncio.run": """
        for _ in range(3):
            status = asyncio.run(call())
        print(status)
    """,
    "shut down and closed": """
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(call()))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """,
    "driver closed in the loop": """
        async def main():
            async with instance.getDriver():
                print(await call())
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """,
    "driver closed while the generators end": """
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(call()))
        loop.call_soon(instance.getDriver().close)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """,
    "driver closed in the loop's last step": """
        async def end():
            instance.getDriver().close()
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(call()))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(end())
        loop.close()
    """,
}

LOOPS = {
    "never closed": """
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(call()))
        atexit.register(loop.close)
    """,
    "one after the other": """
        for _ in range(3):
            loop = asyncio.new_event_loop()
            status = loop.run_until_complete(call())
            loop.close()
        print(status)
    """,
    "stopped between calls": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call())
        print(loop.run_until_complete(call()))
        loop.close()
    """,
    "driver closed between": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call())
        instance.getDriver().close()
        print(loop.run_until_complete(call()))
        loop.close()
        instance.getDriver().close()
    """,
    "stopped by a thread": """
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        print(asyncio.run_coroutine_threadsafe(call(), loop).result())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    """,
    "on a daemon's loop": """
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        print(asyncio.run_coroutine_threadsafe(call(), loop).result())
        instance.getDriver().close()
    """,
}

FORKS = {
    "between runs of a loop": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call())
        child = os.fork()
        if child == 0:
            asyncio.run(call()), instance.v3.x.get(), instance.getDriver().close()
            os._exit(0)  # not even asyncio's own loops survive more
        _, code = os.waitpid(child, 0)
        print(loop.run_until_complete(asyncio.wait_for(call(), 5)), code)
        loop.close()
    """,
    "beside a running loop": """
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        submit = asyncio.run_coroutine_threadsafe
        submit(call(), loop).result()
        child = os.fork()
        if child == 0:
            asyncio.run(call()), instance.v3.x.get(), instance.getDriver().close()
            os._exit(0)  # not even asyncio's own loops survive more
        _, code = os.waitpid(child, 0)
        print(submit(call(), loop).result(5), code)
        instance.getDriver().close()
        submit(loop.shutdown_asyncgens(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    """,
    "and never called in the child": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call())
        child = os.fork()
        if child == 0:
            atexit._run_exitfuncs()
            os._exit(0)
        _, code = os.waitpid(child, 0)
        print(loop.run_until_complete(asyncio.wait_for(call(), 5)), code)
        loop.close()
    """,
}


def outcome(script, gateway, *, strict=False):
    """Run a script against the gateway; a busy machine makes asyncio's debug mode remark on itself."""
    plain = {
        "private_key": keys.pem("merchant"),
        "certs": {SERIAL: keys.public_pem("platform")},
        "base_uri": gateway.url,
        "proxies": {},
    }
    done = scripts.run(
        SCRIPT.format(settings=merchants.settings(**plain)) + scripts.textwrap.dedent(script), strict=strict
    )
    return done.stdout, [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]


@pytest.mark.parametrize("script", SHUT_DOWN.values(), ids=SHUT_DOWN)
def test_session_is_closed_with_its_loop(script, gateway):
    """Not even the development mode of Python has anything to warn of."""
    assert ("200\n", []) == outcome(script, gateway, strict=True)


@pytest.mark.parametrize("script", LOOPS.values(), ids=LOOPS)
def test_loop_may_end_in_any_way(script, gateway):
    """A loop that ends without shutting down its generators is noticed later, and nothing is printed.

    Python's development mode shows asyncio's own warning for its transports then.
    """
    assert ("200\n", []) == outcome(script, gateway)


@pytest.mark.parametrize("script", FORKS.values(), ids=FORKS)
def test_fork_leaves_both_processes_their_connections(script, gateway):
    """The child opens its own, and its end does not disturb the parent's, which are still in use."""
    assert ("200 0\n", []) == outcome(script, gateway)
    # The parent's second call went over the connection of its first.
    assert gateway.seen[0].connection == gateway.seen[-1].connection


def test_close_waits_for_calls_in_flight_on_other_loops(instance, gateway):
    """Whoever is being paid at the moment gets the response; the connections end after it."""
    told = threading.Event()
    gateway.behaviour = lambda _, peer: (told.wait(5), peer.send(signed()))
    with looped() as client:
        call = threading.Thread(target=lambda: responses.append(client.call(instance.v3.x, "post")))
        responses = []
        call.start()
        while not gateway.seen:
            time.sleep(0.01)
        instance.getDriver().close()
        time.sleep(0.1)
        told.set()
        call.join(5)

        assert [200] == [response.status_code for response in responses]

        gateway.drop()
        assert 200 == client.call(instance.v3.x, "post").status_code


def test_close_waits_for_calls_of_a_loop_that_stands_still(build, gateway):
    """Between two ``run_until_complete()`` a loop is expected to go on."""
    gateway.behaviour = lambda _, peer: (time.sleep(0.2), peer.send(signed()))
    instance = build(pool_size=1)

    async def begin():
        calls = [instance.v3[name].postAsync() for name in "ab"]
        await asyncio.sleep(0.1)
        return calls

    with asyncio.Runner() as runner:
        calls = runner.run(begin())
        instance.getDriver().close()
        first, second = runner.run(_all(calls))

    assert (200, 200) == (first.status_code, second.status_code)
    assert ["/v3/a", "/v3/b"] == [seen.target for seen in gateway.seen]


async def _all(calls):
    return await asyncio.gather(*calls)


def test_aclose_waits_for_calls_in_flight(instance, gateway):
    """``async with`` ends after the tasks that were begun in it."""
    told = threading.Event()
    gateway.behaviour = lambda _, peer: (told.wait(5), peer.send(signed()))

    async def main():
        async with instance.getDriver():
            call = asyncio.ensure_future(instance.v3.x.postAsync())
            while not gateway.seen:  # noqa: ASYNC110  the gateway is on threads
                await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_later(0.1, told.set)
        return await call

    assert 200 == asyncio.run(main()).status_code
