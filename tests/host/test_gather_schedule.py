"""The gather engine's scheduler: its own rules, the bounds it cannot beat, and how near it comes to them."""

import numpy as np
import pytest

from layers import random_weights
from zeroskip.compiler.gather_near import near_pitch, near_reach
from zeroskip.compiler.gather_schedule import schedule
from zeroskip.compiler.schedule import MODES
from zeroskip.errors import InputError
from zeroskip.hardware.config import Config
from zeroskip.hardware.packets import ROUTES
from zeroskip.runtime.tiling import Layout

SIZES = [4, 8, 16]


def nibble(value):
    return value - 16 if value > 7 else value


def executed(found, filter_):
    """What a filter's steps do: per step a list of (value, column id, bank, lane)."""
    lanes = found.weight.shape[1]
    first = int(found.steps[:filter_].sum())
    for row in range(first, first + int(found.steps[filter_])):
        products = []
        for lane in range(lanes):
            byte, (one, two) = int(found.weight[row, lane]), ROUTES[found.route[row, lane]]
            halves = [(one, byte - 256 if byte > 127 else byte)]
            if two is not None:
                halves = [(one, nibble(byte & 15)), (two, nibble(byte >> 4))]
            for place, value in halves:
                bank = (2 * lane + place) % (2 * lanes)
                if value:
                    products.append((value, int(found.slots[row, bank]), bank, lane))
        yield found.slots[row], products


def random_filters(rng, filters, length, lanes, zero, non_outlier):
    weights = random_weights(rng, (filters, length, 2 * lanes), zero, non_outlier)
    columns = np.sort(rng.permuted(np.tile(np.arange(length + 6, dtype=np.int32), (filters, 1)), axis=1)[:, :length])
    columns[rng.random(columns.shape) < 0.1] = -1
    present = np.broadcast_to((columns >= 0)[:, :, None], weights.shape) & (rng.random(weights.shape) < 0.95)
    return np.where(present, weights, 0).astype(np.int8), columns, present


MIXES = [(0, 1), (0, 0), (0.34, 0.6), (0.8, 0.15), (0.97, 0.02), (1, 0)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lanes", SIZES)
def test_every_weight_once_and_no_bank_twice(mode, lanes):
    rng = np.random.default_rng([lanes, len(mode)])
    config = Config("t", "gather", lanes=lanes, columns=256, scan=2)
    for zero, non_outlier in MIXES:
        length = int(rng.integers(1, 80))
        weights, columns, present = random_filters(rng, 3, length, lanes, zero, non_outlier)
        found = schedule(weights, columns, present, config, mode)
        assert found.steps.min() >= 1 and len(found.slots) == len(found.weight) == found.steps.sum()
        for e in range(3):
            done = np.zeros((length + 6, 2 * lanes), int)
            for slots, products in executed(found, e):
                read = [bank for _, _, bank, _ in products]
                assert len(set(read)) == len(read)
                assert set(read) == set(np.flatnonzero(slots >= 0).tolist())
                used = slots[slots >= 0]
                assert mode == "dense" or not len(used) or used.max() - used.min() <= near_reach(config)
                for lane in range(lanes):
                    mine = [(value, bank) for value, _, bank, at in products if at == lane]
                    assert len(mine) <= (2 if mode == "combined" else 1)
                    assert all(-8 <= value <= 7 for value, _ in mine) or len(mine) == 1
                    assert mode != "dense" or all(bank // 2 == lane for _, bank in mine)
                for value, column, bank, _ in products:
                    assert done[column, bank] == 0
                    done[column, bank] = value
            there = columns[e] >= 0
            expected = np.zeros_like(done)
            expected[columns[e][there]] = weights[e][there]
            np.testing.assert_array_equal(done, expected)
            check_bound(found.steps[e], weights[e], present[e], mode)


def check_bound(steps, weights, present, mode):
    """Nothing is executed faster than the lanes and banks allow."""
    nonzero = weights != 0
    outlier = nonzero & ((weights < -8) | (weights > 7))
    halves = int((nonzero.sum() if mode == "combined" else 2 * nonzero.sum()) + (outlier.sum() * (mode == "combined")))
    assert steps >= max(nonzero.sum(0).max(), -(-halves // weights.shape[1]), 1)
    if mode == "dense":
        assert steps == max(1, present.reshape(len(present), -1, 2).sum((0, 2)).max())


EFFICIENCY = [((0.342, 0.598), 0.97), ((0.5, 0.4), 0.98), ((0.8, 0.15), 0.92)]


@pytest.mark.parametrize("mix, least", EFFICIENCY)
def test_efficiency(mix, least):
    """Independent random weights, 256 x 3 x 3, 8 lanes."""
    weights = random_weights(np.random.default_rng(1), (48, 144, 16), *mix)
    assert efficiency(weights, "combined") > least
    assert efficiency(weights, "zero_skip") > 0.97


def efficiency(weights, mode):
    columns = np.tile(np.arange(weights.shape[1], dtype=np.int32), (len(weights), 1))
    config = Config("t", "gather", lanes=weights.shape[2] // 2, columns=512, scan=2)
    found = schedule(weights, columns, np.ones(weights.shape, bool), config, mode)
    nonzero, outlier = np.count_nonzero(weights), np.count_nonzero((weights < -8) | (weights > 7))
    work = (nonzero + outlier) / 2 if mode == "combined" else nonzero
    return work / config.lanes / found.steps.sum()


def test_a_loaded_lane_is_helped_by_the_one_before():
    """Non-outliers of one lane alone take half the steps that the lane would need; outliers do not move."""
    weights = np.zeros((2, 40, 16), np.int8)
    weights[0, :, 4] = 3
    weights[0, :, 5] = -2
    weights[1, :, 4] = 100
    weights[1, :, 5] = 100
    columns = np.tile(np.arange(40, dtype=np.int32), (2, 1))
    config = Config("t", "gather", columns=256, scan=2)
    assert schedule(weights, columns, weights != 0, config, "combined").steps.tolist() == [40, 80]
    assert schedule(weights, columns, weights != 0, config, "zero_skip").steps.tolist() == [40, 80]


def test_the_largest_pitch_of_near_steps():
    """Against the definition, pitch by pitch: 3 x 3 taps, 4 blocks, no dilation and some."""
    rng = np.random.default_rng(2)
    config = Config("t", "gather", columns=1024, scan=2)
    weights = random_weights(rng, (12, 36, 16), 0.6, 0.3)
    weights[::3, 12:] = 0  # in one row of the kernel
    columns = np.tile(np.arange(36, dtype=np.int32), (12, 1))
    found = schedule(weights, columns, weights != 0, config, "combined", close=False)
    layout, first = Layout(4, 4, 0, 1), np.cumsum(found.steps) - found.steps
    for dilation in ((1, 1), (2, 1), (1, 3)):
        near = near_pitch(config, found.steps, found.slots, layout, 3, dilation)
        for pitch in range((3 - 1) * dilation[1] * 4 + 4, 80):
            offsets = layout.offsets((3, 3), dilation, pitch)[found.slots]
            high = np.where(found.slots < 0, -1, offsets).max(1)
            low = np.where(found.slots < 0, 1 << 20, offsets).min(1)
            fits = np.logical_and.reduceat(high - low <= near_reach(config), first)
            np.testing.assert_array_equal(near >= pitch, fits)


def test_the_same_schedule_every_time():
    rng = np.random.default_rng(9)
    weights, columns, present = random_filters(rng, 40, 60, 8, 0.5, 0.4)
    config = Config("t", "gather", columns=256, scan=2)
    first = schedule(weights, columns, present, config, "combined")
    again = schedule(weights, columns, present, config, "combined")
    for field in ("steps", "slots", "weight", "route"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))


def test_an_unknown_mode():
    one = np.ones((1, 1, 16), np.int8)
    with pytest.raises(InputError, match="mode 'sparse'; accepted: dense, zero_skip, combined"):
        schedule(one, np.zeros((1, 1), np.int32), one != 0, Config("t", "gather", columns=256, scan=2), "sparse")
