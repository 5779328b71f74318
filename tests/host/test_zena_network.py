"""Whole networks on the zena engine: same commands, same bits as the integer reference, on the exact cycle model."""

import numpy as np
import pytest

import zeroskip
from onnx_models import f32, residual_network
from zeroskip.compiler.network import reschedule
from zeroskip.engines import ENGINES
from zeroskip.errors import InputError
from zeroskip.hardware.config import Config
from zeroskip.models import reference

CONFIG = Config("z", engine="zena", lanes=16, filters=8, wgs=3, sub_wgs=2, columns=64, steps=16, psums=64)


@pytest.fixture(scope="module")
def data():
    return residual_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 4, 3, 12, 12)


@pytest.fixture(scope="module")
def device():
    with zeroskip.open_device("model", CONFIG) as device:
        yield device


def test_a_network_runs_in_every_mode(data, images, device, tmp_path):
    compiled = zeroskip.compile(data, CONFIG, images, prune=0.5)
    assert compiled.info["mode"] == "WAZ+KA"
    expected = compiled.reference(images)
    cycles = {}
    for mode in ENGINES["zena"].modes:
        model = reschedule(compiled, mode=mode)
        model.save(tmp_path / "net.zsk")
        result = zeroskip.load(tmp_path / "net.zsk").run(device, images)
        assert (result.outputs == expected).all()
        cycles[mode] = result.cycles
        for layer in result.layers:
            counters = layer.counters
            assert counters["multiplies"] + counters["empty_chunks"] + counters["barrier_wait"] > 0
            assert 0 < layer.ideal_cycles <= layer.dense_cycles == layer.macs / CONFIG.macs
            assert layer.ideal_cycles <= counters["cycles"]
            if mode.startswith("WAZ"):
                assert counters["multiplies"] >= round(layer.ideal_cycles * CONFIG.macs)
    assert cycles["dense"] > cycles["WZ"] > cycles["WAZ"] and cycles["dense"] > cycles["AZ"] > cycles["WAZ"]


def test_the_same_integers_on_both_engines(data, images):
    trident = zeroskip.compile(data, "tiny", images)
    zena = reschedule(trident, CONFIG)
    assert zena.info["mode"] == "WAZ+KA"
    for a, b in zip(trident.layers, zena.layers, strict=True):
        np.testing.assert_array_equal(a.plan.weights, b.plan.weights)


def test_a_mode_of_another_engine_is_refused(data, images):
    with pytest.raises(InputError, match="'combined'; accepted by the zena engine"):
        zeroskip.compile(data, CONFIG, images, mode="combined")
    with pytest.raises(InputError, match="'WZ'; accepted by the trident engine"):
        zeroskip.compile(data, "tiny", images, mode="WZ")


def test_conv2d(device):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (2, 5, 9, 9)).astype(np.int16) * (rng.random((2, 5, 9, 9)) < 0.5)
    w = (rng.integers(-127, 128, (6, 5, 3, 3)) * (rng.random((6, 5, 3, 3)) < 0.4)).astype(np.int8)
    sums, counters = zeroskip.conv2d(device, x.astype(np.int16), w, stride=(2, 1), padding=(1, 1, 1, 1), mode="WAZ")
    np.testing.assert_array_equal(sums, reference.conv2d(x.astype(np.int16), w, (2, 1), (1, 1, 1, 1)))
    assert counters["cycles"] == counters["busy"] + counters["stall_input"] + counters["stall_output"]
