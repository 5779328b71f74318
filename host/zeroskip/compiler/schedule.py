"""The offline scheduler: Algorithm 1 of Kang et al., for one filter or for several in lockstep.

A filter group's columns form a list (:mod:`.columns`).  Each step takes the first column that is not
empty yet as its head: every lane executes its own weight of the head column, and before that lanes fill
up from the window, the next ``lookahead`` list columns:

* an empty lane takes any candidate (swap in), a lane with one non-outlier takes another non-outlier (combine);
* the lane with the fewest candidates is served first, and takes from the nearest column that has a candidate
  for it, within a column in the window's priority order;
* lanes wrap around; columns that are or become all zero are never executed.

Filters in lockstep share head and window, so a column leaves when all filters are done with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.window import candidates
from ..jit import njit, prange
from .columns import DUMMY, arrange

MODES = ("dense", "zero_skip", "combined")
"""dense: DaDianNao, one column a step; zero_skip: Bit-Tactical; combined: Kang et al."""

NON_OUTLIER_MIN, NON_OUTLIER_MAX = -8, 7

_EMPTY, _SINGLE, _FULL = 0, 1, 2

_CHUNK = 1 << 24  # weights scheduled at a time


@dataclass(frozen=True)
class Schedule:
    """Steps of E filter groups, one group after the other; S steps in all.

    Attributes:
        steps: int32 (E,), steps of each group, at least 1.
        slots: int32 (S, window), column id each window slot reads, -1 where none.
        weight: uint8 (S, M, L), the outlier, or two nibbles.
        pair: uint8 (S, M, L), 1 where the byte is two nibbles.
        select: uint8 (2, S, M, L), AS of low nibble (or outlier) and of high nibble.
    """

    steps: np.ndarray
    slots: np.ndarray
    weight: np.ndarray
    pair: np.ndarray
    select: np.ndarray


def selector_inputs(mux: int, lanes: int) -> np.ndarray:
    """The candidates a scheduler may use: int64 (n, 3) of (select value, columns ahead, lane offset mod lanes).

    Of inputs that see the same activation only the first is kept; the head itself (select 0) is left out.
    They come in the order in which a lane tries them: nearest column first, then as in the window's table.
    (The paper leaves the order open.  Taking a lane's lookaheads of all columns first, as the table lists
    them, costs 2 % combined and 4 % zero-skip on random weights.)
    """
    seen: dict[tuple[int, int], int] = {}
    for select, (ahead, offset) in enumerate(candidates(mux)):
        seen.setdefault((ahead, offset % lanes), select)
    inputs = [(k, ahead, offset) for (ahead, offset), k in seen.items() if k]
    return np.array(sorted(inputs, key=lambda found: found[1]), np.int64)


def schedule(weights: np.ndarray, columns: np.ndarray, bank: np.ndarray, config: Config, mode: str) -> Schedule:
    """Schedule E filter groups.

    Args:
        weights: int8 (E, M, T, L), M = config.filters in lockstep, T >= 1 columns in natural order, L = config.lanes.
        columns: int32 (E, T), an id for every column, -1 for a column that is not there (padding of the array).
        bank: int64 (number of ids,), bank of each column id.
        mode: one of :data:`MODES`.

    Raises:
        InputError: an unknown mode.
    """
    if mode not in MODES:
        raise InputError(f"mode {mode!r}; accepted: {', '.join(MODES)}")
    groups, lanes = weights.shape[0], weights.shape[3]
    inputs = selector_inputs(config.mux, lanes)
    lane = np.arange(lanes)
    fixed = (
        np.ascontiguousarray(bank, np.int64),
        config.banks,
        config.window,
        inputs[:, :2].copy(),
        (lane + inputs[:, 2:]) % lanes,
        (lane - inputs[:, 2:]) % lanes,
        MODES.index(mode),
    )
    # Room for as many steps as there are columns is taken for some groups at a time, the steps found are kept.
    size = max(1, _CHUNK // max(1, weights[0].size))
    chunks = [_chunk(weights[g : g + size], columns[g : g + size], fixed) for g in range(0, groups, size)]
    return Schedule(
        *(np.concatenate(found, axis=1 if axis == 4 else 0) for axis, found in enumerate(zip(*chunks, strict=True)))
    )


def _chunk(weights: np.ndarray, columns: np.ndarray, fixed: tuple) -> tuple[np.ndarray, ...]:
    """The fields of :class:`Schedule` for some filter groups."""
    groups, filters, length, lanes = weights.shape
    window = fixed[2]
    steps = np.zeros(groups, np.int32)
    slots = np.empty((groups, length, window), np.int32)
    weight = np.empty((groups, length, filters, lanes), np.uint8)
    pair, select = np.empty_like(weight), np.empty((2, *weight.shape), np.uint8)
    weights, columns = np.ascontiguousarray(weights), np.ascontiguousarray(columns, np.int32)
    _schedule(weights, columns, *fixed, steps, slots, weight, pair, select)
    used = np.arange(length) < steps[:, None]
    return steps, slots[used], weight[used], pair[used], select[:, used]


@njit(cache=True, parallel=True)
def _schedule(weights, columns, bank, banks, window, inputs, giver, taker, mode, steps, slots, weight, pair, select):
    # giver[k, lane]: the lane whose weight input k of ``lane`` takes; taker[k, lane]: the other way round.
    for g in prange(weights.shape[0]):
        steps[g] = _group(
            weights[g], columns[g], bank, banks, window, inputs, giver, taker, mode,
            slots[g], weight[g], pair[g], select[0, g], select[1, g],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _group(weights, columns, bank, banks, window, inputs, giver, taker, mode, slots, weight, pair, select0, select1):
    """Schedule one filter group; returns its number of steps."""
    filters, length, lanes = weights.shape
    alive = np.zeros(length, np.bool_)
    banks_here = np.zeros(length, np.int64)
    for t in range(length):
        if columns[t] >= 0:
            banks_here[t] = bank[columns[t]]
            alive[t] = mode == 0 or weights[:, t].any()
    order = np.empty(max(1, window * length), np.int64)
    # Without moves a step reads one column, so no two can meet in a bank.
    count = arrange(banks_here, alive, banks, window if mode else 1, order)

    # The list, with the weights still to do and a tail of zero columns the last windows look at.
    todo = np.zeros((count + window - 1, filters, lanes), np.int8)
    for t in range(count):
        if order[t] != DUMMY:
            todo[t] = weights[:, order[t]]

    state = np.empty(lanes, np.int64)
    choices = np.empty(lanes, np.int64)
    used = np.empty(window, np.bool_)
    step = 0
    for t in range(count):
        if order[t] == DUMMY or (mode and not todo[t].any()):
            continue
        weight[step] = 0
        pair[step] = 0
        select0[step] = 0
        select1[step] = 0
        used[:] = False
        used[0] = mode == 0  # the dense machine reads every column, zero or not
        for m in range(filters):
            for lane in range(lanes):
                state[lane] = _EMPTY
                value = todo[t, m, lane]
                if value != 0:
                    _place(value, 0, lane, mode, state, weight[step, m], pair[step, m], select0[step, m])
                    todo[t, m, lane] = 0
                    used[0] = True
            if mode:
                _fill(
                    todo, t, m, inputs, giver, taker, mode, state, choices, used,
                    weight[step, m], pair[step, m], select0[step, m], select1[step, m],
                )  # fmt: skip
        for slot in range(window):
            slots[step, slot] = columns[order[t + slot]] if used[slot] else -1
        step += 1
    if step == 0:  # an all-zero filter group still sends its sums, so it needs one idle step
        weight[0] = 0
        pair[0] = 0
        select0[0] = 0
        select1[0] = 0
        slots[0] = -1
        step = 1
    return step


@njit(cache=True, nogil=True)
def _non_outlier(value):
    return NON_OUTLIER_MIN <= value <= NON_OUTLIER_MAX


@njit(cache=True, nogil=True)
def _place(value, choice, lane, mode, state, weight, pair, select0):
    """Give an empty lane its first weight."""
    select0[lane] = choice
    if _non_outlier(value):
        weight[lane] = value & 15
        pair[lane] = 1
        state[lane] = _SINGLE if mode == 2 else _FULL
    else:
        weight[lane] = int(value) & 255
        state[lane] = _FULL


@njit(cache=True, nogil=True)
def _movable(value, state):
    """Can a weight (0: none) move to a lane in this state?"""
    return value != 0 and (state == _EMPTY or (state == _SINGLE and _non_outlier(value)))


@njit(cache=True, nogil=True)
def _count(todo, t, m, inputs, giver, state, lane):
    """C[lane]: the candidates that can move to a lane in this state."""
    total = 0
    if state != _FULL:
        for k in range(inputs.shape[0]):
            total += _movable(todo[t + inputs[k, 1], m, giver[k, lane]], state)
    return total


@njit(cache=True, nogil=True)
def _smallest(choices):
    """C_min: the smallest positive number of candidates, 0 if no lane has any."""
    best = 0
    for lane in range(choices.shape[0]):
        if choices[lane] > 0 and (best == 0 or choices[lane] < best):
            best = choices[lane]
    return best


@njit(cache=True, nogil=True)
def _fill(todo, t, m, inputs, giver, taker, mode, state, choices, used, weight, pair, select0, select1):
    """Lines 7 to 26 of Algorithm 1: move weights of the window into the lanes of step ``t``."""
    lanes = choices.shape[0]
    for lane in range(lanes):
        choices[lane] = _count(todo, t, m, inputs, giver, state[lane], lane)
    least = _smallest(choices)
    while least > 0:
        for lane in range(lanes):
            if least == 0 or choices[lane] != least:
                continue
            for k in range(inputs.shape[0]):
                ahead, source = inputs[k, 1], giver[k, lane]
                value = todo[t + ahead, m, source]
                if not _movable(value, state[lane]):
                    continue
                # Every lane that could have taken this weight has one candidate less.
                for j in range(inputs.shape[0]):
                    if inputs[j, 1] == ahead:
                        other = taker[j, source]
                        choices[other] -= _movable(value, state[other])
                todo[t + ahead, m, source] = 0
                used[ahead] = True
                if state[lane] == _EMPTY:
                    _place(value, inputs[k, 0], lane, mode, state, weight, pair, select0)
                else:
                    weight[lane] |= (value & 15) << 4
                    select1[lane] = inputs[k, 0]
                    state[lane] = _FULL
                choices[lane] = _count(todo, t, m, inputs, giver, state[lane], lane)
                least = _smallest(choices)
                break
