"""Long bodies that are answered before they have been read, or never."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time

import pytest
from wire.colours import Sync
from wire.gateway import signed

from wechatpay import APIError, ReadTimeoutError
from wechatpay.media import Media

REFUSAL = signed(b'{"code":"PARAM_ERROR"}', "413 Content Too Large")


class Impatient:
    """A server that reads the beginning of the first request only, and all of those on later connections.

    Attributes:
        first: What is sent to the first.
        hangs_up: Whether the first connection is closed then.
    """

    def __init__(self, first, *, hangs_up=False):
        self.first = first
        self.hangs_up = hangs_up
        self._done = threading.Event()
        self._listener = socket.socket()
        # As little as possible disappears in buffers.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self):
        """Stop listening."""
        self._done.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            first, _ = self._listener.accept()
            with first:
                first.recv(100)
                first.sendall(self.first)
                if self.hangs_up:
                    first.close()
                second, _ = self._listener.accept()
                with second, second.makefile("rb") as stream:
                    while stream.readline() != b"\r\n":
                        pass
                    second.sendall(signed(b'"second"'))
                    self._done.wait(5)


@pytest.fixture(params=["sync", "looped"])
def colour(request):
    """Give the colours that keep connections between calls."""
    return Sync() if request.param == "sync" else request.getfixturevalue("looped")


@pytest.fixture
def impatient():
    """Give a function that makes impatient servers."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **how: stack.enter_context(contextlib.closing(Impatient(*args, **how)))


class Film(io.BytesIO):
    """A film of some length."""

    name = "film.mp4"


BODIES = {
    "one piece": lambda: {"json": {"a": "x" * 9_000_000}},
    "some pieces": lambda: {"json": {"a": "x" * 200_000}},
    "upload": lambda: {"media": Media(Film(b"x" * 9_000_000))},
    "short upload": lambda: {"media": Media(Film(b"x" * 200_000))},
}


@pytest.mark.parametrize("hangs_up", [True, False], ids=["hangs up", "stays"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_answer_to_the_beginning_of_a_body_is_an_answer(body, hangs_up, colour, build, impatient):
    """It comes out, whether the rest can be sent or not, and the next request does not stand behind that."""
    server = impatient(REFUSAL, hangs_up=hangs_up)
    instance = build(base_uri=server.url, timeout=(5, 1))
    with pytest.raises(APIError) as caught:
        colour.call(instance.v3.merchant.media.video_upload, "post", **body())

    assert 413 == caught.value.status_code
    assert "second" == colour.call(instance.v3.x, "get").json()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_body_that_nobody_reads_is_a_timeout(body, colour, build, impatient):
    """Whoever neither reads nor answers is waited for as long as for an answer."""
    instance = build(base_uri=impatient(b"").url, timeout=(5, 0.3))
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError, match="outcome unknown"):
        colour.call(instance.v3.merchant.media.video_upload, "post", **body())

    assert time.monotonic() - began < 3
    assert "second" == colour.call(instance.v3.x, "get").json()
