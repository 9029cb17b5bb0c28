"""What a run says: tables for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Bar", "Section"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the plot.

    Attributes:
        label: What was measured.
        value: The hand-written code = 1.
    """

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        title: What it is about.
        columns: The names of its columns.
        rows: Its cells.
        bars: What of it the plot shows.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def __str__(self) -> str:
        widths = [max(map(len, cells)) for cells in zip(self.columns, *self.rows, strict=True)]
        rule = ["-" * width for width in widths]
        lines = [_line(cells, widths) for cells in (self.columns, rule, *self.rows)]
        return "\n".join([f"\n{self.title}\n", *lines])


def _line(cells: tuple[str, ...] | list[str], widths: list[int]) -> str:
    first, *rest = [
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join([first, *rest])} |"
