"""Callbacks of APIv2: XML with a ``sign``, or with an encrypted ``req_info``.

https://pay.weixin.qq.com/doc/v2/merchant/4011935221 and https://pay.weixin.qq.com/doc/v2/merchant/4011935223
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechatpay import formatter, transformer
from wechatpay.crypto import aes_ecb, hashing
from wechatpay.errors import CryptoError, DecodeError, InvalidRequestError
from wechatpay.notification.errors import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    UnconfiguredNotificationError,
    UnsignedNotificationError,
)
from wechatpay.notification.message import Notification, decrypt, escape, parse_time

if TYPE_CHECKING:
    from wechatpay.secret import Secret

__all__ = ["XMLReader"]

#: The names of the merchant id.
_MERCHANT_NAMES = ("mch_id", "mchid", "combine_mch_id")

#: Hexadecimal digits of an HMAC-SHA256.
_HMAC_DIGITS = 64

#: The fields that differ between two deliveries of one event.
_VARYING = ("nonce_str", "sign")

_REFUND = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?<root[\s>]")


@dataclass(frozen=True, slots=True)
class XMLReader:
    """Verifies and parses APIv2's callbacks.

    Attributes:
        secret: The APIv2 key.
        mchid: The merchant whose callbacks are accepted; ``None`` accepts any that the secret verifies.
        apiv3_key: Decrypts the few events that are encrypted; ``None`` refuses these.
    """

    secret: Secret[str]
    mchid: str | None
    apiv3_key: Secret[bytes] | None

    def read(self, body: bytes) -> Notification:
        """Verify and parse a callback.

        Raises:
            MalformedNotificationError: It is not XML, or lacks a field.
            UnsignedNotificationError: It has no ``sign``.
            ForgedNotificationError: Its ``sign`` or ``req_info`` was not made with the secret.
            ForeignNotificationError: It names another merchant.
            UndecryptableNotificationError: Its event is not encrypted with ``apiv3_key``.
            UnconfiguredNotificationError: Its event is encrypted, and ``apiv3_key`` was left out.
        """
        fields = _parse_xml(body, "the callback")
        if "req_info" in fields:
            plaintext = self._refund(fields)
        else:
            self._check_sign(fields)
            plaintext = self._event(fields) if "event_ciphertext" in fields else body
        self._check_merchant(fields)
        resource = fields if plaintext is body else _parse_xml(plaintext, "the event")
        return Notification(
            id=_text(fields, "event_id") or _digest(resource),
            event_type=_text(fields, "event_type"),
            create_time=parse_time(fields.get("event_create_time")),
            summary="",
            original_type=_original_type(fields),
            resource=resource,
            plaintext=plaintext,
            raw=body,
            version="v2",
        )

    def _refund(self, fields: dict[str, Any]) -> bytes:
        """Decrypt ``req_info``; that the result is a document is the only verification there is."""
        if fields.get("sign"):
            self._check_sign(fields)
        if (plaintext := self._decrypt_refund("".join(_text(fields, "req_info").split()))) is None:
            raise ForgedNotificationError(
                "req_info does not decrypt: the callback is not WeChat Pay's, "
                "or secret is not the APIv2 key of this merchant"
            )
        return plaintext

    def _decrypt_refund(self, ciphertext: str) -> bytes | None:
        with suppress(CryptoError, DecodeError):
            plaintext = aes_ecb.decrypt_bytes(ciphertext, hashing.md5(self.secret.reveal()))
            transformer.to_dict(plaintext)
            return plaintext if _REFUND.match(plaintext) else None
        return None

    def _event(self, fields: dict[str, Any]) -> bytes:
        if self.apiv3_key is None:
            raise UnconfiguredNotificationError("the event is encrypted: give apiv3_key, too")
        names = ("algorithm", "ciphertext", "nonce", "associated_data")
        return decrypt({name: fields.get(f"event_{name}") for name in names}, self.apiv3_key)

    def _check_sign(self, fields: dict[str, Any]) -> None:
        if not (sign := _text(fields, "sign")):
            raise UnsignedNotificationError("the callback has no sign: it did not come from WeChat Pay")
        algorithm = hashing.ALGO_HMAC_SHA256 if len(sign) == _HMAC_DIGITS else hashing.ALGO_MD5
        named = fields.get("sign_type") or fields.get("algorithm") or algorithm
        if named != algorithm:
            raise ForgedNotificationError(
                f"the callback names the algorithm {named!r:.40}, but its sign is made with {algorithm}"
            )
        try:
            text = formatter.query_string_like(formatter.ksort(fields))
        except InvalidRequestError:
            raise MalformedNotificationError("the callback has nested fields, which no sign covers") from None
        if not hashing.equals(hashing.sign(algorithm, text, self.secret.reveal()), sign):
            raise ForgedNotificationError(
                "sign does not match the callback: it is not WeChat Pay's, "
                "or secret is not the APIv2 key of this merchant"
            )

    def _check_merchant(self, fields: dict[str, Any]) -> None:
        for name in _MERCHANT_NAMES:
            if self.mchid is not None and fields.get(name, self.mchid) != self.mchid:
                raise ForeignNotificationError(
                    f"{name}: the callback is for merchant {fields[name]!r:.40}, not for {self.mchid!r}"
                )


def _parse_xml(data: bytes, noun: str) -> dict[str, Any]:
    try:
        return transformer.to_dict(data)
    except DecodeError as error:
        raise MalformedNotificationError(escape(f"{noun}: {error}")) from None


def _text(fields: dict[str, Any], name: str) -> str:
    return value if isinstance(value := fields.get(name), str) else ""


def _original_type(fields: dict[str, Any]) -> str:
    """Return APIv3's name for the kind of event. A refund names its payment, too."""
    if "req_info" in fields:
        return "refund"
    return "transaction" if {"out_trade_no", "transaction_id"} <= fields.keys() else ""


def _digest(fields: dict[str, Any]) -> str:
    constant = {name: value for name, value in fields.items() if name not in _VARYING}
    return hashlib.sha256(json.dumps(constant, sort_keys=True).encode()).hexdigest()
