"""The thread of calls outside any event loop: when it starts, when it stops, whose it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time

import pytest
import scripts

from wechatpay import InvalidRequestError
from wechatpay.background import Background, Executor
from wechatpay.process import CURRENT_JOB
from wechatpay.promise import Promise


def thread_of(background):
    """Give the thread that a background runs."""

    async def where():
        return threading.current_thread()

    return Promise.start(where, background).wait()


def test_nothing_is_started_before_it_is_needed(background):
    """Neither construction nor closing starts a thread."""
    threads = threading.active_count()
    background.close()
    asyncio.run(background.aclose())

    assert threads == threading.active_count()


def test_close_waits_for_calls_in_flight_and_the_next_call_starts_another_thread(background):
    """Callbacks included; closed is not broken."""
    seen, first = [], thread_of(background)
    Promise.start(lambda: asyncio.sleep(0.05, 1), background).then(seen.append).then(seen.append)
    background.close()
    background.close()

    assert [1, None] == seen
    assert not first.is_alive()
    assert thread_of(background).is_alive()


def test_close_runs_the_ends_of_async_generators(background):
    """Whatever hangs on the loop is closed with it."""
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

    assert [True] == [loop.is_closed() for loop in closed]


def test_close_names_and_cancels_what_has_had_its_time(background, caplog):
    """Overdue calls do not hold up the end, and their outcome is said to be unknown."""
    Promise.start(lambda: asyncio.sleep(0.01), background, timeout=60)
    slow = Promise.start(asyncio.Event().wait, background, name="POST /v3/pay", timeout=0.01)
    called = []
    caught = slow.otherwise(called.append).otherwise(called.append)
    began = time.monotonic()
    background.close()

    assert 10 > time.monotonic() - began
    assert ["<Promise cancelled>"] * 2 == [repr(slow), repr(caught)]
    assert [] == called
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert "without a response: POST /v3/pay" in caplog.text


@pytest.mark.parametrize("seconds", [5.0, None])
def test_close_waits_for_each_step_of_a_call_as_long_as_it_may_take(background, caplog, seconds):
    """Retries and pauses count: a step that begins extends the deadline."""
    seen = []

    async def call():
        CURRENT_JOB.get().extend(seconds)
        await asyncio.sleep(0.6)
        seen.append("retried")

    Promise.start(call, background, timeout=0.01)
    background.close()

    assert (["retried"], "") == (seen, caplog.text)


def test_close_in_a_callback_returns_at_once_and_works_later(background):
    """It cannot wait for itself; the thread ends after the callback, and after what that began."""
    seen = []

    async def last(value):
        background.close()
        await background.aclose()
        Promise.start(lambda: asyncio.sleep(0.01, value + 1), background).then(seen.append)
        return threading.current_thread()

    thread = Promise.start(lambda: asyncio.sleep(0, 1), background).then(last).wait()
    thread.join(5)

    assert [2] == seen
    assert not thread.is_alive()


def test_aclose_does_not_block_the_loop(background):
    """Other tasks go on while calls in flight end; here, what they wait for."""
    gate = threading.Event()
    promise = Promise.start(lambda: asyncio.to_thread(gate.wait), background)

    async def main():
        closing = asyncio.create_task(background.aclose())
        await asyncio.sleep(0.01)
        assert not closing.done()
        gate.set()
        await closing

    asyncio.run(main())

    assert "<Promise fulfilled>" == repr(promise)


def test_calls_begun_while_closing_get_a_thread_of_their_own(background):
    """Closing does not fail those who use the same Builder in other threads."""
    gate = threading.Event()
    first = Promise.start(lambda: asyncio.to_thread(gate.wait), background)
    closing = threading.Thread(target=background.close)
    closing.start()
    time.sleep(0.05)
    thread = thread_of(background)
    gate.set()
    closing.join(10)

    assert not closing.is_alive()
    assert first.wait()
    assert thread.is_alive()


def test_collected_owner_takes_its_thread_with_it():
    """A Builder that goes out of scope leaves neither thread nor loop."""
    background = Background()
    thread = thread_of(background)
    del background
    gc.collect()
    thread.join(5)

    assert not thread.is_alive()


def test_owner_is_not_collected_while_calls_are_in_flight():
    """A call on a Builder that was never stored is made nevertheless."""
    gate, made = threading.Event(), threading.Event()

    async def call():
        await asyncio.to_thread(gate.wait)
        made.set()

    Promise.start(call, Background())
    gc.collect()
    gate.set()

    assert made.wait(5)


def test_thread_that_cannot_be_started_fails_the_call_before_it_is_sent(background):
    """The error is that of a call of which nothing was sent."""
    size = threading.stack_size(1 << 46)
    try:
        promise = Promise.start(lambda: asyncio.sleep(0), background)
    finally:
        threading.stack_size(size)

    with pytest.raises(InvalidRequestError, match="cannot run"):
        promise.wait()


def test_executor_calls_functions_itself_once_the_main_thread_has_ended(monkeypatch):
    """Then there can be no more threads, but there are calls in flight yet."""
    with Executor() as executor:
        assert threading.get_ident() != executor.submit(threading.get_ident).result()
        monkeypatch.setattr(threading, "main_thread", threading.Thread)

        assert threading.get_ident() == executor.submit(threading.get_ident).result()
        with pytest.raises(ValueError, match="invalid literal"):
            executor.submit(int, "x").result()


def test_exit_waits_for_calls_in_flight():
    """A script may end right after its last call, host names still to be looked up."""
    script = scripts.run("""
        async def call():
            await asyncio.sleep(0.1)
            infos = await asyncio.get_running_loop().getaddrinfo("localhost", 80)
            return bool(infos), threading.main_thread().is_alive()

        Promise.start(call, background).then(print)
        print("end")
    """)

    assert ["end", "(True, False)"] == script.stdout.splitlines()
    assert "" == script.stderr


def test_exit_names_the_calls_that_are_left_after_their_timeouts():
    """The last line says which outcomes are unknown; then the calls are cancelled."""
    script = scripts.run("""
        async def never():
            try:
                await asyncio.Event().wait()
            finally:
                print("cancelled")

        Promise.start(never, background, name="POST /v3/refund", timeout=0.1)
        start(1, 0.1, timeout=60).then(print)
    """)

    assert ["1", "cancelled"] == script.stdout.splitlines()
    assert "1 call(s) without a response: POST /v3/refund" in script.stderr
    assert 1 == len(script.stderr.splitlines())


def test_exit_of_a_script_that_never_closes_is_silent():
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

        Promise.start(call, background).then(print).otherwise(print).wait()
        """,
        interrupt_after="begun",
    )

    assert ["begun", "cancelled"] == script.stdout.splitlines()
    assert script.stderr.strip().endswith("KeyboardInterrupt")
    assert 20 > time.monotonic() - began


def test_ctrl_c_at_exit_ends_the_waiting():
    """Who does not want to wait at exit reads what is left, and may go."""
    script = scripts.run(
        """
        async def never():
            while threading.main_thread().is_alive():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            print("leaving")
            await asyncio.Event().wait()

        Promise.start(never, background, name="POST /v3/pay")
        """,
        interrupt_after="leaving",
    )

    assert 1 == len(script.stderr.splitlines())
    assert "without a response: POST /v3/pay" in script.stderr


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
        start(1).wait()
        atexit.register(late)
    """)

    assert {*script.stdout.split()} <= {"1", "refused"}
    assert 2 == len(script.stdout.split())
