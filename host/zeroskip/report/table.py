"""The report as text for a terminal: one line per layer, everything a reader needs to judge it."""

from __future__ import annotations

from itertools import groupby

from .data import Report, Run


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def si(value: float) -> str:
    """A number with three digits and a unit: 7.34 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"
    return f"{value:.0f}"


def short_label(run: Run) -> str:
    """The run's schedule in a column's width."""
    return run.label.replace("combined + activation skip", "+ act.skip")


def rows(report: Report) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Head and lines of the per-layer table, as text; the last line is the total.

    A heading is (what, which): ("cycles", "dense"); the second part is empty where there is one only.
    """
    head = [("layer", ""), ("shape", ""), ("MACs", "")]
    head += [("weights %", kind) for kind in ("zero", "non-out.", "outlier")] + [("act.", "zero %")]
    head += [("cycles", short_label(run)) for run in report.runs]
    head += [("speed-up", short_label(run)) for run in report.compared] + [("% of", "bound")]

    def line(index: int | None) -> list[str]:
        cells, bound = [run.at(index) for run in report.runs], report.bound_run.at(index)
        shares = [_percent(value) for value in (bound.zero, bound.non_outlier, bound.outlier, bound.act_zeros)]
        cycles = [f"{cell.cycles:,}" for cell in cells]
        speedups = [f"{report.speedup(run, index):.2f}" for run in report.compared]
        return [bound.name, bound.shape, si(bound.macs), *shares, *cycles, *speedups, f"{100 * bound.bound_share:.0f}"]

    return head, [line(index) for index in (*range(len(report.runs[0].layers)), None)]


def table(report: Report, width: int | None = None) -> str:
    """The whole report as plain text; shapes are left out where lines would be longer than ``width``."""
    head, lines = rows(report)
    kept = list(range(len(head)))
    widths = [max(map(len, (which, *(row[i] for row in lines)))) for i, (_, which) in enumerate(head)]
    for i, (what, _) in enumerate(head):
        if [title for title, _ in head].count(what) == 1:
            widths[i] = max(widths[i], len(what))
    if width is not None and sum(widths) + 2 * len(widths) - 2 > width:
        kept.remove(1)

    def show(cells: list[str]) -> str:
        padded = [cells[i].ljust(widths[i]) if i < 2 else cells[i].rjust(widths[i]) for i in kept]
        return "  ".join(padded).rstrip()

    first = []
    for what, members in groupby(kept, key=lambda i: head[i][0]):
        columns = list(members)
        room = sum(widths[i] for i in columns) + 2 * len(columns) - 2
        place = str.ljust if columns[0] < 2 else str.rjust if len(columns) == 1 else str.center
        first.append(place(what, room))
    rule = "─" * (sum(widths[i] for i in kept) + 2 * len(kept) - 2)
    out = [report.title, "", "  ".join(first).rstrip(), show([which for _, which in head])]
    out += [rule, *map(show, lines[:-1]), rule, show(lines[-1]), ""]
    for title, items in (("Accuracy", report.accuracy), ("Conditions", report.all_conditions)):
        if items:
            out += [title, *(f"  {name}: {value}" for name, value in items.items())]
    if report.checks:
        out += ["Checks", *(f"  {'ok  ' if ok else 'FAIL'} {name}" for name, ok in report.checks)]
    out += [
        f"Shares of weights are weighted by MACs in the total. % of bound: cycles if {report.bound_text},",
        f"over the cycles of '{report.bound_run.label}'.",
    ]
    return "\n".join(out) + "\n"
