"""Already quantised networks keep their own integers, and differ from onnxruntime by one step at most."""

import warnings

import numpy as np
import pytest
from onnx import numpy_helper

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, loaded, model, node, residual_network, run_onnx, session
from quantised_models import many_operators, quantise, with_outputs
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.errors import ModelError
from zeroskip.examples import digits
from zeroskip.models.reference import conv2d
from zeroskip.runtime.nodes import compute

FORMS = [(form, kind) for form in ("QDQ", "QOperator") for kind in ("QUInt8", "QInt8")]


def compile_silently(data: bytes):
    """Without calibration images and without a warning that they are missing: all scales are in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return zeroskip.compile(data, "tiny")


def steps_off(compiled, want, got) -> np.ndarray:
    """Difference of outputs in steps of the network's output."""
    scale = np.float32(compiled.tensors[compiled.output].quant.scale)
    return np.abs(np.rint(want / scale) - np.rint(got / scale)).astype(int)


@pytest.mark.parametrize(("form", "kind"), FORMS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_digits(form, kind, per_channel):
    """The demo network: its own weights, no output off by more than one step, hardly any by one."""
    loaded_digits = digits.load()
    images = loaded_digits.test[:256]
    data = quantise(digits.MODEL_PATH.read_bytes(), images[:32], form, kind, per_channel=per_channel)
    compiled = compile_silently(data)
    stored = {t.name: numpy_helper.to_array(t) for t in loaded(data).graph.initializer}
    weights = [stored[n.input[3]] for n in loaded(data).graph.node if n.op_type == "QLinearConv"]
    weights = weights or [w for name, w in stored.items() if w.ndim == 4]
    assert len(weights) == 6
    for w in weights:
        assert any(np.array_equal(layer.plan.weights, w) for layer in compiled.layers)
    outputs = compiled.reference(images)
    off = steps_off(compiled, run_onnx(data, images), outputs)
    print(f"{form} {kind} per_channel={per_channel}: off by one: {np.count_nonzero(off)} of {off.size}")
    assert off.max() <= 1 and np.count_nonzero(off) <= off.size * 0.01
    assert (outputs.argmax(axis=1) == loaded_digits.test_labels[:256]).mean() > 0.97
    assert (compiled.run(GoldenDevice("tiny"), images[:8]).outputs == outputs[:8]).all()


def node_by_node(data: bytes, compiled, images):
    """(node, its difference to onnxruntime on onnxruntime's own inputs, in steps) for every node both compute."""
    made = {name for n in loaded(data).graph.node for name in n.output}
    names = [name for name in compiled.tensors if name in made]
    found = dict(zip(names, session(with_outputs(data, names)).run(names, {"x": images}), strict=True))
    integers = {name: value for name, value in found.items() if value.dtype.kind in "iu"}
    integers[compiled.input] = compiled.tensors[compiled.input].quant.quantise(images)

    def convolve(n, x, quant, finish):
        plan, signed = n.plan, np.subtract(x, quant.zero_point, dtype=np.int16)
        return finish(conv2d(signed, plan.weights, plan.stride, plan.padding, plan.dilation, plan.groups))

    for n in compiled.nodes:
        if n.output in integers and all(name in integers for name in n.inputs):
            got = compute(n, compiled.tensors, [integers[name] for name in n.inputs], convolve)
            yield n, np.abs(got.astype(int) - integers[n.output])


@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_every_quantised_operator(form, kind):
    """Node by node, on onnxruntime's own integers: never more than one step, and almost never that."""
    rng = np.random.default_rng(0)
    images = f32(rng, 32, 3, 12, 12)
    data = quantise(many_operators(rng), images, form, kind)
    compiled = compile_silently(data)
    compared = list(node_by_node(data, compiled, images))
    assert {n.op for n, _ in compared} >= {
        "conv", "table", "mul", "add", "concat", "max_pool", "average_pool", "pad", "reshape", "integer_softmax",
    }  # fmt: skip
    for n, off in compared:
        print(f"{form} {kind} {n.label}: off by one: {np.count_nonzero(off)} of {off.size}")
        assert off.max() <= 1, n.name
        # A mean of four whose sum leaves 2 is a tie, and onnxruntime adds the zero point before it rounds to even;
        # what it makes of Softmax between QuantizeLinear and DequantizeLinear differs from its own float softmax, too.
        often = form == "QDQ" and n.label in ("AveragePool", "Softmax")
        assert np.count_nonzero(off) <= off.size * (0.3 if often else 0.002), n.name
    assert (compiled.run(GoldenDevice("tiny"), images[:3]).outputs == compiled.reference(images[:3])).all()


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_unsigned_symmetric_weights_are_shifted(form):
    rng = np.random.default_rng(1)
    images = f32(rng, 16, 3, 12, 12)
    float_model = residual_network(rng)
    data = quantise(float_model, images, form, "QUInt8", "QUInt8", extra_options={"WeightSymmetric": True})
    stored = [numpy_helper.to_array(t) for t in loaded(data).graph.initializer]
    assert any(t.dtype == np.uint8 and t.ndim == 4 for t in stored)
    compiled = compile_silently(data)
    off = steps_off(compiled, run_onnx(data, images), compiled.reference(images))
    assert off.max() <= 2 and np.count_nonzero(off) <= off.size * 0.05


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_unsigned_asymmetric_weights_are_two_weights(form):
    """They reach -255 to 255; what exceeds int8 is a second weight on a copy of the channels."""
    rng = np.random.default_rng(1)
    images = f32(rng, 16, 3, 12, 12)
    data = quantise(residual_network(rng), images, form, "QUInt8", "QUInt8", extra_options={"WeightSymmetric": False})
    compiled = compile_silently(data)
    assert sum(node.op == "concat" for node in compiled.nodes) >= 5
    off = steps_off(compiled, run_onnx(data, images), compiled.reference(images))
    assert off.max() <= 2 and np.count_nonzero(off) <= off.size * 0.05
    for n, steps in node_by_node(data, compiled, images):
        assert steps.max() <= 1, n.name
    assert (compiled.run(GoldenDevice("tiny"), images[:2]).outputs == compiled.reference(images[:2])).all()


def test_partly_quantised_network_is_calibrated_where_the_file_is_silent():
    rng = np.random.default_rng(2)
    images = f32(rng, 16, 3, 12, 12)
    float_model = residual_network(rng)
    data = quantise(float_model, images, "QDQ", op_types_to_quantize=["Conv"])
    with pytest.warns(UserWarning, match="no calibration images"):
        zeroskip.compile(data, "tiny")
    compiled = zeroskip.compile(data, "tiny", images, scale_rule="max_abs", per="channel")
    want, got = run_onnx(data, images), compiled.reference(images)
    assert np.abs(want - got).max() < 0.05 * np.abs(want).max()
    kinds = [node.given is not None for node in import_onnx(data).nodes if node.op == "conv"]
    assert kinds == [True] * 4 + [False] * 2


def qdq(name, scale="s", zero_point="z"):
    return [
        node("QuantizeLinear", [name, scale, zero_point], [f"{name}_q"]),
        node("DequantizeLinear", [f"{name}_q", scale, zero_point], [f"{name}_d"]),
    ]


def agrees(nodes, weights, shape, images=None):
    """Float graph and integers against onnxruntime without optimisation, which computes what the file says."""
    data = model(nodes, weights, shape)
    images = f32(np.random.default_rng(3), 5, *shape) if images is None else images
    graph = import_onnx(data)
    want = run_onnx(data, images)
    scale = graph.quants[graph.output].scale
    assert np.abs(graph.run(images) - want).max() <= scale * 1.001
    got = compile_silently(data).reference(images)
    assert np.abs(got - want).max() <= scale * 1.001
    assert (np.abs(got - want) > scale / 2).mean() < 0.01
    return graph


S = {"s": np.float32(0.02), "z": np.uint8(120), "t": np.float32(0.05), "u": np.int8(-7)}


def test_rounding_moves_before_what_picks():
    """Conv, ReLU, max pool, flatten, then one QuantizeLinear: the convolution itself rounds."""
    rng = np.random.default_rng(4)
    weights = S | {"w": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), "ws": np.full(4, 0.003, np.float32)}
    nodes = [
        *qdq("x"),
        node("DequantizeLinear", ["w", "ws"], ["wd"], axis=0),
        node("Conv", ["x_d", "wd"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2]),
        node("Flatten", ["m"], ["f"]),
        node("QuantizeLinear", ["f", "t", "u"], ["f_q"]),
        node("DequantizeLinear", ["f_q", "t", "u"], ["y"]),
    ]
    assert [n.op for n in agrees(nodes, weights, (3, 8, 7)).nodes] == ["conv", "max_pool", "reshape"]


def test_rescaling_and_rounding_twice():
    nodes = [*qdq("x"), *qdq("x_d"), *qdq("x_d_d", "t", "u"), node("Identity", ["x_d_d_d"], ["y"])]
    assert [n.op for n in agrees(nodes, S, (3, 4)).nodes] == ["quantise"]


def test_clip_between_two_scales_is_one_table():
    nodes = [
        *qdq("x"),
        node("Relu", ["x_d"], ["r"]),
        node("QuantizeLinear", ["r", "t", "u"], ["r_q"]),
        node("DequantizeLinear", ["r_q", "t", "u"], ["y"]),
    ]
    assert [n.op for n in agrees(nodes, S, (3, 4)).nodes] == ["table"]


def test_weights_that_are_transposed_after_dequantising():
    rng = np.random.default_rng(5)
    w, scales = rng.integers(-127, 128, (4, 6)).astype(np.int8), rng.uniform(0.001, 0.01, 4).astype(np.float32)
    nodes = [
        *qdq("x"),
        node("DequantizeLinear", ["w", "ws"], ["wd"], axis=0),
        node("Transpose", ["wd"], ["wt"]),
        node("MatMul", ["x_d", "wt"], ["m"]),
        node("QuantizeLinear", ["m", "t", "u"], ["m_q"]),
        node("DequantizeLinear", ["m_q", "t", "u"], ["y"]),
    ]
    graph = agrees(nodes, S | {"w": w, "ws": scales}, (6,))
    assert np.array_equal(graph.nodes[0].given.weights[:, :, 0, 0], w)


def test_weights_of_minus_128():
    """Legal int8; the engine takes them as any outlier."""
    rng = np.random.default_rng(6)
    w = np.where(rng.random((4, 3, 3, 3)) < 0.5, -128, 127).astype(np.int8)
    nodes = [
        *qdq("x"),
        node("DequantizeLinear", ["w", "ws"], ["wd"]),
        node("Conv", ["x_d", "wd"], ["c"]),
        node("QuantizeLinear", ["c", "t", "u"], ["c_q"]),
        node("DequantizeLinear", ["c_q", "t", "u"], ["y"]),
    ]
    data = model(nodes, S | {"w": w, "ws": np.float32(0.001)}, (3, 6, 5))
    compiled, images = compile_silently(data), f32(rng, 3, 3, 6, 5)
    result = compiled.run(GoldenDevice("tiny"), images)
    assert (result.outputs == compiled.reference(images)).all() and compiled.layers[0].plan.weights.min() == -128
    with zeroskip.open_device("model", "tiny") as device:
        assert (compiled.run(device, images).outputs == result.outputs).all()


def test_sums_beyond_32_bits_are_refused():
    weights = S | {"w": np.full((1, 70000), 127, np.int8), "ws": np.float32(0.01)}
    nodes = [
        *qdq("x"),
        node("DequantizeLinear", ["w", "ws"], ["wd"]),
        node("Gemm", ["x_d", "wd"], ["g"], transB=1, name="wide"),
        node("QuantizeLinear", ["g", "t", "u"], ["g_q"]),
        node("DequantizeLinear", ["g_q", "t", "u"], ["y"]),
    ]
    weights["z"] = np.uint8(0)
    with pytest.raises(ModelError, match=r"'wide': a sum could reach 2.27e\+09 with the file's own weights"):
        zeroskip.compile(model(nodes, weights, (70000,)), "tiny")
