"""ONNX operators with windows and matrices: convolutions, matrix products, pools and means.

A 1-D operator is a 2-D one on maps of height 1, a product with a matrix a 1x1 convolution.
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.hostops import out_size, reduce_windows
from .graph import Given
from .onnx_source import Source, dims, importer

UNIT = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)}


# -- windows -----------------------------------------------------------------------------------------
def _maps(source: Source, index: int = 0) -> tuple[int, int, int]:
    """Shape (C, H, W) of an input (N, C, H, W), or of (N, C, L) with H = 1."""
    shape = source.shape(index)
    if len(shape) not in (2, 3):
        raise source.error(f"input ({dims(shape)}); accepted: (N, C, H, W) and (N, C, L)")
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])


def _window(source: Source, shape, kernel, rank: int) -> dict:
    """Stride, dilation and explicit padding of a window operator, with its output size checked.

    Args:
        shape: (C, H, W).
        kernel: (rows, columns).
        rank: spatial axes in the file, 1 or 2.

    Returns:
        attributes kernel, stride, dilation, padding (top, left, bottom, right; grown for ceil_mode)
        and declared (the padding as the file has it).
    """
    ones = (1,) * (2 - rank)
    stride = (*ones, *source.ints("strides", (1,) * rank, least=1))
    dilation = (*ones, *source.ints("dilations", (1,) * rank, least=1))
    pads = source.ints("pads", (0,) * 2 * rank, least=0)
    pads = pads if rank == 2 else (0, pads[0], 0, pads[1])
    auto, ceil = source.text("auto_pad", "NOTSET"), source.integer("ceil_mode", 0)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [max((math.ceil(n / s) - 1) * s + r - n, 0) for n, s, r in zip(shape[1:], stride, reach, strict=True)]
        small = [t // 2 for t in total]
        large = [t - t // 2 for t in total]
        pads = (*small, *large) if auto == "SAME_UPPER" else (*large, *small)
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    elif auto != "NOTSET":
        raise source.error(f"auto_pad = {auto!r}; accepted: NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    grown = list(pads)
    for axis in (0, 1):
        size, before, after = shape[1 + axis], pads[axis], pads[axis + 2]
        if reach[axis] > size + before + after:
            raise source.error(
                f"a window of {kernel[0]}x{kernel[1]} (dilation {dilation[0]}x{dilation[1]}) is larger than its "
                f"padded map of {shape[1] + pads[0] + pads[2]}x{shape[2] + pads[1] + pads[3]}"
            )
        if ceil:
            count = math.ceil((size + before + after - reach[axis]) / stride[axis]) + 1
            if (count - 1) * stride[axis] >= size + before:  # a window must start on the map or before it
                count -= 1
            grown[axis + 2] = max(after, (count - 1) * stride[axis] + reach[axis] - size - before)
    source.check_padding(shape, (shape[0], shape[1] + grown[0] + grown[2], shape[2] + grown[1] + grown[3]))
    names = ("kernel", "stride", "dilation", "padding", "declared")
    return dict(zip(names, map(tuple, (kernel, stride, dilation, grown, pads)), strict=True))


def _output(channels: int, shape, window: dict) -> tuple[int, int, int]:
    k, s, p, d = (window[name] for name in ("kernel", "stride", "padding", "dilation"))
    return (channels, *(out_size(shape[1 + i], k[i], s[i], p[i], p[i + 2], d[i]) for i in (0, 1)))


def _emit_maps(source: Source, op: str, shape, **fields) -> None:
    """A node on (C, H, W); for a 1-D operator, between reshapes."""
    if len(source.shape(0)) == 3:
        source.emit(op, shape, **fields)
        return
    maps = source.reshaped(0, _maps(source))
    source.finish(source.step(op, shape, (maps,), **fields), (shape[0], shape[2]))


@importer("Conv")
def conv(source: Source) -> None:
    shape, weight, given = _maps(source), source.constant(1), source.given(1, bias=2)
    rank = len(source.shape(0)) - 1
    if weight.ndim != 2 + rank:
        raise source.error(
            f"input ({dims(source.shape(0))}), weights {weight.shape}; accepted: (N, C, H, W) with "
            f"(K, C/groups, R, S), (N, C, L) with (K, C/groups, S)"
        )
    groups = source.integer("group", 1)
    if groups < 1 or weight.shape[1] * groups != shape[0] or weight.shape[0] % groups or not weight.size:
        raise source.error(f"weights {weight.shape} in {groups} groups do not fit {shape[0]} input channels")
    kernel = source.ints("kernel_shape", weight.shape[2:], least=1)
    if tuple(kernel) != weight.shape[2:]:
        raise source.error(f"kernel_shape {tuple(kernel)}, but the weights are {weight.shape}")
    full = (*weight.shape[:2], *(1,) * (2 - rank), *kernel)
    window = _window(source, shape, full[2:], rank)
    bias = source.vector(2, len(weight), np.zeros(len(weight)))
    attrs = {key: window[key] for key in ("stride", "padding", "dilation")} | {"groups": groups}
    output = _output(len(weight), shape, window)
    fields = {"weight": weight.reshape(full), "bias": bias, "attrs": attrs, "given": _shaped(given, full)}
    _emit_maps(source, "conv", output, **fields)


def _shaped(given: Given | None, shape) -> Given | None:
    return given and Given(given.weights.reshape(shape), given.scales, given.bias, given.bias_scales)


# -- pools -------------------------------------------------------------------------------------------
@importer("MaxPool", on_integers=True)
def max_pool(source: Source) -> None:
    shape, window, _ = _pool_window(source)
    if source.integer("storage_order", 0):
        raise source.error("storage_order = 1; accepted: 0")
    del window["declared"]
    _emit_maps(source, "max_pool", _output(shape[0], shape, window), attrs=window)


@importer("AveragePool")
def average_pool(source: Source) -> None:
    shape, window, counts = _pool_window(source)
    declared = window.pop("declared")
    if source.integer("count_include_pad", 0):
        counts = _counts(shape, window, declared)
    if all(count.min() == count.max() for count in counts):
        counts = [count[:1] for count in counts]
    _emit_maps(source, "average_pool", _output(shape[0], shape, window), weight=1 / np.outer(*counts), attrs=window)


def _pool_window(source: Source) -> tuple[tuple[int, int, int], dict, list[np.ndarray]]:
    """(C, H, W), the window, and for each axis how many elements of the map are under each place of the window."""
    shape, rank = _maps(source), len(source.shape(0)) - 1
    kernel = (1,) * (2 - rank) + source.ints("kernel_shape", None, least=1, count=rank)
    window = _window(source, shape, kernel, rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, window["dilation"], strict=True)]
    if any(window["declared"][i] >= reach[i % 2] for i in range(4)):
        raise source.error(
            f"padding {window['declared']} as large as the {kernel[0]}x{kernel[1]} window; accepted: smaller"
        )
    counts = _counts(shape, window, (0, 0, 0, 0))
    if min(count.min() for count in counts) == 0:
        raise source.error(
            f"a window with all its elements on the padding {window['declared']}; accepted: smaller padding"
        )
    return shape, window, counts


def _counts(shape, window: dict, counted) -> list[np.ndarray]:
    """Per axis, elements of each window on the map or on the ``counted`` part of its padding: float (OH,), (OW,)."""
    axes = []
    for axis in (0, 1):
        start = window["padding"][axis]
        here = np.zeros(shape[1 + axis] + window["padding"][axis] + window["padding"][axis + 2])
        here[start - counted[axis] : start + shape[1 + axis] + counted[axis + 2]] = 1
        line = (1, window["kernel"][axis]), (1, window["stride"][axis]), (0, 0, 0, 0), (1, window["dilation"][axis])
        axes.append(reduce_windows(here[None], *line, np.add)[0])
    return axes


@importer("GlobalAveragePool")
def global_average_pool(source: Source) -> None:
    rank = len(source.shape(0))
    _reduce(source, "average_pool", tuple(range(1, rank)), keep=True)


@importer("GlobalMaxPool", on_integers=True)
def global_max_pool(source: Source) -> None:
    rank = len(source.shape(0))
    _reduce(source, "max_pool", tuple(range(1, rank)), keep=True)


@importer("ReduceMax", on_integers=True)
@importer("ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare")
def reduce(source: Source) -> None:
    op = "max_pool" if source.op == "ReduceMax" else "average_pool"
    axes = source.axes(1, len(source.shape(0)) + 1)
    if axes is None and source.integer("noop_with_empty_axes", 0):
        source.alias(0)
        return
    if axes is None or 0 in axes:
        raise source.error("over the batch; accepted: axes = any but 0")
    first, last = _AROUND_SUMS.get(source.op, (None, None))
    x = source.tensor(0) if first is None else source.step("table", source.shape(0), attrs={"chain": (first,)})
    _reduce(source, op, tuple(sorted(a - 1 for a in axes)), bool(source.integer("keepdims", 1)), x, last)


_AROUND_SUMS = {
    "ReduceL1": (("abs",), None),
    "ReduceL2": (("power", 2.0), ("sqrt",)),
    "ReduceSumSquare": (("power", 2.0), None),
}
"""Sums of functions -> the function, and that of the sum."""

_SUMS = ("ReduceSum", *_AROUND_SUMS)


def _reduce(source: Source, op: str, axes: tuple[int, ...], keep: bool, x: str | None = None, last=None) -> None:
    """One window over whole axes (counted without the batch) of the input, or of ``x``; then a function of it."""
    shape, x = source.shape(0), x or source.tensor(0)
    if not axes:
        raise source.error(f"input ({dims(shape)}); accepted: at least one axis besides batch and channels")
    others = tuple(a for a in range(len(shape)) if a not in axes)
    count = math.prod(shape[a] for a in axes)
    attrs = {**UNIT, "kernel": (1, count)}
    channels = math.prod(shape[a] for a in others)
    if len(shape) == 3 and axes == (1, 2):
        attrs["kernel"] = shape[1:]
    else:
        x = source.reshaped(source.transposed(x, (*others, *axes)), (channels, 1, count))
    weight = {"weight": np.full((1, 1), 1 / count if source.op not in _SUMS else 1.0)} if op == "average_pool" else {}
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    result = kept if keep else tuple(shape[a] for a in others)
    if not result:
        raise source.error("a result (N,) without axes; accepted: keepdims = 1, or at least one axis left")
    if last is not None:
        y = source.step(op, (channels, 1, 1), (x,), attrs=attrs, **weight)
        source.finish(source.step("table", (channels, 1, 1), (y,), attrs={"chain": (last,)}), result)
    elif result == (channels, 1, 1):
        source.emit(op, result, inputs=(x,), attrs=attrs, **weight)
    else:
        source.finish(source.step(op, (channels, 1, 1), (x,), attrs=attrs, **weight), result)


# -- matrix products ---------------------------------------------------------------------------------
@importer("Gemm")
def gemm(source: Source) -> None:
    if source.integer("transA", 0):
        raise source.error("transA = 1; accepted: 0")
    transposed, alpha, beta = source.integer("transB", 0), source.number("alpha", 1.0), source.number("beta", 1.0)
    weight = source.constant(1)
    if weight.ndim != 2:
        raise source.error(f"a matrix of shape {weight.shape}; accepted: two axes")
    given = source.given(1, bias=2 if beta == 1 else None, filters=0 if transposed else 1)
    if given and alpha <= 0:
        raise source.error(f"alpha = {alpha:g} with quantised weights; accepted: above 0")
    given = given and Given(given.weights, given.scales * alpha, given.bias, given.bias_scales)
    bias = np.zeros(1) if source.is_absent(2) else source.constant(2)
    _matrix(source, (weight if transposed else weight.T) * alpha, bias * beta, given)


@importer("MatMul")
def matmul(source: Source) -> None:
    if source.is_constant(0) or not source.is_constant(1):
        what = "a constant by an activation" if source.is_constant(0) else "two activations"
        raise source.error(f"a product of {what}; accepted: an activation (N, ..., C) by a constant matrix (C, K)")
    weight = source.constant(1)
    if weight.ndim != 2:
        raise source.error(f"a constant of shape {weight.shape}; accepted: a matrix (C, K)")
    _matrix(source, weight.T, np.zeros(1), source.given(1, filters=1))


def _matrix(source: Source, weight: np.ndarray, bias: np.ndarray, given: Given | None) -> None:
    """x W^T + b over the last axis; weight (K, C)."""
    shape = source.shape(0)
    if weight.shape[1] != shape[-1] or not weight.size or (source.op == "Gemm" and len(shape) != 1):
        wanted = "(N, C)" if source.op == "Gemm" else "(N, ..., C)"
        raise source.error(f"input ({dims(shape)}) with a matrix {weight.T.shape}; accepted: {wanted} with (C, K)")
    filters = len(weight)
    if bias.size not in (1, filters):
        raise source.error(f"bias of shape {bias.shape}; accepted: ({filters},)")
    bias = np.broadcast_to(bias.reshape(-1), (filters,))
    full = (*weight.shape, 1, 1)
    fields = {
        "weight": weight.reshape(full),
        "bias": bias,
        "attrs": UNIT | {"groups": 1},
        "given": _shaped(given, full),
    }
    if len(shape) == 1:
        source.emit("conv", (filters,), **fields)
        return
    rest, rank = shape[:-1], len(shape)
    x = source.reshaped(source.transposed(0, (rank - 1, *range(rank - 1))), (shape[-1], 1, math.prod(rest)))
    y = source.reshaped(source.step("conv", (filters, 1, math.prod(rest)), (x,), **fields), (filters, *rest))
    source.emit("transpose", (*rest, filters), inputs=(y,), attrs={"perm": (*range(1, rank), 0)})
