"""What a call logs: to the ``wechatpay`` logger at DEBUG and, with ``debug=True``, to stderr.

Callers pass methods, paths, serials, sizes and statuses; never queries, bodies or credentials.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wechatpay.messages import Request

__all__ = ["URLLIB3_LOG", "log_step", "redact_urllib3_log"]

_log = logging.getLogger("wechatpay")

_QUERY = re.compile(r"\?\S+")


def log_step(request: Request, text: str, *values: object) -> None:
    """Log one step of a call.

    Args:
        request: The request of the call. Ask ``request.logged`` first where the values cost time.
        text: A message with a ``%s`` for each value.
        values: The values.
    """
    if request.debug:
        print(f"wechatpay: {text % values}", file=sys.stderr)  # noqa: T201  what `debug=True` asks for
    _log.debug(text, *values)


class _Redaction(logging.Filter):
    """Redacts the queries of our own calls; records of other code stay as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.get() and isinstance(record.args, tuple):
            record.args = tuple(
                _QUERY.sub("?…", value) if isinstance(value, str) else value for value in record.args
            )
        return True


#: Logs the target of each request at DEBUG, with its query.
URLLIB3_LOG = logging.getLogger("urllib3.connectionpool")

_sending: ContextVar[bool] = ContextVar("wechatpay_sending", default=False)
_REDACTION = _Redaction()


@contextmanager
def redact_urllib3_log() -> Iterator[None]:
    """Redact the queries that urllib3 logs, of the call in the ``with`` block alone."""
    # A logger takes the same filter only once.
    URLLIB3_LOG.addFilter(_REDACTION)
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)
