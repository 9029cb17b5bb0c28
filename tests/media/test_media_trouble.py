"""Uploads in trouble: files that change, callbacks that fail, disks that are slow, videos that are large."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import socket
import threading
import time
import tracemalloc

import pytest
from forms import CONTENT, check, stack
from wire.gateway import signed

from wechatpay import InvalidRequestError
from wechatpay.media import Media

CHANGES = {
    "other-bytes": lambda path: path.write_bytes(CONTENT[:-1] + b"!"),
    "longer": lambda path: path.write_bytes(CONTENT + b"!"),
    "much-longer": lambda path: path.write_bytes(CONTENT * 2),
    "shorter": lambda path: path.write_bytes(CONTENT[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_file_that_changes_under_way_is_never_uploaded(change, upload, instance, gateway, path):
    """What was hashed and signed is what is sent, or the body is broken off before its end."""

    def meddle(request, proceed):
        change(path)
        return (yield from proceed(request))

    stack(instance).push(meddle)
    with pytest.raises(InvalidRequestError, match=r"changed|cannot be read") as caught:
        upload(Media(path))

    assert "POST" == caught.value.request.method
    _until(lambda: all(len(seen.body) < int(seen.headers["content-length"]) for seen in gateway.seen))
    stack(instance).remove("meddle")
    path.write_bytes(CONTENT)
    upload(Media(path))
    check(gateway.seen[-1])


def _until(condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.01)
    assert condition()


def test_missing_file_is_an_error_of_the_call(upload, gateway, path):
    """A file that went away between making the ``Media`` and the call is named."""
    media = Media(path)
    path.unlink()
    with pytest.raises(InvalidRequestError, match="No such file") as caught:
        upload(media)

    assert "/v3/merchant/media/video_upload" == caught.value.request.target
    assert [] == gateway.seen


class StopError(Exception):
    """What a caller's own callback may raise."""


def test_error_of_the_callback_ends_the_upload(upload, gateway, path):
    """A progress callback may break off: its own error comes out, and no whole body arrived."""

    def stop(sent, total):
        if sent > total / 2:
            raise StopError

    with pytest.raises(StopError):
        upload(Media(path, progress=stop))

    _until(lambda: all(len(seen.body) < int(seen.headers["content-length"]) for seen in gateway.seen))


class Slow(io.BytesIO):
    """A stream on a disk so slow that the event loop takes a turn before each read is done.

    Attributes:
        turns: Whether it did, for each read.
    """

    name = "门头.jpg"

    def __init__(self, content):
        super().__init__(content)
        self.turn = threading.Event()
        self.turns = []

    def read(self, size=-1):
        """Read, once the loop has gone on."""
        self.turn.clear()
        self.turns.append(self.turn.wait(5))
        return super().read(size)


async def beat(file, seconds):
    """Let the file go on every so often."""
    while True:
        await asyncio.sleep(seconds)
        file.turn.set()


def test_event_loop_goes_on_while_a_slow_file_is_read(instance, gateway):
    """Neither hashing nor sending holds the loop up: reading happens on threads."""
    file = Slow(CONTENT)

    async def both():
        beating = asyncio.create_task(beat(file, 0.001))
        await instance.v3.merchant.media.video_upload.postAsync(media=Media(file))
        beating.cancel()

    asyncio.run(both())

    check(gateway.seen[0])
    assert {True} == set(file.turns)


def test_cancelled_upload_leaves_nothing_open(instance, gateway):
    """A task that is cancelled under way breaks the body off, and no file stays open."""

    async def cancelled():
        file = Slow(CONTENT)
        beating = asyncio.create_task(beat(file, 0.05))
        promise = instance.v3.merchant.media.video_upload.postAsync(media=Media(file))
        await asyncio.sleep(0.5)
        promise.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promise
        beating.cancel()

    asyncio.run(cancelled())
    gc.collect()

    _until(lambda: all(len(seen.body) < int(seen.headers["content-length"]) for seen in gateway.seen))


@contextlib.contextmanager
def drain():
    """Give the URL of a server that reads bodies and keeps nothing but how long they were."""
    lengths = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n")).lower()
                left = length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                buffer = bytearray(1 << 16)
                while left:
                    left -= stream.readinto(memoryview(buffer)[: min(left, len(buffer))])
                lengths.append(length)
                connection.sendall(signed(b"{}"))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", lengths
        thread.join()


@pytest.mark.slow
def test_large_file_never_lives_in_memory(client, build, tmp_path):
    """A video of 300 MB is hashed and sent a piece at a time; the rest is what is imported meanwhile."""
    path = tmp_path / "video.mp4"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    with drain() as (url, lengths):
        instance = build(base_uri=url, timeout=60)
        tracemalloc.start()
        client.call(instance.v3.merchant.media.video_upload, "post", media=Media(path))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert lengths[0] > 300 << 20
    assert peak < 16 << 20
