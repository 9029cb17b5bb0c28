"""The ``query`` option: names and values, percent-encoded as RFC 3986 says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from wechatpay.errors import InvalidRequestError
from wechatpay.formatter import format_number
from wechatpay.uri.target import tidy
from wechatpay.uri.template import text

__all__ = ["query"]

_FORBIDDEN: Final = frozenset("#\r\n\0")
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*+").fullmatch


def query(options_query: Any, existing: str = "") -> str:
    """Encode the ``query`` option, behind what the URI itself brought.

    Args:
        options_query: A mapping, a list of pairs, a ready string (only normalised), or ``None``. ``True`` is
            ``1``, ``False`` is ``0``, ``None`` is left out, a list repeats its name.
        existing: The URI's own query.

    Returns:
        The query without ``?``; ``""`` if there is none.

    Raises:
        InvalidRequestError: A name is not ``str``, or a value is nested, ``bytes``, a float, not finite or of
            another type; a ready string holds ``#``, CR, LF or NUL.
    """
    if options_query is None:
        ready = ""
    elif isinstance(options_query, str):
        ready = _ready(options_query)
    else:
        ready = _encode(options_query)
    if not existing:
        return ready
    return "&".join(filter(None, (tidy(existing.removeprefix("?")), ready)))


def _encode(options_query: Any) -> str:
    pairs = list(options_query.items()) if isinstance(options_query, Mapping) else options_query
    if not isinstance(pairs, (list, tuple)):
        kind = type(options_query).__name__
        raise InvalidRequestError(f"query is a {kind}: pass a mapping, a list of pairs, or a str")
    encoded = []
    for pair in pairs:
        match pair:
            case (str() as name, str() as value) if type(name) is type(value) is str and _PLAIN(name + value):
                encoded.append(f"{name}={value}")
            case (str() as name, list() | tuple() as members):
                encoded += [_parameter(name, member) for member in members if member is not None]
            case (str() as name, value):
                if value is not None:
                    encoded.append(_parameter(name, value))
            case _:
                raise InvalidRequestError("query must pair names, which are str, with values: {'limit': 10}")
    return "&".join(encoded)


def _ready(given: str) -> str:
    if not _FORBIDDEN.isdisjoint(given):
        raise InvalidRequestError(
            "query is a ready string with '#', CR, LF or NUL in it: pass a mapping, or encode them"
        )
    return tidy(given.removeprefix("?"))


def _parameter(name: str, value: Any) -> str:
    if isinstance(value, float | Decimal):
        value = format_number(value, f"query parameter {name!r}")
    try:
        return f"{quote(text(name), safe='')}={quote(_text(value), safe='')}"
    except (TypeError, ValueError) as error:
        why = "lone surrogates are no text" if isinstance(error, UnicodeError) else error
        raise InvalidRequestError(f"query parameter {name!r} cannot be used: {why}") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return text(value)
