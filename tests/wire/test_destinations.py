"""Destinations of downloads that are no plain paths or files."""

from __future__ import annotations

import io
import os

import pytest
from wire.gateway import reply, signed

from wechatpay import InvalidRequestError

BODY = b"0123456789" * 20_000


@pytest.fixture(params=["signed", "unsigned"])
def download(request, gateway, instance, client):
    """Give a function that downloads BODY: held back until it is verified, and as a stream."""
    gateway.respond(signed(BODY) if request.param == "signed" else reply(BODY))
    node = instance.v3.x if request.param == "signed" else instance.v3.billdownload.file
    return lambda sink: client.call(node, "get", sink=sink)


def test_link_is_followed(download, tmp_path):
    """As by open(): the link stays one."""
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    (tmp_path / "dangling.csv").symlink_to("new.csv")
    download(tmp_path / "link.csv")
    download(tmp_path / "dangling.csv")

    assert (tmp_path / "link.csv").is_symlink()
    assert BODY == (tmp_path / "real.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()
    assert ["dangling.csv", "link.csv", "new.csv", "real.csv"] == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_longest_name_there_is_will_do(download, tmp_path):
    """What lies beside it meanwhile has a name of its own."""
    path = tmp_path / ("n" * 255)
    download(str(path))

    assert BODY == path.read_bytes()


def test_device_or_pipe_is_never_replaced(download, tmp_path, gateway):
    """A rename would put a file in the place of /dev/null; open it and give the file."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequestError, match=r"sink: .*open a device"):
        download(tmp_path / "pipe")

    assert [] == gateway.seen
    assert (tmp_path / "pipe").is_fifo()


class Sluggish(io.RawIOBase):
    """A file without a buffer, which takes a few bytes at a time, as on a disk that fills up."""

    def __init__(self):
        super().__init__()
        self.taken = b""

    def writable(self):
        """Say that it can be written to."""
        return True

    def write(self, data):
        """Take a thousand bytes at most."""
        self.taken += bytes(data[:999])
        return len(data[:999])


def test_file_without_a_buffer_gets_every_byte(download):
    """What it does not take at once is offered again."""
    sink = Sluggish()
    download(sink)

    assert BODY == sink.taken


def test_file_that_would_block_is_an_error(download):
    """Bytes are not dropped in silence."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(reader, "rb"), open(writer, "wb", buffering=0) as pipe, pytest.raises(BlockingIOError):  # noqa: PTH123  pipes
        download(pipe)


async def take(chunk):
    """Take a piece of the body, if awaited."""


class AsyncFile:
    """A file as aiofiles and anyio have them."""

    async def write(self, chunk):
        """Write, if awaited."""


@pytest.mark.parametrize("sink", [take, AsyncFile()], ids=["function", "file"])
def test_what_must_be_awaited_is_refused(sink, download, gateway):
    """Nobody would await it, and every byte would be lost."""
    with pytest.raises(InvalidRequestError, match=r"sink: .*awaited"):
        download(sink)

    assert [] == gateway.seen
