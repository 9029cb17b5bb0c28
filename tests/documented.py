"""Documented calls: the arguments with which the library calls an operation of the catalogue."""

from __future__ import annotations

import json

from wechatpay.media import Media
from wechatpay.sensitive import Sensitive

#: Fields of APIv2 that the library adds.
_SIGNED = frozenset({"nonce_str", "sign"})

__all__ = ["arguments", "members", "required"]

#: Values that the documents describe in words only.
_EXAMPLES = {
    "auth_code": "134567890123456789",
    "bill_date": "2026-01-05",
    "openid": "oUpF8uMuAJOM2pxb1Q",
    "sign_type": "HMAC-SHA256",
    "out_trade_no": "N20260105001",
    "notify_url": "https://shop.example.com/notify",
}


def arguments(operation, mchid="1900000109"):
    """Return the required arguments of a documented call."""
    given = {name: field.value or str(_value(field, mchid)) for name, field in operation.path.items()}
    given.pop("empty", None)
    if query := members(operation.query, mchid):
        given["query"] = query
    if operation.body_kind == "multipart":
        given["media"] = _media(operation, mchid)
    elif operation.body_kind in {"json", "xml"}:
        given[operation.body_kind] = required(operation, mchid)
    if operation.security:
        given["security"] = True
    return given


def required(operation, mchid="1900000109"):
    """Return the required members of a body."""
    names = [name for name in operation.one_of[:1] if name in operation.body]
    names += [name for name in ("mch_id",) if name in operation.body]
    one = {name: _value(operation.body[name], mchid) for name in names}
    return {**members(operation.body, mchid), **one}


def members(fields, mchid):
    """Return the required members of an object."""
    return {
        name: _value(field, mchid)
        for name, field in fields.items()
        if field.required and not (name in _SIGNED and "sign" in fields)
    }


def _value(field, mchid):
    kind = field.type.removesuffix("[]")
    if "openid" in field.name and kind == "string":
        made = _EXAMPLES["openid"]
    elif field.name in {"mchid", "mch_id", "sp_mchid", "combine_mchid", "combine_mch_id"}:
        made = mchid
    elif kind == "object":
        made = members(next(iter(field.variants.values()), field.fields), mchid)
    elif field.encoded == "json" and field.fields:
        made = json.dumps(members(field.fields, mchid))
    elif kind == "boolean":
        made = True
    elif kind in {"integer", "number"}:
        made = int(field.enum[0]) if field.enum else 1
    elif field.cipher == "platform-rsa" or field.name == "user_chosen_values":
        made = Sensitive("张三")
    else:
        made = str(field.enum[0]) if field.enum else _EXAMPLES.get(field.name, "1")
    return [made] if field.type.endswith("[]") else made


def _media(operation, mchid):
    if operation.template.startswith("v2/"):
        return Media(b"content", {"mch_id": mchid}, filename="file.png")
    meta = operation.body["meta"].fields
    part = next(name for name in operation.body if name != "meta")
    given = members(meta, mchid)
    if "sha256" in given:
        del given["sha256"], given["filename"]
    return Media(b"content", given, filename="file.png", part=part)
