"""What callers can do with a promise: await it, chain it, wait for it, combine it, cancel it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import interrupts
import pytest
from references import uncollected

from wechatpay import NoResponseError, ReadTimeoutError
from wechatpay.promise import Promise

CURRENCY = contextvars.ContextVar("currency", default="none")


class OurError(Exception):
    """An error that no other test raises."""


def in_loop(main):
    """Run a coroutine function in an event loop on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()


def test_promise_inside_a_loop_is_a_task_of_that_loop(start):
    """The call is on its way before anybody awaits it, and needs no thread."""

    async def main():
        before, threads = asyncio.all_tasks(), threading.active_count()
        promise = start(1)

        assert 1 == len(asyncio.all_tasks() - before)
        assert threads == threading.active_count()
        assert 1 == await promise

    asyncio.run(main())


def test_promises_outside_a_loop_share_one_daemon_thread(background):
    """Whatever thread starts them."""

    async def where():
        return threading.current_thread()

    with ThreadPoolExecutor(8) as pool:
        threads = set(pool.map(lambda _: Promise.start(where, background).wait(), range(80)))

    assert [True] == [thread.daemon for thread in threads]
    assert threading.current_thread() not in threads


def test_promise_starts_without_being_awaited(background):
    """Nobody has to wait for a call for it to be made."""
    made = threading.Event()

    async def call():
        made.set()

    promise = Promise.start(call, background)

    assert made.wait(5)
    promise.wait()


def test_promise_can_be_awaited_anywhere_and_often(start):
    """In its own loop, in another, in a thread, and again after it has ended."""
    outside = start(1)

    async def main():
        gate = threading.Event()
        inside = start(2, gate)

        async def elsewhere():
            gate.set()
            return await inside

        return [
            await outside,
            await asyncio.to_thread(in_loop, elsewhere),
            await asyncio.to_thread(inside.wait),
            await inside,
            await inside,
        ]

    assert [1, 2, 2, 2, 2] == asyncio.run(main())
    assert 1 == outside.wait()


async def _as_completed(promise):
    return [await each for each in asyncio.as_completed([promise])]


async def _task_group(promise):
    async with asyncio.TaskGroup() as group:
        return [await group.create_task(promise)]


async def _twice_at_once(promise):
    return [*set(await asyncio.gather(asyncio.create_task(promise), asyncio.create_task(promise), promise))]


async def _later(promise):
    task = asyncio.create_task(promise)
    await asyncio.sleep(0)
    return [*set(await asyncio.gather(asyncio.wait_for(promise, 5), task))]


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda promise: asyncio.gather(promise), id="gather"),  # noqa: PLW0108 - it needs a loop
        pytest.param(lambda promise: asyncio.gather(asyncio.wait_for(promise, 5)), id="wait_for"),
        pytest.param(lambda promise: asyncio.gather(asyncio.create_task(promise)), id="create_task"),
        pytest.param(lambda promise: asyncio.gather(asyncio.shield(promise)), id="shield"),
        pytest.param(_task_group, id="TaskGroup"),
        pytest.param(_as_completed, id="as_completed"),
        pytest.param(_twice_at_once, id="several tasks at once"),
        pytest.param(_later, id="a task and wait_for"),
    ],
)
@pytest.mark.parametrize("inside", [True, False], ids=["its own loop", "another loop"])
def test_asyncio_takes_a_promise_for_a_coroutine(start, use, inside):
    """Whatever takes a coroutine takes a promise, with its value or its error."""
    outside = None if inside else (start(1), start(ValueError("no")))

    async def main():
        good, bad = outside or (start(1), start(ValueError("no")))
        values = await use(good)
        with pytest.raises((ValueError, ExceptionGroup)):
            await use(bad)
        return values

    assert [1] == asyncio.run(main())
    assert 2 == asyncio.run(start(2))


def test_closing_an_await_does_not_end_the_call(start):
    """`close` is the coroutine protocol's; the call goes on."""
    gate = threading.Event()
    promise = start(1, gate)
    promise.close()

    async def main():
        promise.close()
        promise.send(None)
        promise.close()
        gate.set()
        return await promise

    assert 1 == asyncio.run(main())


def test_task_cancelled_before_its_first_step_cancels_the_call(background):
    """A task made of a promise is as good as awaiting it."""

    async def main():
        promise = Promise.start(asyncio.Event().wait, background)
        task = asyncio.create_task(promise)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        return repr(promise)

    assert "<Promise cancelled>" == asyncio.run(main())


def test_error_comes_out_of_await_and_wait_with_its_own_traceback(start):
    """As often as they are asked; the traceback does not grow."""
    promise, depths = start(ValueError("no")), set()

    async def main():
        await promise

    for take in (promise.wait, promise.wait, lambda: asyncio.run(main()), promise.wait):
        with pytest.raises(ValueError, match="no") as caught:
            take()
        depths.add(len(caught.traceback) if take == promise.wait else 0)

    assert 2 == len(depths)


def test_response_s_attributes_say_await_it_first(start):
    """The usual slip has an error that says what to do; other names are those of any object."""
    promise = start(1)

    for name in ("json", "status_code", "text", "headers"):
        with pytest.raises(AttributeError, match=rf"await it first: \(await promise\).{name}"):
            getattr(promise, name)
    with pytest.raises(AttributeError, match="object has no attribute 'cr_code'"):
        _ = promise.cr_code


@pytest.mark.parametrize(
    "callback",
    [
        pytest.param(lambda value: value + 1, id="value"),
        pytest.param(lambda value: asyncio.sleep(0, value + 1), id="awaitable"),
        pytest.param(
            lambda value: asyncio.sleep(0, asyncio.sleep(0, value + 1)), id="awaitable of an awaitable"
        ),
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
    """As in PHP, what no callback is for goes on to the next link; what a callback raises, too."""
    seen = []

    value = start(1).otherwise(seen.append).then(None).then(lambda v: v + 1).wait()
    caught = start(ValueError("no")).then(seen.append).then(seen.append, str).then(lambda t: t + "!").wait()
    raised = start(0).then(lambda v: 1 / v).otherwise(type).wait()

    assert (2, "no!", ZeroDivisionError, []) == (value, caught, raised, seen)


def test_chain_may_be_thousands_of_links_long(start):
    """No stack overflows, whether values or errors pass."""
    value, error = start(0), start(ValueError("far"))
    for _ in range(1500):
        value, error = value.then(lambda v: v + 1), error.then(lambda v: v + 1)

    assert (1500, "far") == (value.wait(), error.otherwise(str).wait())


def test_callbacks_run_on_the_loop_of_the_promise(start):
    """Whatever thread adds them; if that loop has ended, where the caller is."""

    async def main():
        here = asyncio.get_running_loop()
        promise = start(1)
        await promise
        derived = await asyncio.to_thread(promise.then, lambda _: asyncio.get_running_loop() is here)
        return await derived, promise

    outside = start(1)
    threads = {outside.then(lambda _: threading.current_thread()).wait() for _ in range(2)}
    is_here, promise = asyncio.run(main())

    assert 1 == len(threads - {threading.current_thread()})
    assert is_here
    assert 2 == promise.then(lambda v: v + 1).wait()


def test_callbacks_see_a_copy_of_the_callers_context(start, background):
    """Context variables are those of the moment of ``then``; changes stay inside."""

    async def read():
        return CURRENCY.get()

    token = CURRENCY.set("CNY")
    call, derived = Promise.start(read, background), start(1).then(lambda _: CURRENCY.get())
    changed = start(1).then(lambda _: CURRENCY.set("HKD"))
    CURRENCY.reset(token)
    changed.wait()

    assert ("CNY", "CNY", "none") == (call.wait(), derived.wait(), CURRENCY.get())


def test_promise_that_waits_for_itself_fails(background):
    """A callback that returns its own promise is an error, not a deadlock."""
    made, chain = threading.Event(), []
    gate = Promise.start(lambda: asyncio.to_thread(made.wait), background)
    chain.append(gate.then(lambda _: chain[0]))
    made.set()

    with pytest.raises(RuntimeError, match="await on itself"):
        chain[0].wait()


def test_exit_in_a_callback_is_its_promise_s_alone(start, background):
    """``sys.exit`` on the background thread, in a callback or a task of it, ends no other call."""

    async def leave():
        raise SystemExit

    async def call():
        stray = asyncio.create_task(leave())
        await asyncio.wait([stray])
        stray.exception()

    Promise.start(call, background).wait()
    with pytest.raises(SystemExit):
        start(3).then(sys.exit).wait()

    assert 4 == start(4).wait()


def test_wait_inside_a_loop_is_an_error_that_says_await(start):
    """It would be a deadlock, in a callback, too; the promise is none the worse for it."""
    other = start(1)

    async def main():
        promise = start(1)
        with pytest.raises(RuntimeError, match="await the promise instead"):
            promise.wait()
        return await promise

    assert 1 == asyncio.run(main())
    with pytest.raises(RuntimeError, match="await the promise instead"):
        start(2).then(lambda _: other.wait()).wait()


def test_wait_without_unwrapping_only_waits(start):
    """``wait(False)`` is PHP's: neither value nor error."""
    good, bad = start(1), start(ValueError("no"))

    assert (None, None) == (good.wait(False), bad.wait(False))  # noqa: FBT003 - as in PHP
    assert ("<Promise fulfilled>", "<Promise rejected>") == (repr(good), repr(bad))
    assert "no" == bad.otherwise(str).wait()
    with pytest.raises(TypeError, match="give seconds as timeout="):
        good.wait(5)


def test_wait_times_out_and_the_call_goes_on(start):
    """``timeout`` limits the waiting, not the call."""
    gate = threading.Event()
    promise = start(1, gate)

    with pytest.raises(ReadTimeoutError, match="the call goes on"):
        promise.wait(timeout=0.01)
    gate.set()

    assert 1 == promise.wait()


def test_promise_whose_loop_has_stopped_is_an_error_to_wait_for(background):
    """What can never come is not waited for, neither in a thread nor in another loop."""
    loop = asyncio.new_event_loop()

    async def begin():
        return Promise.start(asyncio.Event().wait, background)

    promise = loop.run_until_complete(begin())
    derived = promise.then(print)
    for pending in (promise, derived, Promise.all([promise])):
        with pytest.raises(NoResponseError, match="has stopped"):
            pending.wait()
    with pytest.raises(NoResponseError, match="has stopped"):
        asyncio.run(promise)
    assert promise.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    with pytest.raises(CancelledError):
        promise.wait()
    assert not promise.cancel()


@pytest.mark.parametrize(
    "derive",
    [lambda promise: promise, lambda promise: promise.then(print), lambda promise: Promise.all([promise])],
    ids=["itself", "then", "all"],
)
def test_wait_ends_when_the_loop_stops_meanwhile(background, derive):
    """A thread that waits for a promise of another thread's loop does not wait for good."""
    loop, begun = asyncio.new_event_loop(), []

    async def begin():
        begun.append(Promise.start(asyncio.Event().wait, background))
        await asyncio.sleep(0.5)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run_until_complete, begin())
        while not begun:
            time.sleep(0.01)
        with pytest.raises(NoResponseError, match="has stopped"):
            derive(begun[0]).wait(timeout=10)
        running.result()
    begun.pop().cancel()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


def test_promise_of_a_loop_that_was_closed_can_be_cancelled(background):
    """There is not a loop that could do it any more."""
    loop = asyncio.new_event_loop()

    async def begin():
        return Promise.start(asyncio.Event().wait, background)

    promise = loop.run_until_complete(begin())
    stale = asyncio.all_tasks(loop)
    loop.close()

    assert promise.cancel()
    assert "<Promise cancelled>" == repr(promise)
    for task in stale:
        task.get_coro().close()
        task._log_destroy_pending = False


def test_rejected_promise_behaves_like_one_that_failed(background):
    """A call that failed before it was sent fails where others do."""
    promise = Promise.rejected(ValueError("mchid"), background)

    async def main():
        await Promise.rejected(ValueError("mchid"), background)

    assert "mchid" == promise.otherwise(str).wait()
    with pytest.raises(ValueError, match="mchid"):
        promise.wait()
    with pytest.raises(ValueError, match="mchid"):
        asyncio.run(main())
    assert "<Promise rejected>" == repr(promise)


def test_all_gives_the_values_in_order_or_by_key(start):
    """Values come as the promises were given, not as they ended; awaitables and values count, too."""
    gate = threading.Event()
    slow = start(1, gate)
    listed = Promise.all([slow, start(2), asyncio.sleep(0, 3), 4])
    keyed = Promise.all({"order": slow, "refund": start(2), 3: 4})
    gate.set()

    assert [1, 2, 3, 4] == listed.wait()
    assert {"order": 1, "refund": 2, 3: 4} == keyed.wait()
    assert ([], {}) == (Promise.all([]).wait(), Promise.all({}).wait())


def test_all_joins_promises_of_several_loops(start):
    """Promises of the background and of the running loop go together."""
    outside = start(1)

    async def main():
        return await Promise.all([outside, start(2)])

    assert [1, 2] == asyncio.run(main())


def test_all_of_very_many(start):
    """Thousands of promises are no trouble."""
    assert list(range(2000)) == Promise.all([start(n) for n in range(2000)]).wait()


@pytest.mark.parametrize("shape", [list, lambda parts: dict(enumerate(parts))], ids=["list", "mapping"])
def test_all_fails_with_the_first_error_and_lets_the_others_go_on(start, shape):
    """The rest is neither waited for nor cancelled."""
    gate = threading.Event()
    slow = start(1, gate)

    with pytest.raises(ValueError, match="first"):
        Promise.all(shape([slow, start(ValueError("first"))])).wait()
    assert "<Promise pending>" == repr(slow)
    gate.set()
    assert 1 == slow.wait()


@pytest.mark.parametrize(
    "derive", [lambda p: Promise.all([p]), lambda p: p.then(print), lambda p: p.otherwise(print)]
)
def test_cancelling_a_derived_promise_leaves_its_parent_alone(start, derive, capsys):
    """The call goes on; the callback is not called."""
    gate = threading.Event()
    parent = start(1, gate)
    derived = derive(parent)

    assert derived.cancel()
    gate.set()
    assert 1 == parent.wait()
    with pytest.raises(CancelledError):
        derived.wait()
    assert "" == capsys.readouterr().out


def test_cancelling_a_callback_s_promise_reaches_what_the_callback_awaits(background, start):
    """A derived promise that has begun cancels what it runs."""
    begun, ended = threading.Event(), threading.Event()

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


def test_cancelling_ends_the_call_and_what_is_derived_from_it(background):
    """Callbacks for errors are called; a second cancellation has nothing left to do."""
    begun, ended = threading.Event(), threading.Event()

    async def call():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    promise = Promise.start(call, background)
    derived, caught = promise.then(print), promise.otherwise(lambda error: type(error).__name__)
    assert begun.wait(5)

    assert promise.cancel()
    assert "CancelledError" == caught.wait()
    assert ended.is_set()
    assert "<Promise cancelled>" == repr(promise)
    assert not promise.cancel()
    for each in (promise, derived):
        with pytest.raises(CancelledError):
            each.wait()


def test_call_cancelled_before_it_begins_never_begins(background):
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
    promise.cancel()
    gate.set()
    blocker.wait()

    with pytest.raises(CancelledError):
        promise.wait()
    assert [] == made


def test_promise_of_a_loop_can_be_cancelled_from_there_and_from_another_thread(background):
    """Where it is awaited it is what a cancelled task raises; the awaiting task is not cancelled."""

    async def main():
        for cancel in (lambda p: asyncio.to_thread(p.cancel), lambda p: asyncio.sleep(0, p.cancel())):
            promise = Promise.start(asyncio.Event().wait, background)
            assert await cancel(promise)
            with pytest.raises(asyncio.CancelledError):
                await promise
        return asyncio.current_task().cancelling()

    assert 0 == asyncio.run(main())


def test_whatever_interrupts_wait_cancels_the_call(background):
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

    for each in (promise, derived):
        with pytest.raises(CancelledError):
            each.wait(timeout=5)


def test_start_that_is_interrupted_leaves_no_job(background):
    """Signals are handled where functions begin: the end of the process waits for no call that has ended."""
    Promise.start(partial(asyncio.sleep, 0), background).wait()
    files, passed, left = (
        ("/wechatpay/promise.py", "/wechatpay/background.py", "/asyncio/base_events.py"),
        0,
        0,
    )

    def strike(frame, *_):
        nonlocal left
        if frame.f_code.co_filename.endswith(files) and frame.f_code.co_name != "__del__":
            left -= 1
            if not left:
                raise KeyboardInterrupt

    is_interrupted = True
    while is_interrupted:
        passed += 1
        left = passed
        with suppress(KeyboardInterrupt), interrupts.traced(strike):
            Promise.start(partial(asyncio.sleep, 0), background)
            is_interrupted = False

    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 10
    assert passed > 10


def test_task_nobody_refers_to_is_not_collected(background):
    """A loop refers to its tasks weakly; a call must not vanish all the same."""

    async def main():
        loop = asyncio.get_running_loop()
        done, weak = loop.create_future(), []

        async def call():
            future = loop.create_future()
            weak.append(weakref.ref(future))
            await future
            done.set_result("ended")

        Promise.start(call, background)
        await asyncio.sleep(0.01)
        gc.collect()
        weak[0]().set_result(None)
        return await done

    assert "ended" == asyncio.run(main())


@pytest.fixture
def reports(caplog, background):
    """Give the errors that were logged once all calls have ended."""
    caplog.set_level(logging.ERROR, "wechatpay")

    def reports():
        background.close()
        gc.collect()
        return [str(record.exc_info[1]) for record in caplog.records]

    return reports


def test_error_nobody_took_is_logged_once(start, reports, caplog):
    """As soon as nobody can take it any more, with the name of the call and its traceback."""
    kept = start(ValueError("kept"))
    start(ValueError("lost"))

    assert ["lost"] == reports()
    assert "GET /v3/x failed and nobody took the error" in caplog.text
    assert "no" not in repr(kept)
    kept.otherwise(str).wait()
    assert ["lost"] == reports()


def test_error_of_a_loop_s_promise_goes_to_the_loop_s_exception_handler(start, reports, background):
    """There, and not to the log as well."""
    seen = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: seen.append(str(context["exception"]))
        )
        start(ValueError("lost"))
        Promise.rejected(ValueError("never sent"), background)
        await asyncio.sleep(0.01)

    asyncio.run(main())

    assert ["lost", "never sent"] == sorted(seen)
    assert [] == reports()


def _caught(function):
    with pytest.raises(ValueError, match="taken"):
        function()


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda p: _caught(p.wait), id="wait"),
        pytest.param(lambda p: _caught(lambda: asyncio.run(p)), id="await"),
        pytest.param(lambda p: p.otherwise(str).wait(), id="otherwise"),
        pytest.param(lambda p: p.then(print).then(print).otherwise(str).wait(), id="further down the chain"),
        pytest.param(lambda p: Promise.all([p]).otherwise(str).wait(), id="all"),
    ],
)
def test_error_that_was_taken_is_not_reported(start, reports, take):
    """One taker is enough, wherever in the chain."""
    take(start(ValueError("taken")))

    assert [] == reports()


def test_error_passed_on_is_reported_by_the_last_of_the_chain_only(start, reports):
    """A chain that nobody listens to makes one report, not one for each link."""
    start(ValueError("lost")).then(print).then(print)

    assert ["lost"] == reports()


def test_error_that_a_cancelled_promise_did_not_take_is_reported(start, reports):
    """The call failed, and the only one who would have taken the error had gone."""
    gate = threading.Event()
    start(ValueError("lost"), gate).otherwise(str).cancel()
    gate.set()

    assert ["lost"] == reports()


def test_error_that_all_did_not_pass_on_is_reported(start, reports):
    """The second error is nobody's, unless somebody took it."""
    gate = threading.Event()
    whole = Promise.all([start(ValueError("first")), start(ValueError("second"), gate)])
    with pytest.raises(ValueError, match="first"):
        whole.wait()
    gate.set()
    del whole

    assert ["second"] == reports()


def test_cancelled_promise_is_not_an_error(start, reports):
    """Whoever cancels does not care for the outcome."""
    gate = threading.Event()
    start(1, gate).cancel()
    gate.set()

    assert [] == reports()


def test_failed_promise_is_not_a_reference_cycle(background):
    """Reports, and the frames in which secrets may be, do not wait for the garbage collector."""
    alive = weakref.WeakSet()

    async def fail():
        await asyncio.sleep(0)
        error = OurError()
        alive.add(error)
        try:
            raise error
        finally:
            del error

    async def main(promises):
        with suppress(OurError):
            await promises.pop()
        with suppress(OurError):
            await Promise.start(fail, background)
        with suppress(OurError):
            await Promise.all([Promise.start(fail, background).then(print)])

    with uncollected():
        promise = Promise.start(fail, background)
        with suppress(OurError):
            promise.wait()
        with suppress(OurError):
            promise.then(print).then(print).wait()
        held = [promise]
        del promise
        asyncio.run(main(held))
        background.close()
        time.sleep(0.01)

        assert [] == list(alive)
