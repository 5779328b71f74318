"""The network as a small float graph: what the importer builds, ``fold`` simplifies and calibration runs.

A tensor is a name; its shape excludes the batch, and axes are counted without it.  Nodes are in
execution order.  Operators:

=============  ==========================================================================================
conv           ``weight`` (K, C/groups, R, S), ``bias`` (K,); attributes stride, padding, dilation, groups.
               On a tensor of shape (F,) it is a matrix product with a 1x1 window.
affine         ``weight``, ``bias``: one value per element of axis 0 or one for all, (C,) or (1,)
clip           attributes low, high (float, may be infinite)
table          attribute chain (``functions.py``); for a step "prelu" ``weight``, slopes (C,)
quantise       rounds to what the file says of its output (``Graph.quants``)
add, mul, div  two inputs that broadcast, of one rank; add has attribute signs, +1 or -1 for each
max, min       the same
where          three inputs that broadcast: the second where the first is 1, the third where it is 0
constant       ``weight``, the same for every image; its input only says how many there are
concat         any number of inputs; attribute axis
max_pool       attributes kernel, stride, padding, dilation
average_pool   the same, and ``weight``: float (OH, OW) or (1, 1), 1/(elements counted) of each window
resize         of (C, H, W); attributes rows, columns: float (3, n), for each output row the two input
               rows it lies between and the weight of the second
pad            attribute padding: zeros before every axis, then after every axis
slice          attributes start, stop, step, each one per axis
reshape        attribute shape
transpose      attribute perm
normalise      of (A, B), over B; ``weight``, ``bias`` that broadcast against it, attributes epsilon, count (B)
lrn            attributes size, alpha, beta, bias
softmax        attribute axis
log_softmax    the same; only an output ends in it
argmax         attributes axis, keepdims, last; only an output ends in it, its tensor holds what it reads
=============  ==========================================================================================

``conv``, ``affine``, ``add``, ``mul`` and ``average_pool`` may carry a fused ``clip`` attribute (low, high).
Limits are numbers, or after equalisation (``equalise.py``) one for each channel, (C,).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np

from ..models.reference import correlate
from ..runtime.hostops import Quant, log_softmax, reduce_windows, softmax
from ..runtime.nodes import ENDS, Output
from ..runtime.normalise import window_sums
from .functions import apply

PICKING = ("max_pool", "clip", "resize", "pad", "slice", "reshape", "transpose", *ENDS)
"""Operators whose output has their input's scale and zero point: they only pick values, or are
computed in float at the very end (softmax and the like; elsewhere it is ``integer_softmax``, which rescales)."""


@dataclass(frozen=True, eq=False)
class Given:
    """Integers of a convolution that was quantised before it was exported.

    Args:
        weights: integers in the shape of the node's weight, zero point subtracted; in int8 once the graph is folded.
        scales: float64 (K,), of the weights.
        bias: int64 (K,), or None when the file has a float bias.
        bias_scales: float64 (K,), of the bias.
    """

    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray | None = None
    bias_scales: np.ndarray | None = None

    def scaled(self, factor: np.ndarray, offset: np.ndarray) -> Given:
        """With ``factor`` times the result of each filter, plus ``offset``: only scales and signs change."""
        factor = np.broadcast_to(factor, self.scales.shape)
        sign = np.sign(factor).astype(np.int16)
        weights = self.weights * sign.reshape(-1, *[1] * (self.weights.ndim - 1))
        scales = self.scales * np.where(factor == 0, 1, np.abs(factor))
        if self.bias is None or offset.any():
            return Given(weights, scales)
        return Given(weights, scales, self.bias * sign, self.bias_scales * np.abs(factor))


@dataclass(eq=False)
class Node:
    """One operator; ``label`` is the ONNX operator it came from, for messages and reports."""

    op: str
    name: str
    inputs: list[str]
    output: str
    attrs: dict = field(default_factory=dict)
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    label: str = ""
    given: Given | None = None


@dataclass(eq=False)
class Graph:
    """A network with one input and one or several outputs.

    ``input_type`` is "float32", or the type of the integers that the file takes (``Model.input_type``).
    ``quants`` holds the tensors whose scale and zero point the file itself gives; :meth:`run` rounds
    them to it, as the file's own QuantizeLinear nodes do.
    """

    nodes: list[Node]
    input: str
    outputs: tuple[Output, ...]
    shapes: dict[str, tuple[int, ...]]
    quants: dict[str, Quant] = field(default_factory=dict)
    input_type: str = "float32"

    @property
    def output(self) -> str:
        """The output tensor of a network that has one.

        Raises:
            ValueError: it has several.
        """
        (output,) = self.outputs
        return output.tensor

    @property
    def output_tensors(self) -> set[str]:
        return {output.tensor for output in self.outputs}

    def links(self) -> tuple[dict[str, Node], dict[str, list[Node]]]:
        """The node that computes each tensor, and the nodes that read it (a node may stand there twice)."""
        producers = {node.output: node for node in self.nodes}
        readers: dict[str, list[Node]] = {name: [] for name in self.shapes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return producers, readers

    @property
    def batch(self) -> int:
        """Images to run at a time, so that no tensor takes more than 64 MiB (but at least one image)."""
        return max(1, 2**24 // max(math.prod(shape) for shape in self.shapes.values()))

    @property
    def needs_calibration(self) -> bool:
        """Whether the scale of any tensor is left for zeroskip to choose."""
        chosen = [self.input, *(node.output for node in self.nodes if node.op not in PICKING)]
        return not self.quants.keys() >= set(chosen)

    def run(self, images: np.ndarray, observe=None) -> np.ndarray:
        """Execute in float32.

        Args:
            images: float (N, *input shape), or the integers that the file takes.
            observe: called with (tensor name, values) for every tensor, the input included.

        Returns:
            float32 (N, *output shape); of several outputs a dict, by name.
        """
        images = np.asarray(images)
        if images.dtype == self.input_type != "float32":
            images = self.quants[self.input].dequantise(images)
        values = {self.input: self._rounded(self.input, np.asarray(images, np.float32))}
        kept = self.output_tensors
        last = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        if observe:
            observe(self.input, values[self.input])
        for i, node in enumerate(self.nodes):
            values[node.output] = self._rounded(node.output, execute(node, [values[name] for name in node.inputs]))
            if observe:
                observe(node.output, values[node.output])
            for name in set(node.inputs):
                if last[name] == i and name not in kept:
                    del values[name]
        ends = {node.output: node for node in self.nodes if node.op == "argmax"}
        found = {}
        for output in self.outputs:
            node, value = ends.get(output.tensor), values[output.tensor]
            found[output.name] = ENDS["argmax"](node.attrs, value) if node is not None else value
        return found if len(found) > 1 else found[self.outputs[0].name]

    def _rounded(self, name: str, values: np.ndarray) -> np.ndarray:
        quant = self.quants.get(name)
        return values if quant is None else quant.dequantise(quant.quantise(values))


def execute(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    """One node in float32; inputs and output (N, *shape)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y = _OPERATORS[node.op](node, *inputs)
    if node.op in ("table", "div") and (undefined := np.isnan(y)).any():
        warnings.warn(
            f"{node.label} node {node.name!r}: some of its inputs have no real result (such as the square root of a "
            f"negative number); zeroskip gives 0 there",
            stacklevel=2,
        )
        y = np.where(undefined, np.float32(0), y)
    return _clipped(y, *node.attrs["clip"]) if "clip" in node.attrs else y


def _clipped(x: np.ndarray, low, high) -> np.ndarray:
    """Limits are numbers, or (C,), one for each channel."""
    return np.clip(x, *(limit if np.ndim(limit) == 0 else per_channel(limit, x) for limit in (low, high)))


def per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One value per channel (or one for all) as float32 that broadcasts against x (N, C, ...)."""
    return values.astype(np.float32).reshape(1, -1, *[1] * (x.ndim - 2))


def _window(node: Node):
    return [node.attrs[key] for key in ("kernel", "stride", "padding", "dilation")]


def _conv(node: Node, x):
    a = node.attrs
    maps = x if x.ndim == 4 else x.reshape(*x.shape, 1, 1)
    y = correlate(maps, node.weight, a["stride"], a["padding"], a["dilation"], a["groups"], np.float32)
    return (y if x.ndim == 4 else y[:, :, 0, 0]) + per_channel(node.bias, x)


def _resize(node: Node, x):
    for axis, places in ((2, node.attrs["rows"]), (3, node.attrs["columns"])):
        low, high = (x.take(index.astype(np.intp), axis) for index in places[:2])
        weight = places[2].astype(np.float32).reshape(-1, *[1] * (3 - axis))
        x = low + (high - low) * weight
    return x


def _pad(node: Node, x):
    padding = node.attrs["padding"]
    rank = len(padding) // 2
    return np.pad(x, [(0, 0), *zip(padding[:rank], padding[rank:], strict=True)])


def _transpose(node: Node, x):
    return np.ascontiguousarray(x.transpose(0, *(axis + 1 for axis in node.attrs["perm"])))


def _normalise(node: Node, x):
    centred = x - x.mean(axis=-1, keepdims=True, dtype=np.float64)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + node.attrs["epsilon"])
    return (centred / np.where(deviation > 0, deviation, 1) * node.weight + node.bias).astype(np.float32)


def _lrn(node: Node, x):
    return (x * lrn_factor(node, window_sums(np.square(x), node.attrs["size"]))).astype(np.float32)


def lrn_factor(node: Node, squares: np.ndarray) -> np.ndarray:
    """What an LRN multiplies with where the squares of a window add up to ``squares``."""
    a = node.attrs
    return np.power(a["bias"] + a["alpha"] / a["size"] * squares, -a["beta"])


def slices(attrs) -> tuple[slice, ...]:
    """The index of a slice node, batch included; a stop of -1 is one place before the first element."""
    bounds = zip(attrs["start"], attrs["stop"], attrs["step"], strict=True)
    return (slice(None), *(slice(a, b if b >= 0 else None, step) for a, b, step in bounds))


_OPERATORS = {
    "conv": _conv,
    "affine": lambda node, x: x * per_channel(node.weight, x) + per_channel(node.bias, x),
    "clip": lambda node, x: _clipped(x, node.attrs["low"], node.attrs["high"]),
    "table": lambda node, x: apply(
        node.attrs["chain"], x, None if node.weight is None else per_channel(node.weight, x)
    ),
    "quantise": lambda node, x: x,
    "add": lambda node, x, y: x * node.attrs["signs"][0] + y * node.attrs["signs"][1],
    "mul": lambda node, x, y: x * y,
    "div": lambda node, x, y: x / y,
    "max": lambda node, x, y: np.maximum(x, y),
    "min": lambda node, x, y: np.minimum(x, y),
    "where": lambda node, mask, x, y: np.where(mask > 0.5, x, y),
    "constant": lambda node, x: np.repeat(node.weight.astype(np.float32)[None], len(x), axis=0),
    "normalise": _normalise,
    "lrn": _lrn,
    "concat": lambda node, *parts: np.concatenate(parts, axis=node.attrs["axis"] + 1),
    "max_pool": lambda node, x: reduce_windows(x, *_window(node), np.maximum, fill=-np.inf),
    "average_pool": lambda node, x: reduce_windows(x, *_window(node), np.add) * node.weight.astype(np.float32),
    "resize": _resize,
    "pad": _pad,
    "slice": lambda node, x: np.ascontiguousarray(x[slices(node.attrs)]),
    "reshape": lambda node, x: x.reshape(len(x), *node.attrs["shape"]),
    "transpose": _transpose,
    "softmax": lambda node, x: softmax(x, node.attrs["axis"] + 1),
    "log_softmax": lambda node, x: log_softmax(x, node.attrs["axis"] + 1),
    "argmax": lambda node, x: x,
    "integer_softmax": lambda node, x: softmax(x, node.attrs["axis"] + 1),
}
