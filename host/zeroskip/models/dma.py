"""Cycle-exact model of the DMA, the memory behind it and the random gates in the streams.

It describes rtl/dma/zs_dma_mm2s.v and zs_dma_s2mm.v with the memory of devices/axi_memory.h, and
rtl/sim/axis_throttle.v.  Each part is a small int64 state array and two numba functions: one tells
its outputs in the present cycle, the other takes the inputs of that cycle and passes the clock edge.
An engine model calls them in one loop::

    valid, open_in = mm2s_valid(send), throttle_open(gate_in)
    ...                                                    # the engine decides `ready`
    taken = valid and open_in and ready
    mm2s_clock(send, taken)
    throttle_clock(gate_in, valid, ready)

Cycle 0 is the cycle in which ``mm2s_start`` is high: the read transfer starts, the random numbers
begin anew, and the write transfer has been armed long before.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..devices.memory import MemoryModel

MM2S_DEPTH = 128
"""Words of the read FIFO (zs_dma's MM2S_DEPTH)."""

S2MM_DEPTH = 64
"""Words of the write FIFO (zs_dma's S2MM_DEPTH)."""

BURST = 16
RING = 16
"""Bursts in flight never exceed the 10 that fit the read FIFO or the 15 responses the writer waits for."""

_MASK = 0xFFFF_FFFF
_ENDLESS = 1 << 62

# Shared by both directions: the memory's side.
_NOW, _LATENCY, _RATE, _STALL, _SEED, _RANDOM, _CREDIT, _HEAD, _SIZE = range(9)
# MM2S
_ACTIVE, _ARVALID, _ARBEATS, _NEXT, _ASK, _FREE, _LEVEL = range(9, 16)
_READY = 16
_BEATS = _READY + RING
_MM2S_STATE = _BEATS + RING
# S2MM
_ACCEPT, _LEFT, _LOOSE, _WLEVEL, _WNEXT, _AWVALID, _AWBEATS, _JOB, _BEAT, _ANSWER, _BHEAD, _BSIZE = range(9, 21)
_WBEATS = 21
_BREADY = _WBEATS + RING
_S2MM_STATE = _BREADY + RING
# Throttle
_OPEN, _GATE_RANDOM, _GATE_SEED, _GATE_STALL, _KICKED = range(5)


@njit(cache=True)
def xorshift32(x):
    """The next number of the generator that RTL and harness use."""
    x ^= (x << 13) & _MASK
    x ^= x >> 17
    return (x ^ (x << 5)) & _MASK


def mm2s_init(address: int, beats: int, read_latency: int, rate: int, stall: int, seed: int) -> np.ndarray:
    """State in cycle 0 of a read transfer of ``beats`` words from byte ``address``; see MemoryModel for the rest."""
    s = np.zeros(_MM2S_STATE, np.int64)
    s[_LATENCY], s[_RATE], s[_STALL], s[_SEED], s[_RANDOM] = read_latency, rate, stall, seed, seed
    s[_NEXT], s[_ASK], s[_FREE] = address // 8 % BURST, beats, MM2S_DEPTH
    return s


@njit(cache=True)
def mm2s_valid(s):
    """m_axis_tvalid: the DMA offers a word in this cycle."""
    return s[_LEVEL] > 0


@njit(cache=True)
def mm2s_clock(s, taken):
    """One clock edge; ``taken``: the word offered was accepted in this cycle."""
    now = s[_NOW]
    stall = s[_STALL]
    credit = s[_CREDIT] + s[_RATE]
    slot = credit >= 1024
    if slot:
        credit -= 1024
    read = slot and s[_SIZE] > 0 and s[_READY + s[_HEAD]] <= now
    arready = True
    if stall > 0:
        random = s[_RANDOM]
        read = read and (random & 255) >= stall
        arready = (random >> 8 & 255) >= stall
        s[_RANDOM] = xorshift32(random)
    s[_CREDIT] = credit

    if s[_ARVALID] > 0:
        accepted = arready
        issue = False
    else:
        accepted = False
        issue = s[_ACTIVE] > 0 and s[_ASK] > 0 and s[_FREE] >= BURST
    if read:
        head = s[_HEAD]
        s[_LEVEL] += 1
        s[_BEATS + head] -= 1
        if s[_BEATS + head] == 0:
            s[_HEAD] = (head + 1) % RING
            s[_SIZE] -= 1
    if accepted:
        tail = (s[_HEAD] + s[_SIZE]) % RING
        s[_READY + tail] = now + s[_LATENCY]
        s[_BEATS + tail] = s[_ARBEATS]
        s[_SIZE] += 1
        s[_ARVALID] = 0
    if issue:
        burst = min(BURST - s[_NEXT], s[_ASK])
        s[_ARVALID] = 1
        s[_ARBEATS] = burst
        s[_NEXT] = (s[_NEXT] + burst) % BURST
        s[_ASK] -= burst
        s[_FREE] -= burst
    if taken:
        s[_LEVEL] -= 1
        s[_FREE] += 1
    if now == 0:
        s[_ACTIVE] = 1
        s[_RANDOM] = s[_SEED]
        s[_CREDIT] = 0
    s[_NOW] = now + 1


def s2mm_init(address: int, beats: int, write_latency: int, rate: int, stall: int, seed: int) -> np.ndarray:
    """State in cycle 0 of an armed write transfer of at most ``beats`` words to byte ``address``."""
    s = np.zeros(_S2MM_STATE, np.int64)
    s[_LATENCY], s[_RATE], s[_STALL], s[_SEED], s[_RANDOM] = write_latency, rate, stall, seed, seed
    s[_WNEXT], s[_LEFT], s[_ACCEPT] = address // 8 % BURST, beats, 1
    return s


@njit(cache=True)
def s2mm_ready(s):
    """s_axis_tready: the DMA would take a word in this cycle."""
    return s[_ACCEPT] > 0 and s[_WLEVEL] < S2MM_DEPTH


@njit(cache=True)
def s2mm_clock(s, given, last):
    """One clock edge; ``given``: a word was handed over in this cycle, ``last``: with tlast."""
    now = s[_NOW]
    stall = s[_STALL]
    credit = s[_CREDIT] + s[_RATE]
    slot = credit >= 1024
    if slot:
        credit -= 1024
    wready = slot and s[_SIZE] > 0
    awready = True
    if stall > 0:
        random = s[_RANDOM]
        wready = wready and (random & 255) >= stall
        awready = (random >> 8 & 255) >= stall
        s[_RANDOM] = xorshift32(random)
    s[_CREDIT] = credit

    # What the DMA decides in this cycle, from its registers.
    to_boundary = BURST - s[_WNEXT]
    loose = s[_LOOSE]
    whole = loose >= to_boundary
    issue = s[_AWVALID] == 0 and s[_JOB] == 0 and s[_ANSWER] < 15 and (whole or (s[_ACCEPT] == 0 and loose > 0))
    write = s[_BEAT] > 0 and wready
    accepted = s[_AWVALID] > 0 and awready
    next_job = s[_JOB] > 0 and (s[_BEAT] == 0 or (s[_BEAT] == 1 and write))

    # Memory: responses, data, addresses.
    if s[_BSIZE] > 0 and s[_BREADY + s[_BHEAD]] <= now:
        s[_BHEAD] = (s[_BHEAD] + 1) % RING
        s[_BSIZE] -= 1
        s[_ANSWER] -= 1
    if write:
        s[_WLEVEL] -= 1
        head = s[_HEAD]
        s[_WBEATS + head] -= 1
        if s[_WBEATS + head] == 0:
            s[_HEAD] = (head + 1) % RING
            s[_SIZE] -= 1
            s[_BREADY + (s[_BHEAD] + s[_BSIZE]) % RING] = now + s[_LATENCY]
            s[_BSIZE] += 1
    if accepted:
        s[_WBEATS + (s[_HEAD] + s[_SIZE]) % RING] = s[_AWBEATS]
        s[_SIZE] += 1
        s[_AWVALID] = 0

    if next_job:
        s[_BEAT] = s[_JOB]
        s[_JOB] = 0
    elif write:
        s[_BEAT] -= 1
    if issue:
        burst = to_boundary if whole else loose
        s[_AWVALID] = 1
        s[_AWBEATS] = burst
        s[_JOB] = burst
        s[_WNEXT] = (s[_WNEXT] + burst) % BURST
        s[_LOOSE] = loose - burst
        s[_ANSWER] += 1
    if given:
        s[_LOOSE] += 1
        s[_WLEVEL] += 1
        s[_LEFT] -= 1
        if last or s[_LEFT] == 0:
            s[_ACCEPT] = 0
    if now == 0:
        s[_RANDOM] = s[_SEED]
        s[_CREDIT] = 0
    s[_NOW] = now + 1


@njit(cache=True)
def s2mm_idle(s):
    """The packet has ended and memory has answered for all of it."""
    return s[_ACCEPT] == 0 and s[_LOOSE] == 0 and s[_ANSWER] == 0


def throttle_init(stall: int, seed: int) -> np.ndarray:
    """State in cycle 0 of the gate in a stream."""
    s = np.zeros(5, np.int64)
    s[_GATE_STALL], s[_GATE_SEED], s[_GATE_RANDOM] = stall, seed, seed
    return s


@njit(cache=True)
def throttle_open(s):
    """The gate lets valid and ready pass in this cycle."""
    return s[_OPEN] > 0


@njit(cache=True)
def throttle_clock(s, s_valid, m_ready):
    """One clock edge; ``s_valid`` on one side of the gate and ``m_ready`` on the other, both before it."""
    if not (s[_OPEN] > 0 and s_valid and not m_ready):
        s[_OPEN] = s[_KICKED] > 0 and (s[_GATE_RANDOM] & 255) >= s[_GATE_STALL]
    if s[_KICKED] == 0:
        s[_KICKED] = 1
        s[_GATE_RANDOM] = s[_GATE_SEED]
    elif s[_GATE_STALL] > 0:
        s[_GATE_RANDOM] = xorshift32(s[_GATE_RANDOM])


def streams(beats: int, memory: MemoryModel) -> tuple[np.ndarray, ...]:
    """State in cycle 0 of a transfer of ``beats`` words whose answer ends with tlast: reads, writes, both gates."""
    read_seed, write_seed, in_seed, out_seed = memory.seeds()
    # The driver's buffers begin on pages, so bursts are aligned as from address 0.
    return (
        mm2s_init(0, beats, memory.read_latency, memory.rate, memory.stall, read_seed),
        s2mm_init(0, _ENDLESS, memory.write_latency, memory.rate, memory.stall, write_seed),
        throttle_init(memory.stream_stall, in_seed),
        throttle_init(memory.stream_stall, out_seed),
    )
