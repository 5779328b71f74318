"""ONNX operators that normalise by statistics of the tensor itself, whatever it holds."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.normalise import MAX_WINDOW
from .onnx_source import Source, dims, importer


@importer("InstanceNormalization")
def instance_normalization(source: Source) -> None:
    shape = source.shape(0)
    if len(shape) < 2:
        raise source.error(f"input ({dims(shape)}); accepted: (N, C, ...) with something to normalise over")
    scale, bias = (source.vector(i, shape[0]).reshape(-1, 1) for i in (1, 2))
    _normalise(source, shape[0], scale, bias)


@importer("LayerNormalization")
def layer_normalization(source: Source) -> None:
    shape = source.shape(0)
    axis = source.integer("axis", -1)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 1 <= axis <= len(shape):
        raise source.error(f"axis {axis} of ({dims(shape)}); accepted: any axis but the batch")
    inner = shape[axis - 1 :]
    values = [source.constant(1), np.zeros(1) if source.is_absent(2) else source.constant(2)]
    try:
        scale, bias = (np.broadcast_to(value, inner).reshape(1, -1) for value in values)
    except ValueError:
        found = ", ".join(str(value.shape) for value in values)
        raise source.error(f"scale and bias of shape {found}; accepted: shapes that fit {inner}") from None
    _normalise(source, math.prod(shape[: axis - 1]), scale, bias)


@importer("GroupNormalization")
def group_normalization(source: Source) -> None:
    """Scale and bias for every channel (from opset 21 on) or every group."""
    shape, groups = source.shape(0), source.integer("num_groups", 0)
    if groups < 1 or shape[0] % groups or len(shape) < 2:
        raise source.error(f"{groups} groups of ({dims(shape)}); accepted: as many as divide the channels")
    if source.opset < 21:
        _normalise(source, groups, *(source.vector(i, groups).reshape(-1, 1) for i in (1, 2)))
        return
    scale, bias = (source.vector(i, shape[0]) for i in (1, 2))
    y = source.reshaped(_normalised(source, groups, np.ones((1, 1)), np.zeros((1, 1))), shape)
    source.emit("affine", shape, inputs=(y,), weight=scale, bias=bias)


def _normalise(source: Source, rows: int, scale: np.ndarray, bias: np.ndarray) -> None:
    source.finish(_normalised(source, rows, scale, bias), source.shape(0))


def _normalised(source: Source, rows: int, scale: np.ndarray, bias: np.ndarray) -> str:
    """The input as (rows, values), each row normalised; scale and bias broadcast against that."""
    shape, epsilon = source.shape(0), source.number("epsilon", 1e-5)
    if not 0 <= epsilon < math.inf:
        raise source.error(f"epsilon = {epsilon:g}; accepted: 0 or more")
    whole = (rows, math.prod(shape) // rows)
    fields = {"weight": scale, "bias": bias, "attrs": {"epsilon": epsilon, "count": whole[1]}}
    return source.step("normalise", whole, (source.reshaped(0, whole),), **fields)


@importer("LRN")
def lrn(source: Source) -> None:
    size, alpha, beta, bias = (
        source.integer("size", 0),
        *(source.number(*attribute) for attribute in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))),
    )
    if not (1 <= size <= MAX_WINDOW and bias > 0 and 0 <= alpha < math.inf and abs(beta) < 100 and bias < math.inf):
        raise source.error(
            f"size = {size}, alpha = {alpha:g}, beta = {beta:g}, bias = {bias:g}; accepted: sizes of 1 to "
            f"{MAX_WINDOW}, alpha of 0 or more, beta below 100, bias above 0"
        )
    source.emit("lrn", source.shape(0), attrs={"size": size, "alpha": alpha, "beta": beta, "bias": bias})
