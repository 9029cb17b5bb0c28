"""RFC 6570 URI templates, all four levels, plus ``<name>`` for ``{name}``.

Written out because the libraries fall short of the RFC where it matters here: they let malformed expressions
pass, leave unsafe literals as they are, and encode the triplets of a ready-made ``{+path}`` a second time.
The algorithm is that of https://www.rfc-editor.org/rfc/rfc6570#appendix-A.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Final, TypeVar
from urllib.parse import quote as percent_encode

from wechatpay.errors import InvalidRequestError
from wechatpay.uri.target import encode

__all__ = [
    "CACHED",
    "Expression",
    "Template",
    "braced",
    "cached",
    "compiled",
    "expand",
    "is_expression",
    "is_lasting",
    "quote",
    "redact",
    "show",
    "text",
]

# Long-lived servers must not grow with the strings they format; the documented templates are about 1,100.
CACHED: Final = 4096

#: Matches a template to remember: at most 512 characters, and no whole URL of a download, which is used once
#: and has a token in its query.
is_lasting: Final = re.compile(r"(?s)(?=.{0,512}\Z)(?:[^?]*\Z|.*[{<])").match

_T = TypeVar("_T")

RESERVED: Final = ":/?#[]@!$&'()*+,;="
_VARCHAR = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})"
_NAME = rf"{_VARCHAR}+(?:\.{_VARCHAR}+)*"
_SPEC = rf"{_NAME}(?::[1-9][0-9]{{0,3}}|\*)?"
_BODY = rf"[+#./;?&]?{_SPEC}(?:,{_SPEC})*"
_IS_BODY = re.compile(_BODY)
_EXPRESSION = re.compile(rf"\{{({_BODY})\}}|<({_NAME})>")
_ANGLED = re.compile(rf"<({_NAME})>")
_QUERY = re.compile(r"(?<!\{)\?.*", re.DOTALL)
_SIMPLE = re.compile(rf"\{{({_NAME})\}}")
_STRAY_BRACKET = re.compile(r"[{}]|<[^<>/?#]*>")


@dataclass(frozen=True, slots=True)
class _Operator:
    """One column of the table in RFC 6570, appendix A."""

    first: str
    separator: str
    named: bool = False
    blank: str = ""
    safe: str = ""


_OPERATORS: Final = {
    "": _Operator("", ","),
    "+": _Operator("", ",", safe=RESERVED),
    "#": _Operator("#", ",", safe=RESERVED),
    ".": _Operator(".", "."),
    "/": _Operator("/", "/"),
    ";": _Operator(";", ";", named=True),
    "?": _Operator("?", "&", named=True, blank="="),
    "&": _Operator("&", "&", named=True, blank="="),
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of an expression with its modifier.

    Attributes:
        name: As the caller gives it.
        prefix: Number of characters to take, or ``None`` for all.
        explode: Whether members of lists and mappings stand on their own (``*``).
    """

    name: str
    prefix: int | None
    explode: bool


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands between braces.

    Attributes:
        operator: One of ``+ # . / ; ? &``, or ``""``.
        variables: In the order written; at least one.
    """

    operator: str
    variables: tuple[Variable, ...]

    @classmethod
    def parse(cls, body: str) -> Expression:
        """Parse the text between the braces, known to follow the grammar."""
        operator = body[0] if body[0] in _OPERATORS else ""
        return cls(operator, tuple(_variable(spec) for spec in body[len(operator) :].split(",")))

    @property
    def is_simple(self) -> bool:
        """Whether this is one variable without operator and modifier: ``{openid}``."""
        return not self.operator and len(self.variables) == 1 and not self.variables[0].prefix

    def expand(self, values: Mapping[str, Any], template: str) -> str:
        """Expand with ``values``; variables that are not among them leave nothing.

        Raises:
            InvalidRequestError: A value has no text; it names variable and ``template``.
        """
        operator = _OPERATORS[self.operator]
        pieces = [piece for each in self.variables for piece in _pieces(operator, each, values, template)]
        return operator.first + operator.separator.join(pieces) if pieces else ""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literals, already percent-encoded, and expressions, in order."""

    parts: tuple[str | Expression, ...]
    names: frozenset[str]


def is_expression(body: str) -> bool:
    """Tell whether ``body`` could stand between the braces of a template."""
    return _IS_BODY.fullmatch(body) is not None


def show(template: str) -> str:
    """Write a template the way people read it: ``{openid}`` as ``<openid>``, other expressions unchanged."""
    return _SIMPLE.sub(r"<\1>", template)


def braced(template: str) -> str:
    """Write ``<openid>`` as ``{openid}``."""
    return _ANGLED.sub(r"{\1}", template)


def redact(template: str) -> str:
    """Write a template without its literal query: that may hold a token."""
    return _QUERY.sub("?...", show(template))


def quote(template: str) -> str:
    """Quote a template in an error, without its literal query."""
    return repr(redact(template))


def expand(template: str, variables: Mapping[str, Any]) -> str:
    """Expand a template as RFC 6570 says, levels 1 to 4; undefined variables leave nothing.

    Args:
        template: ``v3/pay/transactions/id/{transaction_id}``; ``<name>`` is ``{name}``.
        variables: Text, numbers, lists and mappings of them; ``True`` is ``true``; ``None`` is undefined.

    Raises:
        InvalidRequestError: The template is malformed, or a value has no text.
    """
    return "".join(
        part if isinstance(part, str) else part.expand(variables, template)
        for part in compiled(template).parts
    )


def cached(function: Callable[..., _T]) -> Callable[..., _T]:
    """Remember what a function made of a template, if that can be asked for again."""
    remembered = lru_cache(CACHED)(function)

    @wraps(function)
    def call(*texts: str) -> _T:
        return (remembered if all(map(is_lasting, texts)) else function)(*texts)

    return call


@cached
def compiled(template: str) -> Template:
    """Parse a template once.

    Raises:
        InvalidRequestError: The template is malformed.
    """
    parts: list[str | Expression] = []
    at = 0
    for match in _EXPRESSION.finditer(template):
        parts += [_literal(template[at : match.start()], template), Expression.parse(match[1] or match[2])]
        at = match.end()
    parts.append(_literal(template[at:], template))
    used = frozenset(v.name for part in parts if isinstance(part, Expression) for v in part.variables)
    return Template(tuple(part for part in parts if part), used)


def _literal(literal: str, template: str) -> str:
    stray = _STRAY_BRACKET.search(literal)
    if stray:
        raise InvalidRequestError(
            f"malformed template {quote(template)} at {stray[0]!r}: an expression reads {{openid}} or "
            "<openid>, its name in letters, digits, '_' and inner '.'; percent-encode brackets that are text"
        )
    try:
        return encode(literal, RESERVED)
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"template {quote(template)} holds a lone surrogate: pass well-formed text"
        ) from None


def _variable(spec: str) -> Variable:
    name, _, prefix = spec.partition(":")
    return Variable(name.removesuffix("*"), int(prefix) if prefix else None, explode=name.endswith("*"))


def _pieces(operator: _Operator, variable: Variable, values: Mapping[str, Any], template: str) -> list[str]:
    try:
        return _expand_variable(operator, variable, values.get(variable.name))
    except (TypeError, ValueError) as error:
        why = "it holds a lone surrogate" if isinstance(error, UnicodeError) else str(error)
        where = f"variable {variable.name!r} of {quote(template)}"
        raise InvalidRequestError(f"{where} cannot be used: {why}") from None


def _expand_variable(operator: _Operator, variable: Variable, value: Any) -> list[str]:
    """Expand one variable into pieces for the separator: none, one, or one a member if exploded."""
    if isinstance(value, (list, tuple, Mapping)):
        if variable.prefix:
            raise TypeError(f"the prefix ':{variable.prefix}' is for text, not for a {type(value).__name__}")
        return _composite(operator, variable, value)
    if value is None:
        return []
    encoded = _encode_value(text(value)[: variable.prefix], operator)
    return [_add_name(variable.name, encoded, operator) if operator.named else encoded]


def _composite(operator: _Operator, variable: Variable, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        defined = [(_key(k), text(v)) for k, v in value.items() if v is not None]
        pairs = [(_encode_value(k, operator), _encode_value(v, operator)) for k, v in defined]
        members = [part for pair in pairs for part in pair]
        if variable.explode:
            return [_add_name(k, v, operator) if operator.named else f"{k}={v}" for k, v in pairs]
    else:
        members = [_encode_value(text(member), operator) for member in value if member is not None]
        if variable.explode:
            return [_add_name(variable.name, v, operator) if operator.named else v for v in members]
    if not members:
        return []
    joined = ",".join(members)
    return [_add_name(variable.name, joined, operator) if operator.named else joined]


def _add_name(name: str, encoded: str, operator: _Operator) -> str:
    return f"{name}={encoded}" if encoded else name + operator.blank


def _encode_value(value: str, operator: _Operator) -> str:
    return encode(value, operator.safe) if operator.safe else percent_encode(value, safe="")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"its keys must be str, no {type(key).__name__}")
    return key


def text(value: Any) -> str:
    """Write a scalar as text: ``True`` as ``true``, numbers as Python does.

    Raises:
        TypeError: ``value`` is not a str, int, float or bool.
        ValueError: It is a float that is not finite, or an int of thousands of digits.
    """
    # Enumerations that are also str or int stand for their value, whatever their own __str__ says.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if not isinstance(value, float):
        kind = type(value).__name__
        raise TypeError(
            f"pass str, int or bool, or a flat list or mapping of them, not {kind} (a date: .isoformat())"
        )
    if not math.isfinite(value):
        raise ValueError("it is not a finite number")
    return float.__repr__(value)
