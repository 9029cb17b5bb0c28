"""A herd of processes, each with threads and tasks, that call at the same moment: a program of its own.

``python herd.py base_uri store processes`` forks them. Each line of its input is an offset for their clocks
and has all of them call once; it prints a line of how many calls went well, or with the first error.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import sys
import time

from open_platform.accounts import APP

from wechatpay import Builder, WeChatPayError
from wechatpay.open_platform import FileTokens, RedisTokens

THREADS = TASKS = 5


async def call(node):
    """Call from all threads and tasks at once; tell how many calls went well."""
    blocking = (asyncio.to_thread(node.post, json={}) for _ in range(THREADS))
    responses = await asyncio.gather(*blocking, *(node.postAsync(json={}) for _ in range(TASKS)))
    return sum(response.json()["appid"] == APP["appid"] for response in responses)


def live(base_uri, store, orders):
    """Be one process of the herd."""
    offset = 0.0
    instance = Builder(
        base_uri=base_uri,
        app=APP,
        tokens=RedisTokens(store) if "://" in store else FileTokens(store),
        clock=lambda: time.time() + offset,
        timeout=60,
        proxies={},
    )
    while True:
        offset = orders.recv()
        try:
            report = asyncio.run(call(instance.cgiBin.message.template.send))
        except WeChatPayError as error:
            report = repr(error)
        orders.send(report)


def main(base_uri, store, processes):
    """Fork the herd, pass orders on and sum reports up."""
    # Loaded once, before there are twenty to load them.
    for heavy in ("redis", "wechatpay.transports.asynchronous", "wechatpay.transports.blocking"):
        importlib.import_module(heavy)
    forking, herd = multiprocessing.get_context("fork"), []
    for _ in range(int(processes)):
        here, there = forking.Pipe()
        forking.Process(target=live, args=(base_uri, store, there), daemon=True).start()
        herd.append(here)
    for line in sys.stdin:
        for member in herd:
            member.send(float(line))
        reports = [member.recv() for member in herd]
        wrong = [report for report in reports if not isinstance(report, int)]
        sys.stdout.write(f"{wrong[0] if wrong else sum(reports)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
