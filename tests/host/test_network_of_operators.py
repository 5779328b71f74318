"""One small network of many operators: Verilated RTL = cycle model = integer reference, and near onnxruntime."""

import numpy as np
from onnx import TensorProto

import zeroskip as zs
from onnx_models import f32, model, node, run_onnx
from zeroskip.compiler.onnx_import import import_onnx

SEED = 21


def test_network_of_bytes_with_two_outputs():
    """Bytes in; a head of places and one of bytes; normalisations, comparisons, tables between the convolutions."""
    rng = np.random.default_rng(SEED + 1)
    weights = {
        "w": f32(rng, 8, 3, 3, 3, scale=0.3), "v": f32(rng, 8, 8, 3, 3, scale=0.2), "u": f32(rng, 5, 8, 1, 1),
        "k": np.float32(255), "half": np.float32(0.5), "g": np.ones(8, np.float32), "b": f32(rng, 8),
        "s": np.float32(0.04), "z": np.uint8(100),
    }  # fmt: skip
    nodes = [
        node("Cast", ["x"], ["f"], to=1), node("Div", ["f", "k"], ["x1"]), node("Conv", ["x1", "w"], ["a"]),
        node("InstanceNormalization", ["a", "g", "b"], ["n"]), node("Greater", ["n", "half"], ["m"]),
        node("Conv", ["n", "v"], ["c"], pads=[1, 1, 1, 1]), node("LRN", ["c"], ["l"], size=3, alpha=0.1),
        node("Where", ["m", "l", "n"], ["o"]), node("Conv", ["o", "u"], ["p"]),
        node("LogSoftmax", ["p"], ["q"], axis=1), node("ArgMax", ["q"], ["places"], axis=1),
        node("QuantizeLinear", ["p", "s", "z"], ["y"]),
    ]  # fmt: skip
    kinds = {"kind": TensorProto.UINT8, "kind_out": TensorProto.UINT8}
    data, x = model(nodes, weights, (3, 8, 8), **kinds), rng.integers(0, 256, (3, 3, 8, 8), np.uint8)
    options = {"outputs": ["places", "y"], "scale_rule": "max_abs", "per": "channel"}
    compiled = zs.compile(data, "tiny", x, **options)
    want, expected = run_onnx(data, x), compiled.reference(x)
    assert (np.abs(expected["y"].astype(int) - want) > 8).mean() < 0.05
    for kind in ("sim", "model"):
        with zs.open_device(kind, "tiny") as device:
            result = compiled.run(device, x)
        assert result.cycles > 0 and result.outputs.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(result.outputs[name], values)


def test_upsampling_network_of_many_operators():
    """A decoder: transposed convolutions, functions, two-input operators, constants per position, gathered channels."""
    rng = np.random.default_rng(SEED)
    weights = {
        "w": f32(rng, 8, 3, 3, 3, scale=0.3), "t": f32(rng, 8, 4, 3, 3, scale=0.3), "bt": f32(rng, 4),
        "u": f32(rng, 4, 2, 2, 2, scale=0.4), "grid": f32(rng, 1, 1, 12, 12), "i": np.array([3, 0, 0, 2]),
        "one": np.float32(1), "two": np.float32(2), "axes": np.array([1]), "v": f32(rng, 4, 1, 3, 3, scale=0.5),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Gelu", ["a"], ["b"]),
        node("ConvTranspose", ["b", "t", "bt"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
        node("Mish", ["c"], ["d"]),
        node("Mul", ["d", "grid"], ["e"]),
        node("Max", ["d", "e"], ["f"]),
        node("Abs", ["f"], ["g"]),
        node("Add", ["g", "one"], ["h"]),
        node("Div", ["e", "h"], ["j"]),
        node("Gather", ["j", "i"], ["k"], axis=1),
        node("ReduceMax", ["k", "axes"], ["l"], keepdims=1),
        node("Sum", ["k", "l", "grid"], ["m"]),
        node("Conv", ["m", "v"], ["n"], group=4, pads=[1, 1, 1, 1]),
        node("Pow", ["n", "two"], ["o"]),
        node("ConvTranspose", ["o", "u"], ["y"], strides=[2, 2], group=2),
    ]
    data, x = model(nodes, weights, (3, 6, 6), opset=20), f32(rng, 2, 3, 6, 6)
    compiled = zs.compile(data, "tiny", x, scale_rule="max_abs", per="channel")
    want, outputs = run_onnx(data, x), compiled.reference(x)
    np.testing.assert_allclose(import_onnx(data).run(x), want, rtol=1e-3, atol=1e-4)
    assert 10 * np.log10(np.square(want).sum() / np.square(want - outputs).sum()) > 20
    results = []
    for kind in ("sim", "model"):
        with zs.open_device(kind, "tiny") as device:
            results.append(compiled.run(device, x))
    for result in results:
        np.testing.assert_array_equal(result.outputs, outputs)
    assert results[0].cycles == results[1].cycles > 0
    assert [layer.counters for layer in results[0].layers] == [layer.counters for layer in results[1].layers]
