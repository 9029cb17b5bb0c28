"""JSON as it is signed and sent: compact UTF-8, with one reading only."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from wechatpay.errors import InvalidRequestError
from wechatpay.formatter import find_number_flaw, format_number

__all__ = ["encode"]


def encode(value: Any, name: str = "json") -> bytes:
    """Serialise ``value``.

    Mappings need text as keys. Lists, tuples, text, whole numbers, booleans and ``None`` are values.
    Amounts are whole numbers of fen. A ``Decimal``, for the few documented fractions such as a longitude,
    is written exactly; a ``float`` is refused, because ``19.99 * 100`` is not ``1999``.

    Args:
        value: The body, or another part of the request.
        name: What an error calls it.

    Raises:
        InvalidRequestError: A part of ``value`` has no exact JSON; the message names its place.
    """
    decimals: list[float | Decimal] = []
    try:
        flaw = _find_flaw(value, name, decimals)
        if not flaw:
            write = _write if decimals else _dumps
            return write(value).encode()
    except UnicodeEncodeError:
        flaw = f"{name}: holds a lone surrogate, which UTF-8 cannot carry"
    except ValueError:
        flaw = f"{name}: holds an int of more than {sys.get_int_max_str_digits()} digits; give it as text"
    except RecursionError:
        flaw = f"{name}: nested too deeply, or within itself"
    # Error trackers record the local variables of a frame that an error passes.
    del value, decimals
    raise InvalidRequestError(flaw)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _write(value: Any) -> str:
    """Serialise a value with a ``Decimal`` in it, which `json` cannot write."""
    if isinstance(value, Decimal):
        return format_number(value, "json")
    if isinstance(value, dict):
        return "{" + ",".join(f"{_dumps(key)}:{_write(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    return _dumps(value)


def _find_flaw(value: Any, place: str, decimals: list[float | Decimal]) -> str:  # noqa: PLR0911  one for each type
    """Say what in ``value`` cannot be sent, or ``""``; collect the decimals on the way."""
    if value is None or isinstance(value, str | int):
        return ""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{place}: the key {key!r} must be text"
            if type(item) is not str and (flaw := _find_flaw(item, f"{place}.{key}", decimals)):
                return flaw
        return ""
    if isinstance(value, list | tuple):
        flaws = (_find_flaw(item, f"{place}[{index}]", decimals) for index, item in enumerate(value))
        return next(filter(None, flaws), "")
    if isinstance(value, float | Decimal):
        decimals.append(value)
        return find_number_flaw(value, place)
    hint = "; turn it into a dict" if isinstance(value, Mapping) else ""
    if isinstance(value, date):
        hint = "; give text: .isoformat(timespec='seconds') of a time with its zone, .isoformat() of a date"
    return f"{place}: {type(value).__name__} has no JSON{hint}"
