"""Functional model of the twin engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with, as :mod:`.gather` is of the engine whose banks it has.  Formats are those of
``hardware/packets.py``.  That two work groups share a multiplier shows nowhere: every product is exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import NEAR_BASE_BITS, TWIN_ROUTE_BITS, Config
from . import scheduled
from .packet_table import AT, NEAR
from .scheduled import Executed, bits, signed

_ERRORS = {2: "two lanes of a step refer to one bank"}


def execute(config: Config, words: np.ndarray) -> Executed:
    """Execute one transfer.

    Args:
        config: the build.
        words: uint64 (n,), the input stream: whole packets, the last RUN, and only it, flagged ``last``.

    Raises:
        InputError: not a legal stream; the message names the beat.
    """

    def decode(packet: np.ndarray, schedule: scheduled.Schedule) -> int:
        near = bool(packet[NEAR])
        return _decode(
            words, packet[AT] + 2, schedule, near, config.near_bits if near else config.column_w,
            config.near_shift, config.near_beats if near else config.step_beats,
        )  # fmt: skip

    return scheduled.execute(config, words, config.acts, decode, _ERRORS)


@njit(cache=True, nogil=True)
def _decode(words, at, schedule, near, offset_w, near_shift, step_beats):
    offset, ref, count, op_bank, op_act, op_weight, kinds = schedule
    steps, banks = offset.shape
    for step in range(steps):
        low, base, n = 0, 0, 0
        if near:
            base = bits(words, at, 0, NEAR_BASE_BITS) << near_shift
            low = NEAR_BASE_BITS
        for first in range(0, banks, 2):  # a lane's own banks
            weight = signed(bits(words, at, low, 8), 8)
            bank = (first + bits(words, at, low + 8, TWIN_ROUTE_BITS)) % banks
            low += 8 + TWIN_ROUTE_BITS
            if weight != 0:
                if ref[step, bank]:
                    return 2
                ref[step, bank] = True
                offset[step, bank] = base + bits(words, at, low, offset_w)
                op_bank[step, 0, n] = op_act[step, 0, n] = bank
                op_weight[step, 0, n] = weight
                n += 1
            kinds[step, 3 if weight else 0] += 1
            low += offset_w
        count[step, 0] = n
        at += step_beats
    return 0
