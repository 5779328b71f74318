"""The offline scheduler against an independent implementation, its own rules, and published points."""

import numpy as np
import pytest

from layers import random_weights
from zeroskip.compiler.columns import arrange
from zeroskip.compiler.schedule import MODES, schedule, selector_inputs
from zeroskip.errors import InputError
from zeroskip.hardware.config import Config
from zeroskip.hardware.window import candidates


def small(value):
    return -8 <= value <= 7


def oracle(weights, order, config, mode):
    """Algorithm 1 with lists and dictionaries: steps as {(m, lane): [(value, ahead, source lane), ...]}.

    ``weights`` (M, T, L); ``order`` is the list of columns, -1 for a dummy.
    """
    filters, _, lanes = weights.shape
    shapes = sorted(set(candidates(config.mux)), key=candidates(config.mux).index)
    shapes = sorted((shape for shape in shapes if shape[0]), key=lambda shape: shape[0])
    left = {
        (m, place, lane): int(weights[m, column, lane])
        for m in range(filters)
        for place, column in enumerate(order)
        if column >= 0
        for lane in range(lanes)
        if weights[m, column, lane]
    }
    steps = []
    for head in range(len(order)):
        if not any(place == head for _, place, _ in left):
            continue
        step = {}
        for m in range(filters):
            held = {lane: [] for lane in range(lanes)}
            for lane in range(lanes):
                if (m, head, lane) in left:
                    held[lane].append((left.pop((m, head, lane)), 0, lane))

            def movable(lane, m=m, head=head, held=held):
                have = held[lane]
                if have and (mode == "zero_skip" or len(have) == 2 or not small(have[0][0])):
                    return []
                found = [(ahead, (lane + offset) % lanes) for ahead, offset in shapes]
                found = list(dict.fromkeys(found))
                return [
                    (ahead, source)
                    for ahead, source in found
                    if (m, head + ahead, source) in left and (not have or small(left[m, head + ahead, source]))
                ]

            while any(movable(lane) for lane in range(lanes)):
                for lane in range(lanes):  # one sweep; the smallest number is looked up anew after each move
                    numbers = [len(movable(other)) for other in range(lanes)]
                    least = min((n for n in numbers if n), default=0)
                    if least and numbers[lane] == least:
                        ahead, source = movable(lane)[0]
                        held[lane].append((left.pop((m, head + ahead, source)), ahead, source))
            step |= {(m, lane): moves for lane, moves in held.items() if moves}
        steps.append((head, step))
    assert not left
    return steps


def executed(found, group, config, lanes):
    """What the steps of a group do: {(m, lane): [(value, ahead, source lane)]} per step, from selects and bytes."""
    first = int(found.steps[:group].sum())
    for row in range(first, first + int(found.steps[group])):
        step = {}
        for m, lane in np.ndindex(found.weight.shape[1:]):
            byte, pair = int(found.weight[row, m, lane]), found.pair[row, m, lane]
            halves = [byte & 15, byte >> 4] if pair else [byte]
            width = 4 if pair else 8
            moves = []
            for half, value in enumerate(halves):
                value -= (value >> (width - 1)) << width
                if value:
                    ahead, offset = candidates(config.mux)[found.select[half, row, m, lane]]
                    moves.append((value, ahead, (lane + offset) % lanes))
            if moves:
                step[m, lane] = moves
        yield found.slots[row], step


CASES = [(mux, lanes, filters) for mux in (4, 8, 12, 16) for lanes, filters in ((4, 1), (8, 1), (8, 3), (16, 2))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mux, lanes, filters", CASES)
def test_every_weight_once_with_its_own_activation(mode, mux, lanes, filters):
    rng = np.random.default_rng([mux, lanes, filters])
    config = Config("t", mux=mux, lanes=lanes, filters={3: 4}.get(filters, filters))
    filters = config.filters
    for zero, non_outlier in ((0, 1), (0, 0), (0.34, 0.6), (0.8, 0.15), (0.97, 0.02), (1, 0)):
        groups, length = 3, int(rng.integers(1, 40))
        weights = random_weights(rng, (groups, filters, length, lanes), zero, non_outlier)
        columns = np.stack([rng.permutation(length + 5)[:length] for _ in range(groups)]).astype(np.int32)
        columns[rng.random(columns.shape) < 0.1] = -1
        weights[np.broadcast_to((columns < 0)[:, None, :, None], weights.shape)] = 0
        bank = rng.integers(0, config.banks, length + 5)
        found = schedule(weights, columns, bank, config, mode)
        for g in range(groups):
            done = np.zeros((filters, length + 5, lanes), int)
            value = np.zeros_like(done)
            for slots, step in executed(found, g, config, lanes):
                used = slots[slots >= 0]
                assert len(set(bank[used].tolist())) == len(used)  # the bank rule
                for (m, _), moves in step.items():
                    assert len(moves) == 1 or (mode == "combined" and all(small(v) for v, _, _ in moves))
                    for v, ahead, source in moves:
                        assert mode != "dense" or ahead == 0
                        done[m, slots[ahead], source] += 1
                        value[m, slots[ahead], source] += v
            here = columns[g] >= 0
            expected = np.zeros_like(value)
            expected[:, columns[g][here]] = weights[g][:, here]
            assert (value == expected).all() and (done == (expected != 0)).all()
            if mode == "dense":
                assert found.steps[g] == max(1, here.sum())
            else:
                assert found.steps[g] <= max(1, expected.any((0, 2)).sum())


@pytest.mark.parametrize("mode", ["zero_skip", "combined"])
@pytest.mark.parametrize("mux, lanes, filters", CASES)
def test_equals_the_oracle(mode, mux, lanes, filters):
    rng = np.random.default_rng([7, mux, lanes, filters])
    config = Config("t", mux=mux, lanes=lanes, filters={3: 4}.get(filters, filters))
    filters = config.filters
    for zero, non_outlier in ((0.2, 0.8), (0.34, 0.6), (0.5, 0.1), (0.85, 0.1)):
        length = 24
        weights = random_weights(rng, (2, filters, length, lanes), zero, non_outlier)
        columns = np.tile(np.arange(length, dtype=np.int32), (2, 1))
        bank = rng.integers(0, config.banks, length)
        found = schedule(weights, columns, bank, config, mode)
        for g in range(2):
            order = np.empty(config.window * length, np.int64)
            alive = weights[g].any((0, 2))
            order = order[: arrange(bank, alive, config.banks, config.window, order)]
            steps = oracle(weights[g], order.tolist(), config, mode)
            assert len(steps) == found.steps[g]
            for (head, step), (slots, taken) in zip(steps, executed(found, g, config, lanes), strict=True):
                assert step == taken
                for slot in np.flatnonzero(slots >= 0):
                    assert slots[slot] == order[head + slot]


def speed_up(filters, zero, non_outlier, mode, seed=3):
    """Dense steps over steps for 96 filters of 256 x 3 x 3 at mux 8, 8 lanes."""
    config = Config("t", filters=filters)
    weights = random_weights(np.random.default_rng(seed), (96 // filters, filters, 288, 8), zero, non_outlier)
    columns = np.tile(np.arange(288, dtype=np.int32), (len(weights), 1))
    return columns.size / schedule(weights, columns, np.arange(288) % 4, config, mode).steps.sum()


@pytest.mark.parametrize(
    "filters, zero, non_outlier, mode, low, high",
    [
        (1, 0.342, 0.598, "combined", 2.35, 2.45),
        (1, 0.50, 0.40, "combined", 2.54, 2.64),
        (1, 0.50, 0.40, "zero_skip", 1.90, 1.97),
        (8, 0.342, 0.598, "combined", 2.02, 2.10),
        (8, 0.50, 0.40, "combined", 2.12, 2.20),
        (8, 0.80, 0.15, "combined", 2.86, 2.98),
        (8, 0.50, 0.40, "zero_skip", 1.68, 1.74),
        # Above 3, the window's length: all-zero columns go without limit.
        (1, 0.80, 0.15, "combined", 3.40, 3.70),
        (1, 0.0, 0.0, "combined", 1.0, 1.0),
        (1, 0.0, 1.0, "combined", 1.85, 2.0),
    ],
)
def test_reference_points(filters, zero, non_outlier, mode, low, high):
    assert low <= speed_up(filters, zero, non_outlier, mode) <= high


def test_selector_inputs_are_distinct():
    for lanes, mux, inputs in ((8, 8, 7), (8, 12, 10), (8, 16, 13), (16, 16, 15), (4, 16, 9)):
        found = selector_inputs(mux, lanes)
        assert len({(a, d) for _, a, d in found.tolist()}) == len(found) == inputs
        for select, ahead, offset in found.tolist():
            assert (ahead, offset) == (candidates(mux)[select][0], candidates(mux)[select][1] % lanes)


def test_unknown_mode():
    with pytest.raises(InputError, match=r"'fast'.*dense, zero_skip, combined"):
        schedule(np.zeros((1, 1, 1, 8), np.int8), np.zeros((1, 1), np.int32), np.zeros(1), Config("t"), "fast")


def test_the_example_of_the_documentation():
    """The picture of docs/schedule.md."""
    columns = [[3, 0, 0, 45], [-2, 5, 0, 1], [0, 0, 0, 0], [0, 7, -90, 2], [4, 0, 6, 0], [-8, 1, 0, 0]]
    weights = np.array(columns, np.int8)[None, None]
    config = Config("t", lanes=4)
    ids = np.arange(6, dtype=np.int32)[None]
    steps = {mode: schedule(weights, ids, np.arange(6) % 4, config, mode).steps[0] for mode in MODES}
    assert steps == {"dense": 6, "zero_skip": 3, "combined": 2}
    found = schedule(weights, ids, np.arange(6) % 4, config, "combined")
    expected = [
        (
            [0, 1, 3],
            {
                (0, 0): [(3, 0, 0), (-2, 1, 0)],
                (0, 1): [(5, 1, 1), (7, 2, 1)],
                (0, 2): [(1, 1, 3)],
                (0, 3): [(45, 0, 3)],
            },
        ),
        (
            [3, 4, 5],
            {
                (0, 0): [(4, 1, 0), (-8, 2, 0)],
                (0, 1): [(6, 1, 2)],
                (0, 2): [(-90, 0, 2)],
                (0, 3): [(2, 0, 3), (1, 2, 1)],
            },
        ),
    ]
    assert [(slots.tolist(), step) for slots, step in executed(found, 0, config, 4)] == expected
