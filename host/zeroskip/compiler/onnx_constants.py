"""Constants of an ONNX file: reading tensors, and evaluating nodes that have only constant inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from .onnx_source import Source

MAX_ELEMENTS = 2**28
"""Elements of one tensor (of one image) beyond which a network is refused."""

MAX_COMPUTED = 2**26
"""Elements of a constant that is larger than what it is computed from; larger ones have to be initializers."""

_BROADCAST = frozenset(("Add", "Div", "Equal", "Greater", "Less", "Mul", "Pow", "Sub", "Where"))
_SAME_SIZE = frozenset(
    ("Cast", "Ceil", "Constant", "Exp", "Flatten", "Floor", "Identity", "Neg", "QuantizeLinear", "Reciprocal")
    + ("ReduceProd", "Reshape", "Shape", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Transpose", "Unsqueeze")
)
FOLDABLE = _BROADCAST | _SAME_SIZE | {"Concat", "ConstantOfShape", "Expand", "Gather", "Range", "Tile"}
"""Operators evaluated at import when all their inputs are constants; their results' sizes are known beforehand."""

_MOVING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True, eq=False)
class Integers:
    """A constant that DequantizeLinear made: real = scale * values.

    Args:
        values: int64, zero point subtracted.
        scale: float64 (1,), or (n,) along ``axis``.
        axis: counts all axes.
    """

    values: np.ndarray
    scale: np.ndarray
    axis: int


def read_tensor(tensor, what: str) -> np.ndarray:
    """An ``onnx.TensorProto`` as an array.

    Raises:
        ModelError: impossible dims, too few bytes, an unknown type, missing external data.
    """
    from onnx import numpy_helper

    if not hasattr(tensor, "dims"):
        raise ModelError(f"{what} is no tensor ({tensor!r:.60})")
    if any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) > MAX_ELEMENTS:
        raise ModelError(f"{what} has dims {list(tensor.dims)}; accepted: 0 to {MAX_ELEMENTS} elements")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # numpy_helper lets through whatever NumPy raises on inconsistent fields
        raise ModelError(f"{what} cannot be read ({error})") from error


def attributes(source: Source) -> dict:
    """Attributes of a node as Python values."""
    import onnx

    try:
        return {a.name: onnx.helper.get_attribute_value(a) for a in source.node.attribute}
    except Exception as error:  # inconsistent fields: onnx raises several kinds
        raise source.error(f"an attribute cannot be read ({error})") from error


def evaluate(source: Source) -> dict[str, np.ndarray] | None:
    """Results of a node whose inputs are all constants, or of the Shape of an activation; else None.

    Raises:
        ModelError: the operands do not fit each other, or the result would be huge.
    """
    node, importer = source.node, source.importer
    inputs = list(filter(None, node.input))
    if node.op_type == "Shape" and inputs and inputs[0] in importer.names:
        full = (importer.batch, *importer.shapes[importer.names[inputs[0]]])
        end = source.integer("end", len(full))
        return {node.output[0]: np.array(full[source.integer("start", 0) : end], np.int64)}
    if node.op_type not in FOLDABLE or not all(name in importer.constants for name in inputs):
        return None
    if node.op_type == "Constant" and "value" in source.attributes:
        return {node.output[0]: read_tensor(source.attributes["value"], f"Constant node {source.name!r}")}
    values = [importer.constants[name] for name in inputs]
    _check_size(source, values)
    found = _run(source, dict(zip(inputs, values, strict=True)))
    moved = importer.integers.get(inputs[0]) if inputs and node.op_type in _MOVING else None
    if moved is not None and (moved.scale.size == 1 or node.op_type in ("Identity", "Transpose")):
        integers = _run(source, dict(zip(inputs, (moved.values, *values[1:]), strict=True)))[node.output[0]]
        axis = moved.axis
        if node.op_type == "Transpose":
            axis = source.ints("perm", tuple(range(integers.ndim))[::-1]).index(axis)
        importer.integers[node.output[0]] = replace(moved, values=integers, axis=axis)
    return found


def _check_size(source: Source, values: list[np.ndarray]) -> None:
    for key in ("axis", "axes", "perm"):
        found = source.attributes.get(key, ())
        if any(isinstance(axis, int) and abs(axis) > 64 for axis in (found if isinstance(found, list) else [found])):
            raise source.error(f"{key} = {found}; accepted: up to 64 axes")  # NumPy would make that many
    size = 0
    try:
        if source.op == "ConstantOfShape":
            size = math.prod(abs(int(v)) for v in values[0].ravel())
        elif source.op == "Concat":
            size = sum(value.size for value in values)
        elif source.op == "Expand" or source.op == "Tile":
            size = math.prod(abs(int(v)) for v in values[1].ravel()) * values[0].size
        elif source.op == "Range":
            start, limit, step = (float(value) for value in values)
            size = math.ceil((limit - start) / step)
        elif source.op == "Gather":
            size = values[0].size * values[1].size
        elif source.op in _BROADCAST:
            size = math.prod(np.broadcast_shapes(*(v.shape for v in values)))
    except (ArithmeticError, IndexError, ValueError, TypeError) as error:
        raise source.error(f"its constants do not fit together ({error})") from error
    if size > MAX_COMPUTED:
        raise source.error(f"a constant of {size} elements; accepted: up to {MAX_COMPUTED}")


def _run(source: Source, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    outputs = list(filter(None, source.node.output))
    try:
        ports = [[onnx.helper.make_value_info(name, onnx.TypeProto()) for name in names] for names in (values, outputs)]
        graph = onnx.helper.make_graph([source.node], "constant", *ports)
        opset = onnx.helper.make_opsetid("", source.opset)
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=[opset])).run(None, values)
    except Exception as error:  # the evaluator raises whatever NumPy does on impossible operands
        raise source.error(f"cannot be evaluated on its constants ({error})") from error
    return {name: np.asarray(value) for name, value in zip(outputs, results, strict=True)}
