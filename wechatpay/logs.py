"""What a call logs: to the ``wechatpay`` logger at DEBUG and, with ``debug=True``, to stderr.

Callers pass methods, paths, serials, sizes and statuses; never queries, bodies or credentials.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wechatpay.messages import Request

__all__ = ["enabled", "install_filter", "log_step"]

_log = logging.getLogger("wechatpay")

_SECRET = re.compile(r"([?&](?:[a-z_]*token|[a-z]*secret|js_code|code)=)[^&\s]+")


def enabled(request: Request) -> bool:
    """Return whether anything is logged for ``request``."""
    return request.debug or _log.isEnabledFor(logging.DEBUG)


def log_step(request: Request, text: str, *values: Any) -> None:
    """Log one step of a call.

    Args:
        request: The request of the call.
        text: A message with a ``%s`` for each value.
        values: The values, or functions of the request that return them when they are costly to compute.
    """
    if not enabled(request):
        return
    shown = [value(request) if callable(value) else value for value in values]
    if request.debug:
        print(f"wechatpay: {text % tuple(shown)}", file=sys.stderr)  # noqa: T201  what `debug=True` asks for
    _log.debug(text, *shown)


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _SECRET.sub(r"\1…", value) if isinstance(value, str) else value for value in record.args
            )
        return True


_REDACTION = _Redaction()


def install_filter() -> None:
    """Redact tokens and secrets in the URLs that urllib3 logs at DEBUG.

    This affects every user of urllib3 in the process; nothing else of its log changes.
    """
    # A logger takes the same filter only once.
    logging.getLogger("urllib3.connectionpool").addFilter(_REDACTION)
