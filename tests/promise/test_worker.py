"""The end of a worker, as the interpreter's exit and a fork bring it about."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from wechatpay.promise.executor import Executor
from wechatpay.promise.worker import Worker


@pytest.fixture
def worker():
    """Give a worker and close it afterwards."""
    worker = Worker()
    yield worker
    worker.close()


def test_exit_closes_the_worker(worker):
    """What is in flight is waited for."""
    seen = []

    async def call():
        await asyncio.sleep(0.01)
        seen.append(1)

    assert worker.submit(lambda loop: loop.create_task(call()), "call", 5.0)
    worker._drain()

    assert [1] == seen
    assert not worker._thread.is_alive()
    assert not worker.submit(lambda loop: loop.create_task(call()), "call", 5.0)


def test_exit_of_a_forked_child_leaves_the_parent_s_worker_alone(worker, monkeypatch):
    """Its thread is not the child's, and its loop shares descriptors with the parent's."""
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: -parent)
    worker._drain()
    worker.release()
    monkeypatch.undo()

    assert worker.submit(lambda _: None, "call", 5.0)


def test_worker_can_be_closed_twice(worker):
    """The second time there is nothing left to do."""
    worker.close()
    worker.close()

    assert not worker._thread.is_alive()


def test_executor_uses_threads_while_it_can():
    """Blocking functions do not hold up the loop."""
    with Executor() as executor:
        assert threading.get_ident() != executor.submit(threading.get_ident).result()


def test_executor_calls_functions_itself_once_the_main_thread_has_ended(monkeypatch):
    """Then there can be no more threads, but there are calls in flight yet."""
    ended = threading.Thread()
    monkeypatch.setattr(threading, "main_thread", lambda: ended)
    executor = Executor()

    assert threading.get_ident() == executor.submit(threading.get_ident).result()
    with pytest.raises(ValueError, match="invalid literal"):
        executor.submit(int, "x").result()
