"""Generated responses: every member of a response tree, realistic, and the same for the same request."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1

from wechatpay.sandbox.clock import format_digits, format_rfc3339
from wechatpay.sandbox.test_users import PAYER, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wechatpay.catalogue import Field
    from wechatpay.sandbox.keys import Identity

__all__ = ["ResponseGenerator"]

#: Members that only errors have.
_ERRORS = frozenset(
    {"err_code", "err_code_des", "fail_reason", "error_code", "close_reason", "reject_reason"}
)

_COMPATIBLE: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}


class ResponseGenerator:
    """Generates the members of a response from its tree.

    Required members are always there; optional ones where the request has a parameter of that name, or where
    a tree has no required member at all. Values follow the enumerations and the names of members.
    """

    def __init__(self, identity: Identity, clock: Callable[[], float], seed: str) -> None:
        """Prepare.

        Args:
            identity: The merchant, whose numbers and keys are used.
            clock: Returns Unix seconds.
            seed: Another seed gives other values.
        """
        self._identity = identity
        self._clock = clock
        self._seed = seed

    def generate(self, fields: Mapping[str, Field], sent: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Generate an object.

        Args:
            fields: Its members.
            sent: The parameters of the request.
            name: What distinguishes this response, such as the operation and its path.
        """
        has_required = any(field.required for field in fields.values())
        return {
            field.name: self._value(field, sent, f"{name}/{field.name}")
            for field in fields.values()
            if (field.required or field.name in sent or not has_required)
            and field.name not in _ERRORS
            and "$" not in field.name
        }

    def _value(self, field: Field, sent: Mapping[str, Any], name: str) -> Any:
        kind, echo = field.type.removesuffix("[]"), sent.get(field.name)
        if not field.type.endswith("[]"):
            return self._single(field, kind, echo, sent, name)
        items = echo if isinstance(echo, list) and echo else [None]
        return [self._single(field, kind, item, sent, f"{name}/{i}") for i, item in enumerate(items)]

    def _single(self, field: Field, kind: str, echo: Any, sent: Mapping[str, Any], name: str) -> Any:  # noqa: PLR0911  one return a kind
        if kind == "object":
            return self.generate(field.fields, echo if isinstance(echo, dict) else _scalars(sent), name)
        if field.encoded == "json" and field.fields:
            inner = self.generate(field.fields, {}, name)
            return json.dumps(inner, ensure_ascii=False, separators=(",", ":"))
        if self._can_echo(field, kind, echo):
            return int(echo) if kind == "integer" else echo
        if field.value is not None:
            return field.value
        if field.enum:
            return _typed(field.enum[self._pick(name, len(field.enum))], kind)
        if kind == "string":
            text = self._text(field.name, name)
            return self._encrypt(text) if field.cipher == "merchant-rsa" else text
        if kind == "boolean":
            return True
        return (
            1 if field.name in {"version", "count", "total_count", "limit"} else self._pick(name, 9_000) + 100
        )

    def _can_echo(self, field: Field, kind: str, echo: Any) -> bool:
        if echo is None or field.cipher or (field.enum and str(echo) not in map(str, field.enum)):
            return False
        if kind == "integer" and isinstance(echo, str):
            return re.fullmatch(r"-?[0-9]{1,18}", echo) is not None
        return isinstance(echo, _COMPATIBLE.get(kind, object)) and isinstance(echo, bool) == (
            kind == "boolean"
        )

    def _text(self, name: str, seed: str) -> str:  # noqa: PLR0911  one return a format
        now, digits = self._clock(), number(f"{self._seed}{seed}", 20)
        fixed = {
            **dict.fromkeys(("mchid", "sp_mchid", "mch_id", "combine_mchid"), self._identity.mchid),
            **dict.fromkeys(("appid", "sp_appid", "combine_appid"), self._identity.app["appid"]),
            **dict.fromkeys(("currency", "payer_currency", "fee_type", "cash_fee_type"), "CNY"),
            **dict.fromkeys(("return_msg", "msg"), "OK"),
            "hash_type": "SHA1",
            "bank_type": "OTHERS",
            "trade_state_desc": "支付成功",
            "signature": hashlib.sha256(seed.encode()).hexdigest(),
        }
        if name in fixed:
            return fixed[name]
        if "openid" in name:
            return PAYER
        if re.search(r"mchid|mch_id|merchant_code", name):
            return "19" + digits[:8]
        if "appid" in name:
            return f"wx{digits[:16]}"
        if "url" in name:
            return f"https://pay.weixin.qq.com/sandbox/{digits[:12]}"
        if name.endswith("date"):
            return format_rfc3339(now)[:10]
        if re.search(r"time$|_at$", name):
            return format_digits(now) if name in {"time_end", "timestamp"} else format_rfc3339(now)
        if re.search(r"id$|_no$|code$|number$|token$|serial$|sequence$", name):
            return digits
        if "hash" in name:
            return hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()
        return f"{name.replace('_', ' ')} {digits[:4]}"

    def _encrypt(self, text: str) -> str:
        key = self._identity.private_key.public_key()
        return b64encode(key.encrypt(text.encode(), OAEP(MGF1(SHA1()), SHA1(), None))).decode()  # noqa: S303  WeChat Pay's choice

    def _pick(self, name: str, count: int) -> int:
        return int(number(f"{self._seed}{name}", 12)) % count


def _scalars(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a nested object may repeat."""
    return {name: value for name, value in sent.items() if not isinstance(value, dict | list)}


def _typed(value: Any, kind: str) -> Any:
    if kind in {"integer", "number"}:
        return int(value)
    return str(value).lower() == "true" if kind == "boolean" else str(value)
