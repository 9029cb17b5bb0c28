"""APIv2's callbacks: XML with a ``sign``, or with an encrypted ``req_info``.

https://pay.weixin.qq.com/doc/v2/merchant/4011935221 and https://pay.weixin.qq.com/doc/v2/merchant/4011935223
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from wechatpay import formatter, transformer
from wechatpay.crypto import aes_ecb, hashing
from wechatpay.errors import CryptoError, DecodeError, InvalidRequestError
from wechatpay.notification.envelope import decrypted
from wechatpay.notification.message import Notification, moment
from wechatpay.notification.refusals import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    UnconfiguredNotificationError,
    UnsignedNotificationError,
)

__all__ = ["Documents"]

#: What the merchant id is called, here and there.
_MERCHANT = ("mch_id", "mchid", "combine_mch_id")

#: Hexadecimal digits of an HMAC-SHA256.
_LONG = 64

#: What differs between two deliveries of one event.
_FLEETING = ("nonce_str", "sign")

_REFUND = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<root[\s>]")


@dataclass(frozen=True, slots=True)
class Documents:
    """Proves and reads APIv2's callbacks.

    Attributes:
        secret: The APIv2 key.
        mchid: Whose callbacks are taken; ``None`` takes any that the secret proves.
        apiv3_key: Opens the few whose event is encrypted; ``None`` refuses these.
    """

    secret: str = field(repr=False)
    mchid: str | None
    apiv3_key: bytes | None = field(repr=False)

    def opened(self, body: bytes) -> Notification:
        """Prove and read a callback.

        Raises:
            MalformedNotificationError: It is not what it says, or lacks a part.
            UnsignedNotificationError: It has no ``sign``.
            ForgedNotificationError: Its ``sign``, or its ``req_info``, was not made with the secret.
            ForeignNotificationError: It names another merchant.
            UndecryptableNotificationError: Its event is not encrypted with ``apiv3_key``.
            UnconfiguredNotificationError: Its event is encrypted, and ``apiv3_key`` was left out.
        """
        fields = _xml(body, "the callback")
        if "req_info" in fields:
            plaintext = self._refund(fields)
        else:
            self._check_sign(fields)
            plaintext = self._event(fields) if "event_ciphertext" in fields else body
        self._check_merchant(fields)
        resource = fields if plaintext is body else _xml(plaintext, "the event")
        return Notification(
            id=_text(fields, "event_id") or _digest(resource),
            event_type=_text(fields, "event_type"),
            create_time=moment(fields.get("event_create_time")),
            summary="",
            original_type=_original_type(fields),
            resource=resource,
            plaintext=plaintext,
            raw=body,
            version="v2",
        )

    def _refund(self, fields: dict[str, Any]) -> bytes:
        """Decrypt ``req_info``; that it is a document afterwards is all that proves it."""
        if fields.get("sign"):
            self._check_sign(fields)
        key = hashing.md5(self.secret)
        try:
            plaintext = aes_ecb.decrypt_bytes("".join(_text(fields, "req_info").split()), key)
            transformer.to_dict(plaintext)
        except (CryptoError, DecodeError):
            plaintext = b""
        if not _REFUND.match(plaintext):
            raise ForgedNotificationError(
                "req_info does not decrypt: the callback is not WeChat Pay's, "
                "or secret is not the APIv2 key of this merchant"
            )
        return plaintext

    def _event(self, fields: dict[str, Any]) -> bytes:
        if self.apiv3_key is None:
            raise UnconfiguredNotificationError("the event is encrypted: give apiv3_key, too")
        names = ("algorithm", "ciphertext", "nonce", "associated_data")
        return decrypted({name: fields.get(f"event_{name}") for name in names}, self.apiv3_key)

    def _check_sign(self, fields: dict[str, Any]) -> None:
        if not (sign := _text(fields, "sign")):
            raise UnsignedNotificationError("the callback has no sign: it did not come from WeChat Pay")
        algorithm = hashing.ALGO_HMAC_SHA256 if len(sign) == _LONG else hashing.ALGO_MD5
        named = fields.get("sign_type") or fields.get("algorithm") or algorithm
        if named != algorithm:
            raise ForgedNotificationError(f"the callback names {named!r:.40}, and its sign is no such one")
        try:
            text = formatter.query_string_like(formatter.ksort(fields))
        except InvalidRequestError:
            raise MalformedNotificationError(
                "the callback has fields in fields, which no sign covers"
            ) from None
        if not hashing.equals(hashing.sign(algorithm, text, self.secret), sign):
            raise ForgedNotificationError(
                "sign does not belong to the callback: it is not WeChat Pay's, "
                "or secret is not the APIv2 key of this merchant"
            )

    def _check_merchant(self, fields: dict[str, Any]) -> None:
        for name in _MERCHANT:
            if self.mchid is not None and fields.get(name, self.mchid) != self.mchid:
                raise ForeignNotificationError(
                    f"{name}: the callback is for merchant {fields[name]!r:.40}, not for {self.mchid!r}"
                )


def _xml(data: bytes, noun: str) -> dict[str, Any]:
    try:
        return transformer.to_dict(data)
    except DecodeError as error:
        raise MalformedNotificationError(f"{noun}: {error}") from None


def _text(fields: dict[str, Any], name: str) -> str:
    return value if isinstance(value := fields.get(name), str) else ""


def _original_type(fields: dict[str, Any]) -> str:
    """Tell refunds from payments, which both name a payment, in the words of APIv3."""
    if "req_info" in fields:
        return "refund"
    return "transaction" if {"out_trade_no", "transaction_id"} <= fields.keys() else ""


def _digest(fields: dict[str, Any]) -> str:
    lasting = {name: value for name, value in fields.items() if name not in _FLEETING}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
