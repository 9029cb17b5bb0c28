"""APIv3's callbacks: a signed JSON envelope around an encrypted resource.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from wechatpay.apiv3.verification import Subject
from wechatpay.crypto.suites import RSA
from wechatpay.errors import CryptoError
from wechatpay.notification.message import Notification, moment
from wechatpay.notification.reencoding import original
from wechatpay.notification.refusals import (
    ForgedNotificationError,
    MalformedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)

if TYPE_CHECKING:
    from wechatpay.apiv3.verification import Proof
    from wechatpay.crypto.suites import Suite

__all__ = ["CALLBACK", "decrypted", "opened", "verify"]

CALLBACK: Final = Subject(
    "the callback",
    UnsignedNotificationError,
    StaleNotificationError,
    UnknownSerialNotificationError,
    ForgedNotificationError,
    ProbeNotificationError,
)


def verify(proof: Proof, body: bytes, public_key: Any, suite: Suite = RSA) -> None:
    """Prove that ``body`` is what was signed.

    Raises:
        ReencodedNotificationError: It is not, but says the same as what was.
        ForgedNotificationError: It is not.
    """

    def is_signed(candidate: bytes) -> bool:
        return suite.verify(proof.text(candidate), proof.signature, public_key)

    if is_signed(body):
        return
    if (signed := original(body, is_signed)) is not None:
        raise ReencodedNotificationError(
            f"the body was re-encoded on its way here: {len(signed)} bytes were signed, and {len(body)} "
            "came that say the same; hand over the raw body: request.get_data() in Flask, request.body in "
            "Django, await request.body() in FastAPI and Starlette, await request.read() in aiohttp"
        )
    if not body:
        raise ForgedNotificationError("the body is empty: did something read it before?")
    raise proof.forged()


def opened(body: bytes, apiv3_key: bytes, suite: Suite = RSA) -> Notification:
    """Read a callback whose signature was verified.

    Raises:
        MalformedNotificationError: It is no envelope, or what it holds is no JSON.
        UndecryptableNotificationError: What it holds is not encrypted with this key, or in another way.
    """
    envelope = _json(body, "the callback")
    if not (id_ := _text(envelope, "id")):
        raise MalformedNotificationError("the callback is genuine, but has no id")
    resource = envelope.get("resource")
    if not isinstance(resource, dict):
        raise MalformedNotificationError("the callback is genuine, but has no resource: nothing to act on")
    fields = {name: resource.get(name) for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
    plaintext = decrypted(fields, apiv3_key, suite)
    return Notification(
        id=id_,
        event_type=_text(envelope, "event_type"),
        create_time=moment(envelope.get("create_time")),
        summary=_text(envelope, "summary"),
        original_type=_text(resource, "original_type"),
        resource=_json(plaintext, "the resource"),
        plaintext=plaintext,
        raw=body,
    )


def decrypted(fields: dict[str, Any], apiv3_key: bytes, suite: Suite = RSA) -> bytes:
    """Decrypt ``ciphertext`` with ``nonce`` and ``associated_data``, which may be left out.

    Raises:
        MalformedNotificationError: One of them is no text.
        UndecryptableNotificationError: It is not encrypted with this key, or says to be in another way.
    """
    given = {**fields, "associated_data": fields["associated_data"] or ""}
    for name, value in given.items():
        if not isinstance(value, str):
            raise MalformedNotificationError(f"the callback is genuine, but its {name} is missing or no text")
    if given["algorithm"] != suite.cipher:
        raise UndecryptableNotificationError(
            f"the callback names the cipher {given['algorithm']!r:.40}, but was signed as {suite.cipher} is"
        )
    try:
        return suite.decrypt(given["ciphertext"], apiv3_key, given["nonce"], given["associated_data"])
    except CryptoError:
        raise UndecryptableNotificationError(
            "the callback is genuine, but does not decrypt: "
            "is apiv3_key the APIv3 key that this merchant set in WeChat Pay's console?"
        ) from None


def _json(data: bytes, noun: str) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError:
        raise MalformedNotificationError(f"{noun} is not UTF-8") from None
    except (ValueError, RecursionError):
        raise MalformedNotificationError(f"{noun} is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedNotificationError(f"{noun} is JSON, but no object")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    return value if isinstance(value := fields.get(name), str) else ""
