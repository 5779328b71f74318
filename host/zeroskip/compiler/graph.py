"""The network as a small float graph: what the importer builds, ``fold`` simplifies and calibration runs.

A tensor is a name; its shape excludes the batch.  Nodes are in execution order.  Operators:

=============  ==========================================================================================
conv           ``weight`` (K, C/groups, R, S), ``bias`` (K,); attributes stride, padding, dilation, groups.
               On a tensor of shape (F,) it is a matrix product with a 1x1 window.
affine         ``weight``, ``bias``: one value per channel or one for all, (C,) or (1,)
clip           attributes low, high (float, may be infinite)
add            two inputs of one shape
max_pool       attributes kernel, stride, padding, dilation
average_pool   the same, and ``weight``: float (OH, OW) or (1, 1), 1/(elements counted) of each window
reshape        attribute shape
softmax        over axis 1; last node only
=============  ==========================================================================================

``conv``, ``affine``, ``add`` and ``average_pool`` may carry a fused ``clip`` attribute (low, high).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..models.reference import correlate
from ..runtime.hostops import reduce_windows, softmax


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


@dataclass(eq=False)
class Graph:
    """A network with one input and one output."""

    nodes: list[Node]
    input: str
    output: str
    shapes: dict[str, tuple[int, ...]]

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

    def run(self, images: np.ndarray, observe=None) -> np.ndarray:
        """Execute in float32.

        Args:
            images: float (N, *input shape).
            observe: called with (tensor name, values) for every tensor, the input included.

        Returns:
            float32 (N, *output shape).
        """
        values = {self.input: np.asarray(images, np.float32)}
        last = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        if observe:
            observe(self.input, values[self.input])
        for i, node in enumerate(self.nodes):
            values[node.output] = _execute(node, [values[name] for name in node.inputs])
            if observe:
                observe(node.output, values[node.output])
            for name in set(node.inputs):
                if last[name] == i and name != self.output:
                    del values[name]
        return values[self.output]


def _per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(1, -1, *[1] * (x.ndim - 2))


def _execute(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    a, x = node.attrs, inputs[0]
    if node.op == "conv":
        maps = x if x.ndim == 4 else x.reshape(*x.shape, 1, 1)
        y = correlate(maps, node.weight, a["stride"], a["padding"], a["dilation"], a["groups"], np.float32)
        y = (y if x.ndim == 4 else y[:, :, 0, 0]) + _per_channel(node.bias, x)
    elif node.op == "affine":
        y = x * _per_channel(node.weight, x) + _per_channel(node.bias, x)
    elif node.op == "clip":
        y = np.clip(x, a["low"], a["high"])
    elif node.op == "add":
        y = x + inputs[1]
    elif node.op == "max_pool":
        y = reduce_windows(x, a["kernel"], a["stride"], a["padding"], a["dilation"], np.maximum, fill=-np.inf)
    elif node.op == "average_pool":
        y = reduce_windows(x, a["kernel"], a["stride"], a["padding"], a["dilation"], np.add)
        y = y * node.weight.astype(np.float32)
    elif node.op == "reshape":
        y = x.reshape(len(x), *a["shape"])
    elif node.op == "softmax":
        y = softmax(x)
    else:
        raise AssertionError(f"operator {node.op!r}")
    return np.clip(y, *a["clip"]) if "clip" in a else y
