"""One claim for each event: what all stores promise, and those that processes share in a file or on Redis."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from notification.callbacks import envelope, handler, signed

from wechatpay import ConfigurationError, ConnectError
from wechatpay.notification import MemoryStore, RedisStore, SQLiteStore

BODY = envelope()

TESTS = Path(__file__).parents[1]

#: Handles one event in a process of its own, and prints the reply and whether the event was handled here.
WORKER = """
import json, sys
from notification.callbacks import handler, signed, envelope
from wechatpay.notification import RedisStore, SQLiteStore
kind, place = sys.argv[1:]
seen, body = [], envelope()
reply = handler(store=vars()[kind](place)).handle(signed(body), body, seen.append)
print(json.dumps([reply.status, reply.body.decode(), len(seen)]))
"""

#: Opens the file of an earlier run in a process that cannot write it, and prints the error.
READER = """
import os, resource, sys, tempfile
from pathlib import Path
from wechatpay.notification import SQLiteStore
directory = Path(tempfile.mkdtemp(dir="/tmp"))
path = directory / "events.db"
SQLiteStore(path)
os.chmod(path, 0o444)
os.chmod(directory, 0o555)
try:
    if sys.argv[1] == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    elif os.getuid() == 0:  # who may write any file
        os.seteuid(65534)
    SQLiteStore(path)
except Exception as error:
    print(type(error).__name__, error)
finally:
    os.seteuid(os.getuid())
    os.chmod(directory, 0o755)
    path.unlink()
    directory.rmdir()
"""


@pytest.fixture(params=["SQLiteStore", "RedisStore"])
def place(request, tmp_path):
    """Give the class of a store, and where it keeps events."""
    if request.param == "SQLiteStore":
        return SQLiteStore, tmp_path / "events.db"
    return RedisStore, request.getfixturevalue("clean_redis")


@pytest.fixture(params=["MemoryStore", "SQLiteStore", "RedisStore"])
def store(request, tmp_path):
    """Give one store after the other."""
    if request.param == "MemoryStore":
        return MemoryStore()
    if request.param == "SQLiteStore":
        return SQLiteStore(tmp_path / "events.db")
    return RedisStore(request.getfixturevalue("clean_redis"))


def test_event_is_claimed_once(store):
    """The second to ask does not get it, and there is no reply yet."""
    assert [True, False, True] == [store.claim("a", 10), store.claim("a", 10), store.claim("b", 10)]
    assert store.reply("a") is None
    assert store.reply("unknown") is None


def test_completed_event_keeps_its_reply(store):
    """It cannot be claimed any more, nor released."""
    store.claim("a", 10)
    store.complete("a", b'{"status": 200}')
    store.release("a")

    assert not store.claim("a", 10)
    assert b'{"status": 200}' == store.reply("a")


def test_released_event_can_be_claimed_again(store):
    """Its next delivery shall be handled."""
    store.claim("a", 10)
    store.release("a")
    store.release("unknown")

    assert store.claim("a", 10)


def test_claim_expires(store):
    """A process that died does not block an event for ever."""
    assert store.claim("a", 0.001)
    threading.Event().wait(0.01)

    assert store.claim("a", 10)


def test_completed_event_is_forgotten_in_the_end(place):
    """Memory is for as long as deliveries go on, two days by default."""
    make, where = place
    store = make(where, ttl=0.001)
    store.claim("a", 10)
    store.complete("a", b"{}")
    threading.Event().wait(0.01)

    assert store.reply("a") is None
    assert store.claim("a", 10)


def test_of_many_threads_one_gets_the_claim(store):
    """Claiming is one atomic step."""
    start = threading.Barrier(8)

    def claim(event):
        start.wait(5)
        return store.claim(event, 10)

    with ThreadPoolExecutor(8) as pool:
        for event in map(str, range(10)):
            assert 1 == sum(pool.map(claim, [event] * 8))


def test_processes_handle_an_event_once(place):
    """The second process sends the reply of the first."""
    make, where = place
    command = [sys.executable, "-c", WORKER, make.__name__, str(where)]
    outcomes = [
        json.loads(subprocess.run(command, cwd=TESTS, capture_output=True, check=True).stdout) for _ in "12"
    ]

    success = '{"code":"SUCCESS","message":"OK"}'
    assert [[200, success, 1], [200, success, 0]] == outcomes


def test_failed_event_is_handled_at_the_next_delivery(store):
    """The claim is released; from an event loop the store runs on a thread."""
    seen, outcomes = [], iter([LookupError(), None])

    def process(notification):
        seen.append(notification.id)
        if error := next(outcomes):
            raise error

    service = handler(store=store)
    with pytest.raises(LookupError):
        service.handle(signed(BODY), BODY, process)
    first, second = (asyncio.run(service.ahandle(signed(BODY), BODY, process)) for _ in range(2))

    assert first == second
    assert 2 == len(seen)


def test_workers_that_start_while_others_write_share_the_file(tmp_path):
    """Each opens it, and one of them gets each claim; none finds it locked."""
    start = threading.Barrier(8)

    def work(_):
        start.wait(5)
        return [SQLiteStore(tmp_path / "events.db").claim(f"{event}", 10) for event in range(20)]

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(work, range(8)))

    assert [1] * 20 == [sum(outcomes) for outcomes in zip(*claims, strict=True)]


def test_file_stays_small(tmp_path):
    """What has expired is deleted."""
    now = 0.0
    store = SQLiteStore(tmp_path / "events.db", ttl=100, clock=lambda: now)
    for number in range(10):
        store.complete(str(number), b"{}")
    now = 100.0
    store.claim("a", 10)
    with sqlite3.connect(tmp_path / "events.db") as database:
        rows = database.execute("SELECT id FROM events").fetchall()
    database.close()

    assert [("a",)] == rows


@pytest.mark.parametrize("name", ["missing/events.db", "text.db"])
def test_file_that_cannot_be_used_is_an_error_that_names_it(tmp_path, name):
    """The service does not start."""
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(ConfigurationError, match=rf"^store: .*{name}': "):
        SQLiteStore(tmp_path / name)


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_file_that_cannot_be_written_is_an_error_at_once(kind):
    """A file of an earlier run, too: otherwise each callback would fail later."""
    ran = subprocess.run(
        [sys.executable, "-c", READER, kind], cwd=TESTS, capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("ConfigurationError store: ")
    assert "give a file that this process can write" in ran.stdout


def test_server_that_is_gone_is_an_error_that_says_what_follows(clean_redis):
    """The event is not handled, and no password is shown."""
    store = RedisStore(clean_redis.replace("hunter2", "wrong-hunter"))
    for act in (
        lambda: store.claim("a", 10),
        lambda: store.complete("a", b"{}"),
        lambda: store.reply("a"),
        lambda: store.release("a"),
    ):
        with pytest.raises(
            ConnectError, match=r"^store: the Redis server failed .* delivers .* again"
        ) as caught:
            act()
        assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("decode", [False, True])
def test_client_of_ones_own_will_do(clean_redis, decode):
    """A client may decode what it gets, and keys may begin with anything."""
    import redis  # noqa: PLC0415  only here

    with redis.Redis.from_url(clean_redis, decode_responses=decode) as client:
        store = RedisStore(client, prefix="mine:")
        store.complete("a", b"{}")

        assert b"{}" == store.reply("a")
        assert 172_790 < client.ttl("mine:a") <= 172_800


def test_missing_library_and_wrong_server_are_reported_at_once(monkeypatch):
    """The service does not start, and the error names the setting."""
    with pytest.raises(ConfigurationError, match=r"^store: give a URL or a redis\.Redis"):
        RedisStore(6379)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"^store: RedisStore needs redis: pip install"):
        RedisStore("redis://localhost")


def test_repr_names_the_place_and_no_event(tmp_path):
    """A URL may hold a password."""
    assert f"<SQLiteStore {tmp_path / 'a.db'}>" == repr(SQLiteStore(tmp_path / "a.db"))
    pytest.importorskip("redis")
    assert "<RedisStore wechatpay:event:>" == repr(RedisStore("redis://:hunter2@localhost"))
