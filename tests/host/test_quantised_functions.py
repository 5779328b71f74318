"""Operators between QuantizeLinear and DequantizeLinear: the file's scales, onnxruntime's results, no step off."""

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, model, node, run_onnx
from test_quantised_import import compile_silently

SHAPE = (4, 6, 5)
ONE = {"Gelu": 20, "Mish": 18, **dict.fromkeys(("Erf", "Exp", "Abs", "Softsign", "Selu", "Celu", "Floor", "Sign"), 17)}
TWO = ("Max", "Min", "Sum", "Sub", "Mul", "Div")
OTHERS = {
    "ReduceMax": {"axes": [2]}, "ReduceMean": {"axes": [1]}, "LRN": {"size": 3}, "InstanceNormalization": {},
    "LayerNormalization": {}, "Gather": {"axis": 1}, "Pow": {},
}  # fmt: skip


def rounded(tensor):
    """Nodes that quantise a tensor and give it back as tensor + "d"."""
    scale = f"s_{tensor}", f"z_{tensor}"
    return [node("QuantizeLinear", [tensor, *scale], [f"{tensor}q"]),
            node("DequantizeLinear", [f"{tensor}q", *scale], [f"{tensor}d"])]  # fmt: skip


def scales(rng, kind):
    limits, found = np.iinfo(kind), {}
    for tensor in "xvo":
        found[f"s_{tensor}"] = np.float32(rng.uniform(0.01, 0.03))
        found[f"z_{tensor}"] = kind(rng.integers(limits.min + 100, limits.max - 100))
    return found


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", [*ONE, *TWO, *OTHERS])
def test_no_step_off(name, kind):
    rng = np.random.default_rng(sum(map(ord, name)))
    own = {"Pow": {"p": np.float32(2)}, "Gather": {"p": np.array([3, 0, 0])}}.get(name, {})
    if name.endswith("Normalization"):
        size = 4 if name.startswith("Instance") else 5
        own = {"p": f32(rng, size) + 2, "r": f32(rng, size)}
    nodes, inputs = rounded("x"), ["xd", *own]
    if name in TWO:
        nodes, inputs = [*nodes, node("Tanh", ["xd"], ["v"]), *rounded("v")], ["xd", "vd"]
    nodes += [node(name, inputs, ["o"], **OTHERS.get(name, {})), *rounded("o")]
    nodes[-1].output[0] = "y"
    x, constants = f32(rng, 16, *SHAPE), own | scales(rng, kind)
    data = model(nodes, constants, SHAPE, opset=ONE.get(name, 17))
    compiled = compile_silently(data)
    got, want = compiled.reference(x), run_onnx(data, x)
    off = np.abs(got - want) > constants["s_o"] / 2
    if name == "Div":  # 0 / 0: zeroskip says 0, onnxruntime anything
        off &= got != 0
    assert not off.any(), f"{np.count_nonzero(off)} of {off.size}"
    assert (compiled.run(GoldenDevice("tiny"), x).outputs == got).all()


@pytest.mark.parametrize(("groups", "per_channel"), [(1, True), (1, False), (2, False)])
def test_transposed_convolution(groups, per_channel):
    """The file's own weights, one phase after the other."""
    rng, filters = np.random.default_rng(groups), 6
    w = rng.integers(-127, 128, (4, filters // groups, 3, 3)).astype(np.int8)
    unit = rng.uniform(0.002, 0.01, filters if per_channel else ()).astype(np.float32)
    weights = {"w8": w, "ws": unit, "b32": rng.integers(-3000, 3000, filters).astype(np.int32)}
    weights |= {"s_x": np.float32(0.02), "z_x": np.uint8(120), "s_o": np.float32(0.05), "z_o": np.uint8(128)}
    weights["bs"] = np.broadcast_to(unit * np.float32(0.02), (filters,)).astype(np.float32)
    nodes = [
        *rounded("x"), node("DequantizeLinear", ["w8", "ws"], ["w"], axis=1),
        node("DequantizeLinear", ["b32", "bs"], ["b"], axis=0),
        node("ConvTranspose", ["xd", "w", "b"], ["o"], strides=[2, 2], pads=[1, 1, 0, 0], group=groups), *rounded("o"),
    ]  # fmt: skip
    nodes[-1].output[0] = "y"
    data, x = model(nodes, weights, SHAPE), f32(rng, 8, *SHAPE)
    compiled = compile_silently(data)
    np.testing.assert_array_equal(compiled.reference(x), run_onnx(data, x))
    (layer,) = compiled.layers
    assert set(np.unique(layer.plan.weights)) - {0} == set(np.unique(w)) - {0}


def test_a_quantised_mask_is_a_number():
    """What compares two quantised tensors is right but where the rounded difference is 0."""
    rng = np.random.default_rng(2)
    nodes = [*rounded("x"), node("Tanh", ["xd"], ["v"]), *rounded("v"), node("Greater", ["xd", "vd"], ["m"])]
    nodes += [node("Where", ["m", "xd", "vd"], ["y"])]
    data, x = model(nodes, scales(rng, np.uint8), SHAPE), f32(rng, 16, *SHAPE)
    compiled = zeroskip.compile(data, "tiny", x)
    got, want = compiled.reference(x), run_onnx(data, x)
    assert (np.abs(got - want) > 0.05).mean() < 0.001
