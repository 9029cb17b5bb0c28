"""Measure the sandbox: ``python -m tests.benchmarks.sandbox [--orders N] [--requests N]``.

Orders are signed, sent, verified and confirmed over loopback, 50 at a time; the sandbox is its own process.
The bare rate is what this machine's RSA allows: an order takes two signatures and two verifications.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from wechatpay import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Requests that are under way at a time.
FLIGHT = 50

ORDER = {
    "appid": "wx8888888888888888",
    "description": "tea",
    "notify_url": "https://shop.example.com/notify",
    "amount": {"total": 100},
}


def main() -> int:
    """Measure throughput and memory, and print them."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sandbox", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--orders", type=int, default=2000, help="orders to time (2,000)")
    parser.add_argument("--requests", type=int, default=10_000, help="queries before memory is read (10,000)")
    asked = parser.parse_args()
    bare = bare_rate()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        command = [sys.executable, "-m", "wechatpay", "sandbox", "--settings-file", str(file)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                settings = _wait_for(file)
                measured = asyncio.run(_measure(settings, process.pid, asked.orders, asked.requests))
            finally:
                process.terminate()
    rate, memory = measured
    print("| | |\n| --- | ---: |")  # noqa: T201  the report
    print(f"| bare RSA, orders per second on one core | {bare:,.0f} |")  # noqa: T201
    print(f"| signed and verified orders per second | {rate:,.0f} |")  # noqa: T201
    print(f"| share of the bare rate | {rate / bare:.0%} |")  # noqa: T201
    for when, mebibytes in memory.items():
        print(f"| memory of the sandbox, {when} | {mebibytes:,.0f} MiB |")  # noqa: T201
    return 0


def bare_rate() -> float:
    """Return how many times a second two signatures and two verifications can be made."""
    key, text = generate_private_key(65537, 2048), b"x" * 300
    signature = key.sign(text, PKCS1v15(), SHA256())
    rounds, start = 300, time.perf_counter()
    for _ in range(rounds):
        for _ in range(2):
            key.sign(text, PKCS1v15(), SHA256())
            key.public_key().verify(signature, text, PKCS1v15(), SHA256())
    return rounds / (time.perf_counter() - start)


def _wait_for(file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text("utf-8")):
            given: dict[str, Any] = json.loads(text)
            return {name: given[name] for name in ("base_uri", "mchid", "serial", "private_key", "certs")}
        time.sleep(0.1)
    raise TimeoutError("the sandbox did not start")


async def _measure(
    settings: dict[str, Any], pid: int, orders: int, requests: int
) -> tuple[float, dict[str, float]]:
    async with Builder(**settings) as instance:
        native = instance.v3.pay.transactions.native
        query = instance.chain("v3/pay/transactions/out-trade-no/BENCH0")

        def order(number: int) -> Coroutine[Any, Any, Any]:
            body = {**ORDER, "mchid": settings["mchid"], "out_trade_no": f"BENCH{number}"}
            return native.postAsync(json=body)

        def ask(_: int) -> Coroutine[Any, Any, Any]:
            return query.getAsync(query={"mchid": settings["mchid"]})

        await _make(order, FLIGHT)
        memory = {"at first": _resident(pid)}
        start = time.perf_counter()
        await _make(order, orders, FLIGHT)
        rate = orders / (time.perf_counter() - start)
        memory[f"after {orders:,} orders"] = _resident(pid)
        await _make(ask, requests)
        memory[f"after {requests:,} queries more"] = _resident(pid)
    return rate, memory


async def _make(call: Callable[[int], Coroutine[Any, Any, Any]], count: int, first: int = 0) -> None:
    """Make so many calls, `FLIGHT` at a time."""
    numbers = iter(range(first, first + count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(work() for _ in range(FLIGHT)))


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


if __name__ == "__main__":
    sys.exit(main())
