"""Which bank of the gather engine holds which channel of a layer.

A bank is read once per step, so the bank with most weights left bounds a filter.  Channels are dealt to banks such
that every bank gets the same share of the layer's weights, and every lane of a partial block the same number of
channels.  What chance leaves uneven, filter by filter, a second *copy* of a channel in a bank of another lane evens
out: each weight then goes to the bank that has less to do.  Places that a partial block leaves free are filled with
copies anyway; more copies take more blocks, and whether they pay is for the model of the cycles to say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..jit import njit, prange
from .blocks import Blocked
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

COPIES = (0.0, 0.5, 1.0)
"""Shares of the channels that a layer may have a second copy of, beyond those that take no room."""

PACKED_COPIES = (1, 2, 4)
"""Banks that a channel of a packed layer may have: a filter with one channel has as many."""

_PASSES = 2  # over a filter's weights with a choice
_SAMPLE = 64


def dealt(banks: int, copies: int = 1) -> np.ndarray:
    """The banks in the order in which the channels of a block are dealt: first one of every lane.

    With ``copies`` of every channel, so many places apart, they are in different lanes.
    """
    lanes = banks // 2
    lane = np.arange(lanes)
    return np.concatenate([2 * lane, 2 * ((lane + lanes // copies) % lanes) + 1])


def loads(blocked: Blocked, groups: int) -> np.ndarray:
    """What the weights of each channel take, in half cycles of a lane: int64 (groups, channels of a group)."""
    filters, _, rows, columns, span, banks = blocked.weights.shape
    weights = blocked.weights.reshape(filters, rows * columns, -1)
    outlier = (weights < NON_OUTLIER_MIN) | (weights > NON_OUTLIER_MAX)
    load = np.count_nonzero(weights, axis=1) + np.count_nonzero(outlier, axis=1)
    return load.reshape(groups, -1, span * banks).sum(1)[:, : int(blocked.present[0].sum())]


def place_packed(blocks: int, banks: int, channels: int, copies: int) -> np.ndarray:
    """``ConvPlan.placed`` of a packed layer: a block has ``banks / copies`` channels, in their order, all so often.

    Channels of a group are neighbours, and all that a filter has: they stay in their blocks.
    """
    size = banks // copies
    placed = np.arange(blocks)[:, None] * size + np.argsort(dealt(banks, copies)) % size
    return np.where(placed < channels, placed, -1).reshape(1, -1).astype(np.int32)


def place(load: np.ndarray, banks: int, mode: str, copies: float) -> np.ndarray:
    """Deal the channels of a layer to banks: ``ConvPlan.placed``.

    Args:
        load: from :func:`loads`.
        banks: of the engine.
        mode: of the schedules; dense has no copies.
        copies: one of :data:`COPIES`.
    """
    groups, channels = load.shape
    blocks = -(-channels // banks)
    if mode != "dense":
        blocks = max(blocks, -(-round(channels * (1 + copies)) // banks))
    placed = np.full((groups, blocks * banks), -1, np.int32)
    order = np.argsort(-load, axis=1, kind="stable")
    _deal(load, order, _room(channels, banks), dealt(banks), mode != "dense", placed)
    return placed


def arrange(blocked: Blocked, placed: np.ndarray, mode: str, banks: int) -> Blocked:
    """Filters with their channels where ``placed`` says, and every weight with one of its channel's places.

    Args:
        blocked: all or some filters of the layer, every channel at its own number.
        placed: from :func:`place` or :func:`place_packed`.
        mode: of the schedules.
        banks: of the engine.
    """
    if blocked.blocking == "packed":
        return _arrange_packed(blocked, banks)
    filters, _, rows, columns, span, _ = blocked.weights.shape
    group = blocked.place[:, 0] // span
    blocks = placed.shape[1] // banks
    mine = placed[group]  # (E, places)
    weights = blocked.weights.reshape(filters, rows * columns, -1)
    weights = np.take_along_axis(weights, np.maximum(mine, 0)[:, None], axis=2)
    weights[np.broadcast_to((mine < 0)[:, None], weights.shape)] = 0
    twins = _twins(placed)
    if (twins >= 0).any():
        _settle(weights, twins[group], banks, mode == "combined")
    where = group[:, None] * blocks + np.arange(blocks)
    return replace(
        blocked,
        blocks=len(placed) * blocks,
        place=where,
        needed=np.ones(where.shape, bool),
        weights=weights.reshape(filters, 1, rows, columns, blocks, banks),
        present=_first(placed)[group].reshape(filters, 1, blocks, banks),
    )


def _arrange_packed(blocked: Blocked, banks: int) -> Blocked:
    """The weights of a channel take its copies in turn, outliers first."""
    filters, _, rows, columns, span, size = blocked.weights.shape
    copies, order = banks // size, np.argsort(dealt(banks, banks // size))
    weights = blocked.weights.reshape(filters, rows * columns, span, size)
    outlier = (weights < NON_OUTLIER_MIN) | (weights > NON_OUTLIER_MAX)
    single = (weights != 0) & ~outlier
    rank = np.where(outlier, np.cumsum(outlier, axis=1), outlier.sum(1, keepdims=True) + np.cumsum(single, axis=1))
    copy = np.arange(copies)[:, None]
    spread = np.where((rank - 1)[..., None, :] % copies == copy, weights[..., None, :], 0)  # (E, taps, B, copies, size)
    spread = spread.reshape(*weights.shape[:3], banks)[..., order]
    present = blocked.present[..., None, :] & (copy == 0)
    return replace(
        blocked,
        weights=spread.reshape(filters, 1, rows, columns, span, banks).astype(blocked.weights.dtype),
        present=present.reshape(filters, 1, span, banks)[..., order],
    )


def sample(blocked: Blocked) -> Blocked:
    """Filters enough to tell how a layer is best arranged."""
    count = len(blocked.filters)
    some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    fields = ("filters", "place", "needed", "weights", "present")
    return replace(blocked, **{name: getattr(blocked, name)[some] for name in fields})


def _room(channels: int, banks: int) -> np.ndarray:
    """Channels, without copies, that every bank holds: int64 (banks,); a partial block is spread over the lanes."""
    room = np.full(banks, channels // banks)
    lanes = banks // 2
    one = min(channels % banks, lanes)
    both = channels % banks - one
    room[np.arange(one) * lanes // max(one, 1) * 2] += 1
    room[np.arange(both) * lanes // max(both, 1) * 2 + 1] += 1
    return room


def _first(placed: np.ndarray) -> np.ndarray:
    """bool, where the first place of each channel is."""
    found = np.zeros(placed.shape, bool)
    for group, row in zip(found, placed, strict=True):
        channel, at = np.unique(row, return_index=True)
        group[at[channel >= 0]] = True
    return found


def _twins(placed: np.ndarray) -> np.ndarray:
    """int32, for the first place of every channel that has two its other place, else -1."""
    twin = np.full(placed.shape, -1, np.int32)
    for row, mine in zip(placed, twin, strict=True):
        order = np.argsort(row, kind="stable")
        same = np.flatnonzero((row[order][1:] == row[order][:-1]) & (row[order][1:] >= 0))
        mine[order[same]] = order[same + 1]
    return twin


@njit(cache=True, nogil=True)
def _deal(load, order, room, dealt, copied, placed):
    """Fill the places of all groups; ``order``: the channels of each group, the most loaded first."""
    for g in range(load.shape[0]):
        _deal_group(load[g], order[g], room, dealt, copied, placed[g])


@njit(cache=True, nogil=True)
def _deal_group(load, order, room, dealt, copied, placed):
    banks = room.shape[0]
    blocks, channels = placed.shape[0] // banks, order.shape[0]
    home = np.full((2, channels), -1, np.int64)  # banks of a channel and of its copy
    have, held = np.zeros(banks, np.int64), np.zeros(banks, np.int64)
    for c in order:
        best = -1
        for b in dealt:
            if have[b] < room[b] and (best < 0 or held[b] < held[best]):
                best = b
        home[0, c] = best
        have[best] += 1
        held[best] += load[c]
    if copied:
        # A channel's copy goes where fewest channels of its bank have theirs, so that every bank can give to many.
        shared = np.zeros((banks, banks), np.int64)
        for c in order:
            mine, best = home[0, c], -1
            for b in dealt:
                if have[b] < blocks and b // 2 != mine // 2:
                    less = best < 0 or shared[mine, b] < shared[mine, best]
                    if less or (shared[mine, b] == shared[mine, best] and have[b] < have[best]):
                        best = b
            if best >= 0:
                home[1, c] = best
                have[best] += 1
                shared[mine, best] += 1
                shared[best, mine] += 1
    have[:] = 0
    for c in range(channels):  # in a bank by channel, so that neighbours have neighbouring addresses
        for which in range(2):
            b = home[which, c]
            if b >= 0:
                placed[have[b] * banks + b] = c
                have[b] += 1


@njit(cache=True, parallel=True)
def _settle(weights, twins, banks, combine):
    """Leave of every weight with two places one: weights (E, taps, places), twins (E, places)."""
    for e in prange(weights.shape[0]):
        _settle_filter(weights[e], twins[e], banks, combine)


@njit(cache=True, nogil=True)
def _settle_filter(weights, twins, banks, combine):
    taps, places = weights.shape
    reads = np.zeros(banks)
    halves = np.zeros(banks // 2)  # of the lane's cycles
    other = np.zeros(places, np.bool_)  # is somebody's other place
    for p in range(places):
        if twins[p] >= 0:
            other[twins[p]] = True
    choice = np.zeros((taps, places), np.bool_)  # the weight goes to the other place
    for turn in range(_PASSES + 1):
        for p in range(places):
            if other[p] or (turn and twins[p] < 0):
                continue
            for t in range(taps):
                value = weights[t, p]
                if value == 0:
                    continue
                size = 2.0 if not combine or value < NON_OUTLIER_MIN or value > NON_OUTLIER_MAX else 1.0
                b = p % banks
                if twins[p] < 0:
                    reads[b] += 1
                    halves[b // 2] += size
                    continue
                a = twins[p] % banks
                if turn:
                    now = a if choice[t, p] else b
                    reads[now] -= 1
                    halves[now // 2] -= size
                # Where it adds less to the squares of what banks and lanes have to do.
                here = 2 * reads[b] + size * halves[b // 2] * 0.5
                there = 2 * reads[a] + size * halves[a // 2] * 0.5
                choice[t, p] = there < here
                now = a if choice[t, p] else b
                reads[now] += 1
                halves[now // 2] += size
    for p in range(places):
        if twins[p] >= 0:
            for t in range(taps):
                weights[t, p if choice[t, p] else twins[p]] = 0
