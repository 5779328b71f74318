"""Cutting a layer into parts, or slices, that fit an engine's memories, and scheduling them (trident, gather)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from ..hardware.config import Config
from ..runtime import glue
from ..runtime.parts import ScheduledPart
from ..runtime.tiling import Layout, View, choose_tile
from .blocks import Blocked
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

_PART_COST = 0.03  # what the host's adding of one more part's sums counts in parts of a layer's cycles
_TRIED = 12  # parts that stand for all


@dataclass(frozen=True)
class Piece:
    """Some channel blocks of a layer, with the E filter groups that read them.

    Args:
        weights: int8 (E, M, R, S, B, acts); zero where a filter group does not read a block.
        ids: int64 (E, R * S * B), column (r * S + s) * blocks + block of its slice, -1: not read.
        present: bool (E, M, B, acts), weights that exist; inside: bool (E, B), blocks that are read.
        layout: where the columns of a slice lie.
        ideal: float64 (E,), steps of the ideal bound.
        common: what every part begins with.
    """

    weights: np.ndarray
    ids: np.ndarray
    present: np.ndarray
    inside: np.ndarray
    layout: Layout
    ideal: np.ndarray
    common: tuple


class PartMaker(Protocol):
    """What differs between the engines that replay schedule steps."""

    def layout(self, config: Config, blocks: int, used: int, kernel, dilation) -> Layout | None:
        """The column layout of a slice of so many blocks, of which a filter reads ``used``; None: it does not fit."""

    def loads(self, config: Config, blocked: Blocked, mode: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps that each block adds to a run: (E, M, B) of the lanes, (E, B, n) of what else bounds it."""

    def ideal(self, config: Config, nonzero: np.ndarray, outliers: np.ndarray) -> np.ndarray:
        """Steps of perfect hardware for runs with so many weights that are not zero, and outliers among them."""

    def near(self, config: Config, blocked: Blocked) -> int | None:
        """The largest pitch with which runs will probably have a compact format; None: there is none."""

    def part(self, config: Config, blocked: Blocked, piece: Piece, view: View, mode: str) -> ScheduledPart:
        """Schedule a piece."""


def paired_steps(config: Config, nonzero: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    """Ideal steps where a lane computes two non-outliers or one outlier per step."""
    return (nonzero + outliers) / (2.0 * config.lanes * config.filters)


def _cut(blocked: Blocked, pieces: int) -> list[tuple[int, int, int]]:
    """Parts: (first block, end, blocks of a slice).  Pieces without a filter in common are slices of one part."""
    size = -(-blocked.blocks // pieces)
    low = np.where(blocked.needed, blocked.place, blocked.blocks).min(1) // size
    if (low == np.where(blocked.needed, blocked.place, -1).max(1) // size).all():
        return [(0, blocked.blocks, size)]
    bounds = np.linspace(0, blocked.blocks, pieces + 1).astype(int).tolist()
    return [(a, b, b - a) for a, b in pairwise(bounds) if b > a]


def choose_pieces(
    maker: PartMaker, config: Config, blocked: Blocked, view: View, mode: str, filters: int | None = None
) -> tuple[int, float]:
    """Into how many pieces to cut the channel blocks, and the modelled cycles; 0 pieces: it does not fit at all.

    A plan is to be good with the glue and without: where the glue takes more sums per cycle, the mean of both counts.

    Args:
        maker: of the engine.
        mode: of the schedules.
        filters: filter groups of the layer, of which ``blocked`` has some; None: it has all.
    """
    share = 1.0 if filters is None else filters / len(blocked.filters)
    load, least = maker.loads(config, blocked, mode)
    # One block has at most this many steps.
    most = blocked.kernel[0] * blocked.kernel[1] * (config.acts // config.lanes)
    near, at_once = maker.near(config, blocked), blocked.filters.shape[1]
    best, best_cycles = 0, np.inf
    for pieces in _piece_counts(blocked.blocks) if most <= config.steps else ():
        cycles, cuts = 0.0, _cut(blocked, pieces)
        finished = config.glue_sums > 2 and len(cuts) == 1  # the host adds the sums of parts, and finishes them
        exits = [{}, glue.exit_of(config, at_once)] if finished else [{}]
        # Many parts are alike: some of them tell, the largest among them.
        some = sorted(cuts, key=lambda cut: cut[0] - cut[1])[:: -(-len(cuts) // _TRIED)]
        for first, end, size in some:
            inside = _inside(blocked, first, end)
            used = inside.any(0)
            here, runs = inside[:, used], inside.any(1)
            steps = (load[:, :, used] * here[:, None]).sum(2).max(1)
            steps = np.maximum(steps, (least[:, used] * here[..., None]).sum(1).max(1))[runs]
            count = round(len(steps) * share)
            steps = np.maximum(steps[np.arange(count) * len(steps) // max(count, 1)], 1)
            layout = _layout(maker, config, blocked, inside, size)
            if layout is None:
                break
            pitches = None if near is None else np.full(len(steps), near)
            runs = (config, view, layout, steps, 0, pitches, at_once, -(-(end - first) // size))
            cycles += np.mean([choose_tile(*runs, **exit_).cycles for exit_ in exits])
        else:
            cycles *= len(cuts) / len(some) * (1 + _PART_COST * (len(cuts) - 1))
            if cycles < best_cycles:
                best, best_cycles = pieces, cycles
            elif pieces >= 4 * best:
                break
    return best, best_cycles


def _inside(blocked: Blocked, first: int, end: int) -> np.ndarray:
    """bool (E, B): blocks of each filter group that lie in a part."""
    return blocked.needed & (blocked.place >= first) & (blocked.place < end)


def _layout(maker: PartMaker, config: Config, blocked: Blocked, inside: np.ndarray, blocks: int) -> Layout | None:
    return maker.layout(config, blocks, int(inside.sum(1).max()), blocked.kernel, blocked.dilation)


def _piece_counts(blocks: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12 ... and one block each."""
    counts = {n for power in range(blocks.bit_length()) for n in (1 << power, 3 << power) if n < blocks}
    return sorted(counts | {blocks})


def make_parts(
    maker: PartMaker, config: Config, blocked: Blocked, view: View, pieces: int, mode: str
) -> tuple[ScheduledPart, ...]:
    """Schedule the layer in at least ``pieces`` parts, more where a run has too many steps."""
    for count in _piece_counts(blocked.blocks):
        if count < pieces:
            continue
        parts = []
        for first, end, size in _cut(blocked, count):
            piece = _piece(maker, config, blocked, first, end, size)
            part = None if piece is None else maker.part(config, blocked, piece, view, mode)
            if part is None or part.longest > config.steps:
                break
            parts.append(part)
        else:
            return tuple(parts)
    raise AssertionError("the columns of one block always fit the steps of a run: choose_pieces has seen to that")


def _piece(maker: PartMaker, config: Config, blocked: Blocked, first: int, end: int, size: int) -> Piece | None:
    """Blocks ``first`` to ``end``, ``size`` a slice; None if that takes too many columns."""
    inside = _inside(blocked, first, end)
    runs = np.flatnonzero(inside.any(1))
    turn = (np.where(inside[runs], blocked.place[runs], end).min(1) - first) // size
    runs, slices = runs[np.argsort(turn, kind="stable")], np.bincount(turn)
    used = np.flatnonzero(inside.any(0))
    rows, columns = blocked.kernel
    layout = _layout(maker, config, blocked, inside, size)
    if layout is None:
        return None
    w = blocked.weights[runs][:, :, :, :, used]  # (E, M, R, S, B, acts)
    present = blocked.present[runs][:, :, used]
    inside, place = inside[np.ix_(runs, used)], blocked.place[np.ix_(runs, used)]
    w = np.where(inside[:, None, None, None, :, None], w, np.int8(0))
    tap = np.arange(rows * columns)[:, None] * layout.blocks
    ids = np.where(inside[:, None], tap + ((place - first) % size)[:, None], -1).reshape(len(runs), -1)
    nonzero = np.count_nonzero(w, axis=(1, 2, 3, 4, 5))
    outliers = np.count_nonzero((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX), axis=(1, 2, 3, 4, 5))
    ideal = maker.ideal(config, nonzero, outliers)
    common = (first, layout, tuple(slices.tolist()), blocked.filters[runs])
    return Piece(w, ids, present, inside, layout, ideal, common)
