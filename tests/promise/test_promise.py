"""What callers see of promises: starting, awaiting, chaining, waiting."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from wechatpay.errors import NoResponseError, ReadTimeoutError
from wechatpay.promise import Promise

CURRENCY = contextvars.ContextVar("currency", default="none")


async def give(value):
    """Come to a value, or an error, a moment later."""
    await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


@pytest.fixture
def start(background):
    """Begin work that comes to a value or an error."""
    return lambda value: Promise.start(lambda: give(value), background)


def in_loop(main):
    """Run a coroutine function in a loop on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()


def test_import_is_cheap():
    """Whoever imports promises and never starts one does not pay for asyncio."""
    code = "import sys, wechatpay.promise; print(*{'asyncio', 'concurrent.futures'} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


def test_promise_inside_a_loop_is_a_task_of_that_loop_soon(start):
    """The call is on its way before anybody awaits it, and needs no thread."""

    async def main():
        before = asyncio.all_tasks()
        threads = threading.active_count()
        promise = start(1)
        await asyncio.sleep(0)
        begun = asyncio.all_tasks() - before

        assert 1 == len(begun)
        assert threads == threading.active_count()
        assert 1 == await promise

    asyncio.run(main())


def test_promise_outside_a_loop_runs_on_a_daemon_thread(background):
    """The call is on its way although the caller has no loop."""

    async def where():
        return threading.current_thread()

    thread = Promise.start(where, background).wait()

    assert thread.daemon
    assert threading.current_thread() is not thread


def test_promise_starts_without_being_awaited(background):
    """Nobody has to wait for a call for it to be made."""
    made = threading.Event()

    async def call():
        made.set()

    promise = Promise.start(call, background)

    assert made.wait(5)
    promise.wait()


def test_promise_can_be_awaited_several_times(start):
    """Each ``await`` gives the value again."""

    async def main():
        promise = start(5)
        return [await promise, await promise, *await asyncio.gather(promise, promise)]

    assert [5, 5, 5, 5] == asyncio.run(main())


def test_promise_of_one_loop_can_be_awaited_in_another(start):
    """Loops in other threads get the value too, without blocking."""

    async def main():
        release = asyncio.Event()
        promise = start(7).then(lambda value: release.wait()).then(lambda _: 7)
        loop = asyncio.get_running_loop()

        async def elsewhere():
            loop.call_soon_threadsafe(release.set)
            return await promise

        return await asyncio.to_thread(in_loop, elsewhere)

    assert 7 == asyncio.run(main())


def test_promise_of_the_background_can_be_awaited_in_a_loop(start):
    """A promise begun outside is good inside."""
    promise = start(8)

    async def main():
        return await promise

    assert 8 == asyncio.run(main())


def test_promise_of_a_loop_can_be_waited_for_in_another_thread(start):
    """Threads get the value of a running loop's promise."""

    async def main():
        return await asyncio.to_thread(start(9).wait)

    assert 9 == asyncio.run(main())


def test_error_comes_out_of_await_and_wait(start):
    """Both raise what the work raised, as often as they are asked."""
    promise = start(ValueError("no"))

    async def main():
        await promise

    with pytest.raises(ValueError, match="no"):
        promise.wait()
    with pytest.raises(ValueError, match="no"):
        asyncio.run(main())


def test_traceback_does_not_grow(start):
    """An error raised again and again keeps the traceback of its origin."""
    promise = start(ValueError("no"))
    depths = set()
    for _ in range(3):
        with pytest.raises(ValueError, match="no") as caught:
            promise.wait()
        depths.add(len(caught.traceback))

    assert 1 == len(depths)


@pytest.mark.parametrize(
    "callback",
    [
        pytest.param(lambda value: value + 1, id="value"),
        pytest.param(lambda value: give(value + 1), id="awaitable"),
        pytest.param(lambda value: give(give(value + 1)), id="awaitable of an awaitable"),
        pytest.param(lambda value: Promise.all([value + 1]).then(sum), id="promise"),
    ],
)
def test_callback_may_return(start, callback):
    """Callbacks return values, awaitables or promises alike."""

    async def main():
        return await start(1).then(callback)

    assert 2 == start(1).then(callback).wait()
    assert 2 == asyncio.run(main())


def test_chain_passes_values_over_error_callbacks_and_errors_over_the_others(start):
    """As in PHP, what no callback is for goes on to the next link."""
    seen = []

    value = start(1).otherwise(seen.append).then(None).then(lambda v: v + 1).wait()
    caught = start(ValueError("no")).then(seen.append).then(seen.append, str).then(lambda t: t + "!").wait()

    assert (2, "no!", []) == (value, caught, seen)


def test_error_in_a_callback_rejects_the_derived_promise(start):
    """The next ``otherwise`` catches what a callback raises."""
    assert "ZeroDivisionError" == start(0).then(lambda v: 1 / v).otherwise(lambda e: type(e).__name__).wait()


def test_chain_may_be_thousands_of_links_long(start):
    """No stack overflows, whether values or errors pass."""
    value, error = start(0), start(ValueError("far"))
    for _ in range(2000):
        value, error = value.then(lambda v: v + 1), error.then(lambda v: v + 1)

    assert 2000 == value.wait()
    assert "far" == error.otherwise(str).wait()


def test_callbacks_run_on_the_loop_of_the_promise(start):
    """Background promises call back on the background thread, a loop's on that loop."""

    async def main():
        here = asyncio.get_running_loop()
        promise = start(1)
        await promise
        derived = await asyncio.to_thread(promise.then, lambda _: asyncio.get_running_loop() is here)
        return await derived

    background, callback = [start(1).then(lambda _: threading.current_thread()).wait() for _ in range(2)]

    assert background is callback
    assert threading.current_thread() is not background
    assert asyncio.run(main())


def test_callbacks_see_a_copy_of_the_callers_context(start, background):
    """Context variables are those of the moment of ``then``; changes stay inside."""

    async def read():
        return CURRENCY.get()

    token = CURRENCY.set("CNY")
    work, derived = Promise.start(read, background), start(1).then(lambda _: CURRENCY.get())
    changed = start(1).then(lambda _: CURRENCY.set("HKD"))
    CURRENCY.reset(token)
    changed.wait()

    assert ("CNY", "CNY", "none") == (work.wait(), derived.wait(), CURRENCY.get())


def test_callback_that_returns_its_own_promise_fails(background):
    """A promise that waits for itself is an error, not a deadlock."""
    made = threading.Event()
    chain = []

    async def gate():
        await asyncio.to_thread(made.wait)

    chain.append(Promise.start(gate, background).then(lambda _: chain[0]))
    made.set()

    with pytest.raises(NoResponseError, match="waits for itself"):
        chain[0].wait()


def test_exit_in_a_callback_is_its_promise_s_alone(start):
    """``sys.exit`` on the background thread ends who waits, not the thread."""
    with pytest.raises(SystemExit):
        start(3).then(sys.exit).wait()

    assert 4 == start(4).wait()


def test_wait_inside_a_loop_is_an_error_that_says_await(start):
    """It would be a deadlock; the promise is none the worse for it."""

    async def main():
        promise = start(1)
        with pytest.raises(NoResponseError, match="await the promise instead"):
            promise.wait()
        return await promise

    assert 1 == asyncio.run(main())


def test_wait_in_a_callback_is_an_error(start):
    """The background thread runs a loop, too."""
    other = start(1)

    with pytest.raises(NoResponseError, match="await the promise instead"):
        start(2).then(lambda _: other.wait()).wait()


def test_wait_times_out_and_the_work_goes_on(background):
    """``timeout`` limits the waiting, not the work."""
    go = threading.Event()
    promise = Promise.start(lambda: asyncio.to_thread(go.wait), background)

    with pytest.raises(ReadTimeoutError, match="the work goes on"):
        promise.wait(0.01)
    go.set()

    assert promise.wait()


def test_promise_whose_loop_has_stopped_is_an_error_to_wait_for(background):
    """What can never come is not waited for, neither in a thread nor in another loop."""
    loop = asyncio.new_event_loop()

    async def begin():
        return Promise.start(asyncio.Event().wait, background)

    promise = loop.run_until_complete(begin())
    derived = promise.then(print)

    async def main():
        await derived

    with pytest.raises(NoResponseError, match="has stopped"):
        promise.wait()
    with pytest.raises(NoResponseError, match="has stopped"):
        asyncio.run(main())
    assert promise.cancel()
    with pytest.raises(CancelledError):
        derived.wait()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_callbacks_of_a_loop_that_ended_run_where_the_caller_is(start):
    """A value outlives its loop, and can be worked with."""

    async def begin():
        promise = start(1)
        await promise
        return promise

    promise = asyncio.run(begin())

    assert 2 == promise.then(lambda v: v + 1).wait()


@pytest.mark.parametrize(
    ("make", "state"),
    [
        pytest.param(lambda start: start("secret"), "fulfilled", id="fulfilled"),
        pytest.param(lambda start: start(ValueError("secret")), "rejected", id="rejected"),
    ],
)
def test_repr_shows_the_state_only(start, make, state):
    """Neither values nor errors get into logs by way of ``repr``."""

    async def main():
        promise = make(start)
        pending = repr(promise)
        await promise.otherwise(lambda _: None)
        return pending, repr(promise)

    assert ("<Promise pending>", f"<Promise {state}>") == asyncio.run(main())


def test_promises_begun_by_many_threads_share_one_loop(background):
    """One background serves them all with one thread."""

    async def where():
        return threading.get_ident()

    with ThreadPoolExecutor(32) as pool:
        idents = list(pool.map(lambda _: Promise.start(where, background).wait(), range(320)))

    assert 320 == len(idents)
    assert 1 == len(set(idents))


def test_rejected_promise_behaves_like_one_that_failed(background):
    """A call that failed before it was sent fails where others do."""
    promise = Promise.rejected(ValueError("mchid"), background)

    async def main():
        await Promise.rejected(ValueError("mchid"))

    assert "mchid" == promise.otherwise(str).wait()
    with pytest.raises(ValueError, match="mchid"):
        promise.wait()
    with pytest.raises(ValueError, match="mchid"):
        asyncio.run(main())
