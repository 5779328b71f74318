"""Tiling: how a map is cut into rectangles of output pixels, one rectangle per work group.

A tile group is up to P rectangles that the P work groups process together, with one set of weights.
Rectangles are numbered over (image, row of rectangles, column of rectangles) and dealt to tile groups
in that order, so a batch fills work groups that one map would leave idle.  The tile size is found by
trying them all against a model of the cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..hardware.config import Config

DMA_LIMIT = (1 << 26) - 1
"""Bytes one DMA transfer can move, each way (a 26-bit length register)."""

RATE = 1024 / 960  # cycles per beat of a memory port that loses some to refresh and page misses

_TRAFFIC_COST = 0.1  # of a cycle, for a cycle of the input stream that computing hides


@dataclass(frozen=True)
class View:
    """A layer as the engine sees it: maps with their padding, and a kernel that walks over them.

    A pointwise layer (1x1 kernel) has no neighbourhoods, so its pixels may stand in one row:
    ``images`` = ``out_height`` = 1, ``out_width`` = all pixels of the batch.
    """

    images: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of pixels one output pixel needs."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


class Layout(NamedTuple):
    """Where the columns of a tile lie: address = base + row * pitch + x * step + block.

    ``step`` columns hold the ``blocks`` channel blocks of a pixel.  ``pitch``, the distance of two rows, may be
    any number that is ``residue`` modulo ``period``: that is all a schedule needs to know for its columns to
    lie in different banks.
    """

    blocks: int
    step: int
    residue: int
    period: int

    def pitch(self, width):
        """Smallest allowed distance, in columns, of rows of ``width`` pixels (int or integer array)."""
        return width * self.step + (self.residue - width * self.step) % self.period

    def size(self, height, width):
        """Columns from the first to the last address of ``height`` x ``width`` pixels."""
        return (height - 1) * self.pitch(width) + (width - 1) * self.step + self.blocks

    def offsets(self, kernel: tuple[int, int], dilation: tuple[int, int], pitch: int) -> np.ndarray:
        """Addresses int64 (R * S * blocks,) of columns (r * S + s) * blocks + block, from a pixel's base."""
        r, s, block = np.ogrid[: kernel[0], : kernel[1], : self.blocks]
        return (r * dilation[0] * pitch + s * dilation[1] * self.step + block).ravel()


@dataclass(frozen=True)
class Tile:
    """A tile size and what follows from it.

    Attributes:
        height, width: output pixels of one rectangle.
        rows, columns: rectangles over one image.
        groups: tile groups.
        last_wgs: work groups in use in the last tile group.
        pitch: column addresses from row to row.
        size: columns of one tile, from the first to the last address.
        double: two tiles fit the memory, so one loads while the other computes.
        cycles: modelled cycles for all tile groups.
    """

    height: int
    width: int
    rows: int
    columns: int
    groups: int
    last_wgs: int
    pitch: int
    size: int
    double: bool
    cycles: float


@dataclass(frozen=True)
class Candidates:
    """Tile sizes worth trying, as arrays that broadcast; the fields are :class:`Tile`'s.

    ``wgs``: work groups in use in a full tile group.  ``in_width``: input pixels of a row.
    """

    height: np.ndarray
    width: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    rectangles: np.ndarray
    groups: np.ndarray
    wgs: np.ndarray
    in_width: np.ndarray
    size: np.ndarray
    double: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """Output pixels of a rectangle."""
        return self.height * self.width


@lru_cache(maxsize=64)  # asked for once with the glue, once without
def candidates(config: Config, view: View, layout: Layout) -> Candidates:
    """All tile sizes worth trying for a layer."""
    height = _sizes(view.out_height)[:, None]
    width = _sizes(view.out_width)[None, :]
    in_height = (height - 1) * view.stride[0] + view.extent[0]
    in_width = (width - 1) * view.stride[1] + view.extent[1]
    size = layout.size(in_height, in_width)
    rows, columns = -(-view.out_height // height), -(-view.out_width // width)
    rectangles = view.images * rows * columns
    groups = -(-rectangles // config.wgs)
    wgs = np.minimum(rectangles, config.wgs)
    return Candidates(height, width, rows, columns, rectangles, groups, wgs, in_width, size, 2 * size <= config.columns)


def best_tile(
    config: Config, layout: Layout, found: Candidates, legal: np.ndarray, cycles: np.ndarray, traffic: np.ndarray
) -> Tile:
    """The legal candidate with the fewest cycles.

    Args:
        legal, cycles: of every candidate; what broadcasts.
        traffic: cycles of the input stream.  They count a little even where they hide behind computing: runs differ
            in length, zeros shorten them, and a stream only just fast enough on average makes some of them wait.

    Raises:
        InputError: none is legal: not even one output pixel fits.
    """
    legal = legal & (found.size <= config.columns) & (found.width < 1 << 16) & (found.height < 1 << 16)
    if not legal.any():
        raise InputError(
            f"one output pixel needs {found.size.flat[0]} columns; accepted by this build: {config.columns}"
        )
    cycles = np.where(legal, cycles, np.inf)
    at = np.unravel_index(np.argmin(cycles + _TRAFFIC_COST * traffic), cycles.shape)
    fields = np.broadcast_arrays(
        found.height, found.width, found.rows, found.columns, found.groups, found.rectangles, found.in_width, found.size
    )
    height, width, rows, columns, groups, rectangles, in_width, size = (int(a[at]) for a in fields)
    return Tile(
        height, width, rows, columns, groups, rectangles - (groups - 1) * config.wgs,
        layout.pitch(in_width), size, bool(found.double[at]), float(cycles[at]),
    )  # fmt: skip


def pixel_beats(config: Config, filters: int, wgs, sums: int = 2):
    """Beats in which a pixel's sums leave the engine.

    Args:
        config: the build.
        filters: of a run: FILTERS in lockstep, or where every lane has one, LANES: each then begins on a beat.
        wgs: work groups in use (int or integer array).
        sums: sums of a beat.
    """
    return filters // config.filters * -(-wgs * config.filters // sums)


def choose_tile(
    config: Config,
    view: View,
    layout: Layout,
    steps: np.ndarray,
    act_format: int,
    near: np.ndarray | None = None,
    filters: int = 1,
    slices: int = 1,
    sums: int = 2,
    lead: int = 0,
) -> Tile:
    """The tile size with the fewest modelled cycles of an engine that replays schedule steps.

    Args:
        config: the build.
        view, layout: the layer and its columns.
        steps: int or float (E,), steps of each run.
        act_format: 0 for bytes, 1 for 16-bit activations.
        near: gather: int (E,), the largest pitch with which a run has the near format; None: none has.
        filters: of a run.
        slices: of channels, that take turns in the column memory with their share of the runs; ``layout`` is of one.
        sums: sums that leave per cycle.
        lead: beats of the FINISH packet before each run.

    Raises:
        InputError: not even one output pixel fits.
    """
    found = candidates(config, view, layout)
    groups, wgs, pixels = found.groups, found.wgs, found.pixels
    drain = pixel_beats(config, filters, wgs, sums) * RATE
    runs = len(steps)
    steps = np.asarray(steps, np.float64)
    # Either the steps of a pixel take longer than its sums leave, or the other way round, run by run.
    ascending = np.sort(steps)
    below = np.searchsorted(ascending, drain)
    total = np.concatenate([[0.0], np.cumsum(ascending)])
    compute = pixels * (total[-1] - total[below] + below * drain)
    beats = steps.sum() * config.step_beats + (2 + lead) * runs
    if near is not None:
        order = np.argsort(near, kind="stable")
        shorter = np.append(np.cumsum(steps[order][::-1])[::-1], 0)  # steps of the runs from here on
        far = np.searchsorted(near[order], layout.pitch(found.in_width))
        beats = beats - shorter[far] * (config.step_beats - config.near_beats)
    schedules = beats * RATE
    load = found.size * wgs * config.column_beats(act_format) * RATE
    compute, schedules, turns = compute / slices, schedules / slices, groups * slices
    overlapped = load + np.maximum(compute, schedules + load) * (turns - 1) + np.maximum(compute, schedules)
    alternating = (load + np.maximum(compute, schedules)) * turns
    cycles = np.where(found.double, overlapped, alternating)
    legal = pixels * pixel_beats(config, filters, wgs) * 8 <= DMA_LIMIT
    return best_tile(config, layout, found, legal, cycles, (schedules + load) * turns)


def _sizes(length: int) -> np.ndarray:
    """Sizes worth trying: for every number of pieces, the smallest size that needs no more pieces."""
    pieces = np.arange(1, length + 1, dtype=np.int64)
    if length > 4096:
        pieces = np.unique(np.geomspace(1, length, 4096).astype(np.int64))
    return np.unique(-(-length // pieces))
