"""A gateway in a process and on a core of its own: cheap, so that what is measured is the client.

Responses are signed once a second for each size and replayed. The size of a response's body, in bytes, is
the query parameter ``size`` of the request.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from . import cores
from .material import PLATFORM_SERIAL, Material

__all__ = ["Gateway"]

_SIZE = re.compile(rb"[?&]size=(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 01 Jul 2025 08:00:00 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Connection: keep-alive\r\nKeep-Alive: timeout=8\r\nCache-Control: no-cache, must-revalidate\r\n"
    "X-Content-Type-Options: nosniff\r\nRequest-ID: 08F3A1C5C20610B4041880C8C05520C1D0022805-268448229\r\n"
    "Content-Language: zh-CN\r\nWechatpay-Nonce: {nonce}\r\nWechatpay-Signature: {signature}\r\n"
    "Wechatpay-Timestamp: {timestamp}\r\nWechatpay-Serial: {serial}\r\n"
    "Wechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n\r\n"
)
_NONCE = "c5ac7061fccab6bf3e254dcf98995b8c"
_PREFIX, _SUFFIX = b'{"total_count":1,"data":[{"contract_status":"', b'"}]}'


class Gateway:
    """The process, for as long as a ``with`` block runs.

    Attributes:
        plain: Base URL over HTTP.
        tls: Base URL over TLS.
    """

    def __init__(self, material: Material) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.gateway", str(material.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        cores.pin(cores.GATEWAY, self._process.pid)
        plain, tls = self._process.stdout.readline().split()
        self.plain, self.tls = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class _Connection(asyncio.Protocol):
    """Responds to each request with the response of this second."""

    def __init__(self, signer: _Signer) -> None:
        self._signer = signer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            size = _SIZE.search(head)
            self._transport.write(self._signer.respond(int(time.time()), int(size[1]) if size else 0))


class _Signer:
    """Makes responses."""

    def __init__(self, material: Material) -> None:
        self._key = load_pem_private_key(material.platform_key.read_bytes(), None)

    @lru_cache(16)  # noqa: B019  there is one signer, and it lives as long as the process
    def respond(self, timestamp: int, size: int) -> bytes:
        """Make the whole response of this second, with a body of ``size`` bytes or a little more."""
        body = _PREFIX + b"x" * max(0, size - len(_PREFIX) - len(_SUFFIX)) + _SUFFIX
        text = f"{timestamp}\n{_NONCE}\n".encode() + body + b"\n"
        signature = base64.b64encode(self._key.sign(text, PKCS1v15(), SHA256())).decode()
        head = _HEAD.format(
            length=len(body), nonce=_NONCE, signature=signature, timestamp=timestamp, serial=PLATFORM_SERIAL
        )
        return head.encode() + body


async def _serve(material: Material) -> None:
    """Serve until standard input ends, as it does when the runner dies, however it dies."""
    loop = asyncio.get_running_loop()
    signer = _Signer(material)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(material.server_certificate, material.server_key)
    servers = [
        await loop.create_server(lambda: _Connection(signer), "127.0.0.1", 0, ssl=context, backlog=1024)
        for context in (None, tls)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)  # noqa: T201  to the runner
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Material(Path(sys.argv[1]))))
