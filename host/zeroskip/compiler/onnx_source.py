"""One ONNX node as an importer function sees it: every access is checked and every error names the node."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from .graph import Node
from .onnx_constants import MAX_ELEMENTS

if TYPE_CHECKING:
    from .onnx_import import Importer


@dataclass
class Source:
    """An ONNX node with its inputs, attributes and results."""

    importer: Importer
    node: object
    name: str
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

    @property
    def is_output(self) -> bool:
        return self.node.output[0] == self.importer.output

    def error(self, message: str) -> ModelError:
        return ModelError(f"{self.op} node {self.name!r}: {message}")

    # -- inputs --------------------------------------------------------------------------------------
    def is_absent(self, index: int) -> bool:
        return index >= len(self.node.input) or not self.node.input[index]

    def is_constant(self, index: int) -> bool:
        return not self.is_absent(index) and self.node.input[index] in self.importer.constants

    def _input(self, index: int) -> str:
        if self.is_absent(index):
            raise self.error(f"input {index} is missing")
        return self.node.input[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of an activation, without the batch; at least one axis."""
        name = self._input(index)
        if name in self.importer.constants:
            raise self.error(f"input {index} ({name!r}) is a constant; accepted: an activation")
        if name not in self.importer.names:
            raise self.error(
                f"input {index} ({name!r}) is a second output of its node; supported: the first output only"
            )
        shape = self.importer.shapes[self.importer.names[name]]
        if not shape:
            raise self.error("input (N,); accepted: at least one axis besides the batch")
        return shape

    def constant(self, index: int) -> np.ndarray:
        """A constant input: finite, as float64 (integers stay)."""
        name = self._input(index)
        if name not in self.importer.constants:
            raise self.error(f"input {index} ({name!r}) is an activation; accepted: a constant")
        return self._finite(self.importer.constants[name], repr(name))

    def _finite(self, value: np.ndarray, what: str) -> np.ndarray:
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

    # -- results -------------------------------------------------------------------------------------
    def emit(self, op: str, shape, *, inputs=(0,), attrs=None, weight=None, bias=None) -> None:
        """Add the node this one becomes; ``shape`` is its output's, without the batch."""
        if math.prod(shape) > MAX_ELEMENTS or not all(n > 0 for n in shape):
            raise self.error(
                f"its output would be (N, {', '.join(map(str, shape))}); accepted: 1 to {MAX_ELEMENTS} elements"
            )
        names = [self.importer.names[self._input(i)] for i in inputs]
        weight, bias = (
            None if v is None else self._finite(np.array(v, np.float64), "a folded weight") for v in (weight, bias)
        )
        output = self.node.output[0]
        self.importer.nodes.append(Node(op, self.name, names, output, attrs or {}, weight, bias, self.op))
        self.importer.define(output, output, tuple(int(n) for n in shape))

    def alias(self, index: int) -> None:
        """The node's output is its input."""
        self.shape(index)
        self.importer.names[self.node.output[0]] = self.importer.names[self.node.input[index]]
