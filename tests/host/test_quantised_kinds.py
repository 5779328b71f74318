"""Quantised files in several exporters' styles, at random, against onnxruntime or the definition of QONNX.

Every case is a small network of random shapes whose outputs may differ by one step where float32 rounding decides a
tie, and never by more; ``-rP`` prints how many do.
"""

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, node, run_onnx
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.errors import ModelError

SEEDS = range(3)
QONNX = "qonnx.custom_op.general"


def build(nodes, weights, shape, opset=13) -> bytes:
    """A network from x (n, *shape) to y; weights are arrays or ``TensorProto``."""
    arrays = {k: w for k, w in weights.items() if not isinstance(w, onnx.TensorProto)}
    stored = [w for k, w in weights.items() if k not in arrays]
    stored += [numpy_helper.from_array(np.asarray(w), k) for k, w in arrays.items()]
    x, y = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape]),
        helper.make_empty_tensor_value_info("y"),
    )
    graph = helper.make_graph(nodes, "kinds", [x], [y], stored)
    sets = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
    proto = helper.make_model(graph, opset_imports=sets)
    proto.ir_version = 10
    return proto.SerializeToString()


def check(data: bytes, x: np.ndarray, want=None, share=0.01):
    """No output off by more than one step, few by one; the device equals the reference; nothing is left to choose."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "([0-9]+ % of )?the inputs")  # of the range of random images
        compiled = zeroskip.compile(data, "tiny")
        got = compiled.reference(x)
    want = run_onnx(data, x) if want is None else want
    scale = compiled.tensors[compiled.output].quant.scale
    off = np.rint(np.abs(want - got) / scale)
    print(f"off by one: {np.count_nonzero(off)} of {off.size}")
    assert off.max() <= 1 and np.count_nonzero(off) <= off.size * share
    assert len(np.unique(want)) > 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (compiled.run(GoldenDevice("tiny"), x[:1]).outputs == got[:1]).all()
    return compiled


@pytest.fixture(params=SEEDS)
def rng(request):
    print("seed", request.param)
    return np.random.default_rng(request.param)


def constants(rng, filters=8, channels=4, kernel=3) -> dict:
    w = rng.integers(-127, 128, (filters, channels, kernel, kernel)).astype(np.int8)
    return {
        "s": np.float32(0.03), "z": np.uint8(rng.integers(100, 150)), "sy": np.float32(rng.uniform(0.02, 0.05)),
        "zy": np.uint8(rng.integers(256)), "w": w,
        "sw": rng.uniform(0.0005, 0.003, filters).astype(np.float32),
    }  # fmt: skip


def quantised(x, y, scale="s", zero="z", **attributes):
    return [
        node("QuantizeLinear", [x, scale, *([zero] if zero else [])], [f"{y}_q"], **attributes),
        node("DequantizeLinear", [f"{y}_q", scale, *([zero] if zero else [])], [y]),
    ]


HEAD, TAIL = quantised("x", "a"), quantised("c", "y", "sy", "zy")


def test_input_quantised_twice(rng):
    c = constants(rng) | {"s1": np.float32(0.2), "z1": np.uint8(128), "s": np.float32(0.041), "z": np.int8(-3)}
    nodes = [
        *quantised("x", "b", "s1", "z1"),
        *quantised("b", "a"),
        node("DequantizeLinear", ["w", "sw"], ["v"], axis=0),
    ]
    compiled = check(build([*nodes, node("Conv", ["a", "v"], ["c"]), *TAIL], c, (4, 8, 8)), f32(rng, 2, 4, 8, 8))
    assert [n.op for n in compiled.nodes] == ["table", "conv"]


def test_types_without_zero_points(rng):
    """``output_dtype`` of operator set 21, and a DequantizeLinear that leaves the zero point of int8 out."""
    c = constants(rng)
    nodes = [
        node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=TensorProto.INT8),
        node("DequantizeLinear", ["q", "s"], ["a"]),
        node("DequantizeLinear", ["w", "sw"], ["v"], axis=0),
        node("Conv", ["a", "v"], ["c"]),
        *quantised("c", "y", "sy", "", output_dtype=TensorProto.INT8),
    ]
    check(build(nodes, c, (4, 8, 8), 21), f32(rng, 2, 4, 8, 8))
    c |= {"z": np.int8(0)}
    nodes[0] = node("QuantizeLinear", ["x", "s", "z"], ["q"])
    nodes[4] = node("QuantizeLinear", ["c", "sy", "z"], ["y_q"])
    check(build(nodes, c, (4, 8, 8)), f32(rng, 2, 4, 8, 8))


def _moves(rng, c):
    """Ways in which exporters bring weights (8, 4, 3, 3) into place behind DequantizeLinear."""
    c |= {"shape": np.array([8, 4, 3, 3]), "hwio": c["w"].transpose(2, 3, 1, 0).copy(), "flat": c["w"].reshape(8, -1)}
    c |= {
        "order": rng.permutation(8),
        "inverse": np.zeros(8, np.int64),
        "mask": (rng.random(c["w"].shape) > 0.5).astype(np.float32),
    }
    c["shuffled"], c["ss"] = c["w"][c["order"]], c["sw"][c["order"]]
    c["inverse"] = np.argsort(c["order"])
    c |= {
        "k": rng.uniform(0.5, 2, (8, 1, 1, 1)).astype(np.float32) * rng.choice([-1, 1], (8, 1, 1, 1)).astype(np.float32)
    }
    c |= {"upper": c["w"][:3], "lower": c["w"][3:], "su": c["sw"][:3], "sl": c["sw"][3:]}
    c |= {
        "big": np.concatenate([c["w"], c["w"]], 2),
        "start": np.array([3]),
        "stop": np.array([6]),
        "axis": np.array([2]),
    }
    c |= {"five": c["w"][None], "sone": np.float32(0.002), "zero": np.array([0])}

    def dequantised(w, scales, y, axis=0):
        return node("DequantizeLinear", [w, scales], [y], axis=axis)

    return {
        "Transpose": [dequantised("hwio", "sw", "d", 3), node("Transpose", ["d"], ["v"], perm=[3, 2, 0, 1])],
        "Reshape": [dequantised("flat", "sw", "d"), node("Reshape", ["d", "shape"], ["v"])],
        "Gather": [dequantised("shuffled", "ss", "d"), node("Gather", ["d", "inverse"], ["v"])],
        "Concat": [
            dequantised("upper", "su", "d"), dequantised("lower", "sl", "e"), node("Concat", ["d", "e"], ["v"], axis=0),
        ],
        "Slice": [dequantised("big", "sw", "d"), node("Slice", ["d", "start", "stop", "axis"], ["v"])],
        "Split": [dequantised("big", "sw", "d"), node("Split", ["d"], ["e", "v"], axis=2)],
        "Squeeze": [dequantised("five", "sw", "d", 1), node("Squeeze", ["d", "zero"], ["v"])],
        "Cast": [
            dequantised("w", "sone", "d"), node("Cast", ["d"], ["e"], to=TensorProto.DOUBLE),
            node("Cast", ["e"], ["v"], to=TensorProto.FLOAT),
        ],
        "mask": [dequantised("w", "sw", "d"), node("Mul", ["mask", "d"], ["v"])],
        "factor": [dequantised("w", "sw", "d"), node("Mul", ["d", "k"], ["v"])],
        "divisor": [dequantised("w", "sw", "d"), node("Div", ["d", "k"], ["v"])],
    }  # fmt: skip


def test_weights_moved_behind_dequantizelinear(rng):
    c = constants(rng)
    for name, moves in _moves(rng, c).items():
        print(name)
        data = build([*HEAD, *moves, node("Conv", ["a", "v"], ["c"], name="conv"), *TAIL], c, (4, 8, 8))
        compiled = check(data, f32(rng, 2, 4, 8, 8))
        assert compiled.info["layers"]["conv"]["rules"] == {"given by the file": 8}
        assert compiled.info["layers"]["conv"]["output_scale"] == "file"
        wanted = c["big"][:, :, 3:6] if name in ("Slice", "Split") else c["w"]
        assert set(np.abs(np.unique(compiled.layers[0].plan.weights))) <= {0, *np.abs(np.unique(wanted))}


def test_depthwise_weights_as_tf2onnx_writes_them(rng):
    c = constants(rng) | {"w": rng.integers(-127, 128, (3, 3, 8, 1)).astype(np.int8), "shape": np.array([8, 1, 3, 3])}
    nodes = [
        *HEAD,
        node("DequantizeLinear", ["w", "sw"], ["d"], axis=2),
        node("Transpose", ["d"], ["e"], perm=[3, 2, 0, 1]),
        node("Reshape", ["e", "shape"], ["v"]),
        node("Conv", ["a", "v"], ["c"], group=8),
    ]
    check(build([*nodes, *TAIL], c, (8, 8, 8)), f32(rng, 2, 8, 8, 8))


def test_changed_weights_are_quantised_anew_and_said_so(rng):
    c = constants(rng) | {"k": f32(rng, 8, 1, 1, 1)}
    nodes = [*HEAD, node("DequantizeLinear", ["w", "sw"], ["d"], axis=0), node("Add", ["d", "k"], ["v"], name="shift")]
    data = build([*nodes, node("Conv", ["a", "v"], ["c"], name="conv"), *TAIL], c, (4, 8, 8))
    with pytest.warns(UserWarning, match="Conv node 'conv': Add node 'shift' changes the file's quantised weights"):
        graph = import_onnx(data)
    assert all(n.given is None for n in graph.nodes)


def test_batch_norm_behind_a_quantised_convolution(rng):
    """It only changes how sums are rescaled, also where it turns the sign, or forgets a filter."""
    c = constants(rng) | {"sw": np.geomspace(1e-4, 1e-1, 8).astype(np.float32)}
    c |= {
        "g": rng.uniform(0.5, 1.5, 8).astype(np.float32) * rng.choice([-1, 1], 8).astype(np.float32),
        "b": f32(rng, 8),
    }
    c |= {"m": f32(rng, 8) * c["sw"] * 300, "v2": (c["sw"] * 450) ** 2, "sy": np.float32(4 / 255)}
    c["g"][3], c["w"][5, 0, 0, 0] = 0, -128
    nodes = [
        *HEAD,
        node("DequantizeLinear", ["w", "sw"], ["v"], axis=0),
        node("Conv", ["a", "v"], ["f"]),
        node("BatchNormalization", ["f", "g", "b", "m", "v2"], ["n"], epsilon=1e-12),
        node("Relu", ["n"], ["c"]),
    ]
    compiled = check(
        build([*nodes, *quantised("c", "y", "sy", "z0")], c | {"z0": np.uint8(0)}, (4, 8, 8)), f32(rng, 4, 4, 8, 8)
    )
    assert len(compiled.layers) == 1


@pytest.mark.parametrize("kind", ["INT4", "UINT4"])
def test_four_bit_weights(rng, kind):
    low = 0 if kind == "UINT4" else -8
    values, dtype = rng.integers(low, low + 16, 288), getattr(TensorProto, kind)
    c = constants(rng) | {"w": helper.make_tensor("w", dtype, [8, 4, 3, 3], values.tolist())}
    c |= {"zw": helper.make_tensor("zw", dtype, [8], rng.integers(low, low + 16, 8).tolist()), "sw": c["sw"] * 20}
    nodes = [*HEAD, node("DequantizeLinear", ["w", "sw", "zw"], ["v"], axis=0), node("Conv", ["a", "v"], ["c"])]
    check(build([*nodes, *TAIL], c, (4, 8, 8), 21), f32(rng, 2, 4, 8, 8))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_qcdq(rng, bits):
    """Brevitas: Clip between QuantizeLinear and DequantizeLinear, on weights and on activations."""
    top = 2 ** (bits - 1)
    c = constants(rng) | {"low": np.int8(1 - top), "high": np.int8(top - 1)}
    c |= {
        "s": np.float32(3 / top),
        "z": np.int8(0),
        "zy": np.int8(0),
        "sy": np.float32(0.03 * 128 / top),
        "sw": c["sw"] * 127 / top,
    }

    def clipped(x, y, scale, zero):
        return [
            node("QuantizeLinear", [x, scale, zero], [f"{y}_q"]),
            node("Clip", [f"{y}_q", "low", "high"], [f"{y}_c"]),
            node("DequantizeLinear", [f"{y}_c", scale, zero], [y]),
        ]

    nodes = [
        *clipped("x", "a", "s", "z"),
        node("Clip", ["w", "low", "high"], ["wc"]),
        node("DequantizeLinear", ["wc", "sw"], ["v"], axis=0),
        node("Conv", ["a", "v"], ["c"]),
        *clipped("c", "y", "sy", "zy"),
    ]
    compiled = check(build(nodes, c, (4, 8, 8)), f32(rng, 2, 4, 8, 8), share=0.02)
    assert [n.op for n in compiled.nodes] == (["clip", "conv"])
    assert np.abs(compiled.layers[0].plan.weights).max() <= top - 1


def quant_node(x, y, scale, zero="zero", bits="bits", **attributes):
    return node("Quant", [x, scale, zero, bits], [y], domain=QONNX, **attributes)


def quant_is(x, scale, bits, signed=1, narrow=0):
    """QONNX's definition of Quant."""
    low, high = (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1 - narrow)
    return (np.rint(np.clip(x / scale, low, high)) * scale).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_qonnx(rng, bits):
    w, sw = f32(rng, 8, 4, 1, 1), rng.uniform(2, 4, (8, 1, 1, 1)).astype(np.float32) / 2**bits
    c = {
        "w": w,
        "sw": sw,
        "sx": np.float32(4 / 2**bits),
        "sy": np.float32(8 / 2**bits),
        "zero": np.float32(0),
        "bits": np.float32(bits),
    }
    nodes = [
        quant_node("x", "a", "sx"), quant_node("w", "v", "sw", narrow=1), node("Conv", ["a", "v"], ["r"]),
        node("Relu", ["r"], ["c"]), quant_node("c", "y", "sy", signed=0),
    ]  # fmt: skip
    x = f32(rng, 2, 4, 8, 8)
    a, v = quant_is(x, c["sx"], bits), quant_is(w, sw, bits, narrow=1)
    want = quant_is(np.einsum("nchw,kc->nkhw", a.astype(float), v[:, :, 0, 0]).clip(0), c["sy"], bits, signed=0)
    compiled = check(build(nodes, c, (4, 8, 8)), x, want, share=0.02)
    assert np.abs(compiled.layers[0].plan.weights).max() <= 2 ** (bits - 1) - 1


def test_qonnx_binary_weights_and_truncated_means(rng):
    w = f32(rng, 8, 4, 1, 1)
    c = {"w": w, "sw": np.float32(0.25), "sx": np.float32(1 / 16), "sy": np.float32(1 / 32), "zero": np.float32(0)}
    c |= {"bits": np.float32(8), "more": np.float32(10), "four": np.float32(4)}
    nodes = [
        quant_node("x", "a", "sx", signed=0), node("BipolarQuant", ["w", "sw"], ["v"], domain=QONNX),
        node("Conv", ["a", "v"], ["r"]), quant_node("r", "b", "sy", signed=0),
        node("AveragePool", ["b"], ["p"], kernel_shape=[2, 2], strides=[2, 2]), node("Mul", ["p", "four"], ["m"]),
        node("Trunc", ["m", "sy", "zero", "more", "bits"], ["y"], domain=QONNX, rounding_mode="FLOOR"),
    ]  # fmt: skip
    x = np.abs(f32(rng, 2, 4, 8, 8))
    a = quant_is(x, c["sx"], 8, signed=0).astype(float)
    b = quant_is(np.einsum("nchw,kc->nkhw", a, np.where(w[:, :, 0, 0] >= 0, 0.25, -0.25)), c["sy"], 8, signed=0)
    sums = b.reshape(2, 8, 4, 2, 4, 2).sum((3, 5), dtype=float)
    want = (np.floor(np.rint(sums / c["sy"]) / 4) * c["sy"]).astype(np.float32)
    compiled = check(build(nodes, c, (4, 8, 8)), x, want, share=0)
    assert set(np.unique(compiled.layers[0].plan.weights)) == {-1, 1}


def test_qonnx_refused(rng):
    c = {
        "s": np.float32(0.1),
        "zero": np.float32(0),
        "bits": np.float32(8),
        "many": np.float32(24),
        "w": f32(rng, 4, 4, 1, 1),
    }
    conv = node("Conv", ["a", "w"], ["y"])
    for match, first in (
        ("BipolarQuant.*2 bits or more", node("BipolarQuant", ["x", "s"], ["a"], domain=QONNX)),
        ("rounding_mode = 'FLOOR' of an activation", quant_node("x", "a", "s", rounding_mode="FLOOR")),
        ("an activation of 24 bits.*8 bits", quant_node("x", "a", "s", bits="many")),
    ):
        with pytest.raises(ModelError, match=match):
            import_onnx(build([first, conv], c, (4, 8, 8)))


@pytest.mark.parametrize("largest, warned", [(3, False), (127, True)])
def test_a_float_bias_that_no_scale_resolves_is_said(largest, warned):
    """Weights so coarse that one unit of the sums is ten output steps: multiples help unless the weights fill int8."""
    rng = np.random.default_rng(largest)
    w = rng.integers(-3, 4, (4, 2, 1, 1)).astype(np.int8)
    w[:, 0] = largest
    weights = {
        "s": np.float32(1), "z": np.uint8(0), "w": w, "sw": np.float32(1), "b": np.float32([0.34, 1.27, 5.55, -0.45]),
        "sy": np.float32(0.1), "zy": np.uint8(128),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        node("DequantizeLinear", ["a", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "sw"], ["wd"]),
        node("Conv", ["d", "wd", "b"], ["c"], name="coarse"),
        node("QuantizeLinear", ["c", "sy", "zy"], ["q"]),
        node("DequantizeLinear", ["q", "sy", "zy"], ["y"]),
    ]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        zeroskip.compile(build(nodes, weights, (2, 4, 4)), "tiny")
    assert any("'coarse': its float bias is finer" in str(w.message) for w in said) is warned
