"""ONNX operators the importer knows: one function each, registered by name.

To support another operator, add a function here: it receives a :class:`Source` (the ONNX node, its
activations, constants and attributes, all checked on access) and says what the node becomes with
``source.emit(...)`` or ``source.alias(...)``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.hostops import out_size, reduce_windows
from .onnx_constants import MAX_ELEMENTS

if TYPE_CHECKING:
    from .onnx_import import Source

OPERATORS = {}
"""ONNX operator name -> importer function."""


def importer(*names: str):
    def register(function):
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


# -- windows -----------------------------------------------------------------------------------------
def _window(source: Source, shape, kernel) -> dict:
    """Stride, dilation and explicit padding of a 2-D window operator, with its output size checked.

    Returns:
        attributes kernel, stride, dilation, padding (top, left, bottom, right; grown for ceil_mode)
        and declared (the padding as the file has it).
    """
    stride, dilation = source.ints("strides", (1, 1), least=1), source.ints("dilations", (1, 1), least=1)
    pads = source.ints("pads", (0, 0, 0, 0), least=0)
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
    rows, columns = shape[1] + grown[0] + grown[2], shape[2] + grown[1] + grown[3]
    if shape[0] * rows * columns > MAX_ELEMENTS:
        raise source.error(f"a padded map of {shape[0]}x{rows}x{columns}; accepted: up to {MAX_ELEMENTS} elements")
    names = ("kernel", "stride", "dilation", "padding", "declared")
    return dict(zip(names, map(tuple, (kernel, stride, dilation, grown, pads)), strict=True))


def _output(channels: int, shape, window: dict) -> tuple[int, int, int]:
    k, s, p, d = (window[name] for name in ("kernel", "stride", "padding", "dilation"))
    return (channels, *(out_size(shape[1 + i], k[i], s[i], p[i], p[i + 2], d[i]) for i in (0, 1)))


@importer("Conv")
def conv(source: Source) -> None:
    shape, weight = source.shape(0), source.constant(1)
    if weight.ndim == 3 or len(shape) == 2:
        raise source.error(
            "a 1-D convolution; accepted: 2-D. Export it as a 2-D convolution on maps of height 1 (unsqueeze axis 2)"
        )
    if weight.ndim != 4 or len(shape) != 3:
        raise source.error(
            f"input (N, {_dims(shape)}), weights {weight.shape}; accepted: (N, C, H, W), (K, C/groups, R, S)"
        )
    groups = source.integer("group", 1)
    if groups < 1 or weight.shape[1] * groups != shape[0] or weight.shape[0] % groups or not weight.size:
        raise source.error(f"weights {weight.shape} in {groups} groups do not fit {shape[0]} input channels")
    kernel = source.ints("kernel_shape", weight.shape[2:], least=1)
    if tuple(kernel) != weight.shape[2:]:
        raise source.error(f"kernel_shape {tuple(kernel)}, but the weights are {weight.shape}")
    window = _window(source, shape, kernel)
    bias = source.vector(2, len(weight), np.zeros(len(weight)))
    source.emit(
        "conv",
        _output(len(weight), shape, window),
        weight=weight,
        bias=bias,
        attrs={
            "stride": window["stride"],
            "padding": window["padding"],
            "dilation": window["dilation"],
            "groups": groups,
        },
    )


@importer("MaxPool")
def max_pool(source: Source) -> None:
    window = _pool_window(source)
    if source.integer("storage_order", 0):
        raise source.error("storage_order = 1; accepted: 0")
    del window["declared"]
    source.emit("max_pool", _output(source.shape(0)[0], source.shape(0), window), attrs=window)


@importer("AveragePool")
def average_pool(source: Source) -> None:
    shape, window = source.shape(0), _pool_window(source)
    declared, counted = window.pop("declared"), source.integer("count_include_pad", 0)
    counts = _counts(shape, window, declared if counted else (0, 0, 0, 0))
    weight = 1 / counts if counts.min() != counts.max() else np.full((1, 1), 1 / counts.max())
    source.emit("average_pool", _output(shape[0], shape, window), weight=weight, attrs=window)


@importer("GlobalAveragePool")
def global_average_pool(source: Source) -> None:
    shape = source.shape(0)
    if len(shape) != 3:
        raise source.error(f"input (N, {_dims(shape)}); accepted: (N, C, H, W)")
    attrs = {"kernel": shape[1:], "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0)}
    weight = np.full((1, 1), 1 / (shape[1] * shape[2]))
    source.emit("average_pool", (shape[0], 1, 1), weight=weight, attrs=attrs)


def _pool_window(source: Source) -> dict:
    shape = source.shape(0)
    if len(shape) != 3:
        raise source.error(f"input (N, {_dims(shape)}); accepted: (N, C, H, W)")
    kernel = source.ints("kernel_shape", None, least=1, count=2)
    window = _window(source, shape, kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, window["dilation"], strict=True)]
    if any(window["declared"][i] >= reach[i % 2] for i in range(4)):
        raise source.error(
            f"padding {window['declared']} as large as the {kernel[0]}x{kernel[1]} window; accepted: smaller"
        )
    if _counts(shape, window, (0, 0, 0, 0)).min() == 0:
        raise source.error(
            f"a window with all its elements on the padding {window['declared']}; accepted: smaller padding"
        )
    return window


def _counts(shape, window: dict, counted) -> np.ndarray:
    """Elements of each window on the map, or on the ``counted`` part of its padding: float (OH, OW)."""
    axes = []
    for axis in (0, 1):
        here = np.zeros(shape[1 + axis] + window["padding"][axis] + window["padding"][axis + 2])
        start = window["padding"][axis]
        here[start - counted[axis] : start + shape[1 + axis] + counted[axis + 2]] = 1
        line = (1, window["kernel"][axis]), (1, window["stride"][axis]), (0, 0, 0, 0), (1, window["dilation"][axis])
        axes.append(reduce_windows(here[None], *line, np.add)[0])
    return np.outer(*axes)


# -- per channel and per element ---------------------------------------------------------------------
@importer("BatchNormalization")
def batch_normalization(source: Source) -> None:
    if source.integer("training_mode", 0):
        raise source.error("training_mode = 1; accepted: 0. Export the network in evaluation mode")
    channels = source.shape(0)[0]
    gamma, beta, mean, variance = (source.vector(i, channels) for i in (1, 2, 3, 4))
    epsilon = source.number("epsilon", 1e-5)
    if (variance + epsilon <= 0).any():
        raise source.error(f"variance + epsilon is {(variance + epsilon).min():g}; accepted: above 0")
    scale = gamma / np.sqrt(variance + epsilon)
    source.emit("affine", source.shape(0), weight=scale, bias=beta - mean * scale)


@importer("Relu")
def relu(source: Source) -> None:
    source.emit("clip", source.shape(0), attrs={"low": 0.0, "high": math.inf})


@importer("Clip")
def clip(source: Source) -> None:
    low, high = source.number("min", -math.inf), source.number("max", math.inf)  # up to opset 6
    low, high = source.scalar(1, low), source.scalar(2, high)
    if not low <= high:
        raise source.error(f"min {low:g} above max {high:g}")
    source.emit("clip", source.shape(0), attrs={"low": low, "high": high})


@importer("Add")
def add(source: Source) -> None:
    _element_wise(source, lambda c: (np.ones(1), c), lambda c: (np.ones(1), c))


@importer("Sub")
def sub(source: Source) -> None:
    _element_wise(source, lambda c: (np.ones(1), -c), lambda c: (-np.ones(1), c))


@importer("Mul")
def mul(source: Source) -> None:
    _element_wise(source, lambda c: (c, np.zeros(1)), lambda c: (c, np.zeros(1)))


@importer("Div")
def div(source: Source) -> None:
    def inverse(c):
        if (c == 0).any():
            raise source.error("a division by 0")
        return 1 / c, np.zeros(1)

    _element_wise(source, inverse, None)


def _element_wise(source: Source, right, left) -> None:
    """With a constant: an affine node (``right``: x op c, ``left``: c op x).  Two activations: only Add."""
    if source.has("axis"):
        raise source.error("attribute axis, as before opset 7; accepted: opset 7 or later (onnx.version_converter)")
    constant = next((i for i in (0, 1) if source.is_constant(i)), None)
    if constant is None:
        if source.op != "Add":
            raise source.error(f"{source.op} of two activations; accepted: one activation and one constant, or Add")
        shape, other = source.shape(0), source.shape(1)
        if shape != other:
            raise source.error(f"Add of (N, {_dims(shape)}) and (N, {_dims(other)}); accepted: equal shapes")
        source.emit("add", shape, inputs=(0, 1))
        return
    make = (left, right)[constant]
    if make is None:
        raise source.error(f"{source.op} of a constant by an activation; accepted: activation by constant")
    x = 1 - constant
    scale, offset = make(_channel_vector(source, constant, source.shape(x)))
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise source.error("its constant is too large or too small for a finite result")
    source.emit("affine", source.shape(x), inputs=(x,), weight=scale, bias=offset)


def _channel_vector(source: Source, index: int, shape) -> np.ndarray:
    """A constant that broadcasts along all axes but the channel, as (C,) or (1,)."""
    value = source.constant(index)
    full = (1,) * (len(shape) + 1 - value.ndim) + value.shape
    if len(full) == len(shape) + 1 and all(n == 1 for i, n in enumerate(full) if i != 1) and full[1] in (1, shape[0]):
        return value.reshape(-1)
    raise source.error(
        f"a constant of shape {value.shape} on (N, {_dims(shape)}); accepted: one value, or one per channel, "
        f"of shape {(shape[0],) + (1,) * (len(shape) - 1)}"
    )


# -- matrix products ---------------------------------------------------------------------------------
@importer("Gemm")
def gemm(source: Source) -> None:
    if source.integer("transA", 0):
        raise source.error("transA = 1; accepted: 0")
    weight = source.constant(1)
    weight = weight if source.integer("transB", 0) else weight.T
    bias = np.zeros(1) if source.is_absent(2) else source.constant(2)
    _matrix(source, weight * source.number("alpha", 1.0), bias * source.number("beta", 1.0))


@importer("MatMul")
def matmul(source: Source) -> None:
    _matrix(source, source.constant(1).T, np.zeros(1))


def _matrix(source: Source, weight: np.ndarray, bias: np.ndarray) -> None:
    shape = source.shape(0)
    if len(shape) != 1 or weight.ndim != 2 or weight.shape[1] != shape[0] or not weight.size:
        raise source.error(f"input (N, {_dims(shape)}) with a matrix of {weight.T.shape}; accepted: (N, F) with (F, K)")
    if bias.size not in (1, len(weight)):
        raise source.error(f"bias of {bias.shape}; accepted: ({len(weight)},)")
    attrs = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
    source.emit("conv", (len(weight),), weight=weight[:, :, None, None], bias=bias, attrs=attrs)


# -- shapes ------------------------------------------------------------------------------------------
@importer("Flatten")
def flatten(source: Source) -> None:
    shape = source.shape(0)
    axis = source.integer("axis", 1)
    if axis not in (1, -len(shape)):
        raise source.error(f"axis = {axis}; accepted: 1, which keeps the batch")
    source.emit("reshape", (math.prod(shape),), attrs={"shape": (math.prod(shape),)})


@importer("Reshape")
def reshape(source: Source) -> None:
    shape, batch = source.shape(0), source.batch
    target = [int(v) for v in (source.constant(1).ravel() if not source.has("shape") else source.ints("shape", None))]
    full, keep_zero = (batch, *shape), source.integer("allowzero", 0)
    if any(v < -1 for v in target) or target.count(-1) > 1:
        raise source.error(f"shape {target}; accepted: positive sizes, 0 and at most one -1")
    if not keep_zero:
        if any(v == 0 and i >= len(full) for i, v in enumerate(target)):
            raise source.error(f"shape {target} copies (0) an axis that (N, {_dims(shape)}) does not have")
        target = [full[i] if v == 0 else v for i, v in enumerate(target)]
    known = math.prod(v for v in target if v != -1)
    if -1 in target and known and math.prod(full) % known == 0:
        target[target.index(-1)] = math.prod(full) // known
    if not target or target[0] not in (batch, 1) or math.prod(target[1:]) != math.prod(shape) or 0 in target:
        raise source.error(f"(N, {_dims(shape)}) to {target}; accepted: shapes that keep the batch as first axis")
    source.emit("reshape", tuple(target[1:]), attrs={"shape": tuple(target[1:])})


@importer("Identity", "Dropout")
def identity(source: Source) -> None:
    source.alias(0)


@importer("Softmax")
def softmax(source: Source) -> None:
    shape = source.shape(0)
    axis = source.integer("axis", -1 if source.opset >= 13 else 1)
    if len(shape) != 1 or axis not in (1, -1) or not source.is_output:
        raise source.error("Softmax; accepted: as the last operator, over (N, F)")
    source.emit("softmax", shape)


def _dims(shape) -> str:
    return ", ".join(map(str, shape))
