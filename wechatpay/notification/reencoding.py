"""What a framework may have done to a body that no longer matches its signature."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["original"]

#: Bytes of a body that is looked at: callbacks have a few KiB, and anybody may send one.
_MOST = 1 << 16

_SEPARATORS = ((",", ":"), (", ", ": "))


def original(body: bytes, is_signed: Callable[[bytes], bool]) -> bytes | None:
    """Find the bytes that were signed among the few that ``body`` is usually made from.

    It tries six signatures at most. A changed order of the keys is not found out.

    Args:
        body: What did not match.
        is_signed: Tells whether bytes match.
    """
    if len(body) > _MOST:
        return None
    tried = {body}
    for candidate in _candidates(body):
        if candidate not in tried and is_signed(candidate):
            return candidate
        tried.add(candidate)
    return None


def _candidates(body: bytes) -> Iterator[bytes]:
    yield body.strip()
    with suppress(UnicodeError):
        # Read as Latin-1, as HTTP once had it, and written as UTF-8.
        yield body.decode().encode("latin-1")
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
        for separators, escaped in product(_SEPARATORS, (False, True)):
            yield json.dumps(value, separators=separators, ensure_ascii=escaped).encode("utf-8", "replace")
