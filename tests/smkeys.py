"""SM2 keys and certificates, made once per run; tests skip without the extra's library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

SERIAL = 0x5E11000000000000000000000000000000000A11
ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
P256 = bytes.fromhex("06082a8648ce3d030107")
SM2 = bytes.fromhex("06082a811ccf5501822d")


def gmssl():
    """Give GmSSL's binding, or skip the test."""
    return pytest.importorskip("gmssl_pyx", reason="the extra [sm] has no wheel for this machine")


def pair(name="merchant"):
    """Give the point and the number of that name, always the same within a run."""
    return _generated(name)


@cache
def _generated(name):
    # Called with its argument only: the cache would take a default left out for another key.
    return gmssl().sm2_key_generate()


def sign(text, name="platform"):
    """Sign as the key of that name, in base64; user id, curve and key are digested by GmSSL."""
    point, number = pair(name)
    return base64.b64encode(gmssl().sm2_sign(number, point, text)).decode()


def is_signed(text, signature, name="merchant"):
    """Tell whether the key of that name signed this."""
    return gmssl().sm2_verify(pair(name)[0], text, base64.b64decode(signature, validate=True))


def tlv(tag, *contents):
    """Lay out DER: tag, length, contents."""
    content = b"".join(contents)
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + size + content


def pem(label, der):
    """Give DER as PEM."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def sec1(name="merchant", *, point=None, number=None):
    """Give a private key as RFC 5915 has it, in DER; without its point when that is empty."""
    whole, secret = pair(name)
    point, number = whole if point is None else point, secret if number is None else number
    half = tlv(0xA1, tlv(0x03, b"\0\x04", point)) if point else b""
    return tlv(0x30, tlv(0x02, b"\1"), tlv(0x04, number), tlv(0xA0, SM2), half)


def pkcs8(name="merchant", **how):
    """Give a private key as PKCS#8, in DER."""
    return tlv(0x30, tlv(0x02, b"\0"), ALGORITHM, tlv(0x04, sec1(name, **how)))


def spki(name="platform"):
    """Give a public key as SubjectPublicKeyInfo, in DER."""
    return tlv(0x30, ALGORITHM, tlv(0x03, b"\0\x04", pair(name)[0]))


def private_pem(name="merchant"):
    """Give a private key as WeChat Pay's tools write it."""
    return pem("PRIVATE KEY", pkcs8(name))


def public_pem(name="platform"):
    """Give a public key as WeChat Pay's console hands it out."""
    return pem("PUBLIC KEY", spki(name))


def certificate(name="platform", serial=SERIAL, days=(-1, 365)):
    """Give a certificate with the key of that name, in DER.

    It is made for a key of the curve P-256 first, whose name and point are as long: nobody looks at who
    signed a platform certificate.
    """
    stand_in, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, stand_in.public_key(), serial)
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .sign(stand_in, SHA256())
    )
    other = stand_in.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    der = made.public_bytes(Encoding.DER)
    assert (1, 1) == (der.count(P256), der.count(other))
    return der.replace(P256, SM2).replace(other, b"\x04" + pair(name)[0])


def certificate_pem(name="platform", serial=SERIAL, days=(-1, 365)):
    """Give that certificate as PEM."""
    return pem("CERTIFICATE", certificate(name, serial, days))
