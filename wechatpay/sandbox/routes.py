"""Which template a path belongs to: on decoded segments, a literal before a variable."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wechatpay.sandbox.catalogue import Operation

__all__ = ["Routes", "Template", "by_path"]

T = TypeVar("T")

_BRACKETS = ("{}", "<>")


@dataclass(frozen=True, slots=True)
class Template:
    """A path with variables.

    Attributes:
        literals: Its segments; ``None`` where a variable stands.
        names: The names of the variables.
    """

    literals: tuple[str | None, ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Template:
        """Read ``v3/x/{name}`` or ``v3/x/<name>``; a leading slash is dropped."""
        segments = text.removeprefix("/").split("/")
        variable = [segment[:1] + segment[-1:] in _BRACKETS for segment in segments]
        pairs = list(zip(segments, variable, strict=True))
        return cls(
            tuple(None if is_variable else segment for segment, is_variable in pairs),
            tuple(segment[1:-1] for segment, is_variable in pairs if is_variable),
        )

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """Return the values of the variables, none of them empty; ``None`` if ``path`` is another one."""
        if len(path) != len(self.literals):
            return None
        values = []
        for segment, literal in zip(path, self.literals, strict=True):
            if literal is None and segment:
                values.append(segment)
            elif segment != literal:
                return None
        return dict(zip(self.names, values, strict=True))

    @property
    def rank(self) -> tuple[bool, ...]:
        """What to sort by: of two that match, the one whose literal comes first wins."""
        return tuple(literal is None for literal in self.literals)


class Routes(Generic[T]):
    """Templates, each with what it leads to."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[Template, T]]] = {}

    def add(self, template: str, thing: T) -> None:
        """Let ``template`` lead to ``thing``."""
        read = Template.read(template)
        routes = self._by_length.setdefault(len(read.literals), [])
        insort(routes, (read, thing), key=lambda route: route[0].rank)

    def find(self, path: Sequence[str]) -> tuple[T, dict[str, str]] | None:
        """Return what a path leads to, and the values of the template's variables; ``None`` if nowhere."""
        for template, thing in self._by_length.get(len(path), ()):
            if (variables := template.match(path)) is not None:
                return thing, variables
        return None


def by_path(operations: Iterable[Operation], prefix: str = "") -> Routes[dict[str, Operation]]:
    """Find operations by their paths and, there, by their methods.

    Args:
        operations: What there is.
        prefix: What stands before a path in the chain, but is not sent: ``v2/``.
    """
    by_uri: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_uri.setdefault(operation.uri.removeprefix(prefix), {})[operation.verb] = operation
    routes: Routes[dict[str, Operation]] = Routes()
    for uri, methods in by_uri.items():
        routes.add(uri, methods)
    return routes
