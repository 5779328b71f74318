"""From measured results to a report: which device, which schedule, under what conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..devices.memory import MemoryModel
from ..runtime.network import Model, Result
from .data import Run, layer

DEVICES = {"sim": "Verilated RTL", "model": "cycle model, exact", "board": "PYNQ-Z2"}


def measured_run(model: Model, kind: str, result: Result) -> Run:
    """A run of a report.

    Args:
        model: what ran; its ``info`` names the schedule.
        kind: of the device: "sim", "model" or "board".
        result: what ``model.run`` returned.
    """
    return Run(
        mode=model.info["mode"],
        activation_skip=model.info["activation_skip"],
        device=DEVICES[kind],
        layers=tuple(layer(data) for data in result.to_json()["layers"]),
    )


def configuration(model: Model) -> dict[str, Any]:
    """The build configuration as a report keeps it."""
    config = model.config
    return {"name": config.name, **config.hardware_fields(), "macs": config.macs, "hash": f"{config.hash:08x}"}


def conditions(info: Mapping[str, Any], kind: str, memory: MemoryModel | None = None) -> dict[str, str]:
    """What a reader must know beside configuration and baseline, as rows of text.

    Args:
        info: ``Model.info``.
        kind: of the device.
        memory: of a simulated device; None for the default.
    """
    rows = {"network": str(info.get("source", "unknown")), "weights": weights_text(info)}
    images = info.get("calibration", 0)
    rows["activations"] = str(info.get("activations", "uint8"))
    rows["activations"] += f", calibrated on {images} images" if images else ", scales from the file or random images"
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


def weights_text(info: Mapping[str, Any]) -> str:
    """How weights became 8-bit integers."""
    rule = info.get("scale_rule", "unknown")
    if isinstance(rule, Mapping):
        rule = ", ".join(f"{name}: {value}" for name, value in rule.items())
    if "percentile" in rule:
        rule += f" ({info.get('percentile', 0):g} % of the non-zero weights reach at most 7)"
    if "budget" in info:
        text = f"8-bit, scale of every filter chosen for few cycles, at most {info['budget']} lost against max_abs"
        text += f" per channel (measured on the calibration images: {info['budget_used']:.2f})"
    else:
        text = f"8-bit, scale rule {rule}, one scale per {info.get('per', 'unknown')}"
    clip, prune = info.get("clip", 0), info.get("prune", 0)
    if "budget" not in info:
        text += f", clipped (Eq. 1) at threshold {clip}" if clip else ", not clipped"
    return text + (f", the smallest {prune:.0%} of each layer pruned by the compiler" if prune else "")
