"""What goes into a network and what comes out: several outputs, types, dialects of files, open sizes."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, loaded, model, node, residual_network, run_onnx
from zeroskip.compiler.network import compare
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.errors import FileFormatError, InputError, ModelError
from zeroskip.runtime import zsk, zsk_writer

PLAIN = {"scale_rule": "max_abs", "per": "channel"}


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def agrees(compiled, images):
    """Outputs of the device, which equal the reference's and those of the model read back from a file."""
    outputs = compiled.run(GoldenDevice("tiny"), images).outputs
    for again in (compiled.reference(images), zsk.loads(zsk_writer.dumps(compiled)).reference(images)):
        if isinstance(outputs, dict):
            assert outputs.keys() == again.keys()
            assert all((outputs[name] == again[name]).all() for name in outputs)
        else:
            assert outputs.dtype == again.dtype and (outputs == again).all()
    return outputs


def of_several(rng) -> onnx.ModelProto:
    """Three heads: logits (float), a mask of bytes, places; one is read by another."""
    weights = {"w": f32(rng, 8, 3, 3, 3, scale=0.3), "v": f32(rng, 4, 8, 1, 1), "s": np.float32(0.02)}
    weights |= {"z": np.uint8(7)}
    nodes = [
        node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["logits"]), node("Conv", ["logits", "v"], ["b"]),
        node("QuantizeLinear", ["b", "s", "z"], ["mask"]), node("Softmax", ["b"], ["p"], axis=1),
        node("ArgMax", ["p"], ["places"], axis=1, keepdims=0),
    ]  # fmt: skip
    proto = loaded(model(nodes, weights, (3, 8, 8)))
    del proto.graph.output[:]
    kinds = {"logits": TensorProto.FLOAT, "mask": TensorProto.UINT8, "places": TensorProto.INT64}
    proto.graph.output.extend(helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items())
    return proto


def test_several_outputs(rng):
    proto, images = of_several(rng), f32(rng, 6, 3, 8, 8)
    compiled = zeroskip.compile(proto, "tiny", images, **PLAIN)
    outputs = agrees(compiled, images)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    want = dict(zip(outputs, session.run(None, {"x": images}), strict=True))
    assert list(outputs) == ["logits", "mask", "places"]
    assert [(v.dtype, v.shape) for v in outputs.values()] == [(v.dtype, v.shape) for v in want.values()]
    assert compiled.output_shapes == {name: v.shape[1:] for name, v in want.items()}
    np.testing.assert_allclose(outputs["logits"], want["logits"], atol=0.2)
    wrong = np.abs(outputs["mask"].astype(int) - want["mask"])
    assert wrong.mean() < 2 and wrong.max() < 20
    assert (outputs["places"] == want["places"]).mean() > 0.9
    with pytest.raises(ValueError):
        compiled.output  # noqa: B018


def test_outputs_cut_the_network(rng):
    """Any tensors, in any order; what is behind them, even an unknown operator, is not looked at."""
    proto, images = of_several(rng), f32(rng, 4, 3, 8, 8)
    proto.graph.node.append(node("NonMaxSuppression", ["mask"], ["boxes"], name="nms"))
    proto.graph.output.append(helper.make_empty_tensor_value_info("boxes"))
    with pytest.raises(ModelError, match=r"'nms': unsupported.*--outputs mask .*outputs=\['mask'\]"):
        import_onnx(proto)
    both = agrees(zeroskip.compile(proto, "tiny", images, outputs=["b", "logits"], **PLAIN), images)
    assert list(both) == ["b", "logits"] and both["b"].shape == (4, 4, 6, 6)
    one = zeroskip.compile(proto, "tiny", images, outputs="logits", **PLAIN)
    assert len(one.layers) == 1 and agrees(one, images).shape == (4, 8, 6, 6)
    with pytest.raises(ModelError, match="no tensor 'other' in the network; its outputs: logits, mask"):
        import_onnx(proto, None, ["logits", "other"])
    with pytest.raises(ModelError, match="at least one"):
        import_onnx(proto, None, [])


def test_a_budget_counts_all_outputs(rng):
    proto, images = of_several(rng), f32(rng, 8, 3, 8, 8)
    options = {"outputs": ["logits", "b"]}
    plain = zeroskip.compile(proto, "tiny", images, **options)
    cheap = zeroskip.compile(proto, "tiny", images, budget=6, **options)
    cycles = [sum(layer["predicted_cycles"] for layer in m.info["layers"].values()) for m in (plain, cheap)]
    assert cycles[1] < cycles[0] and 0 <= cheap.info["budget_used"] <= 6
    assert compare(proto, cheap, images).sqnr_db > 15
    with pytest.raises(InputError, match="accepted: decibels"):
        zeroskip.compile(proto, "tiny", images, budget="1%", **options)


def test_several_outputs_are_compared(rng):
    proto, images = of_several(rng), f32(rng, 6, 3, 8, 8)
    compiled = zeroskip.compile(proto, "tiny", images, outputs=["logits", "b"], **PLAIN)
    assert compare(proto, compiled, images).sqnr_db > 25


@pytest.mark.parametrize("how", ["Cast", "DequantizeLinear", "int8", "Transpose"])
def test_bytes_in(rng, how):
    """The images are the bytes; the integers of the input tensor are those, too."""
    kind = TensorProto.INT8 if how == "int8" else TensorProto.UINT8
    dtype, weights = np.int8 if how == "int8" else np.uint8, {"w": f32(rng, 4, 3, 3, 3), "s": np.float32(1 / 255)}
    weights |= {"k": np.float32(255), "z": dtype(-128 if how == "int8" else 3)}
    first = [node("DequantizeLinear", ["x", "s", "z"], ["b"])]
    if how in ("Cast", "Transpose"):
        first = [node("Cast", ["x"], ["a"], to=1), node("Div", ["a", "k"], ["b"])]
    if how == "Transpose":  # images (N, H, W, C)
        first = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), *first]
        first[1].input[0] = "t"
    shape = (9, 8, 3) if how == "Transpose" else (3, 9, 8)
    data = model([*first, node("Conv", ["b", "w"], ["y"])], weights, shape, kind=kind, kind_out=TensorProto.FLOAT)
    limits = np.iinfo(dtype)
    images = rng.integers(limits.min, limits.max, (5, *shape), dtype, endpoint=True)
    compiled = zeroskip.compile(data, "tiny", images, **PLAIN)
    assert compiled.input_type == np.dtype(dtype).name
    outputs, want = agrees(compiled, images), run_onnx(data, images)
    assert np.abs(outputs - want).max() < 0.01 * np.abs(want).max()
    np.testing.assert_allclose(import_onnx(data).run(images), want, rtol=1e-4, atol=1e-5)
    quant = compiled.tensors[compiled.input].quant
    assert (compiled.reference(quant.dequantise(images)) == outputs).all()  # real numbers are taken, too
    with pytest.raises(InputError, match=f"{compiled.input_type}, or floating point"):
        compiled.reference(images.astype(np.int32))
    without = pytest.warns(UserWarning, match="no calibration images")
    with without:
        assert zeroskip.compile(data, "tiny", **PLAIN).input_type == compiled.input_type


def test_bytes_out(rng):
    """QuantizeLinear at the end: its integers; Cast to bytes: whole numbers, what is after the point cut off."""
    weights = {"w": f32(rng, 4, 3, 3, 3), "s": np.float32(0.1), "z": np.int8(-5), "k": np.float32(9)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("QuantizeLinear", ["c", "s", "z"], ["y"])]
    data, images = model(nodes, weights, (3, 9, 8), kind_out=TensorProto.INT8), f32(rng, 5, 3, 9, 8)
    outputs, want = agrees(zeroskip.compile(data, "tiny", images, **PLAIN), images), run_onnx(data, images)
    assert outputs.dtype == np.int8 and np.abs(outputs.astype(int) - want).mean() < 1
    for to in ("UINT8", "INT64"):
        kind = getattr(TensorProto, to)
        nodes = [node("Abs", ["x"], ["a"]), node("Mul", ["a", "k"], ["c"]), node("Cast", ["c"], ["y"], to=kind)]
        data = model(nodes, weights, (3, 9, 8), kind_out=kind)
        compiled = zeroskip.compile(data, "tiny", images, **PLAIN)
        quant = compiled.tensors[compiled.input].quant
        outputs, want = agrees(compiled, images), run_onnx(data, quant.dequantise(quant.quantise(images)))
        assert outputs.dtype == want.dtype, to
        wrong = outputs.astype(int) - want  # where float32 and float64 differ about what is a whole number
        assert np.abs(wrong).max() <= 1 and np.count_nonzero(wrong) <= 2, to


def test_float16_between_float32_ends_and_at_them(rng):
    weights = {"w": f32(rng, 4, 3, 3, 3).astype(np.float16)}
    ends = [node("Cast", ["x"], ["a"], to=10)], [node("Cast", ["b"], ["y"], to=1)]
    middle, images = node("Conv", ["a", "w"], ["b"]), f32(rng, 5, 3, 9, 8)
    data = model([*ends[0], middle, *ends[1]], weights, (3, 9, 8))
    outputs = agrees(zeroskip.compile(data, "tiny", images, **PLAIN), images)
    np.testing.assert_allclose(outputs, run_onnx(data, images), atol=0.3)
    half = model([node("Conv", ["x", "w"], ["y"])], weights, (3, 9, 8), kind=TensorProto.FLOAT16)
    found = agrees(zeroskip.compile(half, "tiny", images.astype(np.float16), **PLAIN), images.astype(np.float16))
    assert found.dtype == np.float16 and np.abs(found - outputs).max() < 0.1


def test_functions_of_the_file_itself(rng):
    """As PyTorch's exporter writes modules: the network is the same as with their bodies in place."""
    body = [node("Sigmoid", ["in"], ["t"]), node("Mul", ["in", "t"], ["out"])]
    own = helper.make_function("mine", "Act", ["in"], ["out"], body, [helper.make_opsetid("", 17)])
    weights = {"w": f32(rng, 4, 3, 3, 3)}
    proto = loaded(
        model([node("Conv", ["x", "w"], ["c"]), node("Act", ["c"], ["y"], domain="mine")], weights, (3, 9, 8))
    )
    proto.functions.append(own)
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    images = f32(rng, 5, 3, 9, 8)
    np.testing.assert_allclose(import_onnx(proto).run(images), run_onnx(proto.SerializeToString(), images), atol=1e-5)
    own.node[0].op_type, own.node[0].domain = "Act", "mine"  # calls itself
    proto.functions[0].CopyFrom(own)
    with pytest.raises(ModelError, match=r"functions that the file defines|unsupported operator"):
        import_onnx(proto)


def test_old_operator_sets_are_converted(rng):
    """Up to opset 6: operands placed by axis, slopes per channel, scales as attributes; the rest is refused by name."""
    weights = {"w": f32(rng, 4, 3, 3, 3), "b": f32(rng, 4)}
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Add", ["c", "b"], ["y"], axis=1, broadcast=1)]
    images = f32(rng, 4, 3, 9, 8)
    data = model(nodes, weights, (3, 9, 8), (4, 7, 6), opset=6, batch=4)
    newer = [nodes[0], node("Unsqueeze", ["b"], ["d"], axes=[1, 2]), node("Add", ["c", "d"], ["y"])]
    want = run_onnx(model(newer, weights, (3, 9, 8), opset=7, batch=4), images)
    np.testing.assert_allclose(import_onnx(data).run(images), want, atol=1e-4)
    slopes = {"w": f32(rng, 8, 3, 2, 1), "s": f32(rng, 8)}  # of 8 channels, not of 8 columns
    nodes = [node("Conv", ["x", "w"], ["c"]), node("PRelu", ["c", "s"], ["y"])]
    found = import_onnx(model(nodes, slopes, (3, 9, 8), (8, 8, 8), opset=6, batch=4)).run(images)
    want = run_onnx(model(nodes, slopes | {"s": slopes["s"].reshape(8, 1, 1)}, (3, 9, 8), opset=7), images)
    np.testing.assert_allclose(found, want, atol=1e-4)
    old = [node("Upsample", ["x"], ["u"], height_scale=2.0, width_scale=3.0), node("Selu", ["u"], ["s"])]
    old += [node("Pad", ["s"], ["y"], paddings=[0, 0, 1, 2, 0, 0, 0, 1])]
    found = import_onnx(model(old, {}, (3, 9, 8), opset=1, batch=4)).run(images)
    new = [node("Upsample", ["x", "z"], ["u"]), node("Selu", ["u"], ["s"]), node("Pad", ["s", "p"], ["y"])]
    new[0] = node("Resize", ["x", "", "z"], ["u"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    more = {"z": np.array([1, 1, 2, 3], np.float32), "p": np.array([0, 0, 1, 2, 0, 0, 0, 1])}
    np.testing.assert_allclose(found, run_onnx(model(new, more, (3, 9, 8), opset=13), images), atol=1e-3)
    with pytest.raises(ModelError, match=r"Add node 'sum': attribute axis.*operator set 7 or later"):
        import_onnx(model([node("Mine", ["x"], ["a"]), node("Add", ["a", "b"], ["y"], name="sum", axis=1)], weights,
                          (3, 9, 8), opset=6))  # fmt: skip
    with pytest.raises(ModelError, match="attribute to is"):
        import_onnx(model([node("Cast", ["x"], ["y"], to="FLOAT")], {}, (3, 9, 8), (3, 9, 8), opset=1))


def test_open_sizes_and_calibration_from_a_file(rng, tmp_path):
    data = model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 4, 3, 3, 3)}, (3, "h", "w"))
    with pytest.raises(ModelError, match=r"input_shape=..., --input-shape"):
        zeroskip.compile(data, "tiny")
    with pytest.warns(UserWarning, match="no calibration images"):
        assert zeroskip.compile(data, "tiny", input_shape=[3, 9, 8]).output_shape == (4, 7, 6)
    images = f32(rng, 4, 3, 9, 8)
    np.save(tmp_path / "x.npy", images)
    from_file = zeroskip.compile(data, "tiny", tmp_path / "x.npy")
    assert (from_file.reference(images) == zeroskip.compile(data, "tiny", images).reference(images)).all()
    for wrong, match in (
        ((3, 0, 8), "sizes without the batch"),
        ((3, 9, 9), r"calibration images of shape \(3, 9, 8\)"),
    ):
        with pytest.raises(InputError, match=match):
            zeroskip.compile(data, "tiny", images, input_shape=wrong)
    with pytest.raises(ModelError, match=r"the images are \(N, 4, 9, 8\)"):
        zeroskip.compile(data, "tiny", input_shape=(4, 9, 8))
    with pytest.raises(InputError, match=r"none\.npy: cannot be read"):
        zeroskip.compile(data, "tiny", tmp_path / "none.npy")


def test_calibration_that_says_nothing_is_said(rng):
    weights = {"w": np.abs(f32(rng, 4, 3, 3, 3)), "v": f32(rng, 4, 4, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["c"], name="first"), node("Relu", ["c"], ["r"])]
    data, images = model([*nodes, node("Conv", ["r", "v"], ["y"])], weights, (3, 9, 8)), rng.random((4, 3, 9, 8))
    with pytest.warns(UserWarning, match="calibration images are all zero"):
        zeroskip.compile(data, "tiny", images * 0)
    with pytest.warns(UserWarning, match=r"2 of 2 layers \(first, y\) give only zeros"):
        zeroskip.compile(data, "tiny", -images)


def test_images_scaled_unlike_the_calibration_are_said(rng):
    """Calibrated on images / 255: 100 % of most images saturates; the other way round there is nothing left of them."""
    data = model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 4, 3, 3, 3)}, (3, 9, 8))
    images = rng.integers(0, 256, (4, 3, 9, 8)).astype(np.float32)
    small, large = (zeroskip.compile(data, "tiny", images * scale) for scale in (np.float32(1 / 255), np.float32(1)))
    with pytest.warns(
        UserWarning, match=r"9\d % of the inputs saturate: they reach from \S+ to 255, .* to 1; scale them"
    ):
        small.run(GoldenDevice("tiny"), images)
    with pytest.warns(
        UserWarning, match=r"the inputs use \S+ of 255 steps: they reach from \S+ to 1, .* to 255; scale"
    ):
        large.reference(images / 255)
    data = model([node("Cast", ["x"], ["a"], to=1), node("Conv", ["a", "w"], ["y"])], {"w": f32(rng, 4, 3, 3, 3)},
                 (3, 9, 8), kind=TensorProto.UINT8, kind_out=TensorProto.FLOAT)  # fmt: skip
    with pytest.warns(UserWarning, match="the calibration images use 1 of 255 steps"):
        zeroskip.compile(data, "tiny", images / 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small.run(GoldenDevice("tiny"), images / np.float32(250))  # 2 % saturate
        large.reference(images)
        large.reference(images * 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(output=[]),
        lambda m: m.update(output=m["output"] * 2),
        lambda m: m["output"][0].update(dtype="uint8"),
        lambda m: m["output"][0].update(dtype="object"),
        lambda m: m["output"][0].update(tensor="nowhere"),
        lambda m: m["output"][0].pop("name"),
        lambda m: m.update(input_type="uint8x"),
        lambda m: m.update(input_type="int8"),
    ],
)
def test_ends_of_a_file_are_checked(rng, change):
    import test_zsk

    compiled = zeroskip.compile(residual_network(rng), "tiny", f32(rng, 2, 3, 12, 12))
    content = zsk_writer.dumps(compiled)
    with pytest.raises(FileFormatError):
        zsk.loads(test_zsk.forge(content, lambda m: change(m) and None))


def test_a_tensor_that_is_several_outputs_and_read(rng):
    """The same tensor twice, and one that the next layer reads."""
    weights = {"w": f32(rng, 4, 3, 1, 1), "v": f32(rng, 4, 4, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Identity", ["a"], ["b"]), node("Relu", ["b"], ["r"])]
    nodes += [node("Conv", ["r", "v"], ["c"])]
    proto, images = loaded(model(nodes, weights, (3, 5, 4))), f32(rng, 4, 3, 5, 4)
    compiled = zeroskip.compile(proto, "tiny", images, outputs=["a", "b", "r", "c"], **PLAIN)
    outputs = agrees(compiled, images)
    assert (outputs["a"] == outputs["b"]).all() and (outputs["r"] == np.maximum(outputs["a"], 0)).all()
    exact = import_onnx(proto, None, ["c", "a"]).run(images)
    for name, want in exact.items():
        assert np.abs(outputs[name] - want).max() < 0.05 * np.abs(want).max()


def test_initializers_that_are_inputs_too(rng):
    """As files of IR version 3 declare them."""
    proto = loaded(model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 4, 3, 1, 1)}, (3, 5, 4)))
    value = numpy_helper.to_array(proto.graph.initializer[0])
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, value.shape))
    assert import_onnx(proto).input == "x"
