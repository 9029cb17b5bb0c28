"""Keep the secrets of a query out of other libraries' logs."""

from __future__ import annotations

import logging
import re

__all__ = ["hush"]

_SECRET = re.compile(r"([?&](?:[a-z_]*token|[a-z]*secret|js_code|code)=)[^&\s]+")


class _Discretion(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _SECRET.sub(r"\1…", value) if isinstance(value, str) else value for value in record.args
            )
        return True


_DISCRETION = _Discretion()


def hush() -> None:
    """Have urllib3, which logs each URL at DEBUG, leave out the values of tokens and secrets in them.

    This goes for every user of urllib3 in the process; nothing else of its log changes.
    """
    # Once: a logger takes the same filter no second time.
    logging.getLogger("urllib3.connectionpool").addFilter(_DISCRETION)
