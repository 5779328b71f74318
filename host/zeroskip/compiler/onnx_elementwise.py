"""ONNX operators on single elements: activation functions, arithmetic, batch normalisation; and softmax."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.hostops import SOFTMAX_AXIS
from .onnx_source import Source, dims, importer


# -- functions of one tensor -------------------------------------------------------------------------
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


@importer("Min", "Max")
def min_max(source: Source) -> None:
    constants = [i for i in range(len(source.node.input)) if source.is_constant(i)]
    if len(source.node.input) != 2 or len(constants) != 1:
        raise source.error("accepted: one activation and one constant number")
    bound = source.scalar(constants[0], 0.0)
    low, high = (bound, math.inf) if source.op == "Max" else (-math.inf, bound)
    x = 1 - constants[0]
    source.emit("clip", source.shape(x), inputs=(x,), attrs={"low": low, "high": high})


_FUNCTIONS = {
    "Sigmoid": ("sigmoid",),
    "Tanh": ("tanh",),
    "Softplus": ("softplus",),
    "HardSwish": ("hard_swish",),
    "HardSigmoid": ("hard_sigmoid", ("alpha", 0.2), ("beta", 0.5)),
    "LeakyRelu": ("leaky_relu", ("alpha", 0.01)),
    "Elu": ("elu", ("alpha", 1.0)),
}
"""ONNX operator -> function of ``functions.py``, attributes with their defaults."""


@importer(*_FUNCTIONS)
def function(source: Source) -> None:
    name, *parameters = _FUNCTIONS[source.op]
    values = [source.number(*parameter) for parameter in parameters]
    if not all(map(math.isfinite, values)):
        raise source.error(f"parameters {values}; accepted: finite numbers")
    source.emit("table", source.shape(0), attrs={"chain": ((name, *values),)})


@importer("PRelu")
def prelu(source: Source) -> None:
    axis, slope = _vector(source, 1, source.shape(0))
    if slope.size == 1:
        source.emit("table", source.shape(0), attrs={"chain": (("leaky_relu", float(slope[0])),)})
        return
    _on_axis(source, "table", 0, axis, attrs={"chain": (("prelu",),)}, weight=slope)


@importer("Softmax")
def softmax(source: Source) -> None:
    shape, since_13 = source.shape(0), source.opset >= 13
    axis = source.integer("axis", -1 if since_13 else 1)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 1 <= axis <= len(shape):
        raise source.error(f"axis = {source.integer('axis', 1)} on ({dims(shape)}); accepted: any but the batch")
    joined = shape[: axis - 1] + (math.prod(shape[axis - 1 :]),)  # before opset 13: over all axes from this one on
    length = shape[axis - 1] if since_13 else joined[-1]
    if length > SOFTMAX_AXIS:
        raise source.error(f"a softmax over {length} values; accepted: up to {SOFTMAX_AXIS}")
    if since_13 or joined == shape:
        source.emit("softmax", shape, attrs={"axis": axis - 1})
    else:
        source.finish(source.step("softmax", joined, (source.reshaped(0, joined),), attrs={"axis": axis - 1}), shape)


# -- arithmetic --------------------------------------------------------------------------------------
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


@importer("Neg")
def neg(source: Source) -> None:
    source.emit("affine", source.shape(0), weight=-np.ones(1), bias=np.zeros(1))


@importer("Add")
def add(source: Source) -> None:
    _arithmetic(source, lambda c: (np.ones(1), c), lambda c: (np.ones(1), c), "add", signs=(1, 1))


@importer("Sub")
def sub(source: Source) -> None:
    _arithmetic(source, lambda c: (np.ones(1), -c), lambda c: (-np.ones(1), c), "add", signs=(1, -1))


@importer("Mul")
def mul(source: Source) -> None:
    _arithmetic(source, lambda c: (c, np.zeros(1)), lambda c: (c, np.zeros(1)), "mul")


@importer("Div")
def div(source: Source) -> None:
    def inverse(c):
        if (c == 0).any():
            raise source.error("a division by 0")
        return 1 / c, np.zeros(1)

    _arithmetic(source, inverse, None, None)


def _arithmetic(source: Source, right, left, op: str | None, **attrs) -> None:
    """With a constant: an affine node (``right``: x op c, ``left``: c op x).  Two activations: ``op``."""
    if source.has("axis"):
        raise source.error("attribute axis, as before opset 7; accepted: opset 7 or later (onnx.version_converter)")
    constant = next((i for i in (0, 1) if source.is_constant(i)), None)
    if constant is None:
        _of_two(source, op, attrs)
        return
    make = (left, right)[constant]
    if make is None:
        raise source.error(f"{source.op} of a constant by an activation; accepted: activation by constant")
    x = 1 - constant
    axis, vector = _vector(source, constant, source.shape(x))
    scale, offset = make(vector)
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise source.error("its constant is too large or too small for a finite result")
    _on_axis(source, "affine", x, axis, weight=scale, bias=offset)


def _of_two(source: Source, op: str | None, attrs) -> None:
    if op is None:
        raise source.error(f"{source.op} of two activations; accepted: of an activation by a constant")
    shape, other = source.shape(0), source.shape(1)
    if len(shape) != len(other) or not all(a == b or 1 in (a, b) for a, b in zip(shape, other, strict=True)):
        raise source.error(
            f"{source.op} of ({dims(shape)}) and ({dims(other)}); accepted: equally many axes, of equal sizes or 1"
        )
    source.emit(op, tuple(map(max, shape, other)), inputs=(0, 1), attrs=attrs)


def _vector(source: Source, index: int, shape) -> tuple[int, np.ndarray]:
    """A constant that varies along one axis at most: the axis (without the batch), and (n,) or (1,)."""
    value = source.constant(index)
    full = (1,) * (len(shape) + 1 - value.ndim) + value.shape
    varying = [i for i, n in enumerate(full) if n != 1]
    if not varying and len(full) == len(shape) + 1:
        return 0, value.reshape(-1)
    if (
        len(varying) == 1
        and len(full) == len(shape) + 1
        and 0 not in varying
        and full[varying[0]] == shape[varying[0] - 1]
    ):
        return varying[0] - 1, value.reshape(-1)
    channels = (shape[0],) + (1,) * (len(shape) - 1)
    raise source.error(
        f"a constant of shape {value.shape} on ({dims(shape)}); accepted: one value, or one per channel, of shape "
        f"{channels} (or one for every index of another axis)"
    )


def _on_axis(source: Source, op: str, index: int, axis: int, **fields) -> None:
    """A node with one value per index of an axis: that axis is brought to the front, and back."""
    shape = source.shape(index)
    if not axis:
        source.emit(op, shape, inputs=(index,), **fields)
        return
    order = (axis, *(a for a in range(len(shape)) if a != axis))
    turned = source.transposed(index, order)
    result = source.step(op, tuple(shape[a] for a in order), (turned,), **fields)
    back = tuple(int(a) for a in np.argsort(order))
    source.emit("transpose", shape, inputs=(result,), attrs={"perm": back})
