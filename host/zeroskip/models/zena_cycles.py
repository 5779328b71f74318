"""Timing of the zena engine between its DMA channels: the counters of the RTL, exactly.

It repeats the control of ``rtl/zena`` register by register, one loop turn per clock cycle.  Only the PEs are
not: nothing stalls inside a job, so when a job may begin all its PEs' ends follow from
:attr:`zena.Executed.work`.  ``tests/rtl/test_zena.py`` is the licence to publish its numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import Config
from ..hardware.packets import KIND_JOB
from . import dma, zena

_START = 6
"""Cycles from the one in which a PE decides to begin a job to its first product, if it is idle."""

_DONE = 3
"""Cycles from a PE's last product to the barrier of its sub-WG, less one."""

_SETTLE = 9
"""``settle`` of zena_drain.v."""

_EVENT = 4
"""Cycles from a product to its event at the counters."""

_READ = 7
"""Cycles from the drain's read to the sums in the queue's shift register."""

_FINALS = 16
"""Final jobs the drain can note."""

_DEPTH = 64
"""Beats of the output queue."""


def run(config: Config, executed: zena.Executed, reads, writes, gate_in, gate_out, timed: np.ndarray) -> bool:
    """Fill ``timed`` with cycles, busy, span, stall_input, stall_output, barrier_wait; False if it stands still."""
    work = executed.work
    ring = 1 << int(2 * work.max(initial=0) + 64).bit_length()
    return _clock(
        executed.packets, work, ring, config.sub_wgs, (config.wgs + 2) // 2, len(executed.out), reads, writes, gate_in,
        gate_out, timed,
    )  # fmt: skip


_KIND, _BEATS, _PAGE, _WGS, _COUNT, _NX, _NY = zena.KIND, zena.BEATS, zena.PAGE, zena.WGS, zena.COUNT, zena.NX, zena.NY
_SUB_WG, _FINAL, _RELU, _LAST, _UNDRAINED = zena.SUB_WG, zena.FINAL, zena.RELU, zena.LAST, zena.UNDRAINED

_IDLE_LIMIT = 1_000_000
_LATE = 1 << 62


@njit(cache=True)
def _clock(packets, work, ring, sub_wgs, most_beats, out_beats, reads, writes, gate_in, gate_out, timed):
    # Every value is what the register holds at the start of the cycle; updates are at the end of the loop body.
    _, wgs, sub_pes = work.shape
    # -- loader
    level, packet, beat, jobs_taken = 0, 0, 0, 0
    half = np.zeros(sub_wgs, np.int64)
    slot_ready = False
    load, load_packet, load_half, load_job = False, 0, 0, 0
    # -- slots
    valid = np.zeros((sub_wgs, 2), np.bool_)
    go = np.zeros((sub_wgs, 2), np.bool_)
    slot_packet = np.zeros((sub_wgs, 2), np.int64)
    slot_job = np.zeros((sub_wgs, 2), np.int64)
    done_at = np.full((sub_wgs, 2), _LATE)
    oldest = np.zeros(sub_wgs, np.int64)
    target = np.zeros((sub_wgs, 2), np.int64)
    loaded_count = np.zeros(sub_wgs, np.int64)
    drained_count = np.zeros(sub_wgs, np.int64)
    last_loaded = False
    # -- PEs: first cycle in which each may begin the next job, and first in which it has no chunk left
    free = np.zeros((sub_wgs, wgs, sub_pes), np.int64)
    end = np.zeros((sub_wgs, wgs, sub_pes), np.int64)
    change = np.zeros((sub_wgs, ring), np.int32)  # PEs that begin less those that end, by cycle
    computing = np.zeros(sub_wgs, np.int64)
    # -- drain
    finals = np.zeros(packets.shape[0], np.int64)  # the queue, never wrapping around
    finals_read, finals_written = 0, 0
    settling = np.zeros((_SETTLE + 1, sub_wgs), np.int64)
    complete = np.zeros(sub_wgs, np.int64)
    drain, drain_sub_wg, drain_left, drain_beats, turn = False, 0, 0, 0, 0
    drained = -1  # sub-WG whose oldest final job's last sums were read a cycle ago
    space, gap, room = _DEPTH, 0, True
    closed = np.zeros(8, np.int64)
    left, stored, sent_beats = 0, 0, 0
    # -- counters
    active, draining = False, False
    cycles, busy_cycles, stall_input, stall_output, barrier_wait = 0, 0, 0, 0, 0
    first_busy, last_busy = -1, -1
    last_move, now = 0, 0

    while sent_beats < out_beats:
        # ---- what crosses which boundary in this cycle -------------------------------------------
        offered = dma.mm2s_valid(reads)
        ready = level < 2
        beat_in = offered and ready and dma.throttle_open(gate_in)
        accepts = dma.s2mm_ready(writes)
        sums_offered = stored > 0
        beat_out = sums_offered and accepts and dma.throttle_open(gate_out)
        beat_last = beat_out and sent_beats == out_beats - 1

        take = level > 0
        if take:
            if packets[packet, _KIND] != KIND_JOB:
                if beat > 0:
                    for s in range(sub_wgs):
                        for h in range(2):
                            if valid[s, h] and packets[slot_packet[s, h], _PAGE] == packets[packet, _PAGE]:
                                take = False
            elif 2 <= beat < 2 + (packets[packet, _COUNT] + 3) // 4:
                take = slot_ready
        # Whether the job's slot is free is one cycle old when it counts.
        slot_ready = False
        if packet < packets.shape[0] and packets[packet, _KIND] == KIND_JOB:
            s = packets[packet, _SUB_WG]
            room_left = not packets[packet, _FINAL] or finals_written - finals_read < _FINALS
            slot_ready = room_left and not valid[s, half[s]]

        any_valid, blocked = False, False
        for s in range(sub_wgs):
            for h in range(2):
                any_valid |= valid[s, h]
                blocked |= valid[s, h] and not go[s, h]
        finished = last_loaded and not any_valid

        busy = False
        for s in range(sub_wgs):
            computing[s] += change[s, now % ring]
            change[s, now % ring] = 0
            if computing[s] > 0:
                busy = True
                barrier_wait += wgs * sub_pes - computing[s]

        read = drain and turn == 3 and room and gap == 0
        drained_next = drain_sub_wg if read and drain_left == 1 else -1
        start = not drain and finals_read < finals_written
        if start:
            start = complete[packets[finals[finals_read], _SUB_WG]] > 0

        # ---- counters ----------------------------------------------------------------------------
        if active or beat_in:
            cycles += 1
            if busy:
                busy_cycles += 1
            elif blocked or draining:
                stall_output += 1
            else:
                stall_input += 1
        if busy:
            if first_busy < 0:
                first_busy = now
            last_busy = now
        turn = (turn + 1) % 5 if active else 0
        if beat_last:
            active, draining = False, False
        else:
            active = active or beat_in
            draining = draining or finished
        if finished:
            last_loaded = False

        # ---- drain -------------------------------------------------------------------------------
        reserved = drain_beats if read else 0
        closed[(now + _READ) % 8] = reserved
        loaded = closed[now % 8]
        room = space >= 2 * most_beats
        space += (1 if beat_out else 0) - reserved
        if read:
            gap = reserved - 1
        elif gap > 0:
            gap -= 1
        stored += (1 if left > 0 else 0) - (1 if beat_out else 0)
        sent_beats += 1 if beat_out else 0
        if loaded > 0:
            left = loaded
        elif left > 0:
            left -= 1

        at = now % (_SETTLE + 1)
        for s in range(sub_wgs):
            complete[s] += settling[(now + 1) % (_SETTLE + 1), s]
            settling[at, s] = 0
        if read:
            drain_left -= 1
            drain = drain_left > 0
        if start:
            job = packets[finals[finals_read]]
            finals_read += 1
            drain, drain_sub_wg = True, job[_SUB_WG]
            drain_left = job[_NX] * job[_NY] * sub_pes
            drain_beats = (job[_WGS] + job[_RELU] + 1) // 2
            complete[drain_sub_wg] -= 1

        # ---- slots -------------------------------------------------------------------------------
        for s in range(sub_wgs):
            for index in range(2):
                h = (oldest[s] + index) % 2
                starts = valid[s, h] and drained_count[s] >= target[s, h]
                # The PEs take jobs in order: a younger one that may go waits for one that may not.
                if starts and done_at[s, h] == _LATE and (index == 0 or done_at[s, 1 - h] < _LATE):
                    done_at[s, h] = _DONE + _begin(
                        packets[slot_packet[s, h]], work[slot_job[s, h]], now + 2, free[s], end[s], change[s]
                    )
                go[s, h] = starts
            h = oldest[s]
            if valid[s, h] and now >= done_at[s, h]:
                valid[s, h] = False
                done_at[s, h] = _LATE
                oldest[s] = 1 - h
                settling[at, s] = packets[slot_packet[s, h], _FINAL]
        if load:
            s = packets[load_packet, _SUB_WG]
            valid[s, load_half] = True
            slot_packet[s, load_half] = load_packet
            slot_job[s, load_half] = load_job
            target[s, load_half] = loaded_count[s] - packets[load_packet, _UNDRAINED]
            if packets[load_packet, _FINAL]:
                loaded_count[s] += 1
                finals[finals_written] = load_packet
                finals_written += 1
            last_loaded |= packets[load_packet, _LAST] > 0
        if drained >= 0:
            drained_count[drained] += 1
        drained = drained_next

        # ---- loader ------------------------------------------------------------------------------
        load = False
        level += (1 if beat_in else 0) - (1 if take else 0)
        if take:
            beat += 1
            if beat == packets[packet, _BEATS]:
                if packets[packet, _KIND] == KIND_JOB:
                    s = packets[packet, _SUB_WG]
                    load, load_packet, load_half, load_job = True, packet, half[s], jobs_taken
                    half[s] = 1 - half[s]
                    jobs_taken += 1
                packet, beat = packet + 1, 0

        # ---- the other side of both streams ------------------------------------------------------
        dma.throttle_clock(gate_in, offered, ready)
        dma.throttle_clock(gate_out, sums_offered, accepts)
        dma.mm2s_clock(reads, beat_in)
        dma.s2mm_clock(writes, beat_out, beat_last)
        if beat_in or beat_out or busy:
            last_move = now
        now += 1
        if now - last_move > _IDLE_LIMIT:
            break

    timed[0], timed[1], timed[3], timed[4], timed[5] = cycles, busy_cycles, stall_input, stall_output, barrier_wait
    timed[2] = last_busy - first_busy + 1
    return sent_beats == out_beats


@njit(cache=True)
def _begin(packet, work, seen, free, end, change):
    """Begin a job on the PEs of a sub-WG that see it in cycle ``seen``; the first cycle in which all have finished."""
    chunks = packet[_COUNT] * packet[_NX] * packet[_NY]
    latest = 0
    for wg in range(work.shape[0]):
        for pe in range(work.shape[1]):
            decides = max(free[wg, pe], seen)
            if wg >= packet[_WGS]:
                free[wg, pe] = decides + 1
                continue
            free[wg, pe] = decides + 1 + chunks
            begin = max(end[wg, pe], decides + _START)
            end[wg, pe] = begin + work[wg, pe]
            change[(begin + _EVENT) % change.size] += 1
            change[(end[wg, pe] + _EVENT) % change.size] -= 1
            latest = max(latest, end[wg, pe])
    return latest
