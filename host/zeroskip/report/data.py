"""The report's data: several runs of one network on one configuration, and what follows from them.

Everything that is derived (speed-up, share of the ideal bound, bands, totals) is computed here, once, for
the table and the page; ``docs/report.md`` defines it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engines import ENGINES, Engine
from ..hardware.registers import COUNTER_NAMES

MODE_LABELS = {"dense": "dense", "zero_skip": "zero-skip", "combined": "combined"}
BASELINE = "the dense schedule on the same hardware, data and memory"

BUSY = 0.9
"""An engine that is busy in this share of a layer's cycles is what limits the layer."""


@dataclass(frozen=True)
class Layer:
    """One layer of one run; everything counted is for all images of the run, shares are in [0, 1].

    Args:
        name, op, shape: ONNX node, operator, sizes.
        macs: multiplications of the dense layer.
        zero, non_outlier, outlier: shares of the weights.
        act_zeros: share of exact zeros among the input activations.
        ideal_cycles, dense_cycles: the two bounds.
        useful_cycles: the part of ``counters["busy"]`` in which the multipliers had work.
        predicted_cycles: what the compiler expected.
        rule: how the weights were scaled; "" if the model does not say.
        sqnr_db: signal to noise of the layer's output under its quantised weights; None if it was not measured.
        histogram: counts of weights by the bits they need, see :func:`bins`.
        counters: the engine's.
    """

    name: str
    op: str
    shape: str
    macs: int
    zero: float
    non_outlier: float
    outlier: float
    act_zeros: float
    ideal_cycles: float
    dense_cycles: float
    useful_cycles: float
    predicted_cycles: float
    rule: str
    sqnr_db: float | None
    histogram: tuple[int, ...]
    counters: Mapping[str, int]

    @property
    def cycles(self) -> int:
        return self.counters["cycles"]

    @property
    def bands(self) -> dict[str, float]:
        """Cycles by what they were good for: useful, dead, and two kinds of stalled.  Their sum is ``cycles``."""
        return {
            "useful": self.useful_cycles,
            "dead": self.counters["busy"] - self.useful_cycles,
            "input": self.counters["stall_input"],
            "output": self.counters["stall_output"],
        }

    @property
    def bound(self) -> str:
        """What limited the layer: "compute", or the stream it waited for, "input" or "output"."""
        if not self.cycles or self.counters["busy"] >= BUSY * self.cycles:
            return "compute"
        return "input" if self.counters["stall_input"] >= self.counters["stall_output"] else "output"

    @property
    def bytes_in(self) -> int:
        """Read by the engine: activations and weights."""
        return 8 * self.counters["beats_in"]

    @property
    def bytes_out(self) -> int:
        """Written by the engine, eight bytes a beat: sums."""
        return 8 * self.counters["beats_out"]

    @property
    def bound_share(self) -> float:
        """Share of the ideal bound reached: 1 would be every MAC busy with useful weights in every cycle."""
        return self.ideal_cycles / self.cycles if self.cycles else 0.0


def bins(count: int) -> list[tuple[int, int]]:
    """The values (first, last) of each of the ``count`` bins of a histogram, in ascending order.

    Zero has a bin; every other holds the values of one sign that need the same number of bits in two's
    complement: ..., -4 to -3, -2, -1, 0, 1, 2 to 3, 4 to 7, ...  So -8 to 7, the non-outliers, are whole bins.
    """
    widths = range(count // 2)
    negative = [(-1, -1) if w == 0 else (-(1 << w), -(1 << w - 1) - 1) for w in widths]
    positive = [(1 << w, (2 << w) - 1) for w in range(count - count // 2 - 1)]
    return [*reversed(negative), (0, 0), *positive]


@dataclass(frozen=True)
class Step:
    """A node of the network's graph, in execution order.

    Args:
        name, op: ONNX node and operator.
        where: "engine" or "host".
        reads: places in the graph of the nodes whose outputs it reads, from 0; -1 is the network's input.
        output: its output's sizes without the batch, and type, such as "32x112x112 uint8".
    """

    name: str
    op: str
    where: str
    reads: tuple[int, ...]
    output: str


@dataclass(frozen=True)
class Run:
    """The same images through one kind of schedule on one device."""

    mode: str
    activation_skip: bool
    device: str
    layers: tuple[Layer, ...]

    @property
    def label(self) -> str:
        if self.mode not in MODE_LABELS:  # of an engine without that switch
            return self.mode
        return MODE_LABELS[self.mode] + (" + activation skip" if self.activation_skip else "")

    def at(self, index: int | None) -> Layer:
        """A layer, or for None all of them as one."""
        return self.total if index is None else self.layers[index]

    @property
    def total(self) -> Layer:
        """All layers as one: sums, and shares weighted by MACs."""
        macs = sum(layer.macs for layer in self.layers)

        def mean(name: str) -> float:
            return sum(getattr(layer, name) * layer.macs for layer in self.layers) / macs if macs else 0.0

        shares = ("zero", "non_outlier", "outlier", "act_zeros")
        sums = ("ideal_cycles", "dense_cycles", "useful_cycles", "predicted_cycles")
        return Layer(
            name="total",
            op="",
            shape="",
            macs=macs,
            **{name: mean(name) for name in shares},
            **{name: sum(getattr(layer, name) for layer in self.layers) for name in sums},
            rule="",
            sqnr_db=None,
            histogram=tuple(map(sum, zip(*(layer.histogram for layer in self.layers), strict=True))),
            counters={name: sum(layer.counters.get(name, 0) for layer in self.layers) for name in COUNTER_NAMES},
        )


@dataclass(frozen=True)
class Report:
    """Runs of one network, with the conditions they were measured under.

    Args:
        title: heading, usually the network.
        images: images in the batch that every run computed.
        config: the build configuration's fields, its name and hash.
        conditions: what else a reader has to know: scale rule, clipping, memory model.
        accuracy: rows of (what, value), already formatted.
        checks: rows of (what was compared, whether it held).
        graph: the network's nodes, those on the host, too; may be empty.
        runs: at least one; all have the same layers in the same order.
    """

    title: str
    images: int
    config: Mapping[str, Any]
    runs: tuple[Run, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
    accuracy: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[tuple[str, bool]] = ()
    graph: tuple[Step, ...] = ()

    def run(self, mode: str, activation_skip: bool) -> Run | None:
        return next((r for r in self.runs if r.mode == mode and r.activation_skip == activation_skip), None)

    @property
    def engine(self) -> Engine:
        """The engine of the build; a report that names none is read as trident's."""
        return ENGINES.get(self.config.get("engine"), ENGINES["trident"])

    @property
    def best(self) -> Run:
        return min(self.runs, key=lambda run: run.total.cycles)

    @property
    def bound_run(self) -> Run:
        """The run set against the ideal bound: combined without activation skip, which the bound knows nothing of."""
        return self.run("combined", False) or self.best

    @property
    def bound_text(self) -> str:
        """What the ideal bound counts, as a sentence's end: the cycles if ..."""
        return self.engine.bound_text

    def baseline(self, index: int | None = None) -> float:
        """Dense cycles of layer ``index`` (None: all): measured if there is a dense run, else the dense
        schedule's steps times pixels, which leaves every stall out of the baseline only."""
        dense = self.run("dense", False)
        layer = (dense or self.runs[0]).at(index)
        return layer.cycles if dense else layer.dense_cycles

    def speedup(self, run: Run, index: int | None = None) -> float:
        """Baseline cycles over the run's cycles, for one layer or for all; 0 where no cycle was counted."""
        cycles = run.at(index).cycles
        return self.baseline(index) / cycles if cycles else 0.0

    def ideal(self, index: int | None = None) -> float:
        """The speed-up that the ideal bound would be, for one layer or for all; 0 where there is no bound."""
        layer = self.bound_run.at(index)
        return self.baseline(index) / layer.ideal_cycles if layer.ideal_cycles else 0.0

    @property
    def compared(self) -> list[Run]:
        """The runs that are set against the baseline: all but the dense one."""
        return [run for run in self.runs if run is not self.run("dense", False)]

    @property
    def baseline_text(self) -> str:
        if self.run("dense", False):
            return f"{BASELINE}, measured"
        return (
            "steps × pixels of the dense schedule on the same hardware, without any stall "
            "(no dense run here; `zeroskip run --compare` makes one)"
        )

    @property
    def all_conditions(self) -> dict[str, str]:
        """Everything a number on the page depends on, in reading order."""
        c = self.config
        return {
            "configuration": f"{c.get('name')}, {c.get('engine')} engine, {c.get('macs')} MACs: "
            f"{self.engine.geometry(c)}, {c.get('act_w')}-bit activations (hash {c.get('hash')})",
            "device": ", ".join(dict.fromkeys(run.device for run in self.runs)),
            "images": str(self.images),
            "baseline": self.baseline_text,
            **self.conditions,
        }
