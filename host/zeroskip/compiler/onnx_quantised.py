"""Networks that were quantised before they were exported.

In QDQ files, QuantizeLinear and DequantizeLinear stand around ordinary operators; they are read here.
In QOperator files, operators such as QLinearConv hold scales and zero points of their own;
:func:`expand` rewrites each as the same operator between DequantizeLinear and QuantizeLinear, which
is its definition.  So both kinds take the same way, with the file's own integers.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..runtime.hostops import RANGE, Quant
from .onnx_constants import Integers
from .onnx_dialects import type_name
from .onnx_source import Source, importer

_UNARY = ((0, 1, 2),), (3, 4)
_BINARY = ((0, 1, 2), (3, 4, 5)), (6, 7)
FORMS = {
    "QLinearConv": ("Conv", *_BINARY),
    "QLinearMatMul": ("MatMul", *_BINARY),
    "QGemm": ("Gemm", ((0, 1, 2), (3, 4, 5)), (7, 8)),
    "QLinearAdd": ("Add", *_BINARY),
    "QLinearMul": ("Mul", *_BINARY),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", *_UNARY),
    "QLinearAveragePool": ("AveragePool", *_UNARY),
    "QLinearReduceMean": ("ReduceMean", *_UNARY),
    "QLinearLeakyRelu": ("LeakyRelu", *_UNARY),
    "QLinearSigmoid": ("Sigmoid", *_UNARY),
    "QLinearSoftmax": ("Softmax", *_UNARY),
    "QLinearConcat": ("Concat", None, (0, 1)),
}
"""Operator -> (operator on real numbers, places of each input's (tensor, scale, zero point), of the output's)."""

_BIAS = {"QLinearConv": 8, "QGemm": 6}
_DROPPED = ("channels_last", "opset")


def is_quantised(node) -> bool:
    """Whether :func:`expand` knows a node."""
    return node.op_type in FORMS and (
        node.domain == "com.microsoft" or node.op_type in ("QLinearConv", "QLinearMatMul")
    )


def expand(node, name: str, fresh) -> list:
    """A node of a QOperator file as ordinary nodes around its real operator.

    Args:
        node: an ``onnx.NodeProto`` that :func:`is_quantised`.
        name: its unique name.
        fresh: function from a wish to an unused tensor name.
    """
    import onnx

    op, places, (scale, zero_point) = FORMS[node.op_type]
    inputs = [*node.input, *[""] * 9]
    if places is None:
        places = [(i, i + 1, i + 2) for i in range(2, len(node.input), 3)]
    found, reals = [], []

    def add(op_type, sources, target, **attributes):
        found.append(onnx.helper.make_node(op_type, sources, [target], name=target, **attributes))
        return target

    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    for i, place in enumerate(places):
        axis = {"QLinearConv": 0, "QGemm": 0 if transposed else 1}.get(node.op_type, 1)
        sources = [inputs[p] for p in place]
        reals.append(add("DequantizeLinear", sources, fresh(f"{name}/input{i}"), **({"axis": axis} if i else {})))
    bias = inputs[_BIAS.get(node.op_type, 8)] if node.op_type in _BIAS else ""
    if bias:
        unit = add("Mul", [inputs[1], inputs[4]], fresh(f"{name}/unit"))
        reals.append(add("DequantizeLinear", [bias, unit], fresh(f"{name}/bias"), axis=0))
    quantised = bool(inputs[scale])
    real = fresh(f"{name}/real") if quantised else node.output[0]
    main = onnx.helper.make_node(op, reals, [real], name=name)
    main.attribute.extend(a for a in node.attribute if a.name not in _DROPPED or (a.name == "channels_last" and a.i))
    found.append(main)
    if quantised:
        add("QuantizeLinear", [real, inputs[scale], inputs[zero_point]], node.output[0])
    return found


@importer("QuantizeLinear")
def quantize_linear(source: Source) -> None:
    quant = _quant(source)
    source.tensor(0)
    source.emit("quantise", source.shape(0))
    source.importer.quants[source.node.output[0]] = quant
    source.importer.integer_names.add(source.node.output[0])


@importer("DequantizeLinear", on_integers=True)
def dequantize_linear(source: Source) -> None:
    if source.is_constant(0):
        _dequantize_constant(source)
        return
    if source.quant(0) is source.importer.undecided and source.quant(0) is not None:
        source.importer.decide(_quant(source))
    found, quant = source.quant(0), _quant(source)
    if found is None:
        raise source.error("its input holds real numbers; accepted: what QuantizeLinear made")
    if found != quant:
        raise source.error(
            f"takes its input for scale {quant.scale:g}, zero point {quant.zero_point} ({quant.dtype}), but it was "
            f"quantised with scale {found.scale:g}, zero point {found.zero_point} ({found.dtype}); accepted: the same"
        )
    source.importer.names[source.node.output[0]] = source.tensor(0)


def _dequantize_constant(source: Source) -> None:
    """Scale times integers, in the scale's type; the integers themselves are kept beside the product."""
    values, scale = source.constant(0), _scale(source, whole=True)
    stored = source.importer.constants[source.node.input[1]]
    kind = stored.dtype if stored.dtype.kind == "f" else np.dtype(np.float32)
    if values.dtype.kind not in "iu":
        raise source.error(f"constants of {values.dtype}; accepted: integers")
    if values.size and values.dtype.itemsize == 8 and np.abs(values).max() >= 2**53:
        raise source.error("constants of 2**53 and more; accepted: smaller integers")
    zero_point = np.zeros(1, np.int64) if source.is_absent(2) else source.constant(2).astype(np.int64)
    axis, block = source.integer("axis", 1), source.integer("block_size", 0)
    axis += values.ndim if axis < 0 else 0

    def along(vector: np.ndarray) -> np.ndarray:
        """One value per tensor, per index of the axis, or per block of it, so that it broadcasts."""
        if vector.size == 1:
            return vector.reshape([1] * values.ndim)
        if block > 0 and vector.ndim == values.ndim and 0 <= axis < values.ndim:
            vector = vector.repeat(min(block, values.shape[axis]), axis).take(range(values.shape[axis]), axis)
            if vector.shape == values.shape:
                return vector
        elif vector.ndim == 1 and 0 <= axis < values.ndim and len(vector) == values.shape[axis]:
            return vector.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        length = values.shape[axis] if 0 <= axis < values.ndim else 1
        raise source.error(
            f"{vector.size} scales or zero points for constants of shape {values.shape} along axis {axis}; accepted: "
            f"1, {length}, or one per block"
        )

    try:
        scale, zero_point = along(scale), along(zero_point)
    except (IndexError, ValueError) as error:
        raise source.error(f"blocks of {block} do not fit constants of shape {values.shape} ({error})") from error
    values = np.asarray(values.astype(np.int64) - zero_point)
    name = source.node.output[0]
    source.importer.constants[name] = np.asarray(values * scale.astype(kind)).astype(kind)
    source.importer.integers[name] = Integers.of(values, scale)


def _scale(source: Source, whole: bool = False) -> np.ndarray:
    """Positive scales as a list, or (``whole``) in the shape the file has them."""
    scale = source.constant(1).astype(np.float64)
    scale = scale if whole else scale.reshape(-1)
    if not scale.size or not (scale > 0).all():
        raise source.error(f"a scale of {scale.min() if scale.size else 'no value'}; accepted: above 0")
    return scale


def _quant(source: Source) -> Quant:
    """Scale and zero point of an activation.

    Without a zero point the type is what ``output_dtype`` says (QuantizeLinear, opset 21), or that of the integers
    which DequantizeLinear reads; else uint8.
    """
    scale = _scale(source)
    if not source.is_absent(2):
        stored = source.importer.constants.get(source.node.input[2])
        zero_point, dtype = source.constant(2).reshape(-1), "" if stored is None else stored.dtype.name
    else:
        zero_point, dtype = np.zeros(1, np.uint8), "uint8"
        if source.op == "QuantizeLinear" and source.integer("output_dtype", 0):
            dtype = type_name(source.integer("output_dtype", 0))
        elif source.op == "DequantizeLinear" and source.quant(0) is not None:
            dtype = source.quant(0).dtype
    if scale.size != 1 or zero_point.size != 1:
        raise source.error(f"an activation with {scale.size} scales; accepted: 1 (per tensor)")
    if dtype not in RANGE or (dtype == "int16" and zero_point[0] != 0):
        raise source.error(
            f"an activation of type {dtype} with zero point {zero_point[0]}; accepted: uint8, int8, or int16 with zero "
            f"point 0. Quantise activations to 8 bits, or symmetrically (activation_type=QInt16, ActivationSymmetric)"
        )
    try:
        return Quant(float(scale[0]), int(zero_point[0]), dtype)
    except InputError as error:
        raise source.error(str(error)) from error
