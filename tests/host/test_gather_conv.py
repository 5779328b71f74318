"""Layers on the gather engine: random builds, near and far steps, legal streams, plans that do not fit together."""

import json

import numpy as np
import pytest

from layers import FunctionalEngine, convolve, random_weights
from test_conv import maps, run, run_random_layer
from zeroskip.compiler import gather_layers
from zeroskip.compiler.conv import compile_conv
from zeroskip.errors import FileFormatError
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.packets import (
    ACT_HEADER,
    KIND_ACT,
    ROUTES,
    RUN_HEADER_0,
    RUN_HEADER_1,
    decode,
    gather_step_fields,
)
from zeroskip.runtime import stream
from zeroskip.runtime.conv import expected, run_plan
from zeroskip.runtime.plan_arrays import from_arrays, to_arrays

TINY = get_config("gather_tiny")


def steps_of(config, words):
    """Every RUN of a stream: (header, loop, its steps as dicts of fields), and ACT headers with None."""
    at = 0
    while at < len(words):
        word = int(words[at])
        if word & 15 == KIND_ACT:
            head = decode(ACT_HEADER, word)
            yield head, None, None
            at += 1 + head["count"] * head["wgs"] * config.column_beats(head["format"])
            continue
        head, loop = decode(RUN_HEADER_0, word), decode(RUN_HEADER_1, int(words[at + 1]))
        beats = config.near_beats if head["near"] else config.step_beats
        fields, steps = gather_step_fields(config, bool(head["near"])), []
        for step in range(head["steps"]):
            first = at + 2 + step * beats
            record = sum(int(words[first + i]) << 64 * i for i in range(beats))
            steps.append({field.name: record >> field.low & (1 << field.width) - 1 for field in fields})
        yield head, loop, steps
        at += 2 + head["steps"] * beats


def check_stream(config, words):
    """No step reads a column that was not sent, and no ACT packet writes where queued runs may read."""
    page_of = np.full(config.columns, -1)
    reading = {0: set(), 1: set()}
    formats = set()
    for head, loop, steps in steps_of(config, words):
        if steps is None:
            addresses = (head["address"] + np.arange(head["count"])) % config.columns
            assert not reading[1 - head["page"]] & set(addresses.tolist())
            reading[head["page"]] = set()
            page_of[addresses] = head["page"]
            continue
        formats.add(head["near"])
        y, x = np.ogrid[: loop["ny"], : loop["nx"]]
        pixels = (head["base"] + y * loop["dy"] + x * loop["dx"]).ravel()
        for step in steps:
            for lane in range(config.lanes):
                byte, (one, two) = step[f"weight[{lane}]"], ROUTES[step[f"route[{lane}]"]]
                used = [one] * bool(byte) if two is None else [one] * bool(byte & 15) + [two] * bool(byte >> 4)
                for place in used:
                    bank = (2 * lane + place) % config.acts
                    if head["near"]:
                        offset = (step["base"] << config.near_shift) + step[f"near[{bank}]"]
                    else:
                        offset = step[f"offset[{bank}]"]
                    columns = (pixels + offset) % config.columns
                    assert (page_of[columns] == head["page"]).all()
                    reading[head["page"]] |= set(columns.tolist())
    return formats


def only_ways(monkeypatch, wanted):
    """Let the compiler lay out packed layers only as ``wanted`` says."""
    ways = gather_layers.ways
    monkeypatch.setattr(
        gather_layers, "ways", lambda *layer: [way for way in ways(*layer) if way.blocking == "packed" and wanted(way)]
    )


def random_build(rng):
    return Config(
        "random",
        "gather",
        lanes=int(rng.choice([4, 8, 16])),
        wgs=int(rng.integers(1, 18)),
        act_w=int(rng.choice([9, 16])),
        columns=int(rng.choice([32, 256, 1024, 4096])),
        steps=int(rng.choice([16, 64, 512])),
        scan=int(rng.choice([1, 2, 4])),
    )


@pytest.mark.parametrize("seed", range(80))
def test_random_layers_on_random_builds(seed):
    rng = np.random.default_rng([seed, 7])
    config = random_build(rng)
    for words in run_random_layer(config, rng):
        check_stream(config, words)


@pytest.mark.parametrize("phases", [2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_pixels_of_a_row_as_channels(monkeypatch, phases, seed):
    """Depthwise layers with every other (fourth) pixel of a row in a bank of its own, whether it pays or not."""
    rng = np.random.default_rng([seed, phases])
    only_ways(monkeypatch, lambda way: way.phases == phases)
    config = [TINY, get_config("gather"), Config("t", "gather", lanes=4, wgs=3, columns=128, scan=2)][seed % 3]
    channels, several = int(rng.integers(2, 30)), int(rng.integers(1, 3))
    taps = [(3, 3), (5, 5), (1, 3), (3, 1), (2, 2), (4, 7), (1, 1)][rng.integers(7)]
    geometry = {
        "stride": (int(rng.integers(1, 4)), int(rng.choice([1, 2, phases]))),
        "padding": tuple(int(v) for v in rng.integers(0, 4, 4)),
        "dilation": (int(rng.integers(1, 3)), 1),
        "groups": channels,
    }
    size = [int(rng.integers(k * d, k * d + 14)) for k, d in zip(taps, geometry["dilation"], strict=True)]
    x = maps(rng, (int(rng.choice([1, 3])), channels, *size), -100, 100)
    w = random_weights(rng, (channels * several, 1, *taps), 0.3, 0.5)
    plan, engine, counters = run(config, x, w, skip=False, **geometry)
    assert plan.phases == phases
    assert plan.dense_steps == sum(len(part.steps) for part in plan.parts) * w[0].size
    assert counters["steps"] == expected(plan, len(x), *size)["step_cycles"]
    for words in engine.streams:
        check_stream(config, words)


def test_phases_use_more_banks_for_a_filter(monkeypatch):
    """Every lane for the same filter: without phases its one bank is read 25 times at most, with them several are."""
    w = random_weights(np.random.default_rng(8), (96, 1, 5, 5), 0.3, 0.6)
    geometry = {"groups": 96, "padding": (2, 2, 2, 2), "input_shape": (56, 56)}
    only_ways(monkeypatch, lambda way: not way.apart and way.copies == 1)
    large, dense = (compile_conv("gather", w, mode=mode, **geometry) for mode in ("combined", "dense"))
    assert large.phases > 1 and dense.phases == 1 and dense.steps == 96 * 25
    foreseen = [expected(plan, 1, 56, 56) for plan in (large, dense)]
    assert foreseen[1]["dense_cycles"] == foreseen[1]["step_cycles"]
    assert foreseen[0]["step_cycles"] < 0.5 * foreseen[0]["dense_cycles"]


def test_near_steps_where_addresses_are_close():
    """Fully connected layers and small maps, which wait for their schedules, have the near format throughout."""
    rng = np.random.default_rng(1)
    cases = [((1, 900, 1, 1), (3, 900, 1, 1), {}), ((16, 64, 2, 2), (4, 64, 3, 3), {"padding": (1, 1, 1, 1)})]
    for x_shape, w_shape, geometry in cases:
        w = random_weights(rng, w_shape, 0.5, 0.4)
        _, engine, _ = run("gather", maps(rng, x_shape), w, input_shape=x_shape[2:], **geometry)
        assert [check_stream(get_config("gather"), words) for words in engine.streams] == [{1}]


def test_far_steps_where_they_are_not():
    rng = np.random.default_rng(2)
    x, w = maps(rng, (1, 256, 20, 20)), random_weights(rng, (2, 256, 3, 3), 0.5, 0.4)
    _, engine, _ = run("gather", x, w, input_shape=(20, 20), padding=(1, 1, 1, 1))
    assert 0 in set().union(*(check_stream(get_config("gather"), words) for words in engine.streams))


def test_both_formats_in_one_transfer():
    """A filter with weights in one kernel row only is near, the others are far."""
    rng = np.random.default_rng(3)
    w = random_weights(rng, (6, 128, 3, 3), 0.5, 0.4)
    w[::2, :, 1:] = 0
    _, engine, _ = run("gather", maps(rng, (1, 128, 24, 24)), w, input_shape=(24, 24), padding=(1, 1, 1, 1))
    assert [check_stream(get_config("gather"), words) for words in engine.streams] == [{0, 1}]


@pytest.mark.parametrize("limit", [700, 1100])
def test_a_layer_in_several_transfers(monkeypatch, limit):
    rng = np.random.default_rng(limit)
    x, w = maps(rng, (2, 16, 12, 12)), random_weights(rng, (9, 16, 3, 3), 0.3, 0.6)
    monkeypatch.setattr(stream, "_BEATS", limit)
    _, engine, counters = run(TINY, x, w, padding=(1, 1, 1, 1))
    assert len(engine.streams) > 1 and max(map(len, engine.streams)) <= limit
    assert counters["beats_in"] == sum(map(len, engine.streams))
    for words in engine.streams:
        check_stream(TINY, words)


@pytest.mark.parametrize("zero, non_outlier", [(1, 0), (0, 0), (0, 1), (0.99, 0.01)])
@pytest.mark.parametrize("activations", [0, 0.9, 1])
def test_sparsity_from_end_to_end(zero, non_outlier, activations):
    rng = np.random.default_rng(5)
    x = maps(rng, (2, 12, 6, 6), -100, 100, activations)
    w = random_weights(rng, (6, 12, 3, 3), zero, non_outlier)
    w[2] = 0
    plan, _, counters = run(Config("t", "gather", wgs=3, columns=256, scan=2), x, w)
    if activations == 1:
        assert counters["steps"] == 0 and counters["dead_steps"] > 0
    if zero == 1:
        assert plan.steps == sum(len(part.steps) for part in plan.parts) and counters["columns"] == 0


@pytest.mark.parametrize("shape", [(40, 64, 3, 3), (8, 8, 3, 3), (6, 40, 1, 1), (4, 23, 2, 2), (12, 1, 3, 3)])
def test_the_dense_schedule_costs_what_tridents_does(shape):
    """Same layer, same number of multipliers: one weight per lane and step, zeros included."""
    w = random_weights(np.random.default_rng(1), shape, 0.5, 0.4)
    groups = shape[0] if shape[1] == 1 else 1
    gather, trident = (compile_conv(name, w, groups=groups, mode="dense") for name in ("gather", "z2"))
    assert gather.dense_steps == gather.steps
    if gather.blocking == trident.blocking == "channels":
        assert gather.steps == trident.steps
    else:
        assert gather.steps <= trident.steps


def test_efficiency_of_a_layer():
    """Published mean of VGG-16's weights, 64 channels: near the bound in steps, and in cycles of perfect hardware."""
    rng = np.random.default_rng(6)
    w = random_weights(rng, (16, 64, 3, 3), 0.342, 0.598)
    plan = compile_conv("gather", w, padding=(1, 1, 1, 1), input_shape=(32, 32))
    found = expected(plan, 1, 32, 32)
    assert found["dense_cycles"] == 16 * 72 * 64
    assert 0.9 < found["ideal_cycles"] / found["step_cycles"] <= 1


def test_a_plan_that_does_not_fit_together():
    w = random_weights(np.random.default_rng(1), (3, 20, 3, 3), 0.3, 0.5)
    plan = compile_conv(TINY, w, name="here")
    meta, arrays = to_arrays(plan)
    meta = json.loads(json.dumps(meta))
    lanes, slots = arrays["part0.lanes"], arrays["part0.slots"]
    busy = np.argwhere(lanes >> 8 == 0)[0]
    crossed = lanes.copy()
    crossed[tuple(busy)] |= 3 << 8
    idle = slots.copy()
    idle[0, np.flatnonzero(slots[0] >= 0)[0]] = -1
    changes = {
        "placed": ("places of channels", arrays["placed"][:, :16].repeat(2, axis=0)),
        "part0.lanes": ("a route that is none", lanes | np.int16(7 << 8)),
        "part0.slots": ("refers to no column", slots + np.int16(5000)),
        "part0.near": ("near of a wrong length", arrays["part0.near"][1:]),
    }
    for key, (message, array) in changes.items():
        with pytest.raises(FileFormatError, match=f"'here': .*{message}"):
            from_arrays(meta, arrays | {key: array})
    for key, array in (("part0.lanes", crossed), ("part0.slots", idle)):
        with pytest.raises(FileFormatError, match=r"'here': .*(read one bank|reads other banks)"):
            from_arrays(meta, arrays | {key: array})
    with pytest.raises(FileFormatError, match="'here': a place without a channel"):
        from_arrays(meta, arrays | {"placed": np.full_like(arrays["placed"], 20)})
    with pytest.raises(FileFormatError, match="'here': phases"):
        from_arrays(meta | {"phases": 2}, arrays)
    with pytest.raises(FileFormatError, match="placed"):
        from_arrays(meta, {key: array for key, array in arrays.items() if key != "placed"})


def test_a_plan_runs_maps_of_any_size():
    rng = np.random.default_rng(4)
    w = random_weights(rng, (3, 10, 3, 3), 0.3, 0.6)
    plan = compile_conv(TINY, w, input_shape=(8, 8))
    for shape in ((1, 10, 3, 3), (2, 10, 17, 5), (1, 10, 8, 8)):
        x = maps(rng, shape)
        np.testing.assert_array_equal(run_plan(FunctionalEngine(TINY), plan, x)[0], convolve(x, w))
