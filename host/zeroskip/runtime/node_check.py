"""What a well-formed node of a quantised network looks like: the guard between a file and ``nodes.compute``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..engines import engine_of
from ..hardware.packets import FORMAT_S16, FORMAT_U8
from .hostops import DIVIDE_SHIFT, FRACTION, MAX_SHIFT, SOFTMAX_AXIS, SOFTMAX_ONE, SUM_LIMIT, out_size
from .nodes import ENDS, Node, Tensor
from .normalise import MAX_WINDOW
from .program import ConvPlan, blocks_of

MAX_ELEMENTS = 2**28
"""Elements of one image's tensor, padding included, that a node may have."""

MAX_BEATS = 2**25
"""Words of 64 bits that one image's input to a layer may take as an engine's columns: 256 MiB."""

_WINDOW = {"kernel": 2, "stride": 2, "padding": 4, "dilation": 2}
_SCALE = {"multiplier": np.int32, "shift": np.int8}
_BOUNDS = {"low", "high"}
_FIELDS = {
    "conv": ({}, _BOUNDS, {"bias": np.int32, **_SCALE}),
    "add": ({}, {*_BOUNDS, "shift"}, {"multiplier": np.int32}),
    "mul": ({}, _BOUNDS, _SCALE),
    "div": ({}, set(), _SCALE),
    "max": ({}, set(), _SCALE),
    "min": ({}, set(), _SCALE),
    "where": ({}, set(), _SCALE),
    "constant": ({}, set(), {"value": None}),
    "normalise": ({}, set(), dict.fromkeys(("gain", "offset", "epsilon"), np.float64)),
    "lrn": ({}, {"size", "coarse", "shift"}, {"table": np.int32}),
    "concat": ({}, {"axis"}, _SCALE),
    "clip": ({}, _BOUNDS, {}),
    "table": ({}, set(), {"table": None}),
    "max_pool": (_WINDOW, set(), {}),
    "average_pool": (_WINDOW, _BOUNDS, _SCALE),
    "resize": ({}, set(), {"rows": np.int32, "columns": np.int32}),
    "pad": ({"padding": None}, set(), {}),
    "slice": ({"start": None, "stop": None, "step": None}, set(), {}),
    "reshape": ({"shape": None}, set(), {}),
    "transpose": ({"perm": None}, set(), {}),
    "integer_softmax": ({}, {"axis"}, {"table": np.int32, "levels": np.int64}),
    "softmax": ({}, {"axis"}, {}),
    "log_softmax": ({}, {"axis"}, {}),
    "argmax": ({}, {"axis", "keepdims", "last"}, {}),
}
"""Operator -> (attributes that are lists, with their length; attributes that are integers; arrays, with their type)."""

_PAIRS = ("add", "mul", "div", "max", "min")
_SAME_QUANT = ("max_pool", "clip", "resize", "pad", "slice", "reshape", "transpose", *ENDS)


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
        _need(dtype is None or node.arrays[key].dtype == dtype, f"{key} is {node.arrays[key].dtype}")
    count = {**dict.fromkeys(_PAIRS, 2), "where": 3, "concat": max(1, len(node.inputs))}.get(node.op, 1)
    _need(len(node.inputs) == count, f"{len(node.inputs)} inputs")
    _need((node.plan is not None) == (node.op == "conv"), "a plan in the wrong place")
    x, y = [tensors[name] for name in node.inputs], tensors[node.output]
    if "low" in integers:
        _need(y.quant.low <= a["low"] <= a["high"] <= y.quant.high, f"clips to {a['low']}..{a['high']}")
    if node.op in _SAME_QUANT:
        _need(x[0].quant == y.quant, "input and output differ in scale")
    _need(y.shape == _SHAPES[node.op](node, *x, y), f"output of shape {y.shape}")
    if "multiplier" in arrays:
        shift = node.arrays.get("shift", np.array(a.get("shift", 1)))
        _need(node.op == "add" or node.arrays["multiplier"].min() >= 0, "a negative multiplier")
        _need(shift.min() >= 1 and shift.max() <= MAX_SHIFT, "a shift out of range")


def _need(condition, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_ELEMENTS


# -- shapes ------------------------------------------------------------------------------------------
def _conv(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
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
    maps = x.shape if len(x.shape) == 3 else (x.shape[0], 1, 1)
    _window(maps, plan.weights.shape[2:], plan.padding, plan.dilation)
    beats = _stream_beats(plan, x, *maps[1:])
    _need(beats <= MAX_BEATS, f"a map of {beats:,} words of 64 bits as the engine takes it; accepted: {MAX_BEATS:,}")
    if len(x.shape) == 1:
        _need(plan.output_size(1, 1) == (1, 1), "a matrix product with a window")
        return (filters,)
    return (filters, *plan.output_size(*x.shape[1:]))


def _stream_beats(plan: ConvPlan, x: Tensor, height: int, width: int) -> int:
    """Words that one image takes as the engine's columns, or places of its padded map, if those are more."""
    top, left, bottom, right = plan.padding
    rows, columns = plan.output_size(height, width) if plan.blocking == "folded" else (height, plan.columns(width))
    wide = FORMAT_S16 if x.quant.dtype == "int16" or not engine_of(plan.config).takes_bytes else FORMAT_U8
    beats = (rows * columns + 1) * sum(blocks_of(plan)) * plan.config.column_beats(wide)
    return max(beats, (height + top + bottom) * (width + left + right))


def _pair(node: Node, a: Tensor, b: Tensor, y: Tensor) -> tuple[int, ...]:
    _need(len(a.shape) == len(b.shape), "inputs of different ranks")
    expected = 2 if node.op in ("add", "max", "min") else 1
    _need(all(array.shape == (expected,) for array in node.arrays.values()), "parameters of a wrong number")
    _need(node.op != "mul" or a.quant.reach * b.quant.reach < SUM_LIMIT, "products beyond 32 bits")
    _need(node.op != "div" or node.arrays["shift"].max() <= DIVIDE_SHIFT, "a shift out of range")
    return np.broadcast_shapes(a.shape, b.shape)


def _concat(node: Node, *tensors: Tensor) -> tuple[int, ...]:
    (first, *others), axis = tensors[:-1], node.attrs["axis"]
    _need(0 <= axis < len(first.shape), f"axis {axis}")
    rest = [t.shape[:axis] + t.shape[axis + 1 :] for t in (first, *others)]
    _need(len({len(t.shape) for t in (first, *others)}) == 1 and len(set(rest)) == 1, "inputs that do not fit")
    _need(all(array.shape == (len(rest),) for array in node.arrays.values()), "parameters not one per input")
    return (*first.shape[:axis], sum(t.shape[axis] for t in (first, *others)), *first.shape[axis + 1 :])


def _where(node: Node, *tensors: Tensor) -> tuple[int, ...]:
    inputs = tensors[:-1]
    _need(len({len(tensor.shape) for tensor in inputs}) == 1, "inputs of different ranks")
    _need(all(array.shape == (2,) for array in node.arrays.values()), "parameters of a wrong number")
    return np.broadcast_shapes(*(tensor.shape for tensor in inputs))


def _constant(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    value = node.arrays["value"]
    _need(value.dtype == y.quant.dtype and value.size, f"a constant of {value.dtype}")
    _need(value.min() >= y.quant.low, "a constant beyond its type's range")
    return value.shape


def _normalise(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    a = node.arrays
    _need(len(x.shape) == 2 and (x.shape[1] * x.quant.reach) ** 2 < 2**62, f"input {x.shape}")
    for key in ("gain", "offset"):
        fits = a[key].ndim == 2 and all(n in (1, m) for n, m in zip(a[key].shape, x.shape, strict=True))
        _need(fits and np.isfinite(a[key]).all(), f"{key} of shape {a[key].shape}")
    _need(a["epsilon"].shape == (1,) and 0 < a["epsilon"][0] < np.inf, "epsilon")
    return x.shape


def _lrn(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    size, coarse, table = node.attrs["size"], node.attrs["coarse"], node.arrays["table"]
    _need(1 <= size <= MAX_WINDOW and 0 <= coarse <= 48 and 1 <= node.attrs["shift"] <= MAX_SHIFT, "size or shift")
    _need((x.shape[0] + size) * math.prod(x.shape[1:]) <= MAX_ELEMENTS, f"input {x.shape}")
    places = ((size * x.quant.reach**2 + ((1 << coarse) >> 1)) >> coarse) + 1
    _need(table.shape == (places,) and table.min() >= 0, f"table of shape {table.shape}")
    return x.shape


def _table(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    table = node.arrays["table"]
    values = x.quant.high - x.quant.low + 1
    _need(table.dtype == y.quant.dtype, f"table is {table.dtype}")
    _need(table.shape in ((1, values), (x.shape[0], values)), f"table of shape {table.shape}")
    _need(table.min() >= y.quant.low and table.max() <= y.quant.high, "a table beyond its type's range")
    return x.shape


def _pool(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
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


def _resize(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    _need(len(x.shape) == 3, f"input {x.shape}")
    for places, size in ((node.arrays["rows"], x.shape[1]), (node.arrays["columns"], x.shape[2])):
        _need(places.ndim == 2 and len(places) == 3 and places.size, f"places of shape {places.shape}")
        _need(places.min() >= 0 and places[:2].max() < size and places[2].max() <= FRACTION, "places out of range")
    return (x.shape[0], node.arrays["rows"].shape[1], node.arrays["columns"].shape[1])


def _pad(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    padding, rank = node.attrs["padding"], len(x.shape)
    _need(len(padding) == 2 * rank and min(padding) >= 0, f"padding {padding}")
    return tuple(n + padding[i] + padding[rank + i] for i, n in enumerate(x.shape))


def _slice(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    start, stop, step = (node.attrs[key] for key in ("start", "stop", "step"))
    _need(len(start) == len(stop) == len(step) == len(x.shape) and 0 not in step, f"steps {step}")
    _need(all(0 <= a < n and -1 <= b <= n for a, b, n in zip(start, stop, x.shape, strict=True)), "beyond its input")
    return tuple(len(range(*bounds)) for bounds in zip(start, stop, step, strict=True))


def _reshape(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    _need(math.prod(node.attrs["shape"]) == math.prod(x.shape), f"input {x.shape}")
    return node.attrs["shape"]


def _transpose(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    _need(sorted(node.attrs["perm"]) == list(range(len(x.shape))), f"perm {node.attrs['perm']}")
    return tuple(x.shape[axis] for axis in node.attrs["perm"])


def _softmax(node: Node, x: Tensor, y: Tensor) -> tuple[int, ...]:
    axis = node.attrs["axis"]
    _need(0 <= axis < len(x.shape), f"axis {axis}")
    if node.op == "integer_softmax":
        table, levels = node.arrays["table"], node.arrays["levels"]
        _need(
            x.shape[axis] <= SOFTMAX_AXIS and table.shape == (x.quant.high - x.quant.low + 1,), "a table that differs"
        )
        _need(table.min() >= 0 and table[0] > 0 and table.max() <= SOFTMAX_ONE, "exponentials out of range")
        _need(levels.shape == (1,) and 1 <= levels[0] < 2**40, "levels out of range")
    return x.shape


_SHAPES = {
    "conv": _conv,
    "add": _pair,
    "mul": _pair,
    "div": _pair,
    "max": _pair,
    "min": _pair,
    "where": _where,
    "constant": _constant,
    "normalise": _normalise,
    "lrn": _lrn,
    "concat": _concat,
    "clip": lambda node, x, y: x.shape,
    "table": _table,
    "max_pool": _pool,
    "average_pool": _pool,
    "resize": _resize,
    "pad": _pad,
    "slice": _slice,
    "reshape": _reshape,
    "transpose": _transpose,
    "integer_softmax": _softmax,
    **dict.fromkeys(ENDS, _softmax),
}
"""Operator -> function that checks the rest and returns the output's shape."""
