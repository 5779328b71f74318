"""The demo on one image, and the trained network that comes with the package."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest

import zeroskip as zs
from zeroskip import cli, commands, demo
from zeroskip.demo import BUDGET
from zeroskip.examples import digits
from zeroskip.report import load


def test_demo(tmp_path, capsys):
    assert cli.main(["demo", "--images", "1", "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    report = load(tmp_path / "out" / "demo.json")
    assert [ok for _, ok in report.checks] == [True] * 3
    dense, zero_skip, combined, skipping = (run.total.cycles for run in report.runs)
    assert dense > 2 * zero_skip > 2 * combined >= 2 * skipping > 0
    assert float(report.accuracy["accuracy, 8-bit integers"].split()[0]) > 98.5
    assert "conv6" in out and f"{dense:,}" in out and str(tmp_path / "out" / "demo.html") in out
    assert "conv6" in (tmp_path / "out" / "demo.html").read_text()


@pytest.mark.parametrize("kind", ["sim", "model"])
def test_a_difference_is_found_and_exits_with_1(kind):
    """One wrong output bit, or one wrong count in one layer, fails the check that is about it, and only that."""
    images = digits.load().test[:1]
    model = zs.compile(digits.MODEL_PATH, "tiny", images)
    with zs.open_device("model", "tiny") as device:
        result = model.run(device, images)
    models = {("combined", True): model}
    good = {("sim", "combined", True): result, ("model", "combined", True): result}
    expected = model.reference(images)
    assert all(ok for _, ok in demo.checks(models, good, expected))

    wrong = dataclasses.replace(result, outputs=np.nextafter(result.outputs, np.inf))
    found = demo.checks(models, good | {(kind, "combined", True): wrong}, expected)
    assert [ok for _, ok in found] == [kind != "sim", kind != "model", True]
    assert "not so: combined + activation skip" in " ".join(text for text, _ in found)

    last = result.layers[-1]
    counters = dataclasses.replace(last.counters, steps=last.counters.steps + 1)
    layers = [*result.layers[:-1], dataclasses.replace(last, counters=counters)]
    found = demo.checks(models, good | {(kind, "combined", True): dataclasses.replace(result, layers=layers)}, expected)
    assert [ok for _, ok in found] == [True, True, False]


def test_verdict(capsys):
    report = demo.Report("t", 1, {}, (), checks=(("a", True), ("b", False)))
    assert commands._verdict(report) == 1
    assert "disagree" in capsys.readouterr().err


def test_digits_are_as_the_model_card_says():
    card = digits.MODEL_PATH.with_name("MODEL_CARD.md").read_text()
    data = digits.load()
    assert data.test.shape == (1000, 1, 28, 28) and data.calibration.shape == (100, 1, 28, 28)
    assert data.test.dtype == np.float32 and data.test.min() >= 0 and data.test.max() == 1
    assert np.bincount(data.test_labels).min() > 50
    assert digits.MODEL_PATH.stat().st_size < 1_000_000 and digits.DATA_PATH.stat().st_size < 300_000
    proto = onnx.load(digits.MODEL_PATH)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.op_type for node in proto.graph.node].count("BatchNormalization") == 6
    weights = [onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name.endswith(".weight")]
    zeros = sum((w == 0).sum() for w in weights) / sum(w.size for w in weights)
    assert f"{100 * zeros:.1f} %" in card


def test_accuracies_are_as_the_model_card_says():
    card = digits.MODEL_PATH.with_name("MODEL_CARD.md").read_text()
    data = digits.load()
    from zeroskip.compiler.network import compare

    rules = [(rule, per) for rule in ("percentile", "max_abs") for per in ("tensor", "channel")]
    asked = {f"{rule.replace('_', '-')}, per {per} ": {"scale_rule": rule, "per": per} for rule, per in rules}
    asked = {key.replace("percentile", "percentile 97"): options for key, options in asked.items()}
    asked |= {"budget of 1 %": {"budget": BUDGET}, "mse, per channel ": {}}
    for text, options in asked.items():
        model = zs.compile(digits.MODEL_PATH, "tiny", data.calibration, **options)
        row = next(row for row in card.splitlines() if text in row)
        measured, written = (
            100 * digits.accuracy(model.reference(data.test), data.test_labels),
            float(row.split("|")[-2].split()[0]),
        )
        assert abs(measured - written) < 0.35  # three images: the quantiser may improve without a new card
    found = compare(digits.MODEL_PATH, model, data.test, data.test_labels)
    assert f"**pruned, float: `vgg6_digits.onnx`** | 69.9 % | {100 * found.float_accuracy:.1f} %" in card
