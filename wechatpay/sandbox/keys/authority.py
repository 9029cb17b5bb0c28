"""The sandbox's own certificate authority: it vouches for its server, and for the merchant.

WeChat Pay's is Tenpay.com's; https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["Authority", "certify", "serial_number"]

#: Half a year on either side of now, so that no test meets the end of a certificate.
_HALF_LIFE = timedelta(days=183)

_LOOPBACK = x509.SubjectAlternativeName(
    [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
)

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def serial_number() -> int:
    """Draw a serial number of exactly 40 hexadecimal digits, as WeChat Pay's are."""
    return 0x5 << 156 | secrets.randbits(156)


def certify(
    subject: str,
    issuer: str,
    key: RSAPublicKey | ec.EllipticCurvePublicKey,
    serial: int,
    dates: tuple[datetime, datetime] | None = None,
) -> x509.CertificateBuilder:
    """Begin a certificate.

    Args:
        subject: Common name of the owner.
        issuer: Common name of who will sign it.
        key: The owner's key.
        serial: Its serial number.
        dates: When its validity begins and ends; half a year ago and half a year ahead by default.
    """
    now = datetime.now(UTC)
    begins, ends = dates or (now - _HALF_LIFE, now + _HALF_LIFE)
    return x509.CertificateBuilder(_name(issuer), _name(subject), key, serial, begins, ends)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wechatpay sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """Issues certificates.

    Attributes:
        certificate: Its own, which whoever believes it has to know.
    """

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    _NAME = "wechatpay sandbox authority"

    @classmethod
    def generate(cls) -> Authority:
        """Make a fresh one, within a millisecond."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        builder = (
            certify(cls._NAME, cls._NAME, public, serial_number())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        return cls(builder.sign(key, SHA256()), key)

    @property
    def pem(self) -> str:
        """Its certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def merchant(self, mchid: str, key: RSAPublicKey, serial: int) -> str:
        """Issue a merchant's certificate, as PEM: ``apiclient_cert.pem``."""
        return self._issue(certify(mchid, self._NAME, key, serial), key).public_bytes(Encoding.PEM).decode()

    def server(self, passphrase: bytes) -> bytes:
        """Make a key for a server on loopback, and issue its certificate: both as PEM, the key encrypted."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        builder = certify("127.0.0.1", self._NAME, public, serial_number())
        certificate = self._issue(builder.add_extension(_LOOPBACK, critical=False), public)
        lock = BestAvailableEncryption(passphrase)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
        return private + certificate.public_bytes(Encoding.PEM)

    def _issue(
        self, builder: x509.CertificateBuilder, key: RSAPublicKey | ec.EllipticCurvePublicKey
    ) -> x509.Certificate:
        # Python 3.13 takes no certificate that leaves these out.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, SHA256())
        )
