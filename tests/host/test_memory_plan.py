"""The memory plan says what a run does: bytes and transfers are those of the engine's own counters."""

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, node, residual_network
from onnx_models import model as model_of
from zeroskip.devices import open_device
from zeroskip.examples import digits
from zeroskip.hardware.config import get_config
from zeroskip.runtime.memory_plan import memory_plan


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 4, 3, 12, 12)


@pytest.mark.parametrize("config", ["tiny", "z2", "kang", "gather_tiny", "gather"])
def test_bytes_and_transfers_are_those_of_a_run(images, config):
    model = zeroskip.compile(residual_network(np.random.default_rng(0)), config, images)
    device = GoldenDevice(config)
    result = model.run(device, images[:1])
    plan = memory_plan(model)
    assert [row.name for row in plan] == [layer.name for layer in result.layers]
    assert sum(row.transfers for row in plan) == device.transfers
    for row, layer in zip(plan, result.layers, strict=True):
        assert (row.bytes_in, row.bytes_out) == (8 * layer.counters.beats_in, 8 * layer.counters.beats_out)
        assert row.columns <= get_config(config).columns and row.steps <= get_config(config).steps


def test_bounds_tell_where_the_cycles_go(images):
    """On the cycle model a layer takes at least its tightest bound, and a little more than it."""
    model = zeroskip.compile(residual_network(np.random.default_rng(0)), "z2", images, activation_skip=False)
    with open_device("model", "z2") as device:
        result = model.run(device, images[:1])
    bounds = set()
    for row, layer in zip(memory_plan(model), result.layers, strict=True):
        least = {"compute": row.compute_cycles, "input": row.input_cycles, "output": row.output_cycles}
        assert row.compute_cycles <= layer.counters.busy
        assert max(least.values()) == least[row.bound] <= layer.counters.cycles
        bounds.add(row.bound)
    assert len(bounds) > 1


@pytest.mark.parametrize("config", ["zena_tiny", "zena8"])
def test_sums_leave_zena_as_fast_as_its_drain_reads(images, config):
    """A layer with few products per sum waits for the drain, whose time is a lower bound, and a close one."""
    weights = {"w": f32(np.random.default_rng(2), 64, 3, 1, 1)}
    network = model_of([node("Conv", ["x", "w"], ["y"])], weights, images.shape[1:])
    model = zeroskip.compile(network, config, images)
    with open_device("model", config) as device:
        cycles = model.run(device, images[:1]).cycles
    (row,) = memory_plan(model)
    assert row.bound == "output" and 0.5 * cycles < row.output_cycles <= cycles


def test_zena_moves_about_as_many_bytes_as_planned():
    """Its activations travel without zeros, whose number the plan does not know."""
    data = digits.load()
    model = zeroskip.compile(digits.MODEL_PATH, "zena8", data.calibration)
    with open_device("model", "zena8") as device:
        result = model.run(device, data.test[:1])
    for row, layer in zip(memory_plan(model), result.layers, strict=True):
        assert row.bytes_out == 8 * layer.counters.beats_out
        assert row.bytes_in == pytest.approx(8 * layer.counters.beats_in, rel=0.4)
