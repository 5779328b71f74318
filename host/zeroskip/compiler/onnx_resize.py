"""ONNX operators that resize maps."""

from __future__ import annotations

import math

import numpy as np

from .onnx_shapes import MAX_SIZE
from .onnx_source import Source, dims, importer


@importer("Resize", "Upsample", on_integers=True)
def resize(source: Source) -> None:
    """Nearest or linear, of the last two axes (or the last of (N, C, L))."""
    shape = source.shape(0)
    if len(shape) not in (2, 3):
        raise source.error(f"input ({dims(shape)}); accepted: (N, C, H, W) and (N, C, L)")
    scales, sizes = _targets(source, len(shape) + 1)
    upsample = source.op == "Upsample" or source.opset < 11
    mode = source.text("mode", "nearest")
    place = source.text("coordinate_transformation_mode", "asymmetric" if upsample else "half_pixel")
    rounding = source.text("nearest_mode", "floor" if upsample else "round_prefer_floor")
    if mode not in ("nearest", "linear") or place not in _PLACES or rounding not in _ROUNDINGS:
        raise source.error(
            f"mode {mode!r}, coordinates {place!r}, rounding {rounding!r}; accepted: nearest, linear; "
            f"{', '.join(_PLACES)}; {', '.join(_ROUNDINGS)}"
        )
    if source.integer("antialias", 0) or source.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise source.error("antialias, or a kept aspect ratio; accepted: antialias = 0, stretch")
    if scales[:2] != [1, 1] or sizes[1] not in (None, shape[0]):
        raise source.error(f"scales {scales} (batch first); accepted: 1 for batch and channels")
    full = (1,) * (3 - len(shape))
    lengths, axes = (*full, *shape[1:]), []
    for n, scale, size in zip(lengths, [*full, *scales[2:]], [*full, *sizes[2:]], strict=True):
        size = max(0, math.floor(n * scale)) if size is None else size
        if not 1 <= size <= MAX_SIZE:
            raise source.error(f"{n} to {size} rows or columns; accepted: 1 to {MAX_SIZE}")
        x = _PLACES[place](np.arange(size, dtype=np.float32), np.float32(scale), n, size).astype(np.float32)
        axes.append(_nearest(x, n, rounding) if mode == "nearest" else _linear(x, n))
    attrs = {"rows": axes[0], "columns": axes[1]}
    maps = (shape[0], *lengths)
    result = (shape[0], axes[0].shape[1], axes[1].shape[1])
    if len(shape) == 3:
        source.emit("resize", result, attrs=attrs)
    else:
        source.finish(source.step("resize", result, (source.reshaped(0, maps),), attrs=attrs), (shape[0], result[2]))


def _targets(source: Source, rank: int) -> tuple[list[float], list[int | None]]:
    """Scale of every axis, and its size where the file gives sizes."""
    shape = (1, *source.shape(0))
    given = tuple(range(rank)) if not source.has("axes") else source.axes(-1, rank)
    scales, sizes = [1.0] * rank, [None] * rank
    if source.has("scales"):
        values, target = source.numbers("scales"), scales
    elif not source.is_absent(3) and source.op == "Resize":
        values, target = [int(v) for v in source.listed(3)], sizes
    else:
        place = 1 if source.op == "Upsample" or source.opset < 11 else 2
        values, target = [float(v) for v in source.constant(place).ravel()], scales
    if len(values) != len(given) or not all(0 < v <= MAX_SIZE for v in values):
        raise source.error(f"scales or sizes {values[:8]}; accepted: {len(given)} numbers, above 0, up to {MAX_SIZE}")
    for axis, value in zip(given, values, strict=True):
        target[axis] = value
    for axis, size in enumerate(sizes):
        if size is not None and axis:
            scales[axis] = size / shape[axis]
    return scales, sizes


_PLACES = {
    "half_pixel": lambda i, s, n, m: (i + np.float32(0.5)) / s - np.float32(0.5),
    "pytorch_half_pixel": lambda i, s, n, m: (i + np.float32(0.5)) / s - np.float32(0.5) if m > 1 else 0 * i,
    "align_corners": lambda i, s, n, m: i * np.float32(n - 1) / np.float32(m - 1) if m > 1 else 0 * i,
    "asymmetric": lambda i, s, n, m: i / s,
    "tf_half_pixel_for_nn": lambda i, s, n, m: (i + np.float32(0.5)) / s,
}
"""Coordinate transformation -> function (output index, scale, input size, output size) -> place in the input."""

_ROUNDINGS = {
    "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
    "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _nearest(x: np.ndarray, n: int, rounding: str) -> np.ndarray:
    index = np.clip(_ROUNDINGS[rounding](x), 0, n - 1)
    return np.stack([index, index, 0 * index]).astype(np.float64)


def _linear(x: np.ndarray, n: int) -> np.ndarray:
    x = np.clip(x, 0, n - 1).astype(np.float64)
    low = np.floor(x)
    return np.stack([low, np.minimum(low + 1, n - 1), x - low])
