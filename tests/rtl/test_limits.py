"""Values, sums, steps and columns exactly at the edge of what the engines take, and one beyond."""

from __future__ import annotations

import numpy as np
import pytest

import gather_stream
from packet_words import act_words, run_words
from random_stream import random_step
from variants import GATHER_VARIANTS, VARIANTS, ZENA_VARIANTS
from zeroskip import conv2d
from zeroskip.compiler.gather_near import near_pitch, near_reach
from zeroskip.devices import MemoryModel, open_device
from zeroskip.errors import DeviceError, InputError
from zeroskip.hardware.config import BUILTIN, NEAR_BASE_BITS, NEAR_BITS
from zeroskip.models import reference
from zeroskip.models.cycles import simulate
from zeroskip.runtime.tiling import Layout

SMALL = {"trident": VARIANTS["small"], "gather": GATHER_VARIANTS["one"]}
"""Builds with 16 steps and 32 columns."""
WIDE = {"trident": VARIANTS["mux16"], "gather": GATHER_VARIANTS["wide"], "zena": ZENA_VARIANTS["zena_tiny"]}
"""Builds with 16-bit activations."""


@pytest.mark.parametrize("name", ["tiny", "gather_tiny", "zena_tiny"])
def test_the_largest_values(name):
    """Every mix of the outermost weights and activations."""
    rng = np.random.default_rng(1)
    with open_device("sim", name) as device:
        limit = device.config.act_max
        x = rng.choice(np.array([-limit, limit, 1 - limit, 0], np.int16), (1, 6, 6, 6))
        w = rng.choice(np.array([-128, 127, -8, 7, -9, 8, 0], np.int8), (5, 6, 3, 3))
        x[..., :3, :], w[0] = limit, -128
        x[..., 3:, :3], w[1] = -limit, 127
        for mode in ("dense", "WAZ" if name == "zena_tiny" else "combined"):
            sums, counters = conv2d(device, x, w, padding=(1, 1, 1, 1), mode=mode)
            np.testing.assert_array_equal(sums, reference.conv2d(x, w, (1, 1), (1, 1, 1, 1)), err_msg=mode)
            assert counters.cycles > 0


@pytest.mark.parametrize("engine", WIDE)
def test_the_largest_sums(engine):
    """512 weights of -128 and one of 2 are the most that 32 bits hold with 16-bit activations; 3 is too much."""
    w = np.full((1, 513, 1, 1), -128, np.int8)
    w[0, 512] = 2
    with open_device("sim", WIDE[engine]) as device:
        for sign in (-1, 1):
            x = np.full((1, 513, 1, 2), sign * 32767, np.int16)
            x[0, 512] *= -1
            sums, _ = conv2d(device, x, w)
            assert sums.ravel().tolist() == [-sign * (512 * 128 * 32767 + 2 * 32767)] * 2
            assert abs(int(sums[0, 0, 0, 0])) == 2**31 - 2
        w[0, 512] = 3
        with pytest.raises(InputError, match="32766"):
            conv2d(device, x, w)


def full_stream(config, steps: int, runs: int = 4) -> np.ndarray:
    """Runs of as many steps as the schedule memory holds, the next always on its way: both halves are full."""
    rng = np.random.default_rng(steps)
    half = config.columns // 2
    words = []
    for page in (0, 1):
        values = rng.integers(-config.act_max, config.act_max + 1, (half, config.wgs, config.acts))
        words += act_words(values, page=page, address=page * half)
    for index in range(runs):
        if config.engine == "gather":
            records = [gather_stream.random_step(config, rng, False, half, 0.1) for _ in range(steps)]
        else:
            records = [random_step(config, rng, 0.1) for _ in range(steps)]
        words += run_words(config, records, (2, 3), (1, 1), page=index % 2, base=index % 2 * half,
                           wgs=config.wgs, last=int(index == runs - 1))  # fmt: skip
    return np.array(words, np.uint64)


@pytest.mark.parametrize("engine", SMALL)
def test_schedules_that_fill_their_memory(engine):
    config = SMALL[engine]
    beats = 4 * 6 * -(-config.wgs * config.filters // 2)
    with open_device("sim", config, timeout=0.5) as device:
        for memory in (MemoryModel(), MemoryModel(stall=60, stream_stall=200, seed=9)):
            device._device.configure(memory)
            words = full_stream(config, config.steps)
            sums, counters = device.execute(words, beats)
            expected, modelled = simulate(config, words, memory)
            np.testing.assert_array_equal(sums, expected)
            assert counters == modelled and counters.steps == 4 * 6 * config.steps
        with pytest.raises(DeviceError, match="engine error 4 "):
            device.execute(full_stream(config, config.steps + 1), beats)


@pytest.mark.parametrize("engine", SMALL)
def test_columns_that_fill_their_memory(engine):
    """One ACT of all columns, from an address in the middle on; one column more is refused."""
    config = SMALL[engine]
    rng = np.random.default_rng(3)
    values = rng.integers(-config.act_max, config.act_max + 1, (config.columns, config.wgs, config.acts))
    if engine == "gather":
        step = gather_stream.random_step(config, rng, False, config.columns, 0.1)
    else:
        step = random_step(config, rng, 0.1)
    run = run_words(config, [step], (4, 8), (8, 1), last=1, wgs=config.wgs)
    beats = 32 * -(-config.wgs * config.filters // 2)
    words = np.array(act_words(values, address=13) + run, np.uint64)
    with open_device("sim", config, timeout=0.5) as device:
        sums, counters = device.execute(words, beats)
        expected, modelled = simulate(config, words, MemoryModel())
        np.testing.assert_array_equal(sums, expected)
        assert counters == modelled and sums.any()
        more = np.concatenate([values, values[:1]])
        with pytest.raises(DeviceError, match="engine error 3 "):
            device.execute(np.array(act_words(more) + run, np.uint64), beats)


@pytest.mark.parametrize("name", ["gather_tiny", "wide"])
@pytest.mark.parametrize("base", [0, 1, (1 << NEAR_BASE_BITS) - 1])
def test_the_farthest_near_offsets(name, base):
    """Every bank in turn at the largest offset that a near step has, the others at none."""
    config = GATHER_VARIANTS[name]
    rng = np.random.default_rng(base)
    stream = gather_stream.Stream(config)
    stream.activations(rng.integers(-config.act_max, config.act_max + 1, (config.columns, config.wgs, config.acts)))
    farthest = (1 << NEAR_BITS) - 1
    steps = []
    for bank in range(config.acts):
        lane, odd = divmod(bank, 2)
        step = {"base": base, f"near[{bank}]": farthest, f"weight[{lane}]": 100 + bank, f"route[{lane}]": 5 + odd}
        steps.append(step)
    stream.run(steps, (2, 2), (3, 1), near=1, skip=1, last=1, base=7)
    words, expected = stream.stream(), stream.expected()
    with open_device("sim", config) as device:
        sums, counters = device.execute(words, len(expected))
    np.testing.assert_array_equal(sums, expected)
    assert counters.steps == stream.counters["steps"] > 0


@pytest.mark.parametrize("config", [BUILTIN["gather_tiny"], BUILTIN["gather"]], ids=lambda c: c.name)
def test_near_steps_reach_as_far_as_the_compiler_says(config):
    """At the reach every base leaves the offset within its bits; the compiler takes no column beyond."""
    reach, unit = near_reach(config), 1 << config.near_shift
    assert reach + unit - 1 == (1 << NEAR_BITS) - 1

    class Schedule:
        steps = np.array([1, 1], np.int32)
        slots = np.array([[0, reach], [0, reach + 1]], np.int32)

    layout = Layout(blocks=1, step=1, residue=0, period=1)
    found = near_pitch(config, Schedule.steps, Schedule.slots, layout, reach + 2, (1, 1))
    assert found[0] >= 0 and found[1] == -1
