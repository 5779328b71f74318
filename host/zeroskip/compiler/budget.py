"""Weight scales chosen against accuracy: the fewest cycles whose output error stays within a budget.

A finer scale makes more weights outliers and costs cycles, a coarser one costs accuracy.  Every filter has
its choice of rules (:data:`RULES`).  What a choice costs is known in both currencies:

* cycles: from the filter's zeros and outliers, by the model that also chooses tiles, so a layer that only
  waits for its sums to leave gains nothing and stays plain;
* error: the noise it adds to its layer's output, measured on calibration images after bias correction
  (``deviation.py``), times how much of the layer's relative noise reaches the network's output (measured, too).

Every filter takes the rule with the least cycles + price * error.  One price for the whole network makes the
last decibel cost the same everywhere, which is what the optimum looks like where errors add up.  The price is
found by bisection, each time running the whole integer network: what is kept was verified, not predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..engines import engine_of
from ..hardware.config import Config
from ..runtime.memory_plan import predicted_cycles
from ..runtime.nodes import Tensor
from ..runtime.program import ConvPlan
from .deviation import Trials
from .graph import Graph, Node, execute
from .integer_layers import integer_layers, map_shape
from .options import Budget
from .quality import Quality, affordable, measured_tensors, sqnr
from .quantise import PLAIN, Rule

RULES = (
    PLAIN,
    Rule("power_of_two", "channel"),
    *(Rule("percentile", "channel", p) for p in (99, 97, 95, 90, 80, 70, 60, 40)),
    *(Rule("percentile", "channel", p, clip=2) for p in (95, 80)),
    Rule("percentile", "tensor", 97),
)
"""What a filter may choose from; the first is the reference the budget counts from."""

_EFFICIENCY = 1.1  # steps of a schedule over those of a perfect one, typically
_ROUNDS = 9  # bisections, over 9 decades of the price
_TIGHTENED = 3  # searches, each for less, until the final weights hold
_PROBE_IMAGES = 2
_WIDE = 256
_PROBE = RULES.index(Rule("percentile", "channel", 97))


@dataclass(frozen=True)
class Layer:
    """One convolution and what its choices cost.

    Args:
        node: of the float graph.
        trials: J ways to quantise each of its K filters.
        cycles: float (J, K), modelled.
        noise: float (J, K), at the network's output, relative to the output's power.
    """

    node: Node
    trials: Trials
    cycles: np.ndarray
    noise: np.ndarray

    def choose(self, price: float) -> np.ndarray:
        """int (K,), the best rule of each filter; among equals the first."""
        return np.argmin(self.cycles + price * self.noise, axis=0)


Choices = dict[str, np.ndarray]
"""Output tensor of a layer -> int (K,), index of the rule of each filter."""


def search(layers: list[Layer], measure: Callable[[Choices], float], budget: float) -> tuple[Choices, float]:
    """The cheapest choices found whose measured loss stays within the budget, and that loss.

    Args:
        layers: all layers with a choice.
        measure: runs the whole integer network; lost decibels (or points) against plain weights.
        budget: what may be lost.
    """
    best = {layer.node.output: np.zeros(layer.noise.shape[1], np.int64) for layer in layers}, 0.0
    cycles = sum(float(layer.cycles[0].sum()) for layer in layers)
    noise = sum(float(layer.noise[0].sum()) for layer in layers)
    if not cycles:
        return best
    middle = np.log10(cycles / max(noise, 1e-12))
    low, high = middle - 6, middle + 3
    for _ in range(_ROUNDS):
        price = (low + high) / 2
        choices = {layer.node.output: layer.choose(10**price) for layer in layers}
        loss = measure(choices)
        if loss <= budget:
            high, best = price, (choices, loss)
        else:
            low = price
    return best


def filter_cycles(plan: ConvPlan, shape: tuple[int, int], weights: np.ndarray) -> np.ndarray:
    """Modelled cycles of every filter for each way of quantising it: float (J, K).

    Args:
        plan: the layer compiled with some weights: its layout and tiles stand for all.
        shape: (H, W) of its input.
        weights: int8 (J, K, C/groups, R, S).
    """
    config = plan.config
    trials, filters = weights.shape[:2]
    nonzero = np.count_nonzero(weights.reshape(trials, filters, -1), axis=2)
    outlier = np.count_nonzero(((weights < -8) | (weights > 7)).reshape(trials, filters, -1), axis=2)
    every = np.full_like(nonzero, 2 * weights[0, 0].size)
    halves = {"dense": every, "AZ": every, "combined": nonzero + outlier}
    work = halves.get(plan.mode, 2 * nonzero) * (_EFFICIENCY / (2 * config.lanes))
    return engine_of(config).filter_cycles(plan, shape, work)


def sensitivities(graph: Graph, images: np.ndarray, layers: dict[str, Trials]) -> dict[str, float]:
    """How much of each layer's relative noise power reaches the output: relative noise there over that of the layer.

    Measured by quantising one layer at a time coarsely in the float network and running what follows it.

    Args:
        images: float (N, *input shape); a few are enough.
        layers: output tensor -> trials, already measured.
    """
    values: dict[str, np.ndarray] = {}
    graph.run(images, lambda name, found: values.__setitem__(name, found))
    outputs, wide = measured_tensors(graph), _wide(graph)
    found: dict[str, tuple[float, float, float]] = {}
    for index, node in enumerate(graph.nodes):
        if node.output not in layers:
            continue
        trial = layers[node.output]
        probe = min(_PROBE, len(trial.rules) - 1)
        coarse = Node(**{**vars(node), "weight": trial.weights[probe] * trial.scales[probe].reshape(-1, 1, 1, 1)})
        coarse.bias = node.bias - trial.mean[probe]
        changed = {node.output: execute(coarse, [values[node.inputs[0]]])}
        for later in graph.nodes[index + 1 :]:
            if any(name in changed for name in later.inputs):
                changed[later.output] = execute(later, [changed.get(name, values[name]) for name in later.inputs])
        noise = max(float(trial.noise[probe].sum()), 1e-12)
        arrived = float(np.mean([_noise(values, changed, output) for output in outputs]))
        found[node.output] = noise, _noise(values, changed, wide), arrived
    # A few numbers at the very end say little about one layer: listen where there are many, and let all layers
    # together tell how much of that arrives at the end.
    heard = [(there, arrived) for _, there, arrived in found.values() if there > 0]
    passed = sum(arrived for _, arrived in heard) / max(sum(there for there, _ in heard), 1e-30)
    return {name: (there * passed or arrived) / noise for name, (noise, there, arrived) in found.items()}


def _noise(values, changed, place: str | None) -> float:
    """Relative noise power of a tensor, 0 where nothing changed."""
    return 10 ** (-sqnr(values[place], changed[place]) / 10) if place in changed else 0.0


def _wide(graph: Graph) -> str | None:
    """The last tensor of at least 256 elements."""
    wide = [node.output for node in graph.nodes if np.prod(graph.shapes[node.output]) >= _WIDE]
    return wide[-1] if wide else None


def probe_images(images: np.ndarray) -> np.ndarray:
    """The images :func:`sensitivities` looks at."""
    return images[:: max(1, len(images) // _PROBE_IMAGES)][:_PROBE_IMAGES]


# -- a whole network ---------------------------------------------------------------------------------
class Spent(NamedTuple):
    """What a budget was spent on.

    Args:
        choices: the rule of every filter.
        loss: measured, in the budget's unit.
        plain_cycles: output tensor of a layer with a choice -> cycles predicted with plain weights, for one image.
    """

    choices: Choices
    loss: float
    plain_cycles: dict[str, float]


def spend(
    budget: Budget,
    graph: Graph,
    config: Config,
    tensors: Mapping[str, Tensor],
    trials: Mapping[str, Trials],
    images: np.ndarray,
    labels: np.ndarray | None,
    mode: str,
    feedback: bool = False,
) -> Spent:
    """Choose the rule of every filter of a network.

    Args:
        tensors: shape and scale of every tensor.
        trials: output tensor -> trials under :data:`RULES`, measured; layers with a single rule have no choice.
        images, labels: what the loss is measured on; without labels the float network's answers are the right ones.
        mode: of the schedules.
        feedback: weights are rounded with error feedback.
    """
    quants = {name: tensor.quant for name, tensor in tensors.items()}
    if budget.points is None:
        images, labels = images[:: affordable(graph, len(images), 8)], None
    measured = Quality(graph, config, images)
    if labels is None:
        labels = measured.exact[0].reshape(len(images), -1).argmax(axis=1)

    def quality(choices: Choices, feedback: bool = False) -> float:
        layers = integer_layers(graph.nodes, quants, trials, choices, feedback=feedback)
        if budget.points is None:
            return measured.sqnr(layers, tensors)
        (found,) = measured.outputs(layers, tensors)
        return 100 * float((found.reshape(len(found), -1).argmax(axis=1) == labels).mean())

    nodes = {node.output: node for node in graph.nodes}
    free = {name: found for name, found in trials.items() if len(found.rules) > 1}
    reach = sensitivities(graph, probe_images(images), free)
    layers, predicted = [], {}
    for layer in integer_layers([nodes[name] for name in free], quants, trials, {}):
        name, x = layer.node.output, tensors[layer.node.inputs[0]]
        node = layer.scheduled(config, x, mode, activation_skip=False)
        predicted[name] = predicted_cycles(node, x)
        cycles = filter_cycles(node.plan, map_shape(x), trials[name].weights)
        layers.append(Layer(nodes[name], trials[name], cycles, trials[name].noise * reach[name]))
    given = budget.points if budget.decibels is None else budget.decibels
    plain, target = quality({}), given
    final = quality({}, feedback) if feedback else plain
    for _ in range(_TIGHTENED):
        choices, loss = search(layers, lambda choices: plain - quality(choices), target)
        if feedback:  # searched with weights rounded to the nearest, kept with those that are used
            loss = final - quality(choices, feedback)
        if loss <= given:
            return Spent(choices, loss, predicted)
        target -= 1.5 * (loss - given)
    return Spent({}, 0.0, predicted)
