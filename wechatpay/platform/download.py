"""The download of platform certificates, which proves itself.

https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wechatpay.apiv3.verification import ANSWER, Proof
from wechatpay.crypto import pem
from wechatpay.crypto.suites import RSA
from wechatpay.errors import ConfigurationError, CryptoError, DecodeError, VerificationError
from wechatpay.platform.key import PlatformKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.crypto.suites import Suite
    from wechatpay.messages import Request, Response
    from wechatpay.platform.keyring import Keyring

__all__ = ["Download"]


@dataclass(frozen=True, slots=True)
class Download:
    """Certificates that WeChat Pay offers.

    Attributes:
        keys: The certificates by serial number, those that have ended left out.
        as_of: When the answer was signed, in Unix seconds.
        response: The answer itself, which proves all this to whoever has the APIv3 key.
    """

    keys: Mapping[str, PlatformKey]
    as_of: int
    response: Response

    @classmethod
    def proven(  # noqa: PLR0913  each a part of the proof
        cls,
        response: Response,
        *,
        apiv3_key: bytes,
        known: Keyring,
        signed_about: float,
        now: float,
        suite: Suite | None = None,
        request: Request | None = None,
    ) -> Download:
        """Decrypt and check the certificates, then verify the answer with a known key or one it carried.

        Only who has the APIv3 key can have made certificates that decrypt; the signature adds that the list
        is whole and of its time. So a download is proved even when every known certificate is retired.

        Args:
            response: The answer.
            apiv3_key: The APIv3 key, 32 bytes.
            known: The keys believed so far.
            signed_about: When the answer was signed, in Unix seconds, 300 s more or less.
            now: Unix seconds.
            suite: The algorithms that the merchant signs by; RSA's by default.
            request: What was asked, for the errors.

        Raises:
            ConfigurationError: The APIv3 key does not decrypt it.
            DecodeError: It is no list of certificates, or one of them is wrong.
            VerificationError: It is not provably WeChat Pay's.
        """
        try:
            proof = Proof.read(response.headers, signed_about, ANSWER)
            at = int(proof.timestamp)
            carried = _certificates(response.json(), apiv3_key, suite or RSA)
            key = known.get(proof.serial, at) or carried.get(proof.serial)
            if key is None or not key.is_valid(at) or proof.serial in known.retired:
                raise proof.unknown((*known.serials, *carried))
            if not key.suite.verify(proof.text(response.content), proof.signature, key.public_key):
                raise proof.forged()
        except (VerificationError, DecodeError, ConfigurationError) as error:
            error.request, error.response = request, response
            raise
        offered = {serial: key for serial, key in carried.items() if not _has_ended(key, now)}
        return cls(offered, at, response)


def _certificates(body: Any, apiv3_key: bytes, suite: Suite) -> dict[str, PlatformKey]:
    """Read the list, every member of which must be right: half a list is none."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise DecodeError("the download of certificates has no list `data`")
    found: dict[str, PlatformKey] = {}
    for place, item in enumerate(data):
        try:
            key = _certificate(item, apiv3_key, suite)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            why = str(error) if isinstance(error, CryptoError) else "it is not what the documents say"
            raise DecodeError(f"the download of certificates: data[{place}]: {why}") from None
        if key is not None and found.setdefault(key.serial, key) != key:
            raise DecodeError(f"the download of certificates has two of the serial number {key.serial}")
    if not found:
        raise DecodeError(f"the download of certificates has none under {suite.cipher}")
    return found


def _certificate(item: dict[str, Any], apiv3_key: bytes, suite: Suite) -> PlatformKey | None:
    """Read one certificate; ``None`` for one of another suite."""
    sealed, serial = item["encrypt_certificate"], item["serial_no"]
    if sealed["algorithm"] != suite.cipher:
        return None
    try:
        text = suite.decrypt(sealed["ciphertext"], apiv3_key, sealed["nonce"], sealed.get("associated_data"))
    except CryptoError as error:
        raise ConfigurationError(
            f"apiv3_key: does not decrypt WeChat Pay's certificates ({error}); "
            "is it the APIv3 key that the merchant console shows as set?"
        ) from None
    key = PlatformKey.certified(serial, pem.load_certificate(text))
    if key.suite is not suite:
        raise CryptoError(f"an {key.suite.name} certificate under {suite.cipher}")
    return key.within(_moment(item["effective_time"]), _moment(item["expire_time"]))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise CryptoError(f"{text!r:.40} names no time zone")
    return moment


def _has_ended(key: PlatformKey, now: float) -> bool:
    return key.not_after is not None and key.not_after.timestamp() < now
