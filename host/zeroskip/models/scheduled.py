"""What the functional models of trident and gather share: packets, activations, and the replay of decoded steps.

Both execute a packet stream word by word, literally; they differ in how a step's record says which activations its
weights meet.  Each model decodes its records into a :class:`Schedule`; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import KIND_ACT
from .packet_table import AT, BASE, COUNT, DX, DY, FORMAT, KIND, LIVE, NX, NY, OUT, PARTS, SKIP, WGS, ZERO, parse


@dataclass(frozen=True)
class Executed:
    """What a stream does.

    Attributes:
        out: uint64 (beats,), the output stream.
        live: uint8 (n,), for every run, every pixel, every group of ``scan`` steps: bit i set where step i of
            the group is issued (without skipping: all steps there are).
        counters: steps, dead_steps, columns, columns_skipped, pairs, singles, outliers, beats_in, beats_out, packets.
        packets: int64 (packets, 17), the stream's :mod:`.packet_table`.
    """

    out: np.ndarray
    live: np.ndarray
    counters: dict[str, int]
    packets: np.ndarray


class Schedule(NamedTuple):
    """The S steps of a RUN, decoded: for each step and filter the products of its non-zero weights.

    Where every lane computes a filter of its own, the run has LANES times as many filters.

    Attributes:
        offset: int64 (S, refs), column offset of every reference.
        ref: bool (S, refs), whether the step refers to it.
        count: int64 (S, filters), products.
        op_ref, op_act: int64 (S, filters, 2 * lanes), where a product's activation is: reference, place in its column.
        op_weight: int32, its weight.
        kinds: int64 (S, 4), lanes with no weight, one non-outlier, two, an outlier.
    """

    offset: np.ndarray
    ref: np.ndarray
    count: np.ndarray
    op_ref: np.ndarray
    op_act: np.ndarray
    op_weight: np.ndarray
    kinds: np.ndarray

    @classmethod
    def empty(cls, config: Config, steps: int, filters: int) -> Schedule:
        ops = (steps, filters, 2 * config.lanes)
        return cls(
            np.zeros((steps, config.refs), np.int64),
            np.zeros((steps, config.refs), np.bool_),
            np.zeros((steps, filters), np.int64),
            *(np.zeros(ops, dtype) for dtype in (np.int64, np.int64, np.int32)),
            np.zeros((steps, 4), np.int64),
        )


COUNTERS = ("steps", "dead_steps", "columns", "columns_skipped", "pairs", "singles", "outliers")

ERRORS = {1: "an activation outside the range of this build"}


def execute(
    config: Config,
    words: np.ndarray,
    flags: int,
    decode: Callable[[np.ndarray, Schedule], int],
    errors: dict[int, str],
) -> Executed:
    """Execute one transfer.

    Args:
        config: the build.
        words: uint64 (n,), the input stream: whole packets, the last RUN, and only it, flagged ``last``.
        flags: zero flags of a column: one for all its activations, or one for each.
        decode: fills the schedule from a RUN's records, given its row of the packet table; the error, 0 if none.
        errors: the decoder's errors.

    Raises:
        InputError: not a legal stream; the message names the beat.
    """
    words = np.ascontiguousarray(words)
    if words.dtype != np.uint64 or words.ndim != 1:
        raise InputError(f"stream of dtype {words.dtype}, shape {words.shape}; accepted: uint64 (n,)")
    packets, out_beats, live_bytes = parse(config, words)
    acts = np.zeros((config.columns, config.acts, config.wgs), np.int32)
    nonzero = np.zeros((config.columns, flags), np.bool_)
    out = np.zeros(out_beats, np.uint64)
    live = np.zeros(live_bytes, np.uint8)
    counters = np.zeros(len(COUNTERS), np.int64)
    for packet in packets:
        if packet[KIND] == KIND_ACT:
            error = _act(words, packet, acts, nonzero, config.act_w)
        else:
            schedule = Schedule.empty(config, packet[COUNT], config.filters * packet[PARTS])
            error = decode(packet, schedule)
            if not error:
                _replay(packet, schedule, acts, nonzero, config.scan, out, live, counters)
        if error:
            raise InputError(f"beat {packet[AT]}: {(ERRORS | errors)[error]}")
    found = dict(zip(COUNTERS, map(int, counters), strict=True), beats_in=len(words), beats_out=out_beats)
    found["packets"] = len(packets)
    return Executed(out, live, found, packets)


@njit(cache=True, nogil=True)
def bits(words, base, low, width):
    """Bits ``low`` to ``low + width - 1`` of the record that starts at ``words[base]``."""
    at, shift = base + (low >> 6), low & 63
    value = words[at] >> np.uint64(shift)
    if shift + width > 64:
        value |= words[at + 1] << np.uint64(64 - shift)
    return np.int64(value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)))


@njit(cache=True, nogil=True)
def signed(value, width):
    """The two's complement number in the low ``width`` bits."""
    return value - (1 << width) if value >> (width - 1) else value


@njit(cache=True, nogil=True)
def _act(words, packet, acts, nonzero, act_w):
    columns, lanes, _ = acts.shape
    flags = nonzero.shape[1]
    wgs = packet[WGS]
    width = 16 if packet[FORMAT] else 8
    beats = (lanes * width + 63) // 64
    limit = (1 << (act_w - 1)) - 1
    at = packet[AT] + 1
    for index in range(packet[COUNT]):
        column = (packet[BASE] + index) % columns
        nonzero[column] = False
        for wg in range(wgs):
            for lane in range(lanes):
                value = bits(words, at, lane * width, width)
                value = signed(value, 16) if width == 16 else value - packet[ZERO]
                if not -limit <= value <= limit:
                    return 1
                acts[column, lane, wg] = value
                nonzero[column, lane % flags] |= value != 0
            at += beats
    return 0


@njit(cache=True, nogil=True)
def _replay(packet, schedule, acts, nonzero, scan, out, live, counters):
    offset, ref, count, op_ref, op_act, op_weight, kinds = schedule
    columns, flags = nonzero.shape
    filters, wgs = count.shape[1], packet[WGS]
    together = filters // packet[PARTS]  # filters whose sums share beats
    steps, refs = offset.shape
    sums = np.empty((filters, wgs), np.int32)
    here = np.empty(refs, np.int64)
    beat, mask = packet[OUT], packet[LIVE]
    for y in range(packet[NY]):
        for x in range(packet[NX]):
            base = packet[BASE] + y * packet[DY] + x * packet[DX]
            sums[:] = 0
            for step in range(steps):
                referenced, alive = 0, not packet[SKIP]
                for j in range(refs):
                    here[j] = (base + offset[step, j]) % columns
                    if ref[step, j]:
                        referenced += 1
                        alive |= nonzero[here[j], j % flags]
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
                        source = acts[here[op_ref[step, m, n]], op_act[step, m, n]]
                        factor = op_weight[step, m, n]
                        for wg in range(wgs):  # int32: wraps around as the accumulators do
                            total[wg] += factor * source[wg]
            mask += (steps + scan - 1) // scan
            for first in range(0, filters, together):
                for index in range(wgs * together):
                    value = np.uint64(np.uint32(sums[first + index % together, index // together]))
                    out[beat + index // 2] |= value << np.uint64(32 * (index % 2))
                beat += (wgs * together + 1) // 2
