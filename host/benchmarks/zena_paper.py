"""ZeNA's experiments on the zena engine: AlexNet and VGG-16 at the published densities, mode by mode.

``python host/benchmarks/zena_paper.py`` prints AlexNet; with ``--write docs/results/zena.md`` it runs everything
(some twenty minutes) and writes the page.  All cycles are the exact cycle model's, with the default memory; the areas
are Yosys'.  ``--sections DIR`` keeps every finished table there and takes what is there already.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from pruned_layers import ALEXNET, EYERISS_PES, VGG16, Pruned, random_layer, weights

import zeroskip as zs
from zeroskip.compiler.allocate import ALLOCATIONS, allocate, useful
from zeroskip.compiler.conv import compile_conv
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.results import XC7Z020
from zeroskip.hardware.synth import synthesize
from zeroskip.models.reference import conv2d
from zeroskip.runtime.bounds import intersections
from zeroskip.runtime.conv import run_plan
from zeroskip.runtime.counters import Counters
from zeroskip.runtime.modes import MODES

PAPER = Config(
    "zena168", engine="zena", lanes=16, filters=12, wgs=14, columns=128, steps=16, psums=512, weight_w=16, act_w=16,
    jobs=3,
)  # fmt: skip
"""As many PEs as ZeNA's: 14 work groups of 12, 16-bit."""

SMALL = Config(
    "zena104", engine="zena", lanes=16, filters=8, wgs=13, sub_wgs=2, columns=128, steps=16, psums=512, jobs=3
)
"""13 work groups of 8 PEs in two sub-WGs, 8-bit: the port keeps up with it."""

SETS = {"first": "ZeNA's slides, Han et al.", "second": "the authors of SCNN"}
SPREAD, SEED = 0.2, 1


@dataclass(frozen=True)
class Run:
    counters: Counters
    bound: float
    images: int

    @property
    def cycles(self) -> float:
        return self.counters.cycles / self.images


def run(config: Config, layer: Pruned, densities, mode: str, *, images=0, check=False, allocation=None, **how) -> Run:
    """One layer on the cycle model; ``bound``: cycles of the intersection bound, per image."""
    images = images or (4 if layer.size < 28 else 1)
    x, w = random_layer(layer, densities, images=images, seed=SEED, **{"spread": SPREAD} | how)
    options = {"allocation": allocation, "act_density": densities[1]} if config.engine == "zena" else {}
    plan = compile_conv(
        config, w, stride=(layer.stride,) * 2, padding=(layer.padding,) * 4, groups=layer.groups, mode=mode,
        name=layer.name, input_shape=x.shape[2:], activation_skip=mode != "dense", **options,
    )  # fmt: skip
    with zs.open_device("model", config, timeout=600) as device:
        sums, counters = run_plan(device, plan, x)
    if check and not np.array_equal(sums, conv2d(x, w, plan.stride, plan.padding, plan.dilation, plan.groups)):
        raise SystemExit(f"{layer.name}: sums differ from the integer reference")
    return Run(counters, intersections(plan, x != 0) / config.macs / images, images)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def eyeriss(layers) -> float:
    """Eyeriss' cycles with its published number of active elements."""
    return sum(layer.macs / layer.eyeriss for layer in layers)


@cache
def dense(layer: Pruned) -> float:
    """Dense cycles: the same at all densities."""
    return run(PAPER, layer, layer.first, "dense").cycles


def network(name: str, layers: tuple[Pruned, ...], which: str) -> str:
    """All modes on all layers at one set of densities."""
    modes, rows = MODES["zena"], []
    total = dict.fromkeys((*modes, "bound"), 0.0)
    for layer in layers:
        densities = getattr(layer, which)
        last = run(PAPER, layer, densities, "WAZ+KA", check=True)
        cycles = {mode: run(PAPER, layer, densities, mode).cycles for mode in modes[1:-1]}
        cycles |= {"dense": dense(layer), "WAZ+KA": last.cycles}
        for mode in modes:
            total[mode] += cycles[mode]
        total["bound"] += last.bound
        rows.append(
            [layer.name, f"{densities[0]:.3f} × {densities[1]:.3f}", f"{cycles['dense']:,.0f}"]
            + [f"{cycles['dense'] / cycles[mode]:.2f}" for mode in modes[1:]]
            + [f"{100 * last.bound / last.cycles:.0f} %", *shares(last)]
        )
        print(name, which, *rows[-1], sep="  ", file=sys.stderr, flush=True)
    other = eyeriss(layers) * EYERISS_PES / PAPER.macs
    rows.append(
        ["all", "", f"{total['dense']:,.0f}"]
        + [f"**{total['dense'] / total[mode]:.2f}**" for mode in modes[1:]]
        + [f"{100 * total['bound'] / total['WAZ+KA']:.0f} %", "", "", ""]
    )
    head = [
        "layer",
        "weights × activations",
        "dense cycles",
        *modes[1:],
        "of the bound",
        "empty",
        "barrier",
        "load, drain",
    ]
    published = {"AlexNet": ("4.0 (v1.1: 4.4)", "1.8", "19.6 %"), "VGG-16": ("5.2 (v1.1: 5.5)", "2.1", "25.8 %")}[name]
    ours = total["WAZ+KA"]
    compared = table(
        ["WAZ+KA against", "here", "intersection bound", "published"],
        [
            ["Eyeriss", f"**{other / ours:.2f}**", f"{other / total['bound']:.2f}", published[0]],
            ["AZ (Cnvlutin)", f"**{total['AZ'] / ours:.2f}**", "", published[1]],
            ["WAZ", f"**+{100 * (total['WAZ'] / ours - 1):.1f} %**", "", "+" + published[2]],
        ],
    )
    return f"### {name}, densities of {SETS[which]}\n\n{table(head, rows)}\n{compared}"


def shares(found: Run) -> list[str]:
    """Where PE cycles without a product went: empty chunks, barrier, and cycles in which nothing could run."""
    c = found.counters
    whole = c.cycles * PAPER.macs
    idle = whole - c.multiplies - c.empty_chunks - c.barrier_wait
    return [f"{100 * part / whole:.0f} %" for part in (c.empty_chunks, c.barrier_wait, idle)]


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
            c, whole = found.counters, found.counters.cycles * SMALL.macs
            idle = whole - c.multiplies - c.empty_chunks - c.barrier_wait
            parts = [f"{100 * part / whole:.1f} %" for part in (c.empty_chunks, c.barrier_wait, idle)]
            rows.append([title, label, f"{c.cycles:,}", f"**{100 * found.bound / found.cycles:.1f} %**", *parts])
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    return table(
        ["map", "mode", "cycles", "of the bound", "empty chunks", "barrier", "load, drain, idle sub-WGs"], rows
    )


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


def stealing() -> str:
    """The same layers with and without stealing."""
    rows, like = [], ALEXNET[2]
    layers = [(layer, layer.first) for layer in (*ALEXNET[1:], VGG16[10])]
    layers += [
        (replace(like, name="as conv3, 26×26", size=26), (0.35, 0.40)),
        (replace(like, name="as conv3, 26×26, 72 filters", size=26, filters=72), (0.35, 0.40)),
    ]
    for layer, densities in layers:
        row = [layer.name]
        for mode in ("WAZ", "WAZ+KA"):
            off, on = (
                run(
                    replace(SMALL, stealing=steal),
                    layer,
                    densities,
                    mode,
                    images=4 if layer.size < 26 else 1,
                    check=True,
                )
                for steal in (0, 1)
            )
            row += [f"{off.cycles:,.0f}", f"{on.cycles:,.0f}", f"{100 * (off.cycles / on.cycles - 1):+.1f} %"]
        rows.append(row)
        print(*row, sep="  ", file=sys.stderr, flush=True)
    head = ["layer", "WAZ, off", "on", "gain", "WAZ+KA, off", "on", "gain"]
    return table(head, rows)


def lockstep() -> str:
    """What kernel allocation gains, were loading free, by how far PEs may run ahead of each other."""
    rows = []
    for name, layers in (("AlexNet", ALEXNET), ("VGG-16", VGG16)):
        row = [name]
        for ahead in (0, 2):
            cycles = dict.fromkeys(ALLOCATIONS, 0.0)
            for layer in layers:
                w = weights(np.random.default_rng(SEED), layer, layer.first[0], SPREAD)
                per_tile = np.count_nonzero(w.reshape(layer.filters, w.shape[1], -1), axis=2) * layer.first[1]
                blocks = -(-w.shape[1] // PAPER.lanes)
                padded = np.pad(per_tile, ((0, 0), (0, blocks * PAPER.lanes - w.shape[1])))
                work = padded.reshape(layer.filters, blocks, -1).sum(2)  # per pixel and channel tile
                for group in np.array_split(np.arange(layer.filters), layer.groups):
                    for how in cycles:
                        taken = allocate(work[group].sum(1), PAPER.sub_filters, PAPER.sub_wgs, how)
                        share = useful(work[group], taken, ahead)
                        cycles[how] += work[group].sum() / share * layer.out_size**2
            row += [f"+{100 * (cycles['index'] / cycles[how] - 1):.1f} %" for how in ("count", "balanced")]
        rows.append(row)
    head = [
        "KA gains over WAZ",
        "barrier every round: as published",
        "balanced",
        "two jobs ahead: as published",
        "balanced",
    ]
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
    head = [
        "PE, weight × activation bits",
        "LUT",
        "FF",
        "DSP48E1",
        "RAMB36",
        "by LUT",
        "by FF",
        "by DSP",
        "by RAM",
        "all",
    ]
    return table(head, rows)


def structured() -> str:
    rows = []
    for layer in ALEXNET[1:]:
        found = [run(PAPER, layer, layer.first, "WAZ+KA", structured=which) for which in (False, True)]
        rows.append([layer.name, *(f"{f.cycles:,.0f} ({100 * f.bound / f.cycles:.0f} %)" for f in found)])
    return table(["layer", "independent zeros", "smooth maps behind a ReLU, strong and weak channels"], rows)


TEMPLATE = Path(__file__).with_suffix(".md")

SECTIONS = {
    "alexnet_first": partial(network, "AlexNet", ALEXNET, "first"),
    "alexnet_second": partial(network, "AlexNet", ALEXNET, "second"),
    "vgg_first": partial(network, "VGG-16", VGG16, "first"),
    "vgg_second": partial(network, "VGG-16", VGG16, "second"),
    "utilisation": utilisation,
    "stealing": stealing,
    "lockstep": lockstep,
    "area": area,
    "engines": engines,
    "structured": structured,
}
"""Tables of the page, by their names in the template."""


def section(name: str, folder: Path | None) -> str:
    """A table, from ``folder`` if it is there."""
    file = folder / f"{name}.md" if folder else None
    if file and file.is_file():
        return file.read_text(encoding="utf-8")
    text = SECTIONS[name]()
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", type=Path, help="run everything and write the page")
    parser.add_argument("--sections", metavar="DIR", type=Path, help="keep and reuse finished tables")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=list(SECTIONS), choices=SECTIONS)
    arguments = parser.parse_args()
    if not arguments.write and not arguments.sections:
        print(network("AlexNet", ALEXNET, "first"))
        return
    found = {name: section(name, arguments.sections) for name in arguments.only}
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(TEMPLATE.read_text(encoding="utf-8").format(**found), encoding="utf-8")


if __name__ == "__main__":
    main()
