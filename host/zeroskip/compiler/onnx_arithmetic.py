"""ONNX operators on elements that take a constant or several tensors: arithmetic, comparisons, batch normalisation."""

from __future__ import annotations

import math

import numpy as np

from .onnx_elementwise import table
from .onnx_source import Source, dims, importer


@importer("Min", "Max")
def min_max(source: Source) -> None:
    """A constant number is a bound; whatever else there is, one after the other."""
    places = range(len(source.node.input))
    bounds = [i for i in places if source.is_constant(i) and source.importer.constants[source.node.input[i]].size == 1]
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
    table(source, (left, right)[constant], float(source.constant(constant).reshape(-1)[0]), index=1 - constant)


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
        table(source, "divide_from", float(source.constant(0).reshape(-1)[0]), index=1)
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
