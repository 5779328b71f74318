"""What makes the default weights accurate, each on its own: scales, equalisation, rounding, the warning."""

import copy
import warnings

import numpy as np
import pytest

import zeroskip
from onnx_models import f32, model, node, residual_network
from zeroskip.compiler.deviation import Observer, trials
from zeroskip.compiler.equalise import ChannelObserver, equalisable, equalise, scale_channels
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.quality import warn_if_lost
from zeroskip.compiler.quantise import PLAIN, Rule, calibrate, quantise_weights, weight_scales


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def depthwise_network(rng, spread=1.5):
    """Pointwise, ReLU6, depthwise, pointwise: channels of very different size between the first two."""
    size = np.exp(-np.abs(spread * rng.normal(size=(24, 1, 1, 1)))).astype(np.float32)
    constants = {"a": f32(rng, 24, 8, 1, 1) * size, "b": f32(rng, 24, 1, 3, 3) / size / 8, "c": f32(rng, 8, 24, 1, 1)}
    constants |= {"zero": np.float32(0), "six": np.float32(6)}
    nodes = [
        node("Conv", ["x", "a"], ["p"]),
        node("Clip", ["p", "zero", "six"], ["q"]),
        node("Conv", ["q", "b"], ["d"], group=24, pads=[1, 1, 1, 1]),
        node("Clip", ["d", "zero", "six"], ["e"]),
        node("Conv", ["e", "c"], ["y"]),
    ]
    return model(nodes, constants, (8, 10, 10))


def test_scale_search_beats_the_maximum_on_heavy_tails(rng):
    w = rng.standard_t(4, (16, 512, 3, 3))
    power = rng.uniform(0.1, 2, (1, 4608))

    def error(rule, counts):
        scales = weight_scales(w, rule, "channel", power=counts)
        change = quantise_weights(w, scales) * scales.reshape(-1, 1, 1, 1) - w
        return (np.square(change).reshape(16, -1) * power).sum(axis=1)

    assert (error("mse", power) <= error("max_abs", None) * 1.01).all()
    assert error("mse", power).sum() < 0.97 * error("max_abs", None).sum()
    assert (weight_scales(w[:, :1, :1, :1], "mse") == weight_scales(w[:, :1, :1, :1], "max_abs")).all()


def test_equalisation_changes_nothing_in_float(rng):
    """Through ReLU6, depthwise layers, additions and pools: any positive factors."""
    for data, shape in ((depthwise_network(rng), (8, 10, 10)), (residual_network(rng), (3, 12, 12))):
        graph, images = import_onnx(data), f32(rng, 4, *shape)
        exact = graph.run(images)
        sets = equalisable(graph)
        assert sets
        for one in sets:
            scale_channels(one, np.exp2(rng.integers(-3, 4, graph.shapes[one.tensors[0]][0])).astype(float))
        np.testing.assert_allclose(graph.run(images), exact, rtol=1e-4, atol=1e-4 * np.abs(exact).max())


def test_equalisation_carries_what_was_observed(rng):
    """Moments and ranges that are scaled are those that observing again would find."""
    graph, images = import_onnx(depthwise_network(rng)), f32(rng, 6, 8, 10, 10)
    layers = [n for n in graph.nodes if n.op == "conv"]

    def observed():
        observer, channels = Observer(layers, len(images)), ChannelObserver(graph)
        ranges = calibrate(graph, images, watch=lambda n, v: (observer.observe(n, v), channels.observe(n, v)))
        return observer, channels, ranges

    observer, channels, ranges = observed()
    assert equalise(channels, observer.moments, ranges) > 0
    again, _, seen = observed()
    for name, moments in observer.moments.items():
        np.testing.assert_allclose(moments.mean, again.moments[name].mean, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(moments.products[0], again.moments[name].products[0], rtol=1e-3, atol=1e-2)
    for name, (low, high) in seen.items():  # widened for what other images may show, never narrower
        assert ranges[name][0] <= low + 1e-4 and ranges[name][1] >= high - 1e-4 * high


def test_equalisation_reduces_the_error(rng):
    data = depthwise_network(rng)
    images, others = f32(rng, 24, 8, 10, 10), f32(rng, 24, 8, 10, 10)
    exact, noise = import_onnx(data).run(others), {}
    for on in (False, True):
        compiled = zeroskip.compile(data, "tiny", images, equalise=on)
        assert bool(compiled.info.get("equalised")) == on
        noise[on] = np.square(compiled.reference(others) - exact).mean()
    assert noise[True] < 0.8 * noise[False]


def test_rounding_with_feedback_reduces_the_error_and_keeps_zeros(rng):
    """Inputs that move together, judged on others than were seen; pruned weights stay pruned."""
    w = f32(rng, 12, 16, 3, 3)
    w[rng.random(w.shape) < 0.4] = 0
    mix = rng.normal(size=(16, 5))
    graph = import_onnx(model([node("Conv", ["x", "w"], ["y"])], {"w": w}, (16, 14, 14)))
    conv = graph.nodes[0]

    def images():
        return np.einsum("cm,nmhw->nchw", mix, np.maximum(rng.normal(size=(8, 5, 14, 14)), 0)).astype(np.float32)

    seen, unseen = Observer([conv], 8), Observer([conv], 8)
    for observer in (seen, unseen):
        graph.run(images(), observer.observe)
    for rule in (PLAIN, Rule("percentile", "channel", 97)):
        trial = trials(conv, (rule,), seen.moments["y"])
        chosen = np.zeros(12, int)
        nearest, scales = trial.take(chosen)
        rounded = trial.rounded(chosen)
        errors = [unseen.moments["y"].noise(trial.change(q, scales)).sum() for q in (nearest, rounded)]
        assert errors[1] < 0.7 * errors[0], rule
        assert not rounded[conv.weight == 0].any() and np.abs(rounded.astype(int)).max() <= 127
        inlier = (nearest >= -8) & (nearest <= 7)
        assert (rounded[inlier] >= -8).all() and (rounded[inlier] <= 7).all()


def test_default_weights_warn_of_nothing_and_broken_ones_do(rng):
    data, images = residual_network(rng), f32(rng, 9, 3, 12, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = zeroskip.compile(data, "tiny", images)
        zeroskip.compile(data, "tiny", images, budget=12)  # asked for, measured
    assert plain.info["scale_rule"] == "mse" and plain.info["per"] == "channel"
    with pytest.warns(UserWarning, match=r"lose \d+\.\d dB of output SQNR .* against plain 8-bit .* budget"):
        broken = zeroskip.compile(data, "tiny", images, scale_rule="percentile", per="tensor", percentile=50)
    assert broken.info["sqnr_db"] < broken.info["plain_sqnr_db"] - 6
    with pytest.warns(UserWarning, match="an SQNR of only"):
        warn_if_lost(2.5, None)


def test_the_same_weights_every_time(rng):
    data, images = depthwise_network(rng), f32(rng, 6, 8, 10, 10)
    one, two = (zeroskip.compile(copy.deepcopy(data), "tiny", images) for _ in range(2))
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(a.plan.weights, b.plan.weights)
