"""Many wait for one piece of work, each with a time limit."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wechatpay.single_flight import SingleFlight


def test_threads_wait_until_it_finishes():
    """A thread that waits goes on when the work has finished."""
    flight, finished = SingleFlight(), []
    threads = [threading.Thread(target=lambda: finished.append(flight(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert [] == finished
    flight.finish()
    for thread in threads:
        thread.join(5)

    assert [True] * 8 == finished


def test_tasks_wait_without_threads_and_without_blocking():
    """Two hundred tasks wait on a loop that is not blocked."""

    async def main():
        flight, before = SingleFlight(), threading.active_count()
        tasks = [asyncio.ensure_future(flight.wait(5)) for _ in range(200)]
        await asyncio.sleep(0.05)
        assert before == threading.active_count()
        assert not any(task.done() for task in tasks)
        flight.finish()
        return await asyncio.gather(*tasks)

    assert [True] * 200 == asyncio.run(main())


def test_waiting_has_a_time_limit():
    """Work whose loop has stopped is not waited for without end."""
    flight, finished = SingleFlight(), []
    thread = threading.Thread(target=lambda: finished.append(flight(0.01)))
    thread.start()
    thread.join(5)
    finished.append(asyncio.run(flight.wait(0.01)))

    assert [False, False] == finished


def test_thread_does_not_wait_for_itself():
    """A blocking call on the thread whose task does the work would wait for ever."""
    started = time.monotonic()

    assert not SingleFlight()(30)
    assert time.monotonic() - started < 5


def test_finished_flight_is_seen_by_its_own_thread():
    """What has ended needs no waiting."""
    flight = SingleFlight()
    flight.finish()

    assert flight(0)
    assert asyncio.run(flight.wait(0))


def test_task_that_is_cancelled_leaves_the_others_waiting():
    """Giving up waiting does not end the others' waiting."""

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
