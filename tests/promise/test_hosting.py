"""A call that is awaited while nothing else is under way runs within the task that awaits it."""

import asyncio
import contextvars
import gc

import pytest

from wechatpay import NoResponseError
from wechatpay.promise import Promise

WHO = contextvars.ContextVar("WHO", default="nobody")


class LostError(Exception):
    """What no other test raises."""


@pytest.fixture
def start(background):
    """Give a function that starts a call in the background's care."""
    return lambda call: Promise.start(call, background, name="a call")


def test_call_awaited_at_once_needs_no_task_of_its_own(start):
    """Its caller's task takes all its steps."""

    async def main():
        async def call():
            await asyncio.sleep(0)
            return asyncio.current_task(), len(asyncio.all_tasks())

        return (asyncio.current_task(), 1) == await start(call)

    assert asyncio.run(main())


def test_call_beside_another_has_a_task_of_its_own(start):
    """What is under way goes on while it runs, whoever awaits which."""

    async def main():
        first, second = asyncio.Event(), asyncio.Event()

        async def call(mine, other):
            mine.set()
            await other.wait()
            return asyncio.current_task().get_name()

        async def other():
            return await start(lambda: call(second, first))

        beside = asyncio.create_task(other(), name="beside")
        asyncio.current_task().set_name("main")
        return await start(lambda: call(first, second)), await beside == "beside"

    assert ("main", False) == asyncio.run(main())


def test_call_has_a_context_of_its_own(start):
    """It sees what its caller had set, and sets nothing there."""

    async def main():
        async def call():
            seen = WHO.get()
            WHO.set("call")
            await asyncio.sleep(0)
            return seen, WHO.get()

        WHO.set("caller")
        promise = start(call)
        WHO.set("later")
        return await promise, WHO.get()

    assert (("caller", "call"), "later") == asyncio.run(main())


def test_cancelled_call_leaves_the_task_that_awaits_it_alone(start):
    """The await ends as that of any cancelled task does; what comes after it goes on."""

    async def main():
        begun = asyncio.Event()

        async def call():
            begun.set()
            await asyncio.sleep(60)

        promise = start(call)

        async def canceller():
            await begun.wait()
            return promise.cancel()

        cancelling = asyncio.create_task(canceller())
        with pytest.raises(asyncio.CancelledError):
            await promise
        await asyncio.sleep(0)
        return await cancelling, asyncio.current_task().cancelling(), repr(promise)

    assert (True, 0, "<Promise cancelled>") == asyncio.run(main())


def test_cancelled_task_cancels_the_call_it_awaits(start):
    """As when it awaited a coroutine; the task is cancelled, too."""

    async def main():
        begun, ends = asyncio.Event(), []

        async def call():
            begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        async def caller():
            await start(call)

        task = asyncio.create_task(caller())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), ends

    assert (True, ["cancelled"]) == asyncio.run(main())


def test_call_that_cancels_itself_ends_at_its_next_await(start):
    """Not at one of its caller's."""

    async def main():
        promises = []

        async def call(awaits):
            promises[-1].cancel()
            if awaits:
                await asyncio.sleep(0)
            return "answered"

        promises.append(start(lambda: call(awaits=False)))
        first = await promises[0]
        await asyncio.sleep(0)
        promises.append(start(lambda: call(awaits=True)))
        with pytest.raises(asyncio.CancelledError):
            await promises[1]
        await asyncio.sleep(0)
        return first, asyncio.current_task().cancelling()

    assert ("answered", 0) == asyncio.run(main())


def test_others_may_await_a_call_that_runs_within_a_task(start):
    """They get its value, and do not wait for the rest of that task."""

    async def main():
        begun, ended, rest = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def call():
            begun.set()
            await ended.wait()
            return "answered"

        promises = []

        async def host():
            promises.append(start(call))
            await promises[0]
            await rest.wait()

        task = asyncio.create_task(host())
        await begun.wait()
        other = asyncio.create_task(asyncio.wait_for(promises[0], 5))
        await asyncio.sleep(0)
        ended.set()
        value, running = await other, not task.done()
        rest.set()
        await task
        return value, running

    assert ("answered", True) == asyncio.run(main())


def test_shielded_call_outlives_the_task_that_awaits_it(start):
    """asyncio.shield() keeps it going."""

    async def main():
        ended = asyncio.Event()

        async def call():
            await ended.wait()
            return "answered"

        promise = start(call)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(promise), 0.05)
        ended.set()
        return await promise

    assert "answered" == asyncio.run(main())


def test_call_that_awaits_itself_is_told(start):
    """It would wait for ever."""

    async def main():
        promises = []

        async def call():
            return await promises[0]

        promises.append(start(call))
        await promises[0]

    with pytest.raises(NoResponseError, match="waits for itself"):
        asyncio.run(main())


def test_error_is_raised_where_it_is_awaited_and_nothing_is_left_of_it(start):
    """No cycle keeps the call's frames, in which secrets may be, until the next collection."""

    async def main():
        async def call():
            await asyncio.sleep(0)
            raise LostError("lost")

        try:
            await start(call)
        except LostError as error:
            return str(error)

    gc.collect()
    gc.disable()
    try:
        assert "lost" == asyncio.run(main())
        found = [thing for thing in gc.get_objects() if type(thing) is LostError]
    finally:
        gc.enable()
    assert [] == found


def test_loop_that_ends_in_the_midst_of_a_call_ends_it(start):
    """What is then thrown into the task reaches the call."""
    ends = []

    async def call():
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("ended")

    async def host():
        await start(call)

    coroutine = host()

    async def main():
        task = asyncio.get_running_loop().create_task(coroutine)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    assert ["ended"] == ends


def test_task_that_is_thrown_away_in_the_midst_of_a_call_ends_it(start):
    """Nobody answers any more: the call is closed, and the promise is cancelled."""
    ends, promises = [], []

    async def call():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ends.append("ended")

    async def host():
        promises.append(start(call))
        await promises[0]

    async def main():
        coroutine = host()
        task = asyncio.get_running_loop().create_task(coroutine)
        await asyncio.sleep(0)
        coroutine.close()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert (["ended"], "<Promise cancelled>") == (ends, repr(promises[0]))
