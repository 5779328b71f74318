"""ZeNA's experiments on the zena engine: AlexNet and VGG-16 at the published densities, mode by mode.

``python host/benchmarks/zena_paper.py`` prints AlexNet; with ``--write docs/results/zena.md`` it runs everything
(some twenty minutes) and writes the page.  All cycles are the exact cycle model's, with the default memory; the areas
are Yosys'.  ``--sections DIR`` keeps every finished table there and takes what is there already.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
from _zena import PAPER, SEED, SPREAD, idle, run, table
from _zena_studies import area, engines, stealing, structured, utilisation
from pruned_layers import ALEXNET, EYERISS_PES, VGG16, Pruned, weights

from zeroskip.compiler.allocate import ALLOCATIONS, allocate, useful
from zeroskip.engines import ENGINES

SETS = {"first": "ZeNA's slides, Han et al.", "second": "the authors of SCNN"}


def eyeriss(layers) -> float:
    """Eyeriss' cycles with its published number of active elements."""
    return sum(layer.macs / layer.eyeriss for layer in layers)


@cache
def dense(layer: Pruned) -> float:
    """Dense cycles: the same at all densities."""
    return run(PAPER, layer, layer.first, "dense").cycles


def network(name: str, layers: tuple[Pruned, ...], which: str) -> str:
    """All modes on all layers at one set of densities."""
    modes, rows = ENGINES["zena"].modes, []
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
            + [f"{100 * last.bound / last.cycles:.0f} %", *(f"{share:.0f} %" for share in idle(last, PAPER))]
        )
        print(name, which, *rows[-1], sep="  ", file=sys.stderr, flush=True)
    other = eyeriss(layers) * EYERISS_PES / PAPER.macs
    rows.append(
        ["all", "", f"{total['dense']:,.0f}"]
        + [f"**{total['dense'] / total[mode]:.2f}**" for mode in modes[1:]]
        + [f"{100 * total['bound'] / total['WAZ+KA']:.0f} %", "", "", ""]
    )
    head = ["layer", "weights × activations", "dense cycles", *modes[1:]]
    head += ["of the bound", "empty", "barrier", "load, drain"]
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
    head = ["KA gains over WAZ", "barrier every round: as published", "balanced"]
    head += ["two jobs ahead: as published", "balanced"]
    return table(head, rows)


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
