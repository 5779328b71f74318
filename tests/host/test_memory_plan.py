"""The memory plan says what a run does: bytes and transfers are those of the engine's own counters."""

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, residual_network
from zeroskip.devices import open_device
from zeroskip.hardware.config import get_config
from zeroskip.runtime.memory_plan import memory_plan


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 4, 3, 12, 12)


@pytest.mark.parametrize("config", ["tiny", "z2", "kang"])
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
