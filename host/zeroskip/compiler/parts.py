"""Cutting a layer into parts, or slices, that fit an engine's memories, and scheduling them (trident, gather)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..hardware.config import Config
from ..runtime import glue
from ..runtime.parts import GatherPart, Part
from ..runtime.tiling import Layout, View, choose_tile
from . import gather_schedule, schedule
from .blocks import Blocked
from .columns import choose_layout
from .gather_near import near_pitch
from .pack import pack
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

_PART_COST = 0.03  # what the host's adding of one more part's sums counts in parts of a layer's cycles
_TRIED = 12  # parts that stand for all
_ANY = (1 << 31) - 1


def _cut(blocked: Blocked, pieces: int) -> list[tuple[int, int, int]]:
    """Parts: (first block, end, blocks of a slice).  Pieces without a filter in common are slices of one part."""
    size = -(-blocked.blocks // pieces)
    low = np.where(blocked.needed, blocked.place, blocked.blocks).min(1) // size
    if (low == np.where(blocked.needed, blocked.place, -1).max(1) // size).all():
        return [(0, blocked.blocks, size)]
    bounds = np.linspace(0, blocked.blocks, pieces + 1).astype(int).tolist()
    return [(a, b, b - a) for a, b in pairwise(bounds) if b > a]


def choose_pieces(
    config: Config, blocked: Blocked, view: View, mode: str, filters: int | None = None
) -> tuple[int, float]:
    """Into how many pieces to cut the channel blocks, and the modelled cycles; 0 pieces: it does not fit at all.

    A plan is to be good with the glue and without: where the glue takes more sums per cycle, the mean of both counts.

    Args:
        mode: of the schedules.
        filters: filter groups of the layer, of which ``blocked`` has some; None: it has all.
    """
    share = 1.0 if filters is None else filters / len(blocked.filters)
    load, least = _gather_loads(config, blocked, mode) if config.engine == "gather" else _loads(config, blocked)
    # One block has at most this many steps.
    most = blocked.kernel[0] * blocked.kernel[1] * (config.acts // config.lanes)
    near, at_once = _near_guess(config, blocked), blocked.filters.shape[1]
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
            layout = _layout(config, blocked, inside, size)
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


def _loads(config: Config, blocked: Blocked) -> tuple[np.ndarray, np.ndarray]:
    """Steps that each block adds to a run: (E, M, B) of the lanes, (E, B, n) of what else bounds it."""
    w = blocked.weights
    nonzero = w != 0
    outlier = nonzero & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))
    load = (nonzero.sum((2, 3, 5)) + outlier.sum((2, 3, 5))) / (2 * config.lanes)
    # The fullest filter of a perfect schedule and a bit more; the window's limit.
    return load * 1.2, nonzero.any(5).any(1).sum((1, 2))[..., None] / config.window


def _gather_loads(config: Config, blocked: Blocked, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The same on gather: steps of all lanes together, and of every bank and lane."""
    w = blocked.weights[:, 0]
    todo = np.broadcast_to(blocked.present[:, :, None], w.shape) if mode == "dense" else w != 0
    outliers = (todo & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))).sum((1, 2))
    reads = todo.sum((1, 2))  # (E, B, banks)
    whole = outliers if mode == "combined" else reads  # weights that take a lane a whole step
    lanes = (*reads.shape[:2], config.lanes, 2)
    in_lane = whole.reshape(lanes).sum(3)
    if blocked.apart or mode == "dense":  # lanes do not help each other
        return np.zeros((len(w), 1, w.shape[3])), reads - whole + np.repeat(in_lane, 2, axis=2)
    # Every bank is read once per step; outliers stay in their lane; a lane's non-outliers go one lane further.
    stay = outliers.reshape(lanes).sum(3)
    shared = (reads.reshape(lanes).sum(3) + in_lane + 2 * np.roll(stay, 1, axis=2)) / 4
    load = (reads + whole).sum(2)[:, None] / (2 * config.lanes)
    return load * 1.02, np.concatenate([reads, stay, shared], axis=2)


def _near_guess(config: Config, blocked: Blocked) -> int | None:
    """Gather: the largest pitch with which runs will have the near format: rows of a kernel lie too far apart."""
    if config.engine != "gather":
        return None
    one_bank = blocked.weights.any((1, 2, 3, 4)).sum(1).max() <= 1  # depthwise
    return _ANY if one_bank or (blocked.kernel[0] == 1 and blocked.dilation[1] == 1) else -1


def _inside(blocked: Blocked, first: int, end: int) -> np.ndarray:
    """bool (E, B): blocks of each filter group that lie in a part."""
    return blocked.needed & (blocked.place >= first) & (blocked.place < end)


def _layout(config: Config, blocked: Blocked, inside: np.ndarray, blocks: int) -> Layout | None:
    return choose_layout(config, blocks, int(inside.sum(1).max()), blocked.kernel, blocked.dilation)


def _piece_counts(blocks: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12 ... and one block each."""
    counts = {n for power in range(blocks.bit_length()) for n in (1 << power, 3 << power) if n < blocks}
    return sorted(counts | {blocks})


def make_parts(config: Config, blocked: Blocked, view: View, pieces: int, mode: str) -> tuple[Part | GatherPart, ...]:
    """Schedule the layer in at least ``pieces`` parts, more where a run has too many steps."""
    for count in _piece_counts(blocked.blocks):
        if count < pieces:
            continue
        parts = []
        for first, end, size in _cut(blocked, count):
            part = _part(config, blocked, view, first, end, size, mode)
            if part is None:
                break
            parts.append(part)
        else:
            return tuple(parts)
    raise AssertionError("the columns of one block always fit the steps of a run: choose_pieces has seen to that")


def _part(
    config: Config, blocked: Blocked, view: View, first: int, end: int, size: int, mode: str
) -> Part | GatherPart | None:
    """Schedule blocks ``first`` to ``end``, ``size`` a slice; None if that takes too many steps or columns."""
    inside = _inside(blocked, first, end)
    runs = np.flatnonzero(inside.any(1))
    turn = (np.where(inside[runs], blocked.place[runs], end).min(1) - first) // size
    runs, slices = runs[np.argsort(turn, kind="stable")], np.bincount(turn)
    used = np.flatnonzero(inside.any(0))
    rows, columns = blocked.kernel
    layout = _layout(config, blocked, inside, size)
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
    ideal = (nonzero + outliers) / (2.0 * config.lanes * config.filters)
    common = (first, layout, tuple(slices.tolist()), blocked.filters[runs])
    if config.engine == "gather":
        present = present[:, 0] & inside[..., None]
        if blocked.apart:
            in_lane = np.count_nonzero(present.reshape(len(runs), -1, config.lanes, 2), axis=(1, 3)).max(1)
        else:
            in_lane = -(-np.count_nonzero(present, axis=(1, 2)) // config.lanes)
        # Pixels of a work group: with so few of them, the steps take longer to arrive than to execute.
        close = view.images * view.out_height * view.out_width < config.step_beats * config.wgs
        present = np.tile(present, (1, rows * columns, 1))
        w = w.reshape(len(runs), -1, config.acts)
        found = gather_schedule.schedule(w, ids, present, config, mode, close, blocked.apart)
        if close and found.steps.max() > config.steps:  # no lane waits for another: at most its own weights' steps
            found = gather_schedule.schedule(w, ids, present, config, mode, False, blocked.apart)
        near = near_pitch(config, found, layout, blocked.kernel[1], blocked.dilation)
        lanes = found.weight | found.route.astype(np.int16) << 8
        dense = (in_lane * (rows * columns)).astype(np.int32)
        part = GatherPart(*common, found.steps, dense, ideal, found.slots, near, lanes)
    else:
        bank = layout.offsets(blocked.kernel, blocked.dilation, layout.residue) % config.banks
        found = schedule.schedule(w.reshape(len(runs), config.filters, -1, config.lanes), ids, bank, config, mode)
        dense = np.count_nonzero(ids >= 0, axis=1).astype(np.int32)
        part = Part(*common, found.steps, dense, ideal, found.slots, pack(found, config))
    return part if found.steps.max() <= config.steps else None
