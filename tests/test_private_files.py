"""Files that processes share: locks and replacement, with real forks and file systems that refuse."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from wechatpay.private_files import FileLock, replace_file


@pytest.fixture
def locks(tmp_path):
    """Give two holders of one lock."""
    return [FileLock(tmp_path / "lock") for _ in range(2)]


def descriptors():
    """Count the open files of this process."""
    return len(list(Path("/dev/fd").iterdir()))


def test_one_holder_at_a_time(locks):
    """The second gets the lock once the first has released it; nothing stays open."""
    first, second = locks
    before = descriptors()

    assert [True, False] == [first.acquire(), second.acquire()]
    second.release()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    assert before == descriptors()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_does_not_keep_the_lock(locks):
    """A child that lives on with what it inherited holds up nobody once its parent has released the lock."""
    first, second = locks
    assert first.acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    first.release()
    acquired = second.acquire()
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)

    assert acquired


def test_file_system_without_locks_grants_all(locks, monkeypatch):
    """ENOLCK says that nothing can be locked, not that somebody else has the lock."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = descriptors()

    assert [True, True] == [lock.acquire() for lock in locks]
    for lock in locks:
        lock.release()
    assert before == descriptors()


def test_platform_without_locks_grants_all(locks, monkeypatch):
    """Windows has no `fcntl`."""
    monkeypatch.setattr("wechatpay.private_files.fcntl", None)

    assert [True, True] == [lock.acquire() for lock in locks]
    for lock in locks:
        lock.release()


def test_replaced_file_is_private(tmp_path):
    """Whatever its mode was, only its owner can read it; nothing else is left behind."""
    file = tmp_path / "keys"
    file.write_bytes(b"old")
    file.chmod(0o644)

    replace_file(b"new", file)

    assert [file] == list(tmp_path.iterdir())
    assert (b"new", 0o600) == (file.read_bytes(), file.stat().st_mode & 0o777)


def test_file_that_cannot_be_replaced_stays(tmp_path):
    """An error leaves what was there, and nothing beside it."""
    folder = tmp_path / "keys"
    (folder / "inner").mkdir(parents=True)

    with pytest.raises(OSError, match="keys"):
        replace_file(b"new", folder)
    assert [folder] == list(tmp_path.iterdir())
