"""Integer golden model of the engine's job: exact convolution sums, in NumPy.

The only source of expected values.  What follows the sums (bias, requantisation, pooling, addition)
is defined in ``runtime/hostops.py`` and shared with the board.

Why BLAS on floating point is exact here: every product |w * x| <= 32768 * 32768 = 2**30 is an integer,
and every partial sum, in whatever order it is formed, is an integer not above sum|w| * max|x|.
Float64 holds all integers up to 2**53, float32 up to 2**24, so below those bounds no operation
rounds, with or without fused multiply-add.  The bound is computed, and the type chosen by it.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import InputError
from ..runtime.hostops import SUM_LIMIT, out_size

BUFFER = 2**22
"""Elements of the unfolded window matrix held at a time (32 MiB of float64)."""


def correlate(x, w, stride, padding, dilation, groups, dtype) -> np.ndarray:
    """Convolution as CNNs mean it, computed in ``dtype`` by one matrix product per chunk and group.

    Args:
        x: (N, C, H, W).  w: (K, C/groups, R, S).
        stride, dilation: (rows, columns).  padding: (top, left, bottom, right), zeros.

    Returns:
        ``dtype`` (N, K, OH, OW).
    """
    top, left, bottom, right = padding
    n, c = x.shape[:2]
    k, _, r, s = w.shape
    x = np.pad(x.astype(dtype), ((0, 0), (0, 0), (top, bottom), (left, right)))
    view = sliding_window_view(x, ((r - 1) * dilation[0] + 1, (s - 1) * dilation[1] + 1), axis=(2, 3))
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    oh, ow = view.shape[2:4]
    view = view.reshape(n, groups, c // groups, oh, ow, r, s)  # splitting an axis never copies
    matrix = w.astype(dtype).reshape(groups, k // groups, -1)
    out = np.empty((n, k, oh, ow), dtype)
    rows = max(1, BUFFER // max(1, c * r * s * ow))
    images = max(1, rows // max(1, oh))
    for i in range(0, n, images):
        for y in range(0, oh, rows):
            part = view[i : i + images, :, :, y : y + rows]
            b, h = part.shape[0], part.shape[3]
            unfolded = part.transpose(1, 2, 5, 6, 0, 3, 4).reshape(groups, -1, b * h * ow)
            sums = np.matmul(matrix, unfolded).reshape(k, b, h, ow)
            out[i : i + images, :, y : y + rows] = sums.transpose(1, 0, 2, 3)
    return out


def conv2d(x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1) -> np.ndarray:
    """Exact convolution sums.

    Args:
        x: int16 (N, C, H, W), zero point already subtracted.
        w: int8 or int16 (K, C/groups, R, S); LogQuant's powers of two are int16.
        stride, dilation: (rows, columns).
        padding: (top, left, bottom, right), with zeros.
        groups: divides C and K.

    Returns:
        int32 (N, K, OH, OW).

    Raises:
        InputError: wrong types or shapes, a window that does not fit, or a sum beyond 32 bits.
    """
    x, w = np.asarray(x), np.asarray(w)
    if x.dtype != np.int16 or w.dtype not in (np.int8, np.int16):
        raise InputError(
            f"convolution of {x.dtype} activations with {w.dtype} weights; accepted: int16 with int8 or int16"
        )
    if x.ndim != 4 or w.ndim != 4:
        raise InputError(f"activations {x.shape}, weights {w.shape}; accepted: (N, C, H, W) and (K, C/groups, R, S)")
    if groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise InputError(f"{groups} groups of weights {w.shape} do not fit {x.shape[1]} input channels")
    sizes = [
        out_size(x.shape[2 + i], w.shape[2 + i], stride[i], padding[i], padding[i + 2], dilation[i]) for i in (0, 1)
    ]
    if min(sizes) < 1:
        raise InputError(f"a {w.shape[2]}x{w.shape[3]} window does not fit a padded map of {x.shape[2]}x{x.shape[3]}")
    if x.size == 0 or w.size == 0:
        return np.zeros((x.shape[0], w.shape[0], *sizes), np.int32)
    largest = max(int(x.max()), -int(x.min()))
    bound = largest * int(np.abs(w.astype(np.int64)).reshape(w.shape[0], -1).sum(axis=1).max())
    sums = correlate(x, w, stride, padding, dilation, groups, np.float32 if bound <= 2**24 else np.float64)
    if bound >= SUM_LIMIT and np.abs(sums).max() >= SUM_LIMIT:
        raise InputError(f"a sum of {np.abs(sums).max():.0f} does not fit 32 bits: use smaller weights or activations")
    return sums.astype(np.int32)
