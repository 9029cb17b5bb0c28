"""Workers share downloads through a directory, whose files are verified like responses."""

from __future__ import annotations

import json
import os
import time

import pytest
import rotation
from rotation import SERIALS, body, item
from wire.gateway import proof

from wechatpay.apiv3.certificate_cache import CertificateCache
from wechatpay.apiv3.certificate_refresher import CertificateRefresher
from wechatpay.apiv3.keys import PlatformKeys
from wechatpay.messages import Headers, Response
from wechatpay.secret import Secret

NOW = int(time.time())


@pytest.fixture
def directory(tmp_path):
    """Give a directory that does not exist yet."""
    return tmp_path / "cache" / "certs"


@pytest.fixture
def cache(directory):
    """Give a cache in it."""
    return CertificateCache(directory, "1900000109 https://api.mch.weixin.qq.com/")


@pytest.fixture
def file(cache, directory):
    """Give the file of a download that was written."""
    cache.write(response())
    [file] = directory.glob("*.json")
    return file


def response(at=NOW, name="new", **how):
    """Give a response with a list of certificates, signed at some time."""
    content = body(item(name))
    return Response(
        200, Headers(proof(content, **{"serial": SERIALS[name], "key": name, "at": at} | how)), content
    )


def taken(cache, as_of=0):
    """Return what a worker, whose list was signed ``as_of``, takes from the cache."""
    keys = PlatformKeys(clock=lambda: NOW)
    keys.adopt({}, as_of)
    secret = Secret(rotation.APIV3_KEY.encode())
    refresher = CertificateRefresher(keys, secret, lambda: None, clock=lambda: NOW, cache=cache)
    cached = cache.read()
    return cached and refresher._check_cached(cached)


def test_one_worker_reads_what_another_wrote(cache, directory):
    """The file holds the response as it was received, and is verified again."""
    cache.write(response())
    other = CertificateCache(directory, "1900000109 https://api.mch.weixin.qq.com/")

    assert [SERIALS["new"]] == list(taken(other).keys)
    assert NOW == taken(other).as_of


def test_file_is_its_owners_alone(file, directory):
    """Neither file nor directory are open to others, whatever the umask, and nothing else is left behind."""
    assert 0o600 == file.stat().st_mode & 0o777
    assert 0o700 == directory.stat().st_mode & 0o777
    assert [file] == list(directory.iterdir())


def test_nothing_is_written_before_there_is_something(cache, directory):
    """Choosing a directory does not make it."""
    assert cache.read() is None
    assert not directory.exists()


def test_merchants_share_a_directory_and_no_file(cache, directory):
    """Each merchant, and each gateway, has a file of its own."""
    cache.write(response())

    assert CertificateCache(directory, "1900000110 https://api.mch.weixin.qq.com/").read() is None


def test_file_holds_no_certificate_in_the_clear(file):
    """Who reads the file learns nothing that the APIv3 key protects."""
    assert b"BEGIN" not in file.read_bytes()
    assert rotation.APIV3_KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("age", "is_taken"),
    [(0, True), (12 * 3600 - 1, True), (12 * 3600, False), (-300, True), (-301, False)],
    ids=["now", "fresh", "stale", "clock behind", "future"],
)
def test_stale_file_is_ignored(cache, age, is_taken):
    """The age is that of the signature, which cannot be made younger."""
    cache.write(response(at=NOW - age))

    assert is_taken == (taken(cache) is not None)


def test_file_cannot_bring_an_older_list_back(cache):
    """A list that is not newer than ours is ignored: withdrawn certificates do not return."""
    cache.write(response(at=NOW - 60))

    assert taken(cache, NOW - 60) is None
    assert taken(cache, NOW - 61) is not None


def test_younger_time_in_a_file_is_noticed(cache, file):
    """The time is part of the signed text."""
    cache.write(response(at=NOW - 13 * 3600))
    kept = json.loads(file.read_text())
    kept["headers"]["Wechatpay-Timestamp"] = str(NOW)
    file.write_text(json.dumps(kept))

    assert taken(cache) is None


def test_forged_file_is_ignored(cache):
    """Who does not have the APIv3 key can put no certificate into the set."""
    content = body(item("odd", apiv3_key="another0apiv3key0of0032characters"[:32]))
    headers = Headers(proof(content, serial=SERIALS["odd"], key="odd", at=NOW))
    cache.write(Response(200, headers, content))

    assert taken(cache) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"headers":{},"body":"{}"}',
        b'{"headers":[],"body":"{}"}',
        b'{"headers":null}',
        b"[" * 100_000,
    ],
    ids=["empty", "object", "list", "null", "bytes", "no headers", "headers", "null headers", "deep"],
)
def test_damaged_file_is_ignored(cache, file, text):
    """A file that was cut off, or is something else, is as good as none."""
    file.write_bytes(text)

    assert taken(cache) is None


def test_timestamp_that_is_not_a_number_is_ignored(cache):
    """Headers in a file are no better than the file."""
    cache.write(response())
    cached = cache.read()
    headers = cached.headers.with_({"Wechatpay-Timestamp": "soon"})
    cache.write(Response(200, headers, cached.content))

    assert taken(cache) is None


def test_huge_file_is_not_read_whole(cache, file):
    """A file that somebody blew up costs no memory."""
    with file.open("r+b") as opened:
        opened.truncate(1 << 31)

    assert cache.read() is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_ignored(cache, file, mode, caplog):
    """What another user may have written is not looked at."""
    file.chmod(mode)

    assert cache.read() is None
    assert "open to others" in caplog.text


def test_file_on_windows_is_read(cache, file, monkeypatch):
    """Windows has no owners, and reports mode 666 of every file: its access lists decide."""
    monkeypatch.delattr(os, "geteuid")
    file.chmod(0o666)

    assert cache.read() is not None


def test_link_is_not_followed(cache, file, tmp_path):
    """A link in the place of the file leads nowhere."""
    elsewhere = file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(elsewhere)

    assert cache.read() is None


def test_pipe_is_not_waited_for(cache, file):
    """A pipe in the place of the file blocks no call."""
    file.unlink()
    os.mkfifo(file, 0o600)

    assert cache.read() is None


def test_directory_that_cannot_be_written_fails_no_call(tmp_path, caplog):
    """A full or foreign disk costs the sharing, and nothing else."""
    (tmp_path / "file").write_text("")
    cache = CertificateCache(tmp_path / "file", "1900000109")
    cache.write(response())

    assert cache.read() is None
    assert "could not be saved" in caplog.text
    assert [True, True] == [cache.claim(cache.make_lock()) for _ in range(2)]


def test_failed_write_leaves_the_last_file_and_nothing_else(cache, file, directory):
    """A file is replaced as a whole or not at all."""
    file.unlink()
    file.mkdir()
    cache.write(response())

    assert [file] == list(directory.iterdir())


def test_body_that_is_not_utf_8_is_not_saved(cache):
    """Bytes that are not UTF-8 cannot be a list of certificates."""
    cache.write(Response(200, Headers(proof(b"\xff")), b"\xff"))

    assert cache.read() is None


def test_one_process_downloads_at_a_time(cache, directory):
    """The lock is held until it is released, or its holder dies, and is never waited for."""
    other = CertificateCache(directory, "1900000109 https://api.mch.weixin.qq.com/")
    lock, again = cache.make_lock(), other.make_lock()
    assert cache.claim(lock)
    assert not other.claim(again)
    again.release()
    assert not other.claim(again)
    lock.release()

    assert other.claim(again)
    again.release()
    assert 0o600 == next(directory.glob("*.lock")).stat().st_mode & 0o777
