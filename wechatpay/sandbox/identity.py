"""A merchant and WeChat Pay, with keys made on the spot, and the signing of WeChat Pay's answers.

The texts are laid out here a second time, on purpose: a sandbox that asked the client's own code what to sign
would agree with its mistakes.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from wechatpay.sandbox.answer import Answer
from wechatpay.sandbox.authority import Authority, certify, serial_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.settings import SettingsDict

__all__ = ["Identity", "PlatformSigner"]

_MCHID = "1900000109"
_NAME = "wechatpay sandbox sign"
_SCHEME = "WECHATPAY2-SHA256-RSA2048"


@dataclass(frozen=True, slots=True)
class PlatformSigner:
    """One key that WeChat Pay signs with.

    Attributes:
        serial: Serial number of its certificate, or ``PUB_KEY_ID_…``.
        published: What merchants get: a certificate or a public key, as PEM.
    """

    serial: str
    published: str = field(repr=False)
    _key: RSAPrivateKey = field(repr=False)

    @classmethod
    def with_public_key(cls, mchid: str) -> PlatformSigner:
        """Make a bare public key, as merchants get it since late 2024."""
        key = _generate()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        issue = f"{datetime.now(UTC):%y%m%d}{secrets.randbelow(10**10):010}"
        return cls(f"PUB_KEY_ID_01{mchid}{issue}", pem, key)

    @classmethod
    def with_certificate(cls) -> PlatformSigner:
        """Make a platform certificate, whose serial number has 40 hexadecimal digits."""
        key = _generate()
        certificate = certify(_NAME, _NAME, key.public_key(), serial_number()).sign(key, SHA256())
        pem = certificate.public_bytes(Encoding.PEM).decode()
        return cls(f"{certificate.serial_number:X}", pem, key)

    def sign(self, answer: Answer, at: float) -> Answer:
        """Add the headers by which merchants prove that ``answer`` is WeChat Pay's.

        Args:
            answer: What to sign.
            at: Unix seconds of the signature.
        """
        timestamp, nonce = str(int(at)), secrets.token_hex(16)
        text = b"\n".join((timestamp.encode(), nonce.encode(), answer.body, b""))
        return Answer(
            answer.status,
            answer.body,
            answer.headers.with_(
                {
                    "Request-ID": f"08{secrets.token_hex(16).upper()}-0",
                    "Wechatpay-Nonce": nonce,
                    "Wechatpay-Serial": self.serial,
                    "Wechatpay-Signature": b64encode(self._key.sign(text, PKCS1v15(), SHA256())).decode(),
                    "Wechatpay-Signature-Type": _SCHEME,
                    "Wechatpay-Timestamp": timestamp,
                }
            ),
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """A merchant, and the WeChat Pay that it talks to.

    WeChat Pay has a public key and a platform certificate, as it has for a merchant on the move from the one
    to the other; it signs with the one that a request's ``Wechatpay-Serial`` names.

    Attributes:
        mchid: Merchant id.
        serial: Serial number of the merchant's certificate.
        private_key: The merchant's key.
        signers: WeChat Pay's keys: first the public key, then the certificate.
        secret: The key of APIv2, 32 characters.
        authority: Who vouches for the merchant, and for WeChat Pay's servers, to TLS.
        certificate: The merchant's own, as PEM, with the merchant's serial number.
    """

    mchid: str
    serial: str
    private_key: RSAPrivateKey = field(repr=False)
    signers: tuple[PlatformSigner, ...]
    secret: str = field(repr=False)
    authority: Authority
    certificate: str = field(repr=False)

    @classmethod
    def generate(cls, mchid: str = _MCHID) -> Identity:
        """Make fresh keys; takes about 0.2 s."""
        serial, private_key, authority = serial_number(), _generate(), Authority.generate()
        return cls(
            mchid=mchid,
            serial=f"{serial:X}",
            private_key=private_key,
            signers=(PlatformSigner.with_public_key(mchid), PlatformSigner.with_certificate()),
            secret=secrets.token_hex(16),
            authority=authority,
            certificate=authority.merchant(mchid, private_key.public_key(), serial),
        )

    def settings(self) -> SettingsDict:
        """Return the Builder's settings for this merchant; keys are PEM text, as a merchant has them."""
        return {
            "mchid": self.mchid,
            "serial": self.serial,
            "private_key": self.private_key_pem,
            "certs": self.certs,
            "secret": self.secret,
            "merchant": {"cert": self.certificate, "key": self.private_key_pem},
            "proxies": {},
        }

    @property
    def private_key_pem(self) -> str:
        """The merchant's key as PEM, PKCS#8."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def certs(self) -> Mapping[str, str]:
        """WeChat Pay's keys by their serial numbers, as PEM."""
        return {signer.serial: signer.published for signer in self.signers}

    def signer(self, serial: str | None) -> PlatformSigner:
        """Return the key of that serial number, else the first."""
        return next((signer for signer in self.signers if signer.serial == serial), self.signers[0])


def _generate() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)
