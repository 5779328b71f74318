"""The offline scheduler of the engines with banks: which banks every lane reads in every step.

Lane l owns banks 2l and 2l + 1 and may take its second operand from the next lane's banks, so work can flow around the
ring of lanes.  In one step a bank is read at one address, for one lane, and a lane computes two non-outliers (of its
own banks, or one of its own and one of the next lane's) or one outlier of its own.

A filter's weights form two queues per bank, non-outliers and outliers, each in the order of their columns.  A step
takes the heads of some queues.  Which, is found exactly by dynamic programming around the ring over the state "which
of its own banks does the lane read"; what a bank is worth grows with what is left in it, and in its lane, beyond the
mean, and falls with its head's distance from the lowest column left: so banks finish together, and the columns of a
step lie close enough for the near format where that is possible at all.

On twin a lane computes one weight of any size per step, of its own banks or of the next lane's: all weights are in the
first queue, and no two are combined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..jit import njit, prange
from .gather_near import near_reach
from .schedule import MODES, NON_OUTLIER_MAX, NON_OUTLIER_MIN

_LANE = 0.1  # worth of a weight, per step its lane has more to do than the mean
_BANK = 1.0  # the same, per read that its bank has left beyond the mean
_FAR = 0.01  # what it loses, per column from the lowest column left
_LEAST = 0.05  # worth of any weight: a lane is never idle while it could do something

_NEXT, _OWN, _BYTE = 0, 2, 4  # bits of an operation: next lane's banks, own banks' non-outliers, own outliers

_ROUTE = np.zeros(64, np.uint8)  # operation -> route; see packets.ROUTES
_ROUTE[[1, 2, 5, 6, 9, 10, 16, 32]] = [1, 2, 1, 2, 3, 4, 5, 6]

_CHUNK = 1 << 24  # most steps there is room for at a time


@dataclass(frozen=True)
class GatherSchedule:
    """Steps of E filters, one filter after the other; S steps in all.

    Attributes:
        steps: int32 (E,), steps of each filter, at least 1.
        slots: int16 (S, 2 * LANES), column id that each bank is read for, -1 where it is not.
        weight: uint8 (S, LANES), an outlier, or two nibbles.
        route: uint8 (S, LANES), where a lane's operands come from.
    """

    steps: np.ndarray
    slots: np.ndarray
    weight: np.ndarray
    route: np.ndarray


def schedule(
    weights: np.ndarray,
    columns: np.ndarray,
    present: np.ndarray,
    config: Config,
    mode: str,
    close: bool = True,
    apart: bool = False,
    whole: bool = False,
) -> GatherSchedule:
    """Schedule E filters, or with ``apart`` E runs of LANES filters, each with all its weights in its lane's own banks.

    Args:
        weights: int8 (E, T, 2 * LANES), T >= 1 columns in natural order.
        columns: int32 (E, T), an id for every column, ascending; -1 for a column that is not there.
        present: bool (E, T, 2 * LANES), places of the filter's own weights: what the dense schedule executes.
        mode: one of ``MODES``.
        close: keep the columns of a step within :func:`~.gather_near.near_reach`, even if that takes more steps; not
            in mode dense.
        apart: no lane helps another: its products belong to a filter of its own.
        whole: twin: a lane's weight is a byte, whose bank the route says; mode "combined" is not for it.

    Raises:
        InputError: an unknown mode.
    """
    if mode not in MODES:
        raise InputError(f"mode {mode!r}; accepted: {', '.join(MODES)}")
    kind = MODES.index(mode)
    ids = np.where(columns < 0, 0, columns).astype(np.int16)
    todo = present if kind == 0 else weights != 0
    most = np.count_nonzero(todo, axis=(1, 2))  # every step executes at least one
    reach = near_reach(config) if close else 1 << 30
    found = []
    at = 0
    while at < len(weights):
        room = max(1, int(most[at : at + 4096].max()))
        end = min(len(weights), at + max(1, min(4096, _CHUNK // room)))
        found.append(_chunk(weights[at:end], ids[at:end], todo[at:end], room, kind, reach, apart, whole))
        at = end
    return GatherSchedule(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _chunk(weights, ids, todo, room, kind, reach, apart, whole) -> tuple[np.ndarray, ...]:
    filters, _, banks = weights.shape
    steps = np.zeros(filters, np.int32)
    # Far more room than is used; what is not written to takes no memory.
    slots = np.empty((filters, room, banks), np.int16)
    weight = np.empty((filters, room, banks // 2), np.uint8)
    route = np.empty_like(weight)
    weights, todo = np.ascontiguousarray(weights), np.ascontiguousarray(todo)
    _schedule(weights, ids, todo, kind, reach, apart, whole, steps, slots, weight, route)
    kept = np.arange(room) < steps[:, None]
    return steps, slots[kept], weight[kept], route[kept]


@njit(cache=True, parallel=True)
def _schedule(weights, ids, todo, kind, reach, apart, whole, steps, slots, weight, route):
    for e in prange(weights.shape[0]):
        out = slots[e], weight[e], route[e]
        if kind == 0:
            steps[e] = _dense(weights[e], ids[e], todo[e], whole, *out)
        else:
            steps[e] = _sparse(weights[e], ids[e], todo[e], kind == 2, reach, apart, whole, *out)


@njit(cache=True, nogil=True)
def _outlier(value):
    return value < NON_OUTLIER_MIN or value > NON_OUTLIER_MAX


@njit(cache=True, nogil=True)
def _idle(slots, weight, route):
    """Begin a step in which nobody does anything."""
    slots[:] = -1
    weight[:] = 0
    route[:] = 0


@njit(cache=True, nogil=True)
def _dense(weights, ids, todo, whole, slots, weight, route):
    """One weight per lane and step, zero or not, in the order of the columns, its two banks in turn."""
    length, banks = weights.shape
    _idle(slots[0], weight[0], route[0])
    steps = 1  # a filter without weights still sends its sums, so it needs one idle step
    begun = 0
    for lane in range(banks // 2):
        step = 0
        for t in range(length):
            for bank in range(2 * lane, 2 * lane + 2):
                if not todo[t, bank]:
                    continue
                while begun <= step:
                    _idle(slots[begun], weight[begun], route[begun])
                    begun += 1
                value = int(weights[t, bank])
                if value != 0:
                    slots[step, bank] = ids[t]
                    if whole:
                        weight[step, lane] = value & 255
                        route[step, lane] = bank & 1
                    elif _outlier(value):
                        weight[step, lane] = value & 255
                        route[step, lane] = 5 + (bank & 1)
                    else:
                        weight[step, lane] = (value & 15) << (4 * (bank & 1))
                step += 1
        steps = max(steps, step)
    return steps


@njit(cache=True, nogil=True)
def _queues(weights, todo, whole, queue, left):
    """Indices of the columns of non-outliers (queue[0]) and outliers (queue[1]) of every bank, and how many."""
    length, banks = weights.shape
    left[:] = 0
    for t in range(length):
        for bank in range(banks):
            if todo[t, bank]:
                which = 1 if not whole and _outlier(weights[t, bank]) else 0
                queue[which, bank, left[which, bank]] = t
                left[which, bank] += 1


@njit(cache=True, nogil=True)
def _sparse(weights, ids, todo, combine, reach, apart, whole, slots, weight, route):
    length, banks = weights.shape
    lanes = banks // 2
    queue = np.empty((2, banks, length), np.int16)
    left = np.empty((2, banks), np.int64)
    _queues(weights, todo, whole, queue, left)
    head = np.zeros((2, banks), np.int64)
    worth = np.empty((2, banks))
    value = np.empty((lanes, 4, 4))
    doing = np.empty((lanes, 4, 4), np.int64)
    chosen = np.empty(lanes, np.int64)
    step = 0
    while _worths(ids, queue, left, head, combine, reach, worth):
        _operations(worth, combine, apart, value, doing)
        _around(value, doing, chosen)
        _idle(slots[step], weight[step], route[step])
        for lane in range(lanes):
            operation = chosen[lane]
            if not whole:
                route[step, lane] = _ROUTE[operation]
            own, following = 2 * lane, (2 * lane + 2) % banks
            for bit in range(6):
                if not operation >> bit & 1:
                    continue
                bank = (own if bit >= _OWN else following) + (bit & 1)
                which = 1 if bit >= _BYTE else 0
                t = queue[which, bank, head[which, bank]]
                head[which, bank] += 1
                left[which, bank] -= 1
                slots[step, bank] = ids[t]
                taken = int(weights[t, bank])
                if whole:
                    weight[step, lane] = taken & 255
                    route[step, lane] = bit - _OWN if bit >= _OWN else 2 + bit
                elif which:
                    weight[step, lane] = taken & 255
                elif bit == _OWN or (bit == _OWN + 1 and operation & 3):
                    weight[step, lane] |= taken & 15
                else:
                    weight[step, lane] |= (taken & 15) << 4
        step += 1
    if step == 0:
        _idle(slots[0], weight[0], route[0])
        step = 1
    return step


@njit(cache=True, nogil=True)
def _worths(ids, queue, left, head, combine, reach, worth):
    """What executing the head of every queue is worth now, negative where that is not possible; False: all is done."""
    banks = left.shape[1]
    half = 0.5 if combine else 1.0  # of a lane's cycle, that a non-outlier takes
    total, lowest = 0.0, 1 << 30
    for bank in range(banks):
        total += half * left[0, bank] + left[1, bank]
        for which in range(2):
            if left[which, bank] > 0:
                lowest = min(lowest, np.int64(ids[queue[which, bank, head[which, bank]]]))
    if total == 0:
        return False
    mean = 2 * total / banks
    for bank in range(banks):
        other = bank ^ 1
        load = half * (left[0, bank] + left[0, other]) + left[1, bank] + left[1, other] - mean
        beyond = max(left[0, bank] + left[1, bank] - mean, 0.0)
        for which in range(2):
            worth[which, bank] = -1e9
            if left[which, bank] > 0:
                distance = ids[queue[which, bank, head[which, bank]]] - lowest
                if distance <= reach:
                    share = 2.0 if which == 1 else 2 * half
                    worth[which, bank] = max(share * (1 + _LANE * load - _FAR * distance) + _BANK * beyond, _LEAST)
    return True


@njit(cache=True, nogil=True)
def _operations(worth, combine, apart, value, doing):
    """Each lane's best operation for (own banks read, next lane's banks that lane reads itself), and its value."""
    lanes, banks = value.shape[0], worth.shape[1]
    for lane in range(lanes):
        own, following = 2 * lane, (2 * lane + 2) % banks
        for taken in range(4):
            partner, gain = 0, 0.0
            for bit in range(2):
                if not apart and not taken >> bit & 1 and worth[0, following + bit] > gain:
                    partner, gain = 1 << bit, worth[0, following + bit]
            value[lane, 0, taken], doing[lane, 0, taken] = gain, partner
            if not combine:
                partner, gain = 0, 0.0
            for bit in range(2):
                value[lane, 1 << bit, taken] = worth[0, own + bit] + gain
                doing[lane, 1 << bit, taken] = 1 << _OWN + bit | partner
                if worth[1, own + bit] > value[lane, 1 << bit, taken]:
                    value[lane, 1 << bit, taken] = worth[1, own + bit]
                    doing[lane, 1 << bit, taken] = 1 << _BYTE + bit
            value[lane, 3, taken] = worth[0, own] + worth[0, own + 1] if combine else -1e9
            doing[lane, 3, taken] = 3 << _OWN


@njit(cache=True, nogil=True)
def _around(value, doing, chosen):
    """The operations of all lanes with the largest value, such that no bank is read twice."""
    lanes = value.shape[0]
    best = -1.0
    until = np.empty((lanes, 4))  # best value of a lane and those behind it, by the own banks it reads
    step = np.empty((lanes, 4), np.int64)  # the own banks that the lane behind it reads then
    for first in range(4):
        for mask in range(4):
            until[lanes - 1, mask] = value[lanes - 1, mask, first]
            step[lanes - 1, mask] = first
        for lane in range(lanes - 2, -1, -1):
            for mask in range(4):
                most, at = -1e18, 0
                for behind in range(4):
                    here = value[lane, mask, behind] + until[lane + 1, behind]
                    if here > most:
                        most, at = here, behind
                until[lane, mask], step[lane, mask] = most, at
        if until[0, first] > best:
            best = until[0, first]
            mask = first
            for lane in range(lanes):
                chosen[lane] = doing[lane, mask, step[lane, mask]]
                mask = step[lane, mask]
