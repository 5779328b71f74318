"""Order of a filter's columns, such that a window never needs two columns of one memory bank.

The sums of a convolution commute, so the columns of a filter may be listed in any order.  The
activation memory is interleaved over BANKS banks (bank = address mod BANKS) and a step reads up to
lookahead + 1 consecutive list columns in one cycle, so any ``window`` consecutive list columns have
to lie in different banks.  Adding a pixel's base address rotates all banks alike and changes nothing.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from ..hardware.config import Config
from ..jit import njit
from ..runtime.tiling import Layout

DUMMY = -1
"""List entry that is no column: keeps columns of one bank apart; never costs a step of its own."""


@njit(cache=True, nogil=True)
def arrange(bank, alive, banks, window, out):
    """Write the order of the columns with ``alive`` into ``out``; returns its length.

    Greedy: of the banks the last ``window - 1`` entries did not use, the one with most columns left
    comes next (first in natural order among equals), so balanced banks keep the natural order.

    Args:
        bank: int (T,), bank of each column, 0 to banks - 1.
        alive: bool (T,), columns to list.
        out: int (window * T,), receives indices of columns, :data:`DUMMY` where no bank is free.
    """
    count = bank.shape[0]
    left = np.zeros(banks, np.int64)
    head = np.full(banks, count, np.int64)  # first column not listed yet, per bank
    following = np.full(count, count, np.int64)  # next column of the same bank
    for column in range(count - 1, -1, -1):
        if alive[column]:
            b = bank[column]
            following[column] = head[b]
            head[b] = column
            left[b] += 1
    blocked = np.full(banks, -window, np.int64)  # where the bank was used last
    remaining = left.sum()
    length = 0
    while remaining > 0:
        best = -1
        for b in range(banks):
            if left[b] == 0 or length - blocked[b] < window:
                continue
            if best < 0 or left[b] > left[best] or (left[b] == left[best] and head[b] < head[best]):
                best = b
        if best < 0:
            out[length] = DUMMY
        else:
            out[length] = head[best]
            head[best] = following[head[best]]
            left[best] -= 1
            blocked[best] = length
            remaining -= 1
        length += 1
    return length


def choose_layout(
    config: Config, blocks: int, used: int, kernel: tuple[int, int], dilation: tuple[int, int]
) -> Layout | None:
    """Choose the layout of a tile's columns for the fewest dummies and the least padding.

    Args:
        config: the build.
        blocks: channel blocks of a tile.
        used: how many of them one filter uses: all, unless the layer has groups.
        kernel, dilation: (R, S) and its dilation.

    Returns:
        None if not even the pixels of one kernel position fit the column memory.
    """
    extent = tuple((taps - 1) * d + 1 for taps, d in zip(kernel, dilation, strict=True))
    best, best_score = None, np.inf
    count = kernel[0] * kernel[1] * used
    order = np.empty(config.window * count, np.int64)
    alive = np.ones(count, bool)
    # Only residues modulo BANKS matter, of the distance of two pixels and of two rows of the kernel.
    period = config.banks // gcd(dilation[0], config.banks) if kernel[0] > 1 else 1
    for step in range(blocks, blocks + (config.banks if kernel[1] > 1 else 1)):
        for residue in range(period):
            layout = Layout(blocks, step, residue, period)
            if layout.size(*extent) > config.columns:
                continue
            bank = layout._replace(blocks=used).offsets(kernel, dilation, residue) % config.banks
            length = arrange(bank, alive, config.banks, config.window, order)
            # A dummy shortens some windows, padding costs memory and transfers: weigh both in parts of the whole.
            score = length / count + 0.5 * (step - blocks) / blocks
            if score < best_score - 1e-9:
                best, best_score = layout, score
    return best
