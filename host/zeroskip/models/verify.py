"""Whether the schedules of a compiled network compute its weights.

A file holds weights and, apart from them, steps that multiply them; its checksum says that it is what was written, not
that the two agree.  Here every layer's own stream is made and executed by the functional model, on a small map of
random activations without zeros, and its sums must be those of the weights.  A weight that is wrong, missing, or meets
another activation shows in every pixel.
"""

from __future__ import annotations

import numpy as np

from ..engines import engine_of
from ..errors import FileFormatError, InputError
from ..hardware.config import Config
from ..runtime.conv import run_plan
from ..runtime.counters import Counters
from ..runtime.network import Model
from ..runtime.program import ConvPlan, activation_limit
from .reference import conv2d

_IMAGES = 2
_OUTPUTS = 2
"""Output rows and columns of the small map."""


class _FunctionalEngine:
    """What executes streams, without time."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def execute(self, words: np.ndarray, out_beats: int) -> tuple[np.ndarray, Counters]:
        done = engine_of(self.config).execute(self.config, words)
        if len(done.out) != out_beats:
            raise InputError(f"{len(done.out)} words of sums, {out_beats} expected")
        return done.out, Counters(**done.counters)


def verify(model: Model, seed: int = 1) -> None:
    """Refuse a network of which a layer's schedule does not compute the layer's weights.

    Args:
        model: as loaded; any engine.
        seed: of the activations.

    Raises:
        FileFormatError: the first such layer, by name.
    """
    engine, rng = _FunctionalEngine(model.config), np.random.default_rng(seed)
    for node in model.layers:
        x = _activations(node.plan, rng)
        try:
            found = run_plan(engine, node.plan, x)[0]
        except InputError as error:
            raise FileFormatError(f"layer {node.name!r}: its schedule is none: {error}; compile it again") from error
        plan = node.plan
        expected = conv2d(x, plan.weights, plan.stride, plan.padding, plan.dilation, plan.groups)
        wrong = np.flatnonzero((found != expected).any(axis=(0, 2, 3)))
        if wrong.size:
            raise FileFormatError(
                f"layer {node.name!r}: its schedule does not compute its weights: filter {wrong[0]} and "
                f"{wrong.size - 1} others give other sums; compile it again"
            )


def _activations(plan: ConvPlan, rng: np.random.Generator) -> np.ndarray:
    """int16 (images, C, H, W) without zeros, as large as the layer takes."""
    size = [
        (taps - 1) * dilation + 1 + (_OUTPUTS - 1) * stride
        for taps, dilation, stride in zip(plan.weights.shape[2:], plan.dilation, plan.stride, strict=True)
    ]
    shape = (_IMAGES, plan.weights.shape[1] * plan.groups, *size)
    limit = min(plan.config.act_max, activation_limit(plan.weights))
    return (rng.integers(1, limit + 1, shape) * rng.choice([-1, 1], shape)).astype(np.int16)
