"""Cycle-exact model of map_load and of the memory behind its read port.

It describes rtl/memory/axi_read.v with the memory of devices/axi_memory.h, load_walk.v with load_clip.v, and
load_pixels.v with the FIFOs between them.  Each is an int64 state array and a numba function that takes what the others
show in the present cycle and passes the clock edge; :func:`clock` is all of map_load.  Values are :mod:`.map_load`'s::

    state = start(30, 1024, 0, 1)
    loads = table(words)
    while not clock(*state, loads, stores):         # True: `done` is high in the cycle that has passed
        ...
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ..hardware.packets import LOAD_HEADER
from .dma import xorshift32
from .map_load import fields_of

DEPTH = 128
"""Words of the read FIFO (map_load's DEPTH)."""

PACKETS, LOADS, SEGMENTS = 32, 4, 32
"""Depths of map_load's FIFOs: beats of packets, LOADs that were begun, segments of rows."""

SETTLE = 8
"""Cycles from a LOAD's last beat to its last write."""

CLIP = 7
"""Cycles from a rectangle's corner to what its rows consist of."""

BURST = 16

_FIELDS = [field.name for fields in LOAD_HEADER for field in fields]
_WGS, _AFTER, _MAP, _BLOCK_PITCH, _RECT_PITCH, _IMAGE_PITCH = (
    _FIELDS.index(name) for name in ("wgs", "after", "map", "block_pitch", "rect_pitch", "image_pitch")
)
_SOURCE_W, _SOURCE_H, _WIDTH, _HEIGHT, _ROW_PITCH, _X0, _Y0, _UPSAMPLE = (
    _FIELDS.index(name)
    for name in ("source_width", "source_height", "width", "height", "row_pitch", "x0", "y0", "upsample")
)
_X, _Y, _STEP_X, _STEP_Y, _RECT_W, _RECT_H, _BLOCKS = (
    _FIELDS.index(name) for name in ("x", "y", "step_x", "step_y", "rect_width", "rect_height", "blocks")
)
_GRID_W, _GRID_H, _LEFT_X, _LEFT_Y, _POOL, _STRIDE, _PAD_X, _PAD_Y = (
    _FIELDS.index(name)
    for name in ("grid_width", "grid_height", "left_x", "left_y", "pool", "stride", "pad_x", "pad_y")
)

# The read port: memory, then axi_read.
_NOW, _LATENCY, _RATE, _STALL, _RANDOM, _CREDIT, _HEAD, _SIZE = range(8)
_ASK, _NEXT, _LEFT, _ARVALID, _ARBEATS, _ISSUED, _ROOM, _RVALID, _LEVEL = range(8, 17)
_READY = 17
_BEATS = _READY + BURST
_READ_STATE = _BEATS + BURST

# load_walk.  A rectangle's row, by segments in their order: pixels or columns of each.
_HEADER, _CHECK, _WAIT, _CORNER, _CLIP, _ROW, _EMIT = range(7)
_STATE, _LOAD, _AT, _REACHED, _TIMER, _WG, _CX, _CY, _RECT, _LX, _LY = range(11)
_BLOCK, _ROWS, _WINDOW, _ADDR, _ROW_Y, _PENDING, _LAST, _FROM, _READS, _ODD, _INSIDE, _READ_AT = range(11, 23)
_CLIPPED = 23
_COUNTS = _CLIPPED + 5
_WALK_STATE = _COUNTS + 5

# load_pixels, and the FIFOs before it: beats of packets, LOADs begun, segments (pixels, read, odd, end).
_PACKET_LEVEL, _SENT, _QUEUED, _SEG_HEAD, _SEG_SIZE = range(5)
_LIVE, _WANTS, _READ, _REPLAY, _STARTS_ODD, _HALF, _COUNT, _ENDS, _LOADED, _OPEN, _SETTLE, _DONE, _OF = range(5, 18)
_SEG = 18
_PIXEL_STATE = _SEG + 4 * SEGMENTS


class State(NamedTuple):
    """State arrays: the read port, load_walk, load_pixels with the FIFOs."""

    read: np.ndarray
    walk: np.ndarray
    pixels: np.ndarray


def start(read_latency: int, rate: int, stall: int, seed: int) -> State:
    """State after reset; see MemoryModel for the memory."""
    state = State(*(np.zeros(size, np.int64) for size in (_READ_STATE, _WALK_STATE, _PIXEL_STATE)))
    for place, value in ((_LATENCY, read_latency), (_RATE, rate), (_STALL, stall), (_RANDOM, seed), (_ROOM, DEPTH)):
        state.read[place] = value
    return state


def table(words: np.ndarray) -> np.ndarray:
    """LOAD packets as int64 (n, fields), for :func:`clock`.

    Args:
        words: uint64 (8 n,), whole packets.

    Raises:
        InputError: not a LOAD, or not a legal one.
    """
    packets = np.asarray(words, np.uint64).reshape(-1, len(LOAD_HEADER))
    return np.array([[found[name] for name in _FIELDS] for found in map(fields_of, packets)], np.int64)


@njit(cache=True)
def read_clock(s, request, address, beats, taken):
    """One clock edge of memory and axi_read: a request that is taken, and whether a word of the FIFO is."""
    credit = s[_CREDIT] + s[_RATE]
    slot = credit >= 1024
    s[_CREDIT] = credit - 1024 if slot else credit
    random = s[_RANDOM]
    s[_RANDOM] = xorshift32(random)
    read = slot and s[_SIZE] > 0 and s[_READY + s[_HEAD]] <= s[_NOW] and (random & 255) >= s[_STALL]
    arready = s[_SIZE] < BURST and (random >> 8 & 255) >= s[_STALL]
    accepted = s[_ARVALID] > 0 and arready
    issue = s[_ASK] > 0 and s[_ARVALID] == 0 and s[_ROOM] >= BURST

    s[_LEVEL] += s[_RVALID] - taken
    s[_ROOM] += taken - (s[_ARBEATS] if s[_ISSUED] > 0 else 0)
    s[_RVALID] = read
    s[_ISSUED] = issue
    if accepted:
        tail = (s[_HEAD] + s[_SIZE]) % BURST
        s[_READY + tail] = s[_NOW] + s[_LATENCY]
        s[_BEATS + tail] = s[_ARBEATS]
        s[_ARVALID] = 0
        s[_SIZE] += 1
    if read:
        s[_BEATS + s[_HEAD]] -= 1
        if s[_BEATS + s[_HEAD]] == 0:
            s[_HEAD] = (s[_HEAD] + 1) % BURST
            s[_SIZE] -= 1
    if issue:
        burst = min(BURST - s[_NEXT], s[_LEFT])
        s[_ARVALID] = 1
        s[_ARBEATS] = burst
        s[_NEXT] = (s[_NEXT] + burst) % BURST
        s[_LEFT] -= burst
        s[_ASK] = s[_LEFT] > 0
    if request:
        s[_ASK] = 1
        s[_NEXT] = address // 8 % BURST
        s[_LEFT] = beats
    s[_NOW] += 1


@njit(cache=True)
def _clip(s, f):
    """load_clip: what every row of the rectangle consists of."""
    x, width = s[_CX], f[_WIDTH]
    first, last = max(x, 0), min(x + f[_RECT_W], width) - 1
    s[_INSIDE] = first <= last
    s[_ODD] = first & 1
    step = f[_STRIDE] + 1
    low = first >> 1 if f[_UPSAMPLE] else first * step - f[_PAD_X]
    high = (last >> 1 if f[_UPSAMPLE] else last * step - f[_PAD_X]) + f[_POOL]
    begin, end = max(low, 0), min(high, f[_SOURCE_W])
    s[_FROM], s[_READS] = begin, end - begin
    s[_CLIPPED + 0] = first - x
    s[_CLIPPED + 1] = begin - low
    s[_CLIPPED + 2] = last - first + 1 if f[_UPSAMPLE] else end - begin
    s[_CLIPPED + 3] = high - end
    s[_CLIPPED + 4] = x + f[_RECT_W] - 1 - last


@njit(cache=True)
def _row(s, f):
    """load_walk in state ROW: the segments of the row there is, and on to the next."""
    window_last = s[_WINDOW] == f[_POOL] - 1
    up = f[_UPSAMPLE] > 0
    source_y = s[_ROW_Y] * (f[_STRIDE] + 1) - f[_PAD_Y] + s[_WINDOW]
    in_source = up or 0 <= source_y < f[_SOURCE_H]
    s[_PENDING] = 0
    if s[_INSIDE] and 0 <= s[_ROW_Y] < f[_HEIGHT]:
        for segment in range(5):
            s[_COUNTS + segment] = s[_CLIPPED + segment]
        if not in_source:
            s[_COUNTS + 1] += s[_CLIPPED + 2] + s[_CLIPPED + 3]
            s[_COUNTS + 2] = s[_COUNTS + 3] = 0
        for segment in range(5):
            if s[_COUNTS + segment] > 0 and (window_last or 0 < segment < 4):
                s[_PENDING] |= 1 << segment
    elif window_last:
        s[_COUNTS] = f[_RECT_W]
        s[_PENDING] = 1
    half_row = 8 * f[_SOURCE_W]
    s[_READ_AT] = s[_ADDR] + 16 * s[_FROM] + 2 * half_row * s[_WINDOW] - (half_row if up and s[_ROW_Y] & 1 else 0)
    row_last, block_last = s[_ROWS] == 1, s[_BLOCK] == 1
    s[_LAST] = 0
    s[_WINDOW] = 0 if window_last else s[_WINDOW] + 1
    if not window_last:
        return
    s[_ADDR] += f[_BLOCK_PITCH] if row_last else 8 * f[_ROW_PITCH]
    s[_ROWS], s[_ROW_Y] = (f[_RECT_H], s[_CY]) if row_last else (s[_ROWS] - 1, s[_ROW_Y] + 1)
    if row_last:
        s[_BLOCK] -= 1
    if row_last and block_last:
        s[_LAST] = 2 if s[_WG] == f[_WGS] - 1 else 1
        s[_WG] += 1
        s[_LX] -= 1
        s[_CX] += f[_STEP_X]
        if s[_LX] == 0:
            s[_LX], s[_CX] = f[_GRID_W], f[_X0]
            s[_LY] -= 1
            s[_CY] += f[_STEP_Y]
            s[_RECT] += f[_RECT_PITCH] if s[_LY] else f[_IMAGE_PITCH]
            if s[_LY] == 0:
                s[_LY], s[_CY] = f[_GRID_H], f[_Y0]


@njit(cache=True)
def walk_clock(s, f, stores, beat, load_ready, segment_ready, read_ready):
    """One clock edge of load_walk, with the fields of its LOAD and what its neighbours show.

    Returns:
        Whether it takes a beat of a packet; hands a LOAD on; then a segment: pixels (0: none), whether they are read,
        begin in an odd column, end the LOAD; bytes address and beats of its request.
    """
    state = s[_STATE]
    reached = s[_REACHED] > 0
    s[_REACHED] = (stores - f[_AFTER]) & 0x8000 == 0
    if state == _HEADER:
        if beat:
            s[_AT] += 1
            if s[_AT] == len(LOAD_HEADER):
                s[_AT] = 0
                s[_STATE] = _CHECK
        return beat, False, 0, False, False, False, 0, 0
    if state == _CHECK:
        s[_STATE] = _WAIT
        s[_WG] = 0
        s[_CX], s[_CY], s[_RECT] = f[_X], f[_Y], f[_MAP]
        s[_LX], s[_LY] = f[_LEFT_X], f[_LEFT_Y]
    elif state == _WAIT:
        if reached and load_ready:
            s[_STATE] = _CORNER
            return False, True, 0, False, False, False, 0, 0
    elif state == _CORNER:
        s[_STATE] = _CLIP
        s[_TIMER] = CLIP
    elif state == _CLIP:
        s[_TIMER] -= 1
        if s[_TIMER] == 0:
            _clip(s, f)
            s[_STATE] = _ROW
            s[_BLOCK], s[_ROWS], s[_WINDOW] = f[_BLOCKS], f[_RECT_H], 0
            s[_ADDR], s[_ROW_Y] = s[_RECT], s[_CY]
    elif state == _ROW:
        _row(s, f)
        s[_STATE] = _EMIT
    else:
        segment = 0
        while segment < 4 and not s[_PENDING] >> segment & 1:
            segment += 1
        read = segment == 2
        some = s[_PENDING] > 0
        if some and not (segment_ready and (read_ready or not read)):
            return False, False, 0, False, False, False, 0, 0
        s[_PENDING] &= s[_PENDING] - 1
        ends = s[_PENDING] == 0
        last = s[_LAST]
        if ends:
            s[_STATE] = _ROW if last == 0 else _CORNER if last == 1 else _HEADER
            if last == 2:
                s[_LOAD] += 1
        if some:
            return (
                False, False, s[_COUNTS + segment], read, s[_ODD] > 0, ends and last == 2,
                s[_READ_AT], 2 * s[_READS] if read else 0,
            )  # fmt: skip
    return False, False, 0, False, False, False, 0, 0


@njit(cache=True)
def pixels_clock(s, loads, word):
    """One clock edge of load_pixels: whether memory's FIFO has a word; returns whether it is taken."""
    live, half = s[_LIVE] > 0, s[_HALF] > 0
    step = live and (s[_WANTS] == 0 or word)
    taken = step and s[_WANTS] > 0
    pixel_end = step and half
    segment_end = pixel_end and s[_COUNT] == 1
    ends_now = segment_end and s[_ENDS] > 0
    take = s[_SEG_SIZE] > 0 and ((s[_OPEN] > 0 and not live) or (segment_end and not ends_now))
    settle = s[_SETTLE]

    if step:
        s[_HALF] = not half
    if pixel_end:
        again = loads[s[_OF] - 1, _UPSAMPLE] > 0 and s[_REPLAY] == 0 and s[_STARTS_ODD] == 0
        s[_REPLAY] = again
        s[_WANTS] = s[_READ] > 0 and not again
        s[_STARTS_ODD] = 0
        s[_COUNT] -= 1
    if segment_end:
        s[_LIVE] = 0
    if take:
        at = _SEG + 4 * s[_SEG_HEAD]
        s[_LIVE], s[_HALF], s[_REPLAY] = 1, 0, 0
        s[_COUNT], s[_READ], s[_STARTS_ODD], s[_ENDS] = s[at], s[at + 1], s[at + 2], s[at + 3]
        s[_WANTS] = s[_READ]
        s[_SEG_HEAD] = (s[_SEG_HEAD] + 1) % SEGMENTS
        s[_SEG_SIZE] -= 1
    s[_OPEN] = s[_LOADED] > 0 and not ends_now and settle == 0
    if s[_LOADED] > 0:
        s[_LOADED] = settle != 1
    elif s[_QUEUED] > 0:
        s[_LOADED] = 1
        s[_QUEUED] -= 1
        s[_OF] += 1
    s[_DONE] = settle == 1
    s[_SETTLE] = SETTLE if ends_now else max(settle - 1, 0)
    return taken


@njit(cache=True)
def clock(read, walk, pixels, loads, stores):
    """One clock edge of map_load, to which all beats of ``loads`` are offered as soon as it takes them.

    Args:
        read, walk, pixels: the :class:`State`.
        loads: of :func:`table`.
        stores: complete ones, modulo 2^16.

    Returns:
        Whether ``done`` was high in the cycle that has passed.
    """
    done = pixels[_DONE] > 0
    packet_room = pixels[_PACKET_LEVEL] < PACKETS and pixels[_SENT] < len(LOAD_HEADER) * len(loads)
    segments = pixels[_SEG_SIZE]
    beat, handed, count, is_read, odd, ends, address, beats = walk_clock(
        walk, loads[min(walk[_LOAD], len(loads) - 1)], stores, pixels[_PACKET_LEVEL] > 0, pixels[_QUEUED] < LOADS,
        segments < SEGMENTS, read[_ASK] == 0,
    )  # fmt: skip
    tail = _SEG + 4 * ((pixels[_SEG_HEAD] + segments) % SEGMENTS)
    taken = pixels_clock(pixels, loads, read[_LEVEL] > 0)
    if count > 0:
        pixels[tail], pixels[tail + 1], pixels[tail + 2], pixels[tail + 3] = count, is_read, odd, ends
        pixels[_SEG_SIZE] += 1
    pixels[_QUEUED] += handed
    pixels[_PACKET_LEVEL] += packet_room - beat
    pixels[_SENT] += packet_room
    read_clock(read, beats > 0, address, beats, taken)
    return done


@njit(cache=True)
def run(read, walk, pixels, loads, stores, limit):
    """Cycles in which each of the LOADs is ``done``, int64 (n,); -1 where it is not within ``limit`` cycles."""
    times = np.full(len(loads), -1, np.int64)
    found = 0
    for cycle in range(limit):
        if clock(read, walk, pixels, loads, stores):
            times[found] = cycle
            found += 1
            if found == len(loads):
                break
    return times
