"""Tables whose cells may be small plots: stacked bars and histograms, as HTML that needs no script.

Colours are CSS classes that ``style.py`` defines for light and dark; every text is escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from .data import bins


class Html(str):
    """Text that is HTML already."""


class Part(NamedTuple):
    """A piece of a bar: its share of the cell's width, its colour class, and what it means."""

    share: float
    colour: str
    meaning: str


def bar(parts: Sequence[Part], mark: float | None = None) -> Html:
    """Pieces from left to right, and a tick mark (None: none) on the same scale; beyond its end an arrow."""
    pieces = "".join(
        f'<i class="{part.colour}" style="width:{100 * part.share:.2f}%" title="{escape(part.meaning)}"></i>'
        for part in parts
        if part.share > 0
    )
    tick = ""
    if mark is not None:
        tick = f'<b style="left:{100 * mark:.2f}%"></b>' if mark <= 1 else '<b class="beyond"></b>'
    meaning = escape("; ".join(part.meaning for part in parts))
    return Html(f'<div class="bar" role="img" aria-label="{meaning}">{pieces}{tick}</div>')


def name(text: str, small: str = "") -> Html:
    """A layer's name, which may wrap behind its separators, and something below it."""
    shown = re.sub(r"([./:])(?=[^./:])", r"\1<wbr>", escape(text, quote=False))
    return Html(shown + (f"<small>{escape(small)}</small>" if small else ""))


def stack(bars: Sequence[Html]) -> Html:
    """Bars one below the other in one cell."""
    return Html(f'<div class="stack">{"".join(bars)}</div>')


def histogram(counts: Sequence[int]) -> Html:
    """Weights by value, coloured by kind, to the scale of the highest column but zero, which may be cut off."""
    places = list(zip(counts, bins(len(counts)), strict=True))
    top, columns = max((count for count, span in places if span != (0, 0) and count), default=1), []
    for count, (first, last) in places:
        kind = "zero" if first == last == 0 else "nonoutlier" if first >= -8 and last <= 7 else "outlier"
        span = f"{first}" if first == last else f"{first} to {last}"
        height = 100 * min(count / top, 1)
        columns.append(f'<i class="{kind}" style="height:{height:.1f}%" title="{span}: {count:,} weights"></i>')
    return Html(f'<div class="hist" role="img" aria-label="weights by value">{"".join(columns)}</div>')


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Colour class and meaning, as one line."""
    items = "".join(f'<span><i class="{colour}"></i>{escape(text)}</span>' for colour, text in entries)
    return f'<p class="legend">{items}</p>'


def table(
    head: Sequence[tuple[str, str]],
    lines: Sequence[Sequence[str]],
    left: Collection[int] = (),
    plots: Collection[int] = (),
    total: bool = True,
) -> str:
    """A table that scrolls on its own, its first column staying in view.

    Args:
        head: (what, which) of each column; equal neighbours share the first.
        lines: cells, of which :class:`Html` is taken as it is.
        left: columns of text, set flush left, as the first one and plots are.
        plots: columns of plots, which take the room the others leave.
        total: the last line is one.
    """
    kinds = ["plot" if i in plots else "left" if i in left or not i else "" for i in range(len(head))]
    kinds = [f' class="{kind}"' if kind else "" for kind in kinds]
    over, under = "", ""
    for what, members in groupby(range(len(head)), key=lambda index: head[index][0]):
        columns = list(members)
        kind = kinds[columns[0]] if len(columns) == 1 else ""
        scope = "colgroup" if len(columns) > 1 else "col"
        over += f'<th scope="{scope}" colspan="{len(columns)}"{kind}>{escape(what)}</th>'
        under += "".join(f'<th scope="col"{kinds[index]}>{escape(head[index][1])}</th>' for index in columns)
    body = ""
    for number, cells in enumerate(lines):
        shown = [cell if isinstance(cell, Html) else escape(cell) for cell in cells]
        data = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], shown[1:], strict=True))
        last = ' class="total"' if total and number == len(lines) - 1 else ""
        body += f'<tr{last}><th scope="row">{shown[0]}</th>{data}</tr>'
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{over}</tr><tr>{under}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
