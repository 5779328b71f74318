"""Functional model of the trident engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with.  It knows no time; ``models/cycles.py`` adds that from the
step masks this model returns.  Formats are those of ``hardware/packets.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import KIND_ACT, KIND_RUN
from ..hardware.window import candidates
from .packet_table import (
    AT,
    BASE,
    COUNT,
    DX,
    DY,
    FORMAT,
    KIND,
    LIVE,
    NX,
    NY,
    OUT,
    PAGE,
    SKIP,
    WGS,
    ZERO,
    parse,
)  # fmt: skip


@dataclass(frozen=True)
class Executed:
    """What a stream does.  R runs, in order of the stream.

    Attributes:
        out: uint64 (beats,), the output stream.
        live: uint8 (n,), for every run, every pixel, every group of ``scan`` steps: bit i set where step i of
            the group is issued (without skipping: all steps there are).
        counters: steps, dead_steps, columns, columns_skipped, pairs, singles, outliers, beats_in, beats_out.
        steps, pixels, page, wgs, skip: int64 (R,), of each run.
        packets: int64 (packets, 15), the stream's :mod:`.packet_table`.
    """

    out: np.ndarray
    live: np.ndarray
    counters: dict[str, int]
    steps: np.ndarray
    pixels: np.ndarray
    page: np.ndarray
    wgs: np.ndarray
    skip: np.ndarray
    packets: np.ndarray


_COUNTERS = ("steps", "dead_steps", "columns", "columns_skipped", "pairs", "singles", "outliers")


def execute(config: Config, words: np.ndarray) -> Executed:
    """Execute one transfer.

    Args:
        config: the build.
        words: uint64 (n,), the input stream: whole packets, the last RUN, and only it, flagged ``last``.

    Raises:
        InputError: not a legal stream; the message names the beat.
    """
    words = np.ascontiguousarray(words)
    if words.dtype != np.uint64 or words.ndim != 1:
        raise InputError(f"stream of dtype {words.dtype}, shape {words.shape}; accepted: uint64 (n,)")
    packets, out_beats, live_bytes = parse(config, words)
    lanes = config.lanes
    acts = np.zeros((config.columns, lanes, config.wgs), np.int32)
    nonzero = np.zeros(config.columns, np.bool_)
    window = np.array([(ahead, offset % lanes) for ahead, offset in candidates(config.mux)], np.int64)
    out = np.zeros(out_beats, np.uint64)
    live = np.zeros(live_bytes, np.uint8)
    counters = np.zeros(len(_COUNTERS), np.int64)
    beat, error = _execute(
        words, packets, acts, nonzero, window, config.filters, config.window, config.banks, config.column_w,
        config.select_w, config.step_beats, config.scan, config.act_w, out, live, counters,
    )  # fmt: skip
    if error:
        raise InputError(f"beat {beat}: {_ERRORS[error]}")
    runs = packets[packets[:, KIND] == KIND_RUN]
    found = dict(zip(_COUNTERS, map(int, counters), strict=True), beats_in=len(words), beats_out=out_beats)
    return Executed(
        out,
        live,
        found,
        runs[:, COUNT],
        runs[:, NX] * runs[:, NY],
        runs[:, PAGE],
        runs[:, WGS],
        runs[:, SKIP],
        packets,
    )


_ERRORS = {
    1: "a step refers to two columns of one bank",
    2: "an activation outside the range of this build",
    3: "a lane selects a column its step does not refer to",
    4: "a selector value beyond the multiplexer's inputs",
}


@njit(cache=True, nogil=True)
def _bits(words, base, low, width):
    """Bits ``low`` to ``low + width - 1`` of the record that starts at ``words[base]``."""
    at, shift = base + (low >> 6), low & 63
    value = words[at] >> np.uint64(shift)
    if shift + width > 64:
        value |= words[at + 1] << np.uint64(64 - shift)
    return np.int64(value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)))


@njit(cache=True, nogil=True)
def _signed(value, width):
    return value - (1 << width) if value >> (width - 1) else value


@njit(cache=True)
def _execute(
    words, packets, acts, nonzero, window, filters, slots, banks, column_w, select_w, step_beats, scan, act_w,
    out, live, counters,
):  # fmt: skip
    for p in range(packets.shape[0]):
        packet = packets[p]
        if packet[KIND] == KIND_ACT:
            error = _act(words, packet, acts, nonzero, act_w)
        else:
            error = _run(
                words, packet, acts, nonzero, window, filters, slots, banks, column_w, select_w, step_beats, scan,
                out, live, counters,
            )  # fmt: skip
        if error:
            return packet[AT], error
    return 0, 0


@njit(cache=True, nogil=True)
def _act(words, packet, acts, nonzero, act_w):
    columns, lanes, _ = acts.shape
    wgs = packet[WGS]
    width = 16 if packet[FORMAT] else 8
    beats = (lanes * width + 63) // 64
    limit = (1 << (act_w - 1)) - 1
    at = packet[AT] + 1
    for index in range(packet[COUNT]):
        column = (packet[BASE] + index) % columns
        any_here = False
        for wg in range(wgs):
            for lane in range(lanes):
                value = _bits(words, at, lane * width, width)
                value = _signed(value, 16) if width == 16 else value - packet[ZERO]
                if not -limit <= value <= limit:
                    return 2
                acts[column, lane, wg] = value
                any_here |= value != 0
            at += beats
        nonzero[column] = any_here
    return 0


@njit(cache=True, nogil=True)
def _decode(
    words, packet, window, lanes, filters, slots, banks, column_w, select_w, step_beats,
    offset, ref, count, op_slot, op_lane, op_weight, kinds,
):  # fmt: skip
    """Decode a RUN's steps into products: for step and filter, (slot, lane, weight) of each non-zero one."""
    lane_w = 9 + 2 * select_w
    for step in range(packet[COUNT]):
        at = packet[AT] + 2 + step * step_beats
        for slot in range(slots):
            offset[step, slot] = _bits(words, at, slot * (column_w + 1), column_w)
            ref[step, slot] = _bits(words, at, slot * (column_w + 1) + column_w, 1)
            for other in range(slot):
                if ref[step, slot] and ref[step, other] and (offset[step, slot] - offset[step, other]) % banks == 0:
                    return 1
        low = slots * (column_w + 1)
        for m in range(filters):
            n = 0
            for lane in range(lanes):
                entry = _bits(words, at, low, lane_w)
                low += lane_w
                byte, pair = entry & 255, entry >> 8 & 1
                weights = (_signed(byte & 15, 4), _signed(byte >> 4, 4)) if pair else (_signed(byte, 8), 0)
                if pair:
                    kinds[step, (weights[0] != 0) + (weights[1] != 0)] += 1
                elif byte:
                    kinds[step, 3] += 1
                for half in range(2):
                    if weights[half] == 0:
                        continue
                    select = entry >> (9 + half * select_w) & ((1 << select_w) - 1)
                    if select >= window.shape[0]:
                        return 4
                    slot = window[select, 0]
                    if not ref[step, slot]:
                        return 3
                    op_slot[step, m, n] = slot
                    op_lane[step, m, n] = (lane + window[select, 1]) % lanes
                    op_weight[step, m, n] = weights[half]
                    n += 1
            count[step, m] = n
    return 0


@njit(cache=True, nogil=True)
def _run(
    words, packet, acts, nonzero, window, filters, slots, banks, column_w, select_w, step_beats, scan,
    out, live, counters,
):  # fmt: skip
    columns, lanes, _ = acts.shape
    steps, wgs = packet[COUNT], packet[WGS]
    offset = np.empty((steps, slots), np.int64)
    ref = np.empty((steps, slots), np.int64)
    count = np.empty((steps, filters), np.int64)
    op_slot = np.empty((steps, filters, 2 * lanes), np.int64)
    op_lane = np.empty((steps, filters, 2 * lanes), np.int64)
    op_weight = np.empty((steps, filters, 2 * lanes), np.int32)
    kinds = np.zeros((steps, 4), np.int64)  # idle, single, pair, outlier
    error = _decode(
        words, packet, window, lanes, filters, slots, banks, column_w, select_w, step_beats,
        offset, ref, count, op_slot, op_lane, op_weight, kinds,
    )  # fmt: skip
    if error:
        return error
    sums = np.empty((filters, wgs), np.int32)
    columns_here = np.empty(slots, np.int64)
    beat, mask = packet[OUT], packet[LIVE]
    mask_bytes = (steps + scan - 1) // scan
    for y in range(packet[NY]):
        for x in range(packet[NX]):
            base = packet[BASE] + y * packet[DY] + x * packet[DX]
            sums[:] = 0
            for step in range(steps):
                referenced, alive = 0, not packet[SKIP]
                for slot in range(slots):
                    columns_here[slot] = (base + offset[step, slot]) % columns
                    if ref[step, slot]:
                        referenced += 1
                        alive |= nonzero[columns_here[slot]]
                if not alive:
                    counters[1] += 1
                    counters[3] += referenced
                    continue
                counters[0] += 1
                counters[2] += referenced
                counters[4] += kinds[step, 2]
                counters[5] += kinds[step, 1]
                counters[6] += kinds[step, 3]
                live[mask + step // scan] |= 1 << (step % scan)
                for m in range(filters):
                    total = sums[m]
                    for n in range(count[step, m]):
                        source = acts[columns_here[op_slot[step, m, n]], op_lane[step, m, n]]
                        factor = op_weight[step, m, n]
                        for wg in range(wgs):  # int32: wraps around as the accumulators do
                            total[wg] += factor * source[wg]
            mask += mask_bytes
            for index in range(wgs * filters):
                value = np.uint64(np.uint32(sums[index % filters, index // filters]))
                out[beat + index // 2] |= value << np.uint64(32 * (index % 2))
            beat += (wgs * filters + 1) // 2
    return 0
