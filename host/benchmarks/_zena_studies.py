"""What the zena engine does beyond the paper's experiments: tables for zena_paper.py."""

from __future__ import annotations

import sys
from dataclasses import replace

from _zena import PAPER, SMALL, SPREAD, idle, run, table
from pruned_layers import ALEXNET, VGG16

from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.results import XC7Z020
from zeroskip.hardware.synth import synthesize


def utilisation() -> str:
    """A layer as conv3 of AlexNet at .35 x .40."""
    rows = []
    for title, size, images, spread in (
        ("13×13, 4 images", 13, 4, SPREAD),
        ("26×26", 26, 1, SPREAD),
        ("26×26, filters alike", 26, 1, 0.0),
    ):
        layer = replace(ALEXNET[2], size=size)
        for label, mode, how in (
            ("WAZ", "WAZ", "index"),
            ("WAZ+KA, as published", "WAZ+KA", "count"),
            ("WAZ+KA, balanced", "WAZ+KA", "balanced"),
        ):
            found = run(SMALL, layer, (0.35, 0.40), mode, images=images, allocation=how, spread=spread)
            parts = [f"{share:.1f} %" for share in idle(found, SMALL)]
            reached = f"**{100 * found.bound / found.cycles:.1f} %**"
            rows.append([title, label, f"{found.counters.cycles:,}", reached, *parts])
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    head = ["map", "mode", "cycles", "of the bound", "empty chunks", "barrier", "load, drain, idle sub-WGs"]
    return table(head, rows)


def stealing() -> str:
    """The same layers with and without stealing."""
    rows, like = [], ALEXNET[2]
    layers = [(layer, layer.first) for layer in (*ALEXNET[1:], VGG16[10])]
    layers += [
        (replace(like, name="as conv3, 26×26", size=26), (0.35, 0.40)),
        (replace(like, name="as conv3, 26×26, 72 filters", size=26, filters=72), (0.35, 0.40)),
    ]
    for layer, densities in layers:
        row, how = [layer.name], {"images": 4 if layer.size < 26 else 1, "check": True}
        for mode in ("WAZ", "WAZ+KA"):
            off, on = (run(replace(SMALL, stealing=steal), layer, densities, mode, **how) for steal in (0, 1))
            row += [f"{off.cycles:,.0f}", f"{on.cycles:,.0f}", f"{100 * (off.cycles / on.cycles - 1):+.1f} %"]
        rows.append(row)
        print(*row, sep="  ", file=sys.stderr, flush=True)
    head = ["layer", "WAZ, off", "on", "gain", "WAZ+KA, off", "on", "gain"]
    return table(head, rows)


def area() -> str:
    """PEs of the three number formats, with their quarter of a memory of partial sums."""
    rows, room = [], {name: int(0.8 * total) for name, total in XC7Z020.items()}
    for config in (get_config(name) for name in ("zena", "zena8", "zena_log")):
        pe, sums = (synthesize(config, top)[top] for top in ("zena_pe", "zena_psums"))
        used = {
            "lut": pe.lut + sums.lut / 4,
            "ff": pe.ff + sums.ff / 4,
            "dsp": pe.dsp,
            "ramb36": pe.ramb36 + pe.ramb18 / 2 + (sums.ramb36 + sums.ramb18 / 2) / 4,
        }
        fit = {name: int(room[name] / used[name]) if used[name] else None for name in used}
        most = min(number for number in fit.values() if number is not None)
        shown = [f"{fit[name]}" if fit[name] is not None else "any" for name in used]
        row = [f"`{config.name}`, {config.weight_w} × {config.act_w}", *(f"{used[name]:g}" for name in used), *shown]
        rows.append([*row, f"**{most}**"])
    head = ["PE, weight × activation bits", "LUT", "FF", "DSP48E1", "RAMB36"]
    head += ["by LUT", "by FF", "by DSP", "by RAM", "all"]
    return table(head, rows)


def engines() -> str:
    """The same layers, the same integers, on both engines."""
    rows, trident = [], get_config("z2")
    total = {"trident": 0.0, "zena": 0.0, "macs": 0.0}
    for layer in ALEXNET:
        a, b = run(trident, layer, layer.first, "combined"), run(PAPER, layer, layer.first, "WAZ+KA")
        total["trident"], total["zena"] = total["trident"] + a.cycles, total["zena"] + b.cycles
        total["macs"] += layer.macs
        rows.append([layer.name, *_both(layer.macs, a.cycles, trident, b.cycles)])
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    rows.append(["all", *_both(total["macs"], total["trident"], trident, total["zena"])])
    head = [
        "layer", f"trident `z2`, cycles of {trident.macs} multipliers", "speed-up per multiplier",
        f"zena `{PAPER.name}`, cycles of {PAPER.macs} multipliers", "speed-up per multiplier",
    ]  # fmt: skip
    return table(head, rows)


def _both(macs: float, a: float, trident: Config, b: float) -> list[str]:
    return [f"{a:,.0f}", f"{macs / a / trident.macs:.2f}", f"{b:,.0f}", f"{macs / b / PAPER.macs:.2f}"]


def structured() -> str:
    """Zeros as a network makes them, beside independent ones."""
    rows = []
    for layer in ALEXNET[1:]:
        found = [run(PAPER, layer, layer.first, "WAZ+KA", structured=which) for which in (False, True)]
        rows.append([layer.name, *(f"{f.cycles:,.0f} ({100 * f.bound / f.cycles:.0f} %)" for f in found)])
    return table(["layer", "independent zeros", "smooth maps behind a ReLU, strong and weak channels"], rows)
