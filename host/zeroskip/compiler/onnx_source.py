"""One ONNX node as an importer function sees it: every access is checked and every error names the node.

To support another operator, register a function (``@importer("Name")`` in one of the ``onnx_*`` modules
of operators): it receives a :class:`Source` and says what the node becomes with ``source.emit(...)``,
after as many ``source.step(...)`` as it takes, or with ``source.alias(...)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..runtime.hostops import Quant
from .graph import Given, Node
from .onnx_constants import MAX_ELEMENTS, Integers, whole_numbers

if TYPE_CHECKING:
    from .onnx_import import Importer

OPERATORS = {}
"""ONNX operator name -> importer function."""

_ON_ENDS = ("ArgMax", "Cast", "Dropout", "Identity")
"""Operators that may follow what is computed after the network."""

MAX_PADDING, FEW = 16, 2**16
"""A padded tensor has at most so many times the elements of the tensor, or is small."""

ON_INTEGERS = set()
"""Operators that mean the same on the integers of a quantised tensor as on the real numbers."""


def importer(*names: str, on_integers: bool = False):
    """Register a function for ONNX operators."""

    def register(function):
        OPERATORS.update(dict.fromkeys(names, function))
        if on_integers:
            ON_INTEGERS.update(names)
        return function

    return register


def dims(shape) -> str:
    """A shape without the batch, for messages."""
    return ", ".join(("N", *map(str, shape)))


@dataclass
class Source:
    """An ONNX node with its inputs, attributes and results."""

    importer: Importer
    node: object
    name: str
    label: str
    attributes: dict = field(default_factory=dict)

    @property
    def op(self) -> str:
        return self.node.op_type

    @property
    def opset(self) -> int:
        return self.importer.opset

    @property
    def batch(self) -> int:
        return self.importer.batch

    def error(self, message: str) -> ModelError:
        return ModelError(f"{self.label} node {self.name!r}: {message}")

    def refuse(self, message: str) -> None:
        """Note an error without giving up, so that the nodes behind this one are checked, too."""
        self.importer.errors.append(str(self.error(message)))

    # -- inputs --------------------------------------------------------------------------------------
    def is_absent(self, index: int) -> bool:
        return index >= len(self.node.input) or not self.node.input[index]

    def is_constant(self, index: int) -> bool:
        return not self.is_absent(index) and self.node.input[index] in self.importer.constants

    def _input(self, index: int) -> str:
        if self.is_absent(index):
            raise self.error(f"input {index} is missing")
        return self.node.input[index]

    def tensor(self, index: int) -> str:
        """The graph's tensor of an activation.

        Raises:
            ModelError: it is a constant, has only a batch axis, or holds integers this operator does not take.
        """
        name = self._input(index)
        if name in self.importer.constants:
            raise self.error(
                f"input {index} ({name!r}) is a constant, and another one an activation; accepted: constants only, or "
                f"input {index} an activation. Simplify the network (onnxsim), or exchange the inputs"
            )
        if name not in self.importer.names:
            raise self.error(f"input {index} ({name!r}) is an output of its node that zeroskip does not compute")
        tensor = self.importer.names[name]
        if name in self.importer.ended and self.op not in _ON_ENDS:
            raise self.error(
                f"reads {name!r}, the result of {self.importer.ended[name]}, which is computed after the network; "
                f"accepted: as an output. End the network there: --outputs {name} "
                f"(zeroskip.compile(..., outputs={[name]}))"
            )
        if not self.importer.shapes[tensor]:
            raise self.error("input (N,); accepted: at least one axis besides the batch")
        if name in self.importer.integer_names and self.op not in ON_INTEGERS:
            raise self.error(
                f"input {index} ({name!r}) holds the integers of a quantised tensor; accepted: real numbers "
                f"(after DequantizeLinear)"
            )
        return tensor

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of an activation, without the batch; at least one axis."""
        return self.importer.shapes[self.tensor(index)]

    def quant(self, index: int) -> Quant | None:
        """What an activation's integers mean; None if it holds real numbers."""
        holds = self._input(index) in self.importer.integer_names
        return self.importer.quants[self.tensor(index)] if holds else None

    def constant(self, index: int) -> np.ndarray:
        """A constant input: finite, as float64 (integers stay)."""
        name = self._input(index)
        if name not in self.importer.constants:
            raise self.error(f"input {index} ({name!r}) is an activation; accepted: a constant")
        return self._finite(self.importer.constants[name], repr(name))

    def _finite(self, value: np.ndarray, what: str) -> np.ndarray:
        value = whole_numbers(value)
        if value.dtype.kind in "iu":
            return value
        if value.dtype.kind not in "fV":
            raise self.error(f"{what} is of type {value.dtype}; accepted: numbers")
        value = value.astype(np.float64)
        if not np.isfinite(value).all():
            bad = value[~np.isfinite(value)]
            raise self.error(
                f"{what} has {bad.size} values that are not finite (the first: {bad[0]}); retrain or repair it"
            )
        return value

    def vector(self, index: int, length: int, default: np.ndarray | None = None) -> np.ndarray:
        """A constant of shape (length,)."""
        if default is not None and self.is_absent(index):
            return default
        value = self.constant(index)
        if value.shape != (length,):
            raise self.error(
                f"input {index} ({self.node.input[index]!r}) has shape {value.shape}; accepted: ({length},)"
            )
        return value.astype(np.float64)

    def scalar(self, index: int, default: float) -> float:
        """A constant of one element; may be infinite."""
        if self.is_absent(index):
            return default
        if not self.is_constant(index):
            raise self.error(f"input {index} is computed; accepted: a constant")
        value = self.importer.constants[self.node.input[index]]
        value = whole_numbers(value)
        if value.size != 1 or value.dtype.kind not in "iuf" or np.isnan(value.astype(np.float64)).any():
            raise self.error(f"input {index} is {value.dtype} {value.shape}; accepted: one number")
        return float(value.reshape(-1)[0])

    # -- attributes ----------------------------------------------------------------------------------
    def has(self, name: str) -> bool:
        return name in self.attributes

    def _attribute(self, name: str, kinds, default):
        value = self.attributes.get(name, default)
        if not isinstance(value, kinds):
            raise self.error(f"attribute {name} is {'missing' if value is None else repr(value)[:60]}")
        return value

    def integer(self, name: str, default: int) -> int:
        return self._attribute(name, int, default)

    def number(self, name: str, default: float) -> float:
        value = float(self._attribute(name, (int, float), default))
        if math.isnan(value):
            raise self.error(f"attribute {name} is not a number")
        return value

    def text(self, name: str, default: str) -> str:
        value = self._attribute(name, (bytes, str), default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def ints(self, name: str, default, least: int | None = None, count: int | None = None) -> tuple[int, ...]:
        """A list of integers, of the default's length, each at least ``least``."""
        value = self._attribute(name, (list, tuple), default)
        count = len(default) if default is not None else count
        if not all(isinstance(v, int) for v in value) or (count is not None and len(value) != count):
            raise self.error(f"{name} = {list(value)[:8]}; accepted: {count} integers")
        if least is not None and any(not least <= v <= MAX_ELEMENTS for v in value):
            raise self.error(f"{name} = {list(value)}; accepted: {least} to {MAX_ELEMENTS}")
        return tuple(value)

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers."""
        value = self._attribute(name, (list, tuple), None)
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in value):
            raise self.error(f"{name} = {list(value)[:8]}; accepted: finite numbers")
        return [float(v) for v in value]

    def listed(self, index: int) -> tuple[int, ...]:
        """A constant input that is a list of integers."""
        value = self.constant(index)
        if value.dtype.kind not in "iu" or value.ndim > 1 or value.size > 64:
            raise self.error(f"input {index} is {value.dtype} {value.shape}; accepted: up to 64 integers")
        return tuple(int(v) for v in value.reshape(-1))

    def axes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """Axes of a tensor of ``rank`` axes, batch included: attribute axes, or a constant input; None: absent."""
        if self.has("axes"):
            axes = self.ints("axes", None)
        elif index >= 0 and not self.is_absent(index):
            axes = self.listed(index)
        else:
            return None
        found = tuple(axis + rank if axis < 0 else axis for axis in axes)
        if len(set(found)) != len(found) or any(not 0 <= axis < rank for axis in found):
            raise self.error(f"axes {list(axes)[:8]}; accepted: different ones of {rank}")
        return found or None

    # -- weights that are quantised already ------------------------------------------------------------
    def given(self, index: int, bias: int | None = None, *, filters: int = 0) -> Given | None:
        """The integers behind constant weights (and bias) that DequantizeLinear made; None: they are real numbers.

        Args:
            index, bias: inputs.
            filters: the axis of the weights that counts filters; it becomes the first (of a matrix).
        """
        integers = self._integers(index)
        if integers is None or integers.values.ndim <= filters:  # or a shape that is refused anyway
            if index < len(self.node.input) and self.node.input[index] in self.importer.changed:
                culprit = self.importer.changed[self.node.input[index]]
                self.importer.remark(
                    f"{self.label} node {self.name!r}: {culprit} changes the file's quantised weights so that they are "
                    f"no integers any more; zeroskip quantises the result anew"
                )
            return None
        scales = integers.per_index(filters)
        if scales is None:
            self.refuse("weights with several scales for one filter; accepted: one per filter (or per tensor)")
            return None
        w = np.moveaxis(integers.values, filters, 0)
        given = self._integers(bias) if bias is not None and not self.is_absent(bias) else None
        if given is None or given.values.shape != (len(w),):
            return Given(w, scales)
        return Given(w, scales, given.values.astype(np.int64), given.per_index(0))

    def _integers(self, index: int) -> Integers | None:
        return self.importer.integers.get(self._input(index))

    # -- results -------------------------------------------------------------------------------------
    def emit(self, op: str, shape, *, inputs=(0,), output: int = 0, **fields) -> None:
        """Add the node whose result is this node's: ``shape`` without the batch, ``fields`` of :class:`Node`.

        Args:
            inputs: places among this node's inputs, or tensors from :meth:`step`.
            output: place among this node's outputs.
        """
        name = self.node.output[output]
        self._add(op, name, shape, inputs, self.name if not output else f"{self.name}/{output}", fields)
        self._define(name, name)

    def step(self, op: str, shape, inputs=(0,), **fields) -> str:
        """Add a node on the way to the result; returns its tensor."""
        tensor = self.importer.fresh(f"{self.node.output[0]}/{op}")
        return self._add(op, tensor, shape, inputs, self.name if op == "conv" else f"{self.name}/{op}", fields)

    def reshaped(self, tensor: int | str, shape) -> str:
        """A tensor, or an input, in another shape."""
        tensor = self.tensor(tensor) if isinstance(tensor, int) else tensor
        if self.importer.shapes[tensor] == tuple(shape):
            return tensor
        return self.step("reshape", shape, (tensor,), attrs={"shape": tuple(shape)})

    def transposed(self, tensor: int | str, perm) -> str:
        """A tensor, or an input, with its axes (without the batch) in another order."""
        tensor = self.tensor(tensor) if isinstance(tensor, int) else tensor
        if tuple(perm) == tuple(range(len(perm))):
            return tensor
        shape = tuple(self.importer.shapes[tensor][axis] for axis in perm)
        return self.step("transpose", shape, (tensor,), attrs={"perm": tuple(perm)})

    def constant_tensor(self, index: int, rank: int, near: int) -> str:
        """The graph's tensor of a constant input, the same for every image.

        Args:
            rank: axes it is to have, without the batch.
            near: an input that is an activation: the batch has as many images.

        Raises:
            ModelError: more axes, or images that differ.
        """
        value = self.constant(index).astype(np.float64)
        full = (1,) * (rank + 1 - value.ndim) + value.shape
        if len(full) != rank + 1 or full[0] not in (1, self.batch) or not value.size:
            raise self.error(
                f"a constant of shape {value.shape} beside an activation of {rank + 1} axes; accepted: as many axes or "
                f"fewer, the first (the batch) of size 1"
            )
        value = value.reshape(full)
        if (value != value[:1]).any():
            raise self.error(f"a constant of shape {full} that differs between images; accepted: one for all images")
        return self.step("constant", full[1:], (near,), weight=value[0])

    def check_padding(self, shape, padded) -> None:
        """Refuse, before anything is computed, a tensor that is nearly all padding.

        Raises:
            ModelError: more than :data:`MAX_PADDING` as many elements, unless they are few.
        """
        grown, limit = math.prod(padded), max(MAX_PADDING * math.prod(shape), FEW)
        if grown > min(limit, MAX_ELEMENTS):
            raise self.error(
                f"a padded map of {'x'.join(map(str, padded))}, made of {'x'.join(map(str, shape))}; accepted: up to "
                f"{MAX_PADDING} times as many elements, or {FEW}, and no more than {MAX_ELEMENTS}. Take padding away"
            )

    def finish(self, tensor: str, shape) -> None:
        """This node's result is a tensor, seen in a shape."""
        self.emit("reshape", shape, inputs=(tensor,), attrs={"shape": tuple(shape)})

    def alias(self, index: int) -> None:
        """The node's output is its input."""
        self._define(self.node.output[0], self.tensor(index))

    def _add(self, op, tensor, shape, inputs, name, fields) -> str:
        if math.prod(shape) > MAX_ELEMENTS or not all(n > 0 for n in shape):
            raise self.error(f"its output would be ({dims(shape)}); accepted: 1 to {MAX_ELEMENTS} elements")
        inputs = [self.tensor(i) if isinstance(i, int) else i for i in inputs]
        for key in ("weight", "bias"):
            if fields.get(key) is not None:
                fields[key] = self._finite(np.array(fields[key], np.float64), "a folded weight")
        self.importer.nodes.append(Node(op, name, inputs, tensor, label=self.label, **fields))
        self.importer.shapes[tensor] = tuple(int(n) for n in shape)
        if self._on_integers:
            self.importer.quants[tensor] = self.importer.quants[inputs[0]]
        return tensor

    @property
    def _on_integers(self) -> bool:
        return self.op in ON_INTEGERS and self.node.input[0] in self.importer.integer_names

    def end(self, op: str, shape, **fields) -> None:
        """Add the node whose result only an output can be."""
        self.emit(op, shape, **fields)
        self.importer.ended[self.node.output[0]] = self.op

    def _define(self, name: str, tensor: str) -> None:
        self.importer.names[name] = tensor
        if self.op in _ON_ENDS and self.node.input[0] in self.importer.ended:
            self.importer.ended[name] = self.importer.ended[self.node.input[0]]
        if self._on_integers:
            self.importer.integer_names.add(name)
