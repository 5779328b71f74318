"""The Verilated engines that replay schedules against functional model and cycle model, on random legal streams.

Sums must be bit-identical and every counter equal, with and without stalls in memory and streams.
"""

from __future__ import annotations

import numpy as np
import pytest

from packet_words import act_words, run_words
from random_stream import random_stream
from variants import GATHER_VARIANTS, TWIN_VARIANTS, VARIANTS
from zeroskip.devices import MemoryModel, open_device
from zeroskip.engines import engine_of
from zeroskip.errors import DeviceError, InputError
from zeroskip.models.cycles import simulate

BUILDS = VARIANTS | GATHER_VARIANTS | TWIN_VARIANTS

MEMORIES = {
    "default": MemoryModel(),
    "fast": MemoryModel(read_latency=1, write_latency=1, rate=1024),
    "stalls": MemoryModel(stall=120, stream_stall=90, seed=7),
    "slow": MemoryModel(read_latency=300, write_latency=77, rate=150, stream_stall=200, seed=3),
}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variant", BUILDS)
def test_random_streams(variant, memory):
    config = BUILDS[variant]
    with open_device("sim", config, memory=MEMORIES[memory]) as device:
        for seed in range(6 if config.macs > 64 else 12):
            words, beats = random_stream(config, seed)
            sums, counters = device.execute(words, beats)
            expected, modelled = simulate(config, words, MEMORIES[memory])
            np.testing.assert_array_equal(sums, expected, err_msg=f"{variant}, seed {seed}")
            assert counters == modelled, f"{variant}, seed {seed}"
            assert counters.cycles == counters.busy + counters.stall_input + counters.stall_output
            assert counters.cycles > 0


@pytest.mark.parametrize("variant", ["tiny", "gather_tiny", "twin_tiny"])
def test_runs_follow_without_reset(variant):
    """What one transfer leaves in memories, flags and pipelines must not reach the next."""
    with open_device("sim", BUILDS[variant]) as device:
        first = [device.execute(*random_stream(device.config, seed)) for seed in (1, 2, 3)]
        again = [device.execute(*random_stream(device.config, seed)) for seed in (1, 2, 3)]
    for (sums, counters), (sums_again, counters_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(sums, sums_again)
        assert counters == counters_again


def column(config, **header):
    return act_words(np.zeros((1, 1, config.acts)), **header)


ILLEGAL_HEADERS = {
    "kind": (1, lambda config: [9]),
    "no work group": (2, lambda config: run_words(config, [{}], wgs=0)),
    "too many work groups": (2, lambda config: run_words(config, [{}], wgs=config.wgs + 1, near=1)),
    "no column": (3, lambda config: column(config, count=0)),
    "too many columns": (3, lambda config: column(config, count=config.columns + 1)),
    "no step": (4, lambda config: run_words(config, [{}], count=0, near=1)),
    "too many steps": (4, lambda config: run_words(config, [{}], count=config.steps + 1, apart=1)),
    "no row": (5, lambda config: run_words(config, [{}], size=(0, 1), near=1)),
    "no pixel": (5, lambda config: run_words(config, [{}], size=(1, 0), apart=1)),
}


@pytest.mark.parametrize("variant", ["tiny", "gather_tiny", "twin_tiny"])
@pytest.mark.parametrize("illegal", ILLEGAL_HEADERS)
def test_the_hardware_stops_at_an_illegal_header(variant, illegal):
    config = BUILDS[variant]
    error, packet = ILLEGAL_HEADERS[illegal]
    words = np.array(packet(config), np.uint64)
    with pytest.raises(InputError):
        engine_of(config).execute(config, words)
    with open_device("sim", config, timeout=0.2) as device:
        with pytest.raises(DeviceError, match=f"engine error {error} "):
            device.execute(words, 1)
        words, beats = random_stream(config, 1)
        np.testing.assert_array_equal(device.execute(words, beats)[0], simulate(config, words)[0])
