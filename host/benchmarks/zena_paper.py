"""ZeNA's experiments on the zena engine: AlexNet and VGG-16 at the published densities, mode by mode.

``python host/benchmarks/zena_paper.py`` prints AlexNet; with ``--write docs/results/zena.md`` it runs everything
(some ten minutes) and writes the page.  All cycles are the exact cycle model's, with the default memory.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pruned_layers import ALEXNET, EYERISS_PES, VGG16, Pruned, random_layer

import zeroskip as zs
from zeroskip.compiler.conv import compile_conv
from zeroskip.hardware.config import Config, get_config
from zeroskip.models.reference import conv2d
from zeroskip.runtime.bounds import intersections
from zeroskip.runtime.conv import run_plan
from zeroskip.runtime.counters import Counters
from zeroskip.runtime.modes import MODES

PAPER = Config(
    "zena168", engine="zena", lanes=16, filters=12, wgs=14, columns=128, steps=16, psums=512, weight_w=16, act_w=16
)
"""As many PEs as ZeNA's: 14 work groups of 12, 16-bit."""

SMALL = Config("zena104", engine="zena", lanes=16, filters=8, wgs=13, sub_wgs=2, columns=128, steps=16, psums=512)
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
    images = images or (4 if layer.size < 60 else 1)
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


def network(name: str, layers: tuple[Pruned, ...], which: str) -> str:
    """All modes on all layers at one set of densities."""
    modes, rows = MODES["zena"], []
    total = dict.fromkeys((*modes, "bound"), 0.0)
    for layer in layers:
        densities = getattr(layer, which)
        found = {mode: run(PAPER, layer, densities, mode, check=mode == "WAZ+KA") for mode in modes}
        last = found["WAZ+KA"]
        for mode in modes:
            total[mode] += found[mode].cycles
        total["bound"] += last.bound
        rows.append(
            [layer.name, f"{densities[0]:.3f} × {densities[1]:.3f}", f"{found['dense'].cycles:,.0f}"]
            + [f"{found['dense'].cycles / found[mode].cycles:.2f}" for mode in modes[1:]]
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


def structured() -> str:
    rows = []
    for layer in ALEXNET[1:]:
        found = [run(PAPER, layer, layer.first, "WAZ+KA", structured=which) for which in (False, True)]
        rows.append([layer.name, *(f"{f.cycles:,.0f} ({100 * f.bound / f.cycles:.0f} %)" for f in found)])
    return table(["layer", "independent zeros", "smooth maps behind a ReLU, strong and weak channels"], rows)


TEMPLATE = Path(__file__).with_suffix(".md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", type=Path, help="run everything and write the page")
    arguments = parser.parse_args()
    if not arguments.write:
        print(network("AlexNet", ALEXNET, "first"))
        return
    found = {
        "alexnet": "\n".join(network("AlexNet", ALEXNET, which) for which in SETS),
        "vgg": network("VGG-16", VGG16, "first"),
        "utilisation": utilisation(),
        "engines": engines(),
        "structured": structured(),
    }
    arguments.write.parent.mkdir(parents=True, exist_ok=True)
    arguments.write.write_text(TEMPLATE.read_text(encoding="utf-8").format(**found), encoding="utf-8")


if __name__ == "__main__":
    main()
