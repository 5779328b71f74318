"""The report's data: several runs of one network on one configuration, and what follows from them.

The JSON format is documented in ``docs/report.md``.  Everything that is derived (speed-up, share of
the ideal bound, totals) is computed here, once, for the table and the page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import FileFormatError
from ..files import write_atomic
from ..hardware.registers import COUNTER_NAMES

FORMAT = "zeroskip-report"
VERSION = 1

MODE_LABELS = {"dense": "dense", "zero_skip": "zero-skip", "combined": "combined"}
BASELINE = "the dense schedule on the same hardware, data and memory"


@dataclass(frozen=True)
class Layer:
    """One layer of one run; cycles and MACs are for all images of the run, shares are in [0, 1]."""

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
    counters: Mapping[str, int]

    @property
    def cycles(self) -> int:
        return self.counters["cycles"]

    @property
    def bound_share(self) -> float:
        """Share of the ideal bound reached: 1 would be every MAC busy with useful weights in every cycle."""
        return self.ideal_cycles / self.cycles if self.cycles else 0.0


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

    @property
    def total(self) -> Layer:
        """All layers as one: sums, and shares weighted by MACs."""
        macs = sum(layer.macs for layer in self.layers)

        def mean(name: str) -> float:
            return sum(getattr(layer, name) * layer.macs for layer in self.layers) / macs if macs else 0.0

        return Layer(
            name="total",
            op="",
            shape="",
            macs=macs,
            **{name: mean(name) for name in ("zero", "non_outlier", "outlier", "act_zeros")},
            ideal_cycles=sum(layer.ideal_cycles for layer in self.layers),
            dense_cycles=sum(layer.dense_cycles for layer in self.layers),
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
        runs: at least one; all have the same layers in the same order.
    """

    title: str
    images: int
    config: Mapping[str, Any]
    runs: tuple[Run, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
    accuracy: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[tuple[str, bool]] = ()

    def run(self, mode: str, activation_skip: bool) -> Run | None:
        return next((r for r in self.runs if r.mode == mode and r.activation_skip == activation_skip), None)

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
        if self.config.get("engine") == "zena":
            return "every PE multiplied two non-zeros in every cycle"
        return "every MAC did two non-outliers or one outlier in every cycle"

    def baseline(self, index: int | None = None) -> float:
        """Dense cycles of layer ``index`` (None: all): measured if there is a dense run, else the dense
        schedule's steps times pixels, which leaves every stall out of the baseline only."""
        dense = self.run("dense", False)
        run = dense or self.runs[0]
        layer = run.total if index is None else run.layers[index]
        return layer.cycles if dense else layer.dense_cycles

    def speedup(self, run: Run, index: int | None = None) -> float:
        """Baseline cycles over the run's cycles, for one layer or for all; 0 where no cycle was counted."""
        cycles = (run.total if index is None else run.layers[index]).cycles
        return self.baseline(index) / cycles if cycles else 0.0

    @property
    def compared(self) -> list[Run]:
        """The runs that are set against the baseline: all but the dense one."""
        return [run for run in self.runs if run is not self.run("dense", False)]

    @property
    def baseline_text(self) -> str:
        if self.run("dense", False):
            return f"{BASELINE}, measured"
        return "steps × pixels of the dense schedule on the same hardware, without any stall (no dense run here)"

    @property
    def all_conditions(self) -> dict[str, str]:
        """Everything a number on the page depends on, in reading order."""
        c = self.config
        if c.get("engine") == "zena":
            geometry = f"{c.get('wgs')} work groups × {c.get('filters')} PEs, {c.get('weight_w')}-bit weights"
        else:
            geometry = f"lanes × filters × work groups {c.get('lanes')} × {c.get('filters')} × {c.get('wgs')}"
            geometry += f", mux {c.get('mux')}"
        return {
            "configuration": f"{c.get('name')}, {c.get('engine')} engine, {c.get('macs')} MACs: {geometry}, "
            f"{c.get('act_w')}-bit activations (hash {c.get('hash')})",
            "device": ", ".join(dict.fromkeys(run.device for run in self.runs)),
            "images": str(self.images),
            "baseline": self.baseline_text,
            **self.conditions,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "images": self.images,
            "config": dict(self.config),
            "conditions": dict(self.conditions),
            "accuracy": dict(self.accuracy),
            "checks": [{"check": name, "ok": ok} for name, ok in self.checks],
            "runs": [
                {
                    "mode": run.mode,
                    "activation_skip": run.activation_skip,
                    "device": run.device,
                    "cycles": run.total.cycles,
                    "layers": [{**vars(layer), "counters": dict(layer.counters)} for layer in run.layers],
                }
                for run in self.runs
            ],
        }


_NUMBERS = ("zero", "non_outlier", "outlier", "act_zeros", "ideal_cycles", "dense_cycles")
_COUNTERS = ("cycles", "busy", "stall_input", "stall_output")


def layer(data: Mapping[str, Any]) -> Layer:
    """One layer from its JSON form, which is that of a result's layer, too."""
    row = Layer(
        name=str(data["name"]),
        op=str(data["op"]),
        shape=str(data["shape"]),
        macs=int(data["macs"]),
        **{name: float(data[name]) for name in _NUMBERS},
        counters={str(name): int(value) for name, value in data["counters"].items()},
    )
    for name in _COUNTERS:
        row.counters[name]  # KeyError names the missing one
    values = [row.macs, *(getattr(row, name) for name in _NUMBERS), *row.counters.values()]
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError(f"layer {row.name!r} has a negative or infinite number")
    return row


def build(data: Mapping[str, Any], source: str = "report") -> Report:
    """A :class:`Report` from its JSON form.

    Raises:
        FileFormatError: not a report, a version this release does not read, a field that is missing
            or of a wrong type, or runs of different networks.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise FileFormatError(f"{source}: not a zeroskip report; accepted: the JSON that `zeroskip run --json` writes")
    if data.get("version") != VERSION:
        raise FileFormatError(
            f"{source}: report version {data.get('version')!r}, this release reads {VERSION}; "
            "write the report again with `zeroskip run --json`"
        )
    try:
        runs = tuple(
            Run(
                mode=str(run["mode"]),
                activation_skip=bool(run["activation_skip"]),
                device=str(run["device"]),
                layers=tuple(map(layer, run["layers"])),
            )
            for run in data["runs"]
        )
        report = Report(
            title=str(data["title"]),
            images=int(data["images"]),
            config=dict(data["config"]),
            runs=runs,
            conditions={str(k): str(v) for k, v in data.get("conditions", {}).items()},
            accuracy={str(k): str(v) for k, v in data.get("accuracy", {}).items()},
            checks=tuple((str(row["check"]), bool(row["ok"])) for row in data.get("checks", [])),
        )
    except KeyError as error:
        raise FileFormatError(f"{source}: field {error.args[0]!r} is missing; see docs/report.md") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{source}: a field has a wrong type: {error}; see docs/report.md") from error
    if not runs or not runs[0].layers:
        raise FileFormatError(f"{source}: no run with a layer in it; accepted: at least one; see docs/report.md")
    names = [layer.name for layer in runs[0].layers]
    if any([layer.name for layer in run.layers] != names for run in runs):
        raise FileFormatError(f"{source}: the runs have different layers; one report is about one network")
    return report


def load(path: str | Path) -> Report:
    """Read a report's JSON file.

    Raises:
        FileFormatError: the file cannot be read, is not JSON or not a report.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise FileFormatError(f"{path}: not JSON ({error}); accepted: the file `zeroskip run --json` writes") from error
    return build(data, str(path))


def save(report: Report, path: str | Path) -> None:
    """Write the JSON form; :func:`load` reads it."""
    write_atomic(path, json.dumps(report.to_json(), indent=1) + "\n")
