"""Broken ONNX files, by random damage: each is imported, or refused with a ModelError, and quickly."""

import time

import numpy as np
import pytest
from onnx import TensorProto, defs, helper, numpy_helper

from onnx_models import f32, loaded, model, node, residual_network
from quantised_models import many_operators, quantise
from zeroskip.compiler.integers import integer_node
from zeroskip.compiler.onnx_constants import foldable
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.onnx_quantised import FORMS
from zeroskip.compiler.onnx_source import OPERATORS
from zeroskip.compiler.quantise import calibrate, quantise_graph
from zeroskip.errors import ModelError
from zeroskip.runtime.nodes import ENDS, end_shape

MUTATIONS = 60
"""Of each kind, of each network."""


def nhwc_network(rng) -> bytes:
    """What exporters from TensorFlow write: transposes, shapes that are computed, means over axes, spelled-out SiLU."""
    weights = {
        "w": f32(rng, 6, 3, 3, 3), "scale": f32(rng, 6), "one": np.array([1]), "rest": np.array([-1]),
        "half": np.float32(0.5), "m": f32(rng, 6, 5), "zero": np.array([0]), "pads": np.array([0, 1, 1, 0, 0, 1, 1, 0]),
        "start": np.array([0]), "end": np.array([4]), "axis": np.array([3]), "slope": f32(rng, 6),
    }  # fmt: skip
    nodes = [
        node("Pad", ["x", "pads"], ["p"]),
        node("Transpose", ["p"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["c"], strides=[2, 2]),
        node("Transpose", ["c"], ["u"], perm=[0, 2, 3, 1]),
        node("Mul", ["u", "scale"], ["s"]),
        node("Sigmoid", ["s"], ["g"]),
        node("Mul", ["s", "g"], ["silu"]),
        node("PRelu", ["silu", "slope"], ["r"]),
        node("MatMul", ["r", "m"], ["k"]),
        node("Slice", ["k", "start", "end", "axis"], ["cut"]),
        node("Split", ["cut"], ["left", "right"], axis=3),
        node("Sub", ["left", "right"], ["d"]),
        node("Concat", ["d", "right"], ["j"], axis=-1),
        node("ReduceMean", ["j"], ["mean"], axes=[1, 2], keepdims=0),
        node("Shape", ["mean"], ["sh"]),
        node("Gather", ["sh", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["target"], axis=0),
        node("Reshape", ["mean", "target"], ["f"]),
        node("Unsqueeze", ["f", "one"], ["un"]),
        node("Squeeze", ["un", "one"], ["sq"]),
        node("Softmax", ["sq"], ["y"]),
    ]
    return model(nodes, weights, (8, 8, 3))


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(1)
    images = f32(rng, 8, 3, 12, 12)
    many = many_operators(rng)
    return {
        "residual": residual_network(rng),
        "operators": many,
        "nhwc": nhwc_network(rng),
        "QDQ": quantise(many, images, "QDQ"),
        "QOperator": quantise(many, images, "QOperator"),
    }


def outcome(broken) -> bool:
    """Whether a file is imported; then it must also run and have integers, or say why not."""
    before = time.perf_counter()
    try:
        graph = import_onnx(broken)
    except ModelError as error:
        assert len(str(error)) > 10
        return False
    finally:
        assert time.perf_counter() - before < 10, "an import that takes seconds"
    assert graph.nodes
    if max(np.prod(shape, dtype=float) for shape in graph.shapes.values()) < 1e5 and work(graph) < 1e8:
        images = f32(np.random.default_rng(0), 2, *graph.shapes[graph.input])
        try:
            with np.errstate(all="ignore"):
                quants = quantise_graph(graph, calibrate(graph, images), "uint8")
                end = next(n for n in graph.nodes if n.output == graph.output)
                shape = end_shape(end if end.op in ENDS else None, graph.shapes[graph.output])
                assert graph.run(images).shape == (2, *shape)
            for n in graph.nodes:
                if n.op != "conv":
                    integer_node(n, quants)
        except ModelError as error:
            assert len(str(error)) > 10
    return True


def work(graph) -> float:
    """Multiplications of the convolutions, padding included; a broken file may ask for any number."""
    total = 0.0
    for n in graph.nodes:
        if n.op == "conv":
            total += np.prod(n.weight.shape, dtype=float) * np.prod(graph.shapes[n.output][1:], dtype=float)
        if n.op in ("max_pool", "average_pool"):
            total += np.prod(n.attrs["kernel"], dtype=float) * np.prod(graph.shapes[n.output], dtype=float)
        if "padding" in n.attrs:
            total += sum(n.attrs["padding"]) ** 2
    return total


@pytest.mark.parametrize("name", ["residual", "operators", "nhwc", "QDQ", "QOperator"])
def test_undamaged(networks, name):
    assert outcome(networks[name])


@pytest.mark.parametrize("name", ["residual", "nhwc", "QOperator"])
def test_damaged_bytes_and_truncated_files(networks, name):
    rng, data, refused = np.random.default_rng(2), networks[name], 0
    for _ in range(MUTATIONS):
        raw = bytearray(data)
        for at in rng.integers(0, len(raw), rng.integers(1, 20)):
            raw[at] = rng.integers(256)
        refused += not outcome(bytes(raw))
        refused += not outcome(data[: rng.integers(len(data))])
    assert refused > MUTATIONS / 2


def names(proto, rng) -> str:
    """Any tensor of the network."""
    found = [name for n in proto.graph.node for name in (*n.input, *n.output)]
    return found[rng.integers(len(found))]


def any_of(rng, items):
    return items[rng.integers(len(items))]


def edge(rng, proto):
    """An input that is another tensor: cycles, wrong ranks, constants for activations and the reverse."""
    victim = any_of(rng, [n for n in proto.graph.node if n.input])
    victim.input[rng.integers(len(victim.input))] = any_of(rng, [names(proto, rng), names(proto, rng), "nowhere", ""])


def output(rng, proto):
    victim = any_of(rng, proto.graph.node)
    victim.output[rng.integers(len(victim.output))] = any_of(rng, [names(proto, rng), "", "other"])


def missing_initializer(rng, proto):
    del proto.graph.initializer[rng.integers(len(proto.graph.initializer))]


def dims(rng, proto):
    """Sizes that do not fit the bytes, are negative, or enormous."""
    tensor = any_of(rng, [t for t in proto.graph.initializer if t.dims])
    tensor.dims[rng.integers(len(tensor.dims))] = int(any_of(rng, [-1, 0, 1, 3, 2**31, 2**62]))


def shape(rng, proto):
    """A tensor of another rank or size, with bytes that fit."""
    tensor = any_of(rng, proto.graph.initializer)
    value = numpy_helper.to_array(tensor)
    value = any_of(rng, [value.reshape(-1), value[None], value.reshape(-1)[:1], value.reshape(-1)[:0], value.T])
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))


def values(rng, proto):
    """Numbers no layer was trained with."""
    tensor = any_of(rng, proto.graph.initializer)
    value = numpy_helper.to_array(tensor).copy()
    extreme = [0, -1, 2**31, 1e38, 1e-45, np.nan, np.inf] if value.dtype.kind == "f" else [0, -1, 1, 7, 2**30, -(2**31)]
    with np.errstate(all="ignore"):
        flat = value.reshape(-1)
        flat[rng.integers(flat.size) if flat.size and rng.integers(2) else slice(None)] = np.array(
            any_of(rng, extreme)
        ).astype(value.dtype)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def data_type(rng, proto):
    any_of(rng, proto.graph.initializer).data_type = int(rng.integers(24))


def attribute(rng, proto):
    """Another number, enormous numbers, another length, another kind."""
    victim = any_of(rng, [n for n in proto.graph.node if n.attribute] or [proto.graph.node[0]])
    extreme = [-(2**62), -7, -1, 0, 1, 2, 5, 100, 2**20, 2**31, 2**62]
    if not victim.attribute:
        victim.attribute.append(helper.make_attribute("axis", int(any_of(rng, extreme))))
        return
    found = any_of(rng, victim.attribute)
    kind = rng.integers(5)
    if found.ints and kind < 3:
        found.ints[rng.integers(len(found.ints))] = any_of(rng, extreme)
    elif found.ints and kind == 3:
        found.ints.append(1)
    elif kind == 4:
        found.type = int(rng.integers(15))
    else:
        found.i, found.f, found.s = any_of(rng, extreme), float(any_of(rng, [np.nan, np.inf, -1.0, 1e30])), b"what"


def new_attribute(rng, proto):
    wishes = "axis axes pads kernel_shape strides dilations group auto_pad perm alpha ceil_mode keepdims transA mode"
    name = any_of(rng, [*wishes.split(), "blocksize", "block_size", "channels_last", "value", "perm", "scales"])
    lists = [[1], [2, 2], [0, 0, 9, 9], [-1, -1], [3, 2, 1, 0], [10**9] * 2]
    value = any_of(rng, [-1, 0, 1, 3, 2.5, "SAME_UPPER", *lists])
    victim = any_of(rng, proto.graph.node)
    kept = [a for a in victim.attribute if a.name != name]
    del victim.attribute[:]
    victim.attribute.extend([*kept, helper.make_attribute(name, value)])


def operator(rng, proto):
    """Another operator on the same inputs."""
    victim = any_of(rng, proto.graph.node)
    victim.op_type = any_of(
        rng, sorted({*OPERATORS, *FORMS, *filter(foldable, (s.name for s in defs.get_all_schemas()))})
    )
    victim.domain = any_of(rng, [victim.domain, "", "com.microsoft", "nobody"])


def inputs(rng, proto):
    victim = any_of(rng, [n for n in proto.graph.node if n.input])
    if rng.integers(2):
        del victim.input[-1]
    else:
        victim.input.extend([names(proto, rng)] * int(rng.integers(1, 4)))


def node_list(rng, proto):
    """Nodes twice, missing, or without outputs."""
    at, kind = rng.integers(len(proto.graph.node)), rng.integers(3)
    if kind == 0:
        proto.graph.node.append(proto.graph.node[at])
    elif kind == 1:
        del proto.graph.node[at]
    else:
        del proto.graph.node[at].output[:]


def input_shape(rng, proto):
    tensor = proto.graph.input[0].type.tensor_type
    if rng.integers(3) and tensor.shape.dim:
        any_of(rng, tensor.shape.dim).dim_value = any_of(rng, [-1, 0, 1, 2, 5, 2**14, 2**31, 2**62])
    else:
        kind, sizes = any_of(rng, [TensorProto.FLOAT, TensorProto.UINT8]), [1, 3, *[4] * int(rng.integers(5))]
        proto.graph.input[0].CopyFrom(helper.make_tensor_value_info(proto.graph.input[0].name, kind, sizes))


def opset(rng, proto):
    proto.opset_import[0].version = int(any_of(rng, [0, 1, 6, 9, 10, 11, 13, 18, 21, 2**40]))


def growing_constants(rng, proto):
    """Constants that double at every step: 2**60 elements if one were to compute them."""
    tensor, victim = any_of(rng, proto.graph.initializer).name, any_of(rng, [n for n in proto.graph.node if n.input])
    op = any_of(rng, ["Concat", "Expand", "Gather", "Mul"])
    for i in range(60):
        extra = {"axis": 0} if op == "Concat" else {}
        proto.graph.node.append(helper.make_node(op, [tensor, tensor], [f"grown{i}"], **extra))
        tensor = f"grown{i}"
    victim.input[-1] = tensor


@pytest.mark.parametrize(
    "change",
    [edge, output, missing_initializer, dims, shape, values, data_type, attribute, new_attribute, operator, inputs]
    + [node_list, input_shape, opset, growing_constants],
)
@pytest.mark.parametrize("name", ["residual", "operators", "nhwc", "QDQ", "QOperator"])
def test_broken_graphs(networks, name, change):
    rng = np.random.default_rng(sum(map(ord, name + change.__name__)))
    count = MUTATIONS if change is not growing_constants else 6
    for _ in range(count):
        proto = loaded(networks[name])
        for _ in range(int(rng.integers(1, 3))):
            change(rng, proto)
        outcome(proto)
