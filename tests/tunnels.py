"""A proxy whose tunnels end on loopback, wherever they were to lead."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading


class Tunnels(socketserver.ThreadingTCPServer):
    """A proxy whose tunnels all lead to one port of loopback.

    Attributes:
        asked: Where clients wanted to go.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked = []
        self.port = port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def leads_to(self, target):
        """Note where a client wants to go, and tell whether it gets there."""
        self.asked.append(target)
        return True

    def close(self):
        """Stop listening."""
        self.shutdown()
        self.server_close()


class _Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        head = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        if not self.server.leads_to(head.decode().split()[1]):
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server.port)) as there,
        ):
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=pump, args=(there, self.connection), daemon=True).start()
            pump(self.connection, there)


def pump(source, sink):
    """Pass on what comes until there is no more."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
