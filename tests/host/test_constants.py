"""Functions of constants are computed at import: every operator that may stand there, against onnxruntime."""

import numpy as np
import pytest
from onnx import numpy_helper

from onnx_models import f32, model, node, run_onnx
from zeroskip.compiler.onnx_constants import foldable
from zeroskip.compiler.onnx_import import import_onnx

I64 = np.int64
CONSTANTS = {
    "Add": (["a", "b"], {}), "Sub": (["a", "b"], {}), "Mul": (["a", "b"], {}), "Div": (["a", "b"], {}),
    "Pow": (["p", "b"], {}), "Sqrt": (["p"], {}), "Exp": (["a"], {}), "Neg": (["a"], {}), "Reciprocal": (["p"], {}),
    "Floor": (["a"], {}), "Ceil": (["a"], {}), "Identity": (["a"], {}), "Cast": (["h"], {"to": 1}),
    "Concat": (["a", "b"], {"axis": 0}), "Flatten": (["a"], {}), "Reshape": (["a", "shape"], {}),
    "Transpose": (["m"], {}), "Squeeze": (["row", "first"], {}), "Unsqueeze": (["a", "first"], {}),
    "Slice": (["a", "first", "two"], {}), "Split": (["a"], {"axis": 0}), "Gather": (["a", "two"], {}),
    "Expand": (["a", "shape"], {}), "Size": (["a"], {}), "Shape": (["a"], {}), "ReduceProd": (["a"], {"keepdims": 0}),
    "Equal": (["a", "b"], {}), "Greater": (["a", "b"], {}), "Less": (["a", "b"], {}), "Where": (["c", "a", "b"], {}),
    "Sign": (["a"], {}), "Abs": (["a"], {}), "Round": (["a"], {}), "Clip": (["a", "p1"], {}), "Max": (["a", "b"], {}),
    "MatMul": (["m", "a"], {}), "ReduceMean": (["m"], {"axes": [1], "keepdims": 0}), "Pad": (["a", "two_pads"], {}),
    "Einsum": (["m", "a"], {"equation": b"ij,j->i"}), "CumSum": (["a", "zero"], {}), "Tanh": (["a"], {}),
    "LayerNormalization": (["m", "b"], {}), "Softmax": (["a"], {}),
    "ConstantOfShape": (["two"], {"value": numpy_helper.from_array(np.float32([2.5]))}),
    "Range": (["low", "high", "step"], {}), "Tile": (["a", "two"], {}),
    "Constant": ([], {"value_float": 1.25}), "QuantizeLinear": (["a", "p1"], {}),
}  # fmt: skip
"""Operator -> inputs and attributes, on the constants of :func:`test_constants_are_computed`."""


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_constants_are_computed(name):
    """A function of constants, added to the input: every element of its result to a channel of its own."""
    rng = np.random.default_rng(sum(map(ord, name)))
    weights = {"a": f32(rng, 4), "b": f32(rng, 4), "p": rng.uniform(1, 2, 4).astype(np.float32), "m": f32(rng, 3, 4)}
    weights |= {"h": rng.normal(size=4), "row": f32(rng, 1, 4), "c": np.array([True, False, True, True])}
    weights |= {
        "shape": I64([2, 1, 4]) if name == "Expand" else I64([2, 2]),
        "first": I64([0]),
        "two": I64([2]),
        "two_pads": I64([2, 1]),
        "zero": I64(0),
    }
    weights |= {"p1": np.float32(0.125), "column": I64([-1, 1]), "low": I64(7), "high": I64(-2), "step": I64(-3)}
    weights["b"][1] = weights["a"][1]
    inputs, attributes = CONSTANTS[name]
    results = ["k", "k2"] if name == "Split" else ["k"]
    nodes = [node(name, inputs, results, **attributes), node("Cast", [results[-1]], ["r"], to=1)]
    if name == "QuantizeLinear":
        nodes[1] = node("DequantizeLinear", ["k", "p1"], ["r"])
    nodes += [node("Reshape", ["r", "column"], ["y"])]
    result = run_onnx(model(nodes, weights, (1,)), f32(rng, 1, 1))
    nodes[-1].output[0] = "offset"
    shape = (len(result), 3)
    data, x = model([*nodes, node("Add", ["x", "offset"], ["y"])], weights, shape), f32(rng, 2, *shape)
    assert np.abs(result).max() > 0
    np.testing.assert_allclose(run_onnx(data, x), x + result, rtol=1e-5)
    np.testing.assert_allclose(import_onnx(data).run(x), x + result, rtol=1e-5, atol=1e-6)


def test_random_operators_and_branches_are_not_constants():
    assert all(map(foldable, CONSTANTS))
    assert not any(map(foldable, ["RandomNormal", "Multinomial", "If", "Loop", "Invented"]))
