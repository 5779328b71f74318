"""The report as text for a terminal: one line per layer, everything a reader needs to judge it."""

from __future__ import annotations

from .data import Report


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def si(value: float) -> str:
    """A number with three digits and a unit: 7.34 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"
    return f"{value:.0f}"


def rows(report: Report) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the per-layer table, as text; the last line is the total."""
    short = {id(run): run.label.replace("combined + activation skip", "+ act skip") for run in report.runs}
    head = ["layer", "shape", "MACs", "zero %", "non-outlier %", "outlier %", "act zeros %"]
    head += [f"cycles {short[id(run)]}" for run in report.runs]
    head += [f"speed-up {short[id(run)]}" for run in report.compared]
    head.append("% of bound")

    def line(index: int | None) -> list[str]:
        cells = [run.total if index is None else run.layers[index] for run in report.runs]
        bound = report.bound_run.total if index is None else report.bound_run.layers[index]
        shares = [_percent(value) for value in (bound.zero, bound.non_outlier, bound.outlier, bound.act_zeros)]
        cycles = [f"{cell.cycles:,}" for cell in cells]
        speedups = [f"{report.speedup(run, index):.2f}" for run in report.compared]
        return [bound.name, bound.shape, si(bound.macs), *shares, *cycles, *speedups, f"{100 * bound.bound_share:.0f}"]

    return head, [line(index) for index in (*range(len(report.runs[0].layers)), None)]


def _wrap(title: str) -> list[str]:
    """A column's heading on several short lines."""
    return title.split(" ", 1) if title.startswith(("cycles ", "speed-up ")) else title.rsplit(" ", 1)


def table(report: Report) -> str:
    """The whole report as plain text, no wider than its columns need."""
    head, lines = rows(report)
    heads = [_wrap(title) for title in head]
    depth = max(map(len, heads))
    heads = [[""] * (depth - len(parts)) + parts for parts in heads]
    widths = [max(len(cell) for cell in (*heads[i], *(row[i] for row in lines))) for i in range(len(head))]

    def show(cells: list[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[:2] = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    out = [report.title, ""]
    out += [show([parts[level] for parts in heads]) for level in range(depth)]
    out += [rule, *map(show, lines[:-1]), rule, show(lines[-1]), ""]
    for title, items in (("Accuracy", report.accuracy), ("Conditions", report.all_conditions)):
        if items:
            out += [title, *(f"  {name}: {value}" for name, value in items.items())]
    if report.checks:
        out += ["Checks", *(f"  {'ok  ' if ok else 'FAIL'} {name}" for name, ok in report.checks)]
    out += [
        "Shares of weights are weighted by MACs in the total. % of bound: cycles if every MAC did two non-outliers",
        f"or one outlier in every cycle, over the cycles of '{report.bound_run.label}'.",
    ]
    return "\n".join(out) + "\n"
