"""Nodes of a quantised network: what each computes.

A node is data (attributes that JSON can hold, NumPy arrays, for a convolution its compiled plan).
:func:`compute` is the only interpreter; ``node_check.py`` refuses what a file could hold but
:func:`compute` could not execute, so a file from a stranger cannot do harm.

================  ===========================================  ==============================================
operator          attributes                                   arrays
================  ===========================================  ==============================================
conv              low, high                                    bias int32 (K,), multiplier int32 (K,),
                                                               shift int8 (K,); the plan
add               low, high, shift                             multiplier int32 (2,)
mul               low, high                                    multiplier int32 (1,), shift int8 (1,)
div               -                                            multiplier int32 (1,), shift int8 (1,)
max, min          -                                            multiplier int32 (2,), shift int8 (2,)
where             -                                            multiplier int32 (2,), shift int8 (2,), of the
                                                               second and third input
normalise         -                                            gain, offset float64, (A or 1, B or 1) of a
                                                               tensor (A, B); epsilon float64 (1,)
lrn               size, coarse, shift                          table int32 (places,)
constant          -                                            value, of the output's type and shape; the
                                                               input only says how many images there are
concat            axis                                         multiplier int32, shift int8, one per input
clip              low, high
table             -                                            table, of the output's type, (1, values) or
                                                               (C, values)
max_pool          kernel, stride, padding, dilation
average_pool      kernel, stride, padding, dilation,           multiplier int32, shift int8, (OH, OW) or
                  low, high                                    (1, 1)
resize            -                                            rows int32 (3, OH), columns int32 (3, OW)
pad               padding
slice             start, stop, step
reshape           shape
transpose         perm
integer_softmax   axis                                         table int32 (values,), levels int64 (1,)
softmax           axis                                         (float, at the very end)
log_softmax       axis                                         (float, at the very end)
argmax            axis, keepdims, last                         (at the very end)
================  ===========================================  ==============================================

Axes are counted without the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from . import hostops
from .hostops import Finish, Quant
from .normalise import lrn, normalise
from .program import ConvPlan


@dataclass(frozen=True)
class Tensor:
    """Shape without the batch, and what its integers mean."""

    shape: tuple[int, ...]
    quant: Quant


@dataclass(frozen=True)
class Output:
    """One of a network's outputs.

    Args:
        name: what the file calls it.
        tensor: that holds it.
        dtype: of the array a caller gets.  "uint8", "int8" or "int16", which are then the tensor's, too: its
            integers as they are; else real numbers, rounded to whole ones for "int32" and "int64".
    """

    name: str
    tensor: str
    dtype: str = "float32"


OUTPUT_TYPES = ("float32", "float16", "float64", "uint8", "int8", "int16", "int32", "int64")


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


Convolve = Callable[[Node, np.ndarray, Quant, Finish], np.ndarray]
"""(node, q of the input (N, C, H, W), its quant, finish) -> q (N, K, OH, OW): the engine, or the golden model."""


def compute(node: Node, tensors: Mapping[str, Tensor], inputs: list[np.ndarray], convolve: Convolve) -> np.ndarray:
    """The node's output q from its inputs' q, each (N, *shape)."""
    quant = tensors[node.output].quant
    if node.op == "conv":
        return _conv(node, tensors, inputs[0], quant, convolve)
    return _OPERATORS[node.op](node, [tensors[name].quant for name in node.inputs], quant, *inputs)


def _conv(node: Node, tensors, x: np.ndarray, quant: Quant, convolve: Convolve) -> np.ndarray:
    arrays, x_quant = node.arrays, tensors[node.inputs[0]].quant
    finish = Finish(arrays["bias"], arrays["multiplier"], arrays["shift"], quant, *_bounds(node))
    y = convolve(node, x if x.ndim == 4 else x[:, :, None, None], x_quant, finish)
    return y.reshape(len(x), *tensors[node.output].shape)


def _window(node: Node):
    return [node.attrs[key] for key in ("kernel", "stride", "padding", "dilation")]


def _scale(node: Node):
    return node.arrays["multiplier"], node.arrays["shift"]


def _bounds(node: Node):
    return node.attrs["low"], node.attrs["high"]


def _add(node: Node, quants, quant: Quant, a, b):
    multipliers = [int(m) for m in node.arrays["multiplier"]]
    return hostops.add(a, b, *quants, multipliers, node.attrs["shift"], quant, *_bounds(node))


def _slice(node: Node, quants, quant: Quant, x):
    # A stop of -1 is one place before the first element.
    bounds = zip(*(node.attrs[key] for key in ("start", "stop", "step")), strict=True)
    index = (slice(None), *(slice(a, b if b >= 0 else None, step) for a, b, step in bounds))
    return np.ascontiguousarray(x[index])


def _softmax(node: Node, quants, quant: Quant, x):
    table, levels = node.arrays["table"], int(node.arrays["levels"][0])
    return hostops.integer_softmax(x, table, levels, quant, node.attrs["axis"] + 1)


_OPERATORS = {
    "add": _add,
    "mul": lambda node, quants, quant, a, b: hostops.mul(a, b, *quants, *_scale(node), quant, *_bounds(node)),
    "div": lambda node, quants, quant, a, b: hostops.divide(
        a, b, *quants, *(int(array[0]) for array in _scale(node)), quant
    ),
    "max": lambda node, quants, quant, *pair: hostops.extreme(np.maximum, pair, quants, *_scale(node), quant),
    "min": lambda node, quants, quant, *pair: hostops.extreme(np.minimum, pair, quants, *_scale(node), quant),
    "where": lambda node, quants, quant, *three: hostops.where(*three, quants, *_scale(node), quant),
    "constant": lambda node, quants, quant, x: np.repeat(node.arrays["value"][None], len(x), axis=0),
    "normalise": lambda node, quants, quant, x: normalise(
        x, *quants, node.arrays["gain"], node.arrays["offset"], node.arrays["epsilon"][0], quant
    ),
    "lrn": lambda node, quants, quant, x: lrn(
        x, *quants, node.attrs["size"], node.arrays["table"], node.attrs["coarse"], node.attrs["shift"], quant
    ),
    "concat": lambda node, quants, quant, *parts: hostops.concat(
        parts, quants, *_scale(node), quant, node.attrs["axis"] + 1
    ),
    "clip": lambda node, quants, quant, x: np.clip(x, *_bounds(node)),
    "table": lambda node, quants, quant, x: hostops.lookup(x, node.arrays["table"], quants[0]),
    "max_pool": lambda node, quants, quant, x: hostops.max_pool(x, *_window(node)),
    "average_pool": lambda node, quants, quant, x: hostops.average_pool(
        x, *quants, *_window(node), *_scale(node), quant, *_bounds(node)
    ),
    "resize": lambda node, quants, quant, x: hostops.resize(x, node.arrays["rows"], node.arrays["columns"], quant),
    "pad": lambda node, quants, quant, x: hostops.pad(x, node.attrs["padding"], quant),
    "slice": _slice,
    "reshape": lambda node, quants, quant, x: x.reshape(len(x), *node.attrs["shape"]),
    "transpose": lambda node, quants, quant, x: np.ascontiguousarray(
        x.transpose(0, *(axis + 1 for axis in node.attrs["perm"]))
    ),
    "integer_softmax": _softmax,
    **dict.fromkeys(("softmax", "log_softmax", "argmax"), lambda node, quants, quant, x: x),  # see ENDS
}
"""Operator -> function (node, quants of the inputs, quant of the output, *inputs)."""


def _argmax(attrs: Mapping, values: np.ndarray) -> np.ndarray:
    axis = attrs["axis"] + 1
    if attrs["last"]:
        found = values.shape[axis] - 1 - np.flip(values, axis).argmax(axis=axis)
    else:
        found = values.argmax(axis=axis)
    return (np.expand_dims(found, axis) if attrs["keepdims"] else found).astype(np.int64)


ENDS = {
    "softmax": lambda attrs, real: hostops.softmax(real, attrs["axis"] + 1),
    "log_softmax": lambda attrs, real: hostops.log_softmax(real, attrs["axis"] + 1),
    "argmax": _argmax,
}
"""Operators that only an output may end in: their tensor holds what they read, and a caller gets the result of the
function (attributes, real numbers)."""


def end_shape(end: Node | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape without the batch of what a caller gets of a tensor of ``shape`` that a node of :data:`ENDS` leaves."""
    if end is None or end.op != "argmax":
        return shape
    axis = end.attrs["axis"]
    return (*shape[:axis], *((1,) if end.attrs["keepdims"] else ()), *shape[axis + 1 :])


def finish(output: Output, end: Node | None, q: np.ndarray, quant: Quant) -> np.ndarray:
    """What a caller gets of an output's integers; ``end`` is the node of :data:`ENDS` that it comes from."""
    if end is None and output.dtype == quant.dtype:
        return q
    real = quant.dequantise(q)
    if end is not None:
        real = ENDS[end.op](end.attrs, real)
    return (np.rint(real) if output.dtype.startswith("int") else real).astype(output.dtype, copy=False)
