"""Callbacks of APIv3: signature headers, a JSON envelope, and the notification that it holds.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from wechatpay.apiv3.verification import MessageKind
from wechatpay.crypto.suites import RSA
from wechatpay.errors import CryptoError, InvalidRequestError, escape
from wechatpay.messages import Headers
from wechatpay.notification.errors import (
    ForgedNotificationError,
    MalformedNotificationError,
    ProbeNotificationError,
    ReencodedNotificationError,
    StaleNotificationError,
    UndecryptableNotificationError,
    UnknownSerialNotificationError,
    UnsignedNotificationError,
)
from wechatpay.notification.reply import build_failure, build_success

if TYPE_CHECKING:
    from wechatpay.apiv3.verification import SignatureHeaders
    from wechatpay.crypto.suites import Suite
    from wechatpay.notification.reply import Reply
    from wechatpay.secret import Secret

__all__ = [
    "CALLBACK",
    "Notification",
    "RawHeaders",
    "decrypt",
    "open_envelope",
    "parse_time",
    "read_headers",
    "verify",
]

#: The headers of a request, as a web framework gives them.
RawHeaders = Mapping[Any, Any] | Iterable[tuple[Any, Any]]

CALLBACK: Final = MessageKind(
    "the callback",
    UnsignedNotificationError,
    StaleNotificationError,
    UnknownSerialNotificationError,
    ForgedNotificationError,
    ProbeNotificationError,
)

#: The offset of times that have none: Beijing's.
_BEIJING = timezone(timedelta(hours=8))

#: The largest body, in bytes, that is searched for a re-encoding: each attempt verifies a signature.
_MAX_REENCODED = 1 << 16

_SEPARATORS = ((",", ":"), (", ", ": "))

#: The members of a callback, and of its resource, in the documented order.
_MEMBERS = (
    *("id", "create_time", "resource_type", "event_type", "summary", "resource"),
    *("original_type", "algorithm", "ciphertext", "associated_data", "nonce"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Notification:
    """One callback, verified and decrypted.

    The event may be a failure: before you act, look at ``trade_state``, ``refund_status`` or, in APIv2,
    ``result_code``.

    Attributes:
        id: The same for every delivery of one event. In APIv2 a digest of the signed text, or of a
            refund's ``refund_id`` and ``refund_status``.
        event_type: Such as ``TRANSACTION.SUCCESS``; ``""`` where APIv2 has none.
        create_time: When the event happened, with time zone; ``None`` where the callback has no valid time.
        summary: A short description; ``""`` in APIv2.
        original_type: The kind of ``resource``, such as ``transaction`` or ``refund``; ``""`` if unknown.
        resource: The event itself, decrypted; only verified fields.
        plaintext: The bytes that ``resource`` was parsed from.
        raw: The body as it was received.
        version: ``"v3"`` or ``"v2"``.
    """

    id: str
    event_type: str
    create_time: datetime | None
    summary: str
    original_type: str
    resource: dict[str, Any] = field(compare=False)
    plaintext: bytes
    raw: bytes
    version: str = "v3"

    def acknowledge(self, data: Mapping[str, Any] | None = None) -> Reply:
        """Make the reply that ends the deliveries of this event.

        Args:
            data: Further fields of the reply, which a few events ask for, such as
                ``PARKING_FEE.QUERY_TRANS_INFO``.

        Raises:
            InvalidRequestError: ``data`` cannot be serialised, or contradicts the success.
        """
        return build_success(self.version, data)

    def reject(self, reason: str, status: int = 500) -> Reply:
        """Make the reply that has this event delivered again.

        Args:
            reason: Sent to WeChat Pay; at most 128 characters of it.
            status: HTTP status, 4xx or 5xx.

        Raises:
            InvalidRequestError: ``status`` is not 4xx or 5xx.
        """
        return build_failure(self.version, reason, status)

    def __repr__(self) -> str:
        return f"<Notification {escape(self.event_type or self.version)} {escape(self.id)}>"


def read_headers(headers: RawHeaders) -> Headers:
    """Select the ``Wechatpay-*`` headers.

    Args:
        headers: A mapping, or pairs, of text or bytes: the headers of Flask, Django, FastAPI, Starlette,
            aiohttp or Tornado, ``request.META``, a WSGI environment, the headers of an ASGI scope; a value
            may be a list, as API gateways have it.

    Raises:
        InvalidRequestError: ``headers`` is neither.
    """
    found: list[tuple[str, str]] = []
    for name, value in _pairs(headers):
        key = (_header_text(name) or "").lower().replace("_", "-").removeprefix("http-")
        if key.startswith("wechatpay-"):
            values = value if isinstance(value, list | tuple) else [value]
            found += [(key, text) for each in values if (text := _header_text(each)) is not None]
    # One that comes twice is joined, as HTTP joins them, and then matches no signature.
    return Headers(found)


def _pairs(headers: Any) -> Iterator[tuple[Any, Any]]:
    items = headers.items() if hasattr(headers, "items") else headers
    try:
        yield from [(name, value) for name, value in items]
    except (TypeError, ValueError):
        raise InvalidRequestError(
            f"headers: give a mapping, or pairs of name and value, not {type(headers).__name__}"
        ) from None


def _header_text(value: object) -> str | None:
    if isinstance(value, bytes):
        return bytes.decode(value, "latin-1").strip()
    # Of a subclass of str, too, this makes an exact str.
    return str.strip(value) if isinstance(value, str) else None


def verify(headers: SignatureHeaders, body: bytes, public_key: Any, suite: Suite = RSA) -> None:
    """Verify the signature of ``body``.

    Raises:
        ReencodedNotificationError: The signature belongs to other bytes that say the same.
        ForgedNotificationError: The signature does not match.
    """

    def is_signed(candidate: bytes) -> bool:
        return suite.verify(headers.text(candidate), headers.signature, public_key)

    if is_signed(body):
        return
    if (original := _find_original(body, is_signed)) is not None:
        raise ReencodedNotificationError(
            f"the body was re-encoded on the way: {len(original)} bytes were signed, and {len(body)} bytes "
            "with the same meaning arrived; pass the raw body: request.get_data() in Flask, request.body in "
            "Django, await request.body() in FastAPI and Starlette, await request.read() in aiohttp"
        )
    if not body:
        raise ForgedNotificationError("the body is empty: check that nothing reads it before")
    raise headers.wrong_signature()


def _find_original(body: bytes, is_signed: Callable[[bytes], bool]) -> bytes | None:
    """Find the signed bytes among the usual re-encodings of ``body``."""
    if len(body) > _MAX_REENCODED:
        return None
    tried = {body}
    for candidate in _reencodings(body):
        if candidate not in tried and is_signed(candidate):
            return candidate
        tried.add(candidate)
    return None


def _reencodings(body: bytes) -> Iterator[bytes]:
    yield body.strip()
    with suppress(UnicodeError):
        # Decoded as Latin-1, HTTP's old default, and encoded as UTF-8.
        yield body.decode().encode("latin-1")
    with suppress(ValueError, RecursionError):
        # Frameworks keep the order of the members, or sort them, as Flask does.
        values = json.loads(body), json.loads(body, object_pairs_hook=_restore_order)
        for value, separators, ensure_ascii in product(values, _SEPARATORS, (False, True)):
            yield json.dumps(value, separators=separators, ensure_ascii=ensure_ascii).encode(
                "utf-8", "replace"
            )


def _restore_order(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(members, key=lambda member: (*_MEMBERS, member[0]).index(member[0])))


def open_envelope(body: bytes, apiv3_key: Secret[bytes], suite: Suite = RSA) -> Notification:
    """Parse and decrypt a callback whose signature was verified.

    Raises:
        MalformedNotificationError: The body is not an envelope, or its content is not a JSON object.
        UndecryptableNotificationError: Its content is not encrypted with this key, or with another cipher.
    """
    envelope = _parse_json(body, "the callback")
    if not (id_ := _text(envelope, "id")):
        raise MalformedNotificationError("the callback is genuine, but has no id")
    resource = envelope.get("resource")
    if not isinstance(resource, dict):
        raise MalformedNotificationError("the callback is genuine, but has no resource: nothing to act on")
    fields = {name: resource.get(name) for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
    plaintext = decrypt(fields, apiv3_key, suite)
    return Notification(
        id=id_,
        event_type=_text(envelope, "event_type"),
        create_time=parse_time(envelope.get("create_time")),
        summary=_text(envelope, "summary"),
        original_type=_text(resource, "original_type"),
        resource=_parse_json(plaintext, "the resource"),
        plaintext=plaintext,
        raw=body,
    )


def decrypt(fields: dict[str, Any], apiv3_key: Secret[bytes], suite: Suite = RSA) -> bytes:
    """Decrypt ``ciphertext`` with ``nonce`` and the optional ``associated_data``.

    The cipher is the one that belongs to ``suite``; ``algorithm`` must name it.

    Raises:
        MalformedNotificationError: One of the fields is not text.
        UndecryptableNotificationError: Another cipher is named, or the key does not decrypt the text.
    """
    given = {**fields, "associated_data": fields["associated_data"] or ""}
    for name, value in given.items():
        if not isinstance(value, str):
            raise MalformedNotificationError(
                f"the callback is genuine, but its {name} is missing or not text"
            )
    if given["algorithm"] != suite.cipher:
        raise UndecryptableNotificationError(
            f"the callback names the cipher {given['algorithm']!r:.40}, but its key needs {suite.cipher}"
        )
    with suppress(CryptoError):
        return suite.decrypt(
            given["ciphertext"], apiv3_key.reveal(), given["nonce"], given["associated_data"]
        )
    # Not inside the handler of the other error: its traceback holds frames that hold the key.
    raise UndecryptableNotificationError(
        "the callback is genuine, but does not decrypt: "
        "is apiv3_key the APIv3 key that this merchant set in WeChat Pay's console?"
    )


def parse_time(value: object) -> datetime | None:
    """Parse a time in RFC 3339 or in APIv2's digits; return ``None`` for anything else."""
    if not isinstance(value, str):
        return None
    text = f"{value[:8]}T{value[8:]}" if value.isdigit() else value
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=_BEIJING)


def _parse_json(data: bytes, noun: str) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError:
        raise MalformedNotificationError(f"{noun} is not UTF-8") from None
    except (ValueError, RecursionError):
        raise MalformedNotificationError(f"{noun} is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedNotificationError(f"{noun} is JSON, but not an object")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    return value if isinstance(value := fields.get(name), str) else ""
