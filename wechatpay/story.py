"""The story of a call, for the ``wechatpay`` logger at DEBUG and for ``debug=True``.

Tellers pass methods, paths, serials, sizes and statuses. Queries, bodies and credentials never come here.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wechatpay.messages import Request

__all__ = ["is_told", "tell"]

_log = logging.getLogger("wechatpay")


def is_told(request: Request) -> bool:
    """Tell whether anybody listens."""
    return request.debug or _log.isEnabledFor(logging.DEBUG)


def tell(request: Request, text: str, *values: Any) -> None:
    """Tell one step of ``request``'s story: to the logger, and to stderr if the call asked for it.

    Args:
        request: Whose story.
        text: With a ``%s`` for each value.
        values: Or functions of the request that give them, if finding them out takes a while.
    """
    if not is_told(request):
        return
    shown = [value(request) if callable(value) else value for value in values]
    if request.debug:
        print(f"wechatpay: {text % tuple(shown)}", file=sys.stderr)  # noqa: T201  what `debug=True` asks for
    _log.debug(text, *shown)
