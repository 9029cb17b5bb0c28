"""The way to WeChat Pay's hosts that ends at a sandbox: a proxy, by which some hosts cannot be reached."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading


class Outage(socketserver.ThreadingTCPServer):
    """A proxy whose tunnels lead to one port of loopback, but for those to hosts that are away.

    Attributes:
        asked: The hosts that clients wanted to go to.
        away: The hosts that cannot be reached.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port, *away):
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked = []
        self.away = set(away)
        self.port = port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        """Stop listening."""
        self.shutdown()
        self.server_close()


class _Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        host = self.rfile.readline().decode().split()[1].partition(":")[0]
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(host)
        if host in self.server.away:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server.port)) as there,
        ):
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_pump, args=(there, self.connection), daemon=True).start()
            _pump(self.connection, there)


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
