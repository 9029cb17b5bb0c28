"""The plot of a run, as SVG: one bar for each means, the hand-written code at 1."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .report import Bar, Section

__all__ = ["draw"]

_WIDTH, _LEFT, _RIGHT = 760, 210, 60
_ROW, _BAR, _NUMBER = 24, 15, 40
_AXIS = "CPU time of one call; hand-written code = 1.00; lower is better"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-weight:600;fill:#24292f}.n{fill:#24292f}"
    "rect{fill:#afb8c1}.o{fill:#2da44e}.s{fill:#bf8700}line{stroke:#24292f;stroke-dasharray:3 3}"
    "@media(prefers-color-scheme:dark){.t,.n{fill:#f0f6fc}text{fill:#9198a1}rect{fill:#3d444d}"
    ".o{fill:#3fb950}.s{fill:#d29922}line{stroke:#f0f6fc}}"
)


def draw(sections: Iterable[Section]) -> str:
    """Draw the bars of all sections, one group below the other."""
    plotted = [section for section in sections if section.bars]
    longest = max((bar.value for section in plotted for bar in section.bars), default=1.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(longest, 1.0)
    parts: list[str] = [_text(0, 18, _AXIS, "n")]
    top = 36
    for section in plotted:
        parts.append(_text(0, top + 14, section.title, "t"))
        top += _ROW
        bottom = top + _ROW * len(section.bars)
        one = _LEFT + scale
        parts.append(f'<line x1="{one:.0f}" x2="{one:.0f}" y1="{top}" y2="{bottom - 4}"/>')
        parts.extend(_bars(section.bars, top, scale))
        top = bottom + 14
    key = "green: this package; amber: this package, where it is slower than hand-written code"
    parts.append(_text(0, top + 8, key, ""))
    top += 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" '
        f'role="img" aria-label="{_AXIS}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _bars(bars: list[Bar], top: int, scale: float) -> Iterator[str]:
    for index, bar in enumerate(bars):
        y = top + index * _ROW
        kind = ""
        if bar.label.startswith("this package"):
            kind = ' class="s"' if bar.value > 1 else ' class="o"'
        yield f'<rect{kind} x="{_LEFT}" y="{y}" width="{bar.value * scale:.0f}" height="{_BAR}" rx="2"/>'
        yield _text(_LEFT - 8, y + 12, bar.label, "", anchor="end")
        end = _LEFT + bar.value * scale
        # The line that marks 1 leaves the number alone.
        place = _LEFT + scale if end < _LEFT + scale < end + _NUMBER else end
        yield _text(place + 6, y + 12, f"{bar.value:.2f}", "n")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
