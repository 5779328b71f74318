"""Runs in which every lane computes a filter of its own: exact, legal, no longer than their slowest lane needs."""

import json

import numpy as np
import pytest

import zeroskip
from finishing_engine import FinishingEngine
from layers import convolve, random_weights
from test_conv import maps, run
from test_gather_conv import check_stream, only_ways
from zeroskip.compiler import gather_apart, gather_layers
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.convolution import Convolution
from zeroskip.errors import FileFormatError
from zeroskip.hardware.config import Config, get_config
from zeroskip.runtime import stream
from zeroskip.runtime.conv import expected, run_layer, run_plan
from zeroskip.runtime.hostops import Finish, Quant
from zeroskip.runtime.phases import phased_weights
from zeroskip.runtime.plan_arrays import from_arrays, to_arrays

BUILDS = (
    get_config("gather_tiny"),
    get_config("gather"),
    Config("four", "gather", lanes=4, wgs=3, columns=128, scan=2),
    Config("sixteen", "gather", lanes=16, wgs=5, act_w=16, columns=512, steps=128, scan=4),
)
KERNELS = ((1, 1), (2, 2), (3, 3), (1, 3), (3, 1), (4, 5), (5, 5), (7, 7))


def least_steps(plan, filter_):
    """Steps in which one lane can compute a filter, wherever its channels lie."""
    if plan.mode == "dense":
        return plan.weights[0].size
    phased = phased_weights(plan.weights, plan.phases, plan.stride[1]) if plan.phases > 1 else plan.weights
    w = phased[filter_].reshape(phased.shape[1], -1)
    outliers = np.count_nonzero((w < -8) | (w > 7))
    if plan.mode == "zero_skip":
        return max(1, np.count_nonzero(w))
    first = filter_ // (len(phased) // plan.groups) * len(w)
    in_bank, free = np.zeros(2, int), 0
    for channel, weights in enumerate(w):
        count = np.count_nonzero((weights != 0) & (weights >= -8) & (weights <= 7))
        banks = set((np.flatnonzero(plan.placed[0] == first + channel) % 2).tolist())
        if len(banks) == 2:
            free += count
        else:
            in_bank[banks.pop()] += count
    return max(1, outliers + max(in_bank.max(), -(-(in_bank.sum() + free) // 2)))


def check_steps(plan):
    """No run has more steps than its slowest lane needs, and the dense ones all their weights."""
    for part in plan.parts:
        for run_, filters in enumerate(part.filters):
            assert part.steps[run_] == max(least_steps(plan, f) for f in filters if f >= 0)
            assert part.dense[run_] == plan.weights[0].size


@pytest.mark.parametrize("seed", range(80))
def test_random_layers(monkeypatch, seed):
    rng = np.random.default_rng([seed, 11])
    config = BUILDS[seed % len(BUILDS)]
    channels = int(rng.choice([1, 1, 1, 2, 3, 4]))
    phases, copies = [(1, 1), (1, 2), (2, 1)][rng.integers(3)] if channels == 1 else (1, 1)
    mode = ["dense", "zero_skip", "combined", "combined"][rng.integers(4)]
    if mode != "combined":
        phases = copies = 1
    only_ways(monkeypatch, lambda way: way.apart and (way.phases, way.copies) == (phases, copies))
    groups, several = int(rng.integers(2, 70)), int(rng.integers(1, 4))
    taps = KERNELS[rng.integers(len(KERNELS))] if channels == 1 else KERNELS[rng.integers(5)]
    geometry = {
        "stride": (
            int(rng.integers(1, 4)),
            phases * int(rng.integers(1, 3)) if phases == 1 else int(rng.choice([1, 2])),
        ),
        "padding": tuple(int(v) for v in rng.integers(0, 4, 4)),
        "dilation": (int(rng.integers(1, 3)), int(rng.integers(1, 3)) if phases == 1 else 1),
        "groups": groups,
    }
    size = [int(rng.integers(0, 12)) + (k - 1) * d + 1 for k, d in zip(taps, geometry["dilation"], strict=True)]
    x = maps(rng, (int(rng.choice([1, 3])), channels * groups, *size), -100, 155, rng.choice([0, 0.5, 0.95]))
    shape = (groups * several, channels, *taps)
    w = random_weights(rng, shape, rng.choice([0, 0.3, 0.9, 1]), rng.choice([0, 0.4, 1]))
    skip = bool(rng.random() < 0.4)
    plan, engine, counters = run(config, x, w, mode, skip, **geometry)
    assert all(part.apart for part in plan.parts) and plan.phases == phases
    if len(plan.parts) == 1:
        check_steps(plan)
    if not skip:
        foreseen = expected(plan, len(x), *size)
        assert counters["steps"] == foreseen["step_cycles"]
        assert foreseen["ideal_cycles"] <= foreseen["step_cycles"]
    for words in engine.streams:
        check_stream(config, words)


@pytest.mark.parametrize("phases, copies", [(1, 1), (1, 2), (2, 1)])
def test_filters_with_much_to_do_share_a_run(phases, copies):
    """Twice 40 filters, full and nearly empty ones mixed: no run is as long as a full filter for an empty one."""
    rng = np.random.default_rng(1)
    w = np.concatenate([random_weights(rng, (40, 1, 5, 5), 0.0, 1.0), random_weights(rng, (40, 1, 5, 5), 0.9, 0.1)])
    w = w[rng.permutation(80)]
    seen = phased_weights(w, phases, 1) if phases > 1 else w
    blocked, placed = gather_apart.lay_out(seen, 80, 16, (1, 1), "combined", copies > 1)
    assert blocked.apart and np.sort(blocked.filters.ravel()).tolist() == list(range(80 * phases))
    full = np.isin(blocked.filters // phases, np.flatnonzero(np.count_nonzero(w, axis=(1, 2, 3)) == 25)).sum(1)
    assert set(full.tolist()) == {0, 8}
    assert np.bincount(placed[placed >= 0]).tolist() == [copies] * 80 * phases
    assert np.count_nonzero(blocked.weights) == np.count_nonzero(seen)


LAYERS = [
    ((48, 1, 3, 3), (1, 1), 28),
    ((48, 1, 5, 5), (1, 1), 14),
    ((96, 1, 5, 5), (2, 2), 14),
    ((160, 1, 3, 3), (1, 1), 7),
    ((64, 2, 3, 3), (1, 1), 14),
]


@pytest.mark.parametrize("mode", ["dense", "combined"])
@pytest.mark.parametrize("shape, stride, size", LAYERS)
def test_what_is_chosen_is_best_in_cycles(monkeypatch, shape, stride, size, mode):
    """Of all ways to lay out a layer, run on the cycle model."""
    rng = np.random.default_rng(2)
    w = random_weights(rng, shape, 0.3, 0.6)
    groups, pad = len(w) // shape[1], shape[2] // 2
    x = maps(rng, (1, groups * shape[1], size, size))
    ways, cycles = gather_layers.ways, {}
    options = {"stride": stride, "padding": (pad,) * 4, "groups": groups, "mode": mode, "activation_skip": False}
    with zeroskip.open_device("model", "gather") as device:

        def measured(*chosen):
            monkeypatch.setattr(gather_layers, "ways", lambda *layer: chosen or ways(*layer))
            plan = compile_conv("gather", w, input_shape=(size, size), **options)
            return plan, run_plan(device, plan, x)[1].cycles

        for way in ways(Convolution(get_config("gather"), w, stride, (1, 1), groups, mode, (size, size))):
            cycles[way] = measured(way)[1]
        plan, found = measured()
    assert all(part.apart for part in plan.parts)
    assert found <= 1.06 * min(cycles.values()), cycles


def test_steps_come_near_the_ideal():
    """One work group waits for nothing but its steps."""
    w = random_weights(np.random.default_rng(3), (64, 1, 5, 5), 0.342, 0.598)
    config = Config("one", "gather", wgs=1, columns=1024, steps=1024, scan=2)
    plan = compile_conv(config, w, groups=64, padding=(2, 2, 2, 2), input_shape=(28, 28))
    found = expected(plan, 1, 28, 28)
    assert found["ideal_cycles"] > 0.88 * found["step_cycles"]
    assert found["dense_cycles"] == 8 * 25 * 28 * 28


@pytest.mark.parametrize("limit", [900, 2500])
def test_slices_in_several_transfers(monkeypatch, limit):
    """A layer whose channels come slice by slice, in transfers of a few tile groups, or of a few runs of one."""
    rng = np.random.default_rng(limit)
    x, w = maps(rng, (2, 80, 9, 9)), random_weights(rng, (80, 1, 3, 3), 0.3, 0.6)
    geometry = {"padding": (1, 1, 1, 1), "groups": 80}
    config = Config("t", "gather", wgs=3, columns=64, scan=2)
    whole = run(config, x, w, **geometry)
    assert len(whole[0].parts) == 1 < len(whole[0].parts[0].slices) and len(whole[1].streams) == 1
    monkeypatch.setattr(stream, "_BEATS", limit)
    _, engine, counters = run(config, x, w, **geometry)
    assert len(engine.streams) > 1 and max(map(len, engine.streams)) <= limit
    assert counters["beats_in"] == sum(map(len, engine.streams))
    for words in engine.streams:
        check_stream(config, words)


@pytest.mark.parametrize("config", ["gather", "z2"])
def test_the_columns_of_a_slice_come_while_the_one_before_computes(config):
    """A small map of many channels, each with a filter of its own: hardly a cycle waits for activations."""
    rng = np.random.default_rng(4)
    x, w = maps(rng, (1, 320, 7, 7)), random_weights(rng, (320, 1, 5, 5), 0.3, 0.6)
    with zeroskip.open_device("model", config) as device:
        options = {"padding": (2, 2, 2, 2), "groups": 320, "activation_skip": False}
        _, counters = zeroskip.conv2d(device, x, w, **options)
    plan = compile_conv(config, w, input_shape=(7, 7), **options)
    assert len(plan.parts) == 1 and len(plan.parts[0].slices) > 4
    assert counters.cycles < 1.25 * max(counters.steps, counters.beats_in * 1024 / 960, counters.beats_out * 1024 / 960)


def broken(plan, **arrays):
    meta, good = to_arrays(plan)
    return json.loads(json.dumps(meta)), good | {f"part0.{key}": array for key, array in arrays.items()}


def test_a_plan_that_does_not_fit_together():
    w = random_weights(np.random.default_rng(1), (20, 1, 3, 3), 0.2, 0.5)
    plan = compile_conv("gather_tiny", w, groups=20, name="here")
    part = plan.parts[0]
    assert part.apart
    swapped = part.filters[:, ::-1].copy()
    missing = np.where(part.filters == 3, np.int32(-1), part.filters)
    for filters in (swapped, missing):
        with pytest.raises(FileFormatError, match="'here': a lane has weights for channels that its filter does not"):
            from_arrays(*broken(plan, filters=filters))
    with pytest.raises(FileFormatError, match="'here': filters of shape"):
        from_arrays(*broken(plan, filters=part.filters[:, :4]))
    with pytest.raises(FileFormatError, match=r"'here': (lanes apart|phases)"):
        meta, arrays = broken(plan)
        from_arrays(meta | {"blocking": "channels", "groups": 20}, arrays | {"placed": np.zeros((20, 16), "i4")})
    for slices in ([], [0, len(part.steps)], [len(part.steps) + 1]):
        meta, arrays = broken(plan)
        meta["parts"][0]["slices"] = slices
        with pytest.raises(FileFormatError, match="'here': slices with other runs than there are"):
            from_arrays(meta, arrays)
    meta, arrays = broken(plan)
    meta["parts"][0]["slices"] = [1] * len(part.steps)
    meta["parts"][0]["layout"][:2] = [9, 9]
    with pytest.raises(FileFormatError, match="'here': "):
        from_arrays(meta, arrays)


@pytest.mark.parametrize("out", [Quant(1.0, 7), Quant(1.0, -3, "int16")], ids=["bytes", "16 bits"])
@pytest.mark.parametrize("phases, copies, wanted", [(1, 1, True), (1, 2, True), (2, 1, True), (4, 1, False)])
@pytest.mark.parametrize("config", BUILDS, ids=lambda config: config.name)
def test_the_glue_finishes_every_filter(monkeypatch, config, phases, copies, wanted, out):
    """Bias, multiplier and shift of the right filter, lanes apart or not, several pixels of it computed together."""
    only_ways(monkeypatch, lambda way: (way.phases, way.copies, way.apart) == (phases, copies, wanted))
    rng = np.random.default_rng([phases, copies])
    w = random_weights(rng, (22, 1, 3, 3), 0.3, 0.5)
    plan = compile_conv(config, w, groups=11, padding=(1, 1, 1, 1))
    assert all(part.apart == wanted for part in plan.parts)
    finish = Finish(
        rng.integers(-5000, 5000, 22).astype(np.int32), rng.integers(2**30, 2**31, 22).astype(np.int32),
        rng.integers(35, 41, 22).astype(np.int8), out, out.low, out.high,
    )  # fmt: skip
    x = rng.integers(0, 256, (2, 11, 9, 7)).astype(np.uint8)
    found, _ = run_layer(FinishingEngine(config), plan, x, Quant(1.0, 30), finish)
    expected = finish(convolve(x.astype(np.int16) - 30, w, padding=(1, 1, 1, 1), groups=11))
    assert found.dtype == expected.dtype and len(np.unique(expected)) > 50
    np.testing.assert_array_equal(found, expected)
