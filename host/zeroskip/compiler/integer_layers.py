"""Layers of the integer network: float nodes, the scales of all tensors and the chosen weights, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..hardware.config import Config
from ..runtime.hostops import Quant
from ..runtime.nodes import Node, Tensor
from ..runtime.program import ConvPlan
from . import graph as float_graph
from .conv import compile_conv
from .deviation import Trials
from .integers import given_integers, integer_node
from .quantise import clip_bounds, conv_integers


@dataclass(frozen=True)
class Layer:
    """An integer node; with weights, its plan is still to be made."""

    node: Node
    weights: np.ndarray | None = None
    geometry: Mapping | None = None

    @classmethod
    def of(cls, node: Node) -> Layer:
        """A node that already has its plan."""
        if node.plan is None:
            return cls(node)
        geometry = {key: getattr(node.plan, key) for key in ("stride", "padding", "dilation", "groups")}
        return cls(node, node.plan.weights, geometry)

    def scheduled(self, config: Config, x: Tensor, mode: str, activation_skip: bool) -> Node:
        """The node with its convolution compiled for one build; ``x`` is its input."""
        plan = compile_conv(
            config,
            self.weights,
            **self.geometry,
            mode=mode,
            activation_skip=activation_skip,
            name=self.node.name,
            input_shape=map_shape(x),
            act_max=x.quant.reach,
        )
        return replace(self.node, plan=plan)

    def unscheduled(self, config: Config) -> Node:
        """The node with a plan that only the golden model can use: weights without schedules."""
        if self.weights is None:
            return self.node
        plan = ConvPlan(self.node.name, config, self.weights, **self.geometry, mode="dense", activation_skip=False,
                        blocking="channels", parts=())  # fmt: skip
        return replace(self.node, plan=plan)


def map_shape(tensor: Tensor) -> tuple[int, int]:
    """(H, W) of a tensor as a convolution sees it."""
    return tensor.shape[1:] if len(tensor.shape) == 3 else (1, 1)


def integer_layers(
    nodes: Iterable[float_graph.Node],
    quants: Mapping[str, Quant],
    trials: Mapping[str, Trials],
    choices: Mapping[str, np.ndarray],
    correct_bias: bool = True,
    feedback: bool = False,
) -> list[Layer]:
    """All nodes as integers.

    Args:
        nodes: of the float graph.
        quants: of every tensor.
        trials: output tensor of a convolution -> ways to quantise its weights; none for one that brings integers.
        choices: output tensor -> int (K,), the trial each filter takes; default, the first.
        correct_bias: take the mean error of the chosen weights out of the bias.
        feedback: round with error feedback (``rounding.py``) instead of each weight to its nearest.

    Raises:
        ModelError: numbers that do not fit 32 bits, naming the node.
    """
    layers = []
    for node in nodes:
        if node.op != "conv":
            layers.append(Layer(integer_node(node, quants)))
            continue
        x, y = quants[node.inputs[0]], quants[node.output]
        if node.given:
            weights, arrays = given_integers(node, x, y)
        else:
            found = trials[node.output]
            chosen = choices.get(node.output, np.zeros(len(node.weight), int))
            weights, scales = found.take(chosen)
            if feedback:
                weights = found.rounded(chosen)
            clip = np.array([rule.clip for rule in found.rules])[chosen]
            correction = -found.moments.shift(found.change(weights, scales)) if correct_bias else None
            weights, arrays = conv_integers(node, x, y, scales, weights, clip, correction)
        common = node.op, node.name, node.label, tuple(node.inputs), node.output
        layers.append(Layer(Node(*common, clip_bounds(node, y), arrays), weights, _geometry(node.attrs)))
    return layers


def _geometry(attrs: Mapping) -> dict:
    return {key: attrs[key] for key in ("stride", "padding", "dilation", "groups")}
