"""Quantised weights beyond 8 bits: what they exceed is a second weight, on a copy of the channels.

Weights of unsigned, asymmetric files are -255 to 255 once their zero point is subtracted; the engine holds -128 to 127.
w = a + b with a and b in that range, so the layer reads its channels twice: W x = A x + B x, the same sum.  B is mostly
zero, which costs nothing; 255 = 127 + 127 + 1 takes a third copy.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .graph import Graph, Node

LOW, HIGH = -128, 127


def narrowed(graph: Graph) -> None:
    """Let the given weights of every convolution fit int8; changes the graph in place."""
    nodes = []
    for node in graph.nodes:
        if node.op == "conv" and node.given is not None:
            parts = _parts(node.given.weights)
            if len(parts) > 1:
                nodes += _copies(graph, node, len(parts))
            weights = np.concatenate(parts, axis=1).astype(np.int8)
            node.given = replace(node.given, weights=weights)
        nodes.append(node)
    graph.nodes = nodes


def _parts(weights: np.ndarray) -> list[np.ndarray]:
    """Weights that add up to these, each within int8."""
    parts, left = [], weights.astype(np.int64)
    while left.any() or not parts:
        parts.append(left.clip(LOW, HIGH))
        left = left - parts[-1]
    return parts


def _copies(graph: Graph, node: Node, count: int) -> list[Node]:
    """Nodes that put each group's channels ``count`` times side by side, for a convolution to read."""
    (x,), groups = node.inputs, node.attrs["groups"]
    shape = graph.shapes[x]
    before, made = shape, []

    def add(op: str, inputs: list[str], to, **attrs) -> str:
        name = f"{node.output}/{op}{len(made)}"
        while name in graph.shapes:
            name += "'"
        made.append(Node(op, f"{node.name}/{op}{len(made)}", inputs, name, attrs, label=node.label))
        graph.shapes[name] = tuple(to)
        if x in graph.quants:
            graph.quants[name] = graph.quants[x]
        return name

    if groups > 1:
        before = (groups, shape[0] // groups, math.prod(shape[1:]))
        x = add("reshape", [x], before, shape=before)
    axis = int(groups > 1)
    wide = (*before[:axis], before[axis] * count, *before[axis + 1 :])
    x = add("concat", [x] * count, wide, axis=axis)
    if groups > 1:
        back = (shape[0] * count, *shape[1:])
        x = add("reshape", [x], back, shape=back)
    node.inputs = [x]
    node.weight = np.concatenate([node.weight, *[np.zeros_like(node.weight)] * (count - 1)], axis=1)
    return made
