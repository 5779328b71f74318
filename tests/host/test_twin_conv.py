"""Layers on the twin engine: streams executed literally, against an independent convolution; steps near the ideal."""

import json

import numpy as np
import pytest

import zeroskip
from layers import FunctionalEngine, convolve, random_weights
from zeroskip.compiler import twin_layers
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.gather_schedule import schedule
from zeroskip.errors import FileFormatError, InputError
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.packets import ACT_HEADER, KIND_ACT, RUN_HEADER_0, decode
from zeroskip.runtime.conv import activation_format, check_input, expected, run_plan
from zeroskip.runtime.plan_arrays import from_arrays, to_arrays

TINY, TWIN = get_config("twin_tiny"), get_config("twin")


def run(config, x, w, mode=None, skip=True, **geometry):
    """Sums of the literal stream, equal to the independent convolution; (plan, engine, counters)."""
    plan = compile_conv(config, w, mode=mode, activation_skip=skip, input_shape=x.shape[2:], **geometry)
    meta, arrays = to_arrays(plan)
    plan = from_arrays(json.loads(json.dumps(meta)), arrays)
    engine = FunctionalEngine(config)
    sums, counters = run_plan(engine, plan, x)
    np.testing.assert_array_equal(sums, convolve(x, w, **geometry))
    return plan, engine, counters


def formats_of(config, words) -> set[int]:
    """Whether RUNs of a stream are near."""
    found, at = set(), 0
    while at < len(words):
        word = int(words[at])
        if word & 15 == KIND_ACT:
            head = decode(ACT_HEADER, word)
            at += 1 + head["count"] * head["wgs"] * config.column_beats(head["format"])
        else:
            head = decode(RUN_HEADER_0, word)
            found.add(head["near"])
            at += 2 + head["steps"] * (config.near_beats if head["near"] else config.step_beats)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_random_layers_on_random_builds(seed):
    rng = np.random.default_rng([seed, 13])
    config = Config(
        "random", "twin", lanes=int(rng.choice([4, 8, 16])), wgs=2 * int(rng.integers(1, 12)),
        columns=int(rng.choice([32, 256, 512, 4096])), steps=int(rng.choice([16, 64, 512])),
        scan=int(rng.choice([1, 2, 4])),
    )  # fmt: skip
    depthwise = rng.random() < 0.3
    groups = int(rng.integers(1, 40)) if depthwise else int(rng.choice([1, 1, 2, 3]))
    channels, filters = map(int, rng.integers(1, (2, 3) if depthwise else (24, 8)))
    taps = [(3, 3), (5, 5), (1, 3), (1, 1), (2, 2), (4, 7)][rng.integers(6)]
    geometry = {
        "stride": tuple(int(v) for v in rng.integers(1, 4, 2)),
        "padding": tuple(int(v) for v in rng.integers(0, 4, 4)),
        "dilation": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "groups": groups,
    }
    size = [int(rng.integers(k * d, k * d + 14)) for k, d in zip(taps, geometry["dilation"], strict=True)]
    low, high = [(-255, 256), (0, 256), (-128, 128)][rng.integers(3)]
    x = rng.integers(low, high, (int(rng.integers(1, 4)), groups * channels, *size)).astype(np.int16)
    x[rng.random(x.shape) < rng.choice([0, 0.5, 1])] = 0
    w = random_weights(rng, (groups * filters, channels, *taps), float(rng.choice([0, 0.3, 0.8, 1])), 0.2)
    plan, _, counters = run(config, x, w, ["dense", "zero_skip"][seed % 2], skip=False, **geometry)
    act_format, _ = activation_format(*check_input(plan, x))
    assert counters["steps"] == expected(plan, len(x), *size, act_format)["step_cycles"]


@pytest.mark.parametrize("phases", [2, 4, 8])
@pytest.mark.parametrize("seed", range(8))
def test_pixels_of_a_row_side_by_side(monkeypatch, phases, seed):
    """Depthwise layers with several pixels of a row in one column, whether it pays or not."""
    rng = np.random.default_rng([seed, phases])
    monkeypatch.setattr(twin_layers, "_ways", lambda layer: [("packed", phases)])
    channels = int(rng.integers(2, 40))
    geometry = {
        "stride": (int(rng.integers(1, 3)), int(rng.choice([1, 2]))),
        "padding": tuple(int(v) for v in rng.integers(0, 3, 4)),
        "dilation": (int(rng.integers(1, 3)), 1),
        "groups": channels,
    }
    taps = [(3, 3), (5, 5), (1, 3)][rng.integers(3)]
    size = [int(rng.integers(10, 24)) for _ in range(2)]
    x = rng.integers(-255, 256, (int(rng.choice([1, 3])), channels, *size)).astype(np.int16)
    plan, *_ = run(TINY, x, random_weights(rng, (channels, 1, *taps), 0.2, 0.1), **geometry)
    assert plan.phases == phases


@pytest.mark.parametrize("zeros", [0, 0.34, 0.5, 0.8, 0.9])
def test_steps_come_near_the_ideal(zeros):
    """Filters of 256 x 3 x 3, uniform 8-bit weights: steps against non-zero weights over lanes."""
    rng = np.random.default_rng(int(100 * zeros))
    w = random_weights(rng, (24, 256, 3, 3), zeros, 0.1)
    plan = compile_conv(TWIN, w, padding=(1, 1, 1, 1), input_shape=(14, 14))
    ideal = sum(float(part.ideal.sum()) for part in plan.parts)
    assert np.isclose(ideal, np.count_nonzero(w) / 8) and ideal >= 0.97 * plan.steps


def test_no_schedule_beats_its_bounds():
    """Steps are never fewer than a bank's weights, or all weights over the lanes; on single columns they are equal."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        w = rng.integers(-128, 128, (6, int(rng.integers(1, 30)), 16)).astype(np.int8)
        w[rng.random(w.shape) < rng.random()] = 0
        ids = np.tile(np.arange(w.shape[1], dtype=np.int32), (len(w), 1))
        found = schedule(w, ids, w != 0, TINY, "zero_skip", False, whole=True)
        per_bank = np.count_nonzero(w, axis=1)
        in_lane = per_bank.reshape(len(w), 8, 2).sum(2)
        least = np.maximum(per_bank.max(1), -(-per_bank.sum(1) // 8))
        least = np.maximum(np.maximum(least, -(-in_lane.max(1) // 2)), 1)
        assert (found.steps >= least).all() and found.steps.sum() <= 1.08 * least.sum() + len(w)


def test_near_steps_are_used_where_rows_are_close():
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (1, 64, 6, 6)).astype(np.int16)
    _, engine, _ = run(TINY, x, random_weights(rng, (8, 64, 1, 1), 0.2, 0.1))
    assert set().union(*(formats_of(TINY, words) for words in engine.streams)) == {1}
    _, engine, _ = run(TINY, x, random_weights(rng, (8, 64, 5, 5), 0.9, 0.1), padding=(2, 2, 2, 2))
    assert 0 in set().union(*(formats_of(TINY, words) for words in engine.streams))


def test_combined_is_refused_and_says_why():
    with pytest.raises(
        InputError, match=r"'l': mode 'combined'; accepted .*zero_skip \(combined would be zero_skip: a mult"
    ):
        compile_conv(TINY, np.ones((1, 1, 1, 1), np.int8), mode="combined", name="l")


def test_damaged_plans_are_refused():
    rng = np.random.default_rng(9)
    meta, arrays = to_arrays(compile_conv(TINY, random_weights(rng, (4, 20, 3, 3), 0.3, 0.3)))
    lanes, slots = arrays["part0.lanes"].copy(), arrays["part0.slots"].copy()
    lanes[0, 0] |= 4 << 8
    with pytest.raises(FileFormatError, match="a route that is none"):
        from_arrays(meta, arrays | {"part0.lanes": lanes})
    slots[0][slots[0] >= 0] = -1
    with pytest.raises(FileFormatError, match="a step reads other banks than it has columns for"):
        from_arrays(meta, arrays | {"part0.slots": slots})


def test_a_network_of_all_kinds(tmp_path):
    """The demo network on the fast model: outputs equal the reference, the file keeps its schedules."""
    from zeroskip.examples import digits

    data = digits.load()
    model = zeroskip.compile(digits.MODEL_PATH, "twin_tiny", data.calibration[:32])
    model.save(tmp_path / "m.zsk")
    model = zeroskip.load(tmp_path / "m.zsk", check=True)
    with zeroskip.open_device("model", "twin_tiny") as device:
        result = model.run(device, data.test[:2])
    np.testing.assert_array_equal(result.outputs, model.reference(data.test[:2]))
