"""Parts of a plan for the zena engine: jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from ..hardware.config import Config
from ..hardware.packets import MIN_CHUNKS
from .program import ConvPlan
from .tiling import Layout

FIRST, FINAL = 1, 2
"""Flags of a job: its sums begin at zero; its sums are sent."""


MAX_BUSY = 2.0**40
"""Expected cycles of a pixel, all jobs."""

MAX_PLACES = 2**20
"""Partial sums of a PE, those of all passes counted."""


@dataclass(frozen=True)
class JobPart:
    """The jobs of some filters over all their channel blocks, for one tile; J jobs in stream order.

    A channel tile is ``layout.blocks`` channel blocks, loaded together; a job is one kernel tile (some of its
    chunks) of the PEs of one sub-WG.  Partial sums stay in the PEs from a filter's first job to its final one.  A
    pass is the filters whose partial sums are there together: the channel tiles come once for each pass.

    Attributes:
        block0: the first channel block, of the layer's.
        layout: where a channel tile's columns lie in memory.
        tiles: int32 (T,), first block of every channel tile, counted from ``block0``, pass after pass.
        turn, tile, sub_wg, slot, flags, chunks, beats: int32 (J,), of every job: pass, channel tile (both ascending),
            sub-WG, slot of partial sums (times the pixels of a tile: their place), FIRST and FINAL, chunks, beats of
            kernel data.
        kernels: int32 (J, sub_filters), the filter of each PE, -1: none.
        columns: int32, the chunks of all jobs: column (r * S + s) * blocks + block, -1: an empty chunk.
        words: uint64, the kernel data of all jobs.
        busy: float64 (1,), expected cycles of a pixel, all jobs of the sub-WG that has most to do.
        density: float64 (1,), expected share of the activations that travel and meet weights.
    """

    block0: int
    layout: Layout
    tiles: np.ndarray
    turn: np.ndarray
    tile: np.ndarray
    sub_wg: np.ndarray
    slot: np.ndarray
    flags: np.ndarray
    chunks: np.ndarray
    beats: np.ndarray
    kernels: np.ndarray
    columns: np.ndarray
    words: np.ndarray
    busy: np.ndarray
    density: np.ndarray

    WEIGHTS: ClassVar = (np.int8, np.int16)
    PLACED: ClassVar = False
    ARRAYS: ClassVar = {
        **dict.fromkeys(
            ("tiles", "turn", "tile", "sub_wg", "slot", "flags", "chunks", "beats", "columns"), (np.int32, 1)
        ),
        "kernels": (np.int32, 2),
        "words": (np.uint64, 1),
        "busy": (np.float64, 1),
        "density": (np.float64, 1),
    }

    @property
    def outputs(self) -> np.ndarray:
        """int32 (final jobs * PEs,), the filter of every sum of a pixel, -1 where there is none."""
        return self.kernels[self.flags & FINAL != 0].ravel()

    @property
    def per_pixel(self) -> float:
        """Cycles that all jobs are expected to take for one pixel of every work group."""
        return float(self.busy[0])

    def dense_steps(self, plan: ConvPlan) -> Fraction:
        """Weights of a PE: what its filters take without skipping."""
        return Fraction(np.count_nonzero(self.outputs >= 0) * plan.weights[0].size, plan.config.filters)

    @property
    def longest(self) -> int:
        """Chunks of the longest job."""
        return int(self.chunks.max())

    @property
    def last_block0(self) -> int:
        """First block of the last channel tile."""
        return self.block0 + int(self.tiles.max())

    def scalars(self) -> dict:
        """What JSON holds of it; the rest is :data:`ARRAYS`."""
        return {"block0": self.block0, "layout": list(self.layout)}

    def periods(self, config: Config) -> int:
        """Column layouts differ in this many ways: banks of the column memory that a schedule counts on."""
        return 1

    @property
    def slots(self) -> int:
        """Slots of partial sums: in each PE, with stealing of all sub-WGs together."""
        return int(self.slot.max()) + 1

    def check(self, plan: ConvPlan, need: Callable) -> None:
        """Call ``need(condition, what)`` for everything that a well-formed stream depends on."""
        config, jobs = plan.config, len(self.tile)
        arrays = (self.turn, self.sub_wg, self.slot, self.flags, self.chunks, self.beats)
        need(jobs and all(array.shape == (jobs,) for array in arrays), "jobs of different numbers")
        need(self.kernels.shape == (jobs, config.sub_filters), "a job for other than its PEs")
        need(self.tiles.size and self.tiles.min() >= 0, "channel tiles")
        need(self.tile[0] == 0 and set(np.diff(self.tile).tolist()) <= {0, 1}, "channel tiles out of order")
        need(self.tile[-1] == len(self.tiles) - 1, "a channel tile without jobs")
        need(self.sub_wg.min() >= 0 and self.sub_wg.max() < config.sub_wgs, "a sub-WG out of range")
        need(self.turn[0] == 0 and set(np.diff(self.turn).tolist()) <= {0, 1}, "passes out of order")
        need(0 <= self.slot.min() <= self.slot.max() < config.job_psums, "a slot out of range")
        need((int(self.turn[-1]) + 1) * self.slots <= MAX_PLACES, "too many passes with so many slots")
        need(self.chunks.min() >= MIN_CHUNKS and self.chunks.max() <= config.steps, "chunks of a job")
        need(
            self.columns.shape == (self.chunks.sum(dtype=np.int64),) and self.columns.min() >= -1,
            "a chunk refers to no column",
        )
        need(self.columns.max() < plan.taps * self.layout.blocks, "a chunk refers to no column")
        need(
            self.beats.min() >= config.sub_filters // 4 and self.words.shape == (self.beats.sum(dtype=np.int64),),
            "kernel data",
        )
        need(self.kernels.min() >= -1 and self.kernels.max() < len(plan.weights), "a filter out of range")
        need((self.flags & ~(FIRST | FINAL) == 0).all() and self.flags[-1] & FINAL, "the last job is not final")
        need(self.busy.shape == self.density.shape == (1,), "busy or density")
        need(0 <= self.busy[0] <= MAX_BUSY and 0 <= self.density[0] <= 1, "busy or density")


def skips(mode: str) -> tuple[bool, bool]:
    """Whether a mode skips zero weights, and zero activations."""
    return mode in ("WZ", "WAZ", "WAZ+KA"), mode in ("AZ", "WAZ", "WAZ+KA")
