"""The same call, asynchronous: what users would write by hand, and ours; one by one, or many in flight."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from .blocking import OPENID, TIMEOUT, Signer, builder, target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .material import Material

    Call = Callable[[], Awaitable[Any]]

__all__ = ["contenders"]


@contextmanager
def contenders(
    base: str, material: Material, flight: int, size: int = 0
) -> Iterator[dict[str, Callable[[int], None]]]:
    """Give the hand-written one and ours, each a function that makes so many calls, on one event loop."""
    with asyncio.Runner() as runner:
        session = runner.run(_session(material, flight))
        instance = builder(base, material, pool_size=flight)
        calls = {
            "hand-written aiohttp": _written(session, base, material, size),
            "this package": _ours(instance, size),
        }
        yield {name: _repeated(runner, call, flight) for name, call in calls.items()}
        runner.run(session.close())
        runner.run(instance.getDriver().aclose())


async def _session(material: Material, flight: int) -> aiohttp.ClientSession:
    tls = ssl.create_default_context(cafile=material.server_certificate)
    connector = aiohttp.TCPConnector(limit=flight, ssl=tls)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT))


def _written(session: aiohttp.ClientSession, base: str, material: Material, size: int) -> Call:
    signer = Signer(material)

    async def call() -> Any:
        path = target(size)
        async with session.get(base + path, headers=signer.headers("GET", path)) as response:
            response.raise_for_status()
            body = await response.read()
        signer.verify(response.headers, body)
        return json.loads(body)

    return call


def _ours(instance: Any, size: int) -> Call:
    async def call() -> Any:
        response = await instance.v3.eduPapay.user._openid_.contracts.getAsync(
            openid=OPENID, query={"appid": "wx8888888888888888", "plan_id": "12535", "size": size}
        )
        return response.json()

    return call


def _repeated(runner: asyncio.Runner, call: Call, flight: int) -> Callable[[int], None]:
    return lambda calls: runner.run(_many(call, calls, flight))


async def _many(call: Call, calls: int, flight: int) -> None:
    if flight == 1:
        for _ in range(calls):
            await call()
        return
    gate = asyncio.Semaphore(flight)

    async def one() -> None:
        async with gate:
            await call()

    await asyncio.gather(*[one() for _ in range(calls)])
