"""Functional model of the zena engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with.  It knows no time but how many products every chunk has;
``models/zena_cycles.py`` adds the rest.  Formats are those of ``hardware/packets.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import KIND_JOB, KIND_ZACT
from .zena_packets import (
    AT,
    BASE,
    CHUNK,
    COUNT,
    DX,
    DY,
    FINAL,
    FIRST,
    KIND,
    NX,
    NY,
    OUT,
    PSUM,
    RELU,
    SUB_WG,
    WGS,
    entry,
    parse,
)


@dataclass(frozen=True)
class Executed:
    """What a stream does.  J jobs, in order of the stream.

    Attributes:
        out: uint64 (beats,), the output stream.
        counters: multiplies, empty_chunks, beats_in, beats_out, packets.
        products: uint8, of every chunk a PE meets: all jobs, for each its work groups, PEs, pixels and chunks.
        first: int64 (J,), where each job's begin.
        packets: int64 (packets, fields), the table of :mod:`zena_packets`.
    """

    out: np.ndarray
    counters: dict[str, int]
    products: np.ndarray
    first: np.ndarray
    packets: np.ndarray


def execute(config: Config, words: np.ndarray) -> Executed:
    """Execute one transfer.

    Args:
        config: the build.
        words: uint64 (n,), the input stream: whole packets, the last JOB, and only it, flagged ``last``.

    Raises:
        InputError: not a legal stream; the message names the beat.
    """
    words = np.ascontiguousarray(words)
    if words.dtype != np.uint64 or words.ndim != 1:
        raise InputError(f"stream of dtype {words.dtype}, shape {words.shape}; accepted: uint64 (n,)")
    popcounts = _popcounts()
    packets, out_beats = parse(config, words, popcounts)
    jobs = packets[packets[:, KIND] == KIND_JOB]
    met = jobs[:, WGS] * config.sub_filters * jobs[:, NX] * jobs[:, NY] * jobs[:, COUNT]  # chunks
    first = np.cumsum(met) - met
    products = np.zeros(met.sum(), np.uint8)
    acts = np.zeros((config.columns, config.wgs, CHUNK), np.int32)
    masks = np.zeros((config.columns, config.wgs), np.int64)
    owners = config.sub_filters if config.stealing else config.filters  # of partial sums, in a work group
    psums = np.zeros((config.wgs, owners, config.job_psums), np.int32)
    out = np.zeros(out_beats, np.uint64)
    totals = np.zeros(2, np.int64)
    beat, error = _execute(
        words, packets, popcounts, acts, masks, psums, config.sub_filters, config.stealing, config.weight_w,
        config.act_max, out, products, first, totals,
    )  # fmt: skip
    if error:
        raise InputError(f"beat {beat}: {_ERRORS[error]}")
    counters = {
        "multiplies": int(totals[0]),
        "empty_chunks": int(totals[1]),
        "beats_in": len(words),
        "beats_out": out_beats,
        "packets": len(packets),
    }
    return Executed(out, counters, products, first, packets)


_ERRORS = {
    1: "an activation outside the range of this build",
    2: "a weight outside the range of this build",
}


@njit(cache=True, nogil=True)
def _popcounts():
    """Set bits of every 16-bit mask, int64 (65536,)."""
    counts = np.zeros(1 << CHUNK, np.int64)
    for mask in range(1, 1 << CHUNK):
        counts[mask] = counts[mask >> 1] + (mask & 1)
    return counts


# -- execution ---------------------------------------------------------------------------------------
@njit(cache=True)
def _execute(
    words, packets, popcounts, acts, masks, psums, sub_filters, stealing, weight_w, act_max, out, products, first,
    totals,
):  # fmt: skip
    job = 0
    for p in range(packets.shape[0]):
        packet = packets[p]
        if packet[KIND] == KIND_ZACT:
            error = _act(words, packet, acts, masks, act_max)
        else:
            filter_0 = 0 if stealing else packet[SUB_WG] * sub_filters
            error = _job(
                words, packet, popcounts, acts, masks, psums, filter_0, sub_filters, weight_w, out,
                products[first[job] :], totals,
            )  # fmt: skip
            job += 1
        if error:
            return packet[AT], error
    return 0, 0


@njit(cache=True, nogil=True)
def _act(words, packet, acts, masks, act_max):
    columns = acts.shape[0]
    at, end = packet[AT] + 1, packet[AT] + 1
    for wg in range(packet[WGS]):
        if wg % 4 == 0:
            at = end
        beat = at
        for index in range(packet[COUNT]):
            column = (packet[BASE] + index) % columns
            mask = entry(words, beat, wg % 4)
            beat += 1
            masks[column, wg] = mask
            for position in range(CHUNK):
                value = np.int64(0)
                if mask >> position & 1:
                    value = entry(words, beat, wg % 4)
                    beat += 1
                    value -= (value >> 15) << 16
                    if not -act_max <= value <= act_max:
                        return 1
                acts[column, wg, position] = value
        end = max(end, beat)
    return 0


@njit(cache=True, nogil=True)
def _weight(code, width):
    """Value of a weight's entry; out of range: more than 32 bits."""
    if width == 5:
        if code >> 5:
            return 1 << 40
        magnitude = (1 << (code & 15)) >> 1
        return -magnitude if code & 16 else magnitude
    value = code - ((code >> 15) << 16)
    return value if -(1 << (width - 1)) <= value < 1 << (width - 1) else 1 << 40


@njit(cache=True, nogil=True)
def _job(words, packet, popcounts, acts, masks, psums, filter_0, sub_filters, weight_w, out, met, totals):
    columns = acts.shape[0]
    chunks, wgs, first = packet[COUNT], packet[WGS], packet[FIRST]
    nx, pixels = packet[NX], packet[NX] * packet[NY]
    psum_0 = packet[PSUM]
    offset = np.empty(chunks, np.int64)
    for chunk in range(chunks):
        offset[chunk] = entry(words, packet[AT] + 2 + chunk // 4, chunk % 4)
    kernel_mask = np.empty(chunks, np.int64)
    kernel = np.empty((chunks, CHUNK), np.int32)
    products = np.empty(CHUNK, np.int32)
    at = end = packet[AT] + 2 + (chunks + 3) // 4
    for pe in range(sub_filters):
        if pe % 4 == 0:
            at = end
        beat = at
        for chunk in range(chunks):
            kernel_mask[chunk] = entry(words, beat, pe % 4)
            beat += 1
            for position in range(CHUNK):
                value = np.int64(0)
                if kernel_mask[chunk] >> position & 1:
                    value = _weight(entry(words, beat, pe % 4), weight_w)
                    if value == 1 << 40:
                        return 2
                    beat += 1
                kernel[chunk, position] = value
        end = max(end, beat)
        for y in range(packet[NY]):
            for x in range(packet[NX]):
                base = packet[BASE] + y * packet[DY] + x * packet[DX]
                psum = psum_0 + y * packet[NX] + x
                for wg in range(wgs):
                    products[:] = 0
                    for chunk in range(chunks):
                        column = (base + offset[chunk]) % columns
                        both = popcounts[kernel_mask[chunk] & masks[column, wg]]
                        totals[0] += both
                        totals[1] += both == 0 and chunk == chunks - 1  # others take no cycle
                        met[((wg * sub_filters + pe) * pixels + y * nx + x) * chunks + chunk] = both
                        # Positions without a mask bit hold zero: adding them all is what SIMD does best.
                        for position in range(CHUNK):
                            products[position] += kernel[chunk, position] * acts[column, wg, position]
                    total = np.int64(0) if first else np.int64(psums[wg, filter_0 + pe, psum])
                    for position in range(CHUNK):
                        total += products[position]
                    psums[wg, filter_0 + pe, psum] = np.int32(total & 0xFFFFFFFF)
    if packet[FINAL]:
        _send(packet, psums, filter_0, sub_filters, out)
    return 0


@njit(cache=True, nogil=True)
def _send(packet, psums, filter_0, sub_filters, out):
    wgs, relu = packet[WGS], packet[RELU]
    beat = packet[OUT]
    for pixel in range(packet[NX] * packet[NY]):
        for pe in range(sub_filters):
            if relu:
                vector = np.uint64(0)
                for wg in range(wgs):
                    if psums[wg, filter_0 + pe, packet[PSUM] + pixel] > 0:
                        vector |= np.uint64(1) << np.uint64(wg)
                out[beat] = vector
            for wg in range(wgs):
                total = psums[wg, filter_0 + pe, packet[PSUM] + pixel]
                if relu and total < 0:
                    total = 0
                word = wg + relu
                out[beat + word // 2] |= np.uint64(np.uint32(total)) << np.uint64(32 * (word % 2))
            beat += (wgs + relu + 1) // 2
