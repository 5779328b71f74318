"""The gather engine: its functional model against NumPy, model and Verilog on streams made by hand.

What it has in common with trident is in ``test_engine.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

from gather_stream import Stream, random_step
from packet_words import Step, act_words, run_words
from variants import GATHER_VARIANTS
from zeroskip.devices import MemoryModel, open_device
from zeroskip.errors import InputError
from zeroskip.models import gather
from zeroskip.models.reference import conv2d

TINY = GATHER_VARIANTS["gather_tiny"]


# -- the functional model ----------------------------------------------------------------------------
@pytest.mark.parametrize("zeros", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("variant", GATHER_VARIANTS)
def test_functional_model_is_the_documented_one(variant, zeros):
    """Against NumPy: both formats, lanes together and apart, any offset, sums and counters."""
    config = GATHER_VARIANTS[variant]
    rng = np.random.default_rng(1)
    stream = Stream(config)
    values = rng.integers(-config.act_max, config.act_max + 1, (config.columns, config.wgs, config.acts))
    values[rng.random(values.shape) < zeros] = 0
    values.transpose(0, 2, 1)[rng.random((config.columns, config.acts)) < zeros] = 0
    stream.activations(values, address=config.columns // 3)
    for index in range(8):
        near, skip, apart, wgs = index % 2, index // 2 % 2, index // 4, int(rng.integers(1, config.wgs + 1))
        steps = [random_step(config, rng, near, config.columns, rng.random()) for _ in range(12)]
        base = int(rng.integers(2**16))
        stream.run(steps, (3, 2), (7, 1), near=near, skip=skip, apart=apart, wgs=wgs, base=base, last=index == 7)
    done = gather.execute(config, stream.stream())
    np.testing.assert_array_equal(done.out, stream.expected())
    assert done.counters == stream.counters | {"beats_in": len(stream.words), "beats_out": len(done.out)}
    assert min(done.counters[name] for name in ("dead_steps", "columns", "pairs", "singles", "outliers")) > 0


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"weight[0]": 0x10, "route[0]": 1, "weight[1]": 1}, "two lanes of a step refer to one bank"),
        ({"weight[7]": 0x10, "route[7]": 2, "weight[0]": 1, "route[0]": 6}, "two lanes of a step refer to one bank"),
        ({"route[3]": 7}, "a lane has route 7; accepted: 0 to 6"),
    ],
)
def test_illegal_steps_are_refused(step, message):
    act = act_words(np.zeros((1, 1, TINY.acts)))
    for near in (0, 1):
        words = np.array(act + run_words(TINY, [{}, step], last=1, near=near), np.uint64)
        with pytest.raises(InputError, match=f"beat {len(act)}: {message}"):
            gather.execute(TINY, words)


def test_activations_out_of_range_are_refused():
    words = np.array(act_words(np.full((1, 1, TINY.acts), -256)) + run_words(TINY, [{}], last=1), np.uint64)
    with pytest.raises(InputError, match="beat 0: an activation outside the range of this build"):
        gather.execute(TINY, words)


@pytest.mark.parametrize("near", [0, 1])
def test_length_of_a_run_follows_from_its_format(near):
    words = np.array(run_words(TINY, [{}] * 5, last=1, near=near), np.uint64)
    assert len(words) == 2 + 5 * (TINY.near_beats if near else TINY.step_beats) and TINY.near_beats < TINY.step_beats
    gather.execute(TINY, words)
    with pytest.raises(InputError, match=f"the packet has {len(words)} beats, the stream ends after {len(words) - 1}"):
        gather.execute(TINY, words[:-1])


# -- model and hardware ------------------------------------------------------------------------------
def one_tap(weights: np.ndarray, address: int, near: int) -> list[Step]:
    """Three steps for a weight per bank: the non-outliers in pairs, then the outliers of even, then of odd banks."""
    offsets = {f"{'near' if near else 'offset'}[{bank}]": address for bank in range(len(weights))}
    steps: list[Step] = [{**offsets}, {**offsets}, {**offsets}]
    for lane, (even, odd) in enumerate(weights.reshape(-1, 2).tolist()):
        small = [weight if -8 <= weight < 8 else 0 for weight in (even, odd)]
        steps[0][f"weight[{lane}]"] = small[0] & 15 | (small[1] & 15) << 4
        steps[1] |= {f"weight[{lane}]": (even - small[0]) & 255, f"route[{lane}]": 5}
        steps[2] |= {f"weight[{lane}]": (odd - small[1]) & 255, f"route[{lane}]": 6}
    return steps


@pytest.mark.parametrize("near", [0, 1])
@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("kind", ["model", "sim"])
def test_convolution_with_a_schedule_made_by_hand(kind, apart, near):
    """3 x 3, a channel per bank; an image for each work group, its pixels as columns that wrap around.

    Where lanes are apart the same steps are those of a grouped convolution: a lane's two channels are a group.
    """
    rng = np.random.default_rng(2)
    size, filters, base = 8, 3, 250
    x = rng.integers(-255, 256, (TINY.wgs, TINY.acts, size, size)).astype(np.int16)
    w = rng.integers(-128, 128, (filters, TINY.acts, 3, 3)).astype(np.int8)
    small = rng.random(w.shape) < 0.6
    w[small] = rng.integers(-8, 8, small.sum())
    words = act_words(x.reshape(TINY.wgs, TINY.acts, -1).transpose(2, 0, 1), address=base)
    for k in range(filters):
        steps = [step for r, s in np.ndindex(3, 3) for step in one_tap(w[k, :, r, s], r * size + s, near)]
        header = {"near": near, "apart": apart, "wgs": TINY.wgs, "base": base, "last": int(k == filters - 1)}
        words += run_words(TINY, steps, (size - 2, size - 2), (size, 1), **header)
    groups = TINY.lanes if apart else 1
    grouped = w.reshape(filters, groups, -1, 3, 3).swapaxes(0, 1)  # its first axes are those of the results
    sums = conv2d(x, grouped.reshape(groups * filters, -1, 3, 3), groups=groups)
    sums = sums.reshape(TINY.wgs, groups, filters, -1).transpose(2, 3, 1, 0)  # run, pixel, lane, work group: two a beat
    expected = np.ascontiguousarray(sums, "<i4").view("<u8").ravel()
    with open_device(kind, TINY) as device:
        received, counters = device.execute(np.array(words, np.uint64), len(expected))
    np.testing.assert_array_equal(received, expected)
    assert counters.steps == filters * 27 * (size - 2) ** 2


@pytest.mark.parametrize("variant", ["gather_tiny", "wide"])
def test_extremes(variant):
    """The largest activations meet the largest weights in all lanes, together and apart; 16-bit sums wrap around."""
    config = GATHER_VARIANTS[variant]
    stream = Stream(config)
    place = np.arange(config.acts)
    signs = [np.ones(config.acts), -np.ones(config.acts), (-1) ** place, (-1) ** (place // 2)]
    stream.activations(np.array([[sign * config.act_max] * config.wgs for sign in signs]).astype(int))
    for byte in (0x80, 0x7F, 0x81, 0x88, 0x77, 0x78, 0x87, 0xFF, 0x11, 0x08, 0xF0):
        for route in (0, 5, 6):
            lanes = {f"{name}[{lane}]": value for lane in range(config.lanes)
                     for name, value in (("weight", byte), ("route", route))}  # fmt: skip
            stream.run([lanes], (1, 4), (0, 1))
            if byte in (0x80, 0x7F):
                for apart in (0, 1):
                    stream.run([lanes] * config.steps, (1, 4), (0, 1), apart=apart)
    idle = {f"route[{lane}]": lane % 7 for lane in range(config.lanes)}
    stream.run([idle], last=1)
    largest = max(abs(int(sums.min())) for sums in stream.sums)
    assert largest == config.act_max * 128 * config.lanes * config.steps
    with open_device("sim", config) as device:
        sums, counters = device.execute(stream.stream(), len(stream.expected()))
    np.testing.assert_array_equal(sums, stream.expected())
    assert stream.counters.items() <= vars(counters).items()


def test_one_step_per_cycle_without_bubbles():
    """Between steps, pixels and RUNs of all kinds; a schedule loads while the one before is replayed."""
    rng = np.random.default_rng(3)
    stream = Stream(TINY)
    stream.activations(rng.integers(1, 256, (TINY.columns, TINY.wgs, TINY.acts)))
    for index in range(8):
        steps = [random_step(TINY, rng, index % 2, 64, 0.1) for _ in range(40 + index)]
        stream.run(steps, (4, 4), (8, 1), near=index % 2, apart=index // 2 % 2, skip=1, last=index == 7)
    with open_device("sim", TINY, memory=MemoryModel(rate=1024)) as device:
        sums, counters = device.execute(stream.stream(), len(stream.expected()))
    np.testing.assert_array_equal(sums, stream.expected())
    assert counters.steps == counters.busy == counters.span
