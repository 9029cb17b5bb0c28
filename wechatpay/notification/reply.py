"""The HTTP response to a callback.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechatpay import jsontext, transformer
from wechatpay.errors import DecodeError, InvalidRequestError

__all__ = ["Reply", "build_failure", "build_success"]

#: Characters of a reason that are sent: APIv2 takes 128.
_LONGEST_REASON = 128

_TYPES = {"v3": "application/json", "v2": "text/xml"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to send, for any framework.

    Attributes:
        status: HTTP status.
        headers: Headers to send.
        body: Body bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether WeChat Pay takes the callback as received and stops delivering it."""
        return 200 <= self.status < 300  # noqa: PLR2004  HTTP's successes

    def to_bytes(self) -> bytes:
        """Serialise the reply for a store; see `from_bytes`."""
        fields = {"status": self.status, "headers": dict(self.headers), "body": self.body.decode("latin-1")}
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Reply:
        """Parse what `to_bytes` returned.

        Raises:
            DecodeError: ``text`` is anything else.
        """
        try:
            fields = json.loads(text)
            return cls(fields["status"], fields["headers"], fields["body"].encode("latin-1"))
        except (AttributeError, LookupError, TypeError, ValueError):
            raise DecodeError(
                "the store returned something else than a reply: check that nothing else writes its keys"
            ) from None


def build_success(version: str, data: Mapping[str, Any] | None) -> Reply:
    """Make the reply that acknowledges a callback, with further fields if its kind needs some.

    Raises:
        InvalidRequestError: ``data`` is not a mapping, cannot be serialised, or contradicts the success.
    """
    if data is not None and not isinstance(data, Mapping):
        raise InvalidRequestError(f"data: give a mapping of fields or None, not {type(data).__name__}")
    fields: dict[str, Any] = _fields(version, "SUCCESS", "OK") | dict(data or {})
    verdict = next(iter(fields))
    if fields[verdict] != "SUCCESS":
        raise InvalidRequestError(
            f"data: {verdict} must be SUCCESS in an acknowledgement; use reject() for failures"
        )
    return _build(version, fields, 200)


def build_failure(version: str, reason: str, status: int) -> Reply:
    """Make the reply that has a callback delivered again.

    Args:
        version: ``"v3"`` or ``"v2"``.
        reason: Sent with spaces for unprintable characters, and cut to 128 characters.
        status: HTTP status, 4xx or 5xx.

    Raises:
        InvalidRequestError: ``status`` is not 4xx or 5xx.
    """
    if not 400 <= status < 600:  # noqa: PLR2004  HTTP's errors
        raise InvalidRequestError(f"status: {status} would end the deliveries; give 4xx or 5xx")
    printable = "".join(letter if letter.isprintable() else " " for letter in reason)
    return _build(version, _fields(version, "FAIL", printable[:_LONGEST_REASON]), status)


def _fields(version: str, verdict: str, message: str) -> dict[str, str]:
    if version == "v2":
        return {"return_code": verdict, "return_msg": message}
    return {"code": verdict, "message": message}


def _build(version: str, fields: Mapping[str, Any], status: int) -> Reply:
    body = transformer.to_xml(fields).encode() if version == "v2" else jsontext.encode(fields, "data")
    return Reply(status, {"Content-Type": _TYPES[version]}, body)
