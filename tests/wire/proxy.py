"""A little HTTP proxy: opens CONNECT tunnels to where they say, and keeps what it was told itself."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

from tunnels import pump


class Proxy:
    """Listens on loopback, over TLS if given a context.

    Attributes:
        heads: What clients sent to the proxy itself, in order.
        refusal: Sent in the place of a tunnel, when set; ``b""`` hangs up.
    """

    def __init__(self, tls=None):
        self._tls = tls
        self.heads = []
        self.refusal = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self):
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        if self._tls is not None:
            client = self._tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        with contextlib.suppress(OSError), client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)
                if not byte:
                    return
                head += byte
            self.heads.append(head.decode("latin-1"))
            if self.refusal is not None:
                client.sendall(self.refusal)
                return
            host, port = re.match(rb"CONNECT ([^: ]+):(\d+) ", head).groups()
            with socket.create_connection((host.decode(), int(port)), 5) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                there = threading.Thread(target=pump, args=(client, server), daemon=True)
                there.start()
                pump(server, client)
                there.join(5)
