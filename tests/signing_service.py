"""A signing service: the one process that has the merchant's key; it signs what it is asked to, for a token.

    python signing_service.py < {"mchid": …, "serial": …, "private_key": …, "token": …}

prints its port and serves until its input ends.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class Handler(BaseHTTPRequestHandler):
    """Signs texts, and requests that it approves of."""

    def do_POST(self):
        """Respond to one question."""
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            self.send_error(401)
        elif self.path == "/sign":
            self._respond({"signature": self._signed(question["text"])})
        elif self.path == "/authorize" and question["method"] == "GET":
            self._respond({"authorization": self._authorization(**question)})
        else:
            self.send_error(403)

    def _authorization(self, method, target, body):
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        signature = self._signed(f"{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n")
        fields = {
            "mchid": self.server.mchid,
            "serial_no": self.server.serial,
            "timestamp": timestamp,
            "nonce_str": nonce,
            "signature": signature,
        }
        return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in fields.items())

    def _signed(self, text):
        return b64encode(self.server.key.sign(text.encode(), PKCS1v15(), SHA256())).decode()

    def _respond(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def main():
    """Serve on a free port of loopback."""
    given = json.loads(sys.stdin.readline())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.mchid, server.serial, server.token = given["mchid"], given["serial"], given["token"]
    server.key = load_pem_private_key(given["private_key"].encode(), None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201  whoever started it waits for this
    sys.stdin.read()


if __name__ == "__main__":
    main()
