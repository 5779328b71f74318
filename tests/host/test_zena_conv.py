"""Convolutions compiled for the zena engine: read literally from the stream, equal to an independent convolution."""

import json

import numpy as np
import pytest

from layers import convolve, random_weights
from test_conv import KINDS, maps
from zena_engine import LiteralZena
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.logquant import log_quantise
from zeroskip.engines import ENGINES
from zeroskip.errors import ConfigError, FileFormatError, InputError
from zeroskip.hardware.config import Config, get_config
from zeroskip.models import reference
from zeroskip.models.zena import execute
from zeroskip.runtime import conv as runtime
from zeroskip.runtime import zena_stream
from zeroskip.runtime.bounds import intersections, multiplications
from zeroskip.runtime.conv import run_plan
from zeroskip.runtime.plan_arrays import from_arrays, to_arrays
from zeroskip.runtime.zena_part import FINAL, FIRST

ZENA = {"engine": "zena", "lanes": 16, "steps": 16}
SMALL = Config("small", **ZENA, filters=8, wgs=2, sub_wgs=2, columns=64, psums=64, weight_w=16, act_w=16)
WIDE = Config("wide", **ZENA, filters=8, wgs=7, sub_wgs=1, columns=128, psums=512)
LOG = Config("log", **ZENA, filters=8, wgs=3, columns=64, psums=64, weight_w=5)


def run(config, x, w, mode="WAZ+KA", input_shape=None, act_max=255, allocation=None, **geometry):
    """Compile, save and load, run, compare; returns plan, engine and counters."""
    plan = compile_conv(
        config, w, mode=mode, input_shape=input_shape, act_max=act_max, allocation=allocation, name="test", **geometry
    )
    meta, arrays = to_arrays(plan)
    plan = from_arrays(json.loads(json.dumps(meta)), arrays)
    engine = LiteralZena(plan.config)
    sums, counters = run_plan(engine, plan, x)
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, convolve(x, w, **geometry))
    return plan, engine, counters


@pytest.mark.parametrize("config", [SMALL, WIDE], ids=lambda config: config.name)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_layers(kind, config):
    rng = np.random.default_rng([len(kind), config.wgs])
    x_shape, w_shape, geometry = KINDS[kind]
    x, w = maps(rng, x_shape), random_weights(rng, w_shape, 0.4, 0.5)
    found = {mode: run(config, x, w, mode, **geometry) for mode in ENGINES["zena"].modes}
    products = {mode: counters["multiplies"] for mode, (_, _, counters) in found.items()}
    # Rectangles may reach beyond the map, so a mode may multiply more than the layer has; never less.
    plan = found["dense"][0]
    assert products["dense"] >= multiplications(plan, len(x), *x.shape[2:])
    assert products["WAZ"] >= intersections(plan, x != 0)
    if all(len({p.layout.blocks for p in plan.parts}) == 1 for plan, _, _ in found.values()):
        assert products["dense"] >= max(products["WZ"], products["AZ"]) >= products["WAZ"]


def test_modes_multiply_exactly_what_they_say():
    """On a map that rectangles divide evenly, and with channels that do not fill their blocks."""
    rng = np.random.default_rng(3)
    x, w = maps(rng, (1, 20, 4, 4)), random_weights(rng, (8, 20, 1, 1), 0.5, 0.4)
    config = Config("even", **ZENA, filters=8, wgs=4, columns=64, psums=128)
    plan, _, dense = run(config, x, w, "dense")
    assert dense["multiplies"] == multiplications(plan, 1, 4, 4) == 16 * 8 * 20
    assert run(config, x, w, "WZ")[2]["multiplies"] == 16 * np.count_nonzero(w)
    assert run(config, x, w, "AZ")[2]["multiplies"] == 8 * np.count_nonzero(x)
    pairs = np.count_nonzero(w[:, :, 0, 0], axis=0) @ np.count_nonzero(x, axis=(0, 2, 3))
    assert run(config, x, w, "WAZ")[2]["multiplies"] == run(config, x, w)[2]["multiplies"] == pairs
    assert pairs == intersections(plan, x != 0)


@pytest.mark.parametrize("seed", range(60))
def test_random_layers_on_random_builds(seed):
    rng = np.random.default_rng(seed)
    sub_wgs = int(rng.choice([1, 2, 4]))
    weight_w = int(rng.choice([5, 8, 16]))
    config = Config(
        "random", **ZENA | {"steps": int(rng.choice([8, 16, 32]))}, filters=4 * sub_wgs * int(rng.integers(1, 3)),
        wgs=int(rng.integers(1, 10)), sub_wgs=sub_wgs, columns=int(rng.choice([32, 64, 256])), weight_w=weight_w,
        psums=int(rng.choice([32, 128, 512])), act_w=int(rng.choice([9, 16])),
        stealing=int(sub_wgs > 1 and seed % 2),
    )  # fmt: skip
    depthwise = rng.random() < 0.2
    groups = int(rng.integers(1, 20)) if depthwise else int(rng.choice([1, 1, 3]))
    channels = 1 if depthwise else int(rng.choice([1, 3, 16, 21, 70]))
    filters = groups * int(rng.integers(1, 3 if depthwise else 40))
    taps = [(1, 1), (3, 3), (1, 3), (5, 2), (3, 1), (5, 5)][rng.integers(6)]
    geometry = {
        "stride": tuple(int(v) for v in rng.integers(1, 4, 2)),
        "padding": tuple(int(v) for v in rng.integers(0, 4, 4)),
        "dilation": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "groups": groups,
    }
    ends = zip(taps, geometry["dilation"], geometry["padding"][:2], geometry["padding"][2:], strict=True)
    size = [max(int(rng.integers(1, 14)), (k - 1) * d + 1 - low - high) for k, d, low, high in ends]
    wide = config.act_w == 16 and weight_w != 5 and rng.random() < 0.5
    low, high = (-2000, 2000) if wide else [(0, 255), (-255, 255), (-128, 127)][rng.integers(3)]
    x = maps(rng, (int(rng.choice([1, 2, 5])), channels * groups, *size), low, high, rng.choice([0, 0.5, 0.95, 1]))
    w = random_weights(rng, (filters, channels, *taps), rng.choice([0, 0.3, 0.6, 0.9, 1]), 0.3)
    if weight_w == 16 and not wide:
        w = w.astype(np.int16) * np.int16(rng.integers(1, 50))
    if weight_w == 5:
        w = log_quantise(w, top=6)[0]
    mode = ENGINES["zena"].modes[rng.integers(5)]
    shape = tuple(size) if rng.random() < 0.5 else None
    plan, engine, _ = run(config, x, w, mode, shape, **geometry)
    for words in engine.streams:
        done = execute(config, words)
        assert done.counters["beats_in"] == len(words)
    finals = np.concatenate([part.outputs for part in plan.parts])
    assert sorted(finals[finals >= 0]) == list(range(filters))


@pytest.mark.parametrize("weights", [0, 0.99, 1])
@pytest.mark.parametrize("activations", [0, 0.99, 1])
def test_sparsity_from_end_to_end(weights, activations):
    rng = np.random.default_rng(5)
    x, w = maps(rng, (2, 40, 6, 6), -100, 100, activations), random_weights(rng, (20, 40, 3, 3), weights, 0.5)
    plan, _, counters = run(SMALL, x, w, padding=(1, 1, 1, 1))
    if weights == 1:
        assert counters["multiplies"] == 0 and len(plan.parts[0].tile) <= 2 * len(plan.parts[0].outputs) // 4
    if activations == 1:
        assert counters["multiplies"] == 0


def test_extreme_values():
    x = np.full((1, 64, 3, 3), 255, np.int16)
    x[0, ::2] = -255
    w = np.where(np.arange(64) % 2, 127, -127).astype(np.int8).reshape(1, 64, 1, 1).repeat(3, axis=2).repeat(3, axis=3)
    run(WIDE, x, w, padding=(1, 1, 1, 1))
    wide = np.array([32767, -32767], np.int16).reshape(1, 2, 1, 1)
    run(SMALL, wide, np.array([32767, -32767, 1, 0], np.int16).reshape(2, 2, 1, 1), act_max=32767)


def test_passes_and_two_sets_of_partial_sums():
    rng = np.random.default_rng(6)
    x, w = maps(rng, (2, 32, 9, 9)), random_weights(rng, (90, 32, 3, 3), 0.5, 0.4)
    plan, _, _ = run(SMALL, x, w, padding=(1, 1, 1, 1), input_shape=(9, 9))
    part = plan.parts[0]
    assert part.turn[-1] > 0 and len(part.tiles) == 2 * (part.turn[-1] + 1)
    assert part.slots * (part.turn[-1] + 1) >= 90 / SMALL.filters
    for number in range(part.turn[-1] + 1):
        mine = part.turn == number
        assert ((part.flags[mine] & FIRST) > 0).sum() == ((part.flags[mine] & FINAL) > 0).sum() > 0


def test_jobs_alternate_between_sub_wgs():
    rng = np.random.default_rng(7)
    part = compile_conv(SMALL, random_weights(rng, (64, 64, 3, 3), 0.6, 0.3), input_shape=(8, 8)).parts[0]
    assert (part.sub_wg == np.arange(len(part.sub_wg)) % 2).all()


def test_a_layer_in_several_transfers(monkeypatch):
    rng = np.random.default_rng(8)
    x, w = maps(rng, (2, 16, 12, 12)), random_weights(rng, (9, 16, 3, 3), 0.3, 0.6)
    monkeypatch.setattr(zena_stream, "_BEATS", 1500)
    _, engine, counters = run(SMALL, x, w, padding=(1, 1, 1, 1))
    assert len(engine.streams) > 1 and max(map(len, engine.streams)) <= 1500
    assert counters["beats_in"] == sum(map(len, engine.streams))
    monkeypatch.setattr(zena_stream, "_BEATS", 100)
    with pytest.raises(InputError, match=r"'test'.*DMA transfer"):
        run(SMALL, x, w, padding=(1, 1, 1, 1))


def test_a_large_batch_in_shares(monkeypatch):
    rng = np.random.default_rng(2)
    x, w = maps(rng, (11, 8, 6, 6)), random_weights(rng, (4, 8, 3, 3), 0.3, 0.6)
    monkeypatch.setattr(runtime, "_PROGRAM_BEATS", 3000)
    _, engine, _ = run(SMALL, x, w)
    assert 1 < len(engine.streams) < 11


def test_zeros_are_not_sent():
    rng = np.random.default_rng(9)
    x, w = maps(rng, (1, 64, 12, 12), zero=0.8), random_weights(rng, (16, 64, 3, 3), 0.8, 0.2)
    beats = {mode: run(WIDE, x, w, mode, padding=(1, 1, 1, 1))[2]["beats_in"] for mode in ("dense", "WZ", "AZ", "WAZ")}
    assert beats["WAZ"] < 0.45 * beats["dense"] and beats["WAZ"] < min(beats["WZ"], beats["AZ"]) < beats["dense"]


def test_log_quant_products_are_shifts():
    rng = np.random.default_rng(10)
    w, _ = log_quantise(rng.normal(size=(9, 20, 3, 3)), top=7)
    x = maps(rng, (1, 20, 7, 7))
    plan, engine, _ = run(LOG, x, w, padding=(1, 1, 1, 1))
    sums = run_plan(engine, plan, x)[0]
    np.testing.assert_array_equal(sums, reference.conv2d(x, w, padding=(1, 1, 1, 1)))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mode": "combined"}, "'conv'.*mode 'combined'; accepted by the zena engine.*dense, WZ, AZ, WAZ, WAZ\\+KA"),
        ({"allocation": "greedy"}, "allocation 'greedy'; accepted, on zena: index, count, balanced"),
        ({"w": np.zeros((2, 3, 1, 1), np.int32)}, "int32; accepted.*weight_w = 16.*int8 or int16"),
        ({"w": np.full((1, 999, 1, 1), 32767, np.int16)}, "overflow 32 bits"),
        ({"config": WIDE, "w": np.zeros((2, 3, 1, 1), np.int16)}, "weight_w = 8.*int8 array"),
        ({"config": LOG, "w": np.full((1, 1, 1, 1), 3, np.int8)}, "LogQuant"),
        ({"config": "tiny", "mode": "WAZ"}, "'WAZ'; accepted by the trident engine.*dense, zero_skip, combined"),
        ({"config": "tiny", "allocation": "count"}, "allocation 'count'"),
    ],
)  # fmt: skip
def test_what_is_refused(change, message):
    arguments = {"config": SMALL, "w": np.ones((2, 3, 1, 1), np.int8)} | change
    with pytest.raises(InputError, match=message):
        compile_conv(arguments.pop("config"), arguments.pop("w"), **arguments)


def test_default_modes():
    w = np.ones((2, 3, 1, 1), np.int8)
    assert compile_conv(SMALL, w).mode == "WAZ+KA" and compile_conv("tiny", w).mode == "combined"


def test_a_plan_for_another_engine_is_refused():
    plan = compile_conv(SMALL, np.ones((2, 3, 1, 1), np.int8))
    with pytest.raises(ConfigError, match="engine"):
        run_plan(LiteralZena(get_config("tiny")), plan, np.ones((1, 3, 2, 2), np.int16))


BROKEN = {
    "mode": lambda meta, arrays: meta.update(mode="combined"),
    "a sub-WG out of range": lambda meta, arrays: arrays["part0.sub_wg"].fill(2),
    "a slot out of range": lambda meta, arrays: arrays["part0.slot"].fill(64),
    "chunks of a job": lambda meta, arrays: arrays["part0.chunks"].fill(4),
    "a chunk refers to no column": lambda meta, arrays: arrays["part0.columns"].fill(9),
    "kernel data": lambda meta, arrays: arrays.update({"part0.words": arrays["part0.words"][1:]}),
    "a filter out of range": lambda meta, arrays: arrays["part0.kernels"].fill(2),
    "not final": lambda meta, arrays: arrays["part0.flags"].fill(1),
    "rank 1": lambda meta, arrays: arrays.update({"part0.tile": arrays["part0.tile"].astype(np.int64)}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused(what):
    meta, arrays = to_arrays(compile_conv(SMALL, np.ones((2, 16, 3, 3), np.int8), input_shape=(8, 8)))
    arrays = {key: array.copy() for key, array in arrays.items()}
    from_arrays(meta, arrays)
    BROKEN[what](meta, arrays)
    with pytest.raises(FileFormatError, match=what):
        from_arrays(meta, arrays)
