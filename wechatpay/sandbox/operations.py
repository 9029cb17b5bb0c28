"""The documented operations, found by the method and path of a request."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from wechatpay import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wechatpay.catalogue import Operation
    from wechatpay.sandbox.messages import HttpRequest

__all__ = ["Match", "Template", "find", "is_documented", "is_download", "methods", "nearest"]

_BRACKETS = ("{}", "<>")
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: How much a template must be like an unknown path to be suggested, from 0 to 1.
_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Match:
    """An operation and the values of its path's variables."""

    operation: Operation
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """A path with variables.

    Attributes:
        literals: Its segments; ``None`` in the place of a variable.
        names: The names of the variables.
    """

    literals: tuple[str | None, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse ``v3/x/{name}`` or ``v3/x/<name>``; a leading slash is dropped."""
        segments = text.removeprefix("/").split("/")
        is_variable = [segment[:1] + segment[-1:] in _BRACKETS for segment in segments]
        pairs = list(zip(segments, is_variable, strict=True))
        return cls(
            tuple(None if variable else segment for segment, variable in pairs),
            tuple(segment[1:-1] for segment, variable in pairs if variable),
        )

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """Return the values of the variables, none of them empty; ``None`` if ``path`` does not match."""
        if len(path) != len(self.literals):
            return None
        values = []
        for segment, literal in zip(path, self.literals, strict=True):
            if literal is None and segment:
                values.append(segment)
            elif segment != literal:
                return None
        return dict(zip(self.names, values, strict=True))


def find(request: HttpRequest, prefix: str = "") -> Match | None:
    """Find the operation of a request; ``None`` if the catalogue has none.

    Args:
        request: The request.
        prefix: The part of the template that is not sent: ``v2``.
    """
    operation = catalogue.find(request.method, prefix + request.path)
    if operation is None:
        return None
    template = operation.template.split("/")
    sent = f"{prefix}{request.path}".removeprefix("/").split("/")[-len(template) :]
    pairs = zip(template, sent, strict=True)
    return Match(operation, {name[1:-1]: unquote(value) for name, value in pairs if name.startswith("{")})


def methods(request: HttpRequest, prefix: str = "") -> list[str]:
    """Return the methods that the path of a request supports."""
    return [verb for verb in _VERBS if catalogue.find(verb, prefix + request.path)]


def is_documented(path: str) -> bool:
    """Return whether a path, as a template or with values, is documented; APIv2's may lack ``v2/``."""
    return any(catalogue.find(verb, prefix + path) for prefix in ("", "v2/") for verb in _VERBS)


def nearest(path: str) -> str:
    """Return the template that is most like an unknown path; ``""`` if none is like it."""
    templates = [operation.template for operation in catalogue.operations()]
    matches = difflib.get_close_matches(path.removeprefix("/"), templates, 1, _LIKENESS)
    return matches[0] if matches else ""


def is_download(operation: Operation) -> bool:
    """Return whether the response of an operation is a file."""
    return operation.response_kind in {"csv", "image", "pdf"}
