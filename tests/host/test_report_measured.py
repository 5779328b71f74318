"""From measured results to a report: where the cycles went, what weights are like, what the network is."""

import json
from itertools import pairwise

import numpy as np
import pytest

import zeroskip
from onnx_models import f32, model, node, residual_network
from report_page import Page
from reports import layer, report_data
from zeroskip.compiler.network import reschedule
from zeroskip.engines import ENGINES
from zeroskip.report import Report, build, render
from zeroskip.report.data import bins
from zeroskip.report.file import to_json
from zeroskip.report.measured import accuracy, configuration, graph, histogram, measured_run, rules_text


@pytest.fixture
def data():
    return report_data()


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 3, 3, 12, 12)


@pytest.mark.parametrize("config", ["tiny", "kang", "gather_tiny", "zena_tiny", "zena8"])
def test_a_measured_network(config, images):
    """Every mode of every engine: bands add up to the counter, and page and JSON take what comes."""
    compiled = zeroskip.compile(residual_network(np.random.default_rng(0)), config, images)
    runs = []
    with zeroskip.open_device("model", config) as device:
        for mode in ENGINES[compiled.config.engine].modes:
            one = reschedule(compiled, mode=mode)
            result = one.run(device, images)
            runs.append(measured_run(one, "model", result))
            for layer, found in zip(runs[-1].layers, result.layers, strict=True):
                assert all(cycles >= 0 for cycles in layer.bands.values())
                assert sum(layer.bands.values()) == pytest.approx(found.counters.cycles, rel=1e-12)
                assert (layer.bytes_in, layer.bytes_out) == (8 * found.counters.beats_in, 8 * found.counters.beats_out)
    report = Report("net", len(images), configuration(compiled), tuple(runs), graph=graph(compiled))
    assert build(json.loads(json.dumps(to_json(report)))) == report
    page = Page(render(report))
    assert all(layer.name in " ".join(page.text) for layer in runs[0].layers)
    words = " ".join(page.text)
    assert ("WAZ+KA" in words) == (report.engine.name == "zena")
    assert ("activation skip" in words) == report.engine.activation_skip
    for layer, found in zip(report.best.layers, compiled.layers, strict=True):
        assert layer.rule == next(iter(compiled.info["layers"][layer.name]["rules"]))
        assert layer.sqnr_db == compiled.info["layers"][layer.name]["sqnr_db"]
        assert sum(layer.histogram) == found.plan.weights.size
        assert 0.4 < layer.predicted_cycles / layer.cycles < 2.5


def test_cycles_never_stand_without_what_the_answers_are_worth():
    """Counted answers, else the compiler's SQNR, else that nothing was measured."""
    found = {"sqnr_db": 23.14, "plain_sqnr_db": 25.0}
    assert accuracy(found) == {
        "output SQNR": "23.1 dB (against the float network, calibration images)",
        "output SQNR, plain 8-bit weights": "25.0 dB (the same images)",
    }
    assert accuracy(found, measured=True) == accuracy(found)
    assert list(accuracy({"sqnr_db": 3.0})) == ["output SQNR"]
    assert accuracy({})["accuracy"].startswith("not measured") and accuracy({}, measured=True) == {}


def one_layer(rng, config, mode, w, x):
    """A convolution alone: its layer of a report, its counters, and its integer weights."""
    network = model([node("Conv", ["x", "w"], ["y"])], {"w": w}, x.shape[1:])
    rule = {"scale_rule": "percentile", "per": "tensor"}  # which leaves weights of every kind
    compiled = zeroskip.compile(network, config, x, mode=mode, activation_skip=False, **rule)
    with zeroskip.open_device("model", config) as device:
        result = compiled.run(device, x)
    (layer,) = measured_run(compiled, "model", result).layers
    return layer, result.layers[0].counters, compiled.layers[0].plan.weights


@pytest.mark.parametrize("mode", ENGINES["trident"].modes)
@pytest.mark.parametrize("config", ["tiny", "gather_tiny"])
def test_useful_cycles_of_schedules_are_those_of_non_zero_weights(config, mode):
    """16 filters, 8 lanes, 2 work groups, 64 pixels: counted from the weights, whatever the schedule is."""
    rng = np.random.default_rng(3)
    w = f32(rng, 16, 16, 3, 3) * (rng.random((16, 16, 3, 3)) < 0.4)
    layer, counters, q = one_layer(rng, config, mode, w.astype(np.float32), f32(rng, 1, 16, 10, 10))
    outliers, others = np.count_nonzero((q < -8) | (q > 7)), np.count_nonzero((q >= -8) & (q <= 7) & (q != 0))
    pairs = counters.pairs if mode == "combined" else 0
    assert layer.useful_cycles == pytest.approx(((outliers + others) * 32 - pairs) / 8)
    if mode == "combined":
        assert pairs > 0.25 * others * 32
    assert layer.ideal_cycles <= layer.useful_cycles <= counters.busy <= layer.cycles


def test_useful_cycles_of_zena_are_its_products_of_non_zeros():
    rng = np.random.default_rng(3)
    w = f32(rng, 16, 32, 3, 3) * (rng.random((16, 32, 3, 3)) < 0.4)
    for mode in ENGINES["zena"].modes:
        layer, counters, _ = one_layer(rng, "zena_tiny", mode, w.astype(np.float32), f32(rng, 1, 32, 10, 10))
        assert layer.useful_cycles <= counters.multiplies / 16 <= counters.busy
        if mode.startswith("WAZ"):  # nothing else is multiplied, where tiles do not reach beyond the map
            assert layer.useful_cycles == pytest.approx(counters.multiplies / 16, rel=0.05)


def test_bound_says_what_the_layer_waits_for(data):
    limits = []
    for busy, stall_input, stall_output in ((90, 10, 0), (89, 11, 0), (60, 15, 25), (0, 0, 0)):
        row = layer("a", 0)
        row["counters"] |= {"cycles": busy + stall_input + stall_output, "busy": busy}
        row["counters"] |= {"stall_input": stall_input, "stall_output": stall_output}
        data["runs"] = [data["runs"][0] | {"layers": [row | {"useful_cycles": 0}]}]
        limits.append(build(data).runs[0].layers[0].bound)
    assert limits == ["compute", "input", "output", "compute"]


def test_rules_of_a_layer_in_a_line():
    assert rules_text({}) == "" and rules_text({"rules": {"max_abs per channel": 7}}) == "max_abs per channel"
    counts = {"a": 1, "b": 9, "c": 2, "d": 5, "e": 1}
    assert rules_text({"rules": counts}) == "9 b, 5 d, 2 c, 2 others"
    assert rules_text({"rules": counts | {"e": 0}}) == "9 b, 5 d, 2 c, 1 other"


@pytest.mark.parametrize("bits", [8, 16])
def test_histograms_count_by_bits(bits):
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    values = np.random.default_rng(4).integers(low, high + 1, 5000, dtype=f"int{bits}")
    values[:200], values[200:202] = 0, (low, high)
    spans = bins(2 * bits)
    assert spans[0][0] == low and spans[-1][1] == high and (0, 0) in spans
    assert all(before[1] + 1 == after[0] for before, after in pairwise(spans))
    assert histogram(values, bits) == tuple(((values >= a) & (values <= b)).sum() for a, b in spans)
    assert {(a, b) for a, b in spans if a >= -8 and b <= 7} >= {(-8, -5), (4, 7)}


def test_graph_of_a_network(images):
    compiled = zeroskip.compile(residual_network(np.random.default_rng(0)), "tiny", images)
    steps = graph(compiled)
    assert [step.where for step in steps].count("engine") == len(compiled.layers)
    assert steps[0].reads == (-1,) and max(len(step.reads) for step in steps) == 2
    for place, (step, found) in enumerate(zip(steps, compiled.nodes, strict=True)):
        assert all(source < place for source in step.reads)
        assert [compiled.nodes[s].output if s >= 0 else compiled.input for s in step.reads] == list(found.inputs)
        assert step.output.startswith("x".join(map(str, compiled.tensors[found.output].shape)))


def test_other_engines_count_as_trident_does(data):
    data["config"] |= {"engine": "gather"}
    report = build(data)
    assert "mux" not in report.all_conditions["configuration"] and "two non-outliers" in report.bound_text
    assert "activation skip" in render(report)
