"""Zero-compressed lanes of the zena engine's stream: bit-vectors and non-zero values, four lanes in a beat.

The format's definition is ``hardware/packets.lane_group``; this does the same for whole layers at once.
"""

from __future__ import annotations

import numpy as np

from .indices import repeat

LANES = 4
"""Lanes of a beat, 16 bits each."""


def lane_groups(values: np.ndarray, present: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compress rows of 16 values and put four lanes side by side.

    Args:
        values: int16 (n, 16): chunks or columns, lane after lane.
        present: bool (n, 16), the values that are sent; the others count as zero.
        rows: int (L,), rows of each lane, n in all; L is a multiple of 4, lanes without rows are legal.

    Returns:
        uint64 (beats,), all lane groups one after the other, and int64 (L / 4,), the beats of each.
    """
    rows = np.asarray(rows, np.int64)
    entries = np.empty((len(values), 17), np.uint16)
    entries[:, 0] = np.packbits(present, axis=1, bitorder="little").view(np.uint16)[:, 0]
    entries[:, 1:] = values.view(np.uint16)
    keep = np.empty(entries.shape, bool)
    keep[:, 0] = True
    keep[:, 1:] = present
    until = np.concatenate([[0], np.cumsum(np.count_nonzero(keep, axis=1))])
    row_end = np.cumsum(rows)
    first = until[row_end - rows]
    length = until[row_end] - first
    beats = length.reshape(-1, LANES).max(1)
    start = np.cumsum(beats) - beats
    # Entry i of lane l goes to beat start[group of l] + i - first[l].
    shift = (repeat(start, LANES) - first) * LANES + np.arange(len(rows)) % LANES
    sent = entries[keep]
    at = np.arange(len(sent)) * LANES + repeat(shift, length)
    words = np.zeros((int(beats.sum()), LANES), np.uint16)
    words.ravel()[at] = sent
    return words.view(np.uint64).ravel(), beats
