"""Quantisation: scales of weights and activations, and the integers that follow from them.

Weights are symmetric int8, per tensor or per channel.  The scale rule decides how many of them are
outliers, hence how fast the network runs (``docs/numerics.md``); activations are calibrated on
images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, ModelError
from ..runtime.hostops import SUM_LIMIT, Quant, fixed_points
from .conv import clipped
from .graph import PICKING, Graph, Node

SCALE_RULES = ("mse", "max_abs", "power_of_two", "percentile")
PER = ("tensor", "channel")
WEIGHT_MAX = 127
NON_OUTLIER_MAX = 7
BIAS_MAX = 2**30
HEADROOM = 4
"""Times the range that calibration saw of the network's output, as int16: other images may go further, and the steps
are still 64 times finer than 8 bits."""
PRUNED_FILTER = 16
"""Weights a filter must have to be pruned: not depthwise 3x3."""


@dataclass(frozen=True)
class Rule:
    """How the weights of a layer are quantised; see :func:`weight_scales` and Kang et al., equation 1 (``clip``)."""

    rule: str = "mse"
    per: str = "channel"
    percentile: float = 97
    clip: int = 0

    def scales(self, w: np.ndarray, power: np.ndarray | None = None) -> np.ndarray:
        """float64 (K,), see :func:`weight_scales`."""
        return weight_scales(w, self.rule, self.per, self.percentile, power)

    def __str__(self) -> str:
        number = f" {self.percentile:g}" if self.rule == "percentile" else ""
        return f"{self.rule}{number} per {self.per}" + (f", clip {self.clip}" if self.clip else "")


PLAIN = Rule("mse", "channel")
"""Plain 8-bit quantisation, the default: the most accurate rule, and the slowest."""

SHARES = np.linspace(0.5, 1.0, 26)
"""Of the largest weight: what rule mse lets 127 stand for, each tried."""


def weight_scales(
    w: np.ndarray, rule: str = "mse", per: str = "channel", percentile: float = 97, power: np.ndarray | None = None
) -> np.ndarray:
    """Scale of every filter.

    Rules, m = largest magnitude, over the tensor or over each filter:

    * ``mse``: m / 127 or less, down to half of that, whichever makes the error of the rounded weights least;
      each weight's squared error counts as often as the mean square of its input says;
    * ``max_abs``: m / 127, nothing saturates;
    * ``power_of_two``: the smallest power of two not below m / 127;
    * ``percentile``: the given percentile of the non-zero magnitudes becomes 7, the largest
      non-outlier, so that few weights are outliers; what exceeds 127 saturates.

    Args:
        w: float (K, C/groups, R, S).
        power: float (groups, C/groups * R * S), mean squares of what the weights meet; default, all alike.

    Returns:
        float64 (K,); 0 where a filter (or the whole tensor) has no non-zero weight.
    """
    rows = np.abs(w.reshape(1 if per == "tensor" else len(w), -1))
    largest = rows.max(axis=1)
    if rule == "mse":
        scales = _least_error(w, largest / WEIGHT_MAX, power)
    elif rule == "max_abs":
        scales = largest / WEIGHT_MAX
    elif rule == "power_of_two":
        scales = np.array([math.ldexp(1.0, _log2_ceil(m / WEIGHT_MAX)) if m > 0 else 0.0 for m in largest])
    elif rule == "percentile":
        scales = _percentiles(rows, percentile) / NON_OUTLIER_MAX
    else:
        raise InputError(f"scale rule {rule!r}; accepted: {', '.join(SCALE_RULES)}")
    return np.broadcast_to(scales, (len(w),)).astype(np.float64)


def _least_error(w: np.ndarray, scales: np.ndarray, power: np.ndarray | None) -> np.ndarray:
    """Of each scale the share of :data:`SHARES` with the least squared error; of equals the largest."""
    rows = w.reshape(len(w), -1).astype(np.float32)
    counts = np.ones_like(rows)
    if power is not None:
        counts = np.repeat(power, len(w) // len(power), axis=0).astype(np.float32)
        counts = counts + 1e-3 * counts.mean(axis=1, keepdims=True) + np.float32(1e-30)
    errors = []
    for share in SHARES:
        step = np.where(scales > 0, scales * share, 1.0).astype(np.float32)[:, None]
        error = np.square(np.clip(np.rint(rows / step), -WEIGHT_MAX, WEIGHT_MAX) * step - rows)
        errors.append((error * counts).sum(axis=1).reshape(len(scales), -1).sum(axis=1))
    errors = np.array(errors)
    whole = (np.square(rows) * counts).sum(axis=1).reshape(len(scales), -1).sum(axis=1)
    # What is nearly exact already, such as a filter of one weight, stays exact.
    gains = errors < np.minimum(0.99 * errors[-1], errors[-1] - 1e-9 * whole)
    best = np.where(gains.any(axis=0), errors.argmin(axis=0), len(SHARES) - 1)
    return scales * SHARES[best]


def _percentiles(rows: np.ndarray, percentile: float) -> np.ndarray:
    """Percentile of the positive entries of each row, interpolated as ``np.percentile`` does; 0 for a row of zeros."""
    ordered = np.sort(rows, axis=1)
    zeros = (ordered <= 0).sum(axis=1)
    place = zeros + (ordered.shape[1] - 1 - zeros) * (percentile / 100)
    low = np.minimum(place.astype(np.int64), ordered.shape[1] - 1)
    high = np.minimum(low + 1, ordered.shape[1] - 1)
    at = np.arange(len(rows))
    found = ordered[at, low] + (ordered[at, high] - ordered[at, low]) * (place - low)
    return np.where(zeros < ordered.shape[1], found, 0.0)


def _log2_ceil(x: float) -> int:
    mantissa, exponent = math.frexp(x)
    return exponent - 1 if mantissa == 0.5 else exponent


def quantise_weights(w: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """int8 weights: divide, round half to even, saturate to [-127, 127]; a scale of 0 gives 0."""
    safe = np.where(scales > 0, scales, 1.0).reshape(-1, *[1] * (w.ndim - 1))
    return np.clip(np.rint(w / safe), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)


def prune(w: np.ndarray, share: float) -> np.ndarray:
    """Set the given share of a layer's weights, the smallest by magnitude, to zero."""
    count = round(share * w.size)
    if not count:
        return w
    pruned = w.copy()
    pruned.ravel()[np.argsort(np.abs(w), axis=None, kind="stable")[:count]] = 0
    return pruned


def prune_graph(graph: Graph, share: float, images: np.ndarray) -> None:
    """Prune every layer of a network; its biases make up for the mean of what is missing, as seen on images.

    Layers that bring integers of their own, and filters with few weights, which can spare none, stay as they are.
    """
    means: dict[str, list[np.ndarray]] = {}
    layers = [n for n in graph.nodes if n.op == "conv" and not n.given and n.weight[0].size >= PRUNED_FILTER]
    wanted = {node.inputs[0] for node in layers}

    def observe(name: str, values: np.ndarray) -> None:
        if name in wanted:
            axes = tuple(axis for axis in range(values.ndim) if axis != 1)
            means.setdefault(name, []).append(values.mean(axis=axes, dtype=np.float64) * len(values))

    for start in range(0, len(images), graph.batch):
        graph.run(images[start : start + graph.batch], observe)
    for node in layers:
        pruned = prune(node.weight, share)
        groups, filters = node.attrs["groups"], len(pruned)
        channels = (np.sum(means[node.inputs[0]], axis=0) / len(images)).reshape(groups, 1, -1)
        missing = (node.weight - pruned).sum(axis=(2, 3)).reshape(groups, filters // groups, -1)
        node.bias = node.bias + (missing * channels).sum(axis=2).ravel()
        node.weight = pruned


# -- activations -------------------------------------------------------------------------------------
def calibrate(
    graph: Graph, images: np.ndarray, percentile: float = 100.0, batch: int | None = None, watch=None
) -> dict[str, tuple[float, float]]:
    """Ranges of every tensor when the float network sees ``images``.

    Args:
        images: float (N, *input shape).
        percentile: 100 takes minimum and maximum; less leaves out that share of extreme values at
            each end, within each batch.
        batch: images at a time; default, what memory allows.
        watch: called with (tensor name, values) for every tensor, too.

    Returns:
        tensor name -> (lowest, highest), 0 always included.

    Raises:
        ModelError: a tensor is not finite, or beyond the range of float32.
    """
    ranges: dict[str, tuple[float, float]] = {}
    batch = batch or graph.batch

    def observe(name: str, values: np.ndarray) -> None:
        if percentile >= 100:
            low, high = float(values.min()), float(values.max())
        else:
            low, high = (float(v) for v in np.percentile(values, (100 - percentile, percentile)))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ModelError(f"tensor {name!r} is not finite on the calibration images: the network overflows float32")
        before = ranges.get(name, (0.0, 0.0))
        ranges[name] = (min(before[0], low), max(before[1], high))
        if watch:
            watch(name, values)

    with np.errstate(all="ignore"):
        for start in range(0, len(images), batch):
            graph.run(images[start : start + batch], observe)
    return ranges


def activation_quant(low: float, high: float, dtype: str) -> Quant:
    """Quantisation of a tensor with values in [low, high], low <= 0 <= high: zero is exact.

    uint8 is asymmetric (zero point 0 after a ReLU); int16 symmetric with zero point 0.
    """
    if dtype == "int16":
        return Quant(_positive(max(high, -low) / 32767), 0, dtype)
    scale = _positive((high - low) / 255)
    return Quant(scale, min(255, max(0, round(-low / scale))), dtype)


def _positive(scale: float) -> float:
    return scale if scale > 1e-30 else 1.0


def quantise_graph(graph: Graph, ranges, hidden: str) -> dict[str, Quant]:
    """Quantisation of every tensor.

    Args:
        ranges: from :func:`calibrate`.
        hidden: type of the tensors the engine reads.  The network's output is int16 where its
            operator rescales anyway, so that no precision is lost at the end.

    Returns:
        tensor name -> Quant: the file's own where it gives one (``Graph.quants``).  Pools, clips and
        reshapes that only pick values share their input's.
    """
    quants = dict(graph.quants)
    if graph.input not in quants:
        quants[graph.input] = activation_quant(*ranges[graph.input], hidden)
    tail = _tail(graph)
    for node in graph.nodes:
        if node.op in PICKING:
            quants[node.output] = quants[node.inputs[0]]
        elif node.output not in quants:
            low, high = ranges[node.output]
            if node.output in tail:
                quants[node.output] = activation_quant(HEADROOM * low, HEADROOM * high, "int16")
            else:
                quants[node.output] = activation_quant(low, high, hidden)
    return quants


def _tail(graph: Graph) -> set[str]:
    """The outputs and the tensors they are merely picked from, as long as nothing else reads them."""
    producers, readers = graph.links()
    tail = set()
    for name in graph.output_tensors:
        allowed = 0
        while len(readers[name]) == allowed:
            tail.add(name)
            node, allowed = producers.get(name), 1
            if node is None or node.op not in PICKING:
                break
            name = node.inputs[0]
    return tail


# -- integers of a layer -----------------------------------------------------------------------------
def clip_bounds(node: Node, quant: Quant) -> dict[str, int]:
    """Saturation bounds on q of a node with a fused clip: attributes low and high."""
    low, high = node.attrs.get("clip", (-math.inf, math.inf))
    return {"low": _bound(node, low, quant), "high": _bound(node, high, quant)}


def _bound(node: Node, value, quant: Quant) -> int:
    """The bound that all channels share: equalisation leaves their own limits at or beyond the end of the range."""
    values = np.ravel(value)
    if np.isinf(values).any():
        return quant.low if values[0] < 0 else quant.high
    bounds = (np.rint(values / quant.scale) + quant.zero_point).clip(quant.low, quant.high)
    if bounds.max() - bounds.min() > 1:
        raise ModelError(f"{node.label} node {node.name!r}: clips at {values.min():g} to {values.max():g}, one for "
                         f"each channel, inside the range of its output; accepted: at its end")  # fmt: skip
    return int(bounds.max() if values[0] > 0 else bounds.min())


def factors(node: Node, values) -> tuple[np.ndarray, np.ndarray]:
    """Fixed-point multipliers (int32) and shifts (int8) of rescaling factors, of their shape.

    Raises:
        ModelError: a factor is 2**30 or more, naming the node.
    """
    try:
        multiplier, shift = fixed_points(values)
    except ValueError as error:
        raise ModelError(f"{node.label} node {node.name!r}: {error}; its scales differ too much") from error
    return multiplier.astype(np.int32), shift.astype(np.int8)


def conv_integers(
    node: Node, x: Quant, y: Quant, scales: np.ndarray, weights: np.ndarray | None = None, clip=0, correction=None
):
    """Integer parameters of a convolution.

    Args:
        scales: float64 (K,), of the weights; 0 where a filter has none.
        weights: int8, the node's weights in steps of ``scales``; default, rounded to the nearest.
        clip: threshold of equation 1, one or (K,).
        correction: float (K,), what is added to the bias.

    Returns:
        weights int8 (K, C/groups, R, S); arrays bias int32 (K,), multiplier int32 (K,), shift int8 (K,).

    Raises:
        ModelError: a sum could exceed 32 bits.
    """
    w, real_bias = node.weight, node.bias if correction is None else node.bias + correction
    # A filter without weights still has a bias: resolve it to 2**-16 of an output step.
    given, scales = scales, np.where(scales > 0, scales, y.scale / x.scale * 2**-16)
    # Next to a huge bias tiny weights cannot be told from zero: coarsen them until the bias fits.
    scales = np.maximum(scales, np.abs(real_bias) / (x.scale * BIAS_MAX))
    nearest = clipped(quantise_weights(w, scales), np.reshape(clip, (-1, 1, 1, 1)))
    weights = nearest if weights is None else np.where((scales == given).reshape(-1, 1, 1, 1), weights, nearest)
    bias = np.rint(real_bias / (x.scale * scales)).astype(np.int64)
    reach = np.abs(weights.astype(np.int64)).reshape(len(w), -1).sum(axis=1) * x.reach + np.abs(bias)
    if reach.max() >= SUM_LIMIT:
        raise ModelError(
            f"{node.label} node {node.name!r}: a sum could reach {reach.max()}; accepted: below 2**31. "
            f"Use 8-bit activations or a scale rule with smaller weights (percentile)"
        )
    multiplier, shift = factors(node, x.scale * scales / y.scale)
    return weights, {"bias": bias.astype(np.int32), "multiplier": multiplier, "shift": shift}
