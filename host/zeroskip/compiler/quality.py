"""How near an integer network is to its float network, on a few calibration images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from ..hardware.config import Config
from ..runtime.network import Model
from ..runtime.nodes import ENDS, Tensor
from .graph import Graph
from .integer_layers import Layer

_MACS = 8e9  # of one measurement: a second or two

WARN_LOST, WARN_LEAST = 6.0, 3.0
"""Decibels of output SQNR, float against integers: what may be lost against plain 8-bit, and what is too little in
itself, before the user is warned."""


class Quality:
    """Runs integer networks on the images and compares them with the float network.

    Args:
        graph: the float network, before anything is done to it.
        images: float (N, *input shape).
    """

    def __init__(self, graph: Graph, config: Config, images: np.ndarray) -> None:
        self.graph, self.config, self.images = graph, config, images
        self.places = measured_tensors(graph)
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.places}
        for start in range(0, len(images), graph.batch):
            graph.run(
                images[start : start + graph.batch], lambda name, v: found[name].append(v) if name in found else 0
            )
        self.exact = [np.concatenate(found[name]) for name in self.places]
        """float32 (N, *shape), what the float network has where errors are measured, for each output."""

    def outputs(self, layers: list[Layer], tensors: Mapping[str, Tensor]) -> list[np.ndarray]:
        """The same of an integer network: float32.

        Args:
            tensors: shape and scale of every tensor.
        """
        nodes = tuple(layer.unscheduled(self.config) for layer in layers)
        graph = self.graph
        model = Model(self.config, nodes, dict(tensors), graph.input, graph.outputs, {}, graph.input_type)
        integers = model.reference_integers(self.images)
        integers = list(integers.values()) if isinstance(integers, dict) else [integers]
        return [tensors[name].quant.dequantise(q) for name, q in zip(self.places, integers, strict=True)]

    def sqnr(self, layers: list[Layer], tensors: Mapping[str, Tensor]) -> float:
        """Signal-to-noise ratio of an integer network in dB; of several outputs that of their mean relative noise."""
        each = [sqnr(exact, found) for exact, found in zip(self.exact, self.outputs(layers, tensors), strict=True)]
        return -10 * float(np.log10(max(np.mean([10 ** (-one / 10) for one in each]), 1e-30)))


def warn_if_lost(found: float, plain: float | None) -> None:
    """Warn when an integer network's outputs are far from the float network's on the calibration images.

    Args:
        found: its output SQNR in dB.
        plain: the same with plain 8-bit weights, where it has others.
    """
    if plain is not None and found < plain - WARN_LOST:
        text = (
            f"the chosen weights lose {plain - found:.1f} dB of output SQNR on the calibration images against plain "
            f"8-bit ({found:.1f} dB instead of {plain:.1f}); leave scale rule, per and clip at their defaults, or "
            f"let a budget choose weights that are cheap where it costs little (--budget 3dB, budget='3dB')"
        )
    elif found < WARN_LEAST:
        text = (
            f"the integer network's outputs have an SQNR of only {found:.1f} dB on the calibration images: it may not "
            f"answer as the float network does; calibrate on images like those it will see, prune less, or use 16-bit "
            f"activations on a build that has them (activations='int16')"
        )
    else:
        return
    warnings.warn(text, stacklevel=4)


def affordable(graph: Graph, count: int, least: int = 2) -> int:
    """Every how many-th of ``count`` images to measure on: as many as a second or two allow, at least ``least``."""
    macs = sum(node.weight[0].size * np.prod(graph.shapes[node.output]) for node in graph.nodes if node.op == "conv")
    wanted = max(least, int(_MACS // max(macs, 1)))
    return max(1, -(-count // wanted))


def measured_tensors(graph: Graph) -> list[str]:
    """The tensor errors are measured at, for every output: itself, or what an operator at the end reads."""
    producers = {node.output: node for node in graph.nodes}
    ends = {output.tensor: producers.get(output.tensor) for output in graph.outputs}
    return [
        tensor if (end := ends[tensor]) is None or end.op not in ENDS else end.inputs[0]
        for tensor in (output.tensor for output in graph.outputs)
    ]


def sqnr(exact: np.ndarray, found: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: 10 log10 of the power of ``exact`` over that of the difference."""
    noise = float(np.square(found.astype(np.float64) - exact).sum())
    power = float(np.square(exact, dtype=np.float64).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(max(power, 1e-300) / noise))
