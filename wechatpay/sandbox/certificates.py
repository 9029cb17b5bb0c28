"""The sandbox's certificate authority and its TLS settings.

The authority issues the certificates of the server and of the merchant, as Tenpay.com does for WeChat Pay;
https://pay.weixin.qq.com/wiki/doc/api/jsapi.php?chapter=4_3
"""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import ssl
import tempfile
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from wechatpay.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["TLS", "Authority", "certify", "serial_number"]


#: Half a year on either side of now, so that no test meets the end of a certificate.
_HALF_LIFE = timedelta(days=183)

#: Certificates that are kept in files are valid for longer.
_KEPT_LIFE = timedelta(days=10 * 365)

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


def _long_dates() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - _HALF_LIFE, now + _KEPT_LIFE


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
        certificate: Its own certificate, which clients must trust.
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
            certify(cls._NAME, cls._NAME, public, serial_number(), _long_dates())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def load(cls, certificate: str, key: str) -> Authority:
        """Load one from what `pem` and `key_pem` returned."""
        private = serialization.load_pem_private_key(key.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)  # noqa: S101  `key_pem` wrote it
        return cls(x509.load_pem_x509_certificate(certificate.encode()), private)

    @property
    def pem(self) -> str:
        """Its certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """Its private key as PEM."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def merchant(self, mchid: str, key: RSAPublicKey, serial: int) -> str:
        """Issue a merchant's certificate, as PEM: ``apiclient_cert.pem``."""
        certificate = self._issue(certify(mchid, self._NAME, key, serial, _long_dates()), key)
        return certificate.public_bytes(Encoding.PEM).decode()

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


class TLS:
    """A server's TLS settings, which take client certificates of the authority, but ask for none.

    Attributes:
        context: For the server.
        bundle: Path of the authority's certificate, in a directory that only this user can read.
    """

    def __init__(self, authority: Authority) -> None:
        """Make the server's key, and the directory.

        Raises:
            ConfigurationError: There is no place for temporary files.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="wechatpay-sandbox-"))
            self._removed = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.bundle = folder / "authority.pem"
            self.bundle.write_text(authority.pem, encoding="ascii")
            self.context = _context(authority, folder)
        except OSError as error:
            raise ConfigurationError(
                f"the sandbox needs a directory for temporary files; set TMPDIR ({error.strerror})"
            ) from None

    def close(self) -> None:
        """Remove the directory."""
        self._removed()


def _context(authority: Authority, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem)
    # As at WeChat Pay, whether a certificate must be there is a matter of the path.
    context.verify_mode = ssl.CERT_OPTIONAL
    # The ssl module takes paths only: the key goes to the disk encrypted, and is gone at once.
    passphrase = secrets.token_bytes(32).hex()
    file = folder / "server.pem"
    file.write_bytes(authority.server(passphrase.encode()))
    context.load_cert_chain(file, password=passphrase)
    file.unlink()
    return context
