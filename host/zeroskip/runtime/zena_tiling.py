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
        tiles: channel tiles, of all passes.
        passes: passes.
        busy: cycles of a pixel of the sub-WG with most to do.
        jobs: jobs of that sub-WG.
        beats: of all kernel data and job headers.
        finals: final jobs of all sub-WGs.
        rounds: slots of partial sums of a pass.
        compressed: activations travel without their zeros.
    """

    tiles: int
    passes: int
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
    # With room for two passes' sums, one's are sent while the next one computes.  Else the next begins as they leave:
    # sending overlaps with about the last channel tile and the first one.
    sums = sums * RATE
    pause = np.maximum(sums - 2 * load.passes / load.tiles * compute, 0)
    pause = np.where(doubled_sums(config, load.rounds, found.pixels), 0, pause)
    compute = np.maximum(compute + pause, sums)
    cycles = np.where(found.double, np.maximum(compute, acts + kernels), acts + np.maximum(compute, kernels))
    cycles = cycles * found.groups + sums / load.passes
    legal = (load.rounds * found.pixels <= config.psums) & (sums * 8 <= DMA_LIMIT)
    return best_tile(config, layout, found, legal, cycles, (acts + kernels) * found.groups)


def doubled_sums(config: Config, rounds: int, pixels):
    """Whether the PEs hold the partial sums of two passes."""
    return 2 * rounds * pixels <= config.psums
