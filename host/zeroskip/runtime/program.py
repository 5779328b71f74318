"""Compiled convolutions: what the workstation makes and the board runs.

A :class:`ConvPlan` holds the schedules (trident, gather) or jobs (zena) of a layer and nothing that depends on a map's
size.  A layer that exceeds the build's memories is cut into parts; the host adds their sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..hardware.config import Config
from .kept import kept
from .phases import columns_of, kernel_width
from .tiling import View

BLOCKINGS = ("channels", "packed", "folded")
"""How channels lie in blocks of ``Config.acts``; see docs/schedule.md.

* channels: channel c of a group is place c of the group's blocks (gather: see ``ConvPlan.placed``);
* packed: the same over all channels of the layer, blocks reach across groups (depthwise layers);
* folded: kernel taps are channels (im2col on the host), the layer becomes pointwise.
"""


@dataclass(frozen=True)
class ConvPlan:
    """A compiled convolution (or fully connected layer: a 1x1 convolution of a 1x1 map).

    Attributes:
        name: the layer, for messages.
        config: the build it is compiled for.
        weights: int8 or int16 (K, C / groups, R, S), the weights that are computed (after clipping).
        stride, padding (top, left, bottom, right), dilation, groups: of the layer.
        mode: what is skipped: one of the engine's ``modes``.
        activation_skip: trident, gather: the online scheduler drops dead steps.
        blocking: one of :data:`BLOCKINGS`.
        parts: one or more, of the engine's kind (``Engine.part``).
        placed: gather: int32 (groups of channels, places), the channel of the group at each place of its blocks, -1:
            none; place p is bank p % ``Config.acts`` of block p // ``Config.acts``.  Packed: one group; folded: its
            channels are (channel, tap) pairs.  None: every channel at its own number.
        phases: gather, packed: pixels of a row that lie in one column as channels of their own (:mod:`.phases`).
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
    parts: tuple
    placed: np.ndarray | None = None
    phases: int = 1
    _programs: dict = field(default_factory=dict, repr=False, compare=False)
    _kept: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def kernel(self) -> tuple[int, int]:
        """The kernel, as the engine sees the layer."""
        rows, taps = self.weights.shape[2:]
        if self.blocking == "folded":
            return 1, 1
        return rows, taps if self.phases == 1 else kernel_width(self.phases, taps, self.stride[1])

    @property
    def taps(self) -> int:
        """Kernel taps, as the engine sees the layer."""
        return self.kernel[0] * self.kernel[1]

    @property
    def outputs(self) -> int:
        """Filters that the engine computes for one of the layer's: pixels of a row that it computes together."""
        return max(self.phases // self.stride[1], 1)

    def reads(self, filters: np.ndarray, channels: np.ndarray) -> np.ndarray:
        """bool, packed: whether filters and channels, as the engine sees them, are of one group."""
        count = len(self.weights) // self.groups * self.outputs
        return (channels >= 0) & (channels // (self.weights.shape[1] * self.phases) == filters // count)

    @property
    def steps(self) -> int:
        """Steps of all schedules together, per pixel; zena: the cycles its jobs are expected to take."""
        return round(sum(part.per_pixel for part in self.parts))

    @property
    def dense_steps(self) -> int:
        """Steps of the dense schedules of the same layout, per pixel; zena: weights of a PE."""
        return math.ceil(sum(part.dense_steps(self) for part in self.parts))

    @cached_property
    def act_max(self) -> int:
        """Largest activation magnitude the layer accepts: what the build holds and no sum overflows with."""
        return min(self.config.act_max, activation_limit(self.weights))

    def statistics(self) -> dict[str, float]:
        """Fractions of the weights that are zero, non-outlier and outlier."""
        return dict(kept(self, "kinds", lambda: weight_kinds(self.weights)))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(OH, OW) for an input map; not positive where the kernel does not fit."""
        top, left, bottom, right = self.padding
        rows, columns = self.weights.shape[2:]
        return (
            (height + top + bottom - (rows - 1) * self.dilation[0] - 1) // self.stride[0] + 1,
            (width + left + right - (columns - 1) * self.dilation[1] - 1) // self.stride[1] + 1,
        )

    def columns(self, width: int) -> int:
        """Columns of a row of ``width`` pixels, as the engine sees it: without phases as many."""
        if self.phases == 1:
            return width
        return columns_of(self.phases, self.weights.shape[3], self.stride[1], self.output_size(1, width)[1])

    def view(self, images: int, height: int, width: int) -> View:
        """The layer as the engine sees it, for maps of this size."""
        rows, columns = self.output_size(height, width)
        columns = -(-columns // self.outputs)
        stride = self.stride if self.phases == 1 else (self.stride[0], 1)
        return view_of(self.blocking, images, rows, columns, self.kernel, stride, self.dilation)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of pixels that one output pixel needs, as the engine sees the layer."""
        return view_of(self.blocking, 1, 1, 1, self.kernel, (1, 1), self.dilation).extent


def channels_of(plan: ConvPlan) -> tuple[int, int]:
    """Groups of channels, and the channels of each, as they lie in blocks."""
    channels = plan.weights.shape[1]
    if plan.blocking == "packed":
        return 1, channels * plan.groups * plan.phases
    return plan.groups, channels * (plan.weights.shape[2] * plan.weights.shape[3] if plan.blocking == "folded" else 1)


def blocks_of(plan: ConvPlan) -> list[int]:
    """Channel blocks of each group of channels."""
    groups, channels = channels_of(plan)
    places = channels if plan.placed is None else plan.placed.shape[1]
    return [-(-places // plan.config.acts)] * groups


def present_channels(plan: ConvPlan) -> np.ndarray:
    """bool (blocks, lanes), zena: which lanes of the layer's channel blocks are channels, not padding."""
    (groups, channels), lanes = channels_of(plan), plan.config.acts
    present = np.arange(blocks_of(plan)[0] * lanes) < channels
    return np.tile(present, groups).reshape(-1, lanes)


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
