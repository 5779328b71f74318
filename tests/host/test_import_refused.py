"""What the importer refuses: broken files and what is not supported, each in one clear error."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_models import f32, loaded, model, node, residual_network
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.errors import ModelError

X = (4, 9, 8)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def refuses(match, nodes, weights=(), shape=X, **options):
    with pytest.raises(ModelError, match=match):
        import_onnx(model(nodes, dict(weights), shape, **options))


def test_all_unsupported_nodes_in_one_error(rng):
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Det", ["c"], ["t"], name="squash"),
        node("ConvInteger", ["t", "w"], ["u"], name="up"),
        node("Mine", ["u"], ["y"], domain="my.domain", name="own"),
    ]
    with pytest.raises(ModelError) as error:
        import_onnx(model(nodes, {"w": f32(rng, 4, 4, 1, 1)}, X))
    message = str(error.value)
    for part in (
        "3 nodes cannot be imported",
        "Det node 'squash': unsupported operator",
        "ConvInteger node 'up': unsupported operator: quantise statically",
        "my.domain.Mine node 'own': unsupported operator",
        "Supported",
        "AveragePool",
    ):
        assert part in message


def test_unsupported_attributes_and_operators_in_one_error(rng):
    """Everything that is wrong by itself is listed; what only follows from it is not."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="first", auto_pad="MAYBE"),
        node("Relu", ["c"], ["r"], name="follows"),
        node("MaxPool", ["x"], ["p"], name="pool", kernel_shape=[2, 2], storage_order=1),
        node("Det", ["p"], ["e"], name="det"),
        node("Flatten", ["x"], ["f"], name="flat", axis=3),
        node("Concat", ["r", "e", "f"], ["y"], name="joined", axis=1),
    ]
    with pytest.raises(ModelError) as error:
        import_onnx(model(nodes, {"w": f32(rng, 4, 4, 1, 1)}, X))
    message = str(error.value)
    for part in ("4 nodes", "'first': auto_pad = 'MAYBE'", "'pool': storage_order", "'det'", "'flat': axis = 3"):
        assert part in message
    assert "follows" not in message and "joined" not in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["w", "b"])
def test_weights_that_are_not_finite(rng, bad, where):
    weights = {"w": f32(rng, 4, 4, 1, 1), "b": f32(rng, 4)}
    weights[where].flat[2] = bad
    refuses(
        f"'c1'.*'{where}' has 1 values that are not finite", [node("Conv", ["x", "w", "b"], ["y"], name="c1")], weights
    )


W = {"w": np.ones((4, 4, 3, 3), np.float32), "b": np.ones(4, np.float32), "m": np.ones((5, 3), np.float32)}


@pytest.mark.parametrize(
    "case",
    [
        (r"\(N, C, L\)", [node("Conv", ["x", "v"], ["y"])], {"v": np.ones((4, 4, 3, 3, 3), np.float32)}, (4, 9, 9, 9)),
        (r"\(N, C, L\) with", [node("Conv", ["x", "w"], ["y"])], W, (4, 9)),
        ("nothing provides its input 'w'", [node("Conv", ["x", "w"], ["y"])], {}, X),
        ("nothing provides its input 'gone'", [node("Relu", ["gone"], ["y"])], {}, X),
        ("cycle", [node("Add", ["x", "b"], ["a"]), node("Add", ["a", "y"], ["b"]), node("Relu", ["b"], ["y"])], {}, X),
        ("cycle", [node("Relu", ["y"], ["y"])], {}, X),
        ("produced twice", [node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"])], {}, X),
        ("no node produces", [node("Relu", ["x"], ["z"])], {}, X),
        ("does not depend on the input", [node("Identity", ["w"], ["y"])], W, X),
        ("is an activation; accepted: a constant", [node("Conv", ["x", "x"], ["y"])], {}, X),
        ("is a constant, and another one an activation", [node("Conv", ["w", "x"], ["y"])], W, X),
        ("4 input channels|do not fit 3", [node("Conv", ["x", "w"], ["y"])], W, (3, 9, 8)),
        ("do not fit", [node("Conv", ["x", "w"], ["y"], group=3)], W, X),
        ("do not fit", [node("Conv", ["x", "w"], ["y"], group=0)], W, X),
        ("larger than its padded map", [node("Conv", ["x", "w"], ["y"], dilations=[9, 9])], W, X),
        ("strides = ", [node("Conv", ["x", "w"], ["y"], strides=[0, 1])], W, X),
        ("strides = ", [node("Conv", ["x", "w"], ["y"], strides=[1, 1, 1])], W, X),
        ("pads = ", [node("Conv", ["x", "w"], ["y"], pads=[-1, 0, 0, 0])], W, X),
        ("padded map", [node("Conv", ["x", "w"], ["y"], pads=[10**5, 10**5, 0, 0])], W, X),
        ("padded map", [node("Conv", ["x", "w"], ["y"], pads=[2**27, 2**27, 0, 0], strides=[2**26] * 2)], W, X),
        ("kernel_shape", [node("Conv", ["x", "w"], ["y"], kernel_shape=[5, 5])], W, X),
        ("auto_pad", [node("Conv", ["x", "w"], ["y"], auto_pad="MAYBE")], W, X),
        ("attribute group", [node("Conv", ["x", "w"], ["y"], group=1.5)], W, X),
        (r"shape \(5, 3\)", [node("Conv", ["x", "w", "m"], ["y"])], W, X),
        ("accepted", [node("Conv", ["x", "w"], ["y"])], W, (4,)),
        ("kernel_shape is missing", [node("MaxPool", ["x"], ["y"])], {}, X),
        ("as large as", [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[2, 0, 0, 0])], {}, X),
        ("all its elements on the padding",
         [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 1], dilations=[4, 1], pads=[3, 0, 3, 0])], {}, (4, 1, 8)),
        ("zeroskip does not compute",
         [node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2]), node("Relu", ["i"], ["y"])], {}, X),
        (r"\(5,\)|\(5, 3\)", [node("MatMul", ["x", "m"], ["y"])], W, (4,)),
        ("transA", [node("Gemm", ["x", "m"], ["y"], transA=1)], W, (5,)),
        ("keep the batch", [node("Reshape", ["x", "s"], ["y"])], {"s": np.array([4, 72])}, X),
        ("at most one -1", [node("Reshape", ["x", "s"], ["y"])], {"s": np.array([-1, -1])}, X),
        ("copies", [node("Reshape", ["x", "s"], ["y"])], {"s": np.array([1, 4, 9, 8, 0])}, X),
        ("axis = 2", [node("Flatten", ["x"], ["y"], axis=2)], {}, X),
        ("equal sizes or 1",
         [node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2]), node("Add", ["x", "p"], ["y"])], {}, X),
        ("not fit 4 input", [node("ConvTranspose", ["x", "v"], ["y"])], {"v": np.ones((3, 4, 2, 2), np.float32)}, X),
        ("at least one pixel",
         [node("ConvTranspose", ["x", "w"], ["y"], pads=[6, 6, 6, 6])], W, X),
        ("cut into", [node("ConvTranspose", ["x", "w"], ["y"], strides=[2**13, 2**13])], W, X),
        ("less added than the stride", [node("ConvTranspose", ["x", "w"], ["y"], output_padding=[1, 0])], W, X),
        ("whole numbers", [node("Gather", ["x", "b"], ["y"], axis=1)], W, X),
        ("any axis but the batch", [node("Gather", ["x", "i"], ["y"], axis=0)], {"i": np.array(0)}, X),
        ("those it has", [node("Gather", ["x", "i"], ["y"], axis=1)], {"i": np.array([0, 4])}, X),
        ("power of an activation", [node("Pow", ["b", "x"], ["y"])], W, X),
        ("approximate", [node("Gelu", ["x"], ["y"], approximate="sigmoid")], {}, X, 20),
        ("differs between images", [node("Concat", ["x", "c"], ["y"], axis=1)],
         {"c": np.arange(2 * 4 * 9 * 8, dtype=np.float32).reshape(2, 4, 9, 8)}, X, 17, 2),
        ("two activations", [node("MatMul", ["x", "x"], ["y"])], {}, (3, 3)),
        ("equal sizes or 1", [node("Add", ["x", "c"], ["y"])], {"c": np.ones((7, 8), np.float32)}, X),
        ("the first .the batch. of size 1", [node("Add", ["x", "c"], ["y"])],
         {"c": np.ones((3, 4, 9, 8), np.float32)}, X),
        ("before opset 7", [node("Add", ["x", "b"], ["y"], axis=1, broadcast=1)], W, X),
        ("by 0", [node("Div", ["x", "c"], ["y"])], {"c": np.zeros(1, np.float32)}, X),
        ("too large or too small", [node("Div", ["x", "c"], ["y"])], {"c": np.full(1, 1e-310)}, X),
        ("variance", [node("BatchNormalization", ["x", *"bbbc"], ["y"])], {"b": W["b"], "c": -W["b"]}, X),
        ("training_mode", [node("BatchNormalization", ["x", *"bbbb"], ["y"], training_mode=1)], W, X),
        ("any but the batch", [node("Softmax", ["x"], ["y"], axis=0)], {}, (5,)),
        ("keeps the batch", [node("Transpose", ["x"], ["y"])], {}, X),
        ("keeps the batch", [node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])], {}, X),
        ("keeps the batch", [node("Transpose", ["x"], ["y"], perm=[0, 1, 1, 3])], {}, X),
        ("axes of size 1", [node("Squeeze", ["x", "a"], ["y"])], {"a": np.array([2])}, X),
        ("after the batch", [node("Unsqueeze", ["x", "a"], ["y"])], {"a": np.array([0])}, X),
        ("different ones of 5", [node("Unsqueeze", ["x", "a"], ["y"])], {"a": np.array([9])}, X),
        ("batch", [node("ReduceMean", ["x"], ["y"], axes=[0, 1])], {}, X),
        ("batch", [node("ReduceMean", ["x"], ["y"])], {}, X),
        ("others of equal size", [node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2]),
                                  node("Concat", ["x", "p"], ["y"], axis=1)], {}, X),
        ("any axis but the batch", [node("Concat", ["x", "x"], ["y"], axis=0)], {}, X),
        ("constant zeros",
         [node("Pad", ["x", "p"], ["y"], mode="wrap")], {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, X),
        ("fewer than there are",
         [node("Pad", ["x", "p"], ["y"], mode="reflect")], {"p": np.array([0, 0, 9, 1, 0, 0, 1, 1])}, X),
        ("at least 1, not the batch", [node("Tile", ["x", "i"], ["y"])], {"i": np.array([2, 1, 1, 1])}, X),
        ("at least 1, not the batch", [node("Expand", ["x", "i"], ["y"])], {"i": np.array([1, 4, 9, 5])}, X),
        ("at least 1, not the batch", [node("Expand", ["x", "i"], ["y"])], {"i": np.array([1, 1, 4, 9, 8])}, X),
        ("elements", [node("Tile", ["x", "i"], ["y"])], {"i": np.array([1, 2**19, 2**19, 1])}, X),
        ("do not fit together", [node("Range", ["a", "a", "a"], ["c"]), node("Add", ["x", "c"], ["y"])],
         {"a": np.float32(0)}, X),
        ("a constant of 1000000000000 elements",
         [node("Range", ["a", "b", "c"], ["d"]), node("Add", ["x", "d"], ["y"])],
         {"a": np.int64(0), "b": np.int64(10**12), "c": np.int64(1)}, X),
        ("size = 0", [node("LRN", ["x"], ["y"], size=0)], {}, X),
        ("bias = 0", [node("LRN", ["x"], ["y"], size=3, bias=0.0)], {}, X),
        ("epsilon", [node("InstanceNormalization", ["x", "b", "b"], ["y"], epsilon=-1.0)], W, X),
        ("any axis but the batch", [node("LayerNormalization", ["x", "b", "b"], ["y"], axis=0)], W, X),
        ("shapes that fit", [node("LayerNormalization", ["x", "b", "b"], ["y"])], W, X),
        ("3 groups", [node("GroupNormalization", ["x", "b", "b"], ["y"], num_groups=3)], W, X, 21),
        ("to complex64", [node("Cast", ["x"], ["y"], to=14)], {}, X),
        ("after DequantizeLinear", [node("QuantizeLinear", ["x", "s"], ["q"]), node("Cast", ["q"], ["y"], to=1)],
         {"s": np.float32(0.5)}, X),
        ("computed after the network.*--outputs a", [node("ArgMax", ["x"], ["a"], axis=1), node("Relu", ["a"], ["y"])],
         {}, X),
        ("computed after the network", [node("LogSoftmax", ["x"], ["a"]), node("Relu", ["a"], ["y"])], {}, X),
        ("any axis but the batch", [node("ArgMax", ["x"], ["y"], axis=0)], {}, X),
        ("last two axes",
         [node("Pad", ["x", "p"], ["y"], mode="edge")], {"p": np.array([0, 1, 1, 1, 0, 0, 1, 1])}, X),
        ("padded map of 4x11x1099511627785",
         [node("Pad", ["x", "p"], ["y"], mode="edge")], {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2**40])}, X),
        ("constant zeros", [node("Pad", ["x", "p", "v"], ["y"])],
         {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(1)}, X),
        ("at least 0", [node("Pad", ["x", "p"], ["y"])], {"p": np.array([0, 0, -1, 1, 0, 0, 1, 1])}, X),
        ("pad the batch", [node("Pad", ["x", "p"], ["y"])], {"p": np.array([1, 0, 0, 0, 0, 0, 0, 0])}, X),
        ("cubic", [node("Resize", ["x", "", "s"], ["y"], mode="cubic")], {"s": np.array([1, 1, 2, 2], np.float32)}, X),
        ("1 for batch", [node("Resize", ["x", "", "s"], ["y"])], {"s": np.array([1, 2, 2, 2], np.float32)}, X),
        ("above 0", [node("Resize", ["x", "", "s"], ["y"])], {"s": np.array([1, 1, 2, -2], np.float32)}, X),
        ("rows or columns|accepted", [node("Resize", ["x", "", "", "s"], ["y"])], {"s": np.array([1, 4, 2**40, 2])}, X),
        ("add up", [node("Split", ["x", "s"], ["y", "z"], axis=1)], {"s": np.array([1, 2])}, X),
        ("steps other than 0", [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
         {"s": np.array([0]), "e": np.array([2]), "a": np.array([1]), "t": np.array([0])}, X),
        ("elements", [node("Slice", ["x", "s", "e", "a"], ["y"])],
         {"s": np.array([2]), "e": np.array([2]), "a": np.array([1])}, X),
        ("one per channel", [node("PRelu", ["x", "c"], ["y"])], {"c": np.ones((4, 9, 8), np.float32)}, X),
        ("real numbers; accepted", [node("DequantizeLinear", ["x", "s"], ["y"])], {"s": np.float32(1)}, X),
        ("above 0", [node("QuantizeLinear", ["x", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["y"])],
         {"s": np.float32(0)}, X),
        ("holds the integers", [node("QuantizeLinear", ["x", "s"], ["q"]), node("Relu", ["q"], ["y"])],
         {"s": np.float32(1)}, X),
        ("accepted: the same", [node("QuantizeLinear", ["x", "s"], ["q"]), node("DequantizeLinear", ["q", "t"], ["y"])],
         {"s": np.float32(1), "t": np.float32(2)}, X),
        ("per tensor",
         [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])],
         {"s": np.ones(4, np.float32), "z": np.zeros(4, np.uint8)}, X),
        ("int16 with zero point 0. Quantise activations to 8 bits",
         [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])],
         {"s": np.float32(1), "z": np.uint16(0)}, X),
        ("one per filter", [node("DequantizeLinear", ["q", "s"], ["w"], axis=1), node("Conv", ["x", "w"], ["y"])],
         {"q": np.ones((4, 4, 1, 1), np.int8), "s": np.arange(1, 5).astype(np.float32)}, X),
        ("min 1 above max 0", [node("Clip", ["x", "a", "b"], ["y"])], {"a": np.float32(1), "b": np.float32(0)}, X),
        ("input 1 is computed", [node("Clip", ["x", "x"], ["y"])], {}, X),
        ("constant of", [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
         {"s": np.array([10**6] * 3)}, X),
        ("do not fit together", [node("Add", ["w", "m"], ["c"]), node("Mul", ["x", "c"], ["y"])], W, X),
        ("cannot be evaluated", [node("Reshape", ["w", "s"], ["v"]), node("Conv", ["x", "v"], ["y"])],
         W | {"s": np.array([7, 7])}, X),
        ("Constant node 'c' is no tensor",
         [node("Constant", [], ["c"], value=3), node("Add", ["x", "c"], ["y"])], {}, X),
        ("input 0 is missing", [node("Relu", [""], ["y"])], {}, X),
        ("type", [node("Conv", ["x", "t"], ["y"])], {"t": np.ones((4, 4, 3, 3), bool)}, X),
    ],
)  # fmt: skip
def test_refused_graphs(case):
    match, nodes, weights, shape, *rest = case  # and the operator set, and the batch
    refuses(match, nodes, weights, shape, **dict(zip(("opset", "batch"), rest, strict=False)))


def test_refused_inputs_and_outputs():
    relu = [node("Relu", ["x"], ["y"])]
    refuses("'x' is of type int64", relu, kind=TensorProto.INT64)
    refuses("known sizes", relu, shape=(0, 3, 3))
    refuses("known sizes", relu, shape=(2**20, 2**20, 3))
    refuses("without a shape|known sizes", relu, shape=())
    two = loaded(model([node("Add", ["x", "x2"], ["y"])], {}, X))
    two.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, ["N", *X]))
    two.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="2 inputs"):
        import_onnx(two)
    del two.graph.input[1]
    with pytest.raises(ModelError, match="no node produces the output 'z'"):
        import_onnx(two)


def test_broken_tensors():
    def broken(change):
        proto = loaded(model([node("Conv", ["x", "w"], ["y"])], W, X))
        change(next(t for t in proto.graph.initializer if t.name == "w"))
        with pytest.raises(ModelError, match="initializer 'w'"):
            import_onnx(proto)

    broken(lambda t: t.dims.__setitem__(0, 5))
    broken(lambda t: t.dims.__setitem__(0, -4))
    broken(lambda t: t.dims.__setitem__(0, 2**40))
    broken(lambda t: setattr(t, "data_type", 77))
    broken(lambda t: setattr(t, "raw_data", b"abc"))


def test_files_that_are_no_onnx(tmp_path):
    for content in (b"", b"not an onnx file", bytes(range(256)) * 8, b"\x08\x08"):
        with pytest.raises(ModelError, match=r"ONNX"):
            import_onnx(content)
        (tmp_path / "m.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"m\.onnx"):
            import_onnx(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no such file"):
        import_onnx(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="no such file"):
        import_onnx(tmp_path)


def test_external_data_that_is_missing(tmp_path, rng):
    proto = loaded(residual_network(rng))
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert len(import_onnx(tmp_path / "m.onnx").nodes) == 10
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"loaded|read"):
        import_onnx(tmp_path / "m.onnx")
