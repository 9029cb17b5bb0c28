"""Files that processes share: locks and replacement, with real forks and file systems that refuse."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import time
from pathlib import Path

import pytest

from wechatpay.private_files import FileLock, open_file, replace_file


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


@pytest.mark.parametrize(("opens", "is_done"), [(3, True), (1000, False)], ids=["for a moment", "for good"])
def test_file_that_another_process_has_open_on_windows_is_tried_again(opens, is_done, tmp_path, monkeypatch):
    """Windows refuses to replace a file while somebody reads it, which takes a moment."""
    real, refusals = Path.replace, itertools.count(1)

    def replace(*paths):
        if next(refusals) <= opens:
            raise PermissionError(errno.EACCES, "used by another process")
        return real(*paths)

    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    file = tmp_path / "keys"
    file.write_bytes(b"old")
    with contextlib.nullcontext() if is_done else pytest.raises(PermissionError):
        replace_file(b"new", file)

    assert (b"new" if is_done else b"old") == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())


def test_file_that_windows_is_replacing_is_opened_again(tmp_path, monkeypatch):
    """A reader is refused, too, for the moment that a replacement takes."""
    real, refusals = os.open, iter([PermissionError(errno.EACCES, "being replaced")])

    def open_(*arguments):
        for refusal in refusals:
            raise refusal
        return real(*arguments)

    file = tmp_path / "keys"
    file.write_bytes(b"new")
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(os, "open", open_)
    os.close(open_file(file))


def test_file_that_may_not_be_replaced_elsewhere_fails_at_once(tmp_path, monkeypatch):
    """Where a refusal lasts, waiting only delays the error."""

    def replace(*_):
        raise PermissionError(errno.EACCES, "a directory of somebody else")

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waits"))
    with pytest.raises(PermissionError):
        replace_file(b"new", tmp_path / "keys")


def test_file_that_cannot_be_replaced_stays(tmp_path):
    """An error leaves what was there, and nothing beside it."""
    folder = tmp_path / "keys"
    (folder / "inner").mkdir(parents=True)

    with pytest.raises(OSError, match="keys"):
        replace_file(b"new", folder)
    assert [folder] == list(tmp_path.iterdir())
