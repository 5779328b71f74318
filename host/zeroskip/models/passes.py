"""What passes compute, in integer NumPy: the golden model of a network that stays on the accelerator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..compiler.passes import Pass, Segment, Source
from ..runtime import hostops
from .reference import conv2d


def loaded(source: Source, x: np.ndarray, channels: int) -> np.ndarray:
    """A map as a pass reads it: q (N, channels, H, W) of the map's type."""
    x = x[:, source.first : source.first + channels]
    if source.pool is not None:
        k, stride, padding = source.pool
        x = hostops.max_pool(x, (k, k), (stride, stride), padding, (1, 1))
    return x.repeat(source.spread, axis=2).repeat(source.spread, axis=3)


def run_pass(each: Pass, maps: dict[str, np.ndarray]) -> None:
    """Execute a pass on q (N, C, H, W) of every map; writes ``each.tensor``."""
    weights = each.weights
    channels = weights.shape[1] * each.groups
    x = loaded(each.source, maps[each.source.tensor], channels)
    signed = np.subtract(x, each.quant.zero_point, dtype=np.int16)
    sums = conv2d(signed, weights, each.stride, each.padding, each.dilation, each.groups).astype(np.int64)
    bias, multiplier, shift = (
        a.astype(np.int64).reshape(1, -1, 1, 1) for a in (each.bias, each.multiplier, each.shift)
    )
    total = (sums + bias) * multiplier
    if each.residual is not None:
        r = maps[each.residual.tensor].astype(np.int64) - each.residual.quant.zero_point
        total = total + (r * each.residual.multiplier << each.residual.up)
    y = hostops.rounded(total, shift, each.out, each.low, each.high)
    if each.table is not None:
        y = each.table.take(y.astype(np.intp) - each.out.low)
    if each.first or (each.tensor in maps and maps[each.tensor].shape[1] > y.shape[1]):
        whole = maps[each.tensor]
        whole[:, each.first : each.first + y.shape[1]] = y
        return
    maps[each.tensor] = y


def run_segment(segment: Segment, shapes: Mapping[str, tuple[int, int, int]], maps: dict[str, np.ndarray]) -> None:
    """Execute a segment's passes.

    Args:
        shapes: (C, H, W) of every map.
        maps: q (N, C, H, W) of the segment's inputs; gets those of all that it writes.
    """
    images = len(next(iter(maps.values())))
    for each in segment.passes:
        if each.shape != shapes[each.tensor] and each.tensor not in maps:  # written in shares
            dtype = each.out.dtype if each.table is None else each.table.dtype
            maps[each.tensor] = np.zeros((images, *shapes[each.tensor]), dtype)
        run_pass(each, maps)
