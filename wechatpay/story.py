"""The story of a call, for the ``wechatpay`` logger at DEBUG and for ``debug=True``.

Tellers pass methods, paths, serials, sizes and statuses. Queries, bodies and credentials never come here.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wechatpay.messages import Request

__all__ = ["tell"]

_log = logging.getLogger("wechatpay")


def tell(request: Request, text: str, *values: object) -> None:
    """Tell one step of ``request``'s story: to the logger, and to stderr if the call asked for it."""
    if request.debug:
        print(f"wechatpay: {text % values}", file=sys.stderr)  # noqa: T201  what `debug=True` asks for
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug(text, *values)
