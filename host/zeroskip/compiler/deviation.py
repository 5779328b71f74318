"""Measuring, on calibration images, how far a layer's sums move when its weights are quantised.

Patches of every convolution's real input are taken at random places.  Their means and covariances tell what any
quantised weights do: the error of a filter is its integer weights times their scale, minus its float weights, applied
to the patch.  The mean of the error is what bias correction takes away; what varies is noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..runtime.hostops import out_size
from .conv import clipped
from .graph import Node
from .quantise import Rule, quantise_weights
from .rounding import bounds, round_with_feedback, shrunk

LEAST, MOST = 1024, 4096
"""Patches of each layer's input, all images together: twice as many as a filter has weights, within these bounds.  A
matrix product has one per image."""

BLOCK = 1152
"""Inputs whose covariance is kept: those of wider layers are split, and blocks count as independent."""


@dataclass(eq=False)
class Moments:
    """What was seen of the patches a convolution reads.

    Args:
        node: the convolution.
        count: patches seen.
        total: float64 (groups, n), sums of their n = C/groups * R * S values.
        products: for each block of inputs float64 (groups, m, m), sums of products.
        outputs, squares: float64 (K,), sums of the float outputs, before a clip, and of their squares.
    """

    node: Node
    count: int = 0
    total: np.ndarray = field(init=False)
    products: list[np.ndarray] = field(init=False)
    outputs: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        groups, size = self.node.attrs["groups"], self.node.weight[0].size
        self.total = np.zeros((groups, size))
        parts = np.array_split(np.arange(size), -(-size // BLOCK))
        self.blocks = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]
        self.products = [np.zeros((groups, len(part), len(part))) for part in parts]
        self.outputs, self.squares = np.zeros((2, len(self.node.weight)))

    def add(self, patches: np.ndarray) -> None:
        """Count patches: float32 (groups, n, size)."""
        self.count += patches.shape[1]
        self.total += patches.sum(axis=1, dtype=np.float64)
        turned = patches.transpose(0, 2, 1)
        for block, products in zip(self.blocks, self.products, strict=True):
            products += turned[:, block] @ patches[:, :, block]
        outputs = patches @ self.grouped(self.node.weight).transpose(0, 2, 1).astype(np.float32)
        outputs = outputs.transpose(0, 2, 1).reshape(len(self.outputs), -1) + self.node.bias[:, None]
        self.outputs += outputs.sum(axis=1)
        self.squares += np.square(outputs).sum(axis=1)

    def scale_inputs(self, factors: np.ndarray) -> None:
        """As if every input channel, (C,), had been multiplied."""
        groups, size = self.total.shape
        factors = np.repeat(factors.reshape(groups, -1), size * groups // len(factors), axis=1)
        self.total *= factors
        for block, products in zip(self.blocks, self.products, strict=True):
            products *= factors[:, block, None] * factors[:, None, block]

    def scale_outputs(self, factors: np.ndarray) -> None:
        """As if every filter, (K,), had been multiplied."""
        self.outputs *= factors
        self.squares *= np.square(factors)

    def grouped(self, weights: np.ndarray) -> np.ndarray:
        """Weights (K, C/groups, R, S) as (groups, K/groups, n)."""
        return weights.reshape(len(self.total), -1, self.total.shape[1])

    @property
    def mean(self) -> np.ndarray:
        """Mean input: float64 (groups, n)."""
        return self.total / max(self.count, 1)

    @property
    def power(self) -> np.ndarray:
        """Mean square of every input: float64 (groups, n)."""
        diagonals = [np.einsum("gii->gi", products) for products in self.products]
        return np.concatenate(diagonals, axis=1) / max(self.count, 1)

    def covariances(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Every block of inputs and its covariance, float64 (groups, m, m)."""
        mean = self.mean
        for block, products in zip(self.blocks, self.products, strict=True):
            part = mean[:, block]
            yield block, products / max(self.count, 1) - part[:, :, None] * part[:, None, :]

    def shift(self, change: np.ndarray) -> np.ndarray:
        """Mean error (K,) of weights that are off by ``change``, of the weights' shape."""
        return np.einsum("gkn,gn->gk", self.grouped(change), self.mean).ravel()

    def noise(self, change: np.ndarray) -> np.ndarray:
        """Error power (K,) that remains when the mean error is gone."""
        change, found = self.grouped(change), 0.0
        for block, covariance in self.covariances():
            part = change[:, :, block]
            found = found + ((part @ covariance) * part).sum(axis=2)
        return np.maximum(found, 0).ravel()


@dataclass(eq=False)
class Trials:
    """J ways to quantise the K filters of a layer, and what they do.

    Args:
        rules: the J rules.
        scales: float64 (J, K).
        weights: int8 (J, K, C/groups, R, S), each rounded to the nearest.
        moments: of the layer's input; without images, none.
    """

    node: Node
    rules: tuple[Rule, ...]
    scales: np.ndarray
    weights: np.ndarray
    moments: Moments

    def __post_init__(self) -> None:
        changes = [self.change(w, s) for w, s in zip(self.weights, self.scales, strict=True)]
        self.mean = np.stack([self.moments.shift(change) for change in changes])
        """Mean error (J, K): what bias correction subtracts."""
        self.noise = np.stack([self.relative_noise(change) for change in changes])
        """Error power that remains after bias correction, of each filter over the layer's output power: (J, K)."""
        self._rounded: dict[bytes, np.ndarray] = {}

    def change(self, weights: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """What integer weights stand for, minus the float weights: float64."""
        return weights * scales.reshape(-1, 1, 1, 1) - self.node.weight

    def relative_noise(self, change: np.ndarray) -> np.ndarray:
        """As ``noise``, (K,), of any change of the weights."""
        signal = self.moments.squares.sum() / max(self.moments.count, 1)
        return self.moments.noise(change) / max(signal, 1e-30)

    def take(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights int8 and scales float64 (K,) of the trial that each filter takes, int (K,)."""
        filters = np.arange(self.scales.shape[1])
        return self.weights[chosen, filters], self.scales[chosen, filters]

    def rounded(self, chosen: np.ndarray) -> np.ndarray:
        """The weights of a choice, int8, rounded with error feedback instead of each to its nearest."""
        key = chosen.tobytes()
        if key not in self._rounded:
            self._rounded[key] = self._round(chosen)
        return self._rounded[key]

    def _round(self, chosen: np.ndarray) -> np.ndarray:
        nearest, scales = self.take(chosen)
        moments = self.moments
        if moments.count < 2 or moments.total.shape[1] < 2:
            return nearest
        safe = np.where(scales > 0, scales, 1.0).reshape(-1, 1, 1, 1)
        values = moments.grouped(self.node.weight / safe)
        low, high = (moments.grouped(bound) for bound in bounds(self.node.weight, nearest))
        try:
            parts = [
                round_with_feedback(values[:, :, b], shrunk(covariance, moments.count), low[:, :, b], high[:, :, b])
                for b, covariance in moments.covariances()
            ]
        except np.linalg.LinAlgError:  # inputs that do not vary: there is no error that another weight could take
            return nearest
        found = np.concatenate(parts, axis=2).reshape(nearest.shape).astype(np.int8)
        clip = np.array([rule.clip for rule in self.rules])[chosen].reshape(-1, 1, 1, 1)
        found = np.where(scales.reshape(-1, 1, 1, 1) > 0, clipped(found, clip), nearest)
        better = moments.noise(self.change(found, scales)) < moments.noise(self.change(nearest, scales))
        return np.where(better.reshape(-1, 1, 1, 1), found, nearest)


def trials(node: Node, rules: tuple[Rule, ...], moments: Moments) -> Trials:
    """A layer's weights under each of the rules."""
    scales = np.stack([rule.scales(node.weight, moments.power) for rule in rules])
    weights = [clipped(quantise_weights(node.weight, s), rule.clip) for s, rule in zip(scales, rules, strict=True)]
    return Trials(node, rules, scales, np.stack(weights), moments)


class Observer:
    """Takes the moments of layers while the float network runs: give :meth:`observe` to ``Graph.run``.

    Args:
        layers: the convolutions.
        images: how many images will be seen in all.
    """

    def __init__(self, layers: list[Node], images: int) -> None:
        self.images = images
        self.moments = {node.output: Moments(node) for node in layers}
        """Output tensor -> moments."""
        self.readers: dict[str, list[Node]] = {}
        for node in layers:
            self.readers.setdefault(node.inputs[0], []).append(node)
        self.rng = np.random.default_rng(0)

    def observe(self, name: str, values: np.ndarray) -> None:
        for node in self.readers.get(name, ()):
            self.moments[node.output].add(self._patches(node, values))

    def _patches(self, node: Node, x: np.ndarray) -> np.ndarray:
        """Input patches at random output positions: float32 (groups, n, C/groups * R * S)."""
        groups, size = node.attrs["groups"], node.weight[0].size
        x = x if x.ndim == 4 else x.reshape(*x.shape, 1, 1)
        taps = node.weight.shape[2:]
        pads, dilation, stride = node.attrs["padding"], node.attrs["dilation"], node.attrs["stride"]
        out = [out_size(x.shape[2 + i], taps[i], stride[i], pads[i], pads[i + 2], dilation[i]) for i in (0, 1)]
        places = len(x) * out[0] * out[1]
        samples = min(max(2 * size, LEAST), MOST)
        wanted = max(1, samples * len(x) // self.images)
        chosen = np.arange(places) if places <= wanted else self.rng.integers(0, places, wanted)
        image, y, column = np.unravel_index(chosen, (len(x), *out))
        rows, inside_y = _taps(y, taps[0], stride[0], dilation[0], pads[0], x.shape[2])
        columns, inside_x = _taps(column, taps[1], stride[1], dilation[1], pads[1], x.shape[3])
        found = x[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, R, S, C)
        if any(pads):
            found = found * (inside_y[:, :, None] & inside_x[:, None, :])[..., None]
        found = found.reshape(*found.shape[:3], groups, -1).transpose(3, 0, 4, 1, 2)  # (groups, n, C/groups, R, S)
        return np.ascontiguousarray(found).reshape(groups, len(chosen), size)


def _taps(position, taps: int, stride: int, dilation: int, pad: int, length: int):
    """Input rows (or columns) a window reads, (n, taps), clamped, and whether they are inside the map."""
    places = position[:, None] * stride - pad + np.arange(taps) * dilation
    return places.clip(0, length - 1), (places >= 0) & (places < length)
