"""Tile sizes for the zena engine: how many output pixels a work group computes at a time.

A large tile uses every weight more often; it needs activation columns, and a partial sum per pixel for
each of a PE's kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..hardware.config import Config
from ..hardware.packets import MIN_CHUNKS
from .tiling import DMA_LIMIT, RATE, Layout, Tile, View, best_tile, candidates

_IMBALANCE = 0.3
"""Work groups wait for the slowest: by this share over the square root of a tile's pixels."""


_OVERLAP = 0.2
"""Share of the cycles of loading that do not hide behind computing, or the other way round, where both are as long."""


@dataclass(frozen=True)
class Load:
    """What a part's jobs ask of the engine, per tile.

    Attributes:
        tiles: channel tiles, of all passes.
        passes: passes.
        busy: cycles of a pixel of the sub-WG with most to do; with stealing, of all in the mean.
        jobs: jobs of that sub-WG.
        beats: of all kernel data and job headers.
        finals: final jobs of all sub-WGs.
        slots: of partial sums of a pass.
        density: share of the activations that travel: non-zeros, or 1.
    """

    tiles: int
    passes: int
    busy: float
    jobs: float
    beats: float
    finals: int
    slots: int
    density: float


def choose_tile(config: Config, view: View, layout: Layout, load: Load) -> Tile:
    """The tile size with the fewest modelled cycles.

    Raises:
        InputError: not even one output pixel fits.
    """
    found = candidates(config, view, layout)
    compute = found.pixels * load.busy * (1 + _IMBALANCE / np.sqrt(found.pixels)) + load.jobs
    # A beat carries an entry of four columns: their bit-vectors, then their values until the fullest is done.
    column_beats = 1 + 16 * min(1.0, 1.1 * load.density)
    acts = load.tiles * (1 + found.size * -(-found.wgs // 4) * column_beats) * RATE
    kernels = load.beats * RATE
    sums = load.finals * found.pixels * config.sub_filters * -(-found.wgs // 2)
    # The drain reads in every fifth cycle, or the one after, if the beats have left by then.
    turns = np.ceil(-(-found.wgs // 2) * RATE / MIN_CHUNKS)
    sending = load.finals * found.pixels * config.sub_filters * turns * MIN_CHUNKS
    # With room for two passes' sums, one's are sent while the next one computes.  Else the next begins as they leave:
    # sending overlaps with about the last channel tile and the first one.
    pause = np.maximum(sending - 2 * load.passes / load.tiles * compute, 0)
    pause = np.where(doubled_sums(config, load.slots, found.pixels), 0, pause)
    compute = np.maximum(compute, sending - pause)
    alone = np.where(found.double, 0, acts)
    loading = acts + kernels - alone
    low, high = np.minimum(compute, loading), np.maximum(compute, loading)
    cycles = alone + high + _OVERLAP * low * (low / high) ** 2 + pause
    cycles = cycles * found.groups + sending / load.passes
    legal = (load.slots * found.pixels <= config.job_psums) & (sums * 8 <= DMA_LIMIT)
    return best_tile(config, layout, found, legal, cycles, (acts + kernels) * found.groups)


def doubled_sums(config: Config, slots: int, pixels):
    """Whether the PEs hold the partial sums of two passes."""
    return 2 * slots * pixels <= config.job_psums
