"""The head of a request, as both transports write it: what was checked, and nothing besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["head"]


def head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Lay out what stands before the body.

    Args:
        method: HTTP method.
        target: Path and query; the whole URL for a proxy that forwards.
        headers: Names and values of all headers, ``Host`` first.
    """
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers], "\r\n"]
    return "\r\n".join(lines).encode("ascii")
