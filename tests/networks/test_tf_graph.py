"""The reader of TensorFlow's frozen graphs, on graphs encoded here."""

import struct

import numpy as np
import pytest

import tf_graph


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(kind: int, shape: tuple[int, ...], *rest: bytes) -> bytes:
    sizes = b"".join(field(2, field(1, size)) for size in shape)
    return field(8, field(1, kind) + field(2, sizes) + b"".join(rest))


def node(name: str, op: str, *inputs: str, **attrs: bytes) -> bytes:
    data = field(1, name.encode()) + field(2, op.encode()) + b"".join(field(3, text.encode()) for text in inputs)
    return field(1, data + b"".join(field(5, field(1, key.encode()) + field(2, attrs[key])) for key in attrs))


def load(tmp_path, data: bytes):
    path = tmp_path / "graph.pb"
    path.write_bytes(data)
    return tf_graph.load(path)


def test_nodes_and_attributes(tmp_path):
    strides = field(1, field(3, varint(1) + varint(200)))
    loose = field(1, field(3, 7) + field(3, -1))
    graph = node("x", "Placeholder") + node(
        "y", "Conv2D", "x", "w", strides=strides, loose=loose, padding=field(2, b"SAME"), T=field(6, 1)
    )
    nodes = load(tmp_path, graph)
    assert list(nodes) == ["x", "y"]
    assert nodes["y"] == tf_graph.Node("Conv2D", ["x", "w"], {"strides": [1, 200], "loose": [7, -1], "padding": "SAME"})


@pytest.mark.parametrize(
    "value, expected",
    [
        (tensor(1, (2, 3), field(4, np.arange(6, dtype="<f4").tobytes())), np.arange(6.0).reshape(2, 3)),
        (tensor(1, (), varint(5 << 3 | 5) + struct.pack("<f", 0.5)), np.float32(0.5)),
        (tensor(1, (2, 2), field(5, struct.pack("<f", 3))), np.full((2, 2), 3.0)),
        (tensor(3, (3,), field(7, varint(1) + varint(300) + varint(2**64 - 1))), np.array([1, 300, -1])),
        (tensor(3, (2,), field(4, np.array([-5, 9], "<i4").tobytes())), np.array([-5, 9])),
    ],
)
def test_constants(tmp_path, value, expected):
    found = load(tmp_path, node("c", "Const", value=value))["c"].attrs["value"]
    np.testing.assert_array_equal(found, expected)
    assert found.shape == expected.shape


@pytest.mark.parametrize(
    "data, words",
    [
        (node("c", "Const", value=tensor(7, (1,), field(8, b"text"))), "type 7"),
        (node("x", "Placeholder")[:-3], "longer than what holds it"),
        (b"\xff" * 12, "no end"),
        (b"\x0b\x00", "wire type 3"),
    ],
)
def test_what_is_no_graph_of_convolutions_is_refused(tmp_path, data, words):
    with pytest.raises(ValueError, match=words):
        load(tmp_path, data)
