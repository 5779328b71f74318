"""Constants of an ONNX file: reading tensors, and evaluating nodes that have only constant inputs.

Whatever operators make them, constants are computed by ONNX's own reference evaluator, in the file's types.  Where
DequantizeLinear made them, the file's integers and scales are followed beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from .onnx_source import Source

MAX_ELEMENTS = 2**28
"""Elements of one tensor (of one image) beyond which a network is refused."""

MAX_COMPUTED = 2**26
"""Elements of a constant that is larger than what it is computed from; larger ones have to be initializers."""

_PICKING = frozenset(
    (
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
    )
    + ("SpaceToDepth", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Concat", "Cast", "CastLike")
)
"""Operators whose results are elements of their inputs: of integers, too, and of their scales."""

_NOT_EVALUATED = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
    + ("If", "Loop", "Scan", "DequantizeLinear")
)
"""Operators that are not computed from constants here: random ones, those with graphs of their own, and
DequantizeLinear, which ``onnx_quantised.py`` reads."""


_SLOW = frozenset(
    ("Conv", "ConvInteger", "ConvTranspose", "DeformConv", "MaxPool", "AveragePool", "LpPool", "MaxUnpool", "Col2Im")
    + ("Resize", "Upsample", "RoiAlign", "MaxRoiPool", "GridSample", "AffineGrid", "CenterCropPad", "QLinearConv")
    + ("RNN", "GRU", "LSTM", "NonMaxSuppression", "TfIdfVectorizer", "TopK", "DFT", "STFT", "MelWeightMatrix", "Det")
    + ("Attention", "LRN", "HannWindow", "HammingWindow", "BlackmanWindow", "ScatterElements", "ScatterND")
)
"""Operators that ONNX's reference computes element by element."""

MAX_SLOW = 2**16
"""Elements such an operator may read and write."""


def foldable(op: str) -> bool:
    """Whether nodes of an ONNX operator are evaluated at import when all their inputs are constants."""
    import onnx

    return onnx.defs.has(op) and op not in _NOT_EVALUATED


@dataclass(frozen=True, eq=False)
class Integers:
    """A constant that is integers times scales: real = scale * values.

    Args:
        values: int16, or int64 where they are larger; zero point subtracted.
        scale: float64, above 0 but where values are 0; of as many axes as values, each of the same size or 1.
    """

    values: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, scale: np.ndarray) -> Integers:
        """In the smallest form: axes along which the scale is the same have size 1."""
        small = not values.size or (values.min() >= -(2**15) and values.max() < 2**15)
        scale = scale.astype(np.float64)
        for axis in range(scale.ndim):
            first = scale.take([0], axis) if scale.shape[axis] else scale
            scale = first if (scale == first).all() else scale
        return cls(values.astype(np.int16 if small else np.int64), scale)

    def per_index(self, axis: int) -> np.ndarray | None:
        """The scale of every index of an axis, (n,), 1 where all values are 0; None: there are several for one."""
        rows = [np.moveaxis(np.broadcast_to(a, self.values.shape), axis, 0) for a in (self.values, self.scale)]
        if self.scale.size == 1:
            return np.full(len(rows[0]), self.scale.reshape(-1)[0] or 1.0)
        values, scale = (row.reshape(len(rows[0]), -1) for row in rows)
        scale = np.where(values == 0, 0, scale)
        largest = scale.max(axis=1, initial=0)
        alike = (values == 0) | (scale == largest[:, None])
        return np.where(largest > 0, largest, 1.0) if alike.all() else None


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Integers of 2 or 4 bits as int8 or uint8, which NumPy itself knows; other arrays as they are."""
    name = values.dtype.name
    return values.astype(name.rstrip("24") + "8") if name in ("int2", "int4", "uint2", "uint4") else values


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

    Integers times scales stay so through operators that pick elements, and products with constants (masks, scales).

    Raises:
        ModelError: the operands do not fit each other, or the result would be huge.
    """
    node, importer = source.node, source.importer
    inputs = list(filter(None, node.input))
    if node.op_type == "Shape" and inputs and inputs[0] in importer.names:
        full = (importer.batch, *importer.shapes[importer.names[inputs[0]]])
        end = source.integer("end", len(full))
        return {node.output[0]: np.array(full[source.integer("start", 0) : end], np.int64)}
    if not all(name in importer.constants for name in inputs) or not foldable(node.op_type) or "" in node.input[:1]:
        return None
    if node.op_type == "Constant" and "value" in source.attributes:
        return {node.output[0]: read_tensor(source.attributes["value"], f"Constant node {source.name!r}")}
    values = {name: importer.constants[name] for name in inputs}
    _check_size(source, values)
    found = run_node(source, values)
    tracked = [name for name in inputs if name in importer.integers]
    if tracked:
        integers = _tracked(source, inputs, values, found)
        importer.integers.update(integers)
        if not integers:
            importer.changed |= dict.fromkeys(found, f"{source.label} node {source.name!r}")
    for name in importer.changed.keys() & set(inputs):
        importer.changed |= dict.fromkeys(found, importer.changed[name])
    return found


def _tracked(source: Source, inputs, values, found) -> dict[str, Integers]:
    """The integers behind results whose inputs have some; none where the operator changes them."""
    op, known = source.op, source.importer.integers
    if op in ("Mul", "Div") and len(inputs) == 2 and inputs[0] != inputs[1]:
        first = 0 if op == "Div" else next(i for i in (0, 1) if inputs[i] in known)
        other = inputs[1 - first]
        if inputs[first] not in known or other in known or values[other].dtype.kind != "f":
            return {}
        with np.errstate(all="ignore"):
            factor = values[other].astype(np.float64) ** (-1 if op == "Div" else 1)
        if not np.isfinite(factor).all():
            return {}
        return {source.node.output[0]: _scaled(known[inputs[first]], factor)}
    if op == "Neg":
        return {source.node.output[0]: _scaled(known[inputs[0]], np.full(1, -1.0))}
    if op == "Pad" and source.text("mode", "constant") == "constant":
        padded = source.importer.constants.get(source.node.input[2]) if len(source.node.input) > 2 else None
        if inputs[0] not in known or (padded is not None and np.any(padded)):
            return {}
        picked = inputs[:1]
    elif op in _PICKING:
        picked = inputs if op == "Concat" else inputs[:1]
    else:
        return {}
    if not all(name in known for name in picked) or any(value.dtype.kind not in "fV" for value in found.values()):
        return {}
    if op in ("Cast", "CastLike"):
        return dict.fromkeys(found, known[inputs[0]])

    def run(what):
        return run_node(source, values | {name: what(known[name]) for name in picked})

    integers = run(lambda k: k.values.astype(np.float64))
    scales = run(lambda k: np.broadcast_to(k.scale, k.values.shape).astype(np.float64))
    return {name: Integers.of(integers[name].astype(np.int64), scales[name]) for name in found}


def _scaled(integers: Integers, factor: np.ndarray) -> Integers:
    """Their product with real numbers that broadcast; 0 makes an integer 0."""
    scale = integers.scale * np.abs(factor)
    shape = np.broadcast_shapes(integers.values.shape, factor.shape)
    values = np.broadcast_to(integers.values, shape) * np.sign(factor).astype(np.int64)
    return Integers.of(values, scale.reshape((1,) * (len(shape) - scale.ndim) + scale.shape))


def _check_size(source: Source, values: dict[str, np.ndarray]) -> None:
    """Refuse what would be huge before it is computed: sizes are those that ONNX infers."""
    import onnx

    for key in ("axis", "axes", "perm"):
        found = source.attributes.get(key, ())
        if any(isinstance(axis, int) and abs(axis) > 64 for axis in (found if isinstance(found, list) else [found])):
            raise source.error(f"{key} = {found}; accepted: up to 64 axes")  # NumPy would make that many
    read = sum(value.size for value in values.values())
    size = _size_by_hand(source, [values[name] for name in source.node.input if name])
    if size is None:
        try:
            kinds = {n: onnx.helper.np_dtype_to_tensor_dtype(v.dtype) for n, v in values.items()}
            ports = [onnx.helper.make_tensor_value_info(n, kinds[n], v.shape) for n, v in values.items()]
            lists = [onnx.numpy_helper.from_array(v, n) for n, v in values.items() if v.size <= 64]
            outputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in source.node.output if name]
            graph = onnx.helper.make_graph([source.node], "constant", ports, outputs, lists)
            made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", source.opset)])
            small = read <= MAX_SLOW  # what ONNX propagates, it propagates element by element
            inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=small).graph.output
        except Exception as error:  # onnx raises several kinds on operands that do not fit
            raise source.error(f"its constants do not fit together ({error})") from error
        dims = [value.type.tensor_type.shape.dim for value in inferred if value.type.tensor_type.HasField("shape")]
        if len(dims) < len(inferred) or any(not dim.HasField("dim_value") for shape in dims for dim in shape):
            raise source.error("on constants, with a result whose size is not known beforehand; accepted: a known one")
        size = max((math.prod(dim.dim_value for dim in shape) for shape in dims), default=0)
    if source.op in _SLOW and size + read > MAX_SLOW:
        raise source.error(f"of {read} constants, {size} results; accepted: up to {MAX_SLOW}. Simplify it (onnxsim)")
    if size > max(MAX_COMPUTED, *(value.size for value in values.values()), 0) or size > MAX_ELEMENTS:
        raise source.error(f"a constant of {size} elements; accepted: up to {MAX_COMPUTED}")


def _size_by_hand(source: Source, values: list[np.ndarray]) -> int | None:
    """An upper bound of the result's elements where ONNX does not infer it; None: it does."""
    try:
        if source.op in ("Constant", "Size", "Shape", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Compress",
                         "NonZero", "Unique"):  # fmt: skip
            return sum(value.size for value in values) * (8 if source.op == "NonZero" else 1)
        if source.op == "ConstantOfShape":
            return math.prod(abs(int(v)) for v in values[0].ravel())
        if source.op in ("Expand", "Tile"):
            return math.prod(abs(int(v)) for v in values[1].ravel()) * values[0].size
        if source.op == "Range":
            start, limit, step = (float(value) for value in values)
            return max(0, math.ceil((limit - start) / step))
    except (ArithmeticError, IndexError, ValueError, TypeError) as error:
        raise source.error(f"its constants do not fit together ({error})") from error
    return None


def run_node(source: Source, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results of a node on constants, by ONNX's own reference, in the file's types."""
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
