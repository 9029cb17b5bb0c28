"""Downloads reach their sink once they are verified, and leave nothing behind when they are not."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import stat
import threading
import time
import tracemalloc
from base64 import b64encode
from email.utils import formatdate
from types import SimpleNamespace

import keys
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from wire import gateway as wire

from wechatpay import APIError, ClockSkewError, InvalidRequestError, NoResponseError, SignatureError
from wechatpay.transports.sink import Sink

BODY = "﻿交易时间,金额\r\n`2026-11-21,`0.01\r\n".encode() * 9999
OLD = b"what was there before"


@pytest.fixture
def path(tmp_path):
    """Give a path in a directory of its own, where a file lies already."""
    path = tmp_path / "bill.csv"
    path.write_bytes(OLD)
    return path


class TestPath:
    """A sink that is a path."""

    @pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "Path"])
    def test_verified_body_is_renamed_into_place(self, kind, path, gateway, instance, client):
        """The file holds the whole body, nothing lies beside it, and the response is empty."""
        gateway.respond(wire.signed(BODY))
        response = client.call(instance.v3.certificates, "get", sink=kind(path))

        assert BODY == path.read_bytes()
        assert [path] == list(path.parent.iterdir())
        assert b"" == response.content

    def test_file_permissions_follow_the_umask(self, path, gateway, instance, client):
        """The file is as readable as any other that the program makes."""
        gateway.respond(wire.signed(BODY))
        path.unlink()
        before = os.umask(0o027)
        try:
            client.call(instance.v3.certificates, "get", sink=path)
        finally:
            os.umask(before)

        assert 0o640 == stat.S_IMODE(path.stat().st_mode)

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o666], ids=oct)
    def test_file_that_is_replaced_keeps_its_permissions(self, mode, path, gateway, instance, client):
        """Bills that were private stay so, before the download ends too."""
        path.chmod(mode)
        modes = []

        def look(_, peer):
            response = wire.signed(BODY)
            peer.send(response[:-10])
            while not (parts := list(path.parent.glob(".*.part"))):
                time.sleep(0.01)
            time.sleep(0.05)
            modes.append(stat.S_IMODE(parts[0].stat().st_mode))
            peer.send(response[-10:])

        gateway.behaviour = look
        client.call(instance.v3.certificates, "get", sink=path)

        assert [mode, mode] == [*modes, stat.S_IMODE(path.stat().st_mode)]

    @pytest.mark.parametrize(
        ("response", "error"),
        [
            (lambda: wire.signed(BODY, key="stranger"), SignatureError),
            (lambda: wire.signed(BODY).replace(b"0.01", b"9.99", 1), SignatureError),
            (lambda: wire.signed(BODY)[:-1000], NoResponseError),
            (lambda: wire.reply(b"<html>", "502 Bad Gateway"), APIError),
            (lambda: wire.signed(b'{"code":"X"}', "404 Not Found"), APIError),
        ],
        ids=["stranger's", "tampered", "cut off", "502", "404"],
    )
    def test_response_that_fails_touches_nothing(self, response, error, path, gateway, instance, client):
        """The old file stays, and no part of the new one does."""

        def misbehave(_, peer):
            peer.send(response())
            peer.close()

        gateway.behaviour = misbehave
        with pytest.raises(error):
            client.call(instance.v3.certificates, "get", sink=path)

        assert OLD == path.read_bytes()
        assert [path] == list(path.parent.iterdir())

    def test_error_body_reaches_the_caller(self, path, gateway, instance, client):
        """An error is not a download: it is where errors are."""
        gateway.respond(wire.signed(b'{"code":"NO_STATEMENT_EXIST"}', "404 Not Found"))
        with pytest.raises(APIError) as caught:
            client.call(instance.v3.certificates, "get", sink=path)

        assert "NO_STATEMENT_EXIST" == caught.value.code

    def test_unsigned_download_is_renamed_into_place(self, path, gateway, instance, client):
        """A bill comes unsigned, and whole or not at all."""
        gateway.respond(wire.reply(BODY))
        client.call(instance.v3.billdownload.file, "get", sink=path)

        assert BODY == path.read_bytes()


@pytest.mark.parametrize("destination", ["file", "callable"])
class TestFileAndCallable:
    """A sink that takes bytes."""

    @pytest.fixture
    def taken(self):
        """Give what collects the bytes."""
        return io.BytesIO()

    @pytest.fixture
    def sink(self, destination, taken):
        """Give the sink: the collector, or its method."""
        return taken if destination == "file" else taken.write

    def test_verified_body_is_fed(self, sink, taken, gateway, instance, client):
        """All bytes come, in order."""
        gateway.respond(wire.signed(BODY))
        client.call(instance.v3.certificates, "get", sink=sink)

        assert BODY == taken.getvalue()

    def test_forged_body_is_not_fed(self, sink, taken, gateway, instance, client):
        """Not one byte comes of what is not WeChat Pay's."""
        gateway.respond(wire.signed(BODY, key="stranger"))
        with pytest.raises(SignatureError):
            client.call(instance.v3.certificates, "get", sink=sink)

        assert b"" == taken.getvalue()

    def test_unsigned_download_is_fed_when_it_is_complete(self, sink, taken, gateway, instance, client):
        """Of one that breaks off, the destination receives nothing, as of a signed one."""

        def break_off(_, peer):
            peer.send(wire.reply(BODY)[:-1000])
            peer.close()

        gateway.behaviour = break_off
        with pytest.raises(NoResponseError):
            client.call(instance.v3.billdownload.file, "get", sink=sink)

        assert b"" == taken.getvalue()

        gateway.respond(wire.reply(BODY))
        client.call(instance.v3.billdownload.file, "get", sink=sink)

        assert BODY == taken.getvalue()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("streamed", [False, True], ids=["memory", "sink"])
class TestStatement:
    """Settlement statements, whose SHA-1 is signed in place of their body."""

    def call(self, client, instance, sink):
        """Ask for a statement; give its bytes."""
        options = {"sink": sink.write} if sink is not None else {}
        response = client.call(instance.chain("hk/v3/statements"), "get", **options)
        return sink.getvalue() if sink is not None else response.content

    def respond(self, body, plain):
        """Lay out a statement whose header tells the SHA-1 of ``plain``."""
        sha1 = hashlib.sha1(plain, usedforsecurity=False).hexdigest()
        proof = wire.proof(f'{{"sha1":"{sha1}"}}'.encode())
        return wire.reply(body, "200 OK", ("Wechatpay-Statement-Sha1", sha1), *proof)

    def test_statement_with_its_own_sha1_is_accepted(self, packed, streamed, gateway, instance, client):
        """The digest is the plain file's, even when it comes compressed."""
        body = gzip.compress(BODY) if packed else BODY
        gateway.respond(self.respond(body, BODY))

        assert body == self.call(client, instance, io.BytesIO() if streamed else None)

    def test_other_statement_is_refused(self, packed, streamed, gateway, instance, client):
        """The signed digest verifies one file only; PHP never compares it."""
        other = gzip.compress(BODY + b"more") if packed else BODY + b"more"
        gateway.respond(self.respond(other, BODY))
        sink = io.BytesIO() if streamed else None
        with pytest.raises(SignatureError):
            self.call(client, instance, sink)

        assert sink is None or b"" == sink.getvalue()


class TestLongDownload:
    """A signed download during which minutes pass; no read takes long."""

    def download(self, path, gateway, build, client, *, age=0, key="platform"):
        """Download a body signed ``age`` seconds before its head arrives, half of it 400 s later."""
        now = [1_800_000_000.0]
        response = wire.signed(BODY, "200 OK", ("Date", formatdate(now[0])), at=int(now[0]) - age, key=key)
        instance = build(clock=lambda: now[0])
        begun = threading.Event()

        class Noticing(Sink):
            def begin(self, headers):
                super().begin(headers)
                begun.set()

        def take_long(_, peer):
            peer.send(response[: -len(BODY) // 2])
            begun.wait(5)
            now[0] += 400
            peer.send(response[-len(BODY) // 2 :])

        gateway.behaviour = take_long
        client.call(instance.v3.certificates, "get", sink=Noticing(path))

    def test_download_may_take_longer_than_clocks_may_differ(self, path, gateway, build, client):
        """How old a response is counts when its head arrives: its body may take longer than 300 s."""
        self.download(path, gateway, build, client)

        assert BODY == path.read_bytes()

    def test_stale_head_is_refused(self, path, gateway, build, client):
        """A response that was signed more than 300 s before its head arrived is refused as any other."""
        with pytest.raises(ClockSkewError) as caught:
            self.download(path, gateway, build, client, age=301)

        assert 301 == caught.value.skew
        assert OLD == path.read_bytes()

    def test_length_of_the_download_is_not_blamed_on_the_clock(self, path, gateway, build, client):
        """A wrong signature after 400 s says nothing of the clock."""
        with pytest.raises(SignatureError) as caught:
            self.download(path, gateway, build, client, key="stranger")

        assert "clock" not in str(caught.value)


def test_closing_waits_for_a_download_that_goes_on(path, gateway, build, monkeypatch):
    """A download in the background is cut off when it makes no progress, however long it takes."""
    ahead, has_begun, goes_on = [0.0], threading.Event(), threading.Event()
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0])
    monkeypatch.setattr("wechatpay.background.time", clock)

    class Noticing(Sink):
        def begin(self, headers):
            super().begin(headers)
            has_begun.set()

    def take_long(_, peer):
        response = wire.reply(BODY)
        peer.send(response[:-200])
        has_begun.wait(5)
        time.sleep(0.1)
        ahead[0] = 60.0
        peer.send(response[-200:-100])
        time.sleep(0.2)
        goes_on.set()
        time.sleep(0.6)
        peer.send(response[-100:])

    gateway.behaviour = take_long
    instance = build(timeout=5)
    promise = instance.v3.billdownload.file.getAsync(sink=Noticing(path))
    goes_on.wait(5)
    instance.getDriver().close()

    assert 200 == promise.wait().status_code
    assert BODY == path.read_bytes()


@pytest.mark.parametrize(
    ("sink", "reason"),
    [
        ("nowhere/bill.csv", "directory that exists"),
        (".", "directory that exists"),
        (io.StringIO(), "text"),
        (42, "int"),
    ],
    ids=["no directory", "a directory", "text file", "number"],
)
def test_sink_that_could_only_fail_is_refused(sink, reason, tmp_path, monkeypatch, gateway, instance, client):
    """A destination that cannot take the bytes is found out before anything is sent."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequestError, match=f"sink: .*{reason}"):
        client.call(instance.v3.certificates, "get", sink=sink)

    assert [] == gateway.seen


@pytest.mark.parametrize("name", ["begin", "write", "deliver"])
def test_download_cancelled_while_a_thread_writes_leaves_nothing_behind(name, path, gateway, instance):
    """A thread that makes or writes the file cannot be interrupted: the cancellation waits for it."""
    begun, go_on, ended = threading.Event(), threading.Event(), []

    class SlowDisk(Sink):
        pass

    def slowly(sink, *args):
        begun.set()
        go_on.wait(5)
        ended.append(getattr(Sink, name)(sink, *args))

    setattr(SlowDisk, name, slowly)

    async def main():
        call = asyncio.ensure_future(instance.v3.certificates.getAsync(sink=SlowDisk(path)))
        await asyncio.to_thread(begun.wait, 5)
        call.cancel()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert [None] == ended
        await instance.getDriver().aclose()

    gateway.respond(wire.signed(BODY))
    asyncio.run(main())

    assert (BODY if name == "deliver" else OLD) == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_large_download_stays_out_of_memory(tmp_path, gateway, instance, client):
    """A large file is hashed and written on its way: memory does not grow with it."""
    piece, count = b"x" * (1 << 20), 40
    head = wire.reply(b"", "200 OK", ("Content-Length", str(len(piece) * count)), *proof_of(piece, count))

    def stream(_, peer):
        peer.send(head)
        for _ in range(count):
            peer.send(piece)

    gateway.behaviour = stream
    client.call(instance.v3.certificates, "get", sink=tmp_path / "first")
    tracemalloc.start()
    try:
        client.call(instance.v3.certificates, "get", sink=tmp_path / "large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(piece) * count == (tmp_path / "large").stat().st_size
    assert peak < 8 * len(piece)


def proof_of(piece, count):
    """Give the signature headers of a body of so many pieces, which never is in memory as a whole."""
    timestamp = str(int(time.time()))
    text = hashlib.sha256(f"{timestamp}\nNONCE0RESP\n".encode())
    for _ in range(count):
        text.update(piece)
    text.update(b"\n")
    signed = keys.private_key("platform").sign(text.digest(), PKCS1v15(), Prehashed(SHA256()))
    return (
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", "NONCE0RESP"),
        ("Wechatpay-Serial", wire.SERIAL),
        ("Wechatpay-Signature", b64encode(signed).decode()),
    )
