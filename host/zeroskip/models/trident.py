"""Functional model of the trident engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with.  It knows no time; ``scheduled_cycles.py`` adds that from the
step masks this model returns.  Formats are those of ``hardware/packets.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import Config
from ..hardware.window import candidates
from . import scheduled
from .packet_table import AT
from .scheduled import Executed, bits, signed

_ERRORS = {
    2: "a step refers to two columns of one bank",
    3: "a lane selects a column its step does not refer to",
    4: "a selector value beyond the multiplexer's inputs",
}


def execute(config: Config, words: np.ndarray) -> Executed:
    """Execute one transfer.

    Args:
        config: the build.
        words: uint64 (n,), the input stream: whole packets, the last RUN, and only it, flagged ``last``.

    Raises:
        InputError: not a legal stream; the message names the beat.
    """
    window = np.array([(ahead, offset % config.lanes) for ahead, offset in candidates(config.mux)], np.int64)

    def decode(packet: np.ndarray, schedule: scheduled.Schedule) -> int:
        return _decode(
            words, packet[AT] + 2, schedule, window, config.lanes, config.banks, config.column_w, config.select_w,
            config.step_beats,
        )  # fmt: skip

    return scheduled.execute(config, words, 1, decode, _ERRORS)


@njit(cache=True, nogil=True)
def _decode(words, at, schedule, window, lanes, banks, column_w, select_w, step_beats):
    offset, ref, count, op_ref, op_act, op_weight, kinds = schedule
    steps, slots = offset.shape
    lane_w = 9 + 2 * select_w
    for step in range(steps):
        low = 0
        for slot in range(slots):
            offset[step, slot] = bits(words, at, low, column_w)
            ref[step, slot] = bits(words, at, low + column_w, 1) == 1
            low += column_w + 1
            for other in range(slot):
                if ref[step, slot] and ref[step, other] and (offset[step, slot] - offset[step, other]) % banks == 0:
                    return 2
        for m in range(count.shape[1]):
            n = 0
            for lane in range(lanes):
                entry = bits(words, at, low, lane_w)
                low += lane_w
                byte, pair = entry & 255, entry >> 8 & 1
                weights = (signed(byte & 15, 4), signed(byte >> 4, 4)) if pair else (signed(byte, 8), 0)
                if pair:
                    kinds[step, (weights[0] != 0) + (weights[1] != 0)] += 1
                else:
                    kinds[step, 3 if byte else 0] += 1
                for half in range(2):
                    if weights[half] == 0:
                        continue
                    select = entry >> (9 + half * select_w) & ((1 << select_w) - 1)
                    if select >= window.shape[0]:
                        return 4
                    slot = window[select, 0]
                    if not ref[step, slot]:
                        return 3
                    op_ref[step, m, n] = slot
                    op_act[step, m, n] = (lane + window[select, 1]) % lanes
                    op_weight[step, m, n] = weights[half]
                    n += 1
            count[step, m] = n
        at += step_beats
    return 0
