"""Several builds side by side: the same network, one report each, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FileFormatError
from ..text import counted
from .data import Report
from .table import si


def side_by_side(reports: Sequence[Report]) -> str:
    """For every layer: the cycles of each report's fastest run, and the dense products per multiplier and cycle.

    Raises:
        FileFormatError: reports of different networks, or of different numbers of images.
    """
    first = reports[0]
    shapes = [(layer.name, layer.macs) for layer in first.runs[0].layers]
    for other in reports[1:]:
        if [(layer.name, layer.macs) for layer in other.runs[0].layers] != shapes or other.images != first.images:
            raise FileFormatError(
                f"reports of {first.title!r} ({counted(first.images, 'image')}) and {other.title!r} ({other.images}) "
                f"differ in layers or images; accepted: reports of one network on the same images"
            )
    builds = [(report.config.get("name", "?"), report.best, int(report.config.get("macs", 0))) for report in reports]
    head = ["layer", "MACs"]
    for name, run, _ in builds:
        head += [f"{name} {run.label}: cycles", "per multiplier"]
    lines = []
    for index in (*range(len(shapes)), None):
        layers = [run.at(index) for _, run, _ in builds]
        line = [layers[0].name, si(layers[0].macs)]
        for layer, (_, _, macs) in zip(layers, builds, strict=True):
            line += [f"{layer.cycles:,}", f"{layer.macs / layer.cycles / macs:.2f}" if layer.cycles * macs else "-"]
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def show(cells: list[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(padded).rstrip()

    rule = "─" * len(show(head))
    out = [first.title, "", show(head), rule, *map(show, lines[:-1]), rule, show(lines[-1]), ""]
    out += [f"{name}: {macs} multipliers; {run.device}" for name, run, macs in builds]
    out.append("Per multiplier: MACs of the layer over cycles × multipliers; 1 is a product per multiplier and cycle.")
    return "\n".join(out) + "\n"
