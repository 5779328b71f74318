"""Repeating and counting by arrays of integers, on 32 and on 64 bits.

On a 32-bit machine NumPy's counts and places are 32 bits wide (``intp``), and ``np.repeat``, ``np.bincount`` and
``take`` refuse int64 instead of narrowing it.  Sizes of streams are computed in int64 all the same, because
products of them may exceed 32 bits; they are narrowed here, where each is known to fit memory.
"""

from __future__ import annotations

import numpy as np


def repeat(values: np.ndarray, counts, axis: int | None = None) -> np.ndarray:
    """``np.repeat`` for counts of any integer type: each at least 0, their sum an array that fits memory."""
    return np.repeat(values, np.asarray(counts).astype(np.intp, copy=False), axis)


def within(counts: np.ndarray) -> np.ndarray:
    """0 to count - 1 for every count, one after the other: intp."""
    counts = np.asarray(counts, np.intp)
    return np.arange(counts.sum()) - repeat(np.cumsum(counts) - counts, counts)


def bincount(places: np.ndarray, weights: np.ndarray | None = None, minlength: int = 0) -> np.ndarray:
    """``np.bincount`` for places of any integer type: int64 on every machine, or float64 with ``weights``."""
    found = np.bincount(np.asarray(places).astype(np.intp, copy=False), weights, minlength)
    return found.astype(np.int64) if weights is None else found
