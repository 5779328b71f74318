"""ONNX operators on single elements: activation functions; and what ends a classifier: softmax, argmax."""

from __future__ import annotations

import math

from ..runtime.hostops import SOFTMAX_AXIS
from .onnx_source import Source, dims, importer


# -- functions of one tensor -------------------------------------------------------------------------
@importer("Relu")
def relu(source: Source) -> None:
    source.emit("clip", source.shape(0), attrs={"low": 0.0, "high": math.inf})


@importer("Clip", on_integers=True)
def clip(source: Source) -> None:
    """Of the integers of a quantised tensor (QCDQ) its bounds are integers, too."""
    low, high = source.number("min", -math.inf), source.number("max", math.inf)  # up to opset 6
    low, high = source.scalar(1, low), source.scalar(2, high)
    if not low <= high:
        raise source.error(f"min {low:g} above max {high:g}")
    quant = source.quant(0)
    if quant is not None:
        low, high = ((bound - quant.zero_point) * quant.scale for bound in (low, high))
    source.emit("clip", source.shape(0), attrs={"low": low, "high": high})


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
    table(source, name, *values)


def table(source: Source, name: str, *parameters: float, index: int = 0) -> None:
    source.emit("table", source.shape(index), inputs=(index,), attrs={"chain": ((name, *parameters),)})


@importer("Gelu")
def gelu(source: Source) -> None:
    how = source.text("approximate", "none")
    if how not in ("none", "tanh"):
        raise source.error(f"approximate = {how!r}; accepted: none, tanh")
    table(source, "gelu" if how == "none" else "gelu_tanh")


@importer("Reciprocal")
def reciprocal(source: Source) -> None:
    table(source, "divide_from", 1.0)


@importer("Pow")
def power(source: Source) -> None:
    if source.is_constant(0):
        raise source.error("a constant to the power of an activation; accepted: an activation to a constant power")
    table(source, "power", source.scalar(1, 1.0))


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
