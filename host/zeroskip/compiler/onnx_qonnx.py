"""QONNX (Brevitas, FINN): quantisation to any number of bits as one node on real numbers.

``Quant`` divides by a scale, rounds, saturates to so many bits, and multiplies again; ``BipolarQuant`` leaves the
sign; ``Trunc`` drops the lowest bits of a sum.  On weights that gives integers and their scale, on activations a tensor
with the file's scale, whose range may be narrower than its type's.  (Definitions: the QONNX repository,
docs/qonnx-custom-ops.)
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..runtime.hostops import RANGE, Quant
from .onnx_constants import Integers
from .onnx_source import Source

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")

ROUNDING = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc,
}


def quant(source: Source) -> None:
    """Quant, of older files also IntQuant: inputs x, scale, zero point, bits."""
    bits = source.scalar(3, 8.0)
    if not (2 <= bits <= 32 and bits == int(bits)):
        raise source.error(f"{bits:g} bits; accepted: 2 to 32, a whole number")
    signed, narrow = source.integer("signed", 1), source.integer("narrow", 0)
    low = -(2 ** (int(bits) - 1)) + (narrow != 0) if signed else 0
    high = 2 ** (int(bits) - 1) - 1 if signed else 2 ** int(bits) - 1 - (narrow != 0)
    mode = source.text("rounding_mode", "ROUND").upper()
    if mode not in ROUNDING:
        raise source.error(f"rounding_mode = {mode!r}; accepted: {', '.join(ROUNDING)}")
    if source.is_constant(0):
        _weights(source, low, high, ROUNDING[mode])
        return
    if mode not in ("ROUND", "HALF_EVEN"):
        raise source.error(f"rounding_mode = {mode!r} of an activation; accepted: ROUND (half to even)")
    scale, zero_point = _one(source, 1), _one(source, 2)
    kinds = ("int8", "int16") if signed else ("uint8", "int16")
    kind = next((k for k in kinds if RANGE[k][0] <= low and high <= RANGE[k][1]), None)
    if kind is None or zero_point != int(zero_point) or (kind == "int16" and zero_point):
        raise source.error(
            f"an activation of {bits:g} bits ({low} to {high}) with zero point {zero_point:g}; accepted: up to 8 bits, "
            f"or up to 15 with zero point 0. Quantise activations to 8 bits"
        )
    _rounded(source, _quantisation(source, scale, int(zero_point), kind), low, high)


def _quantisation(source: Source, scale: float, zero_point: int, kind: str) -> Quant:
    try:
        return Quant(scale, zero_point, kind)
    except InputError as error:
        raise source.error(str(error)) from error


def _rounded(source: Source, quantisation: Quant, low: int, high: int) -> None:
    """Rounding to a scale; a range narrower than its type's is a clip of the integers."""
    quants = source.importer.quants
    if (low, high) in (RANGE[quantisation.dtype], (-128, 127)):
        source.emit("quantise", source.shape(0))
    else:
        x = source.step("quantise", source.shape(0))
        quants[x] = quantisation
        bounds = ((bound - quantisation.zero_point) * quantisation.scale for bound in (low, high))
        source.emit("clip", source.shape(0), inputs=(x,), attrs=dict(zip(("low", "high"), bounds, strict=True)))
    quants[source.node.output[0]] = quantisation


def _one(source: Source, index: int) -> float:
    value = source.constant(index).astype(np.float64)
    if value.size != 1:
        raise source.error(f"input {index} of an activation is {value.shape}; accepted: one number (per tensor)")
    return float(value.reshape(-1)[0])


def _weights(source: Source, low: int, high: int, rounding) -> None:
    stored = source.importer.constants[source.node.input[0]]
    x, scale, zero_point = (source.constant(i) for i in (0, 1, 2))
    kind = stored.dtype if stored.dtype.kind == "f" else np.float32
    x, scale, zero_point = (a.astype(kind) for a in (x, scale, zero_point))
    try:
        if not (scale > 0).all() or np.broadcast_shapes(x.shape, scale.shape, zero_point.shape) != x.shape:
            raise source.error(f"scales of shape {scale.shape} on {x.shape}; accepted: all above 0, that broadcast")
    except ValueError as error:
        raise source.error(f"constants that do not fit together ({error})") from error
    values = rounding(np.clip(x / scale + zero_point, low, high))
    _define(source, (values - zero_point).astype(kind), scale)


def bipolar(source: Source) -> None:
    """BipolarQuant of weights: +scale where they are 0 or more, -scale elsewhere."""
    if not source.is_constant(0):
        raise source.error(
            "on an activation: which side of 0 a sum is on, zeroskip does not keep exactly; accepted: on weights. "
            "Quantise the activations to 2 bits or more"
        )
    x, scale = source.constant(0), source.constant(1).astype(np.float32)
    if not (scale > 0).all() or scale.ndim > x.ndim:
        raise source.error(f"scales of shape {scale.shape}; accepted: above 0, that broadcast against {x.shape}")
    _define(source, np.where(x >= 0, np.float32(1), np.float32(-1)), scale)


def _define(source: Source, values: np.ndarray, scale: np.ndarray) -> None:
    """A constant that is integers times scales; with a zero point between integers, only their product."""
    name, importer = source.node.output[0], source.importer
    try:
        importer.constants[name] = np.asarray(values * scale)
        whole = values.astype(np.int64)
        if (whole == values).all():
            rank = (1,) * (values.ndim - scale.ndim) + scale.shape
            importer.integers[name] = Integers.of(whole, scale.reshape(rank))
    except ValueError as error:
        raise source.error(f"scales of shape {scale.shape} do not fit {values.shape} ({error})") from error


def trunc(source: Source) -> None:
    """Trunc of a sum of quantised activations, as Brevitas' average pool has it.

    Inputs: x, scale, zero point, bits before, bits after.
    """
    if len(source.node.input) != 5:
        raise source.error(f"{len(source.node.input)} inputs; accepted: 5 (x, scale, zero point, bits in, bits out)")
    scale, zero_point = _one(source, 1), _one(source, 2)
    before, after = (source.scalar(i, 8.0) for i in (3, 4))
    mode = source.text("rounding_mode", "FLOOR").upper()
    steps = {"FLOOR": "floor", "CEIL": "ceil", "ROUND": "round"}
    if (
        zero_point
        or not (0 < after <= before <= 16)
        or {before, after} != {int(before), int(after)}
        or mode not in steps
    ):
        raise source.error(
            f"{before:g} to {after:g} bits, zero point {zero_point:g}, {mode}; accepted: up to 16 to fewer, 0, "
            f"{', '.join(steps)}"
        )
    dropped = 2.0 ** (before - after)
    x = source.step("quantise", source.shape(0))
    source.importer.quants[x] = _quantisation(source, scale, 0, "int16")
    # A quarter of a step keeps rounding of float64 from crossing an integer; it moves no multiple of the scale.
    nudge = {"FLOOR": 0.25, "CEIL": -0.25, "ROUND": 0.0}[mode] / dropped
    chain = (("affine", 1 / (scale * dropped), nudge), (steps[mode],), ("affine", scale, 0.0))
    kind = "int16" if after > 8 else "uint8" if _is_positive(source) else "int8"
    source.emit("table", source.shape(0), inputs=(x,), attrs={"chain": chain})
    source.importer.quants[source.node.output[0]] = _quantisation(source, scale, 0, kind)


def _is_positive(source: Source) -> bool:
    """Whether what the first input is computed from has no negative values."""
    quants, name = source.importer.quants, source.tensor(0)
    producers = {node.output: node for node in source.importer.nodes}
    while name not in quants and name in producers and producers[name].op in ("average_pool", "affine", "reshape"):
        name = producers[name].inputs[0]
    return name in quants and quants[name].zero_point == quants[name].low


OPERATORS = {"Quant": quant, "IntQuant": quant, "BipolarQuant": bipolar, "Trunc": trunc}
"""QONNX operator -> importer function."""
