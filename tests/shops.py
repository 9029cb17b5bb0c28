"""A merchant's server on loopback, which keeps the callbacks that it receives."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(ThreadingHTTPServer):
    """A server that keeps what it receives, and replies as it is told.

    Attributes:
        received: Path, headers and body of each request.
        replies: What to reply to them, status and body; 200 when there is no more.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address="127.0.0.1"):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Visit)
        self.received = []
        self.replies = []
        self.pause = 0.0

    @property
    def url(self):
        """Where it is told of payments."""
        return f"http://127.0.0.1:{self.server_port}/notify"


class Visit(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self):
        """Keep it, and reply."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        time.sleep(self.server.pause)
        status, content = self.server.replies.pop(0) if self.server.replies else (200, b"")
        if status is None:
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        with contextlib.suppress(BrokenPipeError):
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def serving(address="127.0.0.1"):
    """Run a shop."""
    with Shop(address) as shop:
        thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield shop
        finally:
            shop.shutdown()
            thread.join(10)
