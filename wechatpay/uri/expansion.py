"""A template and its variables make the place that a request goes to, ready to be signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote as percent_encode

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.target import absolute, refuse_unsafe, split, tidy
from wechatpay.uri.template import CACHED, Expression, compiled, is_lasting, quote

__all__ = ["Location", "Plan", "plan"]

_Parts: TypeAlias = tuple[str | Expression, ...]

_QUERY_OPERATORS: Final = frozenset("?&")
_RAW: Final = frozenset("\\\r\n\0")


class Location(NamedTuple):
    """Where a request goes, percent-encoded.

    Attributes:
        origin: Scheme, host and port of an absolute URL; ``""`` for what the base URI completes.
        path: The path without its leading ``/``.
        query: The query without ``?``.
    """

    origin: str
    path: str
    query: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A template cut for sending.

    Attributes:
        template: What it was made of.
        names: The names of its variables.
        path: What comes before the query.
        query: The query, its ``?`` or ``&`` included.
        needed: Expressions whose variables must be given.
        form: The location with ``%s`` for each of ``fields``, where plain values fit in; or ``None``.
        fields: The variables that ``form`` takes.
    """

    template: str
    names: frozenset[str]
    path: _Parts
    query: _Parts
    needed: tuple[Expression, ...]
    form: Location | None = None
    fields: tuple[str, ...] = ()

    def expand(self, variables: Mapping[str, Any]) -> Location:
        """Expand the template for sending.

        Args:
            variables: Values by name; ``empty`` is ``""`` by default: two documented URIs end in a slash.

        Raises:
            InvalidRequestError: A variable of the path is missing, ``None``, ``[]``, ``{}`` or ``""``
                (``empty`` excepted); a value has no text; or the result has a dot segment, an empty segment,
                a fragment, a backslash, CR, LF or NUL.
        """
        if self.form is None:
            return _finish(self, variables)
        values = []
        for name in self.fields:
            value = variables.get(name)
            if type(value) is not str or not (value.isalnum() and value.isascii()):
                value = _encode_harmless(value)
                if value is None:
                    return _finish(self, variables)
            values.append(value)
        origin, path, query = self.form
        return Location(origin, path % tuple(values), query)


def _encode_harmless(value: Any) -> str | None:
    """Encode a text that cannot change what a path means, as most business numbers cannot; else ``None``."""
    if type(value) is not str:
        return None
    try:
        encoded = percent_encode(value, safe="")
    except UnicodeEncodeError:
        return None
    return encoded if encoded and "." not in encoded and "%0" not in encoded else None


def plan(template: str) -> Plan:
    """Cut a template for sending; what `attribute`, `literal` and `join` returned.

    Raises:
        InvalidRequestError: The template is malformed, or holds a backslash, CR, LF or NUL.
    """
    return _plan_cached(template) if is_lasting(template) else _plan(template)


def _plan(template: str) -> Plan:
    if not _RAW.isdisjoint(template):
        raise InvalidRequestError(f"{quote(template)} holds a backslash, CR, LF or NUL, which is never sent")
    parsed = compiled(template)
    before, after = _cut(parsed.parts)
    expressions = [part for part in parsed.parts if isinstance(part, Expression)]
    needed = tuple(part for part in expressions if part.operator not in _QUERY_OPERATORS)
    cut = Plan(template, parsed.names, before, after, needed)
    in_path = all(part.is_simple for part in expressions) and len(needed) == sum(
        isinstance(part, Expression) for part in before
    )
    if not in_path or ("://" in template and not _has_fixed_origin(template)):
        return cut
    fields = tuple(part.variables[0].name for part in expressions)
    return Plan(template, parsed.names, before, after, needed, _form(cut, fields), fields)


_plan_cached = lru_cache(CACHED)(_plan)


def _has_fixed_origin(template: str) -> bool:
    """Return whether a URL's scheme, host and port do not depend on values, as those of ``{a}://`` do."""
    end = template.find("/", template.index("://") + 3)
    return bool(absolute(template)) and "{" not in (template[:end] if end >= 0 else template)


def _form(cut: Plan, fields: tuple[str, ...]) -> Location:
    """Expand with a mark, as harmless as any letters and digits, and put ``%s`` in its place."""
    # "b" only ends the mark: no literal next to it can blur where it begins.
    mark = "ab"
    while mark in cut.template:
        mark = f"a{mark}"
    origin, path, query = _finish(cut, dict.fromkeys(fields, mark))
    return Location(origin, path.replace("%", "%%").replace(mark, "%s"), query)


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


def _finish(plan: Plan, variables: Mapping[str, Any]) -> Location:
    template = plan.template
    if "empty" not in variables and any(name == "empty" for name in _names(plan.needed)):
        variables = {**variables, "empty": ""}
    for name in _names(plan.needed):
        _require(name, template, variables)
    for name in _names(part for part in plan.path if isinstance(part, Expression)):
        if variables[name] == "" and name != "empty":
            raise InvalidRequestError(
                f"variable {name!r} of {quote(template)} is '', which asks for something else: give its value"
            )
    _refuse_backslash(plan, variables)
    before = _expanded(plan.path, template, variables)
    after = _expanded(plan.query, template, variables)
    if "#" in before or "#" in after:
        raise InvalidRequestError(
            f"{quote(template)} gets a fragment ('#'), which is never sent: leave it out"
        )
    origin, rest, own = split(before)
    refuse_unsafe(rest, quote(template))
    return Location(origin, tidy(rest), tidy("&".join(filter(None, (own, after[1:])))))


def _refuse_backslash(plan: Plan, variables: Mapping[str, Any]) -> None:
    """Refuse it in a ready-made path, where it can only be meant as a separator; in a value it is text."""
    for part in plan.path:
        if isinstance(part, Expression) and part.operator == "+":
            expanded = part.expand(variables, plan.template)
            if "%5C" in expanded.upper():
                raise InvalidRequestError(
                    f"{{+{part.variables[0].name}}} of {quote(plan.template)} holds a backslash"
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
        raise InvalidRequestError(f"variable {name!r} of {quote(template)} {given}: pass {way} to the verb")
