"""Folding: batch normalisation and other affine nodes into convolutions, clips into their producers.

An affine node that nothing absorbs becomes a 1x1 convolution with one weight per channel, which is
exact and runs on the engine.
"""

from __future__ import annotations

import math

import numpy as np

from .graph import Graph, Node

CLIPPED = ("conv", "affine", "add", "average_pool")
"""Operators that a following clip can be fused into: those that rescale their result anyway."""

TRANSPARENT = ("max_pool", "reshape")
"""Operators that commute with a clip."""


def fold(graph: Graph) -> Graph:
    """Fold what can be folded; changes the graph in place and returns it."""
    folder = _Folder(graph)
    for op, rule in (
        ("affine", folder.affine_into_producer),
        ("affine", folder.affine_into_conv),
        ("affine", folder.affine_to_conv),
        ("clip", folder.clip_into_producer),
    ):
        for node in graph.nodes:
            if node.op == op:
                rule(node)
        graph.nodes = [node for node in graph.nodes if node not in folder.removed]
    return graph


class _Folder:
    """Who computes and who reads every tensor, kept true while nodes vanish."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers, self.readers = graph.links()
        self.removed: set[Node] = set()

    def only_reader(self, tensor: str) -> Node | None:
        readers = self.readers[tensor]
        return readers[0] if len(readers) == 1 and tensor != self.graph.output else None

    def drop(self, node: Node) -> None:
        """Remove a node: the producer of its input computes its output instead."""
        producer = self.producers.pop(node.inputs[0])
        producer.output = node.output
        self.producers[node.output] = producer
        self.removed.add(node)

    def affine_into_producer(self, node: Node) -> None:
        """y = a (W x + b) + c: scale the filters.  Two affine nodes merge in the same way."""
        producer = self.producers.get(node.inputs[0])
        if producer is None or producer.op not in ("conv", "affine") or self.only_reader(producer.output) is not node:
            return
        scale = node.weight
        if producer.op == "conv":
            scale = np.broadcast_to(scale, producer.bias.shape)
            producer.weight = producer.weight * scale.reshape(-1, 1, 1, 1)
        else:
            producer.weight = producer.weight * scale
        producer.bias = producer.bias * scale + node.bias
        self.drop(node)

    def affine_into_conv(self, node: Node) -> None:
        """W (a x + c) + b: only without padding, whose zeros the affine node would have to shift too."""
        conv = self.only_reader(node.output)
        if conv is None or conv.op != "conv" or any(conv.attrs["padding"]):
            return
        channels = self.graph.shapes[node.output][0]
        scale, offset = (np.broadcast_to(v, (channels,)) for v in (node.weight, node.bias))
        groups, per_group = conv.attrs["groups"], conv.weight.shape[1]
        group = np.arange(len(conv.weight)) // (len(conv.weight) // groups)
        taken = group[:, None] * per_group + np.arange(per_group)  # (K, C/groups): input channel of each weight
        conv.bias = conv.bias + (conv.weight.sum(axis=(2, 3)) * offset[taken]).sum(axis=1)
        conv.weight = conv.weight * scale[taken][:, :, None, None]
        conv.inputs = list(node.inputs)
        readers = self.readers[node.inputs[0]]
        readers[readers.index(node)] = conv
        self.removed.add(node)

    def affine_to_conv(self, node: Node) -> None:
        channels = self.graph.shapes[node.output][0]
        node.op = "conv"
        node.weight = np.broadcast_to(node.weight, (channels,)).reshape(channels, 1, 1, 1).copy()
        node.bias = np.broadcast_to(node.bias, (channels,)).copy()
        node.attrs |= {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": channels}

    def clip_into_producer(self, node: Node) -> None:
        """The producer may lie before pools and reshapes, which commute with a clip."""
        follower, producer = node, self.producers.get(node.inputs[0])
        while producer is not None and self.only_reader(producer.output) is follower:
            if producer.op in CLIPPED:
                low, high = producer.attrs.get("clip", (-math.inf, math.inf))
                bounds = node.attrs["low"], node.attrs["high"]
                producer.attrs["clip"] = tuple(min(max(v, bounds[0]), bounds[1]) for v in (low, high))
                self.drop(node)
                return
            if producer.op not in TRANSPARENT:
                return
            follower, producer = producer, self.producers.get(producer.inputs[0])
