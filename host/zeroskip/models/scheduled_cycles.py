"""Timing of trident and gather between their DMA channels, or HLS kernels: the counters of the RTL, exactly.

It repeats the control of ``rtl/scheduled`` register by register, one loop turn per clock cycle, and leaves the data to
:mod:`.trident` and :mod:`.gather`, whose step masks it consumes.  ``tests/rtl/test_engine.py`` and, with the kernels,
``tests/hls/test_glue_model.py`` are the licence to publish its numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..hardware.config import Config
from ..hardware.packets import KIND_ACT
from . import dma, kernels
from .packet_table import AT, COUNT, KIND, NX, NY, PAGE, PARTS, WGS
from .scheduled import Executed

QUEUE = 16
"""Groups between scanner and issue stage: ``QUEUE`` of step_control.v."""

_IDLE_LIMIT = 1_000_000
"""Cycles without a beat after which the model, too, gives up."""


def run(
    config: Config,
    executed: Executed,
    beats_out: int,
    streams: tuple[np.ndarray, ...],
    ports: kernels.Ports | None,
    timed: np.ndarray,
    unpack: int,
    close: int,
) -> bool:
    """Fill ``timed`` with cycles, busy, span, stall_input, stall_output; False if it stands still.

    Args:
        beats_out: beats of sums, which have ``glue_sums`` each where there are kernels.
        streams: as of :func:`.dma.streams`.
        ports: of the kernels between DMA and engine; None: there are none.
        unpack, close: latencies of the engine, see ``engines.scheduled``.
    """
    sums = config.glue_sums if ports else 2
    packets = _packets(config, executed.packets, executed.counters["beats_in"], sums)
    load_after = close + (config.lanes - 1).bit_length()
    return _clock(
        packets, executed.live, beats_out, unpack, load_after, *_drain(config, sums), *streams, ports,
        timed,
    )  # fmt: skip


def _packets(config: Config, table: np.ndarray, beats: int, sums: int) -> np.ndarray:
    """int64 (packets, 6): kind, beats, page, groups per pixel, pixels, result beats per pixel."""
    return np.stack(
        [
            table[:, KIND],
            np.diff(table[:, AT], append=beats),
            table[:, PAGE],
            -(-table[:, COUNT] // config.scan),
            table[:, NX] * table[:, NY],
            table[:, PARTS] * -(-table[:, WGS] * config.filters // sums),
        ],
        axis=1,
    )


def _drain(config: Config, sums: int) -> tuple[int, int]:
    """Beats of the output queue, ``DEPTH`` of sum_drain.v, and those that must be free when a pixel closes: ``ENOUGH``.

    It must do for the largest pixel and for one more, which may have closed in the cycle before; in the gather engine
    the largest pixel has sums of LANES filters.
    """
    beats = -(-config.wgs * config.filters // sums)
    enough, depth = 2 * beats, 4 * beats
    if config.passes > 1:
        enough, depth = (config.passes + 1) * beats, 2 * config.passes * beats
    return max(64, 1 << (depth - 1).bit_length()), enough


_KIND, _BEATS, _PAGE, _GROUPS, _PIXELS, _SUMS = range(6)

_ASKED = 8  # ring of scanner requests in flight: a power of two above the pipeline's five cycles
_CLOSED = 32  # ring of closed pixels in flight: a power of two above 15 + log2(16) cycles

_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.int64)


@njit(cache=True)
def _clock(packets, live, out_beats, unpack, load_after, depth, enough, reads, writes, gate_in, gate_out, ports, timed):
    # Every value is what the register holds at the start of the cycle; `..._next` or an update at the end of the
    # loop body is the clock edge.
    if ports is not None:
        wires, clock_kernels, model = ports
    # -- loader
    held, opened = 0, True  # beats in its input register; they can be read
    packet, beat, half = 0, 0, 0
    load, load_slot, load_packet = False, 0, 0
    slot_valid = np.zeros(2, np.bool_)
    slot_packet = np.zeros(2, np.int64)
    # -- scanner
    unpacked = np.full(2, -1)  # cycle in which the slot's last step is written
    waiting = np.zeros(2, np.bool_)
    running, scan_slot, group, pixel = False, 0, 0, 0
    credits, asked = QUEUE, 0
    asked_live = np.full(_ASKED, -1, np.int64)  # popcount of the group asked for, -1: none
    asked_close = np.zeros(_ASKED, np.bool_)
    asked_end = np.zeros(_ASKED, np.bool_)
    asked_slot = np.zeros(_ASKED, np.int64)
    # -- queue
    queue_live = np.zeros(QUEUE, np.int64)
    queue_close = np.zeros(QUEUE, np.bool_)
    queue_end = np.zeros(QUEUE, np.bool_)
    queue_slot = np.zeros(QUEUE, np.int64)
    queue_read, queue_count = 0, 0
    # -- issue
    head, head_live, head_close, head_end, head_slot = False, 0, False, False, 0
    # -- drain
    space, gap, room = depth, 0, True
    # Beats of the pixel whose sums are loaded in that cycle; those of lanes that are apart follow without a gap.
    closed = np.zeros(_CLOSED, np.int64)
    left, stored, sent_beats = 0, 0, 0
    # -- counters
    active, draining = False, False
    cycles, busy_cycles, stall_input, stall_output = 0, 0, 0, 0
    first_busy, last_busy = -1, -1
    last_move, now = 0, 0

    done = False
    while not done:
        # ---- what crosses which boundary in this cycle -------------------------------------------
        packets_valid, results_ready = dma.mm2s_valid(reads), dma.s2mm_ready(writes)
        packet_offered = packets_valid and dma.throttle_open(gate_in)
        result_accepted = results_ready and dma.throttle_open(gate_out)
        if ports is None:  # the engine's own streams are the DMA's
            word_offered, sums_accepted = packet_offered, result_accepted
        else:
            word_offered, sums_accepted = wires[kernels.EXPANDED_VALID] > 0, wires[kernels.SUMS_READY] > 0
        ready, sums_offered = held < 2, stored > 0
        beat_in = word_offered and ready
        beat_read = held > 0 and opened
        beat_out = sums_offered and sums_accepted
        beat_last = beat_out and sent_beats == out_beats - 1

        ask = running and credits > 0
        only = head_live <= 1
        pixel_end = head_close and only
        blocked = head and pixel_end and not (room and gap == 0)
        busy = head and not blocked
        closes = busy and pixel_end
        ends = closes and head_end
        take = not head or (busy and only)
        taken = take and queue_count > 0
        finished = ends and slot_packet[head_slot] == packets.shape[0] - 1

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
        if beat_last:
            active, draining = False, False
        else:
            active = active or beat_in
            draining = draining or finished

        # ---- drain -------------------------------------------------------------------------------
        reserved = packets[slot_packet[head_slot], _SUMS] if closes else 0
        closed[(now + load_after) % _CLOSED] = reserved
        loaded = closed[now % _CLOSED]
        room = space >= enough
        space += (1 if beat_out else 0) - reserved
        if closes:
            gap = reserved - 1
        elif gap > 0:
            gap -= 1
        stored += (1 if left > 0 else 0) - (1 if beat_out else 0)
        sent_beats += 1 if beat_out else 0
        if loaded > 0:
            left = loaded
        elif left > 0:
            left -= 1

        # ---- issue -------------------------------------------------------------------------------
        ended, ended_slot = ends, head_slot
        if take:
            head = queue_count > 0
            if head:
                head_live = queue_live[queue_read]
                head_close = queue_close[queue_read]
                head_end = queue_end[queue_read]
                head_slot = queue_slot[queue_read]
                queue_read = (queue_read + 1) % QUEUE
                queue_count -= 1
        elif busy:
            head_live -= 1

        # ---- scanner: the group asked for five cycles ago arrives --------------------------------
        at = (now - 5) % _ASKED
        if taken:
            credits += 1
        if asked_live[at] >= 0:
            if asked_live[at] > 0 or asked_close[at]:
                write = (queue_read + queue_count) % QUEUE
                queue_live[write] = asked_live[at]
                queue_close[write] = asked_close[at]
                queue_end[write] = asked_end[at]
                queue_slot[write] = asked_slot[at]
                queue_count += 1
            else:
                credits += 1
        at = now % _ASKED
        asked_live[at] = -1
        if not running:
            running = waiting[scan_slot]
            if running:
                waiting[scan_slot] = False
                group, pixel = 0, 0
        elif ask:
            credits -= 1
            run = slot_packet[scan_slot]
            close = group == packets[run, _GROUPS] - 1
            end = close and pixel == packets[run, _PIXELS] - 1
            asked_live[at] = _POPCOUNT[live[asked]]
            asked_close[at], asked_end[at], asked_slot[at] = close, end, scan_slot
            asked += 1
            group += 1
            if close:
                group, pixel = 0, pixel + 1
            if end:
                running, scan_slot = False, 1 - scan_slot

        # ---- loader and slots --------------------------------------------------------------------
        if load:
            unpacked[load_slot] = now + unpack
        for slot in range(2):
            if unpacked[slot] == now:
                waiting[slot] = True
        load = False
        held += (1 if beat_in else 0) - (1 if beat_read else 0)
        if beat_read:
            beat += 1
            if beat == packets[packet, _BEATS]:
                load, load_slot, load_packet = packets[packet, _KIND] != KIND_ACT, half, packet
                packet, beat = packet + 1, 0
        opened = True
        if beat > 0 and packets[packet, _KIND] != KIND_ACT:
            opened = beat == 1 or not slot_valid[half]
        elif beat > 0:
            for slot in range(2):
                if slot_valid[slot] and packets[slot_packet[slot], _PAGE] == packets[packet, _PAGE]:
                    opened = False
        if ended:
            slot_valid[ended_slot] = False
        if load:
            slot_valid[load_slot], slot_packet[load_slot] = True, load_packet
            half = 1 - half

        # ---- the other side of both streams ------------------------------------------------------
        if ports is None:
            packets_ready, results_valid, results_last = ready, sums_offered, beat_last
        else:
            packets_ready, results_valid = wires[kernels.PACKETS_READY] > 0, wires[kernels.RESULTS_VALID] > 0
            results_last = wires[kernels.RESULTS_LAST] > 0
            wires[kernels.PACKETS_VALID], wires[kernels.RESULTS_READY] = packet_offered, result_accepted
            wires[kernels.EXPANDED_READY], wires[kernels.SUMS_VALID] = ready, sums_offered
            clock_kernels(model)
        result_taken = results_valid and result_accepted
        done = result_taken and results_last
        dma.throttle_clock(gate_in, packets_valid, packets_ready)
        dma.throttle_clock(gate_out, results_valid, results_ready)
        dma.mm2s_clock(reads, packet_offered and packets_ready)
        dma.s2mm_clock(writes, result_taken, results_last)
        if beat_in or busy or beat_out or result_taken:
            last_move = now
        now += 1
        if now - last_move > _IDLE_LIMIT:
            break

    timed[0], timed[1], timed[3], timed[4] = cycles, busy_cycles, stall_input, stall_output
    timed[2] = last_busy - first_busy + 1
    return done
