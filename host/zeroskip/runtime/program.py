"""Compiled convolutions: what the workstation makes and the board runs.

A :class:`ConvPlan` holds the schedules (trident) or jobs (zena) of a layer and nothing that depends on a map's
size.  A layer that exceeds the build's memories is cut into parts; the host adds their sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import FileFormatError
from ..hardware.config import Config
from ..hardware.packets import MIN_CHUNKS
from .modes import MODES
from .tiling import Layout, View

BLOCKINGS = ("channels", "packed", "folded")
"""How channels lie in blocks of LANES; see docs/schedule.md.

* channels: channel c of a group is lane c % LANES of the group's block c // LANES;
* packed: the same over all channels of the layer, blocks reach across groups (depthwise layers);
* folded: kernel taps are channels (im2col on the host), the layer becomes pointwise.
"""


FIRST, FINAL = 1, 2
"""Flags of a job: its sums begin at zero; its sums are sent."""


@dataclass(frozen=True)
class Part:
    """Trident: the schedules of some filter groups over some channel blocks; E runs, S steps in all.

    Attributes:
        block0: the first channel block, of the layer's.
        layout: where the part's columns lie in memory; says how many channel blocks it has.
        filters: int32 (E, M), filters in lockstep, -1 where there is none.
        steps: int32 (E,), steps of each run.
        dense: int32 (E,), steps of the dense schedule.
        ideal: float64 (E,), steps of the ideal bound: (non-outliers / 2 + outliers) / (LANES * FILTERS).
        slots: int32 (S, window), column (r * S + s) * blocks + block that each window slot reads, -1: none.
        words: uint64 (S, step_beats), step records, column offsets zero.
    """

    block0: int
    layout: Layout
    filters: np.ndarray
    steps: np.ndarray
    dense: np.ndarray
    ideal: np.ndarray
    slots: np.ndarray
    words: np.ndarray

    @property
    def outputs(self) -> np.ndarray:
        """int32 (E * M,), the filter of every sum of a pixel, -1 where there is none."""
        return self.filters.ravel()

    ARRAYS: ClassVar = {
        "filters": (np.int32, 2),
        "steps": (np.int32, 1),
        "dense": (np.int32, 1),
        "ideal": (np.float64, 1),
        "slots": (np.int32, 2),
        "words": (np.uint64, 2),
    }

    def check(self, plan: ConvPlan, need: Callable) -> None:
        """Call ``need(condition, what)`` for everything that a well-formed stream depends on."""
        config, runs, steps = plan.config, len(self.steps), int(self.steps.sum())
        need(self.filters.shape == (runs, config.filters), f"filters of shape {self.filters.shape}")
        need(runs and self.steps.min() >= 1 and self.steps.max() <= config.steps, "steps of a run")
        need(self.dense.shape == self.ideal.shape == (runs,), "dense or ideal of a wrong length")
        need(self.slots.shape == (steps, config.window), f"slots of shape {self.slots.shape}")
        need(self.words.shape == (steps, config.step_beats), f"words of shape {self.words.shape}")
        need(self.slots.min() >= -1, "a slot refers to no column")
        need(self.slots.max() < plan.taps * self.layout.blocks, "a slot refers to no column")
        need(self.filters.min() >= -1 and self.filters.max() < len(plan.weights), "a filter out of range")


@dataclass(frozen=True)
class JobPart:
    """Zena: the jobs of some filters over all their channel blocks, for one tile; J jobs in stream order.

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
    def rounds(self) -> int:
        """Slots of partial sums a PE needs."""
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
        need(0 <= self.slot.min() <= self.slot.max() < config.psums, "a slot out of range")
        need(self.chunks.min() >= MIN_CHUNKS and self.chunks.max() <= config.steps, "chunks of a job")
        need(self.columns.shape == (self.chunks.sum(),) and self.columns.min() >= -1, "a chunk refers to no column")
        need(self.columns.max() < plan.taps * self.layout.blocks, "a chunk refers to no column")
        need(self.beats.min() >= config.sub_filters // 4 and self.words.shape == (self.beats.sum(),), "kernel data")
        need(self.kernels.min() >= -1 and self.kernels.max() < len(plan.weights), "a filter out of range")
        need((self.flags & ~(FIRST | FINAL) == 0).all() and self.flags[-1] & FINAL, "the last job is not final")
        need(self.busy.shape == self.density.shape == (1,), "busy or density")
        need(self.busy[0] >= 0 and 0 <= self.density[0] <= 1, "busy or density")


@dataclass(frozen=True)
class ConvPlan:
    """A compiled convolution (or fully connected layer: a 1x1 convolution of a 1x1 map).

    Attributes:
        name: the layer, for messages.
        config: the build it is compiled for.
        weights: int8 or int16 (K, C / groups, R, S), the weights that are computed (after clipping).
        stride, padding (top, left, bottom, right), dilation, groups: of the layer.
        mode: what is skipped: one of the engine's ``MODES``.
        activation_skip: trident: the online scheduler drops dead steps.
        blocking: one of :data:`BLOCKINGS`.
        parts: one or more, of :class:`Part` or :class:`JobPart`.
    """

    name: str
    config: Config
    weights: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    mode: str
    activation_skip: bool
    blocking: str
    parts: tuple[Part, ...] | tuple[JobPart, ...]
    _programs: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def taps(self) -> int:
        """Kernel taps, as the engine sees the layer."""
        return 1 if self.blocking == "folded" else self.weights.shape[2] * self.weights.shape[3]

    @property
    def steps(self) -> int:
        """Steps of all schedules together, per pixel; zena: the cycles its jobs are expected to take."""
        if self.config.engine == "zena":
            return round(sum(part.busy[0] for part in self.parts))
        return int(sum(part.steps.sum() for part in self.parts))

    @property
    def dense_steps(self) -> int:
        """Steps of the dense schedules of the same layout, per pixel; zena: weights of a PE."""
        if self.config.engine == "zena":
            return -(-self.weights.size // self.config.filters)
        return int(sum(part.dense.sum() for part in self.parts))

    @cached_property
    def act_max(self) -> int:
        """Largest activation magnitude the layer accepts: what the build holds and no sum overflows with."""
        return min(self.config.act_max, activation_limit(self.weights))

    def statistics(self) -> dict[str, float]:
        """Fractions of the weights that are zero, non-outlier and outlier."""
        return weight_kinds(self.weights)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(OH, OW) for an input map; not positive where the kernel does not fit."""
        top, left, bottom, right = self.padding
        rows, columns = self.weights.shape[2:]
        return (
            (height + top + bottom - (rows - 1) * self.dilation[0] - 1) // self.stride[0] + 1,
            (width + left + right - (columns - 1) * self.dilation[1] - 1) // self.stride[1] + 1,
        )

    def view(self, images: int, height: int, width: int) -> View:
        """The layer as the engine sees it, for maps of this size."""
        return view_of(
            self.blocking, images, *self.output_size(height, width), self.weights.shape[2:], self.stride, self.dilation
        )

    def to_arrays(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What JSON can hold, and the arrays."""
        meta = {
            "name": self.name,
            "config": asdict(self.config),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "dilation": list(self.dilation),
            "groups": self.groups,
            "mode": self.mode,
            "activation_skip": self.activation_skip,
            "blocking": self.blocking,
            "parts": [{"block0": part.block0, "layout": list(part.layout)} for part in self.parts],
        }
        arrays = {"weights": self.weights}
        for index, part in enumerate(self.parts):
            arrays |= {f"part{index}.{key}": getattr(part, key) for key in part.ARRAYS}
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: dict, arrays: dict[str, np.ndarray]) -> ConvPlan:
        """Inverse of :meth:`to_arrays`.

        Raises:
            FileFormatError: something is missing or does not fit together.
        """
        try:
            config = Config(**meta["config"])
            kind, parts = PARTS[config.engine], []
            for index, scalars in enumerate(meta["parts"]):
                found = {key: arrays[f"part{index}.{key}"] for key in kind.ARRAYS}
                parts.append(kind(int(scalars["block0"]), Layout(*map(int, scalars["layout"])), **found))
            plan = cls(
                str(meta["name"]),
                config,
                arrays["weights"],
                tuple(map(int, meta["stride"])),
                tuple(map(int, meta["padding"])),
                tuple(map(int, meta["dilation"])),
                int(meta["groups"]),
                str(meta["mode"]),
                bool(meta["activation_skip"]),
                str(meta["blocking"]),
                tuple(parts),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"compiled convolution: {type(error).__name__}: {error}") from error
        plan._check()
        return plan

    def _check(self) -> None:
        """Refuse arrays that would make a malformed stream."""

        def need(condition, what):
            if not condition:
                raise FileFormatError(f"compiled convolution {self.name!r}: {what}")

        types = (np.int8,) if self.config.engine == "trident" else (np.int8, np.int16)
        need(self.weights.dtype in types and self.weights.ndim == 4, "weights are not integers (K, C / groups, R, S)")
        need(self.mode in MODES[self.config.engine], f"mode {self.mode!r}")
        need(self.blocking in BLOCKINGS, f"blocking {self.blocking!r}; accepted: {', '.join(BLOCKINGS)}")
        lengths = (len(self.stride), len(self.dilation), len(self.padding))
        need(lengths == (2, 2, 4) and min(*self.stride, *self.dilation) > 0 <= min(self.padding), "geometry")
        need(self.groups > 0 and len(self.weights) % self.groups == 0, f"{self.groups} groups")
        for part in self.parts:
            for key, (dtype, dims) in part.ARRAYS.items():
                array = getattr(part, key)
                need(array.dtype == dtype and array.ndim == dims, f"{key} is not {np.dtype(dtype).name} of rank {dims}")
            part.check(self, need)
            layout = part.layout
            need(layout.step >= layout.blocks > 0 <= part.block0, "column layout")
            need(layout.period > layout.residue >= 0, "column layout")


def blocks_of(plan: ConvPlan) -> list[int]:
    """Channel blocks of each group of channels."""
    channels, lanes = plan.weights.shape[1], plan.config.lanes
    if plan.blocking == "packed":
        return [-(-channels * plan.groups // lanes)]
    if plan.blocking == "folded":
        channels *= plan.weights.shape[2] * plan.weights.shape[3]
    return [-(-channels // lanes)] * plan.groups


def present_channels(plan: ConvPlan) -> np.ndarray:
    """bool (blocks, lanes): which lanes of the layer's channel blocks are channels, not padding."""
    groups, lanes = blocks_of(plan), plan.config.lanes
    channels = plan.weights.shape[1] * plan.groups
    if plan.blocking == "folded":
        channels *= plan.weights.shape[2] * plan.weights.shape[3]
    present = np.arange(groups[0] * lanes) < channels // len(groups)
    return np.tile(present, len(groups)).reshape(-1, lanes)


PARTS = {"trident": Part, "zena": JobPart}
"""Engine -> what its plans are made of."""


def activation_limit(weights: np.ndarray) -> int:
    """Largest activation magnitude with which no filter's sum can leave 32 bits."""
    largest = int(np.abs(weights, dtype=np.int32).sum((1, 2, 3), dtype=np.int64).max())
    return ((1 << 31) - 1) // max(largest, 1)


def weight_kinds(weights: np.ndarray) -> dict[str, float]:
    """Fractions of 8-bit weights that are zero, non-outlier ([-8, 7]) and outlier."""
    count = max(weights.size, 1)
    nonzero = np.count_nonzero(weights)
    outlier = np.count_nonzero((weights < -8) | (weights > 7))
    return {
        "zero": 1 - nonzero / count,
        "non_outlier": (nonzero - outlier) / count,
        "outlier": outlier / count,
    }


def view_of(blocking, images, out_height, out_width, kernel, stride, dilation) -> View:
    """A layer's :class:`~.tiling.View`: pointwise layers in one row, no stride along an axis without neighbourhood."""
    if blocking == "folded" or tuple(kernel) == (1, 1):
        return View(1, 1, images * out_height * out_width, (1, 1), (1, 1), (1, 1))
    stride = tuple(1 if k == 1 else s for k, s in zip(kernel, stride, strict=True))
    return View(images, out_height, out_width, tuple(kernel), stride, tuple(dilation))
