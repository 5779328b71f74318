"""Tiling: how a map is cut into rectangles of output pixels, one rectangle per work group.

A tile group is up to P rectangles that the P work groups process together, with one set of weights.
Rectangles are numbered over (image, row of rectangles, column of rectangles) and dealt to tile groups
in that order, so a batch fills work groups that one map would leave idle.  The tile size is found by
trying them all against a model of the cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..hardware.config import Config

DMA_LIMIT = (1 << 26) - 1
"""Bytes one DMA transfer can move, each way (a 26-bit length register)."""

_RATE = 1024 / 960  # cycles per beat of a memory port that loses some to refresh and page misses


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


def choose_tile(config: Config, view: View, layout: Layout, steps: np.ndarray, act_format: int) -> Tile:
    """The tile size with the fewest modelled cycles.

    Args:
        config: the build.
        view, layout: the layer and its columns.
        steps: int or float (E,), steps of each run.
        act_format: 0 for bytes, 1 for 16-bit activations.

    Raises:
        InputError: not even one output pixel fits.
    """
    height = _sizes(view.out_height)[:, None]
    width = _sizes(view.out_width)[None, :]
    in_height = (height - 1) * view.stride[0] + view.extent[0]
    in_width = (width - 1) * view.stride[1] + view.extent[1]
    size = layout.size(in_height, in_width)

    rows, columns = -(-view.out_height // height), -(-view.out_width // width)
    rectangles = view.images * rows * columns
    groups = -(-rectangles // config.wgs)
    wgs = np.minimum(rectangles, config.wgs)

    pixels = height * width
    drain = -(-wgs * config.filters // 2)
    runs = len(steps)
    steps = np.asarray(steps, np.float64)
    # Either the steps of a pixel take longer than its sums leave, or the other way round, run by run.
    ascending = np.sort(steps)
    below = np.searchsorted(ascending, drain * _RATE)
    total = np.concatenate([[0.0], np.cumsum(ascending)])
    compute = pixels * (total[-1] - total[below] + below * drain * _RATE)
    schedules = (steps.sum() * config.step_beats + 2 * runs) * _RATE
    load = size * wgs * config.column_beats(act_format) * _RATE
    double = 2 * size <= config.columns
    overlapped = load + np.maximum(compute, schedules + load) * (groups - 1) + np.maximum(compute, schedules)
    alternating = (load + np.maximum(compute, schedules)) * groups
    cycles = np.where(double, overlapped, alternating)

    legal = (size <= config.columns) & (pixels * drain * 8 <= DMA_LIMIT) & (width < 1 << 16) & (height < 1 << 16)
    if not legal.any():
        raise InputError(f"one output pixel needs {size.flat[0]} columns; accepted by this build: {config.columns}")
    cycles = np.where(legal, cycles, np.inf)
    # Traffic counts a little even where it hides behind computing: runs differ in length, zero activations
    # shorten them, and a stream that is only just fast enough on average makes some of them wait.
    traffic = (schedules + load) * groups
    at = np.unravel_index(np.argmin(cycles + _TRAFFIC_COST * traffic), cycles.shape)
    full = np.broadcast_arrays(height, width, rows, columns, groups, rectangles, in_width, size)
    h, w, tile_rows, tile_columns, tile_groups, count, pixels_in, tile_size = (int(a[at]) for a in full)
    return Tile(
        h, w, tile_rows, tile_columns, tile_groups, count - (tile_groups - 1) * config.wgs,
        layout.pitch(pixels_in), tile_size, bool(double[at]), float(cycles[at]),
    )  # fmt: skip


def _sizes(length: int) -> np.ndarray:
    """Sizes worth trying: for every number of pieces, the smallest size that needs no more pieces."""
    pieces = np.arange(1, length + 1, dtype=np.int64)
    if length > 4096:
        pieces = np.unique(np.geomspace(1, length, 4096).astype(np.int64))
    return np.unique(-(-length // pieces))
