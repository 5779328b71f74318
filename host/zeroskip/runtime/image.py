"""A layer's input as an engine's columns: which activation goes where."""

from __future__ import annotations

import numpy as np

from ..engines import engine_of
from ..hardware.packets import FORMAT_S16
from .phases import split
from .program import ConvPlan, blocks_of
from .tiling import View


def column_image(plan: ConvPlan, x: np.ndarray, act_format: int, zero_point: int) -> np.ndarray:
    """The input as stream beats: uint64 ((pixels + 1) * blocks, beats of a column); the last pixel is zero.

    x: int16 without its zero point, or uint8 with ``zero_point`` in it.
    """
    config, groups = plan.config, blocks_of(plan)
    act_format = act_format if engine_of(config).takes_bytes else FORMAT_S16
    inside = zero_point if x.dtype == np.uint8 else 0
    if plan.blocking == "folded":
        x = _fold(plan, x, inside)
    elif plan.phases > 1:
        x = split(x, plan.phases, plan.padding[1], plan.columns(x.shape[3]), inside)
    images, channels, height, width = x.shape
    count, lanes = images * height * width, config.acts
    dtype, beats = np.dtype(np.int16 if act_format else np.uint8), config.column_beats(act_format)
    filled = np.full((count + 1, len(groups), groups[0] * lanes), zero_point, dtype)
    inner = filled[:-1].reshape(images, height, width, len(groups), -1)
    if plan.placed is None:
        inner = inner[..., : channels // len(groups)]
    else:
        first = np.arange(len(groups))[:, None] * (channels // len(groups))
        x = x.take(np.maximum(plan.placed + first, 0).ravel(), axis=1)
    values = x.reshape(images, len(groups), -1, height, width).transpose(0, 3, 4, 1, 2)
    np.add(values, zero_point - inside, out=inner, casting="unsafe")
    if plan.placed is not None:
        inner[..., plan.placed < 0] = zero_point
    columns = filled.reshape(-1, lanes)
    if lanes * dtype.itemsize < beats * 8:
        padded = np.zeros((len(columns), beats * 8 // dtype.itemsize), dtype)
        padded[:, :lanes] = columns
        columns = padded
    return columns.view(np.uint64)


def _fold(plan: ConvPlan, x: np.ndarray, zero: int) -> np.ndarray:
    """im2col: (N, C, H, W) to (N, C * R * S, OH, OW), channel slowest; padded with ``zero``."""
    top, left, bottom, right = plan.padding
    rows, columns = plan.output_size(*x.shape[2:])
    taps = plan.weights.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=zero)
    n, c, h, w = x.strides
    view = np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *taps, rows, columns),
        (n, c, h * plan.dilation[0], w * plan.dilation[1], h * plan.stride[0], w * plan.stride[1]),
        writeable=False,
    )
    return view.reshape(x.shape[0], -1, rows, columns)


def pixel_map(plan: ConvPlan, view: View, images: int, height: int, width: int) -> tuple[np.ndarray, int]:
    """Input pixel at every place of the engine's padded maps, int32, and the number of input pixels."""
    if plan.blocking == "folded":
        return np.arange(view.out_width, dtype=np.int32).reshape(1, 1, -1), view.out_width
    axes = []
    rows, columns = plan.output_size(height, width)
    strides, pads = plan.stride, plan.padding[:2]
    if plan.phases > 1:  # the rows are padded as they are split
        width, columns = plan.columns(width), -(-columns // plan.outputs)
        strides, pads = (strides[0], 1), (pads[0], 0)
    for length, out, taps, stride, dilation, pad in zip(
        (height, width), (rows, columns), plan.kernel, strides, plan.dilation, pads, strict=True
    ):
        # Without a neighbourhood along an axis only the pixels its stride hits are needed.
        place = np.arange(out) * stride if taps == 1 else np.arange((out - 1) * stride + (taps - 1) * dilation + 1)
        axes.append((place - pad, (place >= pad) & (place < pad + length)))
    (y, y_inside), (x, x_inside) = axes
    image = np.arange(images)[:, None, None] * (height * width)
    pixels = np.where(y_inside[:, None] & x_inside, image + y[:, None] * width + x, images * height * width)
    if view.kernel == (1, 1):
        pixels = pixels.reshape(1, 1, -1)
    return pixels.astype(np.int32), images * height * width
