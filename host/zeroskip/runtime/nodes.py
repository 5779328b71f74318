"""Nodes of a quantised network: what each computes, and what a well-formed one looks like.

A node is data (attributes that JSON can hold, NumPy arrays, for a convolution its compiled plan).
:func:`compute` is the only interpreter; :func:`check` refuses what a file could hold but
:func:`compute` could not execute, so a file from a stranger cannot do harm.

=============  =====================================================  ====================================
operator       attributes                                             arrays
=============  =====================================================  ====================================
conv           low, high                                              bias int32 (K,), multiplier int32
                                                                      (K,), shift int8 (K,); the plan
add            low, high, shift                                       multiplier int32 (2,)
clip           low, high
max_pool       kernel, stride, padding, dilation
average_pool   kernel, stride, padding, dilation, low, high           multiplier int32, shift int8, (OH,
                                                                      OW) or (1, 1)
reshape        shape
softmax                                                               (float, at the very end)
=============  =====================================================  ====================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from . import hostops
from .hostops import MAX_SHIFT, SUM_LIMIT, Quant, out_size
from .program import ConvPlan

MAX_ELEMENTS = 2**28
"""Elements of one image's tensor, padding included, that a node may have."""

_WINDOW = {"kernel": 2, "stride": 2, "padding": 4, "dilation": 2}
_FIELDS = {
    "conv": ({}, {"low", "high"}, {"bias": np.int32, "multiplier": np.int32, "shift": np.int8}),
    "add": ({}, {"low", "high", "shift"}, {"multiplier": np.int32}),
    "clip": ({}, {"low", "high"}, {}),
    "max_pool": (_WINDOW, set(), {}),
    "average_pool": (_WINDOW, {"low", "high"}, {"multiplier": np.int32, "shift": np.int8}),
    "reshape": ({"shape": None}, set(), {}),
    "softmax": ({}, set(), {}),
}
"""Operator -> (attributes that are lists, attributes that are integers, arrays)."""


@dataclass(frozen=True)
class Tensor:
    """Shape without the batch, and what its integers mean."""

    shape: tuple[int, ...]
    quant: Quant


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of a quantised network; ``label`` is the ONNX operator it came from."""

    op: str
    name: str
    label: str
    inputs: tuple[str, ...]
    output: str
    attrs: Mapping = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    plan: ConvPlan | None = None


Convolve = Callable[[Node, np.ndarray], np.ndarray]
"""(node, int16 (N, C, H, W)) -> int32 sums (N, K, OH, OW): the engine, or the golden model."""


def compute(node: Node, tensors: Mapping[str, Tensor], inputs: list[np.ndarray], convolve: Convolve) -> np.ndarray:
    """The node's output q from its inputs' q, each (N, *shape)."""
    a, arrays, x = node.attrs, node.arrays, inputs[0]
    x_quant, quant = tensors[node.inputs[0]].quant, tensors[node.output].quant
    if node.op == "conv":
        signed = np.subtract(x, x_quant.zero_point, dtype=np.int16)
        sums = convolve(node, signed if x.ndim == 4 else signed[:, :, None, None]).astype(np.int64)
        bias, multiplier, shift = (arrays[key].reshape(1, -1, 1, 1) for key in ("bias", "multiplier", "shift"))
        sums += bias
        return hostops.requantise(sums, multiplier, shift, quant, a["low"], a["high"]).reshape(
            len(x), *tensors[node.output].shape
        )
    if node.op == "add":
        other = tensors[node.inputs[1]].quant
        pair = [int(m) for m in arrays["multiplier"]]
        return hostops.add(x, inputs[1], x_quant, other, pair, a["shift"], quant, a["low"], a["high"])
    if node.op == "clip":
        return np.clip(x, a["low"], a["high"])
    if node.op == "reshape":
        return x.reshape(len(x), *a["shape"])
    window = a["kernel"], a["stride"], a["padding"], a["dilation"]
    if node.op == "max_pool":
        return hostops.max_pool(x, *window)
    scale = arrays["multiplier"], arrays["shift"]
    return hostops.average_pool(x, x_quant, *window, *scale, quant, a["low"], a["high"])


def check(node: Node, tensors: Mapping[str, Tensor]) -> None:
    """Check one node against its tensors.

    Raises:
        ValueError: what is wrong; the caller knows the file and the node's name.
    """
    _need(node.op in _FIELDS, f"unknown operator {node.op!r}")
    lists, integers, arrays = _FIELDS[node.op]
    a = node.attrs
    _need(set(a) == set(lists) | integers, f"attributes {sorted(a)}")
    _need(all(_is_integer(a[key]) for key in integers), "an attribute is not an integer")
    for key, length in lists.items():
        _need(isinstance(a[key], tuple) and all(map(_is_integer, a[key])), f"{key} is not a list of integers")
        _need(length in (None, len(a[key])), f"{key} has {len(a[key])} values")
    _need(set(node.arrays) == set(arrays), f"arrays {sorted(node.arrays)}")
    for key, dtype in arrays.items():
        _need(node.arrays[key].dtype == dtype, f"{key} is {node.arrays[key].dtype}")
    _need(len(node.inputs) == (2 if node.op == "add" else 1), f"{len(node.inputs)} inputs")
    _need((node.plan is not None) == (node.op == "conv"), "a plan in the wrong place")
    x, y = tensors[node.inputs[0]], tensors[node.output]
    if "low" in integers:
        _need(y.quant.low <= a["low"] <= a["high"] <= y.quant.high, f"clips to {a['low']}..{a['high']}")
    if node.op in ("max_pool", "clip", "reshape", "softmax"):
        _need(x.quant == y.quant, "input and output differ in scale")
    _need(y.shape == _SHAPES[node.op](node, tensors, x), f"output of shape {y.shape}")
    if arrays:
        shift = node.arrays.get("shift", np.array(a.get("shift", 1)))
        _need(node.arrays["multiplier"].min() >= 0, "a negative multiplier")
        _need(shift.min() >= 1 and shift.max() <= MAX_SHIFT, "a shift out of range")


def _need(condition, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_ELEMENTS


def _conv_shape(node: Node, tensors, x: Tensor) -> tuple[int, ...]:
    plan = node.plan
    filters, per_group = plan.weights.shape[:2]
    _need(len(x.shape) in (1, 3) and x.shape[0] == per_group * plan.groups and plan.weights.size, f"input {x.shape}")
    _need(plan.groups >= 1 and filters % plan.groups == 0, f"{plan.groups} groups")
    _need(plan.parts, "a plan without schedules")
    _need(all(array.shape == (filters,) for array in node.arrays.values()), "parameters not one per filter")
    _need(x.quant.reach <= plan.config.act_max, "activations the engine does not hold")
    _need(x.quant.dtype != "int16" or x.quant.zero_point == 0, "a 16-bit zero point")
    reach = np.abs(plan.weights.astype(np.int64)).reshape(filters, -1).sum(axis=1) * x.quant.reach
    reach += np.abs(node.arrays["bias"].astype(np.int64))
    _need(reach.max() < SUM_LIMIT, "sums beyond 32 bits")
    _window(x.shape if len(x.shape) == 3 else (x.shape[0], 1, 1), plan.weights.shape[2:], plan.padding, plan.dilation)
    if len(x.shape) == 1:
        _need(plan.output_size(1, 1) == (1, 1), "a matrix product with a window")
        return (filters,)
    return (filters, *plan.output_size(*x.shape[1:]))


def _add_shape(node: Node, tensors, x: Tensor) -> tuple[int, ...]:
    _need(tensors[node.inputs[1]].shape == x.shape, "inputs of different shapes")
    _need(node.arrays["multiplier"].shape == (2,), "multipliers for other than two inputs")
    return x.shape


def _pool_shape(node: Node, tensors, x: Tensor) -> tuple[int, ...]:
    a = node.attrs
    _need(len(x.shape) == 3, f"input {x.shape}")
    _need(min(*a["kernel"], *a["stride"], *a["dilation"]) >= 1, "kernel, stride or dilation below 1")
    _window(x.shape, a["kernel"], a["padding"], a["dilation"])
    sizes = zip(x.shape[1:], a["kernel"], a["stride"], a["padding"][:2], a["padding"][2:], a["dilation"], strict=True)
    shape = (x.shape[0], *(out_size(*size) for size in sizes))
    if node.op == "average_pool":
        _need(math.prod(a["kernel"]) * x.quant.reach < SUM_LIMIT, "sums beyond 32 bits")
        _need(
            all(array.shape in ((1, 1), shape[1:]) for array in node.arrays.values()), "parameters not one per window"
        )
    return shape


def _window(shape, kernel, padding, dilation) -> None:
    rows, columns = shape[1] + padding[0] + padding[2], shape[2] + padding[1] + padding[3]
    _need(min(padding) >= 0 and shape[0] * rows * columns <= MAX_ELEMENTS, f"padding {padding}")
    fits = (kernel[0] - 1) * dilation[0] < rows and (kernel[1] - 1) * dilation[1] < columns
    _need(fits, f"a window of {kernel} on a map of {rows}x{columns}")


def _reshape_shape(node: Node, tensors, x: Tensor) -> tuple[int, ...]:
    _need(math.prod(node.attrs["shape"]) == math.prod(x.shape), f"input {x.shape}")
    return node.attrs["shape"]


_SHAPES = {
    "conv": _conv_shape,
    "add": _add_shape,
    "clip": lambda node, tensors, x: x.shape,
    "max_pool": _pool_shape,
    "average_pool": _pool_shape,
    "reshape": _reshape_shape,
    "softmax": lambda node, tensors, x: x.shape,
}
"""Operator -> function that checks the rest and returns the output's shape."""
