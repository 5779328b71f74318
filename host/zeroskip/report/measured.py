"""From measured results to a report: which device, which schedule, under what conditions, on which network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..devices.memory import MemoryModel
from ..engines import engine_of
from ..hardware.config import Config
from ..runtime.memory_plan import predicted_cycles
from ..runtime.network import Model
from ..runtime.nodes import ENDS
from ..runtime.results import LayerResult, Result
from ..text import counted
from .data import Layer, Run, Step, bins

DEVICES = {"sim": "Verilated RTL", "model": "cycle model, exact", "board": "PYNQ-Z2"}


def measured_run(model: Model, kind: str, result: Result) -> Run:
    """A run of a report.

    Args:
        model: what ran; its ``info`` names the schedule and says how the weights were scaled.
        kind: of the device: "sim", "model" or "board".
        result: what ``model.run`` returned.
    """
    bits = 8 * max((node.plan.weights.itemsize for node in model.layers), default=1)
    rows = []
    for node, found in zip(model.layers, result.layers, strict=True):
        how = model.info.get("layers", {}).get(node.name, {})
        rows.append(
            Layer(
                **{**vars(found), "counters": dict(found.counters)},
                useful_cycles=useful_cycles(model.config, found),
                predicted_cycles=predicted_cycles(node, model.tensors[node.inputs[0]], result.images),
                rule=rules_text(how),
                sqnr_db=how.get("sqnr_db"),
                histogram=histogram(node.plan.weights, bits),
            )
        )
    return Run(model.info["mode"], model.info["activation_skip"], DEVICES[kind], tuple(rows))


def useful_cycles(config: Config, found: LayerResult) -> float:
    """The part of a layer's busy cycles in which its multipliers had work; docs/report.md says what counts."""
    return engine_of(config).useful_cycles(config, found)


def histogram(weights: np.ndarray, bits: int) -> tuple[int, ...]:
    """How many weights lie in each of the 2 * bits :func:`~.data.bins`."""
    firsts = [first for first, _ in bins(2 * bits)]
    places = np.searchsorted(firsts, weights.ravel(), side="right") - 1
    return tuple(np.bincount(places, minlength=2 * bits).tolist())


def graph(model: Model) -> tuple[Step, ...]:
    """The network's nodes, as a report shows them."""
    source, steps = {model.input: -1}, []
    for place, node in enumerate(model.nodes):
        out = model.tensors[node.output]
        shape = f"{'x'.join(map(str, out.shape))} {'float32' if node.op in ENDS else out.quant.dtype}"
        where = "engine" if node.plan else "host"
        steps.append(Step(node.name, node.label, where, tuple(source[name] for name in node.inputs), shape))
        source[node.output] = place
    return tuple(steps)


def configuration(model: Model) -> dict[str, Any]:
    """The build configuration as a report keeps it."""
    config = model.config
    return {"name": config.name, **config.hardware_fields(), "macs": config.macs, "hash": f"{config.hash:08x}"}


def conditions(
    info: Mapping[str, Any], kind: str, glue: bool | None = False, memory: MemoryModel | None = None
) -> dict[str, str]:
    """What a reader must know beside configuration and baseline, as rows of text.

    Args:
        info: ``Model.info``.
        kind: of the device.
        glue: the device has the HLS kernels.
        memory: of a simulated device; None for the default.
    """
    rows = {"network": str(info.get("source", "unknown")), "weights": weights_text(info)}
    images = info.get("calibration", 0)
    scales = f"calibrated on {counted(images, 'image')}" if images else "scales from the file or random images"
    rows["activations"] = f"{info.get('activations', 'uint8')}, {scales}"
    rows["results"] = "activations, finished by the HLS kernels" if glue else "32-bit sums, finished by the host"
    if kind == "board":
        rows["memory"] = "the board's DDR"
    else:
        memory = memory if memory is not None else MemoryModel()
        rows["memory"] = (
            f"read latency {memory.read_latency} cycles, write latency {memory.write_latency} cycles, "
            f"{memory.rate} of 1024 beats per direction"
        )
        if memory.stall or memory.stream_stall:
            rows["memory"] += f", random stalls {memory.stall}/256 in memory, {memory.stream_stall}/256 in the streams"
    return rows


def accuracy(info: Mapping[str, Any], measured: bool = False) -> dict[str, str]:
    """What the compiler measured of the network's answers, as rows of text.

    Args:
        info: ``Model.info``; its ``sqnr_db`` is the output SQNR, ``plain_sqnr_db`` that of plain 8-bit weights.
        measured: answers were counted on labels; else a row says so where the compiler measured nothing either.
    """
    if "sqnr_db" not in info:
        return {} if measured else {"accuracy": "not measured (zeroskip run --expected counts right answers)"}
    rows = {"output SQNR": f"{info['sqnr_db']:.1f} dB (against the float network, calibration images)"}
    if "plain_sqnr_db" in info:
        rows["output SQNR, plain 8-bit weights"] = f"{info['plain_sqnr_db']:.1f} dB (the same images)"
    return rows


def weights_text(info: Mapping[str, Any]) -> str:
    """How weights became 8-bit integers."""
    rule = info.get("scale_rule", "unknown")
    if isinstance(rule, Mapping):
        rule = ", ".join(f"{name}: {value}" for name, value in rule.items())
    if "percentile" in rule:
        rule += f" ({info.get('percentile', 0):g} % of the non-zero weights reach at most 7)"
    if "budget" in info:
        text = f"8-bit, scale of every filter chosen for few cycles, at most {info['budget']} lost against plain 8-bit"
        text += f" weights (measured on the calibration images: {info['budget_used']:.2f})"
    else:
        text = f"8-bit, scale rule {rule}, one scale per {info.get('per', 'unknown')}"
    clip, prune = info.get("clip", 0), info.get("prune", 0)
    if "budget" not in info:
        text += f", clipped (Eq. 1) at threshold {clip}" if clip else ", not clipped"
    text += ", channels equalised" if info.get("equalised") else ""
    text += ", adaptive rounding" if info.get("adaptive_rounding") else ""
    if "sqnr_db" in info:
        text += f"; output SQNR {info['sqnr_db']:.1f} dB on the calibration images"
        text += f", {info['plain_sqnr_db']:.1f} dB with plain 8-bit weights" if "plain_sqnr_db" in info else ""
    return text + (f", the smallest {prune:.0%} of each layer pruned by the compiler" if prune else "")


def rules_text(how: Mapping[str, Any]) -> str:
    """The scale rules of a layer's filters, the most frequent first; three of them at most.

    Args:
        how: the layer's entry in ``Model.info["layers"]``.
    """
    rules = sorted(how.get("rules", {}).items(), key=lambda item: -item[1])
    shown = ", ".join(f"{count} {rule}" if len(rules) > 1 else rule for rule, count in rules[:3])
    left = sum(count for _, count in rules[3:])
    return shown + (f", {left} other{'s' * (left > 1)}" if left else "")
