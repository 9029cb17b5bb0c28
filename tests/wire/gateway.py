"""A gateway on a raw socket: it keeps the exact bytes of each request, and may misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from base64 import b64encode
from dataclasses import dataclass

import keys
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

SERIAL = "PUB_KEY_ID_0114232134912410000000000000"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived.

    Attributes:
        head: Everything before the empty line.
        body: Everything after it, as ``Content-Length`` says.
        connection: Number of the connection that brought it.
    """

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self):
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self):
        """The method in the request line."""
        return self.line.split(" ")[0]

    @property
    def target(self):
        """The target in the request line; of the absolute form, which proxies get, without the host."""
        target = self.line.split(" ")[1]
        return target if target.startswith("/") else f"/{target.split('/', 3)[3]}"

    @property
    def fields(self):
        """Header fields, in order, names as they came."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [tuple(line.split(": ", 1)) if ": " in line else (line[:-1], "") for line in lines]

    @property
    def headers(self):
        """Header fields by lower-case name; one that came twice is a failure."""
        fields = {name.lower(): value for name, value in self.fields}
        assert len(self.fields) == len(fields), f"a header came twice: {self.fields}"
        return fields


class Peer:
    """A connection as the gateway's behaviour sees it."""

    def __init__(self, connection):
        self._socket = connection

    def send(self, data):
        """Send bytes as they are."""
        self._socket.sendall(data)

    def close(self):
        """Close the connection in the ordinary way, which a kept-alive client may not notice at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """Break the connection off (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        # Not close(): the stream that requests are read from would keep it open.
        socket.close(self._socket.detach())


class Gateway:
    """Listens on loopback; sends what ``behaviour(seen, peer)`` sends, by default a signed ``{}``.

    Attributes:
        seen: The requests, in the order they came.
        connections: How many connections were accepted.
        behaviour: What to do with each request.
    """

    def __init__(self, context=None, *, listening=True):
        self.seen = []
        self.connections = 0
        self.behaviour = lambda _, peer: peer.send(signed(b"{}"))
        self._context = context
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        if listening:
            self.listen()

    def listen(self):
        """Accept connections; until then they are refused."""
        self._listener.listen(512)
        self._thread.start()

    def respond(self, reply):
        """Respond to every request with these bytes."""
        self.behaviour = lambda _, peer: peer.send(reply)

    def close(self):
        """Stop listening and drop all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.ident:
            self._thread.join(5)
        self.drop()

    def drop(self):
        """Close every connection, as a server does with idle ones."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection, number):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            if self._context:
                connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(connection)
            stack.callback(self._open.discard, connection)
            stream = stack.enter_context(connection.makefile("rb"))
            while seen := read(stream, number):
                with self._lock:
                    self.seen.append(seen)
                self.behaviour(seen, Peer(connection))


def read(stream, number=1):
    """Read one request; ``None`` when the client has gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    seen = Seen(head[:-4], b"", number)
    length = int(seen.headers.get("content-length", 0))
    assert "transfer-encoding" not in seen.headers
    return Seen(head[:-4], stream.read(length), number)


def reply(body=b"", status="200 OK", *headers):
    """Lay out a response with ``Content-Length``; ``headers`` are pairs."""
    fields = [*headers]
    if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in fields):
        fields.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body


def signature(text, name="platform"):
    """Sign as the platform key of that name."""
    return b64encode(keys.private_key(name).sign(text, PKCS1v15(), SHA256())).decode()


def proof(body, *, at=None, nonce="NONCE0RESP", serial=SERIAL, key="platform"):
    """Give the signature headers of a response with this body, signed ``at`` Unix seconds."""
    timestamp = str(int(time.time()) if at is None else at)
    return (
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature", signature(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", key)),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
    )


def signed(body=b"{}", status="200 OK", *headers, **how):
    """Lay out a response that verifies; ``how`` goes to `proof`."""
    return reply(body, status, ("Request-ID", "0123"), *headers, *proof(body, **how))
