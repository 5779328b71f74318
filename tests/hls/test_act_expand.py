"""act_expand: compressed columns come out as the engine's, everything else as it went in."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import Finish, act, actz, compile_kernels, expand, headers_of, run
from variants import GATHER_VARIANTS, VARIANTS
from zeroskip.hardware.config import BUILTIN, Config
from zeroskip.hardware.packets import ACT_HEADER, CHECKSUM, KIND_DAMAGED, encode
from zeroskip.models.kernels import Kernels
from zeroskip.models.packet_table import intact
from zeroskip.runtime.hostops import Quant
from zeroskip.runtime.zero_groups import compress

CONFIGS = {name: VARIANTS[name] for name in ("tiny", "kang", "mux4", "mux12")}
CONFIGS |= {name: GATHER_VARIANTS[name] for name in ("gather_tiny", "lanes4", "lanes16")}
DENSITIES = {"all zero": 0.0, "sparse": 0.1, "half": 0.5, "dense": 1.0}


def columns(rng, config: Config, wide: bool, wgs: int, count: int, density: float, zero: int) -> np.ndarray:
    """Values of ``count`` columns, of which the given share is not zero."""
    size = count * wgs * config.column_beats(wide) * (4 if wide else 8)
    if wide:
        values = rng.integers(1, 32768, size) * rng.choice([-1, 1], size)
        return np.where(rng.random(size) < density, values, 0).astype(np.int16)
    values = (zero + rng.integers(1, 256, size)) % 256
    return np.where(rng.random(size) < density, values, zero).astype(np.uint8)


@pytest.mark.parametrize("stall", [0, 150])
@pytest.mark.parametrize("name", CONFIGS)
def test_random_streams(name, stall):
    config = CONFIGS[name]
    rng = np.random.default_rng(5)
    for seed in range(1, 9):
        sent, expected, told = [], [], []
        for _ in range(12):
            wide, wgs = bool(rng.integers(2)), int(rng.integers(1, config.wgs + 1))
            zero = 0 if wide else int(rng.integers(0, 256))
            density = rng.choice(list(DENSITIES.values()))
            values = columns(rng, config, wide, wgs, int(rng.integers(1, 40)), density, zero)
            plain = act(config, values, zero, wgs)
            sent += actz(config, values, zero, wgs) if rng.random() < 0.7 else plain
            expected += plain
            if rng.random() < 0.5:
                apart = config.engine == "gather" and rng.random() < 0.5
                parameters = Finish(rng, config, Quant(1.0), False, apart).packet()
                sent += parameters
                told += parameters
            packet = run(config, rng, int(rng.integers(1, 20)), wgs, 2, 3, near=bool(rng.integers(2)))
            sent, expected, told = sent + packet, expected + packet, told + headers_of(packet)
        engine, runs, _ = expand(config, sent, stall, seed)
        np.testing.assert_array_equal(engine, np.array(expected, np.uint64))
        np.testing.assert_array_equal(runs, np.array(told, np.uint64))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("density", DENSITIES)
def test_lengths_around_a_group(density, wide):
    """One beat, and one more or less than the 8 or 16 of a group."""
    config, rng = CONFIGS["tiny"], np.random.default_rng(2)
    zero = 0 if wide else 200
    for count in (1, 2, 7, 8, 9, 15, 16, 17, 33):
        values = columns(rng, config, wide, 1, count, DENSITIES[density], zero)
        engine, runs, _ = expand(config, actz(config, values, zero, 1))
        np.testing.assert_array_equal(engine, np.array(act(config, values, zero, 1), np.uint64))
        assert len(runs) == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_host_compresses_as_documented(name):
    """``runtime.zero_groups`` makes the packets that a value-by-value reading of docs/streams.md makes."""
    config, rng = CONFIGS[name], np.random.default_rng(3)
    for wide in (False, True):
        plain, packed, headers = [], [], []
        zero = 0 if wide else 17
        for density in (*DENSITIES.values(), 0.3, 0.7):
            wgs = int(rng.integers(1, config.wgs + 1))
            values = columns(rng, config, wide, wgs, int(rng.integers(1, 60)), density, zero)
            headers.append(len(plain))
            between = run(config, rng, int(rng.integers(1, 5)), wgs, 1, 1)
            plain += act(config, values, zero, wgs) + between
            packed += actz(config, values, zero, wgs) + between
        found = compress(config, np.array(plain, np.uint64), np.array(headers))
        np.testing.assert_array_equal(found, np.array(packed, np.uint64))


def test_one_beat_per_turn_when_sparse():
    """The groups' zero bits cost no time: they are read while other groups are written."""
    config, rng = CONFIGS["tiny"], np.random.default_rng(4)
    values = columns(rng, config, False, 2, 400, 0.25, 0)
    engine, _, turns = expand(config, actz(config, values, 0, 2))
    assert len(engine) == 801
    assert turns < 801 + 200 + 20  # the first beat's way, and the turns after which the test gives up


def test_unknown_packet_passes_one_beat():
    """The engine, not the glue, says what is wrong with it."""
    config = CONFIGS["tiny"]
    header = encode(ACT_HEADER, kind=5, page=0, format=0, wgs=1, address=0, count=3, zero_point=0)
    engine, runs, _ = expand(config, [header])
    assert engine.tolist() == [header] and len(runs) == 0


def expanded(config: Config, words: list[int]) -> list[int]:
    """Beats to the engine, of a kernel that has just been reset: a damaged length leaves it within a packet."""
    with Kernels(config, np.array(words, np.uint64)) as kernels:
        return kernels.expanded().tolist()


def turned(packet: list[int], bit: int) -> list[int]:
    return [word ^ (1 << bit % 64 if index == bit // 64 else 0) for index, word in enumerate(packet)]


def test_a_damaged_finish_stops_the_engine():
    """Any bit of it but those of its kind: the engine gets a beat of a kind that no packet has, before the RUN."""
    config, rng = CONFIGS["gather_tiny"], np.random.default_rng(6)
    packet = Finish(rng, config, Quant(1.0), False, True).packet()
    behind = run(config, rng, 40, 1, 1, 1)
    for bit in range(4, 64 * len(packet)):
        found = expanded(config, turned(packet, bit) + behind)
        if 8 <= bit < 16:  # its length: it ends before or behind its place, or not at all
            assert found[:1] in ([], [KIND_DAMAGED]), bit
        else:
            assert found == [KIND_DAMAGED, *behind], bit
    assert expanded(config, packet + behind) == expand(config, packet + behind)[0].tolist() == behind
    assert expand(config, turned(packet, 5) + behind)[0].tolist() == [KIND_DAMAGED, *behind]


def test_an_actz_has_the_checksum_of_the_act():
    """The engine checks it, in the columns that have come out of the groups; whatever bit of the groups is damaged."""
    config, rng = CONFIGS["tiny"], np.random.default_rng(7)
    values = columns(rng, config, False, 2, 30, 0.4, 9)
    packet, plain = actz(config, values, 9, 2), act(config, values, 9, 2)
    assert packet[0] >> CHECKSUM.low == plain[0] >> CHECKSUM.low
    assert expanded(config, packet) == plain
    behind, harmless = [0] * 8, 0  # room for groups that have become longer
    for bit in range(40, 64 * len(packet)):  # of the header, the zero point and the checksum
        found = np.array(expanded(config, turned(packet, bit) + behind)[: len(plain)], np.uint64)
        same = found.tolist() == plain  # the bit only filled up a group's last beat
        assert len(found) == len(plain) and intact(found, 0, len(found)) == same, bit
        harmless += same
    assert harmless < 64 * len(packet) // 5


def test_compiles_without_warnings_for_the_board():
    """The others are compiled by the tests that run them."""
    done = compile_kernels(BUILTIN["z2"], "-fsyntax-only")
    assert done.returncode == 0, done.stderr[:4000]


def test_assumptions_are_checked_at_compile_time():
    """A geometry that the kernels cannot follow does not compile, and the compiler says which assumption it breaks."""
    odd = Config("odd", filters=2)
    object.__setattr__(odd, "filters", 3)
    done = compile_kernels(odd, "-fsyntax-only")
    assert done.returncode != 0 and "filters in lockstep, and lanes, are a power of two" in done.stderr
