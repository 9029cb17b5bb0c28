"""A strict WeChat Pay for suites and parties that the sandbox does not have; it lays all texts out itself."""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import keys
import smkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from wire.gateway import reply

APIV3_KEY = "strict0apiv3key0of0032characters"
MERCHANT_SERIAL = "3A11" + 36 * "0"
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')


class SM2:
    """Keys and signatures of the SM suite, by GmSSL alone."""

    scheme = "WECHATPAY2-SM2-WITH-SM3"
    serial = "PUB_KEY_ID_SM2_0000000000000000000000001"

    @staticmethod
    def is_signed(text, signature):
        """Return whether the merchant signed this."""
        return smkeys.is_signed(text, signature, "merchant")

    @staticmethod
    def sign(text, name="platform"):
        """Sign as WeChat Pay."""
        return smkeys.sign(text, name)


class RSA:
    """Keys and signatures as most have them."""

    scheme = "WECHATPAY2-SHA256-RSA2048"
    serial = "PUB_KEY_ID_0114232134912410000000000000"

    @staticmethod
    def is_signed(text, signature):
        """Return whether the merchant signed this."""
        try:
            keys.public_key("merchant").verify(
                b64decode(signature, validate=True), text, PKCS1v15(), SHA256()
            )
        except InvalidSignature:
            return False
        return True

    @staticmethod
    def sign(text, name="platform"):
        """Sign as WeChat Pay."""
        return b64encode(keys.private_key(name).sign(text, PKCS1v15(), SHA256())).decode()


class Strict:
    """Behaves on a `Gateway`: refuses what is not signed as it must be, and signs what it sends.

    Attributes:
        suite: Whose keys and signatures: `SM2` or `RSA`.
        scheme: What ``Authorization`` has to begin with.
        party: Name and value of who has to have signed.
        responses: Status and body by path; ``200 {}`` for others.
        serial: The key that responses name, and `signer` its own name.
        forge: Changes the headers of responses.
        offered: Members of the list of certificates.
    """

    def __init__(self, suite, party, *, scheme=None):
        self.suite = suite
        self.scheme = scheme or suite.scheme
        self.party = party
        self.responses = {}
        self.serial, self.signer = suite.serial, "platform"
        self.forge = dict
        self.offered = []
        self._nonces = set()

    def __call__(self, seen, peer):
        """Respond to one request."""
        peer.send(self.respond(*(self.refusal(seen) or self._carried_out(seen))))

    def refusal(self, seen):
        """Check a request; return status and body of the refusal, or ``None``."""
        scheme, _, given = seen.headers["authorization"].partition(" ")
        fields = dict(_FIELD.findall(given))
        party, who = self.party
        names = [party, "serial_no", "timestamp", "nonce_str", "signature"]
        laid_out = ",".join(f'{name}="{fields.get(name)}"' for name in names)
        text = "".join(
            f"{line}\n" for line in (seen.method, seen.target, fields["timestamp"], fields["nonce_str"])
        )
        checks = {
            "scheme": scheme == self.scheme,
            "layout": given == laid_out,
            "party": fields.get(party) == who,
            "serial": fields.get("serial_no") == MERCHANT_SERIAL,
            "time": abs(time.time() - int(fields["timestamp"])) < 60,
            "nonce": len(fields["nonce_str"]) == 32 and fields["nonce_str"] not in self._nonces,
            "key": seen.headers.get("wechatpay-serial", self.serial) == self.serial,
            "signature": self.suite.is_signed(text.encode() + seen.body + b"\n", fields["signature"]),
        }
        self._nonces.add(fields["nonce_str"])
        wrong = [name for name, is_right in checks.items() if not is_right]
        return wrong and (
            "401 Unauthorized",
            json.dumps({"code": "SIGN_ERROR", "message": str(wrong)}).encode(),
        )

    def _carried_out(self, seen):
        if seen.target.startswith("/v3/certificates"):
            assert "wechatpay-serial" not in seen.headers
            assert seen.target.endswith(f"?algorithm_type={self.suite.__name__}")
            return "200 OK", json.dumps({"data": self.offered}).encode()
        return self.responses.get(seen.target.partition("?")[0], ("200 OK", b"{}"))

    def respond(self, status, body):
        """Lay out a signed response."""
        return reply(body, status, ("Request-ID", "0123"), *self.signed(body).items())

    def signed(self, body, *, at=None):
        """Give the headers that sign a body, as responses and callbacks have them."""
        timestamp, nonce = str(int(time.time()) if at is None else at), secrets.token_hex(16)
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        return self.forge(
            {
                "Wechatpay-Timestamp": timestamp,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Serial": self.serial,
                "Wechatpay-Signature": self.suite.sign(text, self.signer),
                "Wechatpay-Signature-Type": self.scheme,
            }
        )

    def offer(self, name="platform", serial=smkeys.SERIAL, **changes):
        """Offer an SM2 certificate, encrypted as the suite encrypts, and sign by it from now on."""
        self.offered.append(offered(smkeys.certificate_pem(name, serial), serial, **changes))
        self.serial, self.signer = f"{serial:X}", name


def offered(pem, serial, *, algorithm="AEAD_SM4_GCM", key=APIV3_KEY):
    """Lay out a member of the list of certificates."""
    now = datetime.now(UTC)
    return {
        "serial_no": f"{serial:X}",
        "effective_time": (now - timedelta(days=1)).isoformat(),
        "expire_time": (now + timedelta(days=300)).isoformat(),
        "encrypt_certificate": {
            "algorithm": algorithm,
            "nonce": "certificate0",
            "associated_data": "certificate",
            "ciphertext": sealed(pem.encode(), "certificate0", "certificate", key),
        },
    }


def sealed(plaintext, nonce, aad, key=APIV3_KEY):
    """Encrypt as AEAD_SM4_GCM, by GmSSL alone, in base64."""
    gmssl = smkeys.gmssl()
    sm4_key = gmssl.sm3_hash(key.encode())[:16]
    data, tag = gmssl.sm4_gcm_encrypt(sm4_key, nonce.encode(), aad.encode(), plaintext)
    return b64encode(data + tag).decode()
