"""What the zena engine's compiler is made of: compressed lanes, kernel allocation, LogQuant, bounds."""

from dataclasses import replace

import numpy as np
import pytest

from zeroskip.compiler.allocate import ALLOCATIONS, allocate, expected_work, useful
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.logquant import EXPONENT_MAX, decode, encode, is_log_quant, log_quantise
from zeroskip.errors import ConfigError, InputError
from zeroskip.hardware.config import BUILTIN
from zeroskip.hardware.packets import lane_group, log_weight
from zeroskip.models import reference
from zeroskip.runtime.bounds import intersections
from zeroskip.runtime.compress import lane_groups


# -- compressed lanes ----------------------------------------------------------------------------------
@pytest.mark.parametrize("density", [0, 0.1, 0.5, 1])
def test_lane_groups_are_the_definition(density):
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 5, 40)
    rows[8:12] = [0, 0, 3, 0]
    values = rng.integers(-32768, 32768, (rows.sum(), 16)).astype(np.int16)
    present = rng.random(values.shape) < density
    words, beats = lane_groups(values, present, rows)
    lanes, at = [], 0
    for count in rows:
        some = range(at, at + count)
        lanes.append([(int(present[i] @ (1 << np.arange(16))), values[i, present[i]].tolist()) for i in some])
        at += count
    expected = [lane_group(lanes[at : at + 4]) for at in range(0, len(lanes), 4)]
    assert beats.tolist() == list(map(len, expected))
    assert words.tolist() == [word for group in expected for word in group]


# -- kernel allocation ---------------------------------------------------------------------------------
def kernels(spread, seed=0):
    """Work of 384 kernels of 16 tiles of 3x3x16, pruned to .35, as conv3 of AlexNet."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(384, 16, 9, 16)) * np.exp(rng.normal(0, spread, (384, 1, 1, 1)))
    return expected_work((np.abs(w) > np.quantile(np.abs(w), 0.65)).sum(3), 0.4)


@pytest.mark.parametrize("how", ALLOCATIONS)
@pytest.mark.parametrize("count, pes, sub_wgs", [(384, 8, 2), (7, 4, 2), (1, 8, 1), (65, 16, 4)])
def test_every_kernel_has_one_place(how, count, pes, sub_wgs):
    work = np.random.default_rng(2).random(count)
    taken = allocate(work, pes, sub_wgs, how)
    assert taken.shape == (-(-count // (pes * sub_wgs)), sub_wgs, pes)
    assert sorted(taken[taken >= 0]) == list(range(count))


def test_neighbours_meet():
    work = np.array([5, 1, 5, 1, 5, 1, 5, 1.0])
    assert {frozenset(work[k]) for k in allocate(work, 4, 1, "count").reshape(-1, 4)} == {
        frozenset([5]),
        frozenset([1]),
    }
    assert useful(work[:, None], allocate(work, 4, 1, "index"), ahead=0) == pytest.approx(0.6)
    assert useful(work[:, None], allocate(work, 4, 1, "count"), ahead=0) == 1


@pytest.mark.parametrize("spread", [0.15, 0.3])
@pytest.mark.parametrize("pes, sub_wgs", [(8, 2), (16, 1)])
def test_allocation_pays(spread, pes, sub_wgs):
    work = kernels(spread)
    share = {how: useful(work, allocate(work.sum(1), pes, sub_wgs, how)) for how in ALLOCATIONS}
    assert share["count"] > share["index"] * 1.04
    assert share["balanced"] > share["count"] - 0.003 and share["balanced"] > 0.98
    strict = useful(work, allocate(work.sum(1), pes, sub_wgs, "count"), ahead=0)
    assert strict < share["count"] - 0.08  # running ahead is worth more than any order


def test_expected_work_is_the_products():
    assert expected_work(np.array([[0, 16, 4]]), 1.0).tolist() == [20]
    assert expected_work(np.array([[2, 3]]), 0.5).item() == pytest.approx(2.5)


# -- work stealing -------------------------------------------------------------------------------------
def test_stealing_is_among_two_or_four_sub_wgs():
    zena = BUILTIN["zena"]
    stealing = replace(zena, stealing=1)
    assert (zena.job_psums, stealing.job_psums) == (128, 256)
    assert stealing.hash != zena.hash
    for sub_wgs in (1, 8):
        with pytest.raises(ConfigError, match=f"stealing among {sub_wgs} sub_wgs; accepted: 2, 4"):
            replace(zena, filters=32, sub_wgs=sub_wgs, stealing=1)


def test_stealing_slots_are_jobs():
    """20 filters on sub-WGs of 4 PEs: with stealing every four filters have partial sums of their own, for all jobs."""
    w = np.ones((20, 16, 3, 3), np.int8)
    config = replace(BUILTIN["zena_tiny"], psums=128, stealing=1)
    shared = compile_conv(config, w, mode="WAZ+KA", input_shape=(6, 6)).parts[0]
    for turn in range(shared.turn[-1] + 1):
        mine = shared.turn == turn
        filters = set(shared.kernels[mine].ravel().tolist()) - {-1}
        assert len(set(shared.slot[mine].tolist())) == -(-len(filters) // 4)
    for first in np.flatnonzero(shared.flags & 1):
        same = (shared.slot == shared.slot[first]) & (shared.turn == shared.turn[first])
        assert (shared.kernels[same] == shared.kernels[first]).all()


# -- LogQuant ------------------------------------------------------------------------------------------
def test_all_32_codes():
    codes = np.arange(32, dtype=np.uint8)
    weights = decode(codes)
    assert weights.dtype == np.int16 and weights[[0, 16]].tolist() == [0, 0]
    assert weights.tolist() == [log_weight(int(code)) for code in codes]
    np.testing.assert_array_equal(encode(weights[1:16]), codes[1:16])
    np.testing.assert_array_equal(encode(weights[17:]), codes[17:])
    assert is_log_quant(weights).all() and not is_log_quant(np.array([3, -5, 6, 24576])).any()


def test_rounding_is_in_the_logarithm():
    w = np.array([1, 1.4, 1.42, 2, -2.9, 0.70, 0.71, 0, -64.0])
    q, scale = log_quantise(w, top=6)
    assert scale == 1 and q.tolist() == [1, 1, 2, 2, -4, 0, 1, 0, -64]


def test_the_relative_error_is_bounded():
    w = np.random.default_rng(3).normal(size=5000)
    q, scale = log_quantise(w)
    ratio = np.abs(q * scale / w)[q != 0]
    assert q.dtype == np.int16 and np.abs(q).max() == 1 << EXPONENT_MAX
    assert ratio.min() >= 2**-0.5 - 1e-9 and ratio.max() <= 2**0.5 + 1e-9
    assert np.abs(w[q == 0]).max(initial=0) < scale * 2**-0.5


def test_log_quant_refuses():
    with pytest.raises(InputError, match="accepted: 0 to 14"):
        log_quantise(np.ones(3), top=15)
    with pytest.raises(InputError, match="not finite"):
        log_quantise(np.array([np.nan]))
    with pytest.raises(InputError, match="weight 3 has no 5-bit code"):
        encode(np.array([2, 3]))
    assert log_quantise(np.zeros(4))[0].tolist() == [0] * 4


# -- bounds --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_intersections_are_the_products_of_two_non_zeros(groups):
    rng = np.random.default_rng(groups)
    x = (rng.integers(-3, 4, (2, 6, 9, 8)) * (rng.random((2, 6, 9, 8)) < 0.5)).astype(np.int16)
    w = (rng.integers(-3, 4, (12, 6 // groups, 3, 2)) * (rng.random((12, 6 // groups, 3, 2)) < 0.5)).astype(np.int8)
    geometry = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2), "groups": groups}
    plan = compile_conv("tiny", w, **geometry)
    pairs = reference.conv2d((x != 0).astype(np.int16), (w != 0).astype(np.int8), **geometry)
    assert intersections(plan, x != 0) == pairs.sum()
