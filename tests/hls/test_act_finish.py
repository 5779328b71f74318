"""act_finish against the golden model's requantisation, and the host's decompression against act_finish."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import Finish, beats_of, finish, headers_of, run
from variants import GATHER_VARIANTS, VARIANTS
from zeroskip.errors import DeviceError
from zeroskip.hardware.config import Config
from zeroskip.hardware.packets import GROUP
from zeroskip.runtime.hostops import Quant, fixed_point
from zeroskip.runtime.zero_groups import decompress

CONFIGS = {  # every width of a beat of sums, with and without filters in lockstep, with lanes that may be apart
    **{name: VARIANTS[name] for name in ("tiny", "kang", "mux4", "mux12")},
    **{name: GATHER_VARIANTS[name] for name in ("gather_tiny", "gather", "lanes4")},
    "lockstep": Config("lockstep", filters=2, wgs=7),
}
QUANTS = {
    "uint8": Quant(1.0, 0, "uint8"),
    "uint8 with zero point": Quant(1.0, 113, "uint8"),
    "int8": Quant(1.0, -128, "int8"),
    "int16": Quant(1.0, 0, "int16"),
}


def one_run(config, rng, sums, parameters, last=True, apart=False):
    """(beats for the runs port, beats of sums) of one RUN over sums (pixels, wgs, M), apart: (pixels, LANES, wgs)."""
    wgs = sums.shape[2 if apart else 1]
    rows = next(rows for rows in (3, 2, 1) if len(sums) % rows == 0)
    packet = run(config, rng, 1, wgs, rows, len(sums) // rows, last, apart=apart)
    head = (parameters.packet() if parameters else []) + headers_of(packet)
    return head, beats_of(sums, config.glue_sums, apart)


def random_sums(rng, config, pixels, wgs, apart=False):
    shape = (pixels, config.lanes, wgs) if apart else (pixels, wgs, config.filters)
    return rng.integers(-(2**30), 2**30, shape).astype(np.int32)


def test_the_widths_are_all_there():
    assert {config.glue_sums for config in CONFIGS.values()} == {2, 4, 8}


@pytest.mark.parametrize("stall", [0, 130])
@pytest.mark.parametrize("name", CONFIGS)
def test_random_runs(name, stall):
    """Runs with and without parameters, compressed and not, of every type, apart and not, follow each other."""
    config = CONFIGS[name]
    rng = np.random.default_rng(11)
    for seed in range(1, 7):
        runs, sums, expected, ends = [], [], [], []
        for index in range(14):
            wgs, pixels = int(rng.integers(1, config.wgs + 1)), int(rng.integers(1, 40))
            apart = config.engine == "gather" and rng.random() < 0.5
            some = random_sums(rng, config, pixels, wgs, apart)
            quant = QUANTS[rng.choice(list(QUANTS))]
            parameters = Finish(rng, config, quant, bool(rng.integers(2)), apart) if rng.random() < 0.8 else None
            if parameters and rng.random() < 0.3:
                parameters.low = quant.zero_point  # ReLU
            last = index % 5 == 4
            head, beats = one_run(config, rng, some, parameters, last, apart)
            runs, sums = runs + head, sums + beats
            expected += parameters.apply(some) if parameters else beats_of(some, 2, apart)
            if last:
                ends.append(len(expected) - 1)
        out, lasts, _ = finish(config, runs, sums, stall, seed)
        np.testing.assert_array_equal(out, np.array(expected, np.uint64))
        assert lasts == ends


@pytest.mark.parametrize("name", ["tiny", "mux4", "gather"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint8 compressed", "int16 compressed", "raw"])
def test_a_word_leaves_every_cycle(name, kind):
    """... or all sums of a beat; a group costs one cycle more.  Parameters are read while the run before computes."""
    config, rng = CONFIGS[name], np.random.default_rng(9)
    wgs, pixels, count = config.wgs - config.wgs % config.glue_sums, 64, 12
    results = {"raw": 2, "int16": min(4, config.glue_sums)}.get(kind.split()[0], config.glue_sums)  # of a cycle
    runs, sums, cycles = [], [], 0
    for _ in range(count):
        some = random_sums(rng, config, pixels, wgs)
        parameters = None
        if kind != "raw":
            parameters = Finish(rng, config, QUANTS[kind.split()[0]], "compressed" in kind, shift=[30])
        head, beats = one_run(config, rng, some, parameters)
        runs, sums = runs + head, sums + beats
        cycles += some.size // results + ("compressed" in kind) * some.size // GROUP
    out, _, turns = finish(config, runs, sums)
    assert len(out) <= turns <= cycles + count + 20


@pytest.mark.parametrize("quant", QUANTS)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", ["mux4", "lockstep"])
def test_lengths(name, quant, compress):
    """Results that fill a beat or a group exactly, or miss it by one; with an odd number of them per pixel too."""
    config, rng = CONFIGS[name], np.random.default_rng(3)
    for wgs in (1, 2, 5):
        for pixels in (1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 31, 32, 33, 63, 64, 65, 128, 129):
            some = random_sums(rng, config, pixels, wgs)
            parameters = Finish(rng, config, QUANTS[quant], compress, shift=[58] * config.filters)
            out, lasts, _ = finish(config, *one_run(config, rng, some, parameters))
            assert out.tolist() == parameters.apply(some), f"{pixels} pixels, {wgs} work groups"
            assert lasts == [len(out) - 1]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("value", ["zero", "dense"])
def test_all_zero_and_fully_dense(value, compress):
    config, rng = CONFIGS["tiny"], np.random.default_rng(1)
    quant = Quant(1.0, 5, "uint8")
    for pixels in (1, 31, 32, 33, 64, 100):
        some = np.full((pixels, 2, 1), 0 if value == "zero" else 100, np.int32)
        parameters = Finish(rng, config, quant, compress, bias=[0], multiplier=[2**30], shift=[30])
        out, lasts, _ = finish(config, *one_run(config, rng, some, parameters))
        assert out.tolist() == parameters.apply(some)
        assert lasts == [len(out) - 1]
        if compress:
            groups = -(-2 * pixels // 64)
            assert len(out) == (groups if value == "zero" else groups + -(-2 * pixels // 8))


def test_ties_go_to_the_even_result():
    """Factors of 2^-k: every sum n/2 above a result is a tie, and the golden model decides."""
    config, rng = CONFIGS["tiny"], np.random.default_rng(0)
    for factor in (0.5, 0.25, 2.0**-10, 2.0**-30):
        multiplier, shift = fixed_point(factor)
        half = round(0.5 / factor)
        some = (np.arange(-40, 41)[:, None, None] * half + np.array([0, 1])[:, None]).astype(np.int64)
        some = np.clip(some, -(2**31) + 1, 2**31 - 1).astype(np.int32)
        parameters = Finish(
            rng, config, Quant(1.0, 0, "int16"), False, bias=[0], multiplier=[multiplier], shift=[shift]
        )
        out, *_ = finish(config, *one_run(config, rng, some, parameters))
        assert out.tolist() == parameters.apply(some)
        if factor == 0.5:
            assert parameters.results(some)[:6, 0, 0].tolist() == [-20, -20, -19, -18, -18, -18]


def test_saturation_and_extreme_factors():
    """The largest sums, the smallest and largest multiplier and shift, and every bound of the type."""
    config, rng = CONFIGS["tiny"], np.random.default_rng(0)
    extremes = [2**31 - 1, -(2**31) + 1, 2**30, -(2**30), 1, -1, 0, 255, 256, -128, -129, 32767, 32768]
    some = np.array(extremes, np.int32).reshape(-1, 1, 1)
    for quant in QUANTS.values():
        for multiplier in (0, 1, 2, 2**30, 2**31 - 1):
            for shift in (1, 2, 30, 31, 32, 61, 62):
                parameters = Finish(rng, config, quant, False, bias=[0], multiplier=[multiplier], shift=[shift])
                out, *_ = finish(config, *one_run(config, rng, some, parameters))
                assert out.tolist() == parameters.apply(some), f"{quant}, {multiplier} / 2^{shift}"


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_host_decompresses_what_the_kernel_compresses(dtype):
    config, rng = CONFIGS["tiny"], np.random.default_rng(8)
    quant = Quant(1.0, 0 if dtype == "int16" else 40, dtype)
    for pixels in (1, 32, 33, 200, 1000):
        some = random_sums(rng, config, pixels, 2)
        parameters = Finish(rng, config, quant, True, low=quant.zero_point)
        out, *_ = finish(config, *one_run(config, rng, some, parameters))
        groups = -(-2 * pixels // 64)
        values = decompress(out, groups, np.dtype(dtype), quant.zero_point).ravel()
        np.testing.assert_array_equal(values[: 2 * pixels], parameters.results(some).ravel())
        assert (values[2 * pixels :] == quant.zero_point).all()
        for wrong in (groups + 1, groups - 1):
            with pytest.raises(DeviceError, match="are not"):
                decompress(out, wrong, np.dtype(dtype), quant.zero_point)
