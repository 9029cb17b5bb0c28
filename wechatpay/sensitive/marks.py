"""Which fields of which operations travel encrypted, as WeChat Pay documents them.

``marks.jsonl`` beside this module has a line for each operation. It is generated from a catalogue of the
documents by ``tests/marks.py``. Paths read ``list[].field``. An operation without any is there because its
URI would otherwise be taken for another's template.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIST", "NOTHING", "Marks", "Tree", "marks"]

#: Names to what is marked below them: nothing, if they are marked themselves.
Tree: TypeAlias = "Mapping[str, Tree]"

#: The name of a list's members.
LIST = "[]"

#: Overseas prefixes of a path, which the documents leave to the base URI.
_PREFIXES = ("hk/", "global/")


@dataclass(frozen=True, slots=True)
class Marks:
    """The encrypted fields of one operation.

    Attributes:
        query: In the query.
        body: In the JSON; for an upload, below ``meta``.
        response: In the answer.
    """

    query: Tree = field(default_factory=dict)
    body: Tree = field(default_factory=dict)
    response: Tree = field(default_factory=dict)


NOTHING = Marks()


def marks(verb: str, route: str) -> Marks | None:
    """Find an operation's encrypted fields, or ``None`` if none are documented.

    Args:
        verb: Upper-case HTTP method.
        route: Path without leading ``/`` and query; variables expanded or as ``{name}``.
    """
    for prefix in _PREFIXES:
        route = route.removeprefix(prefix)
    segments = tuple(route.split("/"))
    for template, paths in _index().get((verb, len(segments)), ()):
        if all(part in (segment, None) for part, segment in zip(template, segments, strict=True)):
            return _read(paths)
    return None


@functools.cache
def _index() -> dict[tuple[str, int], list[tuple[tuple[str | None, ...], str]]]:
    """Read the file: by verb and length, templates with ``None`` for a variable, literal ones first."""
    index: dict[tuple[str, int], list[tuple[tuple[str | None, ...], str]]] = {}
    for line in Path(__file__).with_name("marks.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        template = tuple(None if part.startswith("{") else part for part in row["uri"].split("/"))
        index.setdefault((row["verb"], len(template)), []).append((template, line))
    for found in index.values():
        found.sort(key=lambda entry: [part is None for part in entry[0]])
    return index


@functools.cache
def _read(line: str) -> Marks:
    row = json.loads(line)
    return Marks(*(_tree(row.get(part, ())) for part in ("query", "body", "response")))


def _tree(paths: list[str]) -> Tree:
    root: dict[str, Any] = {}
    for path in paths:
        branch = root
        for name in path.replace(LIST, f".{LIST}").split("."):
            branch = branch.setdefault(name, {})
    return root
