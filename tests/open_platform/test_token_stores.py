"""Where tokens are kept: what every store promises, and what each promises besides."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from open_platform.accounts import APP

from wechatpay import ConfigurationError, ConnectError
from wechatpay.open_platform import FileTokens, MemoryTokens, RedisTokens, Token

KEY = "wx8888888888888888@api.weixin.qq.com/"
TOKEN = Token("T0KEN_-", 4102444800.5)


@pytest.fixture(params=["memory", "file", "redis"])
def store(request, tmp_path):
    """Give one store after the other."""
    if request.param == "memory":
        return MemoryTokens()
    if request.param == "file":
        return FileTokens(tmp_path / "tokens.json")
    return RedisTokens(request.getfixturevalue("clean_redis"))


def test_store_keeps_one_token_for_each_key(store):
    """What was put last is what one gets; other keys have others."""
    assert store.get(KEY) is None
    store.put(KEY, Token("first", 4102444800.0))
    store.put("other@host/", Token("other", 4102444801.0))
    store.put(KEY, TOKEN)

    assert TOKEN == store.get(KEY)
    assert "other" == store.get("other@host/").value


def test_lock_belongs_to_one_owner(store):
    """A second owner does not get the lock until the first releases it; nobody else can release it."""
    assert store.acquire(KEY, "a")
    assert not store.acquire(KEY, "b")
    store.release(KEY, "b")
    assert not store.acquire(KEY, "b")
    store.release(KEY, "a")
    assert store.acquire(KEY, "b")
    store.release(KEY, "b")
    store.release(KEY, "b")


def test_lock_is_taken_by_one_of_many_threads(store):
    """Of threads that ask at the same moment one is told that it has the lock."""
    start = threading.Barrier(16)

    def take(number):
        start.wait()
        return store.acquire(KEY, str(number))

    with ThreadPoolExecutor(16) as pool:
        taken = [number for number, has_it in enumerate(pool.map(take, range(16))) if has_it]

    assert 1 == len(taken)
    store.release(KEY, str(taken[0]))


def test_store_shows_no_token(store):
    """Neither a store nor a token shows the token."""
    store.put(KEY, TOKEN)

    assert "T0KEN" not in f"{store!r}{TOKEN!r}"
    assert "hunter2" not in repr(store)


def test_forgotten_lock_in_memory_opens_by_itself(monkeypatch):
    """A lock that nobody released is open again after half a minute."""
    store = MemoryTokens()
    assert store.acquire(KEY, "a")
    later = time.monotonic() + 31
    monkeypatch.setattr("wechatpay.open_platform.stores.time.monotonic", lambda: later)

    assert store.acquire(KEY, "b")
    store.release(KEY, "a")
    assert not store.acquire(KEY, "c")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_forked_child_inherits_tokens_and_no_lock_of_its_own(kind, tmp_path):
    """A child does not have the parent's lock; only the parent releases the lock of a file."""
    store = MemoryTokens() if kind == "memory" else FileTokens(tmp_path / "tokens.json")
    store.put(KEY, TOKEN)
    assert store.acquire(KEY, "parent")
    child = os.fork()
    if not child:
        store.release(KEY, "parent")
        fine = store.get(KEY) == TOKEN and store.acquire(KEY, "child") is (kind == "memory")
        os._exit(0 if fine else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    store.release(KEY, "parent")
    assert store.acquire(KEY, "again")
    store.release(KEY, "again")


def test_file_system_without_locks_costs_no_waiting(build, client, platform, tmp_path, monkeypatch):
    """Where nothing can be locked, nobody else has the lock: the token is requested at once."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    instance = build(app=APP, tokens=FileTokens(tmp_path / "tokens"))
    begun = time.monotonic()
    client.call(instance.cgiBin.message.template.send, "post", json={})

    assert time.monotonic() - begun < 5
    assert 1 == len(platform.fetches)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_lock_of_a_process_that_died_is_open(tmp_path):
    """A file's lock ends with its holder, whatever that died of."""
    store = FileTokens(tmp_path / "tokens.json")
    child = os.fork()
    if not child:
        store.acquire(KEY, "child")
        os.kill(os.getpid(), 9)

    assert -9 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert store.acquire(KEY, "parent")
    store.release(KEY, "parent")


def test_file_is_its_owners_alone(tmp_path):
    """The file and its lock may be read and written by nobody else, whatever the umask is."""
    store = FileTokens(tmp_path / "tokens.json")
    umask = os.umask(0)
    try:
        store.put(KEY, TOKEN)
        store.acquire(KEY, "a")
    finally:
        os.umask(umask)
    store.release(KEY, "a")

    assert {"tokens.json": 0o600, "tokens.json.lock": 0o600} == {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_file_that_is_open_to_others_is_refused(tmp_path, mode):
    """A file that others can read or write is an error that says what to do."""
    path = tmp_path / "tokens.json"
    store = FileTokens(path)
    store.put(KEY, TOKEN)
    path.chmod(mode)
    with pytest.raises(
        ConfigurationError, match=r"tokens\.json' must be a file that only its owner can read: chmod 600"
    ):
        store.get(KEY)


def test_file_on_windows_is_read(tmp_path, monkeypatch):
    """Windows has no owners, and reports mode 666 of every file: its access lists decide."""
    monkeypatch.delattr(os, "geteuid")
    path = tmp_path / "tokens.json"
    store = FileTokens(path)
    store.put(KEY, TOKEN)
    path.chmod(0o666)

    assert TOKEN == store.get(KEY)


def test_file_is_never_seen_in_halves(tmp_path):
    """Readers see the last token or the next, whatever happens in between; writers leave nothing behind."""
    path = tmp_path / "tokens.json"
    store = FileTokens(path)
    store.put(KEY, TOKEN)
    done = threading.Event()

    def write():
        for number in range(200):
            store.put(KEY, Token("x" * number * 50 + "x", 4102444800.0))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert store.get(KEY) is not None
    writer.join()
    with pytest.raises(TypeError):
        store.put(KEY, Token(object(), 1.0))

    assert ["tokens.json"] == [entry.name for entry in tmp_path.iterdir()]


@pytest.mark.parametrize("text", ["hello", "[]", '{"a"', '"a"'])
def test_other_files_are_not_overwritten(tmp_path, text):
    """A path that names some other file is an error; the file stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text(text)
    path.chmod(0o600)
    for act in (lambda store: store.get(KEY), lambda store: store.put(KEY, TOKEN)):
        with pytest.raises(ConfigurationError, match="is not a file of tokens"):
            act(FileTokens(path))

    assert text == path.read_text()


@pytest.mark.parametrize(
    "kept",
    [None, 1, "T", {}, {"access_token": 1, "good_until": 1}, {"access_token": "", "good_until": 1},
     {"access_token": "T", "good_until": None}, {"access_token": "T", "good_until": float("inf")}],
    ids=repr,
)  # fmt: skip
def test_what_is_not_a_token_is_none(tmp_path, clean_redis, kept):
    """What does not look like a token, in a file or on a server, is taken for none, and replaced."""
    import redis  # noqa: PLC0415  only here

    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({KEY: kept}))
    path.chmod(0o600)
    with redis.Redis.from_url(clean_redis) as client:
        client.set(f"wechatpay:token:{KEY}", json.dumps(kept))
    for store in (FileTokens(path), RedisTokens(clean_redis)):
        assert store.get(KEY) is None
        store.put(KEY, TOKEN)
        assert TOKEN == store.get(KEY)


def test_empty_file_holds_no_tokens(tmp_path):
    """A file that was made beforehand, empty, will do."""
    path = tmp_path / "tokens.json"
    path.touch(0o600)

    assert FileTokens(str(path)).get(KEY) is None


@pytest.mark.parametrize("name", [".", "missing/tokens.json"])
def test_path_must_be_a_files(tmp_path, name):
    """A directory, or a file in none, is refused at once."""
    with pytest.raises(ConfigurationError, match=r"tokens: .* must be a file in a directory that exists"):
        FileTokens(tmp_path / name)


def test_links_are_not_followed(tmp_path):
    """A link in the place of the file leads nowhere: who can make one chooses where tokens go."""
    path = tmp_path / "tokens.json"
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConfigurationError, match=r"tokens: .*: Too many levels of symbolic links"):
        FileTokens(path).get(KEY)


def test_pipes_are_not_waited_for(tmp_path):
    """What is not an ordinary file is refused, and holds nobody up."""
    path = tmp_path / "tokens.json"
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigurationError, match="tokens: "):
        FileTokens(path).get(KEY)


def test_directory_that_vanishes_is_named(tmp_path):
    """Trouble with the disk is an error that names the file."""
    folder = tmp_path / "folder"
    folder.mkdir()
    store = FileTokens(folder / "tokens.json")
    folder.rmdir()
    for act in (lambda: store.put(KEY, TOKEN), lambda: store.acquire(KEY, "a")):
        with pytest.raises(ConfigurationError, match=r"folder/tokens\.json': No such file or directory"):
            act()


def test_token_leaves_the_server_when_it_is_no_longer_good(clean_redis):
    """On the server a token has a lifetime, and a lock has one of half a minute."""
    import redis  # noqa: PLC0415  only here

    store = RedisTokens(clean_redis, prefix="mine:")
    store.put(KEY, Token("T", time.time() + 100))
    store.acquire(KEY, "a")
    with redis.Redis.from_url(clean_redis) as client:
        assert 99 <= client.ttl(f"mine:{KEY}") <= 100
        assert 29 <= client.ttl(f"mine:{KEY}:lock") <= 30
        store.put(KEY, Token("T", time.time() - 100))
        assert client.ttl(f"mine:{KEY}") <= 1


@pytest.mark.parametrize("decode", [False, True])
def test_client_of_ones_own_will_do(clean_redis, decode):
    """A client that the application has already is used as it is, whether it decodes responses or not."""
    import redis  # noqa: PLC0415  only here

    with redis.Redis.from_url(clean_redis, decode_responses=decode) as client:
        store = RedisTokens(client)
        store.put(KEY, TOKEN)

        assert TOKEN == store.get(KEY)


def test_server_that_is_gone_is_an_error_that_says_what_was_sent(clean_redis):
    """No response from the server means that nothing was sent, and shows neither password nor token."""
    store = RedisTokens(clean_redis.replace("hunter2", "wrong-hunter"))
    for act in (
        lambda: store.get(KEY),
        lambda: store.put(KEY, TOKEN),
        lambda: store.acquire(KEY, "a"),
        lambda: store.release(KEY, "a"),
    ):
        with pytest.raises(
            ConnectError, match=r"the Redis server failed \(AuthenticationError\): no request was sent"
        ) as caught:
            act()
        assert "hunter" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_server_must_be_a_url_or_a_blocking_client():
    """Anything else is refused at once, an asynchronous client too, and a URL is not quoted."""
    import redis.asyncio  # noqa: PLC0415  only here

    for server in (None, 6379, redis.asyncio.Redis()):
        with pytest.raises(ConfigurationError, match=r"give a URL or a redis\.Redis, the blocking client"):
            RedisTokens(server)
    for url in ("localhost:6379", "http://user:hunter2@host", "redis://:hunter2@host:port"):
        with pytest.raises(ConfigurationError, match="give the URL of a Redis server") as caught:
            RedisTokens(url)
        assert "hunter2" not in str(caught.value)


def test_missing_library_says_how_to_install_it(monkeypatch):
    """Without the extra the error names it."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'wechatpay-chainable\[redis\]'"):
        RedisTokens("redis://localhost")
