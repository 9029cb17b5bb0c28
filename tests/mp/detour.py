"""The way to ``api.weixin.qq.com`` that ends on loopback: a proxy, and TLS that proves that name."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from datetime import UTC, datetime, timedelta

import authority
import keys
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

HOST = "api.weixin.qq.com"


class Detour(socketserver.ThreadingTCPServer):
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
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        head = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(head.decode().split()[1])
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


def context(folder):
    """Give TLS for a server that is believed to be the open platform."""
    who, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (HOST, "authority"))
    public, now = keys.public_key("server"), datetime.now(UTC)
    issuing = keys.public_key("authority")
    made = (
        x509.CertificateBuilder(issuer, who, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing), critical=False)
        .sign(keys.private_key("authority"), SHA256())
    )
    file = folder / "platform.pem"
    file.write_bytes(made.public_bytes(authority.Encoding.PEM) + authority.key_pem("server").encode())
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server
