"""Which core runs what: the client has the first, the gateway the last."""

from __future__ import annotations

import os

__all__ = ["CLIENT", "GATEWAY", "pin"]

_ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

CLIENT, GATEWAY = _ALL[:1], _ALL[-1:]


def pin(cores: list[int], process: int = 0) -> None:
    """Keep a process, this one by default, and what it starts later, on ``cores``, where the system can."""
    if cores:
        os.sched_setaffinity(process, cores)
