"""The report as one self-contained HTML page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from html import escape

from ..text import counted
from .cells import Html, Part, bar, histogram, legend, name, stack, table
from .data import Layer, Report, Run
from .style import STYLE
from .table import short_label, si
from .words import BANDS, KINDS, words

_RUN_COLOURS = ("run1", "run2", "run3", "run4")
_JOINED = "\N{NO-BREAK SPACE}"
_LONG = 40
"""Nodes from which the graph is folded away."""


def _colour(report: Report, run: Run) -> str:
    """Grey for the dense run, a colour for each other."""
    if run not in report.compared:
        return "run0"
    return _RUN_COLOURS[report.compared.index(run) % len(_RUN_COLOURS)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _section(anchor: str, title: str, note: str, content: str) -> str:
    return f'<section id="{anchor}"><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{content}</section>'


# -- sections ----------------------------------------------------------------------------------------
def _speed(report: Report) -> str:
    """Speed-ups over dense, as bars against the ideal bound and as numbers."""
    runs = report.compared or list(report.runs)
    places = [*range(len(report.runs[0].layers)), None]
    # Bounds of single layers may be many times what is reached; they would press all bars against the edge.
    top = 1.1 * max([0.1, report.ideal(), *(report.speedup(run, place) for run in runs for place in places)])

    def plot(run: Run, place: int | None) -> Html:
        speedup, ideal = report.speedup(run, place), report.ideal(place)
        meaning = f"{run.at(place).name}, {run.label}: {speedup:.2f}×"
        mark = ideal / top if run is report.bound_run and ideal else None
        return bar([Part(speedup / top, _colour(report, run), meaning)], mark)

    def line(place: int | None) -> list[str]:
        bound = report.bound_run.at(place)
        plots = stack([plot(run, place) for run in runs])
        speedups = [f"{ratio:.2f}" for ratio in (*(report.speedup(run, place) for run in runs), report.ideal(place))]
        cycles = [f"{run.at(place).cycles:,}" for run in report.runs]
        share = f"{100 * bound.bound_share:.0f}"
        return [name(bound.name, bound.shape), plots, *speedups, share, *cycles, si(bound.macs)]

    head = [("layer", ""), ("bars", f"0 to {top:.1f}×"), *(("speed-up", short_label(run)) for run in runs)]
    head += [("ideal", "speed-up"), ("% of", "bound")]
    head += [*(("cycles", short_label(run)) for run in report.runs), ("MACs", "")]
    key = legend([*((_colour(report, run), run.label) for run in runs), ("mark", "ideal bound")])
    note = (
        f"Baseline: {report.baseline_text}. Cycles of {counted(report.images, 'image')}. Ideal bound: the cycles if "
        f"{report.bound_text}; % of bound is that of “{report.bound_run.label}”."
    )
    return _section("speed", "Speed-up over dense", note, key + table(head, list(map(line, places)), plots=(1,)))


def _cycles(report: Report) -> str:
    """Every run, then every layer of the fastest one: cycles by what they were good for, and what moved."""

    def line(what: str, layer: Layer, top: int) -> list[str]:
        bands = layer.bands
        parts = [
            Part(cycles / top if top else 0, band, f"{what}, {BANDS[band]}: {cycles:,.0f} cycles")
            for band, cycles in bands.items()
        ]
        shares = [_percent(value / layer.cycles) if layer.cycles else "" for value in bands.values()]
        moved = [si(layer.bytes_in), si(layer.bytes_out)]
        predicted = f"{layer.predicted_cycles:,.0f}"
        return [name(what), bar(parts), layer.bound, f"{layer.cycles:,}", predicted, *shares, *moved]

    def head(first: str, top: int) -> list[tuple[str, str]]:
        columns = [(first, ""), ("bars", f"0 to {si(top)}"), ("bound", "by")]
        columns += [("cycles", "measured"), ("cycles", "predicted")]
        columns += [("% of cycles", band) for band in ("useful", "dead", "input", "output")]
        return [*columns, ("bytes", "in"), ("bytes", "out")]

    best, content = report.best, legend(list(BANDS.items()))
    if len(report.runs) > 1:
        top = max(run.total.cycles for run in report.runs)
        lines = [line(short_label(run), run.total, top) for run in report.runs]
        content += table(head("all layers", top), lines, left=(2,), plots=(1,), total=False)
        content += f"<h3>Each layer, {escape(best.label)}</h3>"
    top = max(layer.cycles for layer in best.layers)
    lines = [line(layer.name, layer, top) for layer in best.layers]
    total = line("total", best.total, 0)
    content += table(head("layer", top), [*lines, [total[0], "", *total[2:]]], left=(2,), plots=(1,))
    images = counted(report.images, "image")
    note = f"Cycles of {images}, and what the engine did in them, by its own counters. The words are below."
    return _section("cycles", "Where the cycles go", note, content)


def _weights(report: Report) -> str:
    """Kinds and histograms of the weights, and what scaling them cost in accuracy."""

    def line(layer: Layer) -> list[str]:
        parts = [
            Part(getattr(layer, key), colour, f"{layer.name}, {kind}: {_percent(getattr(layer, key))} %")
            for colour, (key, kind) in KINDS.items()
        ]
        shares = [_percent(part.share) for part in parts]
        sqnr = "" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}"
        plots = bar(parts), histogram(layer.histogram)
        rule = layer.rule.replace(" ", _JOINED).replace(f",{_JOINED}", ", ")  # wraps at commas only
        return [name(layer.name), *plots, *shares, sqnr, _percent(layer.act_zeros), rule]

    run = report.bound_run
    head = [("layer", ""), ("kinds", "0 to 100 %"), ("values", _range(run.total))]
    head += [("weights %", kind) for kind in ("zero", "non-outlier", "outlier")]
    head += [("SQNR", "dB"), ("act zeros", "%"), ("scale rule", "")]
    key = legend([(colour, kind) for colour, (_, kind) in KINDS.items()])
    note = (
        "Weights as computed, after quantisation, clipping and pruning. The columns of a histogram hold weights of one "
        "more bit each, from zero outwards; −8 to 7 are non-outliers; the zero column is cut off where it is the "
        "highest. The total is weighted by MACs, its histogram by weights."
    )
    content = key + table(head, [*map(line, run.layers), line(run.total)], left=(2, 8), plots=(1,))
    return _section("weights", "Weights", note, content)


def _range(layer: Layer) -> str:
    bits = len(layer.histogram) // 2
    return f"−{1 << bits - 1:,} to {(1 << bits - 1) - 1:,}" if bits else ""


def _graph(report: Report) -> str:
    """Every node, those on the host, too."""
    if not report.graph:
        return ""
    lines = [
        [str(place), name(step.name), step.op, step.where,
         ", ".join("input" if source < 0 else str(source + 1) for source in step.reads), step.output]
        for place, step in enumerate(report.graph, 1)
    ]  # fmt: skip
    head = [("#", ""), ("node", ""), ("operator", ""), ("runs on", ""), ("reads", "#"), ("output", "")]
    engine = sum(step.where == "engine" for step in report.graph)
    note = f"{counted(len(lines), 'node')} in execution order, {engine} on the engine, the others on the host."
    opened = "" if len(lines) >= _LONG else " open"
    nodes = table(head, lines, left=range(1, 5), plots=(5,), total=False)
    content = f"<details{opened}><summary>All nodes</summary>{nodes}</details>"
    return _section("graph", "Network", note, content)


def _tiles(report: Report) -> str:
    best = report.best
    tiles = []
    if report.compared:
        what = "dense" if report.run("dense", False) else "a dense schedule that never stalls"
        tiles.append((f"{report.speedup(best):.2f}×", f"speed-up over {what}, {best.label}"))
    tiles.append((f"{100 * report.bound_run.total.bound_share:.0f} %", f"of the ideal bound, {report.bound_run.label}"))
    tiles.append((si(best.total.cycles / max(1, report.images)), f"cycles per image, {best.label}"))
    if report.accuracy:
        what, value = next(iter(report.accuracy.items()))
        tiles.append((value.split(" (")[0], what))
    if report.checks:
        passed = sum(ok for _, ok in report.checks)
        tiles.append((f"{passed} / {len(report.checks)}", "checks passed"))
    cells = "".join(f"<div><b>{escape(big)}</b><span>{escape(small)}</span></div>" for big, small in tiles)
    return f'<div class="tiles">{cells}</div>'


def _list(title: str, items) -> str:
    if not items:
        return ""
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in items)
    return f'<section id="{title.lower()}"><h2>{escape(title)}</h2><dl>{cells}</dl></section>'


def _checks(report: Report) -> str:
    lines = "".join(
        f'<li class="{"ok" if ok else "bad"}">{"✓" if ok else "✗ FAILED:"} {escape(name)}</li>'
        for name, ok in report.checks
    )
    return f'<section id="checks"><h2>Checks</h2><ul>{lines}</ul></section>' if lines else ""


def render(report: Report) -> str:
    """The page as text, to be written as UTF-8."""
    sections = (
        _speed(report),
        _cycles(report),
        _weights(report),
        _graph(report),
        _list("Accuracy", report.accuracy.items()),
        _checks(report),
        _list("Conditions", report.all_conditions.items()),
        _list("Words", words(report)),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)} – zeroskip report</title><style>{STYLE}</style></head><body><main>"
        f"<header><p>zeroskip report</p><h1>{escape(report.title)}</h1></header>"
        f"{_tiles(report)}{''.join(sections)}</main></body></html>\n"
    )
