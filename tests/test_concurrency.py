"""One Builder, many callers: threads, tasks, loops, processes, and no end."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keys
import merchants
import pytest
import scripts
from wire import gateway as wire

QUERY = {"limit": 10}


def test_32_threads_share_a_builder(gateway, instance):
    """Every call gets its own response, over no more connections than threads."""
    gateway.behaviour = lambda seen, peer: peer.send(wire.signed(seen.target.encode()))

    def call(number):
        response = instance.v3.orders._number_.get(number=str(number))
        return response.text == f"/v3/orders/{number}"

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(call, range(320)))

    assert all(outcomes)
    assert 320 == len({merchants.nonce(seen) for seen in gateway.seen})
    assert 32 >= gateway.connections


def test_200_tasks_share_a_builder(gateway, build):
    """Tasks in flight at once get their own responses, over no more connections than the pool has."""
    gateway.behaviour = lambda seen, peer: peer.send(wire.signed(seen.target.encode()))
    instance = build(pool_size=20)

    async def call(number):
        response = await instance.v3.orders._number_.getAsync(number=str(number))
        return response.text == f"/v3/orders/{number}"

    async def main():
        return await asyncio.gather(*(call(number) for number in range(200)))

    assert all(asyncio.run(main()))
    assert 20 >= gateway.connections


def test_loops_in_many_threads_share_a_builder(gateway, instance):
    """Each loop has its own connections, and they end with it."""

    async def main():
        responses = [instance.v3.x.getAsync(query=QUERY) for _ in range(10)]
        return [(await response).status_code for response in responses]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: asyncio.run(main()), range(16)))

    assert [[200] * 10] * 16 == outcomes
    assert 160 == len(gateway.seen)


def test_connections_end_with_their_owner(gateway, build):
    """Closing a Builder, or its loop, gives every socket back."""

    def sockets():
        gc.collect()
        return sum("socket:" in os.path.realpath(name) for name in Path("/proc/self/fd").iterdir())

    async def main(instance):
        await asyncio.gather(*(instance.v3.x.getAsync() for _ in range(10)))

    before = sockets()
    with build() as instance:
        instance.v3.x.get()
        asyncio.run(main(instance))
        instance.v3.x.getAsync().wait()
    gateway.drop()
    # The gateway's own ends close on its threads.
    deadline = time.monotonic() + 5
    while sockets() > before and time.monotonic() < deadline:
        time.sleep(0.05)

    assert sockets() <= before


SCRIPT = """
import asyncio, sys
import aiohttp  # loaded by the first call, it takes longer than the debug mode of asyncio likes
from wechatpay import Builder

instance = Builder(**{settings!r})
"""

ENDINGS = {
    "sync": "print(instance.v3.x.get().status_code)",
    "promise": "print(instance.v3.x.getAsync().wait().status_code)",
    "promise nobody waits for": "instance.v3.x.getAsync().then(lambda response: print(response.status_code))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_short_script_that_never_closes_is_silent(ending, gateway):
    """A script that ends without closing anything prints what it prints, and no warning."""
    code = SCRIPT.format(settings=pasted(gateway.url)) + ENDINGS[ending]
    outcome = scripts.run(code)

    assert "200\n" == outcome.stdout
    assert "" == outcome.stderr


def pasted(url):
    """Give settings that another process can be given as text."""
    certs = {wire.SERIAL: keys.public_pem("platform")}
    return merchants.settings(private_key=keys.pem("merchant"), certs=certs, base_uri=url, proxies={})


@pytest.mark.no_cover
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_calls_leave_no_memory_behind(mode, gateway, build, looped):
    """After the first hundreds, calls cost memory only while they run: Python's own, and the process's."""
    now = time.time()
    gateway.respond(wire.signed(b"{}", at=int(now)))
    gateway.seen = deque(maxlen=1)
    instance = build(clock=lambda: now)

    async def calls(count):
        for _ in range(count // 50):
            await asyncio.gather(*(instance.v3.x._n_.getAsync(n="1", query=QUERY) for _ in range(50)))

    def call(count):
        if mode == "async":
            looped.run(calls(count), within=300)
        for _ in range(count if mode == "sync" else 0):
            instance.v3.x._n_.get(n="1", query=QUERY)

    call(200)
    blocks, memory = held()
    call(400)
    after = held()

    assert after[0] < blocks + 200
    assert after[1] < memory + 2 * 1024 * 1024


def held():
    """Give the blocks that Python has allocated, and the bytes of memory that this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return sys.getallocatedblocks(), pages * os.sysconf("SC_PAGE_SIZE")
