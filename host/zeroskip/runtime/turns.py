"""Which columns a transfer brings, and when.

The columns of a tile are sent in one or several *slices* of channel blocks.  While the runs of one slice compute, the
columns of the next one arrive: the next of this tile group, or the first of the next tile group.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..hardware.config import Config
from .indices import repeat
from .parts import ScheduledPart
from .tiling import Tile, View


def sources(
    part: ScheduledPart, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int], index: int = 0
) -> np.ndarray:
    """Input column at every address of every rectangle, for one slice: int32 (rectangles, tile.size)."""
    zero, blocks = image
    stride, extent, layout = view.stride, view.extent, part.layout
    height = (tile.height - 1) * stride[0] + extent[0]
    width = (tile.width - 1) * stride[1] + extent[1]
    y = np.arange(tile.rows)[:, None] * (tile.height * stride[0]) + np.arange(height)
    x = np.arange(tile.columns)[:, None] * (tile.width * stride[1]) + np.arange(width)
    # Rectangles at the edge may reach beyond the map: zeros there, and nobody looks at their sums.
    size = max(y.max() + 1, pixels.shape[1]), max(x.max() + 1, pixels.shape[2])
    beyond = np.full((view.images, *size), zero, np.int32)
    beyond[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    found = beyond[:, y[:, None, :, None], x[None, :, None, :]].reshape(-1, height, width)
    columns = np.full((*found.shape, layout.step), zero * blocks, np.int32)
    first = part.block0 + index * layout.blocks
    there = min(layout.blocks, blocks - first)  # the last slice may have fewer
    columns[..., :there] = found[..., None] * np.int32(blocks)
    columns[..., :there] += np.arange(first, first + there, dtype=np.int32)
    rows = np.full((len(found), height, tile.pitch), zero * blocks, np.int32)
    rows[:, :, : width * layout.step] = columns.reshape(len(found), height, -1)
    return rows.reshape(len(found), -1)[:, : tile.size]


class Turns(NamedTuple):
    """Whose columns are in memory when: the slices of a tile group take turns, then those of the next one.

    Args:
        first: the part's slice that the transfer begins with.
        bounds: int64 (Z + 1,), the transfer's runs of each of its slices.
        page: int64 (tile groups, runs), the page of each run.
        follow, start: int64 (runs,), how many columns of the next turn follow each run, and the first of them.
        wgs: int64 (tile groups, runs), work groups of that turn, 0: no columns follow.
    """

    first: int
    bounds: np.ndarray
    page: np.ndarray
    follow: np.ndarray
    start: np.ndarray
    wgs: np.ndarray


def turns_of(part: ScheduledPart, tile: Tile, runs: tuple[int, int], wgs: np.ndarray) -> Turns:
    """The turns of a transfer.

    Args:
        runs: runs of the part that it has, first and end.
        wgs: int64 (tile groups,), work groups in use.
    """
    steps = part.steps[slice(*runs)].astype(np.int64)
    slices = repeat(np.arange(len(part.slices)), part.slices)[slice(*runs)]
    first, slices = slices[0], slices - slices[0]
    bounds = np.searchsorted(slices, np.arange(slices[-1] + 2))
    turn = np.arange(len(wgs))[:, None] * (slices[-1] + 1) + slices
    # No columns follow the first run: until it starts, the turn before may still be in use, and they would keep the
    # second run waiting behind them.
    follow, start = np.zeros_like(steps), np.zeros_like(steps)
    for begin, end in pairwise(bounds):
        some = slice(begin + 1 if tile.double and end - begin > 1 else end - 1, end)
        follow[some] = np.diff(np.cumsum(steps[some]) * tile.size // steps[some].sum(), prepend=0)
        start[begin:end] = np.cumsum(follow[begin:end]) - follow[begin:end]
    next_wgs = np.where(slices == slices[-1], np.append(wgs[1:], 0)[:, None], wgs[:, None]) * (follow > 0)
    return Turns(first, bounds, turn % 2 if tile.double else turn * 0, follow, start, next_wgs)


def places(
    config: Config, tile: Tile, turns: Turns, source: list[np.ndarray], group0: int, wgs: np.ndarray,
    act_at: np.ndarray, beats: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Where a transfer's columns stand in its stream, and which they are.

    Args:
        source: of every slice of the part, from :func:`sources`.
        group0: the transfer's first tile group.
        wgs: int64 (tile groups,), work groups in use.
        act_at: int64 (tile groups, runs), index of the ACT header after each run.
        beats: of a column of one work group.

    Returns:
        int32: index of the first beat of each column of each work group; the column of the input that belongs there.
    """
    position, columns = [], []
    full = len(wgs) if wgs[-1] == config.wgs else len(wgs) - 1
    for group in (np.arange(full), np.arange(full, len(wgs))):  # the last tile group may use fewer work groups
        count = int(wgs[group[0]]) if len(group) else 0
        rectangle = (group0 + group[:1].sum()) * config.wgs
        for index in range(len(turns.bounds) - 1 if count else 0):
            # The first slice stands between the runs of the last one, a tile group earlier.
            before = np.arange(*turns.bounds[[index - 1, index]] if index else turns.bounds[-2:])
            run = repeat(before, turns.follow[before])
            within = (np.arange(tile.size) - turns.start[run]) * count * beats
            first = act_at[group if index else group - 1][:, run] + 1 + within
            if index == group[0] == 0:  # nothing stands before the first turn
                first[0] = 1 + np.arange(tile.size) * count * beats
            position.append((first[:, :, None] + np.arange(count) * beats).ravel())
            dealt = source[turns.first + index][rectangle : rectangle + len(group) * count]
            columns.append(dealt.reshape(len(group), count, tile.size).transpose(0, 2, 1).ravel())
    return np.concatenate(position).astype(np.int32), np.concatenate(columns)
