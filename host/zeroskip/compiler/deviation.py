"""Measuring, on calibration images, how far a layer's sums move when its weights are quantised.

For every convolution a few ways of quantising its weights are tried on patches of its real input, taken
at random places: the error of a filter is its integer weights times their scale, minus its float weights,
applied to the patch.  The mean of the error is what bias correction takes away; what varies is noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..runtime.hostops import out_size
from .conv import clipped
from .graph import Graph, Node
from .quantise import Rule, quantise_weights

SAMPLES = 1024
"""Patches of each layer's input, all images together; a matrix product has one per image."""


@dataclass(eq=False)
class Trials:
    """J ways to quantise the K filters of a layer, and what was measured of them.

    Args:
        rules: the J rules.
        scales: float64 (J, K).
        weights: int8 (J, K, C/groups, R, S).
        count: patches seen.
        error, square: float64 (J, K), sums of the errors and of their squares.
        signal: float64 (K,), sum of the squares of the float outputs.
    """

    rules: tuple[Rule, ...]
    scales: np.ndarray
    weights: np.ndarray
    count: int = 0
    error: np.ndarray = field(init=False)
    square: np.ndarray = field(init=False)
    signal: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.error, self.square = np.zeros(self.scales.shape), np.zeros(self.scales.shape)
        self.signal = np.zeros(self.scales.shape[1])

    @property
    def mean(self) -> np.ndarray:
        """Mean error (J, K): what bias correction subtracts."""
        return self.error / max(self.count, 1)

    @property
    def noise(self) -> np.ndarray:
        """Error power that remains after bias correction, of each filter over the layer's output power: (J, K)."""
        count = max(self.count, 1)
        variance = np.maximum(self.square / count - self.mean**2, 0)
        return variance / max(self.signal.sum() / count, 1e-30)


def trials(node: Node, rules: tuple[Rule, ...]) -> Trials:
    """A layer's weights under each of the rules, not yet measured."""
    scales = np.stack([rule.scales(node.weight) for rule in rules])
    weights = [clipped(quantise_weights(node.weight, s), rule.clip) for s, rule in zip(scales, rules, strict=True)]
    return Trials(rules, scales, np.stack(weights))


class Deviations:
    """Measures the trials of every layer while the float network runs: give :meth:`observe` to ``Graph.run``.

    Args:
        graph: the network.
        layers: output tensor of a convolution -> its trials.
        images: how many images will be seen in all.
    """

    def __init__(self, graph: Graph, layers: dict[str, Trials], images: int) -> None:
        self.layers, self.images = layers, images
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            if node.output in layers:
                self.readers.setdefault(node.inputs[0], []).append(node)
        self.rng = np.random.default_rng(0)

    def observe(self, name: str, values: np.ndarray) -> None:
        for node in self.readers.get(name, ()):
            patches = self._patches(node, values)
            self._measure(self.layers[node.output], node, patches)

    def _patches(self, node: Node, x: np.ndarray) -> np.ndarray:
        """Input patches at random output positions: float32 (groups, n, C/groups * R * S)."""
        groups, size = node.attrs["groups"], node.weight[0].size
        x = x if x.ndim == 4 else x.reshape(*x.shape, 1, 1)
        taps = node.weight.shape[2:]
        pads, dilation, stride = node.attrs["padding"], node.attrs["dilation"], node.attrs["stride"]
        out = [out_size(x.shape[2 + i], taps[i], stride[i], pads[i], pads[i + 2], dilation[i]) for i in (0, 1)]
        places = len(x) * out[0] * out[1]
        wanted = max(1, SAMPLES * len(x) // self.images)
        chosen = np.arange(places) if places <= wanted else self.rng.integers(0, places, wanted)
        image, y, column = np.unravel_index(chosen, (len(x), *out))
        rows, inside_y = _taps(y, taps[0], stride[0], dilation[0], pads[0], x.shape[2])
        columns, inside_x = _taps(column, taps[1], stride[1], dilation[1], pads[1], x.shape[3])
        found = x[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, R, S, C)
        found = found * (inside_y[:, :, None] & inside_x[:, None, :])[..., None]
        found = found.reshape(*found.shape[:3], groups, -1).transpose(3, 0, 4, 1, 2)  # (groups, n, C/groups, R, S)
        return found.reshape(groups, len(chosen), size)

    @staticmethod
    def _measure(layer: Trials, node: Node, patches: np.ndarray) -> None:
        groups, count, size = patches.shape
        filters = len(node.weight) // groups
        outputs = patches @ node.weight.reshape(groups, filters, size).transpose(0, 2, 1).astype(np.float32)
        layer.signal += np.square(outputs.transpose(0, 2, 1).reshape(len(node.weight), -1) + node.bias[:, None]).sum(1)
        layer.count += count
        for index, (weights, scales) in enumerate(zip(layer.weights, layer.scales, strict=True)):
            change = weights * scales.reshape(-1, 1, 1, 1) - node.weight
            change = change.reshape(groups, filters, size).transpose(0, 2, 1).astype(np.float32)
            errors = (patches @ change).transpose(0, 2, 1).reshape(len(node.weight), count)
            layer.error[index] += errors.sum(axis=1, dtype=np.float64)
            layer.square[index] += np.square(errors).sum(axis=1, dtype=np.float64)


def _taps(position, taps: int, stride: int, dilation: int, pad: int, length: int):
    """Input rows (or columns) a window reads, (n, taps), clamped, and whether they are inside the map."""
    places = position[:, None] * stride - pad + np.arange(taps) * dilation
    return places.clip(0, length - 1), (places >= 0) & (places < length)
