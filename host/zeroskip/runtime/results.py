"""What a network did on a device: its outputs, and per layer the engine's counters and what they are set against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DeviceError
from ..hardware.config import Config
from . import conv, glue
from .counters import Counters
from .hostops import Finish, Quant
from .nodes import Node

Progress = Callable[[int, int, str], None]
"""(layers done, layers in all, name of the layer that starts); a batch in several chunks counts each chunk's."""


@dataclass(frozen=True)
class LayerResult:
    """What one engine layer did, over the whole batch.

    Args:
        name, op: of the ONNX node.
        shape: such as "16x28x28 -> 32x28x28, 3x3".
        macs: multiplications of the dense layer, padding included.
        zero, non_outlier, outlier: shares of the weights.
        act_zeros: share of exact zeros among the input activations.
        counters: the engine's.
        ideal_cycles: every MAC busy in every cycle with non-zero weights, two non-outliers at a time; zena: every PE
            busy with a product of two non-zeros.
        dense_cycles: steps of the dense schedule, times pixel groups; zena: all products over the PEs.
    """

    name: str
    op: str
    shape: str
    macs: int
    zero: float
    non_outlier: float
    outlier: float
    act_zeros: float
    counters: Counters
    ideal_cycles: float
    dense_cycles: float


@dataclass(frozen=True)
class Result:
    """Outputs and measurements of one run.

    Args:
        outputs: float32 (N, ...), the network's output, or in the file's own type (docs/operators.md); a dict, name
            of the output -> array, if it has several.
        integers: the same before scaling (and before a softmax at the end).
        layers: one entry per layer on the engine.
        config: of the device.
    """

    outputs: np.ndarray | dict[str, np.ndarray]
    integers: np.ndarray | dict[str, np.ndarray]
    layers: list[LayerResult]
    config: Config

    @property
    def images(self) -> int:
        """How many ran."""
        return len(next(iter(self.outputs.values())) if isinstance(self.outputs, dict) else self.outputs)

    @property
    def cycles(self) -> int:
        """Engine cycles of all layers."""
        return sum(layer.counters["cycles"] for layer in self.layers)

    def to_json(self) -> dict:
        """Configuration, number of images, cycles, and every field of every :class:`LayerResult`, as plain data."""
        layers = [{**vars(layer), "counters": dict(layer.counters)} for layer in self.layers]
        config = {"name": self.config.name, **self.config.hardware_fields(), "hash": f"{self.config.hash:08x}"}
        return {
            "format": "zeroskip-result", "version": 1, "config": config, "images": self.images,
            "cycles": self.cycles, "layers": layers,
        }  # fmt: skip


def equal(outputs, others) -> bool:
    """Whether two networks' outputs, arrays or dicts of them, are the same bit for bit."""
    if isinstance(outputs, dict):
        return outputs.keys() == others.keys() and all(np.array_equal(v, others[name]) for name, v in outputs.items())
    return np.array_equal(outputs, others)


class Recorder:
    """Drives the engine layer by layer and adds up, over chunks, what it did."""

    def __init__(self, layers: list[Node], dev, chunks: int, progress: Progress | None) -> None:
        self.layers, self.dev, self.progress = layers, dev, progress
        self.total = len(layers) * chunks
        self.done = 0
        self.entries: dict[str, dict] = {}

    def convolve(self, node: Node, x: np.ndarray, quant: Quant, finish: Finish) -> np.ndarray:
        """The device's answer to one layer's input, as ``nodes.Convolve`` describes it."""
        if self.progress:
            self.progress(self.done, self.total, node.name)
        self.done += 1
        try:
            y, counters = conv.run_layer(self.dev, node.plan, x, quant, finish)
        except DeviceError as error:
            raise type(error)(f"layer {node.name!r}: {error}") from error
        entry = self.entries.get(node.output)
        if entry is None:
            entry = self.entries[node.output] = {"x": x.shape[1:], "y": y.shape[1:], "counters": Counters.zero()}
            entry |= dict.fromkeys(("macs", "elements", "zeros", "ideal", "dense"), 0)
        bounds = conv.bounds(node.plan, x, quant, glue.usable(self.dev, node.plan))
        entry["counters"] += counters
        entry["macs"] += y.size * node.plan.weights[0].size
        entry["elements"] += x.size
        entry["zeros"] += np.count_nonzero(x == quant.zero_point)
        entry["ideal"] += bounds["ideal_cycles"]
        entry["dense"] += bounds["dense_cycles"]
        return y

    def results(self) -> list[LayerResult]:
        """What every layer did, now that all are done."""
        if self.progress:
            self.progress(self.total, self.total, "")
        return [self._result(node, self.entries[node.output]) for node in self.layers]

    def _result(self, node: Node, entry: dict) -> LayerResult:
        shapes = ["x".join(map(str, entry[key] if entry[key][1:] != (1, 1) else entry[key][:1])) for key in "xy"]
        kernel = "x".join(map(str, node.plan.weights.shape[2:]))
        return LayerResult(
            name=node.name,
            op=node.label,
            shape=f"{shapes[0]} -> {shapes[1]}, {kernel}",
            macs=int(entry["macs"]),
            **node.plan.statistics(),
            act_zeros=entry["zeros"] / entry["elements"],
            counters=entry["counters"],
            ideal_cycles=float(entry["ideal"]),
            dense_cycles=float(entry["dense"]),
        )
