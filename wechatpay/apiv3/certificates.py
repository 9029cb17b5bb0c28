"""The download of WeChat Pay's platform certificates: the request, and how the response is verified.

A download is signed by a key that is known, or by a certificate that it contains: only who has the APIv3 key
can have encrypted that. So it can be verified even when no key is known, or all known ones are retired.

https://pay.weixin.qq.com/doc/v3/merchant/4012551764
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wechatpay import uri
from wechatpay.apiv3.keyring import PUBLIC_KEY_ID, PlatformKey
from wechatpay.apiv3.verification import RESPONSE, SignatureHeaders
from wechatpay.crypto import pem
from wechatpay.errors import (
    APIError,
    ConfigurationError,
    CryptoError,
    DecodeError,
    ServerError,
    WeChatPayError,
    describe_unsent,
)
from wechatpay.messages import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay.apiv3.keys import PlatformKeys
    from wechatpay.crypto.suites import Suite
    from wechatpay.messages import Headers, Response
    from wechatpay.secret import Secret
    from wechatpay.settings import Settings

__all__ = ["Download", "explain", "make_request", "verify"]

#: Hosts whose certificates are elsewhere: https://pay.weixin.qq.com/doc/global/v3/zh/4013013878
_OVERSEAS = ("apihk.", "apius.", "apieu.")

#: Seconds at most to wait for a connection, and then for each read: other calls wait for this one.
_MAX_TIMEOUT = 10.0

#: Statuses of the response to a merchant without platform certificates.
_PUBLIC_KEY_MODE = (403, 404, 500)

#: How to get a public key.
_GET_PUBLIC_KEY = (
    "download the public key (微信支付公钥) and its id from the merchant console "
    "(账户中心 → API安全) and configure"
)


@dataclass(frozen=True, slots=True)
class Download:
    """A verified list of certificates.

    Attributes:
        keys: The certificates by serial number, without those that have expired.
        as_of: When the list was signed, in Unix seconds.
        response: The response, which others who have the APIv3 key can verify again.
    """

    keys: Mapping[str, PlatformKey]
    as_of: int
    response: Response


def make_request(settings: Settings, headers: Headers, suite: str) -> Request:
    """Build the request for the certificates.

    It names no key: the known ones may all be retired, and WeChat Pay then signs with one that it sends.

    Args:
        settings: The Builder's.
        headers: Those of every request without a body.
        suite: Which certificates: ``RSA`` or ``SM2``.
    """
    origin, folder, _ = uri.split(settings.base_uri)
    is_overseas = origin.partition("://")[2].lower().startswith(_OVERSEAS)
    route = "v3/global/certificates" if is_overseas and not folder else "v3/certificates"
    connect, read = settings.timeout
    return Request(
        method="GET",
        url=uri.folder(settings.base_uri) + route + (f"?algorithm_type={suite}" if suite != "RSA" else ""),
        headers=headers.with_({"Wechatpay-Serial": None}),
        timeout=(min(connect or _MAX_TIMEOUT, _MAX_TIMEOUT), min(read or _MAX_TIMEOUT, _MAX_TIMEOUT)),
        route=route,
    )


def verify(  # noqa: PLR0913  keywords, but for the first three
    response: Response,
    keys: PlatformKeys,
    apiv3_key: Secret[bytes],
    *,
    signed_about: float,
    now: float,
    request: Request | None = None,
) -> Download:
    """Decrypt the certificates of a response, and verify its signature with a known key or one of them.

    Args:
        response: The response.
        keys: The known keys.
        apiv3_key: The APIv3 key.
        signed_about: When it was signed, in Unix seconds, with a tolerance of 300 s.
        now: Unix seconds.
        request: The request, by whose host missing signature headers are explained.

    Raises:
        ConfigurationError: The APIv3 key does not decrypt it, or a public key that is not known signs it.
        DecodeError: It is not a list of certificates, or one of them is wrong.
        VerificationError: The signature cannot be verified.
    """
    headers = SignatureHeaders.read(response.headers, signed_about, RESPONSE, request)
    at = int(headers.timestamp)
    contained = _read(response.json(), apiv3_key, keys.suite)
    key = keys.get(headers.serial, at) or contained.get(headers.serial)
    is_retired = headers.serial in keys.keyring.retired
    if key is None and headers.serial.startswith(PUBLIC_KEY_ID) and not is_retired:
        raise ConfigurationError(
            f"nothing was sent: WeChat Pay signs with the public key {headers.serial!r:.80}, which certs "
            f"lacks: {_GET_PUBLIC_KEY} certs={{{headers.serial!r:.80}: 'file:///path/to/pub_key.pem'}}"
        )
    if key is None or not key.is_valid(at) or is_retired:
        raise headers.unknown_serial((*keys.serials, *contained))
    if not key.suite.verify(headers.text(response.content), headers.signature, key.public_key):
        raise headers.wrong_signature()
    offered = {
        serial: key
        for serial, key in contained.items()
        if key.not_after is None or now <= key.not_after.timestamp()
    }
    return Download(offered, at, response)


def _read(body: Any, apiv3_key: Secret[bytes], suite: Suite) -> dict[str, PlatformKey]:
    """Read the list; one wrong member makes the whole list wrong."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise DecodeError("the download of certificates has no list `data`")
    found: dict[str, PlatformKey] = {}
    for place, item in enumerate(data):
        try:
            key = _read_certificate(item, apiv3_key, suite)
        except ConfigurationError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            why = str(error) if isinstance(error, CryptoError) else "it is not what the documents say"
            raise DecodeError(f"the download of certificates: data[{place}]: {why}") from None
        if key is not None and found.setdefault(key.serial, key) != key:
            raise DecodeError(f"the download of certificates has two of the serial number {key.serial}")
    if not found:
        raise DecodeError(f"the download of certificates has none under {suite.cipher}")
    return found


def _read_certificate(item: dict[str, Any], apiv3_key: Secret[bytes], suite: Suite) -> PlatformKey | None:
    """Read one certificate; ``None`` for one of another suite."""
    encrypted, serial = item["encrypt_certificate"], item["serial_no"]
    if encrypted["algorithm"] != suite.cipher:
        return None
    associated_data = encrypted.get("associated_data")
    try:
        text = suite.decrypt(encrypted["ciphertext"], apiv3_key.reveal(), encrypted["nonce"], associated_data)
    except CryptoError as error:
        raise ConfigurationError(
            f"apiv3_key: does not decrypt WeChat Pay's certificates ({error}); "
            "is it the APIv3 key that the merchant console shows as set?"
        ) from None
    key = PlatformKey.from_certificate(serial, pem.load_certificate(text))
    if key.suite is not suite:
        raise CryptoError(f"an {key.suite.name} certificate under {suite.cipher}")
    return key.within(_parse_time(item["effective_time"]), _parse_time(item["expire_time"]))


def _parse_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise CryptoError(f"{text!r:.40} names no time zone")
    return moment


def explain(error: Exception) -> WeChatPayError:
    """Make the error that calls fail with while no key can be downloaded; they were not sent themselves."""
    if isinstance(error, APIError):
        if error.status_code in _PUBLIC_KEY_MODE:
            code = f" {error.code}" if error.code else ""
            passing = (
                isinstance(error, ServerError) and "unless it failed for a moment (the next call asks again)"
            )
            return ConfigurationError(
                "nothing was sent: WeChat Pay offers no platform certificates to this merchant "
                f"({error.status_code}{code}), {passing or 'as to every merchant in public-key mode'}: "
                f"{_GET_PUBLIC_KEY} certs={{'PUB_KEY_ID_…': 'file:///path/to/pub_key.pem'}}",
                request=error.request,
                response=error.response,
            )
        if not isinstance(error, ServerError) and not error.retryable:
            return copy.copy(error)
    if isinstance(error, ConfigurationError):
        return copy.copy(error)
    return describe_unsent(
        "WeChat Pay's certificates, without which no response can be verified, could not be downloaded", error
    )
