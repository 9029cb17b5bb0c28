"""Documented calls: the arguments with which the library calls an operation of the catalogue."""

from __future__ import annotations

import hashlib
import itertools
import json

from wechatpay import Sensitive
from wechatpay.catalogue import check
from wechatpay.media import Media

__all__ = ["arguments", "check_members", "incomplete", "members", "merge", "number"]

MCHID = "1900000109"
PAYER = "oUpF8uMuAJOM2pxb1Q"

#: Values that the documents describe in words only.
_EXAMPLES = {
    "bill_date": "2026-01-05",
    "currency": "CNY",
    "notify_url": "https://shop.example.com/notify",
    "sign_type": "HMAC-SHA256",
    "trade_type": "NATIVE",
    "transfer_amount": 100,
}

#: Fields of APIv2 that the library adds.
_DIGESTS = frozenset({"sign", "workwx_sign"})
_SIGNED = _DIGESTS | {"nonce_str"}

_MERCHANT = frozenset({"mchid", "mch_id", "sp_mchid", "combine_mchid", "combine_mch_id"})

_numbers = itertools.count(1)


def number():
    """Return a merchant's number that was not used before."""
    return f"N{next(_numbers):09}"


def arguments(operation):
    """Return the required arguments of a documented call."""
    given = {name: field.value or str(_value(field)) for name, field in operation.path.items()}
    given.pop("empty", None)
    if query := members(operation.query):
        given["query"] = query
    if operation.body_kind == "multipart":
        given["media"] = _media(operation)
    elif operation.body_kind in {"json", "xml"}:
        # The library requires APIv2's merchant id where the documents leave it out, too.
        names = {*operation.one_of[:1], "mch_id"} & operation.body.keys()
        one = {name: _value(operation.body[name]) for name in names}
        given[operation.body_kind] = {**members(operation.body), **one}
    if operation.security:
        given["security"] = True
    return given


def incomplete(operation, given):
    """Return a call's arguments without one required member; ``None`` if it has none to leave out."""
    for place, fields in ((operation.body_kind, operation.body), ("query", operation.query)):
        left_out = [
            name
            for name in given.get(place, {})
            if fields[name].required and not (name in operation.one_of or name in _MERCHANT)
        ]
        if place in {"json", "xml", "query"} and left_out and not operation.query_optional:
            rest = {name: value for name, value in given[place].items() if name != left_out[0]}
            return {**given, place: rest}
    return None


def members(fields):
    """Return the required members of an object."""
    return {
        name: _value(field)
        for name, field in fields.items()
        if field.required and not (name in _SIGNED and _DIGESTS & fields.keys())
    }


def check_members(fields, given, *, is_v2=False):
    """Check the members of a response, or of a callback's resource, as ``check=True`` checks a call's."""
    check._check_members(fields, given, "given", check._Rules(text=is_v2))


def merge(given, changes):
    """Return arguments with changes, also within objects; a change of ``None`` leaves a member out."""
    merged = dict(given)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(given.get(name), dict):
            merged[name] = merge(given[name], value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _value(field):
    kind = field.type.removesuffix("[]")
    if kind == "object":
        made = members(next(iter(field.variants.values()), field.fields))
        made |= {name: _value(field.fields[name]) for name in field.one_of[:1]}
    else:
        made = _scalar(field, kind)
    return [made] if field.type.endswith("[]") else made


def _scalar(field, kind):  # noqa: PLR0911  one return a kind
    if field.name in _MERCHANT:
        return MCHID
    if field.encoded == "json" and field.fields:
        return json.dumps(members(field.fields))
    if field.enum and _EXAMPLES.get(field.name) not in field.enum:
        return int(field.enum[0]) if kind in {"integer", "number"} else str(field.enum[0])
    if kind == "boolean":
        return True
    if field.cipher == "platform-rsa" or field.name == "user_chosen_values":
        return Sensitive("张三")
    if kind in {"integer", "number"}:
        return _EXAMPLES.get(field.name, 1)
    return _EXAMPLES.get(field.name) or _text(field.name)


def _text(name):
    if "openid" in name:
        return PAYER
    if name == "auth_code":
        return f"13{next(_numbers):015}9"
    return number() if name.endswith(("_no", "_code")) else "1"


def _media(operation):
    if operation.template.startswith("v2/"):
        return Media(b"content", {"mch_id": MCHID}, filename="file.png")
    part = next(name for name in operation.body if name != "meta")
    meta = members(operation.body["meta"].fields)
    name = "file.mp4" if "video" in operation.template else "file.png"
    if "filename" in meta:
        meta["filename"] = name
    if "sha256" in meta:
        meta["sha256"] = hashlib.sha256(b"content").hexdigest()
    return Media(b"content", meta, filename=name, part=part)
