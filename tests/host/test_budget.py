"""Scales chosen against accuracy: what is measured, what is chosen, and that the budget holds."""

import math
from collections import Counter

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, model, node, residual_network
from quantised_models import quantise
from zeroskip.compiler.budget import RULES, Layer, filter_cycles, search, sensitivities
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.deviation import Moments, Observer, trials
from zeroskip.compiler.network import reschedule
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.options import Budget
from zeroskip.compiler.quality import sqnr
from zeroskip.compiler.quantise import PLAIN, Rule, calibrate, prune_graph
from zeroskip.errors import InputError
from zeroskip.models.reference import correlate

COARSE = Rule("percentile", "channel", 97)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def data():
    return residual_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 12, 3, 12, 12)


def measured(graph, images, rules):
    layers = [n for n in graph.nodes if n.op == "conv"]
    observer = Observer(layers, len(images))
    calibrate(graph, images, watch=observer.observe)
    return {n.output: trials(n, rules, observer.moments[n.output]) for n in layers}


# -- budgets -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "decibels", "points"),
    [(3, 3, None), ("3dB", 3, None), ("0.5 db", 0.5, None), ("2.5", 2.5, None), ("1%", None, 1), ("0 %", None, 0)],
)
def test_budgets_are_read(text, decibels, points):
    assert Budget.parse(text) == Budget(decibels, points) == Budget.parse(Budget(decibels, points))


@pytest.mark.parametrize("text", ["", "dB", "%", "-1", "nan", "inf", "1e9", "3 dollars", None, [], "1%%"])
def test_other_budgets_are_refused(text):
    with pytest.raises(InputError, match="accepted: decibels"):
        Budget.parse(text)


# -- measuring ---------------------------------------------------------------------------------------
def test_deviation_is_that_of_the_whole_layer(data, images):
    """Random patches tell the error that running the layer with the dequantised weights shows everywhere."""
    graph = import_onnx(data)
    values = {}
    graph.run(images, lambda name, found: values.__setitem__(name, found))
    tried = measured(graph, images, (PLAIN, COARSE))
    for conv in (n for n in graph.nodes if n.op == "conv"):
        trial, a = tried[conv.output], conv.attrs
        x = values[conv.inputs[0]]
        x = x if x.ndim == 4 else x[:, :, None, None]
        geometry = a["stride"], a["padding"], a["dilation"], a["groups"], np.float64
        exact = correlate(x, conv.weight, *geometry) + conv.bias.reshape(1, -1, 1, 1)
        for index in range(2):
            w = trial.weights[index] * trial.scales[index].reshape(-1, 1, 1, 1)
            error = correlate(x, w, *geometry) + conv.bias.reshape(1, -1, 1, 1) - exact
            noise = error.var(axis=(0, 2, 3)).sum() / np.square(exact).mean(axis=(0, 2, 3)).sum()
            assert trial.noise[index].sum() == pytest.approx(noise, rel=0.25), conv.name
            spread = 5 * error.std(axis=(0, 2, 3)) / math.sqrt(trial.moments.count)
            assert (np.abs(trial.mean[index] - error.mean(axis=(0, 2, 3))) < spread + 1e-9).all(), conv.name
        assert trial.noise[0].sum() < trial.noise[1].sum()


def test_sensitivities_predict_the_output_error(data, images):
    """Noise of a layer times its sensitivity is what reaches the output, also at another noise level."""
    graph = import_onnx(data)
    tried = measured(graph, images, (PLAIN, Rule("percentile", "channel", 80), COARSE))
    reach = sensitivities(graph, images, tried)
    assert set(reach) == set(tried) and all(value > 0 for value in reach.values())
    exact = graph.run(images)
    for conv in (n for n in graph.nodes if n.op == "conv"):
        trial, weight, bias = tried[conv.output], conv.weight, conv.bias
        conv.weight = trial.weights[1] * trial.scales[1].reshape(-1, 1, 1, 1)
        conv.bias = bias - trial.mean[1]
        found = 10 ** (-sqnr(exact, graph.run(images)) / 10)
        conv.weight, conv.bias = weight, bias
        assert 0.3 < found / (trial.noise[1].sum() * reach[conv.output]) < 3, conv.name


def test_bias_correction_removes_the_mean_error(rng):
    """A layer with inputs far from zero: coarse weights shift its output, corrected ones do not."""
    weights = {"w": f32(rng, 8, 16, 1, 1)}
    network = model([node("Conv", ["x", "w"], ["y"])], weights, (16, 6, 6))
    images = rng.uniform(2, 3, (20, 16, 6, 6)).astype(np.float32)
    exact = import_onnx(network).run(images)
    shift = {}
    for corrected in (False, True):
        rule = {"scale_rule": "percentile", "adaptive_rounding": False, "bias_correction": corrected}
        with pytest.warns(UserWarning, match="SQNR"):
            compiled = zeroskip.compile(network, "tiny", images, **rule)
        shift[corrected] = np.abs((compiled.reference(images) - exact).mean(axis=(0, 2, 3))).max()
    assert shift[True] < 0.05 * shift[False]


def test_pruning_makes_up_for_the_mean_of_what_is_missing(rng):
    weights = {"w": f32(rng, 8, 16, 1, 1)}
    network = model([node("Conv", ["x", "w"], ["y"])], weights, (16, 6, 6))
    images = rng.uniform(2, 3, (20, 16, 6, 6)).astype(np.float32)
    graph = import_onnx(network)
    exact = graph.run(images)
    prune_graph(graph, 0.5, images)
    assert (graph.nodes[0].weight == 0).mean() == 0.5
    assert np.abs((graph.run(images) - exact).mean(axis=(0, 2, 3))).max() < 1e-4


# -- choosing ----------------------------------------------------------------------------------------
def test_modelled_cycles_follow_the_schedule(rng):
    """Per filter and rule, up to a common factor: cycles of the layer compiled with that rule."""
    w = rng.normal(size=(16, 64, 3, 3)) * np.exp(rng.normal(size=(16, 1, 1, 1)))
    conv = import_onnx(model([node("Conv", ["x", "w"], ["y"])], {"w": w.astype(np.float32)}, (64, 18, 18))).nodes[0]
    trial = trials(conv, (PLAIN, Rule("percentile", "channel", 60), COARSE), Moments(conv))
    plans = [compile_conv("z2", weights, input_shape=(18, 18)) for weights in trial.weights]
    modelled = filter_cycles(plans[0], (18, 18), trial.weights).sum(axis=1)
    steps = np.array([plan.steps for plan in plans])
    assert steps[0] > 1.3 * steps[1] > 1.5 * steps[2]
    np.testing.assert_allclose(modelled / modelled[0], steps / steps[0], rtol=0.1)


def test_a_layer_bound_by_its_output_gains_nothing(rng):
    """1x1 with few channels on 16 work groups: sums leave more slowly than they are made."""
    conv = import_onnx(model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 32, 8, 1, 1)}, (8, 32, 32))).nodes[0]
    trial = trials(conv, RULES, Moments(conv))
    plan = compile_conv("z2", trial.weights[0], input_shape=(32, 32))
    cycles = filter_cycles(plan, (32, 32), trial.weights)
    assert (cycles == cycles[0]).all()


def test_search_takes_the_cheapest_that_holds(rng):
    """Against trying all prices: the loss here is the modelled noise itself, so the optimum is known."""
    layers = []
    for index in range(4):
        conv = import_onnx(model([node("Conv", ["x", "w"], ["y"])], {"w": f32(rng, 8, 4, 1, 1)}, (4, 4, 4))).nodes[0]
        conv.output = f"y{index}"
        noise = np.cumsum(rng.uniform(1e-4, 1e-2, (5, 8)), axis=0)
        layers.append(Layer(conv, None, np.cumsum(rng.uniform(10, 100, (5, 8)), axis=0)[::-1], noise))

    def total(choices, name):
        return sum(getattr(one, name)[choices[one.node.output], np.arange(8)].sum() for one in layers)

    plain, coarse = (sum(one.noise[j].sum() for one in layers) for j in (0, 4))
    for share in (0, 0.1, 0.5, 1):
        budget = share * (coarse - plain)
        choices, loss = search(layers, lambda chosen: total(chosen, "noise") - plain, budget)
        assert loss <= budget and loss == pytest.approx(total(choices, "noise") - plain)
        prices = [{one.node.output: one.choose(price) for one in layers} for price in np.geomspace(1, 1e9, 400)]
        best = min(total(c, "cycles") for c in prices if total(c, "noise") - plain <= budget + 1e-12)
        assert total(choices, "cycles") <= best * 1.03


@pytest.mark.parametrize("decibels", [3, 6])
def test_the_budget_holds_and_saves_cycles(data, images, decibels):
    graph = import_onnx(data)
    exact = graph.run(images)
    plain = zeroskip.compile(data, "z2", images)
    chosen = zeroskip.compile(data, "z2", images, budget=f"{decibels} dB")
    lost = sqnr(exact, plain.reference(images)) - sqnr(exact, chosen.reference(images))
    assert lost == pytest.approx(chosen.info["budget_used"], abs=0.01) and lost <= decibels
    steps = [sum(layer.plan.steps for layer in one.layers) for one in (plain, chosen)]
    assert steps[1] < steps[0]
    result = chosen.run(GoldenDevice("z2"), images)
    assert (result.outputs == chosen.reference(images)).all()
    assert set(chosen.info["layers"]) == {layer.name for layer in chosen.layers}
    for layer in chosen.layers:
        entry = chosen.info["layers"][layer.name]
        assert sum(entry["rules"].values()) == len(layer.plan.weights) and entry["sqnr_db"] > 0
        assert {name: entry[name] for name in ("zero", "non_outlier", "outlier")} == layer.plan.statistics()
        assert entry["predicted_cycles"] > 0
        assert entry["plain_cycles"] == plain.info["layers"][layer.name]["predicted_cycles"]
    dense = reschedule(chosen, mode="dense").info["layers"]
    for name, entry in chosen.info["layers"].items():
        assert dense[name]["rules"] == entry["rules"] and dense[name]["sqnr_db"] == entry["sqnr_db"]
        assert "plain_cycles" not in dense[name] and dense[name]["predicted_cycles"] >= entry["predicted_cycles"]


def test_a_budget_on_zena_buys_zeros(rng):
    """Its engine skips zero weights and knows no outliers: the budget holds, zeros grow, cycles fall."""
    weights = {"v": f32(rng, 32, 16, 3, 3), "w": f32(rng, 32, 32, 3, 3)}
    nodes = [node("Conv", ["x", "v"], ["a"]), node("Relu", ["a"], ["r"]), node("Conv", ["r", "w"], ["y"])]
    network, images = model(nodes, weights, (16, 12, 12)), f32(rng, 6, 16, 12, 12)
    exact = import_onnx(network).run(images)
    plain = zeroskip.compile(network, "zena_tiny", images)
    chosen = zeroskip.compile(network, "zena_tiny", images, budget=12)
    lost = sqnr(exact, plain.reference(images)) - sqnr(exact, chosen.reference(images))
    assert lost == pytest.approx(chosen.info["budget_used"], abs=0.01) and lost <= 12
    zeros = [sum(np.count_nonzero(layer.plan.weights == 0) for layer in one.layers) for one in (plain, chosen)]
    assert zeros[1] > 3 * zeros[0]
    with zeroskip.open_device("model", "zena_tiny") as device:
        results = [one.run(device, images[:1]) for one in (plain, chosen)]
    assert results[1].cycles < 0.98 * results[0].cycles
    assert (results[1].outputs == chosen.reference(images[:1])).all()


@pytest.mark.parametrize(("config", "mode"), [("zena_tiny", "dense"), ("zena_tiny", "AZ"), ("tiny", "dense")])
def test_where_weights_cost_nothing_none_is_coarsened(data, images, config, mode):
    """All rules take the same cycles, so the most accurate wins; of a few images' vectors, by chance a coarse one."""
    chosen = zeroskip.compile(data, config, images, budget=20, mode=mode)
    rules = Counter()
    for entry in chosen.info["layers"].values():
        rules.update(entry["rules"])
    assert rules["mse per channel"] + rules["power_of_two per channel"] >= 0.95 * rules.total()
    assert chosen.info["budget_used"] < 0.5


def test_budgets_and_labels_without_use_are_refused(data, images):
    labels = np.zeros(len(images), int)
    for given, options, message in (
        (None, {"budget": "3dB"}, "without calibration images"),
        (images, {"labels": labels}, "without a budget; accepted: with a budget of accuracy"),
        (images, {"labels": labels, "budget": 3}, "with a budget of 3 dB"),
        (images, {"labels": labels[:-1], "budget": "1%"}, r"accepted: whole numbers \(12,\)"),
    ):
        with pytest.raises(InputError, match=message):
            zeroskip.compile(data, "tiny", given, **options)


def test_a_quantised_network_has_no_use_for_a_budget(data, images):
    with pytest.raises(InputError, match=r"budget 3 dB: .* the file has quantised them"):
        zeroskip.compile(quantise(data, images), "tiny", images, budget=3)


def test_a_budget_of_accuracy_is_kept(data, images):
    with pytest.raises(InputError, match="accepted: whole numbers"):
        zeroskip.compile(data, "tiny", images, budget="5%", labels=np.zeros(3, int))
    labels = import_onnx(data).run(images).argmax(axis=1)
    for given in (labels, None):  # without labels, those of the float network
        chosen = zeroskip.compile(data, "tiny", images, budget="10%", labels=given)
        assert (chosen.reference(images).argmax(axis=1) == labels).mean() >= 0.9
        assert chosen.info["budget"] == "10 %" and chosen.info["budget_used"] <= 10
    # Labels the float network never gives are lost to plain weights, too: nothing holds anything back.
    free = zeroskip.compile(data, "tiny", images, budget="0%", labels=np.full(12, 99))
    assert sum(layer.plan.steps for layer in free.layers) <= sum(layer.plan.steps for layer in chosen.layers)


def test_named_layers_keep_their_rule(data, images):
    chosen = zeroskip.compile(data, "tiny", images, budget=20, scale_rule={"stem": "max_abs"}, per="channel")
    assert chosen.info["layers"]["stem"]["rules"] == {"max_abs per channel": 8}
    assert len(chosen.info["layers"]["strided"]["rules"]) > 1


def test_one_weight_per_filter_stays_plain(rng):
    """A batch norm of its own: every percentile, pruning or clipping would distort whole channels."""
    constants = {"gamma": np.float32([0.001, 1, 50]), "beta": np.float32([0, 0, 0])}
    constants |= {"mean": np.float32([0, 0, 0]), "var": np.float32([1, 1, 1])}
    nodes = [
        node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2]),
        node("BatchNormalization", ["p", "gamma", "beta", "mean", "var"], ["y"]),
    ]
    network, images = model(nodes, constants, (3, 4, 4)), f32(rng, 4, 3, 4, 4)
    for options in ({"prune": 0.5, "clip": 100}, {"budget": 20}):
        compiled = zeroskip.compile(network, "tiny", images, **options)
        assert compiled.layers[0].plan.weights.ravel().tolist() == [127, 127, 127]


def test_rules_describe_themselves():
    assert len(set(map(str, RULES))) == len(RULES)
    assert str(Rule("percentile", "channel", 97, 2)) == "percentile 97 per channel, clip 2"
