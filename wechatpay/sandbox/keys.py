"""The merchant's keys, and WeChat Pay's, which sign responses, rotate and are withdrawn.

The signed texts are laid out here a second time, on purpose: a sandbox that used the client's own code would
agree with its mistakes.
"""

from __future__ import annotations

import re
import secrets
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wechatpay.errors import ConfigurationError
from wechatpay.sandbox import error_responses
from wechatpay.sandbox.certificates import Authority, certify, serial_number
from wechatpay.sandbox.clock import CHINA
from wechatpay.sandbox.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.settings import SettingsDict

__all__ = [
    "DEFAULT_MCHID",
    "Identity",
    "Mode",
    "PlatformSigner",
    "Signers",
    "change_settings",
    "encrypt_resource",
    "list_certificates",
]


_APPID = "wx8888888888888888"
DEFAULT_MCHID = "1900000109"
_MERCHANT_ID = re.compile(r"[0-9]{8,10}")
_NAME = "wechatpay sandbox sign"
_PUBLIC_KEY_ID = "PUB_KEY_ID_"
_SCHEME = "WECHATPAY2-SHA256-RSA2048"

#: Dates of a certificate that hold for the clock of any test: 2000, and 2100.
_LONG_AGO = 946_684_800.0
_FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


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
    def load(cls, serial: str, published: str, key: str) -> PlatformSigner:
        """Load one whose private key is PEM."""
        return cls(serial, published, load_key(key))

    @classmethod
    def with_public_key(cls, mchid: str) -> PlatformSigner:
        """Make a bare public key, as merchants get it since late 2024."""
        key = _generate()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        issue = f"{datetime.now(UTC):%y%m%d}{secrets.randbelow(10**10):010}"
        return cls(f"{_PUBLIC_KEY_ID}01{mchid}{issue}", pem, key)

    @classmethod
    def with_certificate(cls, since: float = _LONG_AGO) -> PlatformSigner:
        """Make a platform certificate, whose serial number has 40 hexadecimal digits.

        Args:
            since: Unix seconds at which its validity begins; by default long ago, as clocks of tests differ.
        """
        key, dates = _generate(), (datetime.fromtimestamp(since, UTC), _FAR_AHEAD)
        builder = certify(_NAME, _NAME, key.public_key(), serial_number(), dates)
        certificate = builder.sign(key, SHA256())
        pem = certificate.public_bytes(Encoding.PEM).decode()
        return cls(f"{certificate.serial_number:X}", pem, key)

    @property
    def key_pem(self) -> str:
        """The private key as PEM, PKCS#8."""
        return _pem(self._key)

    @property
    def is_certificate(self) -> bool:
        """Whether merchants get a certificate, and not a bare public key."""
        return not self.serial.startswith(_PUBLIC_KEY_ID)

    def decrypt(self, text: str) -> str:
        """Decrypt what a merchant encrypted with this key: RSAES-OAEP with SHA-1.

        Args:
            text: Base64.

        Raises:
            ValueError: It is not base64, or was not encrypted with this key.
        """
        return self._key.decrypt(b64decode(text, validate=True), OAEP(MGF1(SHA1()), SHA1(), None)).decode()  # noqa: S303  WeChat Pay's choice

    def sign(self, response: HttpResponse, at: float) -> HttpResponse:
        """Add the headers of WeChat Pay's signature.

        Args:
            response: What to sign.
            at: Unix seconds of the signature.
        """
        timestamp, nonce = str(int(at)), secrets.token_hex(16)
        body = response.body if response.signed_text is None else response.signed_text
        text = b"\n".join((timestamp.encode(), nonce.encode(), body, b""))
        return HttpResponse(
            response.status,
            response.body,
            response.headers.with_(
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
        apiv3_key: The key of APIv3, 32 characters: callbacks and certificates are encrypted with it.
        app: The merchant's official account or mini program: ``appid`` and ``secret``.
        authority: Who vouches for the merchant, and for WeChat Pay's servers, to TLS.
        certificate: The merchant's own, as PEM, with the merchant's serial number.
    """

    mchid: str
    serial: str
    private_key: RSAPrivateKey = field(repr=False)
    signers: tuple[PlatformSigner, ...]
    secret: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    app: Mapping[str, str] = field(repr=False)
    authority: Authority
    certificate: str = field(repr=False)

    @classmethod
    def generate(cls, mchid: str = DEFAULT_MCHID, authority: Authority | None = None) -> Identity:
        """Make fresh keys; takes about 0.2 s.

        Args:
            mchid: Merchant id, 8 to 10 digits.
            authority: Issues the merchant's certificate; merchants of one sandbox share it. A new one by
                default.

        Raises:
            ConfigurationError: ``mchid`` is not a merchant id.
        """
        if not _MERCHANT_ID.fullmatch(mchid):
            raise ConfigurationError(f"mchid: 8 to 10 digits, not {mchid!r:.40}")
        serial, private_key, authority = serial_number(), _generate(), authority or Authority.generate()
        return cls(
            mchid=mchid,
            serial=f"{serial:X}",
            private_key=private_key,
            signers=(PlatformSigner.with_public_key(mchid), PlatformSigner.with_certificate()),
            secret=secrets.token_hex(16),
            apiv3_key=secrets.token_hex(16),
            app={"appid": _appid(mchid), "secret": secrets.token_hex(16)},
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
            "apiv3_key": self.apiv3_key,
            "secret": self.secret,
            "app": dict(self.app),
            "merchant": {"cert": self.certificate, "key": self.private_key_pem},
            "proxies": {},
        }

    @property
    def private_key_pem(self) -> str:
        """The merchant's key as PEM, PKCS#8."""
        return _pem(self.private_key)

    @property
    def certs(self) -> Mapping[str, str]:
        """WeChat Pay's keys by their serial numbers, as PEM."""
        return {signer.serial: signer.published for signer in self.signers}

    def signer(self, serial: str | None) -> PlatformSigner:
        """Return the key of that serial number, else the first."""
        return next((signer for signer in self.signers if signer.serial == serial), self.signers[0])


def change_settings(settings: SettingsDict, changes: SettingsDict) -> SettingsDict:
    """Replace settings; a session has proxies and TLS settings of its own, and a Builder refuses others."""
    if changes.get("session") is not None or changes.get("client_session") is not None:
        settings = settings.copy()
        settings.pop("proxies", None)
        settings.pop("verify", None)
    return {**settings, **changes}


def _appid(mchid: str) -> str:
    """Return the app of a merchant: a well-known one of the default merchant, else one of its own."""
    return _APPID if mchid == DEFAULT_MCHID else f"wx{mchid:8>16}"


def load_key(pem: str) -> RSAPrivateKey:
    """Load a private key from PEM."""
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)  # noqa: S101  there are no others here
    return key


def _pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _generate() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


#: How a merchant verifies: with a public key, as all do that joined since late 2024, with certificates that
#: it downloads, or with both, on the move from these to that.
Mode = Literal["public-key", "certificates", "both"]

_MODES = ("public-key", "certificates", "both")


class Signers:
    """The keys that WeChat Pay signs with, newest first; threads may share it.

    Attributes:
        mode: How the merchant verifies.
    """

    def __init__(self, identity: Identity, mode: Mode, clock: Callable[[], float]) -> None:
        """Start with the identity's keys.

        Args:
            identity: Whose keys.
            mode: Which of them the merchant uses.
            clock: Returns Unix seconds, at which new certificates begin.

        Raises:
            ConfigurationError: There is no such mode.
        """
        if mode not in _MODES:
            raise ConfigurationError(f"mode: one of {', '.join(_MODES)}, not {mode!r:.40}")
        self.mode = mode
        self._mchid = identity.mchid
        self._clock = clock
        self._lock = threading.Lock()
        self._offered = tuple(signer for signer in identity.signers if self._suits(signer))
        self._retired: tuple[PlatformSigner, ...] = ()

    @property
    def certs(self) -> Mapping[str, str]:
        """Those that are in use, by their serial numbers, as PEM."""
        return {signer.serial: signer.published for signer in self._offered}

    @property
    def certificates(self) -> tuple[PlatformSigner, ...]:
        """The certificates in use, newest first."""
        return tuple(signer for signer in self._offered if signer.is_certificate)

    def had(self, serial: str) -> bool:
        """Return whether there ever was such a key: requests under way may name a withdrawn one."""
        return any(signer.serial == serial for signer in self._all())

    def signer(self, serial: str | None = None) -> PlatformSigner:
        """Return the key of that serial number while it is in use, else the newest."""
        offered = self._offered
        return next((signer for signer in offered if signer.serial == serial), offered[0])

    def rotate(self) -> PlatformSigner:
        """Make a new key, and use it beside the others: a certificate, but for merchants that have none."""
        if self.mode == "public-key":
            made = PlatformSigner.with_public_key(self._mchid)
        else:
            made = PlatformSigner.with_certificate(self._clock())
        with self._lock:
            self._offered = (made, *self._offered)
        return made

    def retire(self, serial: str) -> None:
        """Stop using a key.

        Raises:
            ConfigurationError: It is not in use, or the last one.
        """
        with self._lock:
            kept = tuple(signer for signer in self._offered if signer.serial != serial)
            if len(kept) == len(self._offered):
                held = ", ".join(self.certs)
                raise ConfigurationError(f"serial: {serial!r:.80} is not in use; there are {held}")
            if not kept:
                raise ConfigurationError("serial: WeChat Pay is never without a key; rotate() first")
            self._retired += tuple(signer for signer in self._offered if signer.serial == serial)
            self._offered = kept

    def decrypt(self, text: str, serial: str) -> str:
        """Decrypt what the merchant encrypted with a key, in use or not.

        Raises:
            ConfigurationError: There never was such a key.
            ValueError: The text was not encrypted with it.
        """
        for signer in self._all():
            if signer.serial == serial:
                return signer.decrypt(text)
        raise ConfigurationError(f"serial: WeChat Pay never had a key {serial!r:.80}")

    def _all(self) -> tuple[PlatformSigner, ...]:
        with self._lock:
            return self._offered + self._retired

    def _suits(self, signer: PlatformSigner) -> bool:
        return self.mode == "both" or signer.is_certificate == (self.mode == "certificates")


ALGORITHM = "AEAD_AES_256_GCM"


def encrypt_resource(apiv3_key: str, plaintext: bytes, associated_data: str | None) -> dict[str, str]:
    """Encrypt under the APIv3 key, with the values needed to decrypt.

    Args:
        apiv3_key: 32 characters.
        plaintext: What to encrypt.
        associated_data: Additional authenticated data; ``None`` leaves the member out.
    """
    nonce = secrets.token_hex(6)
    aad = (associated_data or "").encode()
    ciphertext = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plaintext, aad)
    aad_member = {} if associated_data is None else {"associated_data": associated_data}
    return {
        "algorithm": ALGORITHM,
        "ciphertext": b64encode(ciphertext).decode(),
        **aad_member,
        "nonce": nonce,
    }


def list_certificates(signers: Signers, apiv3_key: str) -> HttpResponse:
    """List the certificates in use; a merchant with a public key alone has none."""
    if signers.mode == "public-key":
        return error_responses.no_resource(
            "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。"
            "可查看指引https://pay.weixin.qq.com/doc/v3/merchant/4012153196"
        )
    return HttpResponse.json({"data": [_item(signer, apiv3_key) for signer in signers.certificates]})


def _item(signer: PlatformSigner, apiv3_key: str) -> dict[str, Any]:
    pem = signer.published.encode()
    certificate = x509.load_pem_x509_certificate(pem)
    return {
        "serial_no": signer.serial,
        "effective_time": certificate.not_valid_before_utc.astimezone(CHINA).isoformat(),
        "expire_time": certificate.not_valid_after_utc.astimezone(CHINA).isoformat(),
        "encrypt_certificate": encrypt_resource(apiv3_key, pem, "certificate"),
    }
