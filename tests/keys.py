"""Keys and certificates for tests, made once per run and never stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

MERCHANT_SERIAL = 0x3775B6A45ACD588826D15E583A95F5DD00000000


def private_key(name: str = "merchant", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Give the RSA key of that name, always the same one within a run."""
    return _generated(name, bits)


@cache
def _generated(name: str, bits: int) -> rsa.RSAPrivateKey:
    # Called with both arguments only: the cache would take a default left out for another key.
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_key(name: str = "merchant", bits: int = 2048) -> rsa.RSAPublicKey:
    """Give the public half of the key of that name."""
    return private_key(name, bits).public_key()


def pem(name: str = "merchant", bits: int = 2048) -> str:
    """Give the private key of that name as PKCS#8 PEM."""
    key = private_key(name, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(name: str = "merchant", bits: int = 2048) -> str:
    """Give the public key of that name as SPKI PEM."""
    return public_key(name, bits).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate(
    name: str = "merchant", serial: int = MERCHANT_SERIAL, days: tuple[int, int] = (-1, 365)
) -> x509.Certificate:
    """Give a self-signed certificate for the key of that name, valid between two days from now."""
    return _certified(name, serial, days)


@cache
def _certified(name: str, serial: int, days: tuple[int, int]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key(name))
        .serial_number(serial)
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .sign(private_key(name), SHA256())
    )


def certificate_pem(name: str = "merchant", serial: int = MERCHANT_SERIAL) -> str:
    """Give the certificate of that name as PEM."""
    return certificate(name, serial).public_bytes(Encoding.PEM).decode()
