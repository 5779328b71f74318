"""Parts of a plan for the engines that replay schedule steps: trident and gather.

A part is the schedules of some filter groups over some channel blocks.  Its column offsets are not filled in: they
follow from a tile's pitch, which is chosen when a program is built for maps of one size (:mod:`.records`).  Where
filters have channels of their own, a part may be cut into slices: the columns of one are sent while the runs of the one
before compute, as those of the next tile are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..hardware.config import Config
from ..hardware.packets import ROUTES
from .indices import bincount, repeat
from .program import ConvPlan
from .tiling import Layout

MAX_STEPS = 2.0**31
"""Of the ideal bound of a run."""


@dataclass(frozen=True)
class ScheduledPart:
    """What the parts of trident and gather have; E runs, S steps in all.

    Attributes:
        block0: the first channel block, of the layer's.
        layout: where the columns of a slice lie in memory; says how many channel blocks it has.
        slices: runs of each slice.
        filters: int32 (E, M), filters in lockstep, -1 where there is none; gather: M = 1, or LANES in a part of apart
            runs, the filter of every lane.
        steps: int32 (E,), steps of each run.
        dense: int32 (E,), steps of the dense schedule.
        ideal: float64 (E,), steps of the ideal bound: (non-outliers / 2 + outliers) / (LANES * FILTERS), over all
            filters of a run.
        slots: (S, Config.refs), column (r * S + s) * blocks + block, of its slice, that each window slot (trident) or
            bank (gather) reads, -1: none.
    """

    block0: int
    layout: Layout
    slices: tuple[int, ...]
    filters: np.ndarray
    steps: np.ndarray
    dense: np.ndarray
    ideal: np.ndarray
    slots: np.ndarray

    WEIGHTS: ClassVar = (np.int8,)
    PLACED: ClassVar = False
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

    @property
    def apart(self) -> bool:
        """Every lane computes a filter of its own."""
        return False

    @property
    def reach(self) -> np.ndarray | None:
        """int32 (E,), the largest pitch of a tile with which a run has a compact format; None: there is none."""
        return None

    @property
    def per_pixel(self) -> float:
        """Cycles of all runs for one pixel of every work group."""
        return float(self.steps.sum())

    def dense_steps(self, plan: ConvPlan) -> int:
        """Steps of the dense schedules, per pixel."""
        return int(self.dense.sum())

    @property
    def longest(self) -> int:
        """Steps of the longest run."""
        return int(self.steps.max())

    @property
    def last_block0(self) -> int:
        """First block of the last slice."""
        return self.block0 + (len(self.slices) - 1) * self.layout.blocks

    def scalars(self) -> dict:
        """What JSON holds of it; the rest is :data:`ARRAYS`."""
        return {"block0": self.block0, "layout": list(self.layout), "slices": list(self.slices)}

    def periods(self, config: Config) -> int:
        """Column layouts differ in this many ways: banks of the column memory that a schedule counts on."""
        return 1

    def check(self, plan: ConvPlan, need: Callable) -> None:
        """Call ``need(condition, what)`` for everything that a well-formed stream depends on."""
        config, runs, steps = plan.config, len(self.steps), int(self.steps.sum(dtype=np.int64))
        at_once = config.lanes if self.apart else config.filters
        need(self.filters.shape == (runs, at_once), f"filters of shape {self.filters.shape}")
        need(min(self.slices, default=0) > 0 and sum(self.slices) == runs, "slices with other runs than there are")
        need(runs and self.steps.min() >= 1 and self.steps.max() <= config.steps, "steps of a run")
        need(self.dense.shape == self.ideal.shape == (runs,), "dense or ideal of a wrong length")
        need(self.dense.min() >= 0 and ((self.ideal >= 0) & (self.ideal <= MAX_STEPS)).all(), "dense or ideal steps")
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

    def periods(self, config: Config) -> int:
        return config.banks

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

    PLACED: ClassVar = True
    ROUTES: ClassVar = len(ROUTES)
    ARRAYS: ClassVar = {
        **ScheduledPart.ARRAYS, "slots": (np.int16, 2), "near": (np.int32, 1), "lanes": (np.int16, 2)
    }  # fmt: skip

    @property
    def apart(self) -> bool:
        return self.filters.shape[1] > 1

    @property
    def reach(self) -> np.ndarray:
        return self.near

    def beats(self, config: Config, pitch: int) -> np.ndarray:
        """Beats of each run's steps on the stream: int64 (E,)."""
        return self.steps.astype(np.int64) * np.where(self.near >= pitch, config.near_beats, config.step_beats)

    def check(self, plan: ConvPlan, need: Callable) -> None:
        super().check(plan, need)
        config = plan.config
        need(self.near.shape == self.steps.shape, "near of a wrong length")
        need(self.lanes.shape == (len(self.slots), config.lanes), f"lanes of shape {self.lanes.shape}")
        need(self.lanes.min() >= 0 and self.lanes.max() >> 8 < self.ROUTES, "a route that is none")
        step, lane, bank = self._reads(config.refs)
        # Not np.add.at: it takes eight times as long in NumPy 1.24 (emulated 32-bit ARM), and boards have an older one.
        read = bincount(step * config.refs + bank, minlength=self.slots.size).reshape(self.slots.shape)
        need(read.max() <= 1, "two lanes of a step read one bank")
        need((read == (self.slots >= 0)).all(), "a step reads other banks than it has columns for")
        if self.apart:
            need(plan.placed is not None and plan.blocking == "packed", "lanes apart, channels in blocks of a group")
            slice_ = repeat(repeat(np.arange(len(self.slices)), self.slices), self.steps)
            block = self.block0 + slice_[step] * self.layout.blocks + self.slots[step, bank] % self.layout.blocks
            need((block + 1).max(initial=0) * config.acts <= plan.placed.shape[1], "a slot refers to no channel")
            channel = plan.placed[0, block * config.acts + bank]
            filter_ = repeat(self.filters, self.steps, axis=0)[step, lane]
            mine = (filter_ >= 0) & plan.reads(filter_, channel)
            need(mine.all(), "a lane has weights for channels that its filter does not have")

    def _reads(self, banks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step, lane and bank of every weight that is not zero."""
        found = []
        for route, (one, two) in enumerate(ROUTES):
            step, lane = np.nonzero(self.lanes >> 8 == route)
            byte = self.lanes[step, lane] & 255
            first = (byte if two is None else byte & 15) != 0
            found.append((step[first], lane[first], 2 * lane[first] + one))
            if two is not None:
                second = byte >> 4 != 0
                found.append((step[second], lane[second], (2 * lane[second] + two) % banks))
        return tuple(np.concatenate(each) for each in zip(*found, strict=True))


@dataclass(frozen=True)
class TwinPart(GatherPart):
    """Twin: as gather's; a lane has one weight, of bank 2l + route."""

    ROUTES: ClassVar = 4

    @property
    def apart(self) -> bool:
        return False

    def _reads(self, banks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        step, lane = np.nonzero(self.lanes & 255)
        return step, lane, (2 * lane + (self.lanes[step, lane] >> 8)) % banks
