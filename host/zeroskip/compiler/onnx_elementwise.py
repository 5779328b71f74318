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
    """A constant number is a bound; whatever else there is, one after the other."""
    places = range(len(source.node.input))
    bounds = [i for i in places if source.is_constant(i) and source.constant(i).size == 1]
    others = [i for i in places if i not in bounds]
    if not others:
        raise source.error("constants only; accepted: at least one activation")
    found = [source.scalar(i, 0.0) for i in bounds]
    low, high = (max(found, default=-math.inf), math.inf)
    if source.op == "Min":
        low, high = -math.inf, min(found, default=math.inf)
    attrs = {"low": low, "high": high}
    if len(others) == 1:
        source.emit("clip", source.shape(others[0]), inputs=(others[0],), attrs=attrs)
        return
    if not bounds:
        fold_left(source, source.op.lower(), others)
        return
    x = fold_left(source, source.op.lower(), others, last=False)
    source.emit("clip", source.importer.shapes[x], inputs=(x,), attrs=attrs)


@importer("Sum")
def sum_(source: Source) -> None:
    fold_left(source, "add", range(len(source.node.input)), {"signs": (1, 1)})


_FUNCTIONS = {
    "Sigmoid": ("sigmoid",),
    "Tanh": ("tanh",),
    "Softplus": ("softplus",),
    "HardSwish": ("hard_swish",),
    "HardSigmoid": ("hard_sigmoid", ("alpha", 0.2), ("beta", 0.5)),
    "LeakyRelu": ("leaky_relu", ("alpha", 0.01)),
    "ThresholdedRelu": ("thresholded_relu", ("alpha", 1.0)),
    "Elu": ("elu", ("alpha", 1.0)),
    "Selu": ("selu", ("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)),
    "Celu": ("celu", ("alpha", 1.0)),
    "Softsign": ("softsign",),
    "Swish": ("swish", ("alpha", 1.0)),
    "Mish": ("mish",),
    "Erf": ("erf",),
    "Exp": ("exp",),
    "Log": ("log",),
    "Sqrt": ("sqrt",),
    "Abs": ("abs",),
    "Sign": ("sign",),
    "Floor": ("floor",),
    "Ceil": ("ceil",),
    "Round": ("round",),
}
"""ONNX operator -> function of ``functions.py``, attributes with their defaults."""


@importer(*_FUNCTIONS)
def function(source: Source) -> None:
    name, *parameters = _FUNCTIONS[source.op]
    values = [source.number(*parameter) for parameter in parameters]
    if not all(map(math.isfinite, values)):
        raise source.error(f"parameters {values}; accepted: finite numbers")
    if source.op == "Celu" and values == [0]:
        raise source.error("alpha = 0; accepted: any other number")
    _table(source, name, *values)


def _table(source: Source, name: str, *parameters: float, index: int = 0) -> None:
    source.emit("table", source.shape(index), inputs=(index,), attrs={"chain": ((name, *parameters),)})


@importer("Gelu")
def gelu(source: Source) -> None:
    how = source.text("approximate", "none")
    if how not in ("none", "tanh"):
        raise source.error(f"approximate = {how!r}; accepted: none, tanh")
    _table(source, "gelu" if how == "none" else "gelu_tanh")


@importer("Reciprocal")
def reciprocal(source: Source) -> None:
    _table(source, "divide_from", 1.0)


@importer("Pow")
def power(source: Source) -> None:
    if source.is_constant(0):
        raise source.error("a constant to the power of an activation; accepted: an activation to a constant power")
    _table(source, "power", source.scalar(1, 1.0))


@importer("PRelu")
def prelu(source: Source) -> None:
    shape, found = source.shape(0), _vector(source, 1, source.shape(0))
    if found is None:
        raise source.error(
            f"slopes of shape {source.constant(1).shape} on ({dims(shape)}); accepted: one value, or one per channel, "
            f"of shape {(shape[0],) + (1,) * (len(shape) - 1)} (or one for every index of another axis)"
        )
    axis, slope = found
    if slope.size == 1:
        source.emit("table", source.shape(0), attrs={"chain": (("leaky_relu", float(slope[0])),)})
        return
    _on_axis(source, "table", 0, axis, attrs={"chain": (("prelu",),)}, weight=slope)


@importer("LogSoftmax")
@importer("Softmax")
def softmax(source: Source) -> None:
    """Softmax at the end is float, elsewhere integer (``fold`` decides); its logarithm only at the end."""
    op, end = source.op.lower(), source.op == "LogSoftmax"
    op = "log_softmax" if end else op
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
        (source.end if end else source.emit)(op, shape, attrs={"axis": axis - 1})
    elif end:
        raise source.error(f"over axes {axis} to {len(shape)} of ({dims(shape)}) at once; accepted: one axis")
    else:
        source.finish(source.step(op, joined, (source.reshaped(0, joined),), attrs={"axis": axis - 1}), shape)


@importer("ArgMax")
def argmax(source: Source) -> None:
    """Of what a softmax over the same axis reads, which has its largest values in the same places."""
    shape, axis, x = source.shape(0), source.integer("axis", 0), source.tensor(0)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 1 <= axis <= len(shape):
        raise source.error(f"axis {axis} of ({dims(shape)}); accepted: any axis but the batch")
    before = next((node for node in source.importer.nodes if node.output == x), None)
    if before is not None and before.op in ("softmax", "log_softmax") and before.attrs["axis"] == axis - 1:
        x = before.inputs[0]
    elif before is not None and before.op == "log_softmax":
        raise source.error("of a LogSoftmax over another axis; accepted: over the same axis")
    attrs = {
        "keepdims": int(source.integer("keepdims", 1) != 0),
        "last": int(source.integer("select_last_index", 0) != 0),
    }
    source.end("argmax", shape, inputs=(x,), attrs={"axis": axis - 1, **attrs})


# -- arithmetic --------------------------------------------------------------------------------------
_COMPARISONS = {
    "Greater": ("greater", "less"),
    "GreaterOrEqual": ("greater_equal", "less_equal"),
    "Less": ("less", "greater"),
    "LessOrEqual": ("less_equal", "greater_equal"),
}
"""ONNX operator -> function of x for x op constant, for constant op x."""


@importer(*_COMPARISONS)
def compare(source: Source) -> None:
    """1 where it is true, else 0."""
    right, left = _COMPARISONS[source.op]
    constant = next((i for i in (0, 1) if source.is_constant(i) and source.constant(i).size == 1), None)
    if constant is None:
        difference = fold_left(source, "add", (0, 1), {"signs": (1, -1)}, last=False)
        shape, attrs = source.importer.shapes[difference], {"chain": ((right, 0.0),)}
        source.emit("table", shape, inputs=(difference,), attrs=attrs)
        return
    _table(source, (left, right)[constant], float(source.constant(constant).reshape(-1)[0]), index=1 - constant)


@importer("Not")
def not_(source: Source) -> None:
    source.emit("affine", source.shape(0), weight=-np.ones(1), bias=np.ones(1))


@importer("And", "Or")
def logic(source: Source) -> None:
    fold_left(source, "mul" if source.op == "And" else "max", (0, 1))


@importer("Where")
def where(source: Source) -> None:
    mask, near = source.tensor(0), 0
    rank, tensors = len(source.shape(0)), [mask]
    for i in (1, 2):
        if source.is_constant(i) and source.constant(i).size == 1:
            fields = {"weight": np.zeros(1), "bias": source.constant(i).reshape(-1)}
            tensors.append(source.step("affine", source.shape(0), (mask,), **fields))
        else:
            tensors.append(source.constant_tensor(i, rank, near) if source.is_constant(i) else source.tensor(i))
    shapes = [source.importer.shapes[tensor] for tensor in tensors]
    try:
        shape = np.broadcast_shapes(*shapes) if len({*map(len, shapes)}) == 1 else None
    except ValueError:
        shape = None
    if shape is None:
        found = ", ".join(f"({dims(one)})" for one in shapes)
        raise source.error(f"of {found}; accepted: equally many axes, of equal sizes or 1")
    source.emit("where", shape, inputs=tensors)


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

    if source.is_constant(0) and not source.is_constant(1) and source.constant(0).size == 1:
        _table(source, "divide_from", float(source.constant(0).reshape(-1)[0]), index=1)
        return
    _arithmetic(source, inverse, None, "div")


def _arithmetic(source: Source, right, left, op: str, **attrs) -> None:
    """With a constant: an affine node (``right``: x op c, ``left``: c op x).  Else of two tensors: ``op``."""
    if source.has("axis"):
        raise source.error("attribute axis, as before opset 7; accepted: opset 7 or later (onnx.version_converter)")
    constant = next((i for i in (0, 1) if source.is_constant(i)), None)
    make = None if constant is None else (left, right)[constant]
    found = None if make is None else _vector(source, constant, source.shape(1 - constant))
    if found is None:
        fold_left(source, op, (0, 1), attrs)
        return
    axis, vector = found
    scale, offset = make(vector)
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise source.error("its constant is too large or too small for a finite result")
    _on_axis(source, "affine", 1 - constant, axis, weight=scale, bias=offset)


def fold_left(source: Source, op: str, places, attrs=None, *, last: bool = True) -> str:
    """``op`` of two inputs, of that and the third, and so on; constants that vary in any way take part.

    Args:
        places: of the inputs.
        last: whether the result is the node's.

    Returns:
        the tensor of the result.
    """
    places, attrs = list(places), attrs or {}
    shapes = {i: source.shape(i) for i in places if not source.is_constant(i)}
    if not shapes:
        raise source.error("constants only; accepted: at least one activation")
    rank = len(next(iter(shapes.values())))
    near = next(iter(shapes))
    tensors = [source.tensor(i) if i in shapes else source.constant_tensor(i, rank, near) for i in places]
    result = tensors[0]
    for i, tensor in enumerate(tensors[1:], 2):
        shape, other = source.importer.shapes[result], source.importer.shapes[tensor]
        if len(shape) != len(other) or not all(a == b or 1 in (a, b) for a, b in zip(shape, other, strict=True)):
            raise source.error(
                f"{source.op} of ({dims(shape)}) and ({dims(other)}); accepted: equally many axes, of equal sizes or 1"
            )
        wider = tuple(map(max, shape, other))
        if i == len(tensors) and last:
            source.emit(op, wider, inputs=(result, tensor), attrs=attrs)
        else:
            result = source.step(op, wider, (result, tensor), attrs=attrs)
    if len(tensors) == 1 and last:
        source.alias(places[0])
    return result


def _vector(source: Source, index: int, shape) -> tuple[int, np.ndarray] | None:
    """A constant that varies along one axis at most: the axis (without the batch), and (n,) or (1,); else None."""
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
    return None


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
