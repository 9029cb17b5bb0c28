"""JSON as it is signed and sent: compact, UTF-8, and nothing that another parser would read otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wechatpay.errors import InvalidRequestError

__all__ = ["encode"]

_SCALARS = (str, int, float, type(None))


def encode(value: Any, name: str = "json") -> bytes:
    """Serialise ``value``; ``name`` is what an error calls it.

    Mappings need text as keys; lists, tuples, text, whole numbers, finite floats, booleans and ``None``
    are values. Amounts are whole numbers of fen: a ``Decimal`` is refused, not rounded.

    Raises:
        InvalidRequestError: A part of ``value`` has no exact JSON; the message gives its place.
    """
    try:
        _check(value, name)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{name}: holds a lone surrogate, which is no text that UTF-8 can carry"
        ) from None
    except RecursionError:
        raise InvalidRequestError(f"{name}: nested too deeply, or within itself") from None
    except ValueError as error:
        if isinstance(error, InvalidRequestError):
            raise
        raise InvalidRequestError(f"{name}: NaN and infinity have no JSON") from None


def _check(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidRequestError(f"{place}: the key {key!r} is not text")
            if type(item) is not str:
                _check(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif not isinstance(value, _SCALARS):
        hint = "; turn it into a dict" if isinstance(value, Mapping) else ""
        raise InvalidRequestError(f"{place}: {type(value).__name__} has no JSON{hint}")
