"""``check=True``: compare a call with the documents before anything is sent.

An error names the place, such as ``json.amount.total``, and what the documents say. It never shows a value.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wechatpay import uri
from wechatpay.apiv3.fields import Sensitive
from wechatpay.catalogue import lookup
from wechatpay.errors import InvalidRequestError
from wechatpay.uri.hosts import OPEN_PLATFORM_FOLDERS

if TYPE_CHECKING:
    from wechatpay.catalogue.model import Field, Fields, Operation
    from wechatpay.messages import Call

__all__ = ["check_call", "suggest", "suggest_verb"]

#: APIv2's fields that the signer adds.
_ADDED = frozenset({"sign", "nonce_str"})

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str, Sensitive), "text"),
    "integer": ((int,), "int"),
    "number": ((int, Decimal), "int or Decimal"),
    "boolean": ((bool,), "bool"),
    "object": ((Mapping,), "mapping"),
}


def check_call(call: Call, place: uri.Location) -> None:
    """Check a call against the catalogue.

    Args:
        call: What the caller wrote.
        place: Where the template expanded to.

    Raises:
        InvalidRequestError: The operation is not documented; a member is missing, unknown or of a wrong type,
            not among the documented values, or too long; or an option that it needs is missing.
    """
    route = place.path
    if route.partition("/")[0] in OPEN_PLATFORM_FOLDERS:
        return
    if not re.match(r"v[23]/", route, re.IGNORECASE):
        # A base URI may have put a prefix in front.
        route = route[index + 1 :] if (index := route.find("/v3/")) >= 0 else route
    operation = lookup.find(call.verb, call.plan.template) or lookup.find(call.verb, route)
    if operation is None:
        raise InvalidRequestError(_unknown_operation(call.verb, call.plan.template, route))
    try:
        _check(operation, call, place.query)
    except _Mismatch as error:
        raise InvalidRequestError(f"{error} ({call.verb} {operation.template}, {operation.title})") from None


def suggest(path: str, verb: str = "") -> str:
    """Suggest what may have been meant by a path that the catalogue does not know, or not with this verb.

    Args:
        path: Template or expanded path; APIv2's begin with ``v2/``.
        verb: Upper-case method, if it is known.

    Returns:
        A segment as the chain spells it, a verb that is a segment, or the prefix of APIv2; or ``""``.
    """
    path = path.partition("?")[0].strip("/")
    if lookup.children(f"v2/{path}").verbs:
        return f"did you mean `v2/{path}`? APIv2's paths begin with v2/"
    if verb and lookup.children(f"{path}/{verb.lower()}").verbs:
        return f"did you mean `.{verb.lower()}.post(…)`? The path ends in /{verb.lower()}"
    known = ""
    for segment in path.split("/"):
        below = f"{known}/{segment}" if known else segment
        level = lookup.children(below)
        if level.segments or level.verbs:
            known = below
            continue
        literal = [name for name in lookup.children(known).segments if not name.startswith("{")]
        close = difflib.get_close_matches(segment, literal, 1) or [
            name for name in literal if name.replace("-", "") == segment.replace("-", "").lower()
        ]
        if not close:
            return ""
        name = lookup.spell(close[0])
        place = f" below {known}" if known else ""
        return f"did you mean `{close[0] if name == segment else name}`? There is no `{segment}`{place}"
    return ""


def suggest_verb(path: str, verb: str) -> str:
    """Return which verbs a path takes; ``""`` for an unknown path.

    Args:
        path: Template or expanded path; APIv2's begin with ``v2/``.
        verb: Upper-case method, which it does not take.
    """
    verbs = lookup.children(path).verbs
    return f"{uri.quote(path)} takes {', '.join(verbs)}, not {verb}" if verbs else ""


class _Mismatch(Exception):  # noqa: N818  becomes an InvalidRequestError
    """A part of a call that the documents do not allow."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """How strictly a place is read.

    Attributes:
        text: Whether numbers and booleans may be given as text.
        added: Members that need not be given.
    """

    text: bool = False
    added: frozenset[str] = frozenset()


def _unknown_operation(verb: str, template: str, route: str) -> str:
    if verbs := suggest_verb(route, verb):
        return f"check: {verbs}"
    newer = "give check=False in a call of an operation that is newer than the catalogue"
    return f"check: the catalogue has no {verb} {uri.quote(template)}; {suggest(template, verb) or newer}"


def _check(operation: Operation, call: Call, own_query: str) -> None:
    is_v2 = operation.template.startswith("v2/")
    rules = _Rules(text=is_v2, added=_ADDED if is_v2 else frozenset())
    for name, field in operation.path.items():
        if name in call.variables and field.value is None:
            _check_value(field, call.variables[name], name, _Rules(text=True))
    _check_query(operation, call, own_query, rules)
    _check_body(operation, call, rules)
    if operation.security and not call.options.get("security"):
        raise _Mismatch("security: this operation needs the merchant certificate: give security=True")


def _check_query(operation: Operation, call: Call, own: str, rules: _Rules) -> None:
    given = call.options.get("query")
    if isinstance(given, str):
        given, rules = parse_qsl(given, keep_blank_values=True), _Rules(text=True, added=rules.added)
    members: dict[str, Any] = {}
    if isinstance(given, Mapping):
        members = {str(name): value for name, value in given.items() if value is not None}
    else:
        for name, value in given or ():
            members[name] = [*_listed(members[name]), value] if name in members else value
    if operation.query_optional and not members:
        return
    fields = dict(operation.query)
    for name, _ in parse_qsl(own.removeprefix("?"), keep_blank_values=True):
        fields.pop(name, None)
        members.pop(name, None)
    if call.verb == "GET" and operation.body_kind == "none" and call.options.get("xml"):
        members |= call.options["xml"]
    _check_members(fields, members, "query", rules)


def _check_body(operation: Operation, call: Call, rules: _Rules) -> None:
    kind, options = operation.body_kind, call.options
    if options.get("body") is not None:
        return
    if kind == "multipart":
        if options.get("media") is None:
            raise _Mismatch("media: missing: give a Media")
        return
    for name in ("json", "xml", "media"):
        if name != kind and options.get(name) and (name, call.verb) != ("xml", "GET"):
            advice = "this operation has no body" if kind == "none" else f"give {kind}"
            raise _Mismatch(f"{name}: {advice}")
    if kind == "none":
        return
    given = options.get(kind)
    if given is not None and not isinstance(given, Mapping):
        raise _Mismatch(f"{kind}: give a mapping, not {type(given).__name__}")
    members = given or {}
    _check_members(operation.body, members, kind, rules)
    _check_one_of(operation.one_of, members, kind)


def _check_members(fields: Fields, members: Mapping[str, Any], place: str, rules: _Rules) -> None:
    for name, value in members.items():
        if (field := fields.get(name)) is not None:
            _check_value(field, value, f"{place}.{name}", rules)
        elif not (name in rules.added or (rules.added and name == "sign_type") or _is_numbered(name, fields)):
            close = difflib.get_close_matches(str(name), fields, 1)
            raise _Mismatch(f"{place}.{name}: unknown" + (f"; did you mean {close[0]}?" if close else ""))
    for name, field in fields.items():
        is_added = name in rules.added or (bool(rules.added) and "MD5" in field.enum)
        if (
            field.required
            and not is_added
            and "$" not in name
            and (name not in members or members[name] is None)
        ):
            raise _Mismatch(f"{place}.{name}: missing")


def _check_one_of(names: tuple[str, ...], members: Mapping[str, Any], place: str) -> None:
    if names and not any(members.get(name) for name in names):
        raise _Mismatch(f"{place}: give one of {', '.join(names)}")


def _is_numbered(name: str, fields: Fields) -> bool:
    """Return whether ``name`` is such as ``coupon_id_0``, documented as ``coupon_id_$n``."""
    pattern = re.sub(r"_[0-9]+_[0-9]+$", "_$n_$m", name)
    return pattern in fields or re.sub(r"_[0-9]+$", "_$n", name) in fields


def _check_value(field: Field, value: Any, place: str, rules: _Rules) -> None:
    if field.type.endswith("[]"):
        if not isinstance(value, list | tuple):
            if not rules.text:
                raise _Mismatch(f"{place}: give a list, not {type(value).__name__}")
            return
        for index, item in enumerate(value):
            _check_one(field, item, f"{place}[{index}]", rules)
    elif value is not None:
        _check_one(field, value, place, rules)
    elif place.startswith("json"):
        raise _Mismatch(f"{place}: None is sent as null, which is refused: leave it out")


def _check_one(field: Field, value: Any, place: str, rules: _Rules) -> None:
    kind = field.type.removesuffix("[]")
    if field.type != "number[]" or not isinstance(value, str):
        # The documents call some lists of text so.
        _check_type(kind, value, place, rules)
    text = "" if isinstance(value, Sensitive) else str(value)
    if field.enum and kind != "boolean" and text and text not in map(str, field.enum):
        raise _Mismatch(f"{place}: give one of {', '.join(map(str, field.enum))}")
    if field.max_length is not None and (size := len(text.encode("utf-8", "replace"))) > field.max_length:
        raise _Mismatch(f"{place}: {size} bytes, at most {field.max_length}")
    if kind == "object":
        _check_object(field, value, place, rules)
    elif field.encoded == "json" and field.fields and isinstance(value, str):
        _check_encoded(field, value, place, rules)


def _check_type(kind: str, value: Any, place: str, rules: _Rules) -> None:
    types, name = _TYPES[kind]
    if kind == "object" and value == []:
        # What PHP sends for an empty mapping.
        return
    if isinstance(value, types) and not (isinstance(value, bool) and kind in {"integer", "number"}):
        return
    if rules.text:
        if kind == "string" and isinstance(value, int | Decimal):
            return
        pattern = {"integer": _INTEGER, "number": _NUMBER}.get(kind)
        if isinstance(value, str) and (pattern is None or pattern.fullmatch(value)) and kind != "object":
            return
    raise _Mismatch(f"{place}: give {name}, not {type(value).__name__}")


def _check_object(field: Field, value: Mapping[str, Any], place: str, rules: _Rules) -> None:
    if isinstance(value, list):
        return
    shapes = list(field.variants.values()) or ([field.fields] if field.fields else [])
    found: list[_Mismatch] = []
    for fields in shapes:
        try:
            _check_members(fields, value, place, _Rules(text=rules.text))
        except _Mismatch as error:
            found.append(error)
    if shapes and len(found) == len(shapes):
        raise found[0]
    _check_one_of(field.one_of, value, place)


def _check_encoded(field: Field, value: str, place: str, rules: _Rules) -> None:
    """Check the JSON in a string, where it is some."""
    try:
        members = json.loads(value)
    except (ValueError, RecursionError):
        if value.lstrip().startswith(("{", "[")):
            raise _Mismatch(f"{place}: the text is not JSON") from None
        return
    for index, item in enumerate(_listed(members)):
        if isinstance(item, Mapping):
            where = f"{place}[{index}]" if isinstance(members, list) else place
            _check_members(field.fields, item, where, _Rules(text=rules.text))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
