"""Certificate authorities made at run time, for servers and merchants that TLS is to trust."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from functools import cache

import keys
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

LOOPBACK = x509.SubjectAlternativeName(
    [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
)


@cache
def certificate(name, issuer="authority", *, is_authority=False):
    """Give the certificate of ``name``, issued by ``issuer``; itself, for the authority at the top."""
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in (name, issuer))
    public, issuing = keys.public_key(name), keys.public_key(issuer)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(signer, subject, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing), critical=False)
    )
    if is_authority:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"), False
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    else:
        builder = builder.add_extension(LOOPBACK, critical=False)
    return builder.sign(keys.private_key(issuer), SHA256())


def pem(name, issuer="authority", **how):
    """Give that certificate as PEM."""
    return certificate(name, issuer, **how).public_bytes(Encoding.PEM).decode()


def root(name="authority"):
    """Give an authority's own certificate as PEM."""
    return pem(name, name, is_authority=True)


def key_pem(name):
    """Give the key of ``name`` as PEM."""
    return keys.private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def server_context(folder, clients=None):
    """Give TLS for a server on loopback; one that names an authority wants client certificates of it."""
    file = folder / "server.pem"
    file.write_text(pem("server") + key_pem("server"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=root(clients))
    return context


def bundle(folder):
    """Give the path of a CA bundle by which clients trust the server."""
    file = folder / "authority.pem"
    file.write_text(root())
    return str(file)


CERT, KEY = pem("merchant"), key_pem("merchant")
MIDDLE = pem("middle", is_authority=True)
LEAF = pem("merchant", "middle")


def p12(passphrase, name="merchant"):
    """Give a PKCS#12 file as WeChat Pay's console does."""
    lock = BestAvailableEncryption(passphrase.encode())
    return pkcs12.serialize_key_and_certificates(
        b"Tenpay Certificate", keys.private_key(name), certificate(name), None, lock
    )


LOCKED = (
    keys.private_key()
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"pass"))
    .decode()
)
