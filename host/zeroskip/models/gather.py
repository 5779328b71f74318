"""Functional model of the gather engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with, as :mod:`.trident` is of the other scheduled engine.  Formats are those of
``hardware/packets.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import NEAR_BASE_BITS, NEAR_BITS, ROUTE_BITS, Config
from ..hardware.packets import ROUTES
from . import scheduled
from .packet_table import AT, NEAR
from .scheduled import Executed, bits, signed

_ERRORS = {
    2: "two lanes of a step refer to one bank",
    3: f"a lane has route {len(ROUTES)}; accepted: 0 to {len(ROUTES) - 1}",
}

_OPERANDS = np.array([[-1 if bank is None else bank for bank in route] for route in ROUTES], np.int64)
"""Route -> banks of its operands, counted from the lane's first; -1: none, the whole byte meets the first."""


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
            words, packet[AT] + 2, schedule, _OPERANDS, near, NEAR_BITS if near else config.column_w,
            config.near_shift, config.near_beats if near else config.step_beats,
        )  # fmt: skip

    return scheduled.execute(config, words, config.acts, decode, _ERRORS)


@njit(cache=True, nogil=True)
def _decode(words, at, schedule, operands, near, offset_w, near_shift, step_beats):
    offset, ref, count, op_bank, op_act, op_weight, kinds = schedule
    steps, banks = offset.shape
    apart = count.shape[1] > 1
    for step in range(steps):
        low, base = 0, 0
        if near:
            base = bits(words, at, 0, NEAR_BASE_BITS) << near_shift
            low = NEAR_BASE_BITS
        for first in range(0, banks, 2):  # a lane's own banks
            byte = bits(words, at, low, 8)
            route = bits(words, at, low + 8, ROUTE_BITS)
            low += 8 + ROUTE_BITS
            for bank in (first, first + 1):
                offset[step, bank] = base + bits(words, at, low, offset_w)
                low += offset_w
            if route >= operands.shape[0]:
                return 3
            two = operands[route, 1] >= 0
            weights = (signed(byte & 15, 4), signed(byte >> 4, 4)) if two else (signed(byte, 8), 0)
            if two:
                kinds[step, (weights[0] != 0) + (weights[1] != 0)] += 1
            else:
                kinds[step, 3 if byte else 0] += 1
            for half in range(2):
                if weights[half] == 0:
                    continue
                bank = (first + operands[route, half]) % banks
                if ref[step, bank]:
                    return 2
                ref[step, bank] = True
                m = first // 2 if apart else 0
                n = count[step, m]
                op_bank[step, m, n] = op_act[step, m, n] = bank
                op_weight[step, m, n] = weights[half]
                count[step, m] = n + 1
        at += step_beats
    return 0
