"""Schedules to stream words: the step records of ``hardware/packets.py``, all but the column offsets.

Offsets depend on the pitch of a tile, which is chosen when a program is built for a map's size, so they
are added there (``runtime/stream.py``).
"""

from __future__ import annotations

import numpy as np

from ..hardware.config import Config
from ..jit import njit
from .schedule import Schedule


def pack(schedule: Schedule, config: Config) -> np.ndarray:
    """Pack steps into uint64 (S, config.step_beats) with every column offset zero."""
    words = np.zeros((schedule.slots.shape[0], config.step_beats), np.uint64)
    _pack(
        schedule.slots,
        schedule.weight,
        schedule.pair,
        schedule.select[0],
        schedule.select[1],
        config.slot_w,
        config.select_w,
        words,
    )
    return words


@njit(cache=True, nogil=True)
def _put(row, low, value):
    """OR ``value`` into the bits of a record from bit ``low`` on."""
    word, shift = low >> 6, low & 63
    row[word] |= np.uint64(value) << np.uint64(shift)
    if shift and word + 1 < row.shape[0]:
        row[word + 1] |= np.uint64(value) >> np.uint64(64 - shift)


@njit(cache=True, nogil=True)
def _pack(slots, weight, pair, select0, select1, slot_w, select_w, words):
    steps, filters, lanes = weight.shape
    window = slots.shape[1]
    for step in range(steps):
        row = words[step]
        for slot in range(window):
            if slots[step, slot] >= 0:
                _put(row, (slot + 1) * slot_w - 1, 1)  # ref is the slot's highest bit
        low = window * slot_w
        for m in range(filters):
            for lane in range(lanes):
                entry = np.uint64(weight[step, m, lane])
                entry |= np.uint64(pair[step, m, lane]) << np.uint64(8)
                entry |= np.uint64(select0[step, m, lane]) << np.uint64(9)
                entry |= np.uint64(select1[step, m, lane]) << np.uint64(9 + select_w)
                _put(row, low, entry)
                low += 9 + 2 * select_w
