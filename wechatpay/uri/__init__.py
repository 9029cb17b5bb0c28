"""From chain to target: the naming rule, the template, and its expansion for sending.

The rest of the package asks here about URIs; the rules live in ``naming`` (names to templates), ``template``
(RFC 6570), ``querystring`` (the option) and ``target`` (what goes over the wire).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.naming import attribute, below, join, literal
from wechatpay.uri.querystring import query
from wechatpay.uri.target import absolute, authority, normalise, refuse_unsafe, resolve, split, tidy
from wechatpay.uri.template import CACHED, Expression, cite, compiled, expand, names, outline, show

__all__ = [
    "absolute",
    "attribute",
    "authority",
    "below",
    "cite",
    "expand",
    "join",
    "literal",
    "names",
    "normalise",
    "outline",
    "path",
    "query",
    "resolve",
    "show",
    "split",
]

_Parts: TypeAlias = tuple[str | Expression, ...]

_QUERY_OPERATORS: Final = frozenset("?&")
_RAW: Final = frozenset("\\\r\n\0")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A template cut for sending.

    Attributes:
        path: What comes before the query.
        query: The query, its ``?`` or ``&`` included.
        needed: Expressions whose variables must be given.
        form: The finished target as a format string, if one can be had once and for all; or ``None``.
        fields: The variables that ``form`` takes.
    """

    path: _Parts
    query: _Parts
    needed: tuple[Expression, ...]
    form: str | None = None
    fields: tuple[str, ...] = ()


def path(template: str, variables: Mapping[str, Any]) -> str:
    """Expand a template for sending, normalised, with its query.

    Args:
        template: What `attribute`, `literal` and `join` gave.
        variables: As for `expand`; ``empty`` defaults to ``""``, the trailing slash of two documented URIs.

    Returns:
        A path without leading ``/``, or an absolute URL.

    Raises:
        InvalidRequestError: The template is malformed; a variable of the path is missing, ``None``, ``[]``,
            ``{}`` or ``""`` (``empty`` excepted); a value has no text; or the outcome has a dot
            segment, an empty segment, a fragment, a backslash, CR, LF or NUL.
    """
    plan = _plan(template)
    if plan.form is not None:
        values = tuple([_harmless(variables.get(name)) for name in plan.fields])
        if None not in values:
            return plan.form % values
    return _finished(plan, template, variables)


def _harmless(value: Any) -> str | None:
    """Encode a value that cannot upset a path, as most business numbers cannot; else ``None``."""
    if type(value) is not str:
        return None
    if value.isalnum() and value.isascii():
        return value
    try:
        encoded = quote(value, safe="")
    except UnicodeEncodeError:
        return None
    return encoded if encoded and "." not in encoded and "%0" not in encoded else None


@lru_cache(CACHED)
def _plan(template: str) -> _Plan:
    if not _RAW.isdisjoint(template):
        raise InvalidRequestError(f"{cite(template)} holds a backslash, CR, LF or NUL, which is never sent")
    parts = compiled(template).parts
    before, after = _cut(parts)
    expressions = [part for part in parts if isinstance(part, Expression)]
    needed = tuple(part for part in expressions if part.operator not in _QUERY_OPERATORS)
    plan = _Plan(before, after, needed)
    # Whether "{a}://" begins a URL depends on the value.
    if not all(part.is_simple for part in expressions) or ("://" in template and not absolute(template)):
        return plan
    fields = tuple(part.variables[0].name for part in expressions)
    return _Plan(before, after, needed, _form(plan, template, fields), fields)


def _form(plan: _Plan, template: str, fields: tuple[str, ...]) -> str:
    """Expand with a mark, as harmless as any letters and digits, and put ``%s`` in its place."""
    # "b" only ends the mark: no literal next to it can blur where it begins.
    mark = "ab"
    while mark in template:
        mark = f"a{mark}"
    target = _finished(plan, template, dict.fromkeys(fields, mark))
    return target.replace("%", "%%").replace(mark, "%s")


def _cut(parts: _Parts) -> tuple[_Parts, _Parts]:
    """Cut a template before its query."""
    for index, part in enumerate(parts):
        if isinstance(part, Expression):
            if part.operator in _QUERY_OPERATORS:
                return parts[:index], parts[index:]
        elif "?" in part:
            cut = part.index("?")
            return (*parts[:index], part[:cut]), (part[cut:], *parts[index + 1 :])
    return parts, ()


def _finished(plan: _Plan, template: str, variables: Mapping[str, Any]) -> str:
    if "empty" not in variables and any(name == "empty" for name in _names(plan.needed)):
        variables = {**variables, "empty": ""}
    for name in _names(plan.needed):
        _require(name, template, variables)
    filled = _names(part for part in plan.path if isinstance(part, Expression))
    for name in filled:
        if variables[name] == "" and name != "empty":
            raise InvalidRequestError(
                f"variable {name!r} of {cite(template)} is '', which asks for something else: give its value"
            )
    _refuse_backslash(plan, template, variables)
    before = _expanded(plan.path, template, variables)
    after = _expanded(plan.query, template, variables)
    if "#" in before or "#" in after:
        raise InvalidRequestError(
            f"{cite(template)} gets a fragment ('#'), which is never sent: leave it out"
        )
    origin, rest, own = split(before)
    refuse_unsafe(rest, cite(template))
    query_text = "&".join(filter(None, (own, after[1:])))
    relative = tidy(f"{rest}?{query_text}" if query_text else rest)
    return f"{origin}/{relative}" if origin else relative


def _refuse_backslash(plan: _Plan, template: str, variables: Mapping[str, Any]) -> None:
    """Refuse it in a ready-made path, where it can only be meant as a separator; in a value it is text."""
    for part in plan.path:
        if isinstance(part, Expression) and part.operator == "+":
            expanded = part.expand(variables, template)
            if "%5C" in expanded.upper():
                raise InvalidRequestError(
                    f"{{+{part.variables[0].name}}} of {cite(template)} holds a backslash"
                )


def _names(expressions: Iterable[Expression]) -> list[str]:
    return [variable.name for part in expressions for variable in part.variables]


def _expanded(parts: _Parts, template: str, variables: Mapping[str, Any]) -> str:
    return "".join(part if isinstance(part, str) else part.expand(variables, template) for part in parts)


def _require(name: str, template: str, variables: Mapping[str, Any]) -> None:
    value = variables.get(name)
    members = list(value.values()) if isinstance(value, Mapping) else value
    if members is None or (isinstance(members, (list, tuple)) and (not members or None in members)):
        given = "is missing" if name not in variables else "is None or empty, or has a None in it"
        way = f"{name}=..." if name.isidentifier() else f"{{{name!r}: ...}}"
        raise InvalidRequestError(f"variable {name!r} of {cite(template)} {given}: pass {way} to the verb")
