"""A layer as jobs of the zena engine: kernel tiles, allocated to PEs, packed.

A *kernel tile* is what a PE's weight memory holds: some chunks (one kernel tap of one channel block, 16
channels) of one filter.  Filters that read the same channel blocks are a *family*; only filters of one
family share a job.  Partial sums stay in the PEs while the channel tiles pass by; where a layer's filters
need more of them than there are, it takes several *passes*.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import MIN_CHUNKS
from ..runtime.compress import lane_groups
from ..runtime.tiling import DMA_LIMIT, Layout, View
from ..runtime.zena_part import FINAL, FIRST, JobPart, skips
from ..runtime.zena_tiling import Load, choose_tile
from .allocate import allocate, expected_work
from .blocks import Blocked


def choose_passes(
    config: Config, blocked: Blocked, view: View, mode: str, density: float
) -> tuple[tuple[int, int] | None, float]:
    """Channel blocks of a channel tile and number of passes with the fewest modelled cycles; None: nothing fits.

    Args:
        density: expected share of the activations that meet weights: non-zeros, or 1.
    """
    skip_weights, _ = skips(mode)
    nonzero = np.count_nonzero(blocked.weights, axis=5)[:, 0] if skip_weights else _channels(blocked)
    met = nonzero.reshape(len(nonzero), -1)
    work = float(np.maximum(expected_work(met, density), met.shape[1]).sum()) / config.filters
    words = (float(nonzero.sum()) * 1.08 + nonzero.size) / 4
    families = _families(blocked)
    together = config.sub_filters if config.stealing else config.filters  # filters that need a slot of partial sums
    taps, span = blocked.kernel[0] * blocked.kernel[1], blocked.place.shape[1]
    extent = tuple((k - 1) * d + 1 for k, d in zip(blocked.kernel, blocked.dilation, strict=True))
    best, best_cycles = None, np.inf
    for blocks in _counts(blocked.blocks):
        layout = Layout(blocks, blocks, 0, 1)
        if layout.size(*extent) > config.columns:
            break
        chunks = min(blocks, span) * taps  # of a filter in a channel tile
        shares = -(-chunks // config.steps)
        chunks = -(-chunks // shares)
        for passes in _counts(len(blocked.filters)):
            units = _cut(families, passes)
            slots = [sum(-(-len(family) // together) for family in unit) for unit in units]
            if max(slots) > config.job_psums:
                continue
            rounds = sum(slots) * together / config.filters
            places = [blocked.place[np.concatenate(unit)] for unit in units]
            tiles = sum(-(-int(place.max() - place.min() + 1) // blocks) for place in places)
            jobs = rounds * -(-span // blocks) * shares
            busy = work * rounds * config.filters / len(blocked.filters) + jobs * max(MIN_CHUNKS - chunks, 0)
            beats = words + jobs * config.sub_wgs * (2 + -(-max(chunks, MIN_CHUNKS) // 4))
            finals = round(rounds * config.sub_wgs)
            load = Load(tiles, len(units), busy, jobs, beats, finals, max(slots), density)
            try:
                cycles = choose_tile(config, view, layout, load).cycles
            except InputError:
                continue
            if cycles < best_cycles:
                best, best_cycles = (blocks, passes), cycles
            elif best and passes > 8 * best[1]:
                break
    return best, best_cycles


def _counts(count: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12 ... up to ``count``."""
    steps = {n for power in range(count.bit_length()) for n in (1 << power, 3 << power) if n < count}
    return sorted(steps | {count})


def _channels(blocked: Blocked) -> np.ndarray:
    """Channels that exist in every chunk of every filter: int64 (K, R, S, B)."""
    present = np.count_nonzero(blocked.present[:, 0], axis=2)[:, None, None, :]
    return np.broadcast_to(present, (len(present), *blocked.kernel, present.shape[-1]))


def _families(blocked: Blocked) -> list[np.ndarray]:
    """Filters that need the same channel blocks, by first block."""
    key = np.where(blocked.needed, blocked.place, -1)
    _, family = np.unique(key, axis=0, return_inverse=True)
    order = np.argsort(family.ravel(), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(family.ravel()[order])) + 1)


def _cut(families: list[np.ndarray], passes: int) -> list[list[np.ndarray]]:
    """Deal families to at most ``passes`` passes, cutting each where there are fewer families than passes."""
    if passes <= len(families):
        bounds = np.linspace(0, len(families), passes + 1).astype(int).tolist()
        return [families[a:b] for a, b in pairwise(bounds)]
    pieces = -(-passes // len(families))
    return [[piece] for family in families for piece in np.array_split(family, min(pieces, len(family)))]


def make_parts(
    config: Config, blocked: Blocked, choice: tuple[int, int], mode: str, allocation: str, density: float
) -> tuple[JobPart, ...]:
    """Cut a layer into jobs.

    Args:
        choice: channel blocks of a channel tile, and passes, from :func:`choose_passes`.
        allocation: of kernels to PEs, one of ``allocate.ALLOCATIONS``.
        density: as for :func:`choose_passes`.

    Returns:
        One part, or several where one tile's jobs exceed a DMA transfer.
    """
    blocks, passes = choice
    families = _families(blocked)
    size = np.count_nonzero(blocked.weights, axis=(1, 2, 3, 4, 5))
    if allocation != "index":
        # What is cut apart is sorted first, so that the filters of a pass are alike.
        families = [family[np.argsort(-size[family], kind="stable")] for family in families]
    units = _cut(families, passes)
    sent = size if skips(mode)[0] else _channels(blocked).sum((1, 2, 3))
    sent = (sent + _channels(blocked)[0].size) / 4
    beats = np.array([sum(sent[family].sum() for family in unit) for unit in units])
    share = (np.cumsum(beats) * 1.5 * 8 // DMA_LIMIT).astype(int)
    return tuple(
        _part(config, blocked, [units[i] for i in np.flatnonzero(share == number)], blocks, mode, allocation, density)
        for number in np.unique(share)
    )


@dataclass
class _Jobs:
    """Jobs: arrays with one row each; ``taps`` and ``blocks`` are their chunks, -1 where there is none."""

    turn: np.ndarray
    tile: np.ndarray
    order: np.ndarray
    sub_wg: np.ndarray
    slot: np.ndarray
    flags: np.ndarray
    kernels: np.ndarray
    taps: np.ndarray
    blocks: np.ndarray


def _part(config, blocked, units, blocks, mode, allocation, density) -> JobPart:
    block0 = int(min(blocked.place[family[0], 0] for unit in units for family in unit))
    made = []
    for turn, unit in enumerate(units):
        slot0 = 0
        for family in unit:
            made.append(_family_jobs(config, blocked, family, blocks, block0, turn, slot0, mode, allocation, density))
            slot0 = int(made[-1].slot.max()) + 1
    jobs = _Jobs(*(np.concatenate([getattr(m, key) for m in made]) for key in _Jobs.__annotations__))
    # Pass by pass, channel tile by channel tile; sub-WGs alternate within a round.
    order = np.lexsort((jobs.sub_wg, jobs.order, jobs.tile, jobs.turn))
    jobs = _Jobs(*(getattr(jobs, key)[order] for key in _Jobs.__annotations__))
    return _packed(config, blocked, jobs, blocks, block0, mode, density)


def _family_jobs(config, blocked, family, blocks, block0, number, slot0, mode, allocation, density) -> _Jobs:
    """Cut the chunks of a family into kernel tiles and allocate its filters to PEs."""
    skip_weights, _ = skips(mode)
    place = blocked.place[family[0]][blocked.needed[family[0]]] - block0
    taps = blocked.kernel[0] * blocked.kernel[1]
    # Kernel tiles: equal shares of the chunks of every channel tile, block after block, at most config.steps each.
    tiles, lists = [], []
    for tile in np.unique(place // blocks):
        inside = np.flatnonzero(place // blocks == tile)
        chunks = np.stack(np.divmod(np.arange(len(inside) * taps), taps), axis=1)
        for share in np.array_split(chunks, -(-len(chunks) // config.steps)):
            tiles.append(tile)
            lists.append(np.stack([share[:, 1], inside[share[:, 0]]], axis=1))
    width = max(map(len, lists))
    chunk = np.full((len(lists), width, 2), -1)
    for index, found in enumerate(lists):
        chunk[index, : len(found)] = found
    weights = blocked.weights[family][:, 0].reshape(len(family), taps, -1, config.lanes)
    exist = _channels(blocked)[family].reshape(weights.shape[:3])
    counts = np.count_nonzero(weights, axis=3) if skip_weights else exist
    counts = np.where(chunk[..., 0] < 0, 0, counts[:, chunk[..., 0], chunk[..., 1]])  # (K, kernel tiles, chunks)
    work = expected_work(counts, density).sum(1)
    taken = allocate(work, config.sub_filters, config.sub_wgs, allocation)
    rounds = len(taken)
    # Partial sums: a slot per round in every PE; with stealing a slot per job in what the sub-WGs share.
    slot = np.arange(rounds).repeat(config.sub_wgs)
    if config.stealing:
        slot = np.cumsum((taken >= 0).any(2)) - 1
    taken = np.broadcast_to(taken, (len(tiles), *taken.shape))
    kernels = taken.reshape(-1, config.sub_filters)  # (kernel tiles * rounds * sub-WGs, PEs)
    tile, turn, sub_wg = (a.ravel() for a in np.indices(taken.shape[:3]))
    used = (kernels >= 0).any(1)
    flags = (tile == 0) * FIRST + (tile == len(tiles) - 1) * FINAL
    if skip_weights:  # a kernel tile without weights needs no job, unless it begins or ends its sums
        some = np.where(kernels < 0, 0, counts.sum(2)[kernels, tile[:, None]]).any(1)
        used &= some | (flags != 0)
    jobs = _Jobs(
        turn=np.full(len(kernels), number),
        tile=np.asarray(tiles)[tile],
        order=tile * rounds + turn,
        sub_wg=sub_wg,
        slot=slot0 + slot[turn * config.sub_wgs + sub_wg],
        flags=flags,
        kernels=np.where(kernels < 0, -1, family[kernels]),
        taps=_pad(chunk[tile][..., 0], config.steps),
        blocks=_pad(chunk[tile][..., 1], config.steps),
    )
    return _Jobs(*(getattr(jobs, key)[used] for key in _Jobs.__annotations__))


def _pad(array: np.ndarray, width: int) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=-1)


def _packed(config: Config, blocked: Blocked, jobs: _Jobs, blocks: int, block0: int, mode, density) -> JobPart:
    """Chunk lists and kernel data of jobs in stream order."""
    skip_weights, _ = skips(mode)
    rows, columns = blocked.kernel
    listed = jobs.taps >= 0
    weights = blocked.weights[:, 0].reshape(len(blocked.weights), rows * columns, -1, config.lanes)
    kernels = jobs.kernels[:, :, None]
    some = (kernels >= 0) & listed[:, None]  # (J, PEs, chunk places)
    kernel = np.where(some, kernels, 0)
    tap, block = (np.maximum(which, 0)[:, None] for which in (jobs.taps, jobs.blocks))
    values = weights[kernel, tap, block]
    present = values != 0 if skip_weights else blocked.present[kernel, 0, block]
    present &= some[..., None]
    if skip_weights:  # chunks without a weight in any PE are not sent
        listed &= present.any((1, 3))
    # A PE drops chunks without products but for a pixel's last one: that is to be the fullest.
    chunks = np.maximum(listed.sum(1), MIN_CHUNKS)
    full = np.where(listed, present.sum((1, 3)), -1)
    order = np.argsort(-full, axis=1, kind="stable")
    sent = np.arange(listed.shape[1]) < chunks[:, None]
    turned = np.where(sent, chunks[:, None] - 1 - np.arange(listed.shape[1]), np.arange(listed.shape[1]))
    order = np.take_along_axis(order, turned, axis=1)
    values, present = (np.take_along_axis(a, order[:, None, :, None], axis=2) for a in (values, present))
    place = blocked.place[np.maximum(jobs.kernels.max(1), 0)[:, None], np.maximum(jobs.blocks, 0)] - block0
    column = np.where(listed, jobs.taps * blocks + place - jobs.tile[:, None] * blocks, -1)
    column = np.take_along_axis(column, order, axis=1)
    present &= np.take_along_axis(listed, order, axis=1)[:, None, :, None]
    pe_sent = np.broadcast_to(sent[:, None], present.shape[:3])
    coded = _coded(config, values[pe_sent])
    words, beats = lane_groups(coded, present[pe_sent], np.repeat(chunks, config.sub_filters))
    cycles = np.maximum(expected_work(present.sum(3), density), chunks[:, None])
    busy = np.bincount(jobs.sub_wg, cycles.max(1), config.sub_wgs)
    busy = busy.mean() if config.stealing else busy.max()
    found, tile = np.unique(np.stack([jobs.turn, jobs.tile]), axis=1, return_inverse=True)
    return JobPart(
        block0,
        Layout(blocks, blocks, 0, 1),
        (found[1] * blocks).astype(np.int32),
        jobs.turn.astype(np.int32),
        tile.ravel().astype(np.int32),
        *(getattr(jobs, key).astype(np.int32) for key in ("sub_wg", "slot", "flags")),
        chunks.astype(np.int32),
        beats.reshape(-1, config.sub_filters // 4).sum(1).astype(np.int32),
        jobs.kernels.astype(np.int32),
        column[sent].astype(np.int32),
        words,
        np.array([busy]),
        np.array([density]),
    )


def _coded(config: Config, weights: np.ndarray) -> np.ndarray:
    """Weights as the stream carries them: int16."""
    if config.weight_w == 5:
        from .logquant import encode

        return encode(weights).astype(np.int16)
    return weights.astype(np.int16)
