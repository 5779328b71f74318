"""What a layer would take on perfect hardware: the numbers every measured cycle count is set against."""

from __future__ import annotations

import numpy as np

from .kept import kept
from .program import ConvPlan


def intersections(plan: ConvPlan, nonzero: np.ndarray) -> int:
    """Products of a non-zero weight and a non-zero activation in a layer: what the zena engine cannot avoid.

    Args:
        nonzero: bool (N, C, H, W), which input activations are not zero.
    """
    channels, rows, columns = plan.weights.shape[1:]
    weights = kept(plan, "nonzero", lambda: _nonzero_weights(plan))
    top, left, bottom, right = plan.padding
    padded = np.pad(nonzero, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = plan.output_size(*nonzero.shape[2:])
    total = 0
    for r in range(rows):
        for s in range(columns):
            y, x = r * plan.dilation[0], s * plan.dilation[1]
            seen = padded[:, :, y :: plan.stride[0], x :: plan.stride[1]][:, :, :height, :width]
            met = np.count_nonzero(seen, axis=(0, 2, 3)).astype(np.int64).reshape(plan.groups, channels)
            total += int((weights[:, :, r, s] * met).sum())
    return total


def _nonzero_weights(plan: ConvPlan) -> np.ndarray:
    """Non-zero weights of all filters of a group that meet a channel and tap: (groups, C / groups, R, S)."""
    w = plan.weights
    return np.count_nonzero(w.reshape(plan.groups, len(w) // plan.groups, *w.shape[1:]), axis=1)


def multiplications(plan: ConvPlan, images: int, height: int, width: int) -> int:
    """Products of a layer, zeros and padding included."""
    return images * plan.weights.size * int(np.prod(plan.output_size(height, width)))
