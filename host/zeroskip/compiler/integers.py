"""Integer parameters of float nodes: what every operator of ``runtime/nodes.py`` is given besides its weights.

Convolutions whose scales zeroskip chooses are in ``quantise.py``; here are all other operators, and
the convolutions that come with integers of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..runtime import nodes as runtime
from ..runtime.hostops import DIVIDE_SHIFT, FRACTION, SOFTMAX_LEVELS, SOFTMAX_ONE, SUM_LIMIT, Quant
from .functions import apply
from .graph import Node, lrn_factor
from .quantise import WEIGHT_MAX, clip_bounds, factors

_LISTS = {
    "max_pool": ("kernel", "stride", "padding", "dilation"),
    "average_pool": ("kernel", "stride", "padding", "dilation"),
    "pad": ("padding",),
    "slice": ("start", "stop", "step"),
    "reshape": ("shape",),
    "transpose": ("perm",),
    "concat": ("axis",),
    "softmax": ("axis",),
    "log_softmax": ("axis",),
    "argmax": ("axis", "keepdims", "last"),
    "integer_softmax": ("axis",),
}
"""Operator -> attributes that the integer node has just like the float node."""

LRN_BITS = 16
"""Bits of the places in an LRN's table."""

_BIAS_ERROR = 1 / 16
"""Steps of the output by which rounding a float bias may move it, if smaller steps can be had."""

_BIAS_WARNING = 0.5
"""Steps of the output from which on the user is told: a result may then be off by more than one."""

_BIAS_TOLERANCE = 1e-3
"""How far a given bias may be from its float value, relative to it, through rounded scales."""


def integer_node(node: Node, quants: Mapping[str, Quant]) -> runtime.Node:
    """The integer form of any node but a convolution.

    Raises:
        ModelError: scales too far apart for 31-bit factors.
    """
    attrs = {key: node.attrs[key] for key in _LISTS.get(node.op, ())}
    x, y = [quants[name] for name in node.inputs], quants[node.output]
    more, arrays = _PARAMETERS[node.op](node, x, y) if node.op in _PARAMETERS else ({}, {})
    op = "table" if node.op == "quantise" else node.op
    return runtime.Node(op, node.name, node.label, tuple(node.inputs), node.output, {**attrs, **more}, arrays)


def _clip(node: Node, x, y):
    return clip_bounds(replace(node, attrs={"clip": (node.attrs["low"], node.attrs["high"])}), y), {}


def _table(node: Node, x, y):
    """Every q the input may have, through the chain in float64; one row, or one for each channel."""
    real = ((np.arange(x[0].low, x[0].high + 1) - x[0].zero_point) * x[0].scale)[None]
    slope = None if node.weight is None else node.weight.reshape(-1, 1)
    with np.errstate(all="ignore"):
        values = apply(node.attrs.get("chain", ()), real, slope)
    return {}, {"table": y.quantise(np.where(np.isnan(values), 0, values))}  # an infinite one saturates


def _add(node: Node, x, y):
    scales = np.array([quant.scale for quant in x]) / y.scale
    # One shift for both, that of the larger factor: the smaller keeps the same absolute precision.
    _, shift = factors(node, scales)
    shift = int(shift.min())
    multiplier = np.rint(np.ldexp(scales, shift)).clip(0, 2**31 - 1) * node.attrs["signs"]
    return {**clip_bounds(node, y), "shift": shift}, {"multiplier": multiplier.astype(np.int32)}


def _mul(node: Node, x, y):
    multiplier, shift = factors(node, np.array([x[0].scale * x[1].scale / y.scale]))
    return clip_bounds(node, y), {"multiplier": multiplier, "shift": shift}


def _div(node: Node, x, y):
    factor = x[0].scale / x[1].scale / y.scale
    multiplier, shift = factors(node, np.array([factor]))
    coarser = max(int(shift[0]) - DIVIDE_SHIFT, 0)  # bits a tiny factor has to do without
    return {}, {"multiplier": multiplier >> coarser, "shift": shift - coarser}


def _normalise(node: Node, x, y):
    epsilon = max(node.attrs["epsilon"], 1e-30) * (node.attrs["count"] / x[0].scale) ** 2
    return {}, {"gain": node.weight / y.scale, "offset": node.bias / y.scale, "epsilon": np.array([epsilon])}


def _lrn(node: Node, x, y):
    size, reach = node.attrs["size"], x[0].reach
    largest = size * reach**2
    coarse = max(0, largest.bit_length() - LRN_BITS)
    places = ((largest + ((1 << coarse) >> 1)) >> coarse) + 1
    squares = np.arange(places, dtype=np.float64) * 2.0**coarse
    values = lrn_factor(node, squares * x[0].scale ** 2) * x[0].scale / y.scale
    _, shift = factors(node, values)
    shift = int(shift.min())
    multiplier = np.rint(np.ldexp(values, shift)).clip(0, 2**31 - 1).astype(np.int32)
    return {"size": size, "coarse": coarse, "shift": shift}, {"table": multiplier}


def _constant(node: Node, x, y):
    return {}, {"value": y.quantise(node.weight)}


def _one_factor_each(node: Node, x, y):
    multiplier, shift = factors(node, np.array([quant.scale for quant in x]) / y.scale)
    return {}, {"multiplier": multiplier, "shift": shift}


def _average_pool(node: Node, x, y):
    multiplier, shift = factors(node, node.weight * x[0].scale / y.scale)
    return clip_bounds(node, y), {"multiplier": multiplier, "shift": shift}


def _resize(node: Node, x, y):
    places = {key: node.attrs[key].copy() for key in ("rows", "columns")}
    for place in places.values():
        place[2] *= FRACTION
    return {}, {key: np.rint(place).astype(np.int32) for key, place in places.items()}


def _integer_softmax(node: Node, x, y):
    distance = np.arange(x[0].high - x[0].low + 1) * x[0].scale
    levels = round(SOFTMAX_LEVELS / y.scale)
    if not 1 <= levels < 2**40:
        raise ModelError(f"{node.label} node {node.name!r}: scale {y.scale:g} of its output; accepted: above 2**-24")
    table = np.rint(SOFTMAX_ONE * np.exp(-distance)).astype(np.int32)
    return {}, {"table": table, "levels": np.array([levels], np.int64)}


_PARAMETERS = {
    "clip": _clip,
    "table": _table,
    "quantise": _table,
    "add": _add,
    "mul": _mul,
    "div": _div,
    "max": _one_factor_each,
    "min": _one_factor_each,
    "where": lambda node, x, y: _one_factor_each(node, x[1:], y),
    "constant": _constant,
    "normalise": _normalise,
    "lrn": _lrn,
    "concat": _one_factor_each,
    "average_pool": _average_pool,
    "resize": _resize,
    "integer_softmax": _integer_softmax,
}
"""Operator -> function (node, quants of its inputs, of its output) -> more attributes, arrays."""


def given_integers(node: Node, x: Quant, y: Quant):
    """Integer parameters of a convolution that brings its own weights and scales.

    The bias is taken as it is when its scale is that of the sums; else it is rounded to it.  Where that would move
    outputs by more than a sixteenth of a step (coarse weights and a float bias), weights and bias are multiples of the
    file's: the smallest that does not, within int8.

    Returns:
        weights int8 (K, C/groups, R, S); arrays bias int32 (K,), multiplier int32 (K,), shift int8 (K,).

    Raises:
        ModelError: a sum could exceed 32 bits.
    """
    given = node.given
    rows = np.abs(given.weights.astype(np.float64)).reshape(len(given.scales), -1)
    # A filter without weights has any scale: one that resolves its bias.
    unit = x.scale * np.where(rows.any(axis=1), given.scales, y.scale / x.scale * 2**-16)
    weights = given.weights
    if given.bias is not None and np.allclose(given.bias_scales, unit, rtol=_BIAS_TOLERANCE, atol=0):
        bias = given.bias
    else:
        times, moved = _multiples(node.bias / unit, unit / y.scale, rows, x.reach)
        if moved.max() > _BIAS_WARNING:
            warnings.warn(
                f"{node.label} node {node.name!r}: its float bias is finer than its weights' scale; rounding it moves "
                f"outputs by up to {moved.max():.1f} steps. Quantise the bias in the file, or use finer weights",
                stacklevel=2,
            )
        weights = (weights * times.reshape(-1, 1, 1, 1)).astype(np.int8)
        rows, unit = rows * times[:, None], unit / times
        bias = np.rint(node.bias / unit)
    reach = rows.sum(axis=1) * x.reach + np.abs(bias)
    if not reach.max() < SUM_LIMIT:
        raise ModelError(
            f"{node.label} node {node.name!r}: a sum could reach {reach.max():.3g} with the file's own weights and "
            f"bias; accepted: below 2**31. Quantise the network with smaller weights (reduce_range)"
        )
    multiplier, shift = factors(node, unit / y.scale)
    return weights, {"bias": bias.astype(np.int32), "multiplier": multiplier, "shift": shift}


def _multiples(bias: np.ndarray, factor: np.ndarray, rows: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """What to multiply each filter's weights with, so that its bias can be whole.

    Args:
        bias: float (K,), in units of the sums.
        factor: float (K,), output steps of one unit.
        rows: magnitudes of the weights, (K, weights of a filter).
        reach: largest magnitude of an activation.

    Returns:
        int64 (K,), and by how many output steps rounding the bias still moves a result, float (K,).
    """
    best, error = np.ones(len(bias), np.int64), np.full(len(bias), np.inf)
    largest, total = rows.max(axis=1, initial=1), rows.sum(axis=1) * reach + np.abs(bias) + 1
    for times in range(1, WEIGHT_MAX + 1):
        left = np.abs(bias * times - np.rint(bias * times)) * factor / times
        fits = (times == 1) | ((largest * times <= WEIGHT_MAX) & (total * times < SUM_LIMIT))
        better = fits & (error > _BIAS_ERROR) & (left < error)
        best[better], error[better] = times, left[better]
    return best, error
