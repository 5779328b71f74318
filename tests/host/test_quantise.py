"""Scale rules, calibration, and the integers of a layer."""

import math

import numpy as np
import pytest

from onnx_models import f32, model, node, residual_network
from zeroskip.compiler.graph import Node
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.quantise import (
    activation_quant,
    calibrate,
    clip_bounds,
    conv_integers,
    prune,
    quantise_graph,
    quantise_weights,
    weight_scales,
)
from zeroskip.errors import InputError, ModelError
from zeroskip.runtime.hostops import Quant
from zeroskip.runtime.program import weight_kinds

X, Y = Quant(0.02, 0), Quant(0.1, 0)


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def conv_node(weight, bias=None, **attrs):
    bias = np.zeros(len(weight)) if bias is None else np.asarray(bias, float)
    return Node("conv", "layer7", ["x"], "y", attrs, np.asarray(weight, float), bias, "Conv")


def integers(node, x=X, y=Y, rule="max_abs", per="tensor", percentile=97, clip=0):
    return conv_integers(node, x, y, weight_scales(node.weight, rule, per, percentile), clip=clip)


# -- weights -----------------------------------------------------------------------------------------
def test_max_abs_reaches_127_and_never_saturates(rng):
    w = rng.normal(size=(5, 4, 3, 3)) * np.arange(1, 6)[:, None, None, None]
    q = quantise_weights(w, weight_scales(w, "max_abs", "channel"))
    assert (np.abs(q).reshape(5, -1).max(axis=1) == 127).all()
    q = quantise_weights(w, weight_scales(w, "max_abs", "tensor"))
    assert np.abs(q).max() == 127 and len(set(weight_scales(w, "max_abs", "tensor"))) == 1


def test_power_of_two_is_the_smallest_that_holds_all(rng):
    for w in (rng.normal(size=(3, 2, 1, 1)), np.full((1, 1, 1, 1), 127.0), np.full((1, 1, 1, 1), 127.1)):
        for scale, row in zip(weight_scales(w, "power_of_two", "channel"), w, strict=True):
            assert math.frexp(scale)[0] == 0.5
            assert np.abs(row).max() <= 127 * scale and np.abs(row).max() > 127 * scale / 2


@pytest.mark.parametrize("share", [0.0, 0.5, 0.7])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_percentile_leaves_few_outliers_at_any_pruning(rng, share, per):
    """models: max_abs has mostly outliers and, once pruned, no non-outliers at all; percentile about 3 %."""
    w = prune(rng.normal(size=(16, 16, 3, 3)), share)
    kinds = weight_kinds(quantise_weights(w, weight_scales(w, "percentile", per, 97)))
    assert kinds["outlier"] <= 0.03 * (1 - share)
    assert kinds["zero"] >= share and kinds["non_outlier"] >= 0.85 * (1 - share)
    plain = weight_kinds(quantise_weights(w, weight_scales(w, "max_abs", per)))
    assert plain["outlier"] > 0.7 * (1 - share)


def test_percentile_is_of_the_non_zero_weights():
    w = np.zeros((1, 100, 1, 1))
    w[0, :10, 0, 0] = np.arange(1, 11)
    assert weight_scales(w, "percentile", "tensor", 50).tolist() == [5.5 / 7]
    assert weight_scales(w, "percentile", "tensor", 100).tolist() == [10 / 7]


def test_unknown_rule():
    with pytest.raises(InputError, match="accepted: mse, max_abs, power_of_two, percentile"):
        weight_scales(np.ones((1, 1, 1, 1)), "best")


def test_prune_takes_the_smallest(rng):
    w = rng.normal(size=(4, 5, 3, 3))
    pruned = prune(w, 0.6)
    assert np.count_nonzero(pruned == 0) == 108
    assert np.abs(w[pruned == 0]).max() < np.abs(w[pruned != 0]).min()
    assert (pruned[pruned != 0] == w[pruned != 0]).all() and prune(w, 0) is w


# -- a layer -----------------------------------------------------------------------------------------
def test_layer_approximates_the_float_layer(rng):
    """For every rule: integer result times scale is the real result, within its rounding errors."""
    w, bias = rng.normal(size=(6, 40)), rng.normal(size=6)
    real = rng.uniform(0, 5, (100, 40))
    q = X.quantise(real).astype(np.int64)
    for rule, per in (("max_abs", "tensor"), ("max_abs", "channel"), ("power_of_two", "channel")):
        weights, arrays = integers(conv_node(w[:, :, None, None], bias), rule=rule, per=per)
        total = q @ weights[:, :, 0, 0].T.astype(np.int64) + arrays["bias"]
        y = total * arrays["multiplier"].astype(float) / 2.0 ** arrays["shift"] * Y.scale
        scales = weight_scales(w[:, :, None, None], rule, per)
        bound = (
            (scales / 2 * real.sum(axis=1, keepdims=True)) + X.scale / 2 * np.abs(w).sum(axis=1) + X.scale * scales * 25
        )
        assert (np.abs(y - (real @ w.T + bias)) <= bound).all()
        assert arrays["bias"].dtype == arrays["multiplier"].dtype == np.int32 and arrays["shift"].dtype == np.int8


def test_filter_without_weights_keeps_its_bias():
    w = np.zeros((3, 2, 1, 1))
    w[0] = 1
    for per in ("tensor", "channel"):
        _, arrays = integers(conv_node(w, [0.0, 3.14159, -2.5]), per=per)
        real = arrays["bias"] * arrays["multiplier"].astype(float) / 2.0 ** arrays["shift"] * Y.scale
        assert real[1:] == pytest.approx([3.14159, -2.5], abs=X.scale * 0.01)


def test_huge_bias_next_to_tiny_weights_still_fits():
    weights, arrays = integers(conv_node(np.full((1, 4, 1, 1), 1e-9), [1000.0]), per="channel")
    assert arrays["bias"].item() <= 2**30 and not weights.any()
    real = arrays["bias"] * arrays["multiplier"].astype(float) / 2.0 ** arrays["shift"] * Y.scale
    assert real == pytest.approx([1000.0])


def test_sums_beyond_32_bits_are_refused():
    wide = Quant(0.001, 0, "int16")
    node = conv_node(np.ones((2, 520, 1, 1)))
    integers(node)
    with pytest.raises(ModelError, match=r"Conv node 'layer7': a sum could reach 2163\d+; accepted: below"):
        integers(node, x=wide)


def test_scales_too_far_apart_are_refused():
    with pytest.raises(ModelError, match=r"'layer7'.*below 2\*\*30"):
        integers(conv_node(np.ones((1, 1, 2, 2))), x=Quant(1e9, 0), y=Quant(1e-9, 0))


def test_clipping_applies_equation_1():
    w = np.array([127, 11, 10, 9, 8, 7, -8, -9, -10, -11, 1.0]).reshape(1, -1, 1, 1)
    assert integers(conv_node(w), clip=2)[0].ravel().tolist() == [127, 11, 10, 7, 7, 7, -8, -8, -8, -11, 1]


def test_clip_bounds():
    node = conv_node(np.ones((1, 1, 1, 1)), clip=(0.0, 6.0))
    assert clip_bounds(node, Quant(0.1, 10)) == {"low": 10, "high": 70}
    assert clip_bounds(node, Quant(0.01, 0)) == {"low": 0, "high": 255}
    assert clip_bounds(conv_node(np.ones((1, 1, 1, 1))), Quant(0.1, 0, "int16")) == {"low": -32767, "high": 32767}


# -- activations -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("low", "high"), [(0, 4), (-1, 3), (-7, 0), (-0.003, 0.001), (0, 0), (-1e-20, 1e20)])
def test_activation_quant_holds_the_range_and_zero(low, high):
    for dtype in ("uint8", "int16"):
        quant = activation_quant(low, high, dtype)
        q = quant.quantise(np.array([low, high, 0.0]))
        assert q[2] == quant.zero_point
        if high > low:
            assert quant.dequantise(q) == pytest.approx([low, high, 0], abs=0.51 * quant.scale)
    assert activation_quant(0, 4, "uint8").zero_point == 0
    assert activation_quant(-7, 0, "uint8").zero_point == 255


def test_calibration_sees_every_tensor_in_batches(rng):
    graph = import_onnx(residual_network(rng))
    images = f32(rng, 21, 3, 12, 12)
    whole = calibrate(graph, images, batch=21)
    parts = calibrate(graph, images, batch=4)
    assert set(whole) == {graph.input, *(node.output for node in graph.nodes)}
    for name, span in whole.items():
        assert parts[name] == pytest.approx(span, rel=1e-5)
    assert whole["x"] == (pytest.approx(images.min()), pytest.approx(images.max()))
    assert whole["r1"][0] == 0 < whole["r1"][1]
    cut = calibrate(graph, images, 99.0)
    assert 0 < cut["r1"][1] < whole["r1"][1]


def test_calibration_refuses_overflow(rng):
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Conv", ["c", "w"], ["y"])]
    graph = import_onnx(model(nodes, {"w": np.full((2, 2, 1, 1), 1e30)}, (2, 4, 4)))
    with pytest.raises(ModelError, match="overflows float32"):
        calibrate(graph, f32(rng, 2, 2, 4, 4))


def test_the_output_is_wide_unless_it_is_also_hidden(rng):
    weights = {"w": f32(rng, 4, 4, 1, 1)}

    def types(nodes):
        graph = import_onnx(model(nodes, weights, (4, 4, 4)))
        quants = quantise_graph(graph, calibrate(graph, f32(rng, 4, 4, 4, 4)), "uint8")
        return {name: quant.dtype for name, quant in quants.items()}

    conv = node("Conv", ["x", "w"], ["c"])
    pool = node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2])
    assert types([conv, pool]) == {"x": "uint8", "c": "int16", "y": "int16"}
    assert types([conv, node("Conv", ["c", "w"], ["y"])]) == {"x": "uint8", "c": "uint8", "y": "int16"}
    both = [conv, node("MaxPool", ["c"], ["p"], kernel_shape=[1, 1]), node("Conv", ["p", "w"], ["d"])]
    assert types([*both, node("Add", ["c", "d"], ["y"])]) == {
        "x": "uint8",
        "c": "uint8",
        "p": "uint8",
        "d": "uint8",
        "y": "int16",
    }
    assert types([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])]) == {"x": "uint8", "y": "uint8"}
