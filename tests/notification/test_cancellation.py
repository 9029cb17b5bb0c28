"""A cancelled task leaves no event half handled: what ran on a thread is completed, or released."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import pytest
from notification.callbacks import ID, envelope, handler, signed
from notification.entries import AsyncStore

from wechatpay.notification import MemoryStore, Reply

BODY = envelope()


class Slow:
    """A function that blocks its thread until it is let go, and then does what it was told."""

    def __init__(self, outcome=None):
        self.inside, self.go = threading.Event(), threading.Event()
        self.calls = 0
        self._outcome = outcome

    def __call__(self, _):
        """Handle an event."""
        self.calls += 1
        self.inside.set()
        assert self.go.wait(5)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def cancel_inside(service, process, *, times=1):
    """Cancel a delivery while its function runs on a thread; give the function's end back to it."""
    task = asyncio.create_task(service.ahandle(signed(BODY), BODY, process))
    await asyncio.to_thread(process.inside.wait, 5)
    for number in range(times):
        task.cancel(f"cancel {number}")
        await asyncio.sleep(0.01)
    assert not task.done()
    process.go.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize("store", [MemoryStore, lambda: AsyncStore(MemoryStore())], ids=["sync", "async"])
def test_event_whose_effect_happened_is_completed_before_the_cancellation_goes_on(store):
    """The next delivery gets the reply, and the function does not run again."""
    service, process = handler(store=store()), Slow({"seen": "once"})

    async def main():
        await cancel_inside(service, process)
        return await service.ahandle(signed(BODY), BODY, process)

    reply = asyncio.run(main())

    assert (200, 1) == (reply.status, process.calls)
    assert b'"seen":"once"' in reply.body


@pytest.mark.parametrize(
    "outcome", [LookupError("no such order"), Reply(503, {}, b"")], ids=["error", "reply"]
)
def test_event_whose_function_failed_is_released_before_the_cancellation_goes_on(outcome):
    """The next delivery is handled, without waiting for the claim to expire."""
    service, seen = handler(), []
    asyncio.run(cancel_inside(service, Slow(outcome)))

    assert 200 == service.handle(signed(BODY), BODY, seen.append).status
    assert 1 == len(seen)


def test_failure_of_a_cancelled_delivery_is_logged(caplog):
    """The cancellation is what is raised, so the log has to name the failure."""
    asyncio.run(cancel_inside(handler(), Slow(LookupError("no such order"))))

    assert "a callback failed after its task was cancelled" in caplog.text
    assert "no such order" in caplog.text


def test_first_of_many_cancellations_is_the_one_that_comes_out():
    """Time-outs know theirs by it."""
    assert ("cancel 0",) == asyncio.run(cancel_inside(handler(), Slow(), times=3)).args


def test_asyncio_timeout_is_raised_after_the_event_is_completed():
    """The caller's time-out is its own `TimeoutError`."""
    service, seen = handler(), []

    async def main():
        async with asyncio.timeout(0.05):
            await service.ahandle(signed(BODY), BODY, lambda _: time.sleep(0.15) or seen.append(1))

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert [1] == seen
    assert service.store.reply(ID)


def test_anyio_timeout_is_raised_after_the_event_is_completed():
    """Its scopes cancel again and again until their task ends."""
    service, seen = handler(store=AsyncStore(MemoryStore())), []

    async def main():
        with anyio.fail_after(0.05):
            await service.ahandle(signed(BODY), BODY, lambda _: time.sleep(0.15) or seen.append(1))

    with pytest.raises(TimeoutError):
        anyio.run(main)

    assert [1] == seen
    assert asyncio.run(service.store.reply(ID))


def test_coroutine_function_is_cancelled_and_its_event_released():
    """It can be interrupted: its failure is a cancellation, and the next delivery is handled."""
    service, seen = handler(), []

    async def forever(_):
        await asyncio.Event().wait()

    async def main():
        async with asyncio.timeout(0.05):
            await service.ahandle(signed(BODY), BODY, forever)

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert 200 == service.handle(signed(BODY), BODY, seen.append).status


def test_event_that_was_claimed_after_the_cancellation_is_released_and_not_handled():
    """Nothing begins in a task that is being cancelled."""
    claiming = threading.Event()

    class SlowStore(MemoryStore):
        def claim(self, event, ttl, /):
            claiming.set()
            time.sleep(0.1)
            return super().claim(event, ttl)

    service, seen = handler(store=SlowStore()), []

    async def main():
        task = asyncio.create_task(service.ahandle(signed(BODY), BODY, seen.append))
        await asyncio.to_thread(claiming.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert [] == seen
    assert 200 == service.handle(signed(BODY), BODY, seen.append).status


def test_store_that_cancels_itself_does_not_lose_a_handled_event(caplog):
    """Its failure is logged as any other, and the event is acknowledged."""

    class Cancelling(AsyncStore):
        async def complete(self, event, reply):
            raise asyncio.CancelledError

    reply = asyncio.run(handler(store=Cancelling(MemoryStore())).ahandle(signed(BODY), BODY, lambda _: None))

    assert 200 == reply.status
    assert "the store did not complete it" in caplog.text


def test_function_that_raises_a_cancellation_of_its_own_fails_as_cancelled():
    """Its event is released."""
    service, seen = handler(), []

    def cancel(_):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(service.ahandle(signed(BODY), BODY, cancel))

    assert 200 == service.handle(signed(BODY), BODY, seen.append).status


def test_function_that_raises_stop_iteration_fails_and_does_not_hang(entry):
    """Futures cannot carry it."""

    def stop(_):
        raise StopIteration

    with pytest.raises(RuntimeError):
        entry.handle(handler(), BODY, stop)
