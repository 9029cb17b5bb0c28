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

__all__ = ["ResponseGenerator", "encrypt", "shape"]

#: Members that only errors have; successful responses have them only where the documents require them.
_ERRORS = frozenset(
    {
        "close_reason",
        "err_code",
        "err_code_des",
        "error_code",
        "error_code_des",
        "fail_reason",
        "reject_reason",
    }
)

#: The states that a generated response prefers among the documented ones.
_GOOD_STATES = ("SUCCESS", "FINISHED", "FINISH", "NORMAL", "ACTIVE", "AVAILABLE", "PROCESSED", "DONE", "0")

_STATE = re.compile(r"(state|status|result|code)$")
_COUNT = re.compile(r"(^|_)(count|num|limit|version)$")

_COMPATIBLE: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}


def shape(fields: Mapping[str, Field], members: Mapping[str, Any]) -> dict[str, Any]:
    """Return those members that the documents have, in their order, also within objects; none that is None.

    Args:
        fields: The documented members.
        members: All that is known.
    """
    shaped: dict[str, Any] = {}
    for name, field in fields.items():
        value = members.get(name)
        if isinstance(value, dict) and field.fields:
            value = shape(field.fields, value)
        elif isinstance(value, list) and field.fields:
            value = [shape(field.fields, item) for item in value]
        if value is not None:
            shaped[name] = value
    return shaped


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
            # The documents write the number of a repeated member as $n.
            re.sub(r"\$[nm]", "0", field.name): self._value(field, sent, f"{name}/{field.name}")
            for field in fields.values()
            if field.required
            or ((field.name in sent or not has_required) and not (field.name in _ERRORS or "$" in field.name))
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
            inner: Any = self.generate(field.fields, {}, name)
            inner = [inner] if field.encoded_type.endswith("[]") else inner
            return json.dumps(inner, ensure_ascii=False, separators=(",", ":"))
        if self._can_echo(field, kind, echo):
            return int(echo) if kind == "integer" else echo
        if field.value is not None:
            return field.value
        if field.enum:
            return self._choose(field, kind, name)
        if kind == "string":
            text = self._text(field.name, name)
            return (
                encrypt(self._identity, text) if field.cipher == "merchant-rsa" else text[: field.max_length]
            )
        if kind == "boolean":
            return True
        return 1 if _COUNT.search(field.name) else self._amount(name)

    def _choose(self, field: Field, kind: str, name: str) -> Any:
        values = list(map(str, field.enum))
        if _STATE.search(field.name) and (good := [state for state in _GOOD_STATES if state in values]):
            return _typed(good[0], kind)
        return _typed(values[self._pick(name, len(values))], kind)

    def _can_echo(self, field: Field, kind: str, echo: Any) -> bool:
        if echo is None or field.cipher or (field.enum and str(echo) not in map(str, field.enum)):
            return False
        if kind == "integer" and isinstance(echo, str):
            return re.fullmatch(r"-?[0-9]{1,18}", echo) is not None
        return isinstance(echo, _COMPATIBLE.get(kind, object)) and isinstance(echo, bool) == (
            kind == "boolean"
        )

    def _text(self, name: str, seed: str) -> str:
        now, digits = self._clock(), number(f"{self._seed}{seed}", 20)
        fixed = {
            **dict.fromkeys(("mchid", "sp_mchid", "mch_id", "combine_mchid"), self._identity.mchid),
            **dict.fromkeys(("appid", "sp_appid", "combine_appid"), self._identity.app["appid"]),
            **dict.fromkeys(("currency", "payer_currency", "fee_type", "cash_fee_type"), "CNY"),
            **dict.fromkeys(("return_msg", "retmsg", "msg"), "OK"),
            "hash_type": "SHA1",
            "err_code": "SUCCESS",
            "err_code_des": "OK",
            "bank_type": "OTHERS",
            "trade_state_desc": "支付成功",
            "signature": hashlib.sha256(seed.encode()).hexdigest(),
        }
        if name in fixed:
            return fixed[name]
        sha1 = hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()
        formats = (
            ("openid", PAYER),
            ("mchid|mch_id|merchant_code", "19" + digits[:8]),
            ("appid", f"wx{digits[:16]}"),
            ("url", f"https://pay.weixin.qq.com/sandbox/{digits[:12]}"),
            ("date$", format_rfc3339(now)[:10]),
            ("^(time_end|timestamp)$", format_digits(now)),
            ("time$|_at$", format_rfc3339(now)),
            ("(amount|fee|total|price|balance)$", str(self._amount(seed))),
            ("id$|_no$|code$|number$|token$|serial$|sequence$", digits),
            ("hash", sha1),
        )
        default = f"{name.replace('_', ' ')} {digits[:4]}"
        return next((value for pattern, value in formats if re.search(pattern, name)), default)

    def _amount(self, name: str) -> int:
        """Make an amount between 1 and 91 yuan, in fen."""
        return self._pick(name, 9_000) + 100

    def _pick(self, name: str, count: int) -> int:
        return int(number(f"{self._seed}{name}", 12)) % count


def encrypt(identity: Identity, text: str) -> str:
    """Encrypt a member of a response for the merchant: RSAES-OAEP with SHA-1, in base64."""
    key = identity.private_key.public_key()
    return b64encode(key.encrypt(text.encode(), OAEP(MGF1(SHA1()), SHA1(), None))).decode()  # noqa: S303  WeChat Pay's choice


def _scalars(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a nested object may repeat."""
    return {name: value for name, value in sent.items() if not isinstance(value, dict | list)}


def _typed(value: str, kind: str) -> Any:
    if kind in {"integer", "number"} and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    return value.lower() == "true" if kind == "boolean" else value
