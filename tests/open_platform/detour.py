"""TLS that verifies the name ``api.weixin.qq.com`` on loopback."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import authority
import keys
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

HOST = "api.weixin.qq.com"


def context(folder):
    """Give TLS for a server that is trusted as the open platform."""
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
