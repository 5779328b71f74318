"""Whole convolutions: compiled, run on the functional engine, equal to an independent one, sum by sum."""

import json

import numpy as np
import pytest

from layers import FunctionalEngine, convolve, random_weights
from zeroskip.compiler.conv import clipped, compile_conv
from zeroskip.errors import ConfigError, FileFormatError, InputError
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.packets import (
    ACT_HEADER,
    FORMAT_S16,
    KIND_ACT,
    RUN_HEADER_0,
    RUN_HEADER_1,
    decode,
    step_fields,
)
from zeroskip.runtime import conv as runtime
from zeroskip.runtime import stream
from zeroskip.runtime.conv import expected, run_plan
from zeroskip.runtime.plan_arrays import from_arrays, to_arrays

TINY = get_config("tiny")


def run(config, x, w, mode="combined", skip=True, input_shape=None, act_max=255, **geometry):
    """Compile, save and load, run, compare; returns plan, engine and counters."""
    plan = compile_conv(
        config, w, mode=mode, activation_skip=skip, input_shape=input_shape, act_max=act_max, name="test", **geometry
    )
    meta, arrays = to_arrays(plan)
    plan = from_arrays(json.loads(json.dumps(meta)), arrays)
    engine = FunctionalEngine(plan.config)
    sums, counters = run_plan(engine, plan, x)
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, convolve(x, w, **geometry))
    return plan, engine, counters


def maps(rng, shape, low=0, high=255, zero=0.5):
    return np.where(rng.random(shape) < zero, 0, rng.integers(low, high + 1, shape)).astype(np.int16)


KINDS = {
    # name: (x shape, w shape, geometry)
    "3x3": ((1, 16, 9, 7), (5, 16, 3, 3), {"padding": (1, 1, 1, 1)}),
    "stride 2": ((1, 8, 11, 10), (3, 8, 3, 3), {"stride": (2, 2), "padding": (1, 1, 1, 1)}),
    "uneven stride": ((2, 8, 11, 10), (3, 8, 3, 2), {"stride": (3, 1)}),
    "asymmetric padding": ((1, 9, 6, 5), (4, 9, 3, 3), {"padding": (0, 2, 3, 1)}),
    "padding beyond the kernel": ((1, 3, 4, 4), (2, 3, 2, 2), {"padding": (3, 3, 3, 3)}),
    "dilation": ((1, 8, 12, 9), (4, 8, 3, 3), {"dilation": (2, 3), "padding": (2, 3, 2, 3)}),
    "groups": ((1, 24, 6, 6), (6, 8, 3, 3), {"groups": 3, "padding": (1, 1, 1, 1)}),
    "uneven groups": ((1, 15, 6, 6), (9, 5, 3, 3), {"groups": 3}),
    "depthwise": ((1, 19, 8, 8), (19, 1, 3, 3), {"groups": 19, "padding": (1, 1, 1, 1)}),
    "depthwise, two filters a channel": ((1, 6, 8, 8), (12, 1, 5, 5), {"groups": 6, "stride": (2, 2)}),
    "1x1": ((1, 20, 7, 5), (6, 20, 1, 1), {}),
    "1x1 with stride and padding": ((2, 8, 7, 5), (6, 8, 1, 1), {"stride": (2, 3), "padding": (1, 0, 0, 2)}),
    "1x7": ((1, 8, 5, 12), (3, 8, 1, 7), {"padding": (0, 3, 0, 3), "stride": (2, 1)}),
    "7x1": ((1, 8, 12, 5), (3, 8, 7, 1), {"padding": (3, 0, 3, 0), "stride": (1, 2)}),
    "1x1 map": ((1, 40, 1, 1), (10, 40, 1, 1), {}),
    "1x1 map, 3x3 kernel": ((1, 8, 1, 1), (3, 8, 3, 3), {"padding": (1, 1, 1, 1)}),
    "fully connected, batch": ((9, 77, 1, 1), (13, 77, 1, 1), {}),
    "one channel": ((1, 1, 9, 9), (4, 1, 3, 3), {}),
    "three channels": ((2, 3, 16, 16), (8, 3, 5, 5), {"stride": (2, 2), "padding": (2, 2, 2, 2)}),
    "batch": ((7, 8, 4, 4), (3, 8, 3, 3), {"padding": (1, 1, 1, 1)}),
    "channels in parts": ((1, 600, 3, 3), (2, 600, 3, 3), {"padding": (1, 1, 1, 1)}),
    "large kernel": ((1, 2, 40, 40), (2, 2, 33, 33), {}),
}


@pytest.mark.parametrize("config", ["tiny", "z2", "kang", "gather_tiny", "gather"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_layers(kind, config):
    rng = np.random.default_rng([len(kind), len(config)])
    x_shape, w_shape, geometry = KINDS[kind]
    x = maps(rng, x_shape)
    w = random_weights(rng, w_shape, 0.4, 0.5)
    for mode in ("dense", "zero_skip", "combined"):
        _, _, counters = run(config, x, w, mode, skip=mode == "combined", **geometry)
        assert counters["steps"] > 0
        assert mode == "combined" or counters["pairs"] == 0


def run_random_layer(config, rng):
    """Run a layer of any kind; its sums are the reference's, its steps those foreseen.  Returns the streams."""
    depthwise = rng.random() < 0.2
    groups = int(rng.integers(1, 20)) if depthwise else int(rng.choice([1, 1, 3]))
    channels = 1 if depthwise else int(rng.choice([1, 3, 8, 13, 40]))
    filters = groups * int(rng.integers(1, 3 if depthwise else 9))
    taps = [(1, 1), (3, 3), (1, 3), (5, 2), (3, 1), (7, 7)][rng.integers(6)]
    geometry = {
        "stride": tuple(int(v) for v in rng.integers(1, 4, 2)),
        "padding": tuple(int(v) for v in rng.integers(0, 4, 4)),
        "dilation": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "groups": groups,
    }
    size = [
        max(int(rng.integers(1, 14)), (k - 1) * d + 1 - low - high)
        for k, d, low, high in zip(
            taps, geometry["dilation"], geometry["padding"][:2], geometry["padding"][2:], strict=True
        )
    ]
    wide = config.act_w == 16 and rng.random() < 0.5
    low, high = [(0, 255), (-255, 255), (-128, 127), (-200, 55)][rng.integers(4)]
    low, high = (-2000, 2000) if wide else (low, high)
    x = maps(rng, (int(rng.choice([1, 2, 5])), channels * groups, *size), low, high, rng.choice([0, 0.5, 0.95, 1]))
    w = random_weights(rng, (filters, channels, *taps), rng.choice([0, 0.3, 0.6, 0.9, 1]), rng.choice([0, 0.3, 1]))
    mode = ["dense", "zero_skip", "combined"][rng.integers(3)]
    skip = bool(rng.random() < 0.6)
    shape = tuple(size) if rng.random() < 0.5 else None
    plan, engine, counters = run(config, x, w, mode, skip, shape, **geometry)
    if not skip:
        act_format = FORMAT_S16 if int(x.max()) - int(x.min()) > 255 else 0
        foreseen = expected(plan, len(x), *size, act_format)
        assert counters["steps"] == foreseen["step_cycles"]
        assert config.engine == "gather" or counters["columns"] >= counters["steps"] * (mode == "dense")
        assert foreseen["ideal_cycles"] <= foreseen["step_cycles"] <= foreseen["dense_cycles"] + counters["steps"]
    return engine.streams


@pytest.mark.parametrize("seed", range(80))
def test_random_layers_on_random_builds(seed):
    rng = np.random.default_rng(seed)
    config = Config(
        "random",
        lanes=int(rng.choice([4, 8, 16])),
        filters=int(rng.choice([1, 2, 8])),
        wgs=int(rng.integers(1, 18)),
        mux=int(rng.choice([4, 8, 12, 16])),
        act_w=int(rng.choice([9, 16])),
        columns=int(rng.choice([32, 128, 1024])),
        steps=int(rng.choice([16, 64, 512])),
        scan=int(rng.choice([1, 2, 4, 8])),
    )
    for words in run_random_layer(config, rng):
        check_stream(config, words)


def check_stream(config, words):
    """No step reads a column that was not sent, and no ACT packet writes where queued runs may read."""
    fields = {f.name: f for f in step_fields(config)}
    page_of = np.full(config.columns, -1)
    reading = {0: set(), 1: set()}
    at = 0
    while at < len(words):
        word = int(words[at])
        if word & 15 == KIND_ACT:
            head = decode(ACT_HEADER, word)
            addresses = (head["address"] + np.arange(head["count"])) % config.columns
            # Waiting is for this page's runs only: others' columns must be elsewhere.
            assert not reading[1 - head["page"]] & set(addresses.tolist())
            reading[head["page"]] = set()
            page_of[addresses] = head["page"]
            at += 1 + head["count"] * head["wgs"] * config.column_beats(head["format"])
            continue
        head, loop = decode(RUN_HEADER_0, word), decode(RUN_HEADER_1, int(words[at + 1]))
        y, x = np.ogrid[: loop["ny"], : loop["nx"]]
        pixels = (head["base"] + y * loop["dy"] + x * loop["dx"]).ravel()
        for step in range(head["steps"]):
            first = at + 2 + step * config.step_beats
            record = sum(int(words[first + i]) << 64 * i for i in range(config.step_beats))
            for slot in range(config.window):
                ref, offset = fields[f"ref[{slot}]"], fields[f"offset[{slot}]"]
                if record >> ref.low & 1:
                    columns = (pixels + (record >> offset.low & (1 << offset.width) - 1)) % config.columns
                    assert (page_of[columns] == head["page"]).all()
                    reading[head["page"]] |= set(columns.tolist())
        at += 2 + head["steps"] * config.step_beats


@pytest.mark.parametrize("zero, non_outlier", [(1, 0), (0, 0), (0, 1), (0.99, 0.01), (0.5, 0.5)])
@pytest.mark.parametrize("activations", [0, 0.9, 1])
def test_sparsity_from_end_to_end(zero, non_outlier, activations):
    rng = np.random.default_rng(5)
    x = maps(rng, (2, 12, 6, 6), -100, 100, activations)
    w = random_weights(rng, (6, 12, 3, 3), zero, non_outlier)
    w[2] = 0
    for filters in (1, 8):
        plan, _, counters = run(Config("t", filters=filters, wgs=3), x, w)
        if activations == 1:
            assert counters["steps"] == 0 and counters["dead_steps"] > 0
        if zero == 1:
            assert plan.steps == sum(len(part.steps) for part in plan.parts)
            assert counters["columns"] == 0


def test_extreme_values():
    x = np.full((1, 64, 3, 3), 255, np.int16)
    x[0, ::2] = -255
    w = np.where(np.arange(64) % 2, 127, -127).astype(np.int8).reshape(1, 64, 1, 1).repeat(3, axis=2).repeat(3, axis=3)
    run(TINY, x, w, padding=(1, 1, 1, 1))
    wide = np.where(np.arange(64) % 2, 32767, -32767).astype(np.int16).reshape(1, 64, 1, 1)
    run("kang", wide, np.full((2, 64, 1, 1), 127, np.int8), act_max=32767)
    nibbles = np.tile(np.array([-8, 7], np.int8), 32).reshape(1, 64, 1, 1)
    run("kang", wide, nibbles, act_max=32767)


def test_clipping_changes_the_weights_that_are_computed():
    w = np.array([-12, -11, -9, -8, 7, 8, 10, 11, 127, 0], np.int8)
    assert clipped(w, 3).tolist() == [-12, -8, -8, -8, 7, 7, 7, 11, 127, 0]
    assert clipped(w, 0).tolist() == w.tolist()
    rng = np.random.default_rng(1)
    w = random_weights(rng, (4, 8, 3, 3), 0.2, 0.4)
    plan = compile_conv(TINY, w, clip=120)
    assert plan.statistics()["outlier"] == 0 and plan.steps < compile_conv(TINY, w).steps
    x = maps(rng, (1, 8, 5, 5))
    np.testing.assert_array_equal(run_plan(FunctionalEngine(TINY), plan, x)[0], convolve(x, plan.weights))


def test_channels_in_slices():
    """Depthwise filters need no channels but their own: those of the next ones arrive while the first ones compute."""
    rng = np.random.default_rng(7)
    x, w = maps(rng, (2, 200, 7, 9)), random_weights(rng, (200, 1, 5, 5), 0.3, 0.5)
    config = Config("t", wgs=3, columns=256)
    plan, engine, _ = run(config, x, w, groups=200, padding=(2, 2, 2, 2))
    assert len(plan.parts) == 1 and len(plan.parts[0].slices) > 2 and len(engine.streams) == 1
    check_stream(config, engine.streams[0])


@pytest.mark.parametrize("limit", [600, 900, 1500])
def test_a_layer_in_several_transfers(monkeypatch, limit):
    rng = np.random.default_rng(limit)
    x, w = maps(rng, (2, 16, 12, 12)), random_weights(rng, (9, 16, 3, 3), 0.3, 0.6)
    monkeypatch.setattr(stream, "_BEATS", limit)
    for geometry in ({"padding": (1, 1, 1, 1)}, {"stride": (2, 2)}):
        _, engine, counters = run(TINY, x, w, **geometry)
        assert len(engine.streams) > 1 and max(map(len, engine.streams)) <= limit
        assert counters["beats_in"] == sum(map(len, engine.streams))
        for words in engine.streams:
            check_stream(TINY, words)


def test_a_large_batch_in_shares(monkeypatch):
    rng = np.random.default_rng(2)
    x, w = maps(rng, (11, 8, 6, 6)), random_weights(rng, (4, 8, 3, 3), 0.3, 0.6)
    monkeypatch.setattr(runtime, "_PROGRAM_BEATS", 1200)
    _, engine, _ = run(TINY, x, w)
    assert 1 < len(engine.streams) < 11


def test_one_transfer_for_a_layer_that_fits():
    rng = np.random.default_rng(3)
    _, engine, _ = run(
        "z2", maps(rng, (1, 64, 32, 32)), random_weights(rng, (64, 64, 3, 3), 0.34, 0.6), padding=(1,) * 4
    )
    assert len(engine.streams) == 1


def test_a_plan_runs_maps_of_any_size():
    rng = np.random.default_rng(4)
    w = random_weights(rng, (3, 10, 3, 3), 0.3, 0.6)
    plan = compile_conv(TINY, w, input_shape=(8, 8))
    for shape in ((1, 10, 3, 3), (2, 10, 17, 5), (1, 10, 8, 8), (2, 10, 17, 5)):
        x = maps(rng, shape)
        np.testing.assert_array_equal(run_plan(FunctionalEngine(TINY), plan, x)[0], convolve(x, w))
    assert len(plan._programs) <= 2


def test_step_and_ideal_cycles_of_a_full_layer():
    rng = np.random.default_rng(6)
    w = random_weights(rng, (16, 64, 3, 3), 0.342, 0.598)
    plan = compile_conv("z2", w, padding=(1, 1, 1, 1), input_shape=(32, 32))
    found = expected(plan, 1, 32, 32)
    assert found["dense_cycles"] == 16 * 72 * 64
    assert 2.35 < found["dense_cycles"] / found["step_cycles"] < found["dense_cycles"] / found["ideal_cycles"] < 3
    assert plan.statistics()["zero"] == np.mean(w == 0)


BAD_WEIGHTS = [
    ({"w": np.zeros((2, 3, 1, 1))}, "float64.*accepted.*int8"),
    ({"w": np.zeros((2, 3), np.int8)}, r"\(2, 3\).*accepted: \(K, C / groups, R, S\)"),
    ({"groups": 3}, "3 groups for 2 filters"),
    ({"stride": (0, 1)}, r"stride \(0, 1\); accepted: 2 integers of at least 1"),
    ({"padding": (1, 1)}, "padding.*accepted: 4 integers"),
    ({"dilation": (1.5, 1)}, "dilation"),
    ({"mode": "sparse"}, "mode 'sparse'; accepted by the trident engine.*: dense, zero_skip, combined"),
    ({"clip": -1}, "threshold -1; accepted: 0 to 120"),
    ({"act_max": 256}, "up to 256; accepted by this build: 1 to 255"),
    ({"w": np.full((1, 70000, 1, 1), 127, np.int8)}, "overflow.*accepted"),
]


@pytest.mark.parametrize("change, message", BAD_WEIGHTS)
def test_weights_that_cannot_be_compiled(change, message):
    arguments = {"w": np.ones((2, 3, 1, 1), np.int8)} | change
    with pytest.raises(InputError, match=f"layer 'here'.*{message}"):
        compile_conv(TINY, arguments.pop("w"), name="here", **arguments)


BAD_MAPS = [
    (np.zeros((1, 3, 4, 4)), "float64; accepted: int16"),
    (np.zeros((3, 4, 4), np.int16), r"accepted: \(N, 3, H, W\)"),
    (np.zeros((1, 4, 4, 4), np.int16), r"accepted: \(N, 3, H, W\)"),
    (np.zeros((0, 3, 4, 4), np.int16), r"accepted: \(N, 3, H, W\)"),
    (np.zeros((1, 3, 1, 4), np.int16), "1x4 pixels.*accepted: maps the kernel 2x2"),
    (np.full((1, 3, 4, 4), 256, np.int16), "holds 256; accepted: -255 to 255"),
    (np.full((1, 3, 4, 4), -256, np.int16), "holds -256; accepted: -255 to 255"),
]


@pytest.mark.parametrize("x, message", BAD_MAPS)
def test_maps_that_cannot_be_run(x, message):
    plan = compile_conv(TINY, np.ones((2, 3, 2, 2), np.int8), name="here")
    with pytest.raises(InputError, match=f"layer 'here'.*{message}"):
        run_plan(FunctionalEngine(TINY), plan, x)


def test_sums_never_overflow():
    w = np.full((1, 1000, 1, 1), 127, np.int8)
    plan = compile_conv("kang", w)
    x = np.full((1, 1000, 1, 1), plan.act_max, np.int16)
    assert plan.act_max == (2**31 - 1) // 127000
    np.testing.assert_array_equal(run_plan(FunctionalEngine(plan.config), plan, x)[0], convolve(x, w))
    with pytest.raises(InputError, match="overflow"):
        run_plan(FunctionalEngine(plan.config), plan, x + np.int16(1))


def test_a_plan_for_another_build():
    plan = compile_conv(TINY, np.ones((2, 3, 2, 2), np.int8), name="here")
    with pytest.raises(ConfigError, match=r"'here' is compiled for configuration 'tiny'.*differ in wgs"):
        run_plan(FunctionalEngine(Config("other", wgs=3)), plan, np.zeros((1, 3, 4, 4), np.int16))


def test_a_plan_that_does_not_fit_together():
    meta, arrays = to_arrays(compile_conv(TINY, np.ones((2, 3, 2, 2), np.int8), name="here"))
    changes = {
        "weights": arrays["weights"].astype(np.int16),
        "part0.steps": arrays["part0.steps"] + np.int32(1),
        "part0.slots": arrays["part0.slots"] + np.int32(100),
        "part0.words": arrays["part0.words"][:, :1],
        "part0.filters": arrays["part0.filters"] + np.int32(1),
    }
    for key, value in changes.items():
        with pytest.raises(FileFormatError, match="'here'"):
            from_arrays(meta, arrays | {key: value})
    with pytest.raises(FileFormatError):
        from_arrays({key: value for key, value in meta.items() if key != "parts"}, arrays)


def test_filters_of_similar_density_run_in_lockstep():
    rng = np.random.default_rng(8)
    w = random_weights(rng, (32, 16, 3, 3), 0.0, 1.0)
    w[rng.random(w.shape) > rng.permutation(32)[:, None, None, None] / 32] = 0
    config = Config("t", filters=8)
    plan, _, _ = run(config, maps(rng, (1, 16, 5, 5)), w)
    filters = plan.parts[0].filters
    counts = np.count_nonzero(w, axis=(1, 2, 3))
    assert sorted(filters.ravel()) == list(range(32)) and (np.diff(counts[filters.ravel()]) >= 0).all()
