"""Tile sizes for the zena engine: how many output pixels a work group computes at a time.

A large tile uses every weight more often; it needs activation columns, and a partial sum per pixel for
each of a PE's kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..hardware.config import Config
from .tiling import DMA_LIMIT, RATE, Layout, Tile, View, best_tile, candidates

COLUMN_BEATS = {False: 17.0, True: 8.5}
"""Beats four columns side by side take: all 16 values and the bit-vector, or with the zeros left out (at 40 %)."""


@dataclass(frozen=True)
class Load:
    """What a part's jobs ask of the engine, per tile.

    Attributes:
        tiles: channel tiles.
        busy: cycles of a pixel of the sub-WG with most to do.
        jobs: jobs of that sub-WG.
        beats: of all kernel data and job headers.
        finals: final jobs of all sub-WGs.
        rounds: slots of partial sums.
        compressed: activations travel without their zeros.
    """

    tiles: int
    busy: float
    jobs: float
    beats: float
    finals: int
    rounds: int
    compressed: bool


def choose_tile(config: Config, view: View, layout: Layout, load: Load) -> Tile:
    """The tile size with the fewest modelled cycles.

    Raises:
        InputError: not even one output pixel fits.
    """
    found = candidates(config, view, layout)
    compute = found.pixels * load.busy + load.jobs
    acts = load.tiles * (1 + found.size * -(-found.wgs // 4) * COLUMN_BEATS[load.compressed]) * RATE
    kernels = load.beats * RATE
    sums = load.finals * found.pixels * config.sub_filters * -(-found.wgs // 2)
    overlapped = np.maximum(np.maximum(compute, acts + kernels), sums * RATE)
    alternating = acts + np.maximum(np.maximum(compute, kernels), sums * RATE)
    cycles = np.where(found.double, overlapped, alternating) * found.groups
    legal = (load.rounds * found.pixels <= config.psums) & (sums * 8 <= DMA_LIMIT)
    return best_tile(config, layout, found, legal, cycles, (acts + kernels) * found.groups)
