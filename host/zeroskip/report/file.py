"""A report as a JSON file; ``docs/report.md`` documents the format."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileFormatError
from ..files import write_atomic
from .data import Layer, Report, Run, Step

FORMAT = "zeroskip-report"
VERSION = 2

_SHARES = ("zero", "non_outlier", "outlier", "act_zeros")
_CYCLES = ("ideal_cycles", "dense_cycles", "useful_cycles", "predicted_cycles")
_COUNTERS = ("cycles", "busy", "stall_input", "stall_output", "beats_in", "beats_out")


def to_json(report: Report) -> dict[str, Any]:
    """The JSON form; a layer's ``bands``, ``bound`` and bytes are written for other readers only."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": report.title,
        "images": report.images,
        "config": dict(report.config),
        "conditions": dict(report.conditions),
        "accuracy": dict(report.accuracy),
        "checks": [{"check": name, "ok": ok} for name, ok in report.checks],
        "graph": [vars(step) for step in report.graph],
        "runs": [
            {
                "mode": run.mode,
                "activation_skip": run.activation_skip,
                "device": run.device,
                "cycles": run.total.cycles,
                "layers": [
                    {**vars(layer), "counters": dict(layer.counters), "bands": layer.bands, "bound": layer.bound,
                     "bytes_in": layer.bytes_in, "bytes_out": layer.bytes_out}
                    for layer in run.layers
                ],
            }
            for run in report.runs
        ],
    }  # fmt: skip


def layer(data: Mapping[str, Any]) -> Layer:
    """One layer from its JSON form.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, of a wrong type, or cannot be.
    """
    row = Layer(
        **{name: str(data[name]) for name in ("name", "op", "shape", "rule")},
        macs=int(data["macs"]),
        **{name: float(data[name]) for name in (*_SHARES, *_CYCLES)},
        sqnr_db=None if data["sqnr_db"] is None else float(data["sqnr_db"]),
        histogram=tuple(map(int, data["histogram"])),
        counters={str(name): int(value) for name, value in data["counters"].items()},
    )
    for name in _COUNTERS:
        row.counters[name]  # KeyError names the missing one
    values = [row.macs, *(getattr(row, name) for name in (*_SHARES, *_CYCLES)), *row.counters.values(), *row.histogram]
    if not all(math.isfinite(value) and value >= 0 for value in values) or not math.isfinite(row.sqnr_db or 0):
        raise ValueError(f"layer {row.name!r} has a negative or infinite number")
    if len(row.histogram) not in range(2, 65, 2):
        raise ValueError(f"layer {row.name!r} has a histogram of {len(row.histogram)} columns, not two per bit")
    if not row.useful_cycles <= row.counters["busy"]:
        raise ValueError(f"layer {row.name!r} has more useful than busy cycles")
    if not math.isclose(sum(row.bands.values()), row.cycles, abs_tol=0.5):
        raise ValueError(f"layer {row.name!r}: busy, stall_input and stall_output do not add up to cycles")
    return row


def _step(data: Mapping[str, Any], place: int) -> Step:
    step = Step(
        **{name: str(data[name]) for name in ("name", "op", "where", "output")}, reads=tuple(map(int, data["reads"]))
    )
    if not all(-1 <= source < place for source in step.reads):
        raise ValueError(f"node {step.name!r} reads what is not computed before it")
    return step


def build(data: Mapping[str, Any], source: str = "report") -> Report:
    """A :class:`Report` from its JSON form.

    Raises:
        FileFormatError: not a report, a version this release does not read, a field that is missing
            or of a wrong type, counters that contradict each other, or runs of different networks.
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
            graph=tuple(_step(row, place) for place, row in enumerate(data.get("graph", []))),
        )
    except KeyError as error:
        raise FileFormatError(f"{source}: field {error.args[0]!r} is missing; see docs/report.md") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{source}: a field has a wrong type or value: {error}; see docs/report.md") from error
    if not runs or not runs[0].layers:
        raise FileFormatError(f"{source}: no run with a layer in it; accepted: at least one; see docs/report.md")
    names = [layer.name for layer in runs[0].layers]
    if any([layer.name for layer in run.layers] != names for run in runs):
        raise FileFormatError(f"{source}: the runs have different layers; one report is about one network")
    if len({len(layer.histogram) for run in runs for layer in run.layers}) > 1:
        raise FileFormatError(f"{source}: histograms of different lengths; accepted: one, two bins per bit of a weight")
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
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: not JSON ({error}); accepted: the file `zeroskip run --json` writes") from error
    return build(data, str(path))


def save(report: Report, path: str | Path) -> None:
    """Write the JSON form; :func:`load` reads it."""
    write_atomic(path, json.dumps(to_json(report), indent=1) + "\n")
