"""Parts of a plan for the engines that replay schedule steps: trident and gather.

A part is the schedules of some filter groups over some channel blocks.  Its column offsets are not filled in: they
follow from a tile's pitch, which is chosen when a program is built for maps of one size (:mod:`.records`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..hardware.config import Config
from ..hardware.packets import ROUTES
from .tiling import Layout

if TYPE_CHECKING:
    from .program import ConvPlan


@dataclass(frozen=True)
class ScheduledPart:
    """What the parts of trident and gather have; E runs, S steps in all.

    Attributes:
        block0: the first channel block, of the layer's.
        layout: where the part's columns lie in memory; says how many channel blocks it has.
        filters: int32 (E, M), filters in lockstep, -1 where there is none.
        steps: int32 (E,), steps of each run.
        dense: int32 (E,), steps of the dense schedule.
        ideal: float64 (E,), steps of the ideal bound: (non-outliers / 2 + outliers) / (LANES * FILTERS).
        slots: (S, Config.refs), column (r * S + s) * blocks + block that each window slot (trident) or bank (gather)
            reads, -1: none.
    """

    block0: int
    layout: Layout
    filters: np.ndarray
    steps: np.ndarray
    dense: np.ndarray
    ideal: np.ndarray
    slots: np.ndarray

    ARRAYS: ClassVar = {
        "filters": (np.int32, 2),
        "steps": (np.int32, 1),
        "dense": (np.int32, 1),
        "ideal": (np.float64, 1),
    }

    @property
    def outputs(self) -> np.ndarray:
        """int32 (E * M,), the filter of every sum of a pixel, -1 where there is none."""
        return self.filters.ravel()

    def check(self, plan: ConvPlan, need: Callable) -> None:
        """Call ``need(condition, what)`` for everything that a well-formed stream depends on."""
        config, runs, steps = plan.config, len(self.steps), int(self.steps.sum())
        need(self.filters.shape == (runs, config.filters), f"filters of shape {self.filters.shape}")
        need(runs and self.steps.min() >= 1 and self.steps.max() <= config.steps, "steps of a run")
        need(self.dense.shape == self.ideal.shape == (runs,), "dense or ideal of a wrong length")
        need(self.slots.shape == (steps, config.refs), f"slots of shape {self.slots.shape}")
        need(self.slots.min() >= -1, "a slot refers to no column")
        need(self.slots.max() < plan.taps * self.layout.blocks, "a slot refers to no column")
        filters = len(plan.weights) * plan.outputs
        need(self.filters.min() >= -1 and self.filters.max() < filters, "a filter out of range")


@dataclass(frozen=True)
class Part(ScheduledPart):
    """Trident.

    Attributes:
        words: uint64 (S, step_beats), step records, column offsets zero.
    """

    words: np.ndarray

    ARRAYS: ClassVar = {**ScheduledPart.ARRAYS, "slots": (np.int32, 2), "words": (np.uint64, 2)}

    def beats(self, config: Config, pitch: int) -> np.ndarray:
        """Beats of each run's steps on the stream: int64 (E,)."""
        return self.steps.astype(np.int64) * config.step_beats

    def check(self, plan: ConvPlan, need: Callable) -> None:
        super().check(plan, need)
        need(self.words.shape == (len(self.slots), plan.config.step_beats), f"words of shape {self.words.shape}")


@dataclass(frozen=True)
class GatherPart(ScheduledPart):
    """Gather.

    Attributes:
        near: int32 (E,), the largest pitch of a tile with which all steps of the run fit the near format.
        lanes: int16 (S, LANES), weight byte, and from bit 8 on the route.
    """

    near: np.ndarray
    lanes: np.ndarray

    ARRAYS: ClassVar = {
        **ScheduledPart.ARRAYS, "slots": (np.int16, 2), "near": (np.int32, 1), "lanes": (np.int16, 2)
    }  # fmt: skip

    def beats(self, config: Config, pitch: int) -> np.ndarray:
        """Beats of each run's steps on the stream: int64 (E,)."""
        return self.steps.astype(np.int64) * np.where(self.near >= pitch, config.near_beats, config.step_beats)

    def check(self, plan: ConvPlan, need: Callable) -> None:
        super().check(plan, need)
        config = plan.config
        need(self.near.shape == self.steps.shape, "near of a wrong length")
        need(self.lanes.shape == (len(self.slots), config.lanes), f"lanes of shape {self.lanes.shape}")
        need(self.lanes.min() >= 0 and self.lanes.max() >> 8 < len(ROUTES), "a route that is none")
        read = np.zeros((len(self.slots), config.refs + 2), np.int8)  # the last two are the first lane's
        for route, (one, two) in enumerate(ROUTES):
            step, lane = np.nonzero(self.lanes >> 8 == route)
            byte = self.lanes[step, lane] & 255
            np.add.at(read, (step, 2 * lane + one), (byte if two is None else byte & 15) != 0)
            if two is not None:
                np.add.at(read, (step, 2 * lane + two), byte >> 4 != 0)
        read[:, :2] += read[:, -2:]
        need(read.max() <= 1, "two lanes of a step read one bank")
        need((read[:, :-2] == (self.slots >= 0)).all(), "a step reads other banks than it has columns for")
