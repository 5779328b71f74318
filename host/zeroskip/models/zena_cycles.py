"""Timing of the zena engine between its DMA channels: the counters of the RTL, exactly.

It repeats the control of ``rtl/zena`` register by register, one loop turn per clock cycle.  Only the PEs are
not: nothing from outside stalls a PE inside a job, so when a job may begin ``zena_pe_cycles`` has all its cycles
from :attr:`zena.Executed.products`.  ``tests/rtl/test_zena.py`` is the licence to publish its numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import Config
from ..hardware.packets import KIND_JOB, MAX_UNSENT, NO_WAIT
from . import dma, zena, zena_pe_cycles
from .zena_packets import BEATS, COUNT, FINAL, KIND, LAST, NX, NY, PAGE, PSUM, RELU, SUB_WG, UNDRAINED, WGS

_SETTLE = 9
"""``settle`` of zena_drain.v."""

_READ = 7
"""Cycles from the drain's read to the sums in the queue's shift register."""

_FINALS = MAX_UNSENT - 1
"""Final jobs the drain can note."""

_DEPTH = 64
"""Beats of the output queue."""


def run(config: Config, executed: zena.Executed, streams: tuple[np.ndarray, ...], timed: np.ndarray) -> bool:
    """Fill ``timed`` with cycles, busy, span, stall_input, stall_output, barrier_wait; False if it stands still."""
    packets = executed.packets
    longest = (packets[:, NX] * packets[:, NY] * (17 * packets[:, COUNT] + 8)).max()  # cycles of a job, at most
    ring = 1 << int(config.jobs * longest + 64).bit_length()
    return _clock(
        packets, executed.products, executed.first, ring, config.sub_wgs, config.stealing, config.jobs, config.wgs,
        config.sub_filters, len(executed.out), *streams, timed,
    )  # fmt: skip


_IDLE_LIMIT = 1_000_000
_LATE = 1 << 62


@njit(cache=True)
def _clock(
    packets, products, first, ring, sub_wgs, stealing, held_jobs, wgs, sub_pes, out_beats, reads, writes, gate_in,
    gate_out, timed,
):  # fmt: skip
    # Every value is what the register holds at the start of the cycle; updates are at the end of the loop body.
    most_beats = (wgs + 2) // 2
    # -- loader
    level, held, packet, beat, jobs_taken = 0, False, 0, 0, 0
    next_slot = np.zeros(sub_wgs, np.int64)
    slot_ready, choice = False, 0
    doer = np.zeros(packets.shape[0], np.int64)  # sub-WG that does the job, once its first offsets are taken
    load, load_packet, load_slot, load_job = False, 0, 0, 0
    # -- slots
    valid = np.zeros((sub_wgs, held_jobs), np.bool_)
    go = np.zeros((sub_wgs, held_jobs), np.bool_)
    slot_packet = np.zeros((sub_wgs, held_jobs), np.int64)
    slot_job = np.zeros((sub_wgs, held_jobs), np.int64)
    done_at = np.full((sub_wgs, held_jobs), _LATE)
    oldest = np.zeros(sub_wgs, np.int64)
    target = np.zeros((sub_wgs, held_jobs), np.int64)
    waits = np.zeros((sub_wgs, held_jobs), np.int64)  # slots, as bits, whose jobs add to the same partial sums
    loaded_count = np.zeros(sub_wgs, np.int64)
    drained_count = np.zeros(sub_wgs, np.int64)
    last_loaded = False
    # -- PEs
    pes = zena_pe_cycles.new(sub_wgs, wgs, sub_pes)
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

        take = held
        if take:
            if packets[packet, KIND] != KIND_JOB:
                if beat > 0:
                    for s in range(sub_wgs):
                        for h in range(held_jobs):
                            if valid[s, h] and packets[slot_packet[s, h], PAGE] == packets[packet, PAGE]:
                                take = False
            elif 2 <= beat < 2 + (packets[packet, COUNT] + 3) // 4:
                take = slot_ready
        # Which sub-WG is to do the job, and whether its slot is free, is one cycle old when it counts.
        if take and beat == 2 and packets[packet, KIND] == KIND_JOB:
            doer[packet] = choice
        slot_ready = False
        if packet < packets.shape[0] and packets[packet, KIND] == KIND_JOB:
            choice = _choose(packets[packet, SUB_WG], stealing, valid, next_slot)
            room_left = not packets[packet, FINAL] or finals_written - finals_read < _FINALS
            slot_ready = room_left and not valid[choice, next_slot[choice]]

        slots, blocked = 0, False
        for s in range(sub_wgs):
            for h in range(held_jobs):
                slots |= valid[s, h] << held_jobs * s + h
                blocked |= valid[s, h] and not go[s, h]
        finished = last_loaded and slots == 0

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
            start = complete[doer[finals[finals_read]]] > 0

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
            drain, drain_sub_wg = True, doer[finals[finals_read]]
            finals_read += 1
            drain_left = job[NX] * job[NY] * sub_pes
            drain_beats = (job[WGS] + job[RELU] + 1) // 2
            complete[drain_sub_wg] -= 1

        # ---- slots -------------------------------------------------------------------------------
        for s in range(sub_wgs):
            for index in range(held_jobs):
                h = (oldest[s] + index) % held_jobs
                starts = valid[s, h] and drained_count[0 if stealing else s] >= target[s, h] and waits[s, h] == 0
                waits[s, h] &= slots
                # The PEs take jobs in order: a younger one that may go waits for one that may not.
                if starts and done_at[s, h] == _LATE and (index == 0 or done_at[s, (h - 1) % held_jobs] < _LATE):
                    done_at[s, h] = zena_pe_cycles.begin(
                        packets[slot_packet[s, h]], products[first[slot_job[s, h]] :], now + 2, pes[s], change[s]
                    )
                go[s, h] = starts
            h = oldest[s]
            if valid[s, h] and now >= done_at[s, h]:
                valid[s, h] = False
                done_at[s, h] = _LATE
                oldest[s] = (h + 1) % held_jobs
                settling[at, s] = packets[slot_packet[s, h], FINAL]
        if load:
            s = doer[load_packet]
            if stealing:
                waits[s, load_slot] = 0
                for other in range(held_jobs * sub_wgs):
                    if slots >> other & 1 and other // held_jobs != s:
                        same = (
                            packets[slot_packet[other // held_jobs, other % held_jobs], PSUM]
                            == packets[load_packet, PSUM]
                        )
                        waits[s, load_slot] |= same << other
            valid[s, load_slot] = True
            slot_packet[s, load_slot] = load_packet
            slot_job[s, load_slot] = load_job
            count = 0 if stealing else s
            undrained = packets[load_packet, UNDRAINED]
            target[s, load_slot] = loaded_count[count] - undrained if undrained < NO_WAIT else 0
            if packets[load_packet, FINAL]:
                loaded_count[count] += 1
                finals[finals_written] = load_packet
                finals_written += 1
            last_loaded |= packets[load_packet, LAST] > 0
        if drained >= 0:
            drained_count[0 if stealing else drained] += 1
        drained = drained_next

        # ---- loader ------------------------------------------------------------------------------
        load = False
        moves = level > 0 and (take or not held)
        held = moves or (held and not take)
        level += (1 if beat_in else 0) - (1 if moves else 0)
        if take:
            beat += 1
            if beat == packets[packet, BEATS]:
                if packets[packet, KIND] == KIND_JOB:
                    s = doer[packet]
                    load, load_packet, load_slot, load_job = True, packet, next_slot[s], jobs_taken
                    next_slot[s] = (next_slot[s] + 1) % held_jobs
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
def _choose(home, stealing, valid, next_slot):
    """The sub-WG for a job: its home, or with stealing an idle one, home, or any that can take it."""
    if not stealing:
        return home
    for idle in (True, False):
        if not valid[home, next_slot[home]] and not (idle and valid[home].any()):
            return home
        for s in range(len(next_slot)):
            if not valid[s, next_slot[s]] and not (idle and valid[s].any()):
                return s
    return home
