"""The thread of our own: when it starts, when it stops, whose it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time

import pytest
import scripts

from wechatpay.errors import InvalidRequestError
from wechatpay.promise import Promise
from wechatpay.promise.background import Background, running_loop


def thread_of(background):
    """Give the thread that a background runs."""

    async def where():
        return threading.current_thread()

    return Promise.start(where, background).wait()


def test_nothing_is_started_before_it_is_needed(background):
    """Neither import, nor construction, nor closing starts a thread."""
    threads = threading.active_count()
    background.close()
    asyncio.run(background.aclose())

    assert threads == threading.active_count()


def test_close_waits_for_what_is_in_flight(background):
    """Calls begun before get their answers, callbacks included."""
    seen = []
    Promise.start(lambda: asyncio.sleep(0.05, 1), background).then(seen.append).then(seen.append)
    background.close()

    assert [1, None] == seen


def test_close_ends_the_thread_and_the_next_use_starts_another(background):
    """Closed is not broken."""
    first = thread_of(background)
    background.close()
    second = thread_of(background)

    assert not first.is_alive()
    assert second.is_alive()


def test_close_runs_the_ends_of_async_generators(background):
    """Whatever hangs on the loop is closed with it: sessions, say."""
    closed, kept = [], []

    async def session():
        try:
            yield
        finally:
            await asyncio.sleep(0)
            closed.append(asyncio.get_running_loop())

    async def open_session():
        kept.append(session())
        await anext(kept[0])

    Promise.start(open_session, background).wait()
    background.close()

    assert 1 == len(closed)
    assert closed[0].is_closed()


def test_close_names_and_cancels_what_has_had_its_time(background, caplog):
    """Overdue work does not hold up the end, and its outcome is said to be unknown."""
    slow = Promise.start(asyncio.Event().wait, background, name="POST /v3/pay", timeout=0.01)
    derived, called = slow.then(print), []
    caught = slow.otherwise(called.append).otherwise(called.append)
    background.close()

    assert ["<Promise cancelled>"] * 3 == [repr(slow), repr(derived), repr(caught)]
    assert [] == called
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert "1 call(s) unanswered: POST /v3/pay" in caplog.text


@pytest.mark.parametrize(
    ("timeouts", "longest"), [((1, 3), 3), ((1, None), None)], ids=["seconds", "for ever"]
)
def test_callbacks_of_all_may_take_as_long_as_the_slowest(background, timeouts, longest):
    """Their limit at exit is that of the calls before them."""
    promises = [Promise.start(lambda: asyncio.sleep(0), background, timeout=each) for each in timeouts]

    assert longest == Promise.all(promises).then(print)._work.timeout


def test_close_waits_no_longer_than_for_the_slowest_that_is_left(background):
    """A long limit of a call that is answered does not prolong the wait for the others."""
    Promise.start(lambda: asyncio.sleep(0.01), background, timeout=60)
    Promise.start(asyncio.Event().wait, background, timeout=0.05)
    began = time.monotonic()
    background.close()

    assert 10 > time.monotonic() - began


def test_close_in_a_callback_returns_at_once_and_works_later(background):
    """It cannot wait for itself; the thread ends when the callback has, and what it began."""
    seen = []

    def last(value):
        background.close()
        Promise.start(lambda: asyncio.sleep(0.01, value + 1), background).then(seen.append)
        return threading.current_thread()

    thread = Promise.start(lambda: asyncio.sleep(0, 1), background).then(last).wait()
    thread.join(5)

    assert [2] == seen
    assert not thread.is_alive()


def test_aclose_in_a_callback_returns_at_once_too(background):
    """The same for ``async with`` in a callback."""

    async def last(_):
        await background.aclose()
        return threading.current_thread()

    thread = Promise.start(lambda: asyncio.sleep(0), background).then(last).wait()
    thread.join(5)

    assert not thread.is_alive()


def test_aclose_does_not_block_the_loop(background):
    """Other tasks go on while calls in flight end; here, what they wait for."""
    go = threading.Event()
    promise = Promise.start(lambda: asyncio.to_thread(go.wait), background)

    async def main():
        closing = asyncio.create_task(background.aclose())
        await asyncio.sleep(0.01)
        assert not closing.done()
        go.set()
        await closing

    asyncio.run(main())

    assert "<Promise fulfilled>" == repr(promise)


def test_calls_begun_while_closing_get_a_thread_of_their_own(background):
    """Closing does not fail those who use the same builder in other threads."""
    go = threading.Event()
    Promise.start(lambda: asyncio.to_thread(go.wait), background)
    old = threading.Thread(target=background.close)
    old.start()
    while not next(iter(background._workers.values()))._closing:
        time.sleep(0.001)
    thread = thread_of(background)
    go.set()
    old.join(10)

    assert not old.is_alive()
    assert thread.is_alive()


def test_collected_owner_takes_its_thread_with_it():
    """A builder that goes out of scope leaves neither thread nor loop."""
    background = Background()
    thread = thread_of(background)
    del background
    gc.collect()
    thread.join(5)

    assert not thread.is_alive()


def test_owner_is_not_collected_while_calls_are_in_flight():
    """A call on a builder that was never stored is made nevertheless."""
    go, made = threading.Event(), threading.Event()

    async def call():
        await asyncio.to_thread(go.wait)
        made.set()

    Promise.start(call, Background())
    gc.collect()
    go.set()

    assert made.wait(5)


def test_loops_that_were_closed_with_work_pending_are_let_go(background):
    """Holding on to tasks does not hold on to loops for ever."""

    async def begin():
        Promise.start(asyncio.Event().wait, background)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    stale = asyncio.all_tasks(loop)
    loop.close()
    asyncio.run(begin())

    assert {} == background._held
    for task in stale:
        task.get_coro().close()
        task._log_destroy_pending = False


def test_exit_of_stray_tasks_does_not_stop_the_thread(background):
    """A task that a callback made and that calls ``sys.exit`` harms nobody else."""

    async def leave():
        raise SystemExit

    async def call():
        stray = asyncio.create_task(leave())
        await asyncio.wait([stray])
        stray.exception()

    Promise.start(call, background).wait()

    assert thread_of(background).is_alive()


def test_thread_that_cannot_be_started_fails_the_call_before_it_is_sent(background):
    """The error says that nothing was sent."""
    size = threading.stack_size(1 << 46)
    try:
        promise = Promise.start(lambda: asyncio.sleep(0), background)
    finally:
        threading.stack_size(size)

    with pytest.raises(InvalidRequestError, match="cannot run"):
        promise.wait()


def test_running_loop_is_found_without_loading_asyncio(monkeypatch):
    """Where asyncio was never loaded, no loop runs."""
    monkeypatch.delitem(sys.modules, "asyncio")

    assert running_loop() is None
    assert "asyncio" not in sys.modules


def test_exit_waits_for_calls_in_flight():
    """A script may end right after its last call, host names still to be looked up."""
    script = scripts.run("""
        async def call():
            await asyncio.sleep(0.1)
            infos = await asyncio.get_running_loop().getaddrinfo("localhost", 80)
            return bool(infos), threading.main_thread().is_alive()

        async def fail():
            await asyncio.sleep(0.1)
            await asyncio.to_thread(int, "x")

        Promise.start(call, background).then(print)
        Promise.start(fail, background).otherwise(lambda error: print(type(error).__name__))
        print("end")
    """)

    assert ["(True, False)", "ValueError", "end"] == sorted(script.stdout.splitlines())
    assert "" == script.stderr


def test_exit_names_the_calls_that_are_left_after_their_timeouts():
    """The last thing said is which outcomes are unknown; then they are cancelled."""
    script = scripts.run("""
        async def never():
            try:
                await asyncio.Event().wait()
            finally:
                print("cancelled")

        Promise.start(never, background, name="POST /v3/refund", timeout=0.2)
        start(1, 0.1, timeout=60).then(print)
    """)

    assert ["1", "cancelled"] == script.stdout.splitlines()
    assert "1 call(s) unanswered: POST /v3/refund" in script.stderr
    assert 1 == len(script.stderr.splitlines())


def test_exit_of_a_script_that_never_closes_says_nothing():
    """Neither loop, nor thread, nor generator complains, under ``-X dev -W error``."""
    script = scripts.run("""
        async def session():
            try:
                yield
            finally:
                await asyncio.sleep(0)
                print("closed")

        kept = session()
        Promise.start(lambda: anext(kept), background).wait()
        promise = start(1)
        asyncio.run(asyncio.wait_for(start(2), 5))
    """)

    assert (0, "closed\n", "") == (script.returncode, script.stdout, script.stderr)


def test_exit_reports_an_error_that_nobody_took_once():
    """Even of a promise that the script holds till its end."""
    script = scripts.run("""
        kept = start(1).then(lambda v: v / 0)
        start(2).then(lambda v: v / 0)
    """)

    assert 2 == script.stderr.count("nobody took the error")
    assert 2 == script.stderr.count("ZeroDivisionError: division by zero")


def test_ctrl_c_in_wait_cancels_what_it_waits_for():
    """The whole chain: exit does not wait for a call that was given up."""
    began = time.monotonic()
    script = scripts.run(
        """
        async def call():
            try:
                await asyncio.sleep(0.2)
                print("begun")
                await asyncio.Event().wait()
            finally:
                print("cancelled")

        Promise.start(call, background, timeout=60).then(print).otherwise(print).wait()
        """,
        interrupt_after="begun",
    )

    assert ["begun", "cancelled"] == script.stdout.splitlines()
    assert script.stderr.strip().endswith("KeyboardInterrupt")
    assert 20 > time.monotonic() - began


def test_ctrl_c_at_exit_ends_the_waiting():
    """Who does not want to wait at exit is told what is left, and may go."""
    script = scripts.run(
        """
        async def never():
            while threading.main_thread().is_alive():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            print("leaving")
            await asyncio.Event().wait()

        Promise.start(never, background, name="POST /v3/pay", timeout=None)
        """,
        interrupt_after="leaving",
    )

    assert 1 == len(script.stderr.splitlines())
    assert "unanswered: POST /v3/pay" in script.stderr


def test_call_begun_at_exit_is_made_or_refused():
    """After the last chance to start a thread there is an error, not silence."""
    script = scripts.run("""
        import atexit

        def late():
            try:
                print(start(1).wait())
            except ValueError as error:
                print("refused" if "cannot run" in str(error) else error)

        atexit.register(late)
    """)

    assert script.stdout.strip() in {"1", "refused"}


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while threads start calls"])
def test_forked_child_has_a_thread_of_its_own(busy):
    """Whatever the parent's threads did at the moment of the fork."""
    script = scripts.run(f"""
        def call():
            while {busy} and not stop.is_set():
                start(1).wait()

        stop = threading.Event()
        callers = [threading.Thread(target=call) for _ in range(4)]
        print(start("parent").wait())
        for caller in callers:
            caller.start()
        statuses = []
        for n in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                assert [n, 7] == Promise.all([start(n), start(7)]).wait()
                background.close() if n % 2 else None
                sys.stdout.flush()
                os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])
        stop.set()
        print(statuses, start("still here").wait())
    """)

    assert ["parent", f"{[0] * 10} still here"] == script.stdout.splitlines()
    assert "" == script.stderr


def test_inherited_promises_fail_saying_why():
    """Their work goes on in the parent: waiting in the child would take for ever."""
    script = scripts.run("""
        pending, done = start("late", 0.3), start("done")
        derived, whole = pending.then(str), Promise.all([pending, done])
        done.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            async def main():
                return await derived

            assert not pending.cancel()
            print(pending, done.wait(), done.then(str.upper).wait())
            why = "fork() and its work goes on in the parent"
            for promise in (pending, derived.then(str), whole):
                print(promise.otherwise(lambda error: why in str(error)).wait())
            try:
                asyncio.run(main())
            except ConnectionError:
                pass
            except Exception as error:
                print(type(error).__name__)
            sys.exit()
        print(os.waitpid(child, 0)[1], derived.wait())
    """)

    assert [
        "<Promise rejected> done DONE",
        "True",
        "True",
        "True",
        "NoResponseError",
        "0 late",
    ] == script.stdout.splitlines()
    assert "" == script.stderr


def test_forked_child_of_a_running_loop_can_make_calls():
    """A fork inside a coroutine leaves the child free to begin anew."""
    script = scripts.run("""
        async def main():
            kept = start(1, 0.1)
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                print(start("child").wait())
                os._exit(0)
            print(os.waitpid(child, 0)[1], await kept)

        asyncio.run(main())
    """)

    assert ["child", "0 1"] == script.stdout.splitlines()
    assert "" == script.stderr
