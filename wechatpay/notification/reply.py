"""What callbacks are answered with.

https://pay.weixin.qq.com/doc/v3/merchant/4012791861
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechatpay import jsontext, transformer
from wechatpay.errors import DecodeError, InvalidRequestError

__all__ = ["Reply", "failure", "success"]

#: Characters of a reason that are sent: APIv2 takes 128.
_LONGEST_REASON = 128

_TYPES = {"v3": "application/json", "v2": "text/xml"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send back, in terms that any framework takes.

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
        """Tell whether WeChat Pay takes it as received, and stops delivering the callback."""
        return 200 <= self.status < 300  # noqa: PLR2004  HTTP's successes

    def to_bytes(self) -> bytes:
        """Write it for a store; see `from_bytes`."""
        fields = {"status": self.status, "headers": dict(self.headers), "body": self.body.decode("latin-1")}
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Reply:
        """Read what `to_bytes` wrote.

        Raises:
            DecodeError: It is anything else.
        """
        try:
            fields = json.loads(text)
            return cls(fields["status"], fields["headers"], fields["body"].encode("latin-1"))
        except (AttributeError, LookupError, TypeError, ValueError):
            raise DecodeError("the store holds no reply there: is it shared with something else?") from None


def success(version: str, data: Mapping[str, Any] | None) -> Reply:
    """Say that a callback was received, and what else its kind asks for.

    Raises:
        InvalidRequestError: ``data`` is no mapping, cannot be written, or says something else.
    """
    if data is not None and not isinstance(data, Mapping):
        raise InvalidRequestError(f"data: give a mapping of fields, or nothing, not {type(data).__name__}")
    fields: dict[str, Any] = _said(version, "SUCCESS", "OK") | dict(data or {})
    verdict = next(iter(fields))
    if fields[verdict] != "SUCCESS":
        raise InvalidRequestError(f"data: {verdict} would say otherwise; reject() is for failures")
    return _written(version, fields, 200)


def failure(version: str, reason: str, status: int) -> Reply:
    """Say that a callback was not received, so that it is delivered again.

    Args:
        version: ``"v3"`` or ``"v2"``.
        reason: Sent without what is not printable, and cut to 128 characters.
        status: HTTP status, 4xx or 5xx: also APIv2 takes nothing else than a 200 for a success.

    Raises:
        InvalidRequestError: ``status`` would say otherwise.
    """
    if not 400 <= status < 600:  # noqa: PLR2004  HTTP's errors
        raise InvalidRequestError(f"status: {status} would stop the deliveries; give 4xx or 5xx")
    printable = "".join(letter if letter.isprintable() else " " for letter in reason)
    return _written(version, _said(version, "FAIL", printable[:_LONGEST_REASON]), status)


def _said(version: str, verdict: str, words: str) -> dict[str, str]:
    if version == "v2":
        return {"return_code": verdict, "return_msg": words}
    return {"code": verdict, "message": words}


def _written(version: str, fields: Mapping[str, Any], status: int) -> Reply:
    body = transformer.to_xml(fields).encode() if version == "v2" else jsontext.encode(fields, "data")
    return Reply(status, {"Content-Type": _TYPES[version]}, body)
