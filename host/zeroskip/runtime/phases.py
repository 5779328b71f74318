"""Depthwise layers on the gather engine: neighbouring pixels of a row as channels of one column.

A bank is read once per step, and a depthwise filter has one channel.  With F *phases* column X of a row holds pixels
F X to F X + F - 1 as F channels, in F banks, and every weight of the filter meets one of them.  An output row falls
into F / stride phases, too: each is a filter of its own, whose kernel is the layer's, moved.  The result is another
convolution with the same sums: F times the channels, F / stride times the filters, stride 1.
"""

from __future__ import annotations

import numpy as np


def kernel_width(phases: int, taps: int, stride: int) -> int:
    """Columns that the moved kernels reach over."""
    return (phases - stride + taps - 1) // phases + 1


def phased_weights(w: np.ndarray, phases: int, stride: int) -> np.ndarray:
    """Filters of every output phase over the channels of every input phase.

    Args:
        w: (K, C / groups, R, S).
        phases: a multiple of ``stride``, the horizontal one.

    Returns:
        (K * phases / stride, C / groups * phases, R, kernel_width), phases fastest.
    """
    filters, channels, rows, taps = w.shape
    outputs = phases // stride
    found = np.zeros((filters, outputs, channels, phases, rows, kernel_width(phases, taps, stride)), w.dtype)
    for output in range(outputs):
        for tap in range(taps):
            column, phase = divmod(stride * output + tap, phases)
            found[:, output, :, phase, :, column] = w[..., tap]
    return found.reshape(filters * outputs, channels * phases, rows, -1)


def columns_of(phases: int, taps: int, stride: int, out_width: int) -> int:
    """Columns of a row that ``out_width`` output pixels need."""
    return -(-out_width * stride // phases) + kernel_width(phases, taps, stride) - 1


def split(x: np.ndarray, phases: int, left: int, columns: int, zero: int) -> np.ndarray:
    """The columns of a map: (N, C, H, W) to (N, C * phases, H, columns), with ``left`` pixels of padding ``zero``."""
    images, channels, height, width = x.shape
    padded = np.full((images, channels, height, columns * phases), zero, x.dtype)
    width = min(width, columns * phases - left)
    padded[..., left : left + width] = x[..., :width]
    found = padded.reshape(images, channels, height, columns, phases).transpose(0, 1, 4, 2, 3)
    return found.reshape(images, -1, height, columns)


def join(sums: np.ndarray, outputs: int, out_width: int) -> np.ndarray:
    """Sums (N, K * outputs, OH, columns) as the layer's: (N, K, OH, OW)."""
    images, _, height, columns = sums.shape
    found = sums.reshape(images, -1, outputs, height, columns).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(found.reshape(images, -1, height, columns * outputs)[..., :out_width])
