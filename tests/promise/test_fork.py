"""What a forked child can do with what it inherits: own thread, own keys, no lock that stays locked."""

from __future__ import annotations

import pytest
import scripts


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
    """Their call goes on in the parent: waiting in the child would take for ever."""
    script = scripts.run("""
        pending, done = start("late", 0.3), start("done")
        derived, whole = pending.then(str), Promise.all([pending, done])
        done.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            assert not pending.cancel()
            print(pending, done.wait(), done.then(str.upper).wait())
            why = "made before fork(), and its call goes on in the parent"
            for promise in (pending, derived.then(str), whole):
                print(promise.otherwise(lambda error: why in str(error)).wait())
            try:
                asyncio.run(derived)
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


@pytest.mark.parametrize(
    "main",
    [
        pytest.param("asyncio.run(main())", id="in the caller's loop"),
        pytest.param("Promise.start(main, background).wait()", id="on the background's thread"),
    ],
)
def test_child_forked_inside_a_loop_can_make_calls(main):
    """A fork inside a coroutine leaves the child free to begin anew."""
    script = scripts.run(f"""
        async def main():
            kept = start(1, 0.1)
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                print(start("child").wait(), kept.otherwise(lambda error: type(error).__name__).wait())
                os._exit(0)
            print(os.waitpid(child, 0)[1], await kept)

        {main}
    """)

    assert ["child NoResponseError", "0 1"] == script.stdout.splitlines()
    assert "" == script.stderr
