"""Which steps of the engines with banks fit the near format: short column offsets from a base of the step's own."""

from __future__ import annotations

import numpy as np

from ..hardware.config import Config
from ..jit import njit
from ..runtime.tiling import Layout


def near_reach(config: Config) -> int:
    """Largest distance of two columns that fit one near step wherever its lowest column lies."""
    return (1 << config.near_bits) - (1 << config.near_shift)


def near_pitch(
    config: Config, steps: np.ndarray, slots: np.ndarray, layout: Layout, kernel_width: int, dilation: tuple[int, int]
) -> np.ndarray:
    """The largest pitch of a tile with which all steps of a filter fit the near format: int32 (E,), -1: none.

    Args:
        steps, slots: of a ``GatherSchedule``.
    """
    near = np.empty(len(steps), np.int32)
    width, reach = kernel_width * layout.blocks, near_reach(config)
    _near_pitch(steps, slots, width, layout.blocks, layout.step * dilation[1], dilation[0], reach, near)
    return near


@njit(cache=True, nogil=True)
def _near_pitch(steps, slots, width, blocks, distance, rows_apart, reach, near):
    step = 0
    for e in range(steps.shape[0]):
        limit = np.int64((1 << 31) - 1)
        for _ in range(steps[e]):
            lowest, highest = 1 << 30, -1  # kernel rows
            for id_ in slots[step]:
                if id_ >= 0:
                    lowest, highest = min(lowest, id_ // width), max(highest, id_ // width)
            low, far, high = 1 << 30, -1, -1  # columns within the first row; within the last
            for id_ in slots[step]:
                if id_ < 0:
                    continue
                row, at = id_ // width, id_ % width
                at = at // blocks * distance + at % blocks
                if row == lowest:
                    low, far = min(low, at), max(far, at)
                if row == highest:
                    high = max(high, at)
            if highest >= 0 and far - low > reach:
                limit = -1
            elif highest > lowest:
                limit = min(limit, (reach - high + low) // ((highest - lowest) * rows_apart))
            step += 1
        near[e] = max(limit, -1)
