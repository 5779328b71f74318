"""Compiled convolutions: what the workstation makes and the board runs.

A :class:`ConvPlan` holds the schedules (trident, gather) or jobs (zena) of a layer and nothing that depends on a map's
size.  A layer that exceeds the build's memories is cut into parts; the host adds their sums.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from ..errors import FileFormatError
from ..hardware.config import Config
from .kept import kept
from .modes import MODES
from .parts import GatherPart, Part
from .phases import columns_of, kernel_width
from .tiling import Layout, View
from .zena_part import JobPart

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
        mode: what is skipped: one of the engine's ``MODES``.
        activation_skip: trident, gather: the online scheduler drops dead steps.
        blocking: one of :data:`BLOCKINGS`.
        parts: one or more, of the engine's kind (:data:`PARTS`).
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
    parts: tuple[Part, ...] | tuple[JobPart, ...] | tuple[GatherPart, ...]
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
            "phases": self.phases,
            "parts": [
                {"block0": part.block0, "layout": list(part.layout)}
                | ({"slices": list(part.slices)} if self.config.scheduled else {})
                for part in self.parts
            ],
        }
        arrays = {"weights": self.weights} | ({} if self.placed is None else {"placed": self.placed})
        for index, part in enumerate(self.parts):
            arrays |= {f"part{index}.{key}": getattr(part, key) for key in part.ARRAYS}
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: dict, arrays: dict[str, np.ndarray]) -> ConvPlan:
        """Inverse of :meth:`to_arrays`; types and ranges of ``meta`` are checked (``manifest.PLAN``).

        Raises:
            FileFormatError: something is missing or does not fit together.
        """
        arrays = dict(arrays)
        try:
            config = Config(**meta["config"])
            kind, parts = PARTS[config.engine], []
            for index, scalars in enumerate(meta["parts"]):
                found = {key: arrays.pop(f"part{index}.{key}") for key in kind.ARRAYS}
                parts.append(kind(**{**scalars, "layout": Layout(*scalars["layout"])}, **found))
            names = "name", "stride", "padding", "dilation", "groups", "mode", "activation_skip", "blocking", "phases"
            fields = {name: meta[name] for name in names} | {"config": config, "parts": tuple(parts)}
            if config.engine == "gather":
                fields["placed"] = arrays.pop("placed")
            plan = cls(**fields, weights=arrays.pop("weights"))
        except (KeyError, TypeError) as error:
            raise FileFormatError(f"compiled convolution: {type(error).__name__}: {error}") from error
        if arrays:
            raise FileFormatError(f"compiled convolution {plan.name!r}: arrays {sorted(arrays)[:3]} that it has not")
        plan._check()
        return plan

    def _check(self) -> None:
        """Refuse arrays that would make a malformed stream."""

        def need(condition, what):
            if not condition:
                raise FileFormatError(f"compiled convolution {self.name!r}: {what}")

        types = (np.int8,) if self.config.scheduled else (np.int8, np.int16)
        need(self.weights.dtype in types and self.weights.ndim == 4, "weights are not integers (K, C / groups, R, S)")
        need(self.mode in MODES[self.config.engine], f"mode {self.mode!r}")
        need(self.blocking in BLOCKINGS, f"blocking {self.blocking!r}; accepted: {', '.join(BLOCKINGS)}")
        need(self.weights.size, "no weights")
        need(len(self.weights) % self.groups == 0, f"{self.groups} groups")
        need(self.phases == 1 or (self.blocking == "packed" and self.phases > 1), "phases")
        need(self.phases == 1 or (self.phases % self.stride[1] == 0 and self.dilation[1] == 1), "phases")
        if self.placed is not None:
            groups, channels = channels_of(self)
            need(self.placed.dtype == np.int32 and self.placed.ndim == 2, "placed is not int32 of rank 2")
            need(len(self.placed) == groups and self.placed.shape[1] % self.config.acts == 0, "places of channels")
            need(self.placed.min() >= -1 and self.placed.max() < channels, "a place without a channel")
        for part in self.parts:
            for key, (dtype, dims) in part.ARRAYS.items():
                array = getattr(part, key)
                need(array.dtype == dtype and array.ndim == dims, f"{key} is not {np.dtype(dtype).name} of rank {dims}")
            layout = part.layout
            most = self.config.banks if self.config.engine == "trident" else 1
            need(0 <= layout.step - layout.blocks < most and layout.blocks > 0, f"column layout: step {layout.step}")
            need(most >= layout.period > layout.residue, f"column layout: period {layout.period}")
            need(
                layout.size(*self._extent()) <= self.config.columns,
                "one output pixel needs more columns than there are",
            )
            part.check(self, need)
            first = (len(part.slices) - 1) * layout.blocks if self.config.scheduled else int(part.tiles.max())
            need(part.block0 + first < sum(blocks_of(self)), "a slice of channels that there are not")

    def _extent(self) -> tuple[int, int]:
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


PARTS = {"trident": Part, "zena": JobPart, "gather": GatherPart}
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
