"""How promises are combined and cancelled, and how errors nobody took are reported."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import time
import weakref
from concurrent.futures import CancelledError
from contextlib import suppress

import pytest

from wechatpay.promise import Promise
from wechatpay.promise.background import Background


@pytest.fixture
def start(background):
    """Begin work that comes to a value or an error, when a gate opens if there is one."""

    async def give(value, gate):
        if gate is not None:
            await asyncio.to_thread(gate.wait)
        if isinstance(value, BaseException):
            raise value
        return value

    return lambda value, gate=None: Promise.start(lambda: give(value, gate), background, name="GET /v3/x")


@pytest.fixture
def reports(caplog):
    """Give the errors that were logged, once the loop that logs them has been asked."""
    caplog.set_level(logging.ERROR, "wechatpay")

    def count(background):
        Promise.start(lambda: asyncio.sleep(0), background).wait()
        return [str(record.exc_info[1]) for record in caplog.records]

    return count


def test_all_gives_the_values_in_order(start):
    """Values come as the promises were given, not as they ended; awaitables and values count too."""
    gate = threading.Event()
    slow = start(1, gate)
    whole = Promise.all([slow, start(2), asyncio.sleep(0, 3), 4])
    gate.set()

    assert [1, 2, 3, 4] == whole.wait()
    assert [] == Promise.all([]).wait()


def test_task_that_is_cancelled_as_the_value_arrives_is_cancelled(background):
    """Whoever ends a task is not refused because the call that it awaits has just ended."""

    async def main():
        async def call():
            await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_soon(awaiting.cancel)

        async def wait():
            await promise

        promise = Promise.start(call, background)
        # It is begun, as a task of its own.
        await asyncio.sleep(0)
        awaiting = asyncio.create_task(wait())
        await asyncio.wait([awaiting])
        return awaiting.cancelled()

    assert True is asyncio.run(main())


def test_all_joins_promises_of_several_loops(start):
    """Promises of the background and of the running loop go together."""
    outside = start(1)

    async def main():
        return await Promise.all([outside, start(2)])

    assert [1, 2] == asyncio.run(main())


def test_all_fails_with_the_first_error_and_lets_the_others_go_on(start):
    """The rest is neither waited for nor cancelled."""
    gate = threading.Event()
    slow = start(1, gate)

    with pytest.raises(ValueError, match="first"):
        Promise.all([slow, start(ValueError("first"))]).wait()
    assert "<Promise pending>" == repr(slow)
    gate.set()
    assert 1 == slow.wait()


def test_all_of_very_many(start):
    """Thousands of promises are no trouble."""
    assert list(range(3000)) == Promise.all([start(n) for n in range(3000)]).wait()


def test_cancelling_all_leaves_its_parts_alone(start):
    """What it was derived from goes on."""
    gate = threading.Event()
    part = start(1, gate)
    whole = Promise.all([part])

    assert whole.cancel()
    gate.set()
    assert 1 == part.wait()
    with pytest.raises(CancelledError):
        whole.wait()


def test_cancelling_a_derived_promise_leaves_its_parent_alone(start):
    """The call goes on; its callback is not called."""
    gate, called = threading.Event(), []
    parent = start(1, gate)
    derived = parent.then(called.append)

    assert derived.cancel()
    gate.set()
    assert 1 == parent.wait()
    assert [] == called
    with pytest.raises(CancelledError):
        derived.wait()


def test_cancelling_a_callback_s_promise_reaches_what_the_callback_awaits(background, start):
    """A derived promise that has begun cancels what it runs."""
    ended = threading.Event()
    begun = threading.Event()

    async def long(_):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    derived = start(1).then(lambda _: Promise.start(lambda: long(1), background))
    assert begun.wait(5)
    derived.cancel()

    assert ended.wait(5)


def test_cancelling_ends_the_work_and_what_is_derived_from_it(background):
    """Callbacks for errors hear of it; a second cancelling has nothing left to do."""
    begun, ended = threading.Event(), threading.Event()

    async def call():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    promise = Promise.start(call, background)
    derived, told = promise.then(print), promise.otherwise(lambda error: type(error).__name__)
    assert begun.wait(5)

    assert promise.cancel()
    assert "CancelledError" == told.wait()
    assert ended.is_set()
    assert "<Promise cancelled>" == repr(promise)
    assert not promise.cancel()
    for each in (promise, derived):
        with pytest.raises(CancelledError):
            each.wait()


def test_work_cancelled_before_it_begins_never_begins(background):
    """Nothing is sent for a call that was cancelled at once."""
    blocked, gate, made = threading.Event(), threading.Event(), []

    async def block():
        blocked.set()
        gate.wait()

    async def call():
        made.append(1)

    blocker = Promise.start(block, background)
    assert blocked.wait(5)
    promise = Promise.start(call, background)
    cancelled = promise.cancel()
    gate.set()
    blocker.wait()

    assert cancelled
    with pytest.raises(CancelledError):
        promise.wait()
    assert [] == made


def test_cancelled_promise_raises_asyncio_s_error_where_awaited(start):
    """In a loop it is what a cancelled task raises."""

    async def main():
        promise = start(1)
        promise.cancel()
        await promise

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


@pytest.mark.parametrize("inside", [True, False], ids=["its own loop", "another loop"])
def test_timeout_around_await_cancels_the_call_and_lets_it_clean_up(background, inside):
    """As with a task, ``asyncio.timeout`` returns once the work has ended."""
    ended = []

    async def call():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append(1)

    outside = None if inside else Promise.start(call, background)

    async def main():
        promise = outside or Promise.start(call, background)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await promise
        return promise

    promise = asyncio.run(main())

    assert [1] == ended
    assert "<Promise cancelled>" == repr(promise)


def test_shield_keeps_the_call_going(start):
    """Whoever wants to stop waiting without cancelling says so as usual."""
    gate = threading.Event()

    async def main():
        promise = start(1, gate)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(promise), 0.01)
        gate.set()
        return await promise

    assert 1 == asyncio.run(main())


def test_promise_of_a_loop_can_be_cancelled_from_another_thread(start):
    """Cancelling is as free of threads as waiting is."""

    async def main():
        promise = Promise.start(asyncio.Event().wait, Background())
        await asyncio.sleep(0)
        cancelled = await asyncio.to_thread(promise.cancel)
        with pytest.raises(asyncio.CancelledError):
            await promise
        return cancelled

    assert True is asyncio.run(main())


def test_callback_cancelled_before_its_loop_could_call_it_is_not_called(start):
    """A thread may change its mind while the loop is busy."""
    called = []

    async def main():
        promise = start(1)
        await promise
        thread = threading.Thread(target=lambda: promise.then(called.append).cancel())
        thread.start()
        thread.join()
        await asyncio.sleep(0)

    asyncio.run(main())

    assert [] == called


def test_cancelling_that_comes_too_late_changes_nothing(start):
    """The value is there, even if the loop hears of the cancelling later."""
    promise = start(1)
    promise.wait()
    promise._work._cancel_task()

    assert 1 == promise.wait()


def test_task_cancelled_just_after_its_promise_was_settled_is_cancelled(start):
    """Neither the task nor the promise gets confused when both happen while the loop is busy."""
    gate = threading.Event()
    promise = start(1, gate)

    async def main():
        task = asyncio.ensure_future(promise)
        await asyncio.sleep(0)
        gate.set()
        while repr(promise) == "<Promise pending>":
            time.sleep(0.001)  # noqa: ASYNC251 - the loop has to be busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert 1 == promise.wait()


def test_whatever_interrupts_wait_cancels_the_work(background):
    """Ctrl-C, or a signal handler that raises, gives up the call and all of its chain."""

    def give_up(*_):
        raise KeyboardInterrupt

    promise = Promise.start(asyncio.Event().wait, background)
    derived = Promise.all([promise, promise.then(print)]).otherwise(print)
    handler = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            derived.wait()
    finally:
        signal.signal(signal.SIGALRM, handler)

    with pytest.raises(CancelledError):
        promise.wait(5)
    assert "<Promise cancelled>" == repr(derived)


def test_task_nobody_refers_to_is_not_collected(background):
    """A loop refers to its tasks weakly; a call must not vanish all the same."""

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        weak = []

        async def call():
            future = loop.create_future()
            weak.append(weakref.ref(future))
            await future
            done.set_result("answered")

        Promise.start(call, background)
        await asyncio.sleep(0.01)
        gc.collect()
        weak[0]().set_result(None)
        return await done

    assert "answered" == asyncio.run(main())


def test_error_nobody_took_is_logged_once(background, start, reports):
    """As soon as nobody can take it any more, with the name of the call and its traceback."""
    start(ValueError("lost"))

    assert ["lost"] == reports(background)
    assert ["lost"] == reports(background)


def test_error_nobody_took_is_logged_when_its_promise_is_dropped(background, start, reports):
    """While somebody holds the promise, the error may still be taken."""
    promise = start(ValueError("lost"))

    assert [] == reports(background)
    del promise
    assert ["lost"] == reports(background)


def test_report_names_the_call(start, background, reports, caplog):
    """The line says which call failed and what to do about it."""
    start(ValueError("lost"))
    reports(background)

    assert "GET /v3/x failed and nobody took the error" in caplog.text


def test_error_of_a_loop_s_promise_goes_to_the_loop_s_exception_handler(start, reports, background):
    """There, and not to the log as well."""
    told = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: told.append(str(context["exception"]))
        )
        start(ValueError("lost"))
        Promise.rejected(ValueError("never sent"))
        await asyncio.sleep(0.01)

    asyncio.run(main())

    assert ["lost", "never sent"] == sorted(told)
    assert [] == reports(background)


def _caught(function):
    with pytest.raises(ValueError, match="taken"):
        function()


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda p: _caught(p.wait), id="wait"),
        pytest.param(lambda p: p.otherwise(str).wait(), id="otherwise"),
        pytest.param(lambda p: p.then(print).then(print).otherwise(str).wait(), id="further down the chain"),
        pytest.param(lambda p: Promise.all([p]).otherwise(str).wait(), id="all"),
        pytest.param(lambda p: (_caught(p.wait), p.otherwise(str).wait()), id="twice"),
    ],
)
def test_error_that_was_taken_is_not_reported(start, background, reports, take):
    """One taker is enough, wherever in the chain."""
    promise = start(ValueError("taken"))
    take(promise)
    del promise
    gc.collect()

    assert [] == reports(background)


def test_error_passed_on_is_reported_by_the_last_of_the_chain_only(start, background, reports):
    """A chain that nobody listens to makes one report, not one for each link."""
    start(ValueError("lost")).then(print).then(print)

    assert ["lost"] == reports(background)


def test_error_that_a_cancelled_promise_did_not_take_is_reported(start, background, reports):
    """The call failed and the only one who would have heard of it had gone."""
    gate = threading.Event()
    start(ValueError("lost"), gate).otherwise(str).cancel()
    gate.set()
    background.close()

    assert ["lost"] == reports(background)


def test_error_that_all_did_not_pass_on_is_reported(start, background, reports):
    """The second error is nobody's, unless somebody took it."""
    gate = threading.Event()
    whole = Promise.all([start(ValueError("first")), start(ValueError("second"), gate)])
    with pytest.raises(ValueError, match="first"):
        whole.wait()
    gate.set()
    background.close()
    del whole
    gc.collect()

    assert ["second"] == reports(background)


def test_cancelled_promise_is_no_error(start, background, reports):
    """Whoever cancels does not care for the outcome."""
    gate = threading.Event()
    start(1, gate).cancel()
    gate.set()

    assert [] == reports(background)


class OurError(Exception):
    """An error that makes itself known to a set."""

    def __init__(self, known):
        super().__init__()
        known.add(self)


def test_failed_promise_is_no_cycle(background):
    """Reports and memory do not wait for the garbage collector."""
    alive = weakref.WeakSet()

    async def fail():
        raise OurError(alive)

    async def main(promises):
        with suppress(OurError):
            await promises.pop()

    gc.collect()
    gc.disable()
    try:
        promise = Promise.start(fail, background)
        with suppress(OurError):
            promise.wait()
        held = [promise]
        del promise
        asyncio.run(main(held))
        background.close()

        assert [] == list(alive)
    finally:
        gc.enable()
