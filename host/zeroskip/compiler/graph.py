"""The network as a small float graph: what the importer builds, the passes fold, and calibration runs.

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

CLIPPED = ("conv", "affine", "add", "average_pool")
"""Operators that a following clip can be fused into: those that rescale their result anyway."""


@dataclass
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


@dataclass
class Graph:
    """A network with one input and one output."""

    nodes: list[Node]
    input: str
    output: str
    shapes: dict[str, tuple[int, ...]]

    def users(self, tensor: str) -> list[Node]:
        return [node for node in self.nodes if tensor in node.inputs]

    @property
    def batch(self) -> int:
        """Images to run at a time, so that no tensor takes more than 64 MiB (but at least one image)."""
        return max(1, 2**24 // max(math.prod(shape) for shape in self.shapes.values()))

    def producer(self, tensor: str) -> Node | None:
        return next((node for node in self.nodes if node.output == tensor), None)

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


# -- passes ------------------------------------------------------------------------------------------
def fold(graph: Graph) -> Graph:
    """Fold affine nodes (batch normalisation, bias) into convolutions and clips into their producers.

    An affine node that nothing absorbs becomes a 1x1 convolution with one weight per channel, which
    is exact and runs on the engine.  Changes the graph in place and returns it.
    """
    for rule in (_affine_into_producer, _affine_into_conv, _affine_to_conv, _clip_into_producer):
        for node in list(graph.nodes):
            rule(graph, node)
    return graph


def _only_user(graph: Graph, tensor: str) -> Node | None:
    users = graph.users(tensor)
    return users[0] if len(users) == 1 and tensor != graph.output else None


def _absorb(graph: Graph, producer: Node, node: Node) -> None:
    """Remove ``node``: its producer now computes its output."""
    producer.output = node.output
    graph.nodes.remove(node)


def _affine_into_producer(graph: Graph, node: Node) -> None:
    """y = a (W x + b) + c: scale the filters.  Two affine nodes merge in the same way."""
    if node.op != "affine":
        return
    producer = graph.producer(node.inputs[0])
    if producer is None or producer.op not in ("conv", "affine") or _only_user(graph, producer.output) is not node:
        return
    scale = node.weight
    if producer.op == "conv":
        scale = np.broadcast_to(scale, producer.bias.shape).reshape(-1, 1, 1, 1)
        producer.weight = producer.weight * scale
        producer.bias = producer.bias * scale.ravel() + node.bias
    else:
        producer.weight, producer.bias = producer.weight * scale, producer.bias * scale + node.bias
    _absorb(graph, producer, node)


def _affine_into_conv(graph: Graph, node: Node) -> None:
    """W (a x + c) + b: only without padding, whose zeros the affine node would have to shift too."""
    conv = _only_user(graph, node.output) if node.op == "affine" else None
    if conv is None or conv.op != "conv" or any(conv.attrs["padding"]):
        return
    channels = graph.shapes[node.output][0]
    scale, offset = (np.broadcast_to(v, (channels,)) for v in (node.weight, node.bias))
    groups, per_group = conv.attrs["groups"], conv.weight.shape[1]
    group = np.arange(len(conv.weight)) // (len(conv.weight) // groups)
    taken = group[:, None] * per_group + np.arange(per_group)  # (K, C/groups): input channel of each weight
    conv.bias = conv.bias + (conv.weight.sum(axis=(2, 3)) * offset[taken]).sum(axis=1)
    conv.weight = conv.weight * scale[taken][:, :, None, None]
    conv.inputs = list(node.inputs)
    graph.nodes.remove(node)


def _affine_to_conv(graph: Graph, node: Node) -> None:
    if node.op != "affine":
        return
    channels = graph.shapes[node.output][0]
    node.op = "conv"
    node.weight = np.broadcast_to(node.weight, (channels,)).reshape(channels, 1, 1, 1).copy()
    node.bias = np.broadcast_to(node.bias, (channels,)).copy()
    node.attrs |= {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": channels}


def _clip_into_producer(graph: Graph, node: Node) -> None:
    """Clips commute with maxima and reshaping, so the producer may lie before a pool or flatten."""
    if node.op != "clip":
        return
    follower, producer = node, graph.producer(node.inputs[0])
    while producer is not None and _only_user(graph, producer.output) is follower:
        if producer.op in CLIPPED:
            low, high = producer.attrs.get("clip", (-math.inf, math.inf))
            bounds = node.attrs["low"], node.attrs["high"]
            producer.attrs["clip"] = tuple(min(max(v, bounds[0]), bounds[1]) for v in (low, high))
            _absorb(graph, graph.producer(node.inputs[0]), node)
            return
        if producer.op not in ("max_pool", "reshape"):
            return
        follower, producer = producer, graph.producer(producer.inputs[0])
