"""ONNX operators that move values: shapes, joining and cutting, padding."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.hostops import Quant
from .onnx_dialects import type_name
from .onnx_source import Source, dims, importer

_FLOATS = ("float32", "float64", "float16", "bfloat16")

MAX_SIZE = 2**20
"""Rows or columns after resizing or repeating."""


@importer("Identity", "Dropout", on_integers=True)
def identity(source: Source) -> None:
    source.alias(0)


@importer("Cast", on_integers=True)
def cast(source: Source) -> None:
    """To a float type: nothing, or what integers of scale 1 mean.  To whole numbers: what is after the point goes."""
    to, name, quant = type_name(source.integer("to", 1)), source.node.output[0], source.quant(0)
    if to not in (*_FLOATS, "uint8", "int8", "int32", "int64", "bool"):
        raise source.error(f"to {to}; accepted: {', '.join(_FLOATS)}, uint8, int8, int32, int64, bool")
    if source.node.input[0] in source.importer.ended:
        source.alias(0)
    elif quant is not None:
        source.importer.decide(quant)
        if quant.scale != 1 or quant.zero_point != 0 or (to not in _FLOATS and to != quant.dtype):
            raise source.error(
                f"of the integers of a tensor with scale {quant.scale:g} and zero point {quant.zero_point} "
                f"({quant.dtype}) to {to}; accepted: after DequantizeLinear"
            )
        source.importer.names[name] = source.tensor(0)
        if to not in _FLOATS:
            source.importer.integer_names.add(name)
    elif to in _FLOATS:
        source.alias(0)
    else:
        chain = (("nonzero" if to == "bool" else "truncate",),)
        source.emit("table", source.shape(0), attrs={"chain": chain})
        if to in ("uint8", "int8"):
            source.importer.quants[name] = Quant(1.0, 0, to)
            source.importer.integer_names.add(name)


# -- shapes ------------------------------------------------------------------------------------------
@importer("Flatten", on_integers=True)
def flatten(source: Source) -> None:
    shape = source.shape(0)
    axis = source.integer("axis", 1)
    if axis not in (1, -len(shape)):
        raise source.error(f"axis = {axis}; accepted: 1, which keeps the batch")
    source.finish(source.tensor(0), (math.prod(shape),))


@importer("Reshape", on_integers=True)
def reshape(source: Source) -> None:
    shape, batch = source.shape(0), source.batch
    target = [int(v) for v in (source.constant(1).ravel() if not source.has("shape") else source.ints("shape", None))]
    full, keep_zero = (batch, *shape), source.integer("allowzero", 0)
    if any(v < -1 for v in target) or target.count(-1) > 1:
        raise source.error(f"shape {target}; accepted: positive sizes, 0 and at most one -1")
    if not keep_zero:
        if any(v == 0 and i >= len(full) for i, v in enumerate(target)):
            raise source.error(f"shape {target} copies (0) an axis that ({dims(shape)}) does not have")
        target = [full[i] if v == 0 else v for i, v in enumerate(target)]
    known = math.prod(v for v in target if v != -1)
    if -1 in target and known and math.prod(full) % known == 0:
        target[target.index(-1)] = math.prod(full) // known
    if len(target) < 2 or target[0] not in (batch, 1) or math.prod(target[1:]) != math.prod(shape) or 0 in target:
        raise source.error(f"({dims(shape)}) to {target}; accepted: shapes that keep the batch as first axis")
    source.finish(source.tensor(0), tuple(target[1:]))


@importer("Squeeze", on_integers=True)
def squeeze(source: Source) -> None:
    shape = source.shape(0)
    axes = source.axes(1, len(shape) + 1)
    if axes is None:
        axes = tuple(i + 1 for i, n in enumerate(shape) if n == 1)
    if any(a == 0 or shape[a - 1] != 1 for a in axes) or len(axes) == len(shape):
        raise source.error(f"axes {axes} of ({dims(shape)}); accepted: axes of size 1, not the batch, not all others")
    source.finish(source.tensor(0), tuple(n for i, n in enumerate(shape) if i + 1 not in axes))


@importer("Unsqueeze", on_integers=True)
def unsqueeze(source: Source) -> None:
    shape = list(source.shape(0))
    count = len(source.ints("axes", None) if source.has("axes") else source.listed(1))
    axes = source.axes(1, len(shape) + 1 + count)
    if axes is None or 0 in axes:
        raise source.error(f"axes {axes}; accepted: axes after the batch")
    for axis in sorted(axes):
        shape.insert(axis - 1, 1)
    source.finish(source.tensor(0), tuple(shape))


@importer("Transpose", on_integers=True)
def transpose(source: Source) -> None:
    shape = source.shape(0)
    perm = source.ints("perm", tuple(range(len(shape), -1, -1)))
    if sorted(perm) != list(range(len(shape) + 1)) or perm[0] != 0:
        raise source.error(
            f"perm = {list(perm)} of ({dims(shape)}); accepted: a permutation that keeps the batch first"
        )
    perm = tuple(axis - 1 for axis in perm[1:])
    source.emit("transpose", tuple(shape[axis] for axis in perm), attrs={"perm": perm})


@importer("DepthToSpace", on_integers=True)
def depth_to_space(source: Source) -> None:
    (c, h, w), b = _maps(source), source.integer("blocksize", 0)
    mode = source.text("mode", "DCR")
    if b < 1 or c % (b * b) or mode not in ("DCR", "CRD"):
        raise source.error(f"blocksize {b}, mode {mode!r} of {c} channels; accepted: its square divides them; DCR, CRD")
    split, perm = ((b, b, c // b**2), (2, 3, 0, 4, 1)) if mode == "DCR" else ((c // b**2, b, b), (0, 3, 1, 4, 2))
    source.finish(source.transposed(source.reshaped(0, (*split, h, w)), perm), (c // b**2, h * b, w * b))


@importer("SpaceToDepth", on_integers=True)
def space_to_depth(source: Source) -> None:
    (c, h, w), b = _maps(source), source.integer("blocksize", 0)
    if b < 1 or h % b or w % b:
        raise source.error(f"blocksize {b} of maps {h}x{w}; accepted: one that divides them")
    turned = source.transposed(source.reshaped(0, (c, h // b, b, w // b, b)), (2, 4, 0, 1, 3))
    source.finish(turned, (c * b * b, h // b, w // b))


def _maps(source: Source) -> tuple[int, int, int]:
    shape = source.shape(0)
    if len(shape) != 3:
        raise source.error(f"input ({dims(shape)}); accepted: (N, C, H, W)")
    return shape


# -- joining and cutting -----------------------------------------------------------------------------
@importer("Concat", on_integers=True)
def concat(source: Source) -> None:
    places = range(len(source.node.input))
    near = next((i for i in places if not source.is_constant(i)), 0)
    rank = len(source.shape(near))
    tensors = [source.tensor(i) if not source.is_constant(i) else source.constant_tensor(i, rank, near) for i in places]
    shapes = [source.importer.shapes[tensor] for tensor in tensors]
    axis = source.integer("axis", 1)
    axis += len(shapes[0]) + 1 if axis < 0 else 0
    rest = [shape[: axis - 1] + shape[axis:] for shape in shapes]
    if not 1 <= axis <= len(shapes[0]) or len({len(s) for s in shapes}) > 1 or len(set(rest)) > 1:
        found = ", ".join(f"({dims(shape)})" for shape in shapes[:5])
        raise source.error(f"axis {axis} of {found}; accepted: any axis but the batch, all others of equal size")
    if len({source.quant(i) if not source.is_constant(i) else None for i in places}) > 1:
        raise source.error("integers of tensors with different scales; accepted: real numbers, or equal scales")
    shape = list(shapes[0])
    shape[axis - 1] = sum(s[axis - 1] for s in shapes)
    source.emit("concat", tuple(shape), inputs=tensors, attrs={"axis": axis - 1})


@importer("Gather", on_integers=True)
def gather(source: Source) -> None:
    """Constant places along one axis: a slice where they are evenly apart, else rows that a "resize" picks."""
    shape, index = source.shape(0), source.constant(1)
    axis = source.integer("axis", 0)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 1 <= axis <= len(shape) or index.dtype.kind not in "iu" or not index.size:
        raise source.error(f"axis {axis} of ({dims(shape)}), indices {index.dtype} {index.shape}; accepted: constant "
                           f"whole numbers, any axis but the batch")  # fmt: skip
    length, before, after = shape[axis - 1], shape[: axis - 1], shape[axis:]
    places = index.astype(np.int64).ravel()
    if places.min() < -length or places.max() >= length:
        raise source.error(f"indices {places.min()} to {places.max()} of an axis of {length}; accepted: those it has")
    places %= length
    result = (*before, *index.shape, *after)
    if not result:
        raise source.error("a result (N,) without axes; accepted: at least one axis left")
    source.finish(_picked(source, source.tensor(0), axis - 1, places), result)


def _picked(source: Source, tensor: str, axis: int, places: np.ndarray) -> str:
    """A tensor with these of its places along an axis (counted without the batch)."""
    shape = source.importer.shapes[tensor]
    before, length, after = shape[:axis], shape[axis], shape[axis + 1 :]
    steps = np.diff(places)
    if not steps.size or ((steps == steps[0]).all() and steps[0]):
        step = int(steps[0]) if steps.size else 1
        bounds = [(0, n, 1) for n in shape]
        bounds[axis] = (int(places[0]), int(places[-1]) + (1 if step > 0 else -1), step)
        start, stop, stride = (tuple(values) for values in zip(*bounds, strict=True))
        attrs = {"start": start, "stop": stop, "step": stride}
        return source.step("slice", (*before, places.size, *after), (tensor,), attrs=attrs)
    maps = (math.prod(before), length, math.prod(after))
    rows, columns = (np.stack([p, p, np.zeros(len(p))]) for p in (places, np.arange(maps[2])))
    attrs, x = {"rows": rows, "columns": columns}, source.reshaped(tensor, maps)
    y = source.step("resize", (maps[0], places.size, maps[2]), (x,), attrs=attrs)
    return source.reshaped(y, (*before, places.size, *after))


@importer("Expand", "Tile", on_integers=True)
def repeat(source: Source) -> None:
    """An axis several times over: picked like Gather's places."""
    shape, wanted = source.shape(0), source.listed(1)
    full = (source.batch, *shape)
    if source.op == "Expand":
        wanted = (1,) * (len(full) - len(wanted)) + wanted
        fits = len(wanted) == len(full) and all(1 in (n, m) or n == m for n, m in zip(full, wanted, strict=True))
        counts = tuple(m if n == 1 else 1 for n, m in zip(full, wanted, strict=True)) if fits else ()
        counts = (1, *counts[1:]) if counts and wanted[0] in (1, source.batch) else ()
    else:
        counts = wanted
    if len(counts) != len(full) or counts[0] != 1 or min(counts) < 1 or max(counts) > MAX_SIZE:
        raise source.error(f"({dims(shape)}) by {list(wanted)}; accepted: as many axes, at least 1, not the batch")
    tensor, result = source.tensor(0), shape
    for axis, count in enumerate(counts[1:]):
        if count > 1:
            tensor = _picked(source, tensor, axis, np.tile(np.arange(shape[axis]), count))
            result = source.importer.shapes[tensor]
    source.finish(tensor, result)


@importer("Slice", on_integers=True)
def slice_(source: Source) -> None:
    shape = source.shape(0)
    if source.has("starts"):
        starts, ends = source.ints("starts", None), source.ints("ends", None)
        axes, steps = source.ints("axes", tuple(range(len(starts)))), (1,) * len(starts)
    else:
        starts, ends = source.listed(1), source.listed(2)
        axes = source.listed(3) if not source.is_absent(3) else tuple(range(len(starts)))
        steps = source.listed(4) if not source.is_absent(4) else (1,) * len(starts)
    rank = len(shape) + 1
    axes = [axis + rank if axis < 0 else axis for axis in axes]
    if len({len(starts), len(ends), len(axes), len(steps)}) > 1 or 0 in steps or any(not 1 <= a < rank for a in axes):
        raise source.error(
            f"starts {starts}, ends {ends}, axes {axes}, steps {steps} of ({dims(shape)}); accepted: lists of one "
            f"length, steps other than 0, any axis but the batch"
        )
    bounds = [slice(0, n, 1).indices(n) for n in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        bounds[axis - 1] = slice(start, end, step).indices(shape[axis - 1])
    _emit_slice(source, bounds, 0)


@importer("Split", on_integers=True)
def split(source: Source) -> None:
    shape, outputs = source.shape(0), len(source.node.output)
    axis = source.integer("axis", 0)
    axis += len(shape) + 1 if axis < 0 else 0
    if not 1 <= axis <= len(shape):
        raise source.error(f"axis {axis} of ({dims(shape)}); accepted: any axis but the batch")
    size = shape[axis - 1]
    part = -(-size // outputs)
    sizes = [min(part, size - i * part) for i in range(outputs)]
    if source.has("split"):
        sizes = source.ints("split", None)
    elif not source.is_absent(1):
        sizes = source.listed(1)
    if len(sizes) != outputs or sum(sizes) != size or min(sizes) < 1:
        raise source.error(f"parts {list(sizes)} of an axis of {size}; accepted: {outputs} parts that add up to it")
    start = 0
    for i, length in enumerate(sizes):
        bounds = [(0, n, 1) for n in shape]
        bounds[axis - 1] = (start, start + length, 1)
        start += length
        if source.node.output[i]:
            _emit_slice(source, bounds, i)


def _emit_slice(source: Source, bounds, output: int) -> None:
    start, stop, step = (tuple(values) for values in zip(*bounds, strict=True))
    shape = tuple(len(range(*bound)) for bound in bounds)
    source.emit("slice", shape, output=output, attrs={"start": start, "stop": stop, "step": step})


@importer("Pad", on_integers=True)
def pad(source: Source) -> None:
    shape, mode = source.shape(0), source.text("mode", "constant")
    rank = len(shape) + 1
    old = source.has("pads") or source.is_absent(1)
    pads = source.ints("pads", None) if old else source.listed(1)
    value = source.number("value", 0.0) if old else source.scalar(2, 0.0)
    axes = tuple(range(rank)) if source.is_absent(3) else source.axes(3, rank)
    quant = source.quant(0)
    zero = 0 if quant is None else quant.zero_point
    if quant is not None and source.is_absent(2):
        value = 0
    if mode not in ("constant", "edge", "reflect") or (mode == "constant" and value != zero):
        raise source.error(f"mode {mode!r} with value {value:g}; accepted: constant zeros ({zero}), edge, reflect")
    full = [0] * 2 * rank
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise source.error(f"pads {list(pads)} for axes {list(axes)}; accepted: two values of at least 0 for each")
    for i, axis in enumerate(axes):
        full[axis], full[rank + axis] = pads[i], pads[len(axes) + i]
    if full[0] or full[rank]:
        raise source.error(f"pads {list(pads)}, which pad the batch; accepted: any other axis")
    padding = (*full[1:rank], *full[rank + 1 :])
    grown = tuple(n + padding[i] + padding[rank - 1 + i] for i, n in enumerate(shape))
    source.check_padding(shape, grown)
    if mode == "constant":
        source.emit("pad", grown, attrs={"padding": padding})
        return
    if len(shape) != 3 or padding[0] or padding[3]:
        raise source.error(f"pads {list(pads)} of mode {mode!r}; accepted: of the last two axes of (N, C, H, W)")
    if mode == "reflect" and any(pad >= shape[i % 3] for i, pad in enumerate(padding) if pad):
        raise source.error(f"pads {list(pads)} of mode 'reflect' on ({dims(shape)}); accepted: fewer than there are")
    rows, columns = (_repeated(shape[i], (padding[i], padding[3 + i]), mode) for i in (1, 2))
    source.emit("resize", grown, attrs={"rows": rows, "columns": columns})


def _repeated(length: int, padding: tuple[int, int], mode: str) -> np.ndarray:
    """Places of a "resize" that repeats rows beyond the first and the last one: float (3, rows with padding)."""
    index = np.pad(np.arange(length), padding, mode)
    return np.stack([index, index, np.zeros(len(index))])
