"""The Verilated engine against its functional model and its cycle model, on random legal streams.

Sums must be bit-identical and every counter equal, with and without stalls in memory and streams.
"""

from __future__ import annotations

import numpy as np
import pytest

from random_stream import random_stream
from variants import VARIANTS
from zeroskip.devices import MemoryModel, open_device
from zeroskip.models.cycles import simulate

MEMORIES = {
    "default": MemoryModel(),
    "fast": MemoryModel(read_latency=1, write_latency=1, rate=1024),
    "stalls": MemoryModel(stall=120, stream_stall=90, seed=7),
    "slow": MemoryModel(read_latency=300, write_latency=77, rate=150, stream_stall=200, seed=3),
}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_random_streams(variant, memory):
    config = VARIANTS[variant]
    with open_device("sim", config, memory=MEMORIES[memory]) as device:
        for seed in range(6 if config.macs > 64 else 12):
            words, beats = random_stream(config, seed)
            sums, counters = device.execute(words, beats)
            expected, modelled = simulate(config, words, MEMORIES[memory])
            np.testing.assert_array_equal(sums, expected, err_msg=f"{variant}, seed {seed}")
            assert counters == modelled, f"{variant}, seed {seed}"
            assert counters.cycles == counters.busy + counters.stall_input + counters.stall_output
            assert counters.cycles > 0


def test_runs_follow_without_reset():
    """What one transfer leaves in memories and pipelines must not reach the next."""
    config = VARIANTS["tiny"]
    with open_device("sim", config) as device:
        first = [device.execute(*random_stream(config, seed)) for seed in (1, 2, 3)]
        again = [device.execute(*random_stream(config, seed)) for seed in (1, 2, 3)]
    for (sums, counters), (sums_again, counters_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(sums, sums_again)
        assert counters == counters_again
