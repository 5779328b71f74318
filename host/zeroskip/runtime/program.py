"""Compiled convolutions: what the workstation makes and the board runs.

A :class:`ConvPlan` holds the schedules of a layer and nothing that depends on a map's size.  A layer whose
columns or steps exceed the build's memories is cut into parts by channel blocks; the host adds their sums.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from ..errors import FileFormatError
from ..hardware.config import Config
from .tiling import Layout, View

BLOCKINGS = ("channels", "packed", "folded")
"""How channels lie in blocks of LANES; see docs/schedule.md.

* channels: channel c of a group is lane c % LANES of the group's block c // LANES;
* packed: the same over all channels of the layer, blocks reach across groups (depthwise layers);
* folded: kernel taps are channels (im2col on the host), the layer becomes pointwise.
"""


@dataclass(frozen=True)
class Part:
    """The schedules of some filter groups over some channel blocks; E runs, S steps in all.

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


_ARRAYS = {
    "filters": (np.int32, 2),
    "steps": (np.int32, 1),
    "dense": (np.int32, 1),
    "ideal": (np.float64, 1),
    "slots": (np.int32, 2),
    "words": (np.uint64, 2),
}


@dataclass(frozen=True)
class ConvPlan:
    """A compiled convolution (or fully connected layer: a 1x1 convolution of a 1x1 map).

    Attributes:
        name: the layer, for messages.
        config: the build it is compiled for.
        weights: int8 (K, C / groups, R, S), the weights that are computed (after clipping).
        stride, padding (top, left, bottom, right), dilation, groups: of the layer.
        mode: ``dense``, ``zero_skip`` or ``combined``.
        activation_skip: the online scheduler drops dead steps.
        blocking: one of :data:`BLOCKINGS`.
        parts: one or more.
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
    parts: tuple[Part, ...]
    _programs: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def steps(self) -> int:
        """Steps of all schedules together, per pixel."""
        return int(sum(part.steps.sum() for part in self.parts))

    @property
    def dense_steps(self) -> int:
        """Steps of the dense schedules of the same layout, per pixel."""
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
            arrays |= {f"part{index}.{key}": getattr(part, key) for key in _ARRAYS}
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: dict, arrays: dict[str, np.ndarray]) -> ConvPlan:
        """Inverse of :meth:`to_arrays`.

        Raises:
            FileFormatError: something is missing or does not fit together.
        """
        try:
            config = Config(**meta["config"])
            parts = []
            for index, scalars in enumerate(meta["parts"]):
                found = {key: arrays[f"part{index}.{key}"] for key in _ARRAYS}
                parts.append(Part(int(scalars["block0"]), Layout(*map(int, scalars["layout"])), **found))
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

        need(self.weights.dtype == np.int8 and self.weights.ndim == 4, "weights are not int8 (K, C / groups, R, S)")
        need(self.blocking in BLOCKINGS, f"blocking {self.blocking!r}; accepted: {', '.join(BLOCKINGS)}")
        lengths = (len(self.stride), len(self.dilation), len(self.padding))
        need(lengths == (2, 2, 4) and min(*self.stride, *self.dilation) > 0 <= min(self.padding), "geometry")
        need(self.groups > 0 and len(self.weights) % self.groups == 0, f"{self.groups} groups")
        config, taps = self.config, 1 if self.blocking == "folded" else self.weights.shape[2] * self.weights.shape[3]
        for part in self.parts:
            for key, (dtype, dims) in _ARRAYS.items():
                array = getattr(part, key)
                need(array.dtype == dtype and array.ndim == dims, f"{key} is not {np.dtype(dtype).name} of rank {dims}")
            runs, steps = len(part.steps), int(part.steps.sum())
            need(part.filters.shape == (runs, config.filters), f"filters of shape {part.filters.shape}")
            need(runs and part.steps.min() >= 1 and part.steps.max() <= config.steps, "steps of a run")
            need(part.dense.shape == part.ideal.shape == (runs,), "dense or ideal of a wrong length")
            need(part.slots.shape == (steps, config.window), f"slots of shape {part.slots.shape}")
            need(part.words.shape == (steps, config.step_beats), f"words of shape {part.words.shape}")
            need(part.slots.min() >= -1 and part.slots.max() < taps * part.layout.blocks, "a slot refers to no column")
            need(part.filters.min() >= -1 and part.filters.max() < len(self.weights), "a filter out of range")
            layout = part.layout
            need(layout.step >= layout.blocks > 0 <= part.block0, "column layout")
            need(layout.period > layout.residue >= 0, "column layout")


def activation_limit(weights: np.ndarray) -> int:
    """Largest activation magnitude with which no filter's sum can leave 32 bits."""
    largest = int(np.abs(weights, dtype=np.int16).sum((1, 2, 3), dtype=np.int64).max())
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
