"""Runs of the gather engine in which every lane computes a filter of its own: layouts for filters with few channels.

A lane adds up what it computes for its filter, so all of the filter's channels lie in the lane's own two banks.  Groups
of channels are dealt to lanes; LANES groups, one a lane, are a *set*, and a run has one filter of each of its groups.
The slowest lane decides, so groups with much to do share a set, and in a group filters with much to do share a run.
A lane computes two non-outliers per step only if they are in different banks, so the channels of a group are spread
over both; a single one may have a copy in the other.
"""

from __future__ import annotations

import numpy as np

from .blocks import Blocked
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN


def lay_out(
    w: np.ndarray, groups: int, banks: int, dilation: tuple[int, int], mode: str, copied: bool = False
) -> tuple[Blocked, np.ndarray]:
    """Deal the groups of a layer's channels to lanes.

    Args:
        w: int8 (K, n, R, S).
        groups: G, of channels, n each; filter k is of group k // (K / G).
        banks: of the engine.
        dilation: of the layer.
        mode: of the schedules.
        copied: the only channel of a group (n = 1) has a copy in its lane's other bank; its weights take them in turn.

    Returns:
        The layer, and ``ConvPlan.placed``.
    """
    filters, size, *kernel = w.shape
    count = filters // groups
    w = w.reshape(groups, count, size, *kernel)
    lanes, shared = banks // 2, size == 1 and not copied  # two sets share a block: even banks and odd ones
    outlier = (w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX)
    outliers, singles = (np.count_nonzero(kind, axis=(3, 4)) for kind in (outlier, (w != 0) & ~outlier))  # (G, F, n)
    bank = _banks_of(singles.sum(1))
    steps = _steps(outliers, singles, bank, mode, copied)
    in_group, order = np.argsort(-steps, axis=1, kind="stable"), np.argsort(-steps.sum(1), kind="stable")
    sets, blocks = -(-groups // lanes), -(-size // 2)
    group = np.append(order, np.full(sets * lanes - groups, -1)).reshape(sets, lanes)

    # The channel of its group at every place of a set, -1: none.
    at = np.zeros((groups, blocks, 2), np.int64)
    if not copied:
        at[:] = -1
        in_bank = np.cumsum(bank[..., None] == [0, 1], axis=1) - 1  # how many of the bank come before
        at[np.arange(groups)[:, None], np.where(bank, in_bank[..., 1], in_bank[..., 0]), bank] = np.arange(size)
    at = np.where(group[..., None, None] < 0, -1, at[group]).swapaxes(1, 2)  # (sets, blocks, lanes, 2)
    place = np.arange(sets)[:, None] * blocks + np.arange(blocks)
    if shared:
        at[1::2] = at[1::2, ..., ::-1]
        place //= 2
    lane = group[:, None, :, None]

    ordered = np.take_along_axis(w, in_group[..., None, None, None], axis=1)
    weights = ordered[lane, :, at]  # (sets, blocks, lanes, 2, F, R, S)
    weights[at < 0] = 0
    if copied:
        _in_turn(weights)
    weights = weights.transpose(0, 4, 5, 6, 1, 2, 3).reshape(sets * count, 1, *kernel, blocks, banks)
    present = at >= 0
    present[..., 1] &= not copied
    placed = np.full((int(place.max()) + 1, banks), -1, np.int32)
    for where, here in zip(place.ravel(), np.where(at < 0, -1, lane * size + at).reshape(-1, banks), strict=True):
        placed[where] = np.maximum(placed[where], here)
    run = np.where(group[..., None] < 0, -1, group[..., None] * count + in_group[group])  # (sets, lanes, F)
    place = np.repeat(place, count, axis=0)
    blocked = Blocked(
        "packed", len(placed), tuple(kernel), dilation, run.swapaxes(1, 2).reshape(-1, lanes).astype(np.int32), place,
        np.ones(place.shape, bool), weights, np.repeat(present, count, axis=0).reshape(-1, 1, blocks, banks),
    )  # fmt: skip
    return blocked, placed.reshape(1, -1)


def _banks_of(load: np.ndarray) -> np.ndarray:
    """Which of its lane's banks each channel of a group lies in: int64 (G, n).

    As many in both, the first where they are odd, and with as even a load as dealing them back and forth gives.
    """
    rank = np.argsort(np.argsort(-load, axis=1, kind="stable"), axis=1)
    return (rank + rank // 2) % 2


def _steps(outliers, singles, bank, mode: str, copied: bool) -> np.ndarray:
    """Steps in which a lane computes each filter: int64 (G, F)."""
    if mode == "dense":
        return np.zeros(singles.shape[:2], np.int64)
    if mode == "zero_skip":
        return (outliers + singles).sum(2)
    reads = np.stack([(singles * (bank == which)[:, None]).sum(2) for which in (0, 1)])
    return outliers.sum(2) + (-(-reads.sum(0) // 2) if copied else reads.max(0))


def _in_turn(weights: np.ndarray) -> None:
    """Leave every weight in one of its channel's two banks: (sets, 1, lanes, 2, F, R, S)."""
    flat = weights.reshape(*weights.shape[:5], -1)
    one = flat[:, :, :, 0]
    outlier = (one < NON_OUTLIER_MIN) | (one > NON_OUTLIER_MAX)
    odd = np.cumsum((one != 0) & ~outlier, axis=-1) % 2 == 1  # outliers have a step of their own: any bank will do
    flat[:, :, :, 0][odd] = 0
    flat[:, :, :, 1][~odd] = 0
