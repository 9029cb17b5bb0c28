"""The lock between processes, with real files, forks and file systems that refuse."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from wechatpay.file_lock import FileLock


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
    monkeypatch.setattr("wechatpay.file_lock.fcntl", None)

    assert [True, True] == [lock.acquire() for lock in locks]
    for lock in locks:
        lock.release()
