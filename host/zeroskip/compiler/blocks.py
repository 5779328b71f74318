"""Channel blocks: how the channels (or kernel taps) of a layer fill the lanes of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN


@dataclass(frozen=True)
class Blocked:
    """A layer's weights as filter groups over channel blocks.

    Attributes:
        blocking: one of ``BLOCKINGS``.
        blocks: channel blocks of the layer.
        kernel, dilation: as the engine sees them.
        filters: int32 (E, M), -1 where there is none; lanes apart: (E, LANES).
        place: int64 (E, B), the block of the layer that each of a filter group's B blocks is.
        needed: bool (E, B), channels of the filter group lie in it.
        weights: (E, M, R, S, B, L) of the layer's type, over the filter group's B blocks; lanes apart: M = 1, a
            weight belongs to the filter of the lane whose bank it is in.
        present: bool (E, M, B, L), channels of the filter, not of others and not padding.
    """

    blocking: str
    blocks: int
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    filters: np.ndarray
    place: np.ndarray
    needed: np.ndarray
    weights: np.ndarray
    present: np.ndarray

    @property
    def apart(self) -> bool:
        """Gather: every lane computes a filter of its own."""
        return self.filters.shape[1] > self.weights.shape[1]


def block(
    lanes: int, lockstep: int, w: np.ndarray, groups: int, dilation: tuple[int, int], blocking: str
) -> Blocked | None:
    """Lay a layer's channels out in blocks.

    Args:
        lanes: channels of a block.
        lockstep: filters of a filter group.
        w: (K, C / groups, R, S).
        groups, dilation: of the layer.
        blocking: one of ``BLOCKINGS``.

    Returns:
        None where this blocking would be the same as a simpler one.
    """
    count, channels, rows, columns = w.shape
    kernel = (rows, columns)
    if blocking == "packed" and (groups == 1 or channels % lanes == 0):
        return None
    if blocking == "folded":
        if rows * columns == 1:
            return None
        w = w.reshape(count, -1, 1, 1)
        channels, rows, columns = w.shape[1:]
        kernel, dilation = (1, 1), (1, 1)
    if blocking == "packed":
        # Filters of neighbouring groups may run in lockstep: their blocks are neighbours too.
        filters = _lockstep(np.arange(count)[None], lockstep)
        group = np.arange(count) // (count // groups)
        start = group * channels
        low = np.array([start[f[f >= 0]].min() // lanes for f in filters])
        high = np.array([(start[f[f >= 0]].max() + channels - 1) // lanes for f in filters])
        blocks, span = -(-channels * groups // lanes), int((high - low).max()) + 1
    else:
        order = np.arange(count).reshape(groups, -1)
        if lockstep > 1:
            # Kernel allocation: the slowest of the filters in lockstep decides, so similar ones run together.
            order = np.take_along_axis(order, np.argsort(_work(w).reshape(groups, -1), axis=1, kind="stable"), axis=1)
        filters = _lockstep(order, lockstep)
        span = -(-channels // lanes)
        group = filters[:, 0] // (count // groups)
        start = np.zeros(count, np.int64)
        low, blocks = group * span, span * groups
        high = low + span - 1
    weights = np.zeros((len(filters), lockstep, rows, columns, span * lanes), w.dtype)
    present = np.zeros((len(filters), lockstep, span * lanes), bool)
    e, m = np.nonzero(filters >= 0)
    k = filters[e, m]
    shift = start[k] - low[e] * lanes if blocking == "packed" else np.zeros(len(k), np.int64)
    for offset in np.unique(shift):
        some = shift == offset
        weights[e[some], m[some], :, :, offset : offset + channels] = w[k[some]].transpose(0, 2, 3, 1)
        present[e[some], m[some], offset : offset + channels] = True
    weights = weights.reshape(len(filters), lockstep, rows, columns, span, lanes)
    present = present.reshape(len(filters), lockstep, span, lanes)
    place = low[:, None] + np.arange(span)
    return Blocked(blocking, blocks, kernel, dilation, filters, place, place <= high[:, None], weights, present)


def _work(w: np.ndarray) -> np.ndarray:
    """Half-lanes each filter's weights occupy: int64 (K,)."""
    outlier = (w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX)
    return np.count_nonzero(w, axis=(1, 2, 3)) + np.count_nonzero(outlier, axis=(1, 2, 3))


def _lockstep(filters: np.ndarray, size: int) -> np.ndarray:
    """Group filters (groups, n) by ``size`` within their group: int32 (E, size), filled up with -1."""
    groups, count = filters.shape
    padded = np.full((groups, -(-count // size) * size), -1, np.int32)
    padded[:, :count] = filters
    return padded.reshape(-1, size)
