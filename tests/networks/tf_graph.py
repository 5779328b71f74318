"""Nodes and constants out of a frozen TensorFlow graph (GraphDef), without TensorFlow.

Only the fields of the protocol buffer that a graph of convolutions needs are read; field numbers are those of
TensorFlow's ``graph.proto``, ``node_def.proto``, ``attr_value.proto`` and ``tensor.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TYPES = {1: np.dtype("<f4"), 3: np.dtype("<i4")}
"""TensorFlow's DT_FLOAT and DT_INT32."""
_LISTS = {1: 5, 3: 7}
"""Type -> field of the repeated values that stand in for ``tensor_content``."""


@dataclass
class Node:
    """One operation.

    Args:
        op: TensorFlow's name of it.
        inputs: names of the nodes it reads.
        attrs: attributes that are constants, texts or lists of integers; others are left out.
    """

    op: str
    inputs: list[str]
    attrs: dict[str, np.ndarray | list[int] | str]


def load(path: str | Path) -> dict[str, Node]:
    """The nodes of a frozen graph, by name, in the file's order.

    Raises:
        ValueError: the file is not a protocol buffer, or a constant has another type than float32 or int32.
    """
    nodes = {}
    for field, value in _fields(memoryview(Path(path).read_bytes())):
        if field == 1:
            name, node = _node(value)
            nodes[name] = node
    return nodes


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("not a protocol buffer: a number has no end")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message; the value of a fixed-width field is its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind in (_BYTES, _FIXED32, _FIXED64):
            size, at = _varint(data, at) if kind == _BYTES else ({_FIXED32: 4, _FIXED64: 8}[kind], at)
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError("not a protocol buffer: a field is longer than what holds it")
        else:
            raise ValueError(f"not a protocol buffer: wire type {kind}")
        yield key >> 3, value


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _node(data: memoryview) -> tuple[str, Node]:
    name, node = "", Node("", [], {})
    for field, value in _fields(data):
        if field == 1:
            name = _text(value)
        elif field == 2:
            node.op = _text(value)
        elif field == 3:
            node.inputs.append(_text(value))
        elif field == 5:
            pair = dict(_fields(value))
            attribute = _attribute(pair[2])
            if attribute is not None:
                node.attrs[_text(pair[1])] = attribute
    return name, node


def _attribute(data: memoryview) -> np.ndarray | list[int] | str | None:
    for field, value in _fields(data):
        if field == 8:
            return _tensor(value)
        if field == 2:
            return _text(value)
        if field == 1:
            return _numbers([item for number, item in _fields(value) if number == 3])
    return None


def _numbers(values: list[int | memoryview]) -> list[int]:
    """Repeated integers, packed or not."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return [number - 2**64 if number >= 2**63 else number for number in found]


def _tensor(data: memoryview) -> np.ndarray:
    kind, shape, content, listed = 0, [], b"", []
    for field, value in _fields(data):
        if field == 1:
            kind = value
        elif field == 2:
            shape = [dict(_fields(size)).get(1, 0) for number, size in _fields(value) if number == 2]
        elif field == 4:
            content = bytes(value)
        elif field == _LISTS.get(kind):
            listed.append(value)
    if kind not in _TYPES:
        raise ValueError(f"a constant of TensorFlow's type {kind}; float32 (1) and int32 (3) are read")
    if listed:
        if kind == 1:
            content = b"".join(bytes(value) for value in listed)
        else:
            content = np.array(_numbers(listed), np.int32).tobytes()
    found = np.frombuffer(content, _TYPES[kind])
    return found.reshape(shape) if found.size == np.prod(shape) else np.full(shape, found.item())
