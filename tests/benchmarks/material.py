"""What a run needs on disk: keys of both sides, and a certificate for the gateway, made anew each time."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MCHID", "MERCHANT_SERIAL", "PLATFORM_SERIAL", "Material"]

MCHID = "1900000109"
MERCHANT_SERIAL = "3775B6A45ACD588826D15E583A95F5DD00000000"
PLATFORM_SERIAL = "PUB_KEY_ID_0114232134912410000000000000"


@dataclass(frozen=True, slots=True)
class Material:
    """Files in a directory.

    Attributes:
        folder: The directory.
    """

    folder: Path

    @property
    def merchant_key(self) -> Path:
        """The merchant's private key."""
        return self.folder / "merchant.pem"

    @property
    def platform_key(self) -> Path:
        """WeChat Pay's private key, which the gateway signs with."""
        return self.folder / "platform.pem"

    @property
    def platform_public_key(self) -> Path:
        """WeChat Pay's public key, which clients verify with."""
        return self.folder / "platform_public.pem"

    @property
    def server_key(self) -> Path:
        """The private key of the gateway's TLS."""
        return self.folder / "server.pem"

    @property
    def server_certificate(self) -> Path:
        """The gateway's certificate, which is its own authority."""
        return self.folder / "authority.pem"

    @classmethod
    def make(cls, folder: Path) -> Material:
        """Make all keys and the certificate."""
        made = cls(folder)
        keys = {
            path: rsa.generate_private_key(65537, 2048)
            for path in (made.merchant_key, made.platform_key, made.server_key)
        }
        for path, key in keys.items():
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = keys[made.platform_key].public_key()
        made.platform_public_key.write_bytes(
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        made.server_certificate.write_bytes(_certificate(keys[made.server_key]).public_bytes(Encoding.PEM))
        return made


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
