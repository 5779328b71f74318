"""The Verilated simulator and the fast model behind the same driver: same sums, same counters, same failures."""

import numpy as np
import pytest

from random_stream import random_stream
from zeroskip.devices import MemoryModel, open_device
from zeroskip.devices.memory import MEMORY_BASE, MEMORY_SIZE
from zeroskip.errors import DeviceError, InputError
from zeroskip.runtime.buffers import size_class


@pytest.mark.parametrize("config", ["tiny", "gather_tiny"])
@pytest.mark.parametrize("memory", [MemoryModel(), MemoryModel(9, 70, 400, stall=80, stream_stall=120, seed=3)])
def test_sim_and_model_agree(memory, config):
    with open_device("sim", config, memory=memory) as sim, open_device("model", config, memory=memory) as model:
        for seed in range(5):
            words, beats = random_stream(sim.config, seed)
            (sums, counters), (expected, modelled) = (device.execute(words, beats) for device in (sim, model))
            np.testing.assert_array_equal(sums, expected)
            assert counters == modelled and counters.cycles > 0


@pytest.mark.parametrize("kind", ["sim", "model"])
def test_kinds_fail_alike_and_recover(kind):
    with open_device(kind, "tiny", timeout=0.2) as device:
        words, beats = random_stream(device.config, 1)
        sums, counters = device.execute(words, beats)
        with pytest.raises(DeviceError, match=f"{8 * beats} bytes of sums came, {8 * beats + 16} were expected"):
            device.execute(words, beats + 2)
        with pytest.raises(DeviceError, match="S2MM halted, DMAIntErr"):
            device.execute(words, beats - 1)
        for name, channel in (("in", "MM2S"), ("out", "S2MM")):
            for address, error in ((MEMORY_BASE - 4096, "DMADecErr"), (MEMORY_BASE + MEMORY_SIZE, "DMASlvErr")):
                buffers = device._buffers
                buffers.stream(words.size), buffers.result(beats)
                made = {"in": buffers.source, "out": buffers.results[size_class(beats)]}
                made[name].device_address = address
                with pytest.raises(DeviceError, match=f"{channel} halted, {error}"):
                    device.execute(words, beats)
                device._buffers.clear()
        illegal = words.copy()
        illegal[0] = 7  # of no packet; 15 is what act_expand makes of a damaged FINISH
        with pytest.raises((DeviceError, InputError), match="kind"):
            device.execute(illegal, beats)
        again, counters_again = device.execute(words, beats)
        assert np.array_equal(sums, again) and counters == counters_again
