"""Whole networks on the gather engine: same commands, same bits as the integer reference, on the exact cycle model."""

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, residual_network
from zeroskip.compiler.network import reschedule
from zeroskip.engines import ENGINES
from zeroskip.errors import InputError
from zeroskip.hardware.config import Config


@pytest.fixture(scope="module")
def data():
    return residual_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 4, 3, 12, 12)


def test_a_network_runs_in_every_mode(data, images, tmp_path):
    compiled = zeroskip.compile(data, "gather_tiny", images, prune=0.5)
    assert compiled.info["mode"] == "combined" and compiled.info["activation_skip"]
    expected = compiled.reference(images)
    cycles = {}
    with zeroskip.open_device("model", "gather_tiny") as device:
        for mode in ENGINES["gather"].modes:
            model = reschedule(compiled, mode=mode, activation_skip=False)
            model.save(tmp_path / "net.zsk")
            result = zeroskip.load(tmp_path / "net.zsk").run(device, images)
            assert (result.outputs == expected).all()
            cycles[mode] = result.cycles
            for layer in result.layers:
                assert 0 < layer.ideal_cycles <= layer.counters["steps"] <= layer.counters["cycles"]
                assert mode != "dense" or layer.counters["steps"] == layer.dense_cycles
        skipped = compiled.run(device, images)
    assert (skipped.outputs == expected).all()
    assert cycles["dense"] > cycles["zero_skip"] > cycles["combined"] >= skipped.cycles


def test_a_file_and_what_was_saved_are_the_same_plan(data, images, tmp_path):
    compiled = zeroskip.compile(data, "gather", images)
    compiled.save(tmp_path / "net.zsk")
    again = zeroskip.load(tmp_path / "net.zsk")
    for one, other in zip(compiled.layers, again.layers, strict=True):
        np.testing.assert_array_equal(one.plan.placed, other.plan.placed)
        for a, b in zip(one.plan.parts, other.plan.parts, strict=True):
            assert a.layout == b.layout and a.block0 == b.block0
            for key in a.ARRAYS:
                np.testing.assert_array_equal(getattr(a, key), getattr(b, key))
    assert (again.run(GoldenDevice("gather"), images).outputs == compiled.reference(images)).all()


def test_a_batch_runs_as_its_images_do(data, images):
    model = zeroskip.compile(data, Config("odd", "gather", lanes=4, wgs=3, columns=128, scan=2), images)
    batch = model.run(GoldenDevice(model.config), images).outputs
    alone = np.concatenate([model.run(GoldenDevice(model.config), image[None]).outputs for image in images])
    np.testing.assert_array_equal(batch, alone)


def test_the_same_integers_on_both_engines(data, images):
    trident = zeroskip.compile(data, "tiny", images, scale_rule="percentile", clip=1)
    gather = reschedule(trident, "gather_tiny")
    for a, b in zip(trident.layers, gather.layers, strict=True):
        np.testing.assert_array_equal(a.plan.weights, b.plan.weights)
        assert a.plan.dense_steps * 0.5 <= b.plan.dense_steps <= a.plan.dense_steps * 2


def test_what_the_engine_does_not_have_is_refused(data, images):
    with pytest.raises(InputError, match="'WZ'; accepted by the gather engine"):
        zeroskip.compile(data, "gather_tiny", images, mode="WZ")


def test_budgets_count_the_engines_cycles(data, images):
    """A coarser scale buys cycles here too."""
    plain = zeroskip.compile(data, "gather_tiny", images)
    budget = zeroskip.compile(data, "gather_tiny", images, budget=6)
    cycles = [model.run(GoldenDevice("gather_tiny"), images).cycles for model in (plain, budget)]
    assert cycles[1] < cycles[0]
