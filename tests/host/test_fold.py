"""Folding keeps what a network computes and leaves no more nodes than it takes."""

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, model, node, residual_network, run_onnx
from zeroskip.compiler.onnx_import import import_onnx


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def agrees(nodes, weights, shape, **options):
    """Float graph against onnxruntime, integers against the float graph, engine against the reference: the graph."""
    data = model(nodes, weights, shape, **options)
    x = f32(np.random.default_rng(12), 3, *shape)
    graph, want = import_onnx(data), run_onnx(data, x)
    np.testing.assert_allclose(graph.run(x), want, rtol=1e-4, atol=1e-5)
    compiled = zeroskip.compile(data, "tiny", x, scale_rule="max_abs", per="channel")
    outputs = compiled.reference(x)
    assert np.square(outputs - want).sum() < 1e-3 * np.square(want).sum()
    assert (compiled.run(GoldenDevice("tiny"), x).outputs == outputs).all()
    return graph


def ops(graph):
    return [n.op for n in graph.nodes]


def test_residual_network_folds_to_engine_operators(rng):
    data = residual_network(rng)
    graph = import_onnx(data)
    x = f32(rng, 3, 3, 12, 12)
    np.testing.assert_allclose(graph.run(x), run_onnx(data, x), rtol=1e-4, atol=1e-5)
    assert ops(graph) == [
        "conv", "max_pool", "conv", "conv", "add", "conv", "average_pool", "reshape", "conv", "conv",
    ]  # fmt: skip
    convolutions = [n.name for n in graph.nodes if n.op == "conv"]
    assert convolutions == ["stem", "grouped", "point", "strided", "hidden", "logits"]
    assert [n.attrs.get("clip") for n in graph.nodes if n.op == "add"] == [(0.0, 6.0)]


# -- NHWC-style graphs -------------------------------------------------------------------------------
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def nhwc_conv(x, w, y, **attributes):
    """A convolution as exporters from TensorFlow write it."""
    return [
        node("Transpose", [x], [f"{y}/in"], perm=TO_NCHW),
        node("Conv", [f"{y}/in", w], [f"{y}/out"], name=y, **attributes),
        node("Transpose", [f"{y}/out"], [y], perm=TO_NHWC),
    ]


def test_transposes_around_convolutions_vanish(rng):
    """A whole NHWC residual network keeps two transposes: at its input and at its output."""
    weights = {
        "w1": f32(rng, 8, 3, 3, 3, scale=0.4), "w2": f32(rng, 8, 8, 3, 3, scale=0.2), "b": f32(rng, 8),
        "scale": f32(rng, 1, 1, 1, 8), "six": np.float32(6), "zero": np.float32(0),
    }  # fmt: skip
    nodes = [
        *nhwc_conv("x", "w1", "c1", pads=[1, 1, 1, 1]),
        node("Mul", ["c1", "scale"], ["m1"]),
        node("Add", ["m1", "b"], ["a1"]),
        node("Relu", ["a1"], ["r1"]),
        *nhwc_conv("r1", "w2", "c2", pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c2"], ["s2"]),
        node("Mul", ["c2", "s2"], ["silu"]),
        node("Add", ["silu", "r1"], ["sum"]),
        node("Clip", ["sum", "zero", "six"], ["clipped"]),
        node("Concat", ["clipped", "c2"], ["y"], axis=3),
    ]
    graph = agrees(nodes, weights, (6, 7, 3))
    assert ops(graph) == ["transpose", "conv", "conv", "table", "add", "concat", "transpose"]


def test_transposes_that_do_not_cancel_stay(rng):
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("Relu", ["t"], ["r"]),
        node("Transpose", ["r"], ["u"], perm=[0, 2, 3, 1]),
        node("MaxPool", ["u"], ["y"], kernel_shape=[2, 2]),
    ]
    graph = agrees(nodes, {}, (3, 4, 5))
    assert ops(graph) == ["clip", "transpose", "max_pool"] and graph.nodes[1].attrs["perm"] == (2, 0, 1)


def test_a_transposed_tensor_that_several_read(rng):
    """One reader takes it as it is, one works element by element, one turns it back."""
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Transpose", ["c"], ["t"], perm=TO_NHWC),
        node("MaxPool", ["t"], ["p"], kernel_shape=[1, 1]),
        node("Relu", ["t"], ["r"]),
        node("Add", ["p", "r"], ["a"]),
        node("Transpose", ["t"], ["back"], perm=TO_NCHW),
        node("Transpose", ["a"], ["turned"], perm=TO_NCHW),
        node("Sub", ["turned", "back"], ["y"]),
    ]
    agrees(nodes, {"w": f32(rng, 4, 3, 1, 1)}, (3, 4, 5))


def test_transpose_to_the_output(rng):
    assert ops(agrees([node("Transpose", ["x"], ["y"], perm=TO_NHWC)], {}, (3, 4, 5))) == ["transpose"]
    twice = [node("Transpose", ["x"], ["t"], perm=TO_NHWC), node("Transpose", ["t"], ["y"], perm=TO_NCHW)]
    assert ops(agrees(twice, {}, (3, 4, 5))) == ["reshape"]


@pytest.mark.parametrize("nhwc", [False, True])
def test_padding_moves_into_convolutions(rng, nhwc):
    shape, pads = ((5, 6, 3), [0, 1, 2, 0, 0, 3, 1, 0]) if nhwc else ((3, 5, 6), [0, 0, 1, 2, 0, 0, 3, 1])
    turn = [node("Transpose", ["p"], ["t"], perm=TO_NCHW)] if nhwc else [node("Identity", ["p"], ["t"])]
    nodes = [
        node("Pad", ["x", "pads"], ["p"]),
        *turn,
        node("Conv", ["t", "w"], ["c"], pads=[1, 0, 0, 1]),
        node("Conv", ["t", "w"], ["d"], pads=[1, 0, 0, 1]),
        node("Add", ["c", "d"], ["y"]),
    ]
    graph = agrees(nodes, {"pads": np.array(pads), "w": f32(rng, 4, 3, 3, 3)}, shape)
    assert ops(graph) == ["transpose"] * nhwc + ["conv", "conv", "add"]
    assert graph.nodes[-2].attrs["padding"] == (2, 2, 3, 2)


def test_padding_of_channels_stays(rng):
    nodes = [node("Pad", ["x", "pads"], ["p"]), node("Conv", ["p", "w"], ["y"])]
    graph = agrees(nodes, {"pads": np.array([0, 1, 1, 1, 0, 0, 1, 1]), "w": f32(rng, 4, 4, 2, 2)}, (3, 5, 6))
    assert ops(graph) == ["pad", "conv"]


# -- functions ---------------------------------------------------------------------------------------
def test_spelled_out_activations_are_one_table(rng):
    """Hard swish as x * relu6(x + 3) / 6, SiLU as x * sigmoid(x), mish as x * tanh(softplus(x))."""
    weights = {"w": f32(rng, 4, 3, 1, 1), "3": np.float32(3), "0": np.float32(0), "6": np.float32(6)}
    conv = node("Conv", ["x", "w"], ["c"])
    hard = [node("Add", ["c", "3"], ["a"]), node("Clip", ["a", "0", "6"], ["k"]), node("Mul", ["c", "k"], ["m"])]
    assert ops(agrees([conv, *hard, node("Div", ["m", "6"], ["y"])], weights, (3, 4, 5))) == ["conv", "table"]
    silu = [node("Sigmoid", ["c"], ["s"]), node("Mul", ["s", "c"], ["y"])]
    assert ops(agrees([conv, *silu], weights, (3, 4, 5))) == ["conv", "table"]
    mish = [node("Softplus", ["c"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["c", "t"], ["y"])]
    assert ops(agrees([conv, *mish], weights, (3, 4, 5))) == ["conv", "table"]


def test_functions_of_functions_are_one_table(rng):
    weights = {"half": np.float32(0.5), "w": f32(rng, 4, 3, 1, 1)}
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Tanh", ["c"], ["t"]),
        node("Mul", ["t", "half"], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("Sigmoid", ["r"], ["s"]),
        node("Mul", ["r", "s"], ["y"]),
    ]
    assert ops(agrees(nodes, weights, (3, 4, 5))) == ["conv", "table", "table"]


def test_a_function_that_something_else_reads_is_kept(rng):
    nodes = [
        node("Sigmoid", ["x"], ["s"]),
        node("Mul", ["x", "s"], ["m"]),
        node("Concat", ["m", "s"], ["y"], axis=1),
    ]
    assert ops(agrees(nodes, {}, (3, 4, 5))) == ["table", "mul", "concat"]


def test_clip_moves_through_pool_and_flatten(rng):
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Relu", ["f"], ["y"]),
    ]
    graph = agrees(nodes, {"w": f32(rng, 4, 4, 3, 3)}, (4, 9, 8))
    assert ops(graph) == ["conv", "max_pool", "reshape"]


# -- batch normalisation ----------------------------------------------------------------------------
def norm(rng, channels=4):
    return {
        "gamma": f32(rng, channels), "beta": f32(rng, channels), "mean": f32(rng, channels),
        "var": rng.uniform(0.2, 2, channels).astype(np.float32),
    }  # fmt: skip


NORM = ["gamma", "beta", "mean", "var"]


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_before_conv(rng, pads, groups):
    """Foldable forward only without padding; with padding it becomes a convolution of its own."""
    weights = norm(rng) | {"w": f32(rng, 6, 4 // groups, 3, 3)}
    nodes = [
        node("BatchNormalization", ["x", *NORM], ["n"]),
        node("Conv", ["n", "w"], ["y"], pads=pads, group=groups),
    ]
    graph = agrees(nodes, weights, (4, 9, 8))
    assert len(graph.nodes) == (2 if any(pads) else 1)


def test_batch_norm_that_two_read_is_kept(rng):
    weights = norm(rng) | {"w": f32(rng, 4, 4, 1, 1)}
    nodes = [
        node("BatchNormalization", ["x", *NORM], ["n"]),
        node("Conv", ["n", "w"], ["c"]),
        node("Add", ["n", "c"], ["y"]),
    ]
    assert len(agrees(nodes, weights, (4, 9, 8)).nodes) == 3


def test_conv_that_two_read_is_not_folded_into(rng):
    weights = norm(rng) | {"w": f32(rng, 4, 4, 1, 1)}
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("BatchNormalization", ["c", *NORM], ["n"]),
        node("Relu", ["c"], ["r"]),
        node("Add", ["n", "r"], ["y"]),
    ]
    assert ops(agrees(nodes, weights, (4, 9, 8))) == ["conv", "conv", "clip", "add"]


def test_spelled_out_batch_norm_folds(rng):
    weights = {
        "w": f32(rng, 4, 4, 3, 3),
        "mean": f32(rng, 1, 4, 1, 1),
        "gamma": f32(rng, 4, 1, 1),
        "one": np.float32(1.5),
        "beta": f32(rng, 4, 1, 1),
        "half": np.full((1,), 0.5, np.float32),
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Sub", ["c", "mean"], ["s"]),
        node("Mul", ["gamma", "s"], ["m"]),
        node("Div", ["m", "one"], ["d"]),
        node("Add", ["d", "beta"], ["a"]),
        node("Sub", ["half", "a"], ["y"]),
    ]
    assert len(agrees(nodes, weights, (4, 9, 8)).nodes) == 1


def test_batch_norm_after_gemm(rng):
    weights = norm(rng, 7) | {"w": f32(rng, 5, 7)}
    nodes = [node("Gemm", ["x", "w"], ["g"]), node("BatchNormalization", ["g", *NORM], ["y"])]
    assert len(agrees(nodes, weights, (5,)).nodes) == 1


# -- affine nodes ------------------------------------------------------------------------------------
def test_bias_after_a_product_of_matrices(rng):
    """(N, L, C) times (C, K), plus (K,): one convolution; the transposes meet between two of them."""
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Add", ["m", "b"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("MatMul", ["r", "v"], ["y"]),
    ]
    graph = agrees(nodes, {"w": f32(rng, 5, 6), "b": f32(rng, 6), "v": f32(rng, 6, 4)}, (7, 5))
    assert ops(graph) == ["transpose", "reshape", "conv", "conv", "reshape", "transpose"]


def test_scaling_before_a_padded_convolution_folds_without_offset(rng):
    for op, count in (("Mul", 1), ("Add", 2)):
        nodes = [node(op, ["x", "s"], ["m"]), node("Conv", ["m", "w"], ["y"], pads=[1, 1, 1, 1])]
        assert len(agrees(nodes, {"s": f32(rng, 3, 1, 1), "w": f32(rng, 4, 3, 3, 3)}, (3, 4, 5)).nodes) == count


def test_one_dimensional_convolutions_in_a_row(rng):
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        node("BatchNormalization", ["c", *"bbbv"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "w2"], ["y"], strides=[2]),
    ]
    weights = {"w": f32(rng, 4, 3, 3), "b": f32(rng, 4), "v": np.ones(4, np.float32), "w2": f32(rng, 5, 4, 2)}
    assert ops(agrees(nodes, weights, (3, 12))) == ["reshape", "conv", "conv", "reshape"]


# -- outputs -----------------------------------------------------------------------------------------
def test_any_tensor_can_be_the_output(rng):
    data = model([node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])], {"w": f32(rng, 4, 3, 1, 1)}, (3, 4, 5))
    x = f32(rng, 2, 3, 4, 5)
    compiled = zeroskip.compile(data, "tiny", x, output="c", scale_rule="max_abs")
    assert compiled.reference(x).min() < -0.1 and zeroskip.compile(data, "tiny", x).reference(x).min() == 0
    with pytest.raises(zeroskip.errors.ModelError, match="no tensor 'z' in the network; its outputs: y"):
        zeroskip.compile(data, "tiny", x, output="z")


# -- 16 bits -----------------------------------------------------------------------------------------
def test_16_bit_activations(rng):
    """Every host operator on int16: tables of 65,535 entries, products of 16-bit numbers."""
    weights = {
        "w": f32(rng, 4, 3, 1, 1), "slope": f32(rng, 4, 1, 1), "scales": np.array([1, 1, 1.5, 2], np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]), "v": f32(rng, 5, 8, 1, 1),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Sigmoid", ["c"], ["s"]),
        node("PRelu", ["c", "slope"], ["p"]),
        node("Mul", ["s", "p"], ["m"]),
        node("Sub", ["m", "c"], ["d"]),
        node("Concat", ["m", "d"], ["j"], axis=1),
        node("Resize", ["j", "", "scales"], ["r"], mode="linear"),
        node("Pad", ["r", "pads"], ["q"]),
        node("Softmax", ["q"], ["e"], axis=1),
        node("AveragePool", ["e"], ["a"], kernel_shape=[2, 2]),
        node("Conv", ["a", "v"], ["y"]),
    ]
    data, x = model(nodes, weights, (3, 4, 5)), f32(rng, 3, 3, 4, 5)
    compiled = zeroskip.compile(data, "kang", x, scale_rule="max_abs", per="channel", activations="int16")
    assert {t.quant.dtype for t in compiled.tensors.values()} == {"int16"}
    assert {"table", "mul", "add", "concat", "resize", "pad", "integer_softmax"} <= {n.op for n in compiled.nodes}
    outputs, want = compiled.reference(x), run_onnx(data, x)
    assert np.square(outputs - want).sum() < 1e-4 * np.square(want).sum()
    assert (compiled.run(GoldenDevice("kang"), x).outputs == outputs).all()
