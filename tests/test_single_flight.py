"""Many wait for one download, and none of them for ever."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wechatpay.single_flight import SingleFlight


def test_threads_wait_until_it_lands():
    """A thread that waits goes on when the download has ended."""
    flight, landed = SingleFlight(), []
    threads = [threading.Thread(target=lambda: landed.append(flight(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert [] == landed
    flight.finish()
    for thread in threads:
        thread.join(5)

    assert [True] * 8 == landed


def test_tasks_wait_without_threads_and_without_blocking():
    """Two hundred tasks wait on a loop that goes on turning."""

    async def main():
        flight, before = SingleFlight(), threading.active_count()
        tasks = [asyncio.ensure_future(flight.wait(5)) for _ in range(200)]
        await asyncio.sleep(0.05)
        assert before == threading.active_count()
        assert not any(task.done() for task in tasks)
        flight.finish()
        return await asyncio.gather(*tasks)

    assert [True] * 200 == asyncio.run(main())


def test_patience_ends():
    """A download whose loop has stopped is waited for no longer than is reasonable."""
    flight, landed = SingleFlight(), []
    thread = threading.Thread(target=lambda: landed.append(flight(0.01)))
    thread.start()
    thread.join(5)
    landed.append(asyncio.run(flight.wait(0.01)))

    assert [False, False] == landed


def test_thread_does_not_wait_for_itself():
    """A blocking call on the thread whose task flies it would wait for ever."""
    started = time.monotonic()

    assert not SingleFlight()(30)
    assert time.monotonic() - started < 5


def test_landed_flight_is_seen_by_its_own_thread():
    """What has ended needs no waiting."""
    flight = SingleFlight()
    flight.finish()

    assert flight(0)
    assert asyncio.run(flight.wait(0))


def test_task_that_is_cancelled_leaves_the_others_waiting():
    """Who gives up waiting takes nobody along."""

    async def main():
        flight = SingleFlight()
        one, other = (asyncio.ensure_future(flight.wait(5)) for _ in range(2))
        await asyncio.sleep(0.01)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        flight.finish()
        return await other

    assert asyncio.run(main())
