"""Uploads in trouble: files that are gone, and disks that are slow."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest
from forms import CONTENT, check

from wechatpay import InvalidRequestError
from wechatpay.media import Media


def test_missing_file_is_an_error_of_the_call(upload, gateway, path):
    """A file that went away between making the ``Media`` and the call is named."""
    media = Media(path)
    path.unlink()
    with pytest.raises(InvalidRequestError, match="No such file") as caught:
        upload(media)

    assert "/v3/merchant/media/video_upload" == caught.value.request.target
    assert [] == gateway.seen


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
