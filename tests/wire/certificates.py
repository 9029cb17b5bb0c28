"""A certificate authority and a TLS server on loopback, made at run time."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import keys
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def _certificate(name, issuer, *extensions):
    """Certify the key of that name by the key of its issuer."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(keys.public_key(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        # Python 3.13 and later believe no certificate without it.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys.public_key(issuer)), False)  # noqa: FBT003  critical
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(keys.private_key(issuer), SHA256()).public_bytes(Encoding.PEM)


def authority(folder):
    """Write the authority's certificate, and return the path of the bundle."""
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        **dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        ),
    )
    bundle = folder / "authority.pem"
    bundle.write_bytes(_certificate("tls", "tls", (x509.BasicConstraints(True, None), True), (usage, True)))  # noqa: FBT003  it is one
    return bundle


def server(folder, host="127.0.0.1"):
    """Make the TLS context of a server of that address, certified by the authority."""
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    chain, key = folder / "server.pem", folder / "server.key"
    chain.write_bytes(_certificate("server", "tls", (names, False)))
    key.write_text(keys.pem("server"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context
