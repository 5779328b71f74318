"""Cross-layer equalisation: channels of a tensor brought to like ranges, without changing what the network computes.

A tensor has one scale, so a channel whose values stay small keeps few of the 256 steps.  Multiplying such a channel
where it is computed and dividing where it is read changes nothing in float (a ReLU lets a positive factor through),
and the weights pay nothing for it where they are computed, since every filter has a scale of its own.  What the
layers that read the tensor pay depends on their weights; the factors are chosen for the least predicted noise.

After Nagel et al., *Data-Free Quantization Through Weight Equalization and Bias Correction*, 2019, and Xiao et al.,
*SmoothQuant*, 2023 (the exponent).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .deviation import Moments
from .graph import Graph, Node

SCALING = ("add", "clip", "max_pool", "average_pool", "resize", "pad", "slice", "reshape")
"""Operators that a positive factor for each channel passes through, provided they leave channels where they are."""

EXPONENTS = (0.25, 0.5, 0.75, 1.0)
"""How far ranges are made equal: 1 makes them the same, 0 would leave them as they are."""

WEIGHT_STEPS, STEPS = 127, 255
FLOOR = 1 / 32
"""A channel's range counts as at least this share of its tensor's: what is hardly ever seen is not blown up."""


SPREAD = 8
"""Standard deviations around its mean that a channel is expected to stay in, whatever calibration saw of it."""


@dataclass
class Channels:
    """What the float network shows of a tensor's channels: float64 (C,) each.

    Args:
        low, high: range, 0 included.
        total, squares: sums of the values and of their squares.
        count: values of each channel.
    """

    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    count: int = 0

    @classmethod
    def of(cls, channels: int) -> Channels:
        """Nothing seen yet."""
        return cls(*np.zeros((4, channels)))

    def add(self, values: np.ndarray) -> None:
        """Count values: float32 (N, C, ...)."""
        flat = values.reshape(*values.shape[:2], -1)
        self.low = np.minimum(self.low, flat.min(axis=(0, 2)))
        self.high = np.maximum(self.high, flat.max(axis=(0, 2)))
        self.total = self.total + flat.sum(axis=(0, 2), dtype=np.float64)
        self.squares = self.squares + np.einsum("ncp,ncp->c", flat, flat)
        self.count += flat.shape[0] * flat.shape[2]

    @property
    def power(self) -> np.ndarray:
        """Mean squares."""
        return self.squares / max(self.count, 1)

    @property
    def reach(self) -> np.ndarray:
        """Largest magnitudes."""
        return np.maximum(self.high, -self.low)

    def expect(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Widen ranges to SPREAD deviations around the mean, but not beyond the range of all channels.

        A channel that stands for something rare is hardly seen on a few images, and others have more of it.
        """
        low, high = self.low.min(), self.high.max()
        self.low = np.minimum(self.low, np.maximum(mean - SPREAD * deviation, low))
        self.high = np.maximum(self.high, np.minimum(mean + SPREAD * deviation, high))


@dataclass
class Together:
    """Tensors whose channels can only be multiplied together, with the convolutions around them.

    Args:
        tensors: names.
        inside: nodes between them.
        writers, readers: convolutions that compute and read them.
    """

    tensors: list[str]
    inside: list[Node] = field(default_factory=list)
    writers: list[Node] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)


class ChannelObserver:
    """Sees the channels of all tensors that could be equalised: give :meth:`observe` to ``Graph.run``."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.sets = graph, equalisable(graph)
        self.channels = {name: Channels.of(graph.shapes[name][0]) for one in self.sets for name in one.tensors}

    def observe(self, name: str, values: np.ndarray) -> None:
        if name in self.channels:
            self.channels[name].add(values)


def equalise(seen: ChannelObserver, moments: dict[str, Moments], ranges: dict[str, tuple[float, float]]) -> int:
    """Equalise every set of tensors that gains by it, and all that was observed with it; changes them in place.

    Args:
        moments: output tensor -> moments of the layers.
        ranges: tensor -> (lowest, highest).

    Returns:
        how many sets were changed.
    """
    changed = 0
    for one in seen.sets:
        for name in one.tensors:
            channels = seen.channels[name]
            if name in moments:  # before a ReLU hides half of it
                count = max(moments[name].count, 1)
                mean, square = moments[name].outputs / count, moments[name].squares / count
            else:
                mean, square = channels.total / max(channels.count, 1), channels.power
            channels.expect(mean, np.sqrt(np.maximum(square - np.square(mean), 0)))
        factors = best_factors(one, seen.channels)
        if factors is None:
            continue
        scale_channels(one, factors)
        for node in one.writers:
            if node.output in moments:
                moments[node.output].scale_outputs(factors)
        for node in one.readers:
            if node.output in moments:
                moments[node.output].scale_inputs(factors)
        for name in one.tensors:
            channels = seen.channels[name]
            kept = [
                _share(limit, extreme)
                for limit, extreme in zip(ranges[name], (channels.low.min(), channels.high.max()), strict=True)
            ]
            ranges[name] = (
                kept[0] * float((channels.low * factors).min()),
                kept[1] * float((channels.high * factors).max()),
            )
        changed += 1
    return changed


def _share(limit: float, extreme: float) -> float:
    """How much of a tensor's range calibration kept, cut to a percentile."""
    return min(limit / extreme, 1.0) if extreme else 1.0


def equalisable(graph: Graph) -> list[Together]:
    """Sets of tensors between convolutions whose channels may be multiplied by anything positive.

    What a depthwise layer computes is left alone: its channels stand for rare things, a few images do not show their
    ranges, and the layer behind it has to pay for other ones.
    """
    parent = {name: name for name in graph.shapes}
    blocked = {graph.input, *graph.output_tensors, *graph.quants}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for node in graph.nodes:
        names = [*node.inputs, node.output]
        if _passes(graph, node):
            for name in names[1:]:
                parent[root(name)] = root(names[0])
        elif node.op != "conv" or node.given:
            blocked.update(names)
    closed = {root(name) for name in blocked}
    sets: dict[str, Together] = {}
    for name in graph.shapes:
        if root(name) not in closed:
            sets.setdefault(root(name), Together([])).tensors.append(name)
    for node in graph.nodes:
        if node.op == "conv":
            for name, nodes in ((node.output, "writers"), (node.inputs[0], "readers")):
                if root(name) in sets:
                    getattr(sets[root(name)], nodes).append(node)
        elif root(node.output) in sets:
            sets[root(node.output)].inside.append(node)
    return [one for one in sets.values() if one.writers and one.readers and not any(map(_depthwise, one.writers))]


def _depthwise(node: Node) -> bool:
    return node.attrs["groups"] > 1 and node.weight.shape[1] == 1


def _passes(graph: Graph, node: Node) -> bool:
    """Whether factors of channels pass through a node."""
    if node.op not in SCALING:
        return False
    shapes = [graph.shapes[name] for name in (*node.inputs, node.output)]
    if len({shape[0] for shape in shapes}) > 1 or len({len(shape) for shape in shapes}) > 1 != (node.op == "reshape"):
        return False
    if node.op == "pad":
        return not (node.attrs["padding"][0] or node.attrs["padding"][len(shapes[0])])
    if node.op == "slice":
        return node.attrs["start"][0] == 0 and node.attrs["step"][0] == 1
    return True


def best_factors(one: Together, channels: dict[str, Channels]) -> np.ndarray | None:
    """Factors (C,) with the least predicted noise at the layers that read the tensors; None to leave them alone.

    The noise of a reader is that of its input's 8-bit steps through its weights, plus that of its weights' steps under
    the input's power, relative to the power of its output without correlations.
    """
    reach = np.max([channels[name].reach / max(channels[name].reach.max(), 1e-30) for name in one.tensors], axis=0)
    if not np.isfinite(reach).all() or not reach.max() > 0:
        return None
    reach = np.maximum(reach, FLOOR * reach.max())
    pull = np.max([_by_channel(node).max(axis=0) / max(_by_channel(node).max(), 1e-30) for node in one.readers], axis=0)
    pull = np.maximum(pull, 1e-6)
    candidates = [np.ones_like(reach)]
    for exponent in EXPONENTS:
        candidates += [reach**-exponent, pull ** (1 - exponent) * reach**-exponent]
    candidates = [_allowed(one, channels, factors / factors.min()) for factors in candidates]
    noises = [_noise(one, channels, factors) for factors in candidates]
    best = int(np.argmin(noises))
    return candidates[best] if noises[best] < 0.98 * noises[0] else None


def _by_channel(node: Node) -> np.ndarray:
    """Largest magnitude of the weights of every filter on every input channel: (K/groups, C)."""
    groups, per_group = node.attrs["groups"], node.weight.shape[1]
    w = np.abs(node.weight).max(axis=(2, 3)).reshape(groups, -1, per_group)
    return w.transpose(1, 0, 2).reshape(-1, groups * per_group)


def _allowed(one: Together, channels: dict[str, Channels], factors: np.ndarray) -> np.ndarray:
    """Factors raised so that an upper clip, multiplied per channel, lies at or beyond the tensor's range.

    Then the end of the integers' range clips every channel: beyond it a channel's own limit has no effect.
    """
    for _ in range(len(one.tensors)):
        before = factors
        for node in (*one.inside, *one.writers):
            limits = _limits(node)
            if limits is None or not math.isfinite(limits[1]):
                continue
            top = (factors * channels[node.output].high).max()
            factors = np.maximum(factors, top / limits[1])
        if factors is before or (factors == before).all():
            break
    return factors


def _limits(node: Node) -> tuple[float, float] | None:
    if node.op == "clip":
        return node.attrs["low"], node.attrs["high"]
    return node.attrs.get("clip")


def _noise(one: Together, channels: dict[str, Channels], factors: np.ndarray) -> float:
    steps = {name: (factors * (channels[name].high - channels[name].low)).max() / STEPS for name in one.tensors}
    total = 0.0
    for node in one.readers:
        taps = np.prod(node.weight.shape[2:])
        groups, per_group = node.attrs["groups"], node.weight.shape[1]
        power = channels[node.inputs[0]].power.reshape(groups, 1, per_group)
        factor = factors.reshape(groups, 1, per_group)
        w = node.weight.reshape(groups, -1, per_group, taps)
        squares = np.square(w).sum(axis=3)
        # Every tensor of the set reaches this reader, directly or through additions.
        step = sum(np.square(steps[name]) for name in one.tensors)
        inputs = (squares / np.square(factor)).sum() * step / 12
        weight_step = (np.abs(w).max(axis=3) / factor).max(axis=2, keepdims=True) / WEIGHT_STEPS
        weights = (np.square(weight_step) / 12 * taps * (np.square(factor) * power)).sum()
        total += (inputs + weights) / max((squares * power).sum(), 1e-30)
    return float(total)


def scale_channels(one: Together, factors: np.ndarray) -> None:
    """Multiply the channels of a set of tensors: in float the network computes what it did.

    Args:
        factors: float64 (C,), positive.
    """
    for node in one.writers:
        node.weight = node.weight * factors.reshape(-1, 1, 1, 1)
        node.bias = node.bias * factors
        if "clip" in node.attrs:
            node.attrs["clip"] = tuple(_scaled(limit, factors) for limit in node.attrs["clip"])
    for node in one.inside:
        for name in ("low", "high") if node.op == "clip" else ():
            node.attrs[name] = _scaled(node.attrs[name], factors)
        if "clip" in node.attrs:
            node.attrs["clip"] = tuple(_scaled(limit, factors) for limit in node.attrs["clip"])
    for node in one.readers:
        groups, per_group = node.attrs["groups"], node.weight.shape[1]
        taken = np.repeat(factors.reshape(groups, per_group), len(node.weight) // groups, axis=0)
        node.weight = node.weight / taken[:, :, None, None]


def _scaled(limit, factors: np.ndarray):
    """A clip's limit times the factor of each channel; 0 and infinity stay single numbers."""
    return limit if limit == 0 or math.isinf(limit) else limit * factors
