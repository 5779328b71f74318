"""The importer: the forms an operator comes in, constants, orders and sizes; the float graph equals onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnx_models import f32, loaded, model, node, residual_network, run_onnx
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.errors import ModelError

X = (4, 9, 8)


def agrees(nodes, weights, shape=X, opset=17, batch="N"):
    """Import, run, compare with onnxruntime; returns the graph."""
    data = model(nodes, weights, shape, opset=opset, batch=batch)
    x = f32(np.random.default_rng(9), 3 if batch == "N" else batch, *shape)
    graph = import_onnx(data)
    got, want = graph.run(x), run_onnx(data, x)
    assert got.shape == want.shape == (len(x), *graph.shapes[graph.output])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    return graph


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_clip_forms(rng):
    weights = {"w": f32(rng, 4, 4, 1, 1), "high": np.float32(0.7)}
    agrees([node("Conv", ["x", "w"], ["c"]), node("Clip", ["c", "", "high"], ["y"])], weights)
    agrees([node("Clip", ["x"], ["y"])], {})
    agrees([node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], {}, opset=6)
    agrees([node("Clip", ["x", "high"], ["c"]), node("Relu", ["c"], ["y"])], weights)


def test_gemm_forms(rng):
    weights = {
        "w": f32(rng, 5, 7),
        "b": f32(rng, 7),
        "one": f32(rng, 1, 1),
        "square": f32(rng, 7, 7),
        "c": f32(rng, 1, 7),
    }
    agrees([node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0)], weights, (5,))
    agrees([node("Gemm", ["x", "w", "one"], ["g"]), node("Relu", ["g"], ["y"])], weights, (5,))
    agrees([node("Gemm", ["x", "w"], ["g"]), node("MatMul", ["g", "square"], ["y"])], weights, (5,))
    graph = agrees([node("MatMul", ["x", "w"], ["g"]), node("Add", ["c", "g"], ["y"])], weights, (5,))
    assert len(graph.nodes) == 1


@pytest.mark.parametrize("target", [[0, -1], [-1, 4 * 72], [1, -1], [0, 4, -1]])
def test_reshape(target):
    agrees([node("Reshape", ["x", "s"], ["y"])], {"s": np.array(target)}, batch=1)


def test_flatten_spelled_out_with_shape_of_an_activation(rng):
    """What PyTorch makes of x.view(x.size(0), -1)."""
    weights = {"zero": np.array(0), "rest": np.array([-1]), "axes": np.array([0]), "w": f32(rng, 288, 3)}
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["u"]),
        node("Concat", ["u", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    agrees(nodes, weights)
    agrees(nodes, weights, batch=2)


def test_constants_are_computed(rng):
    """Weights that a Reshape and a Transpose of initialisers give, and Constant nodes."""
    constant = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25])
    nodes = [
        node("Constant", [], ["quarter"], value=constant),
        node("Reshape", ["flat", "shape"], ["w0"]),
        node("Transpose", ["w0"], ["w1"], perm=[1, 0, 2, 3]),
        node("Mul", ["w1", "quarter"], ["w"]),
        node("Conv", ["x", "w"], ["c"]),
        node("Identity", ["c"], ["i"]),
        node("Dropout", ["i"], ["d"]),
        node("Relu", ["d"], ["y"]),
    ]
    graph = agrees(nodes, {"flat": f32(rng, 4 * 6 * 9), "shape": np.array([4, 6, 3, 3])})
    assert len(graph.nodes) == 1


@pytest.mark.parametrize(("op", "left"), [("Relu", 5000), ("Identity", 1), ("Add", 1), ("Mul", 1)])
def test_long_chains(op, left):
    """No recursion, nothing that takes time quadratic in the number of nodes."""
    inputs = lambda i: [f"t{i}" if i else "x", "c"][: 2 if op in ("Add", "Mul") else 1]  # noqa: E731
    nodes = [node(op, inputs(i), [f"t{i + 1}"]) for i in range(5000)] + [node("Relu", ["t5000"], ["y"])]
    graph = import_onnx(model(nodes, {"c": np.float32(1)}, X))
    assert len(graph.nodes) in (left, left + 1)
    graph.run(np.zeros((1, *X), np.float32))


def test_nodes_in_any_order_and_unused_ones_ignored(rng):
    nodes = [
        node("Tan", ["r"], ["nobody"]),
        node("Relu", ["c"], ["y"]),
        node("Conv", ["x", "w"], ["c"]),
    ]
    data = model(nodes, {"w": f32(rng, 4, 4, 1, 1)}, X)
    assert [n.op for n in import_onnx(data).nodes] == ["conv"]


def test_open_sizes_come_from_the_images(rng):
    data = model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 4, 4, 3, 3)}, (4, "h", "w_"))
    assert import_onnx(data, (4, 9, 8)).shapes["y"] == (4, 7, 6)
    with pytest.raises(ModelError, match="calibration images"):
        import_onnx(data)
    with pytest.raises(ModelError, match=r"the images are \(N, 3, 9, 8\)"):
        import_onnx(data, (3, 9, 8))


def test_path_and_proto(tmp_path, rng):
    data = residual_network(rng)
    (tmp_path / "m.onnx").write_bytes(data)
    assert len(import_onnx(tmp_path / "m.onnx").nodes) == len(import_onnx(loaded(data)).nodes) == 10
