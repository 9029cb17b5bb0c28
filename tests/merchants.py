"""The merchant of these tests: settings of a Builder, and what a request of it must look like."""

from __future__ import annotations

import re
import time
from base64 import b64decode

import keys
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from wire.gateway import SERIAL

MCHID = "1900000109"
MERCHANT_SERIAL = f"{keys.MERCHANT_SERIAL:040X}"

_AUTHORIZATION = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="([^"]*)",serial_no="([^"]*)",timestamp="(\d+)",'
    r'nonce_str="([0-9A-Za-z]{32})",signature="([^"]*)"'
)


def settings(**changes):
    """Give settings of a Builder, with ``changes``."""
    return {
        "mchid": MCHID,
        "serial": MERCHANT_SERIAL,
        "private_key": keys.private_key("merchant"),
        "certs": {SERIAL: keys.public_key("platform")},
    } | changes


def signed_text(seen):
    """Check ``Authorization`` of a request over the bytes that arrived; return what was signed.

    Raises:
        cryptography.exceptions.InvalidSignature: Something else was signed.
    """
    match = _AUTHORIZATION.fullmatch(seen.headers["authorization"])
    assert match, seen.headers["authorization"]
    mchid, serial, timestamp, nonce, signature = match.groups()
    assert (MCHID, MERCHANT_SERIAL) == (mchid, serial)
    assert abs(time.time() - int(timestamp)) < 60
    text = f"{seen.method}\n{seen.target}\n{timestamp}\n{nonce}\n".encode("latin-1") + seen.body + b"\n"
    keys.public_key("merchant").verify(b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
    return text


def nonce(seen):
    """Give the nonce of a request."""
    return _AUTHORIZATION.fullmatch(seen.headers["authorization"])[4]
