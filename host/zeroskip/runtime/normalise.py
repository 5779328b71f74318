"""Normalisation by statistics of the tensor itself, as the host computes it: exact sums, then some float64.

Additions, divisions and square roots of float64 are the same on every machine (IEEE 754), one NumPy call each, so the
results are, too; ``docs/numerics.md`` is the same in prose.
"""

from __future__ import annotations

import numpy as np

from .hostops import Quant, reduce_windows, requantise

MAX_WINDOW = 1024
"""Channels of an LRN's window."""


def normalise(
    x: np.ndarray, x_quant: Quant, gain: np.ndarray, offset: np.ndarray, epsilon: float, quant: Quant
) -> np.ndarray:
    """Values minus their mean over their standard deviation, over the last axis.

    With d = q - z, n values, T = sum of d, V = n * sum of d^2 - T^2 (integers, exact):
    ``saturate(round_half_even((n * d - T) / sqrt(V + epsilon) * gain + offset) + zero_point)``.

    Args:
        x: (N, A, B).
        gain, offset: float64 that broadcast against (A, B), in steps of the result.
        epsilon: in units of V, above 0.
    """
    d, n = x.astype(np.int64) - x_quant.zero_point, x.shape[-1]
    total = d.sum(axis=-1, keepdims=True)
    variance = n * np.square(d).sum(axis=-1, keepdims=True) - np.square(total)
    result = (n * d - total) / np.sqrt(variance + epsilon)
    result *= gain
    result += offset
    np.rint(result, out=result)
    result += quant.zero_point
    return np.clip(result, quant.low, quant.high).astype(quant.dtype)


def window_sums(x: np.ndarray, size: int) -> np.ndarray:
    """Sums over windows of ``size`` neighbouring channels; x (N, C, ...), cut at the ends."""
    before = (size - 1) // 2
    flat = x.reshape(*x.shape[:2], -1)
    return reduce_windows(flat, (size, 1), (1, 1), (before, 0, size - 1 - before, 0), (1, 1), np.add).reshape(x.shape)


def lrn(x: np.ndarray, x_quant: Quant, size: int, table: np.ndarray, coarse: int, shift: int, quant: Quant):
    """:func:`requantise` of ``q - z`` with a multiplier that depends on its neighbours: local response normalisation.

    Args:
        x: (N, C, ...).
        size: channels of a window.
        table: int32, the multiplier for every sum of squares, in units of ``2**coarse``, rounded half up.
        shift: of all multipliers.
    """
    d = x.astype(np.int64) - x_quant.zero_point
    squares = window_sums(np.square(d), size)
    place = (squares + ((1 << coarse) >> 1)) >> coarse
    return requantise(d, table.take(place.astype(np.intp)), shift, quant)
