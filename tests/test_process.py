"""What a forked child can do with what it inherits: own thread, own keys, no lock that stays locked."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time

import keys
import merchants
import pytest
import scripts
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from wire.gateway import SERIAL

from wechatpay.crypto import rsa
from wechatpay.media import Media
from wechatpay.notification import MemoryStore
from wechatpay.process import PerProcess, renew_in_child

SETTINGS = """{{
    "mchid": {mchid!r}, "serial": {serial!r}, "private_key": {key!r},
    "certs": {certs!r}, "base_uri": {url!r}, "proxies": {{}},
}}"""

LOAD = """
from wechatpay import Builder

instance = Builder(**{settings})

def load():
    while not stop.is_set():
        instance.v3.pay.get()
        instance.v3.pay.getAsync().wait()

def check(number):
    signal.alarm(60)
    assert instance.v3.child.get(query={{"n": number}}).json() == {{}}
    assert instance.v3.child.getAsync(query={{"n": number}}).wait().json() == {{}}
    instance.getDriver().close()

stop = threading.Event()
threads = [threading.Thread(target=load) for _ in range(3)]
for thread in threads:
    thread.start()
time.sleep(0.2)
codes = []
"""

FORKS = {
    "os.fork": """
for number in range(4):
    if (child := os.fork()) == 0:
        check(number)
        os._exit(0)
    codes.append(os.waitpid(child, 0)[1])
""",
    "multiprocessing": """
import multiprocessing

context = multiprocessing.get_context("fork")
for number in range(4):
    process = context.Process(target=check, args=(number,))
    process.start()
    process.join(90)
    codes.append(process.exitcode)
""",
    # As gunicorn does with preload_app: workers are forked together, serve, and leave by sys.exit().
    "preforking": """
children = []
for number in range(4):
    if (child := os.fork()) == 0:
        stop.set()
        check(number)
        sys.exit()
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
""",
}


def settings(url):
    """Give settings of a Builder as text."""
    return SETTINGS.format(
        mchid=merchants.MCHID,
        serial=merchants.MERCHANT_SERIAL,
        key=keys.pem(),
        certs={SERIAL: keys.public_pem("platform")},
        url=url,
    )


@pytest.mark.parametrize("way", FORKS)
def test_child_forked_while_threads_are_calling_makes_calls_of_its_own(gateway, way):
    """It never hangs, whatever lock a thread held, and what it signs verifies."""
    begin = LOAD.format(settings=settings(gateway.url))
    script = scripts.run("\n".join([begin, FORKS[way], "stop.set()", "print(set(codes))"]))

    assert ("{0}\n", "") == (script.stdout, script.stderr)
    calls = [seen for seen in gateway.seen if seen.target.startswith("/v3/child")]
    assert len(calls) >= 8
    for seen in calls:
        merchants.signed_text(seen)


def test_spawned_process_makes_a_builder_of_its_own(gateway, tmp_path):
    """What multiprocessing spawns starts anew, with the settings."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing
from wechatpay import Builder

def work(settings, queue):
    instance = Builder(**settings)
    queue.put([instance.v3.pay.get().json(), instance.v3.pay.getAsync().wait().json()])

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=({settings(gateway.url)}, queue))
    process.start()
    print(queue.get(timeout=30))
    process.join(90)
    print(process.exitcode)
""")
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)

    assert (["[{}, {}]", "0"], "") == (run.stdout.splitlines(), run.stderr)


def forked(check):
    """Return whether a check is true in a forked child."""
    if (child := os.fork()) == 0:
        os._exit(0 if check() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_value_of_a_process_is_made_once_in_each():
    """The child's is new, the parent's stays; a fork waits for a thread that makes one."""
    value, begun = PerProcess(object), threading.Event()

    def make():
        begun.set()
        time.sleep(0.2)
        return begun

    slow = PerProcess(make)
    first = value.get()
    thread = threading.Thread(target=slow.get)
    thread.start()
    begun.wait(5)

    assert forked(lambda: value.value is None and value.get() is not first and slow.get() is begun)
    thread.join(5)
    assert (first, begun) == (value.get(), slow.value)
    value.discard(object())
    assert first is value.take()
    assert value.value is None
    value.discard(value.get())
    assert value.value is None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_keys_are_parsed_anew_in_a_child(instance):
    """OpenSSL's state of a key, which a thread may be changing, stays in the parent; the key is the same."""
    merchant = instance.getDriver()._settings.merchant
    platform = merchant.platform.get(SERIAL)
    private, public = merchant.private_key, platform.public_key

    assert forked(
        lambda: (
            merchant.private_key is not private
            and merchant.private_key.private_numbers() == private.private_numbers()
        )
    )
    assert forked(lambda: platform.public_key is not public and platform.public_key == public)
    assert (private, public) == (merchant.private_key, platform.public_key)


class Slow(threading.Thread):
    """A thread that a fork finds inside of what it calls: `pause` there waits for `end`."""

    def __init__(self, call):
        super().__init__(target=call, daemon=True)
        self.paused, self.ended = threading.Event(), threading.Event()

    @staticmethod
    def pause():
        """Wait if this thread is one of these."""
        if isinstance(thread := threading.current_thread(), Slow):
            thread.paused.set()
            thread.ended.wait(30)

    def __enter__(self):
        self.start()
        assert self.paused.wait(5)

    def __exit__(self, *_):
        self.ended.set()
        self.join(5)


class SlowStream(io.BytesIO):
    """A stream that a `Slow` thread takes long to read."""

    def read(self, size=-1):
        """Read all there is."""
        Slow.pause()
        return super().read(size)


def alarmed(check):
    """Give a check that ends its process if it takes more than 5 s."""

    def run():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        return check()

    return run


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_forked_while_a_thread_claims_an_event_claims_events():
    """A lock that a thread of the parent's holds is not the child's."""
    store = MemoryStore(clock=lambda: Slow.pause() or time.monotonic())
    with Slow(lambda: store.claim("parent's", 60)):
        assert forked(alarmed(lambda: store.claim("child's", 60)))

    assert store.claim("child's", 60)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_forked_while_a_thread_reads_a_file_reads_it():
    """The same for an upload."""
    media = Media(SlowStream(b"content"), filename="a.png")
    with Slow(media.read):
        assert forked(alarmed(lambda: media.read().content == b"content"))


class UnexportableKey:
    """A key that stays in a device."""


RSAPrivateKey.register(UnexportableKey)


def test_key_that_cannot_be_exported_is_shared():
    """A device may give no copy: it is used as it is."""
    key = UnexportableKey()

    assert key is rsa.prepare_copy(key)()
    assert "elsewhere" == rsa.prepare_copy("elsewhere")()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_attribute_is_renewed_for_as_long_as_its_owner_exists():
    """What is gone costs a child nothing."""

    class Owner:
        value = 1

    owners, made = [Owner()], []
    renew_in_child(owners[0], "value", lambda: made.append(1) or 2)

    assert forked(lambda: (2, [1]) == (owners[0].value, made))
    assert 1 == owners.pop().value
    gc.collect()
    assert forked(lambda: [] == made)


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
