"""A WeChat Pay with platform certificates, which it offers, rotates and withdraws."""

from __future__ import annotations

import json
import secrets
import threading
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta, timezone

import keys
import merchants
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from wire import gateway

APIV3_KEY = "rotation0apiv3key0of032characters"[:32]
CHINA = timezone(timedelta(hours=8))
SERIALS = {
    name: f"{0x5A << 152 | number:040X}" for number, name in enumerate(("old", "new", "third", "odd"), 1)
}


def certificate(name, days=(-1, 365)):
    """Give the platform certificate of that name."""
    return keys.certificate(name, int(SERIALS[name], 16), days)


def weak_certificate(name):
    """Give a certificate for a key that is too short."""
    like, key = certificate(name), keys.private_key("weak", 1024)
    return (
        x509.CertificateBuilder(like.issuer, like.subject, key.public_key(), like.serial_number)
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .sign(key, SHA256())
    )


def item(name, days=(-1, 365), *, apiv3_key=APIV3_KEY, **changes):
    """Give one member of the list, as WeChat Pay lays it out."""
    return sealed(certificate(name, days), SERIALS[name], apiv3_key=apiv3_key, **changes)


def sealed(made, serial, *, apiv3_key=APIV3_KEY, **changes):
    """Give a member of the list for any certificate."""
    nonce, aad = secrets.token_hex(6), "certificate"
    text = made.public_bytes(Encoding.PEM)
    ciphertext = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), text, aad.encode())
    cipher = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": nonce,
        "associated_data": aad,
        "ciphertext": b64encode(ciphertext).decode(),
    }
    return {
        "serial_no": serial,
        "effective_time": made.not_valid_before_utc.astimezone(CHINA).isoformat(),
        "expire_time": made.not_valid_after_utc.astimezone(CHINA).isoformat(),
        "encrypt_certificate": cipher | changes.pop("encrypt_certificate", {}),
    } | changes


def body(*items):
    """Give the body of a download."""
    return json.dumps({"data": list(items)}).encode()


class Rotation:
    """Behaves as WeChat Pay on a `gateway.Gateway`.

    Attributes:
        offered: The certificates that a download lists, by name.
        signer: The name of the key that signs.
        serial: What responses call that key; its own serial number by default.
        items: Members of the list, by name, that are not just `item`.
        downloads: How many downloads were asked for.
        download: Responds to a download in place of the list; a function of the peer.
        pause: Seconds that a download takes.
        pairs: The serial number that each request named, and the text that it could be decrypted to.
        now: Returns Unix seconds.
    """

    def __init__(self, *offered):
        # Two threads that ask for a key first would each get one of their own.
        for name in ("old", "new", "third"):
            certificate(name)
        self.offered = list(offered)
        self.signer = offered[-1] if offered else "old"
        self.serial = None
        self.items = {}
        self.downloads = 0
        self.download = None
        self.pause = 0.0
        self.pairs = []
        self.now = time.time
        self._lock = threading.Lock()

    def __call__(self, seen, peer):
        """Respond to one request."""
        if seen.target.startswith("/v3/certificates"):
            with self._lock:
                self.downloads += 1
            time.sleep(self.pause)
            if self.download is not None:
                self.download(peer)
                return
            assert "wechatpay-serial" not in seen.headers
            if self.now is time.time:
                assert merchants.signed_text(seen)
            peer.send(self.signed(body(*(self.items.get(name) or item(name) for name in self.offered))))
            return
        self.pairs.append((seen.headers.get("wechatpay-serial"), self._opened(seen)))
        peer.send(self.signed(b"{}"))

    def signed(self, content, **how):
        """Lay out a response as the present signer signs it."""
        name = self.signer
        serial = self.serial or SERIALS[name]
        return gateway.signed(content, **{"serial": serial, "key": name, "at": int(self.now())} | how)

    def rotate(self, name, *, keep=()):
        """Sign with another key from now on, and offer only it and those kept."""
        self.offered = [*keep, name]
        self.signer = name

    @staticmethod
    def _opened(seen):
        if not seen.body:
            return None
        named = seen.headers["wechatpay-serial"]
        name = next(name for name, serial in SERIALS.items() if serial == named)
        text = b64decode(json.loads(seen.body)["name"], validate=True)
        return keys.private_key(name).decrypt(text, OAEP(MGF1(SHA1()), SHA1(), None)).decode()


def refused(status, code="NO_AUTH", text="x"):
    """Give a download that WeChat Pay refuses."""
    content = json.dumps({"code": code, "message": text}).encode()
    return lambda peer: peer.send(
        gateway.reply(content, f"{status} Refused", ("Content-Type", "application/json"))
    )


def settings(**changes):
    """Give settings of a Builder that downloads what it needs."""
    return {"certs": None, "apiv3_key": APIV3_KEY} | changes


def days_from_now(days):
    """Give a moment in Unix seconds."""
    return (datetime.now(UTC) + timedelta(days=days)).timestamp()
