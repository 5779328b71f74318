"""The report as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from html import escape
from itertools import groupby

from .data import Report, Run
from .style import STYLE
from .svg import Bar, Group, Part, bars, legend
from .table import rows, si

_RUN_COLOURS = ("run1", "run2", "run3", "run4")
_CYCLES = (
    ("busy", "busy", "busy: a step issued"),
    ("stall_input", "stallin", "waiting for schedule or activations"),
    ("stall_output", "stallout", "waiting for the drain"),
)
_KINDS = (
    ("zero", "zero", "zero"),
    ("non_outlier", "nonoutlier", "non-outlier, −8 to 7"),
    ("outlier", "outlier", "outlier"),
)
_WORDS = (
    (
        "zero, non-outlier, outlier",
        "the kinds of 8-bit weights: zero takes no cycle; two non-outliers, −8 to 7, "
        "share a MAC in one cycle; an outlier takes a MAC for a whole cycle",
    ),
    ("dense", "every weight takes a cycle, zero or not"),
    ("zero-skip", "zero weights are skipped, every other takes a MAC for a cycle"),
    ("combined", "zero weights are skipped, and two non-outliers are computed in one cycle"),
    ("activation skip", "steps whose activations are all zero are dropped while the engine runs"),
    (
        "ideal bound",
        "the cycles if every MAC had useful weights in every cycle: non-outliers / 2 + outliers, per MAC. "
        "Activation skip can go below it, since the bound looks at weights only",
    ),
    ("act zeros", "share of exact zeros among the activations that enter the layer"),
)


_ZENA_WORDS = (
    ("dense", "every product takes a cycle, zero or not"),
    ("WZ, AZ", "products with a zero weight, or with a zero activation, are skipped"),
    ("WAZ", "both are skipped"),
    ("WAZ+KA", "kernel allocation, too: filters with similar numbers of non-zero weights run together"),
    ("ideal bound", "the cycles if every PE multiplied a non-zero weight and a non-zero activation in every cycle"),
    ("act zeros", "share of exact zeros among the activations that enter the layer"),
)


def _colour(report: Report, run: Run) -> str:
    """Grey for the dense run, a colour for each other, the same in every plot."""
    if run not in report.compared:
        return "run0"
    return _RUN_COLOURS[report.compared.index(run) % len(_RUN_COLOURS)]


def _figure(title: str, note: str, plot: str, key: str = "") -> str:
    return f"<figure><h2>{escape(title)}</h2><p>{escape(note)}</p>{key}{plot}</figure>"


def _cycles_plot(report: Report) -> str:
    groups = [
        Group(
            layer.name,
            [
                Bar(
                    [Part(c := run.layers[i].cycles, _colour(report, run), f"{layer.name}, {run.label}: {c:,} cycles")],
                    si(c),
                )
                for run in report.runs
            ],
        )
        for i, layer in enumerate(report.runs[0].layers)
    ]
    key = legend([(_colour(report, run), run.label) for run in report.runs])
    return _figure(
        "Cycles per layer",
        f"All {report.images} images; shorter is better.",
        bars(groups, "cycles per layer and schedule", si),
        key,
    )


def _stacked(name: str, counters, whole: float) -> list[Part]:
    return [
        Part(counters[key] / whole if whole else 0, colour, f"{name}, {text}: {counters[key]:,} cycles")
        for key, colour, text in _CYCLES
    ]


def _where_plot(report: Report) -> str:
    totals = [
        Group(
            run.label.replace("combined + activation skip", "+ act. skip"),
            [Bar(_stacked(run.label, run.total.counters, 1), si(run.total.cycles))],
        )
        for run in report.runs
    ]
    best = report.best
    layers = [
        Group(
            layer.name,
            [
                Bar(
                    _stacked(layer.name, layer.counters, layer.cycles / 100),
                    f"{100 * layer.counters['busy'] / max(1, layer.cycles):.0f} %",
                )
            ],
        )
        for layer in best.layers
    ]
    plot = bars(totals, "all cycles of each schedule by cause", si)
    plot += f"<p>Per layer, {escape(best.label)}, in percent of the layer's cycles; the number is the busy share:</p>"
    plot += bars(layers, "share of cycles by cause per layer", lambda value: f"{value:.0f} %", top=100)
    return _figure("Where the cycles go", "All layers, each schedule:", plot, legend([(c, t) for _, c, t in _CYCLES]))


def _kinds_plot(report: Report) -> str:
    groups = [
        Group(
            layer.name,
            [
                Bar(
                    [
                        Part(
                            100 * getattr(layer, key),
                            colour,
                            f"{layer.name}, {text}: {100 * getattr(layer, key):.1f} %",
                        )
                        for key, colour, text in _KINDS
                    ],
                    mark=100 * layer.act_zeros,
                )
            ],
        )
        for layer in report.bound_run.layers
    ]
    key = legend([*((c, t) for _, c, t in _KINDS), ("markkey", "zeros among the activations")])
    return _figure(
        "Weights and activations",
        "Percent of each layer's weights.",
        bars(groups, "kinds of weights per layer", lambda value: f"{value:.0f} %", top=100),
        key,
    )


def _speed_plot(report: Report) -> str:
    def bound(index: int | None) -> float:
        run = report.bound_run
        layer = run.total if index is None else run.layers[index]
        return report.baseline(index) / layer.ideal_cycles if layer.ideal_cycles else 0.0

    groups = []
    names = [layer.name for layer in report.runs[0].layers]
    for index, name in [(None, "all layers"), *enumerate(names)]:
        lines = [
            Bar(
                [Part(s := report.speedup(run, index), _colour(report, run), f"{name}, {run.label}: {s:.2f}×")],
                f"{s:.2f}×",
                bound(index) if run is report.bound_run else None,
            )
            for run in report.compared
        ]
        groups.append(Group(name, lines))
    key = legend([*((_colour(report, run), run.label) for run in report.compared), ("markkey", "ideal bound")])
    return _figure(
        "Speed-up over dense",
        f"Baseline: {report.baseline_text}.",
        bars(groups, "speed-up per layer against the ideal bound", lambda value: f"{value:g}×"),
        key,
    )


def _table(report: Report) -> str:
    head, lines = rows(report)
    groups = [(what, list(members)) for what, members in groupby(head, key=lambda cell: cell[0])]
    over = "".join(
        f'<th scope="{"colgroup" if len(members) > 1 else "col"}" colspan="{len(members)}">{escape(what)}</th>'
        for what, members in groups
    )
    under = "".join(f'<th scope="col">{escape(which)}</th>' for _, which in head)
    top = f"<tr>{over}</tr><tr>{under}</tr>"

    def line(cells: list[str], total: bool) -> str:
        data = "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
        return f'<tr{" class=total" if total else ""}><th scope="row">{escape(cells[0])}</th>{data}</tr>'

    body = "".join(line(cells, index == len(lines) - 1) for index, cells in enumerate(lines))
    return f'<div class="scroll" tabindex="0"><table><thead>{top}</thead><tbody>{body}</tbody></table></div>'


def _tiles(report: Report) -> str:
    best = report.best
    tiles = []
    if report.compared:
        tiles.append((f"{report.speedup(best):.2f}×", f"speed-up over dense, {best.label}"))
    tiles.append((f"{100 * report.bound_run.total.bound_share:.0f} %", f"of the ideal bound, {report.bound_run.label}"))
    tiles.append((si(best.total.cycles / max(1, report.images)), f"cycles per image, {best.label}"))
    if report.accuracy:
        name, value = next(iter(report.accuracy.items()))
        tiles.append((value.split(" (")[0], name))
    if report.checks:
        passed = sum(ok for _, ok in report.checks)
        tiles.append((f"{passed} / {len(report.checks)}", "checks passed"))
    cells = "".join(f"<div><b>{escape(big)}</b><span>{escape(small)}</span></div>" for big, small in tiles)
    return f'<div class="tiles">{cells}</div>'


def _list(title: str, items) -> str:
    if not items:
        return ""
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in items)
    return f"<section><h2>{escape(title)}</h2><dl>{cells}</dl></section>"


def render(report: Report) -> str:
    """The page as text, to be written as UTF-8."""
    checks = "".join(
        f'<li class="{"ok" if ok else "bad"}">{"✓" if ok else "✗ FAILED:"} {escape(name)}</li>'
        for name, ok in report.checks
    )
    plots = _cycles_plot(report) + (_speed_plot(report) if report.compared else "")
    plots += _where_plot(report) + _kinds_plot(report)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)} – zeroskip report</title><style>{STYLE}</style></head><body><main>"
        f"<header><p>zeroskip report</p><h1>{escape(report.title)}</h1></header>"
        f"{_tiles(report)}"
        "<h2>Per layer</h2>"
        f"{_table(report)}"
        "<p class=note>Shares of weights in the total line are weighted by MACs. "
        f"% of bound is that of “{escape(report.bound_run.label)}”.</p>"
        f'<div class="plots">{plots}</div>'
        f"{_list('Conditions', report.all_conditions.items())}"
        f"{_list('Accuracy', report.accuracy.items())}"
        f"{f'<section><h2>Checks</h2><ul>{checks}</ul></section>' if checks else ''}"
        f"{_list('Words', _ZENA_WORDS if report.config.get('engine') == 'zena' else _WORDS)}"
        "</main></body></html>\n"
    )
