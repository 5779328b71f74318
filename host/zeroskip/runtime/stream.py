"""Programs: the packet streams of one part of a layer, for maps of one size.

Everything but the activations is the same for every run of a layer, so the stream is built once as a
template; a run copies it and fills in the activations with one indexed assignment.  Within a transfer the
activations of the next tile group stand between the runs of the present one, in the other half of the
column memory, where two tiles fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import ACT_HEADER, KIND_ACT, KIND_RUN, RUN_HEADER_0, RUN_HEADER_1, Field
from .program import ConvPlan, Part
from .tiling import DMA_LIMIT, Tile, View, choose_tile

_BEATS = DMA_LIMIT // 8


@dataclass(frozen=True)
class Transfer:
    """One DMA transfer: some tile groups, some runs of each.

    Attributes:
        words: uint64 (n,), the stream with activations and zero points zero.
        headers: int64, indices of the ACT headers in ``words``.
        position: int32 (a,), index in ``words`` of each column, work group by work group.
        source: int32 (a,), the column of the layer's input that belongs there.
        groups: tile groups (first, end).
        runs: runs of the part (first, end).
        last_wgs: work groups in use in this transfer's last tile group.
        out_beats: beats of sums it returns.
    """

    words: np.ndarray
    headers: np.ndarray
    position: np.ndarray
    source: np.ndarray
    groups: tuple[int, int]
    runs: tuple[int, int]
    last_wgs: int
    out_beats: int


@dataclass(frozen=True)
class Program:
    """All transfers of a part for one batch of maps."""

    part: Part
    view: View
    tile: Tile
    transfers: tuple[Transfer, ...]

    @property
    def pixel_groups(self) -> int:
        """Times every run's steps are replayed: tile groups x pixels of a tile."""
        return self.tile.groups * self.tile.height * self.tile.width


def build(plan: ConvPlan, part: Part, view: View, pixels: np.ndarray, blocks: int, act_format: int) -> Program:
    """Build a part's program.

    Args:
        plan, part: what to build.
        view: the layer as the engine sees it.
        pixels: int32 (images, height, width), the input pixel at every place of the padded maps; the number
            after the last input pixel stands for a pixel of zeros.
        blocks: channel blocks of an input pixel.
        act_format: 0 for bytes, 1 for 16-bit activations.

    Raises:
        InputError: not even one output pixel fits the build.
    """
    config = plan.config
    tile = choose_tile(config, view, part.layout, part.steps, act_format)
    words = _with_offsets(config, part, part.layout.offsets(view.kernel, view.dilation, tile.pitch))
    source = _sources(part, view, tile, pixels, blocks)

    # Cut into transfers: whole tile groups if one fits, else a share of the runs at a time.
    wgs = config.wgs if tile.groups > 1 else tile.last_wgs
    columns = tile.size * wgs * config.column_beats(act_format)
    run_beats = 2 + part.steps.astype(np.int64) * config.step_beats
    out_run = tile.height * tile.width * -(-wgs * config.filters // 2)
    if columns + run_beats.max() + 2 > _BEATS or out_run > _BEATS:
        raise InputError(f"layer {plan.name!r}: one tile exceeds a DMA transfer of {DMA_LIMIT} bytes")
    group_in = columns + int(run_beats.sum()) + len(run_beats) + 2
    group_out = out_run * len(run_beats)
    at_once = min(tile.groups, _BEATS // group_in, _BEATS // group_out)
    transfers = []
    if at_once:
        pieces = -(-tile.groups // at_once)
        bounds = np.linspace(0, tile.groups, pieces + 1).astype(int)
        spans = [((a, b), (0, len(run_beats))) for a, b in zip(bounds, bounds[1:])]
    else:
        share = np.maximum((np.cumsum(run_beats + 1) + columns) // _BEATS, np.arange(1, len(run_beats) + 1) * out_run // _BEATS)
        cuts = _cuts(run_beats + 1, _BEATS - columns - 2, _BEATS // out_run)
        spans = [((g, g + 1), cut) for g in range(tile.groups) for cut in cuts]
    for groups, runs in spans:
        transfers.append(_transfer(plan, part, view, tile, words, source, groups, runs, act_format))
    return Program(part, view, tile, tuple(transfers))
