"""Cycle model: the counters of the RTL, exactly; here trident and gather, in ``zena_cycles`` the zena engine.

It repeats the control of ``rtl/scheduled`` register by register, one loop turn per clock cycle, and
leaves the data to :mod:`.trident` and :mod:`.gather`, whose step masks it consumes.  Together they are
the "model" device.  ``tests/rtl/test_engine.py`` and ``test_gather.py`` are the licence to publish its numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..devices.memory import MemoryModel
from ..errors import DeviceError
from ..hardware.config import Config
from ..hardware.packets import KIND_ACT
from ..hardware.registers import COUNTER_MAX
from ..runtime.counters import Counters
from . import dma, gather, trident, zena, zena_cycles
from .packet_table import AT, COUNT, KIND, NX, NY, PAGE, WGS

QUEUE = 16
"""Groups between scanner and issue stage: ``QUEUE`` of step_control.v."""

UNPACK = {"trident": 0, "gather": 2}
"""Cycles from a step as the stream brings it to the step the scanner reads: ``UNPACK`` of step_control.v."""

EXECUTE = {"trident": trident.execute, "gather": gather.execute, "zena": zena.execute}
"""Engine -> its functional model."""

_TIMED = ("cycles", "busy", "span", "stall_input", "stall_output", "barrier_wait")
_IDLE_LIMIT = 1_000_000
"""Cycles without a beat after which the model, too, gives up."""


def simulate(config: Config, words: np.ndarray, memory: MemoryModel | None = None) -> tuple[np.ndarray, Counters]:
    """What one transfer gives and how long it takes.

    Args:
        config: the build.
        words: uint64 (n,), the input stream.
        memory: the simulated memory and stalls; default :class:`MemoryModel`.

    Returns:
        uint64 (beats,) output stream and the counters the hardware would show.

    Raises:
        InputError: not a legal stream.
        DeviceError: nothing moves any more; cannot happen unless the model and a stream disagree.
    """
    executed = EXECUTE[config.engine](config, words)
    memory = memory or MemoryModel()
    read_seed, write_seed, in_seed, out_seed = memory.seeds()
    # The driver's buffers begin on pages, so bursts are aligned as from address 0.
    reads = dma.mm2s_init(0, len(words), memory.read_latency, memory.rate, memory.stall, read_seed)
    writes = dma.s2mm_init(0, len(executed.out), memory.write_latency, memory.rate, memory.stall, write_seed)
    gate_in = dma.throttle_init(memory.stream_stall, in_seed)
    gate_out = dma.throttle_init(memory.stream_stall, out_seed)
    timed = np.zeros(len(_TIMED), np.int64)
    if config.scheduled:
        levels = (config.lanes - 1).bit_length()
        done = _clock(
            _packets(config, executed.packets, len(words)), executed.live, len(executed.out), UNPACK[config.engine],
            levels, -(-config.wgs * config.filters // 2), drain_depth(config), reads, writes, gate_in, gate_out,
            timed,
        )  # fmt: skip
    else:
        done = zena_cycles.run(config, executed, reads, writes, gate_in, gate_out, timed)
    if not done:
        raise DeviceError(f"the cycle model stands still after {timed[0]} cycles")
    counters = {name: min(int(value), COUNTER_MAX) for name, value in zip(_TIMED, timed, strict=True)}
    return executed.out, Counters(**counters, **executed.counters)


def _packets(config: Config, table: np.ndarray, beats: int) -> np.ndarray:
    """int64 (packets, 6): kind, beats, page, groups per pixel, pixels, result beats per pixel."""
    return np.stack(
        [
            table[:, KIND],
            np.diff(table[:, AT], append=beats),
            table[:, PAGE],
            -(-table[:, COUNT] // config.scan),
            table[:, NX] * table[:, NY],
            -(-table[:, WGS] * config.filters // 2),
        ],
        axis=1,
    )


def drain_depth(config: Config) -> int:
    """Beats of the output queue: ``DRAIN_DEPTH`` of the engine's Verilog."""
    beats = -(-config.wgs * config.filters // 2)
    return 64 if beats <= 16 else 4 << (beats - 1).bit_length()


_KIND, _BEATS, _PAGE, _GROUPS, _PIXELS, _SUMS = range(6)

_ASKED = 8  # ring of scanner requests in flight: a power of two above the pipeline's five cycles
_CLOSED = 32  # ring of closed pixels in flight: a power of two above 13 + log2(16) cycles

_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.int64)


@njit(cache=True)
def _clock(packets, live, out_beats, unpack, levels, most_sums, depth, reads, writes, gate_in, gate_out, timed):
    # Every value is what the register holds at the start of the cycle; `..._next` or an update at the end of the
    # loop body is the clock edge.
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
    closed = np.zeros(_CLOSED, np.int64)  # beats of the pixel whose sums are loaded in that cycle
    left, stored, sent_beats = 0, 0, 0
    # -- counters
    active, draining = False, False
    cycles, busy_cycles, stall_input, stall_output = 0, 0, 0, 0
    first_busy, last_busy = -1, -1
    last_move, now = 0, 0

    while sent_beats < out_beats:
        # ---- what crosses which boundary in this cycle -------------------------------------------
        offered, ready = dma.mm2s_valid(reads), held < 2
        beat_in = offered and ready and dma.throttle_open(gate_in)
        beat_read = held > 0 and opened
        accepts = dma.s2mm_ready(writes)
        sums_offered = stored > 0
        beat_out = sums_offered and accepts and dma.throttle_open(gate_out)
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
        closed[(now + 13 + levels) % _CLOSED] = reserved
        loaded = closed[now % _CLOSED]
        room = space >= 2 * most_sums
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
        dma.throttle_clock(gate_in, offered, ready)
        dma.throttle_clock(gate_out, sums_offered, accepts)
        dma.mm2s_clock(reads, beat_in)
        dma.s2mm_clock(writes, beat_out, beat_last)
        if beat_in or beat_out or busy:
            last_move = now
        now += 1
        if now - last_move > _IDLE_LIMIT:
            break

    timed[0], timed[1], timed[3], timed[4] = cycles, busy_cycles, stall_input, stall_output
    timed[2] = last_busy - first_busy + 1
    return sent_beats == out_beats
