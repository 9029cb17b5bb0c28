"""Callbacks of APIv2: XML with a ``sign``, or with an encrypted ``req_info``.

https://pay.weixin.qq.com/doc/v2/merchant/4011935221 and https://pay.weixin.qq.com/doc/v2/merchant/4011935223
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wechatpay import formatter, transformer
from wechatpay.crypto import aes_ecb, hashing
from wechatpay.errors import CryptoError, DecodeError, InvalidRequestError, escape
from wechatpay.notification.errors import (
    ForeignNotificationError,
    ForgedNotificationError,
    MalformedNotificationError,
    UnconfiguredNotificationError,
    UnsignedNotificationError,
)
from wechatpay.notification.message import Notification, decrypt, parse_time

if TYPE_CHECKING:
    from wechatpay.secret import Secret

__all__ = ["XMLReader"]

#: The names of the merchant id.
_MERCHANT_NAMES = ("mch_id", "mchid", "combine_mch_id")

#: Each signed callback has one of these. What merchants sign with the same key, such as the parameters that
#: invoke payment, has none.
_MARKS = ("return_code", "change_type", "event_ciphertext", "vehicle_event_createtime", "is_subscribe")

#: Members of every payment.
_PAYMENT = {"return_code", "result_code", "nonce_str", "out_trade_no", "transaction_id", "total_fee"}

#: Hexadecimal digits of an HMAC-SHA256.
_HMAC_DIGITS = 64

#: The parts of a signed text that differ between two deliveries of one event.
_VARYING = ("nonce_str=",)

#: The same for an event with an ``event_id``: each delivery may be encrypted anew.
_VARYING_OF_NAMED = ("nonce_str=", "event_nonce=", "event_ciphertext=")

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
        # Empty fields are not signed: anybody can add one.
        fields = _present(_parse_xml(body, "the callback"))
        if "req_info" in fields:
            plaintext = self._refund(fields)
            self._check_merchant(fields)
            resource = _parse_xml(plaintext, "the event")
            # Nothing verifies the fields beside req_info: none of them describes the event.
            return _notification(_refund_id(resource), "refund", resource, plaintext, body)
        text = self._check_sign(fields)
        if not any(name in fields for name in _MARKS):
            raise MalformedNotificationError(
                f"the callback has none of {', '.join(_MARKS)}: it was signed with secret for something else"
            )
        plaintext = self._event(fields) if "event_ciphertext" in fields else body
        self._check_merchant(fields)
        resource = fields if plaintext is body else _parse_xml(plaintext, "the event")
        kind = "transaction" if fields.keys() >= _PAYMENT else ""
        return replace(
            _notification(_signed_id(text), kind, resource, plaintext, body),
            event_type=_text(fields, "event_type"),
            create_time=parse_time(fields.get("event_create_time")),
        )

    def _refund(self, fields: dict[str, Any]) -> bytes:
        """Decrypt ``req_info``; that the result is a document is the only verification there is."""
        if "sign" in fields:
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

    def _check_sign(self, fields: dict[str, Any]) -> str:
        """Return the text that ``sign`` covers."""
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
        return text

    def _check_merchant(self, fields: dict[str, Any]) -> None:
        # One that names no merchant is for the owner of the secret.
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


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}


def _notification(id_: str, kind: str, resource: dict[str, Any], text: bytes, raw: bytes) -> Notification:
    return Notification(id_, "", None, "", kind, resource, text, raw, version="v2")


def _signed_id(text: str) -> str:
    """Identify a signed event by the signed text alone.

    The fields are not used: one text can be cut into fields in several ways if a value holds ``&``.
    """
    parts = text.split("&")
    is_named = any(part.startswith("event_id=") for part in parts)
    varying = _VARYING_OF_NAMED if is_named else _VARYING
    return _digest([part for part in parts if not part.startswith(varying)])


def _refund_id(fields: dict[str, Any]) -> str:
    """Identify a refund by its number and state: its encryption does not authenticate the other fields."""
    number, status = _text(fields, "refund_id"), _text(fields, "refund_status")
    return _digest([number, status] if number and status else _present(fields))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
