"""Four small plots as inline SVG: horizontal bars, because layer names and phones are both upright.

Colours are CSS classes that the page defines for light and dark; every text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 400
LEFT = 76
RIGHT = 46
BAR = 11


class Part(NamedTuple):
    """A piece of a bar: its length in the plot's unit, its colour class, and what it means on hover."""

    value: float
    colour: str
    title: str


class Bar(NamedTuple):
    """Parts from left to right, the text behind them, and a tick mark (None: none) on the same scale."""

    parts: Sequence[Part]
    text: str = ""
    mark: float | None = None


class Group(NamedTuple):
    """Bars under one name."""

    name: str
    bars: Sequence[Bar]


def ticks(top: float, count: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``top``."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def _shorten(name: str, room: int = 11) -> str:
    """A name that fits the left margin: its end says more than its beginning."""
    return name if len(name) <= room else "…" + name[1 - room :]


def bars(groups: Sequence[Group], label: str, show: Callable[[float], str], top: float | None = None) -> str:
    """One plot.

    Args:
        groups: what to draw, from top to bottom.
        label: what the plot shows, for readers who cannot see it.
        show: formats a number on the axis.
        top: end of the axis; default the longest bar or mark, rounded up.
    """
    ends = [max(sum(p.value for p in bar.parts), bar.mark or 0) for group in groups for bar in group.bars]
    axis = ticks(max(ends, default=0)) if top is None else [top * i / 4 for i in range(5)]
    scale = (WIDTH - LEFT - RIGHT) / axis[-1]
    out, y = [], 18.0
    for group in groups:
        start = y
        for bar in group.bars:
            x = float(LEFT)
            for part in bar.parts:
                width = part.value * scale
                if width > 0:
                    out.append(
                        f'<rect class="{part.colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}">'
                        f"<title>{escape(part.title)}</title></rect>"
                    )
                x += width
            if bar.mark is not None:
                at = LEFT + bar.mark * scale
                out.append(f'<path class="mark" d="M{at:.1f} {y - 2:.1f}v{BAR + 4}"/>')
                room = 6.5 * len(bar.text) + 8
                x = at if x - 6 < at < x + room else x
            if bar.text:
                out.append(f'<text class="value" x="{x + 5:.1f}" y="{y + BAR - 1.6:.1f}">{escape(bar.text)}</text>')
            y += BAR + 3
        middle = (start + y - 3) / 2 + 4
        name = escape(_shorten(group.name))
        hover = f"<title>{escape(group.name)}</title>"
        out.append(f'<text class="name" x="{LEFT - 8}" y="{middle:.1f}">{name}{hover}</text>')
        y += 9
    height = y + 2
    grid = "".join(
        f'<path class="grid" d="M{LEFT + value * scale:.1f} 14V{height - 8:.1f}"/>'
        f'<text class="tick" x="{LEFT + value * scale:.1f}" y="9">{escape(show(value))}</text>'
        for value in axis
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{grid}{''.join(out)}</svg>"
    )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Colour class and meaning, as one HTML line."""
    items = "".join(f'<span><i class="{colour}"></i>{escape(text)}</span>' for colour, text in entries)
    return f'<p class="legend">{items}</p>'
