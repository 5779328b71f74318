"""Functional model of the zena engine: executes a packet stream, word by word, literally.

The golden model the RTL is compared with.  It knows no time but the length of every PE's jobs;
``models/zena_cycles.py`` adds the rest.  Formats are those of ``hardware/packets.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import JOB_HEADER_0, JOB_HEADER_1, KIND_JOB, KIND_ZACT, MIN_CHUNKS, ZACT_HEADER, decode

CHUNK = 16
"""Positions of a chunk: bits of a zero bit-vector."""


@dataclass(frozen=True)
class Executed:
    """What a stream does.  J jobs, in order of the stream.

    Attributes:
        out: uint64 (beats,), the output stream.
        counters: multiplies, empty_chunks, beats_in, beats_out.
        work: int64 (J, WGS, sub_filters), cycles each PE computes for each job: products, and one per chunk without
            any; 0 for work groups the job does not use.
        packets: int64 (packets, fields), columns named by the constants of this module (``KIND`` to ``UNDRAINED``).
    """

    out: np.ndarray
    counters: dict[str, int]
    work: np.ndarray
    packets: np.ndarray


# Columns of the packet table; ZACT and JOB share some.
(KIND, AT, BEATS, PAGE, WGS, COUNT, BASE, NX, NY, DX, DY, SUB_WG, PSUM, FIRST, FINAL, RELU, LAST, UNDRAINED, OUT) = (
    range(19)
)


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
    packets, out_beats = _parse(config, words, popcounts)
    jobs = int(np.count_nonzero(packets[:, KIND] == KIND_JOB))
    acts = np.zeros((config.columns, config.wgs, CHUNK), np.int32)
    masks = np.zeros((config.columns, config.wgs), np.int64)
    psums = np.zeros((config.wgs, config.filters, config.psums), np.int32)
    out = np.zeros(out_beats, np.uint64)
    work = np.zeros((jobs, config.wgs, config.sub_filters), np.int64)
    totals = np.zeros(2, np.int64)
    beat, error = _execute(
        words, packets, popcounts, acts, masks, psums, config.sub_filters, config.weight_w, config.act_max,
        out, work, totals,
    )  # fmt: skip
    if error:
        raise InputError(f"beat {beat}: {_ERRORS[error]}")
    counters = {
        "multiplies": int(totals[0]),
        "empty_chunks": int(totals[1]),
        "beats_in": len(words),
        "beats_out": out_beats,
    }
    return Executed(out, counters, work, packets)


_ERRORS = {
    1: "an activation outside the range of this build",
    2: "a weight outside the range of this build",
}


# -- packets -----------------------------------------------------------------------------------------
def _parse(config: Config, words: np.ndarray, popcounts: np.ndarray) -> tuple[np.ndarray, int]:
    """Packet table and output beats."""
    table, at, out, last = [], 0, 0, False
    started = np.zeros((config.sub_wgs, config.psums), np.int64)  # work groups whose partial sum some job began
    open_since = [-1] * config.sub_wgs  # beat of the latest job, while no final one has come after it
    unsent: list[list[tuple[int, int]]] = [[] for _ in range(config.sub_wgs)]  # (first, end) of final jobs' psums
    while at < len(words):
        word = int(words[at])
        kind = word & 15
        if kind not in (KIND_ZACT, KIND_JOB):
            raise InputError(f"beat {at}: packet kind {kind}; accepted: {KIND_ZACT} (ZACT), {KIND_JOB} (JOB)")
        if last:
            raise InputError(f"beat {at}: a packet after the JOB flagged last")
        row = [0] * 19
        row[KIND], row[AT] = kind, at
        head = decode(ZACT_HEADER if kind == KIND_ZACT else JOB_HEADER_0, word)
        row[PAGE], row[WGS] = head["page"], head["wgs"]
        _check(at, "work groups", head["wgs"], 1, config.wgs)
        if kind == KIND_ZACT:
            _check(at, "columns", head["count"], 1, config.columns)
            row[COUNT], row[BASE] = head["count"], head["address"]
            start, lanes = 1, head["wgs"]
        else:
            if at + 1 >= len(words):
                raise InputError(f"beat {at}: the stream ends within a JOB header")
            loop = decode(JOB_HEADER_1, int(words[at + 1]))
            _check(at, "chunks", head["chunks"], MIN_CHUNKS, config.steps)
            _check(at, "as sub-WG", head["sub_wg"], 0, config.sub_wgs - 1)
            _check(at, "pixels per row", loop["nx"], 1, config.psums)
            _check(at, "rows", loop["ny"], 1, config.psums)
            pixels = loop["nx"] * loop["ny"]
            end = head["psum"] + pixels
            _check(at, "as last partial sum", end - 1, 0, config.psums - 1)
            row[COUNT], row[BASE], last = head["chunks"], head["base"], bool(head["last"])
            row[NX], row[NY], row[DX], row[DY] = loop["nx"], loop["ny"], loop["dx"], loop["dy"]
            for column, name in (
                (SUB_WG, "sub_wg"), (PSUM, "psum"), (FIRST, "first"), (FINAL, "final"), (RELU, "relu"), (LAST, "last"),
                (UNDRAINED, "undrained"),
            ):  # fmt: skip
                row[column] = head[name]
            if last and not head["final"]:
                raise InputError(f"beat {at}: a JOB flagged last that is not final")
            waiting = unsent[head["sub_wg"]]
            del waiting[: len(waiting) - head["undrained"]]
            for first, stop in waiting:
                if first < end and head["psum"] < stop:
                    raise InputError(
                        f"beat {at}: partial sums {head['psum']} to {end - 1} of sub-WG {head['sub_wg']} may not have "
                        f"been sent yet; give this JOB a smaller `undrained` than {head['undrained']}"
                    )
            begun = started[head["sub_wg"], head["psum"] : end]
            if head["first"]:
                np.maximum(begun, head["wgs"], out=begun)
            elif (begun < head["wgs"]).any():
                raise InputError(f"beat {at}: adds to partial sums that no JOB flagged first has begun")
            open_since[head["sub_wg"]] = -1 if head["final"] else at
            row[OUT] = out
            if head["final"]:
                waiting.append((head["psum"], end))
                out += pixels * config.sub_filters * -(-(head["wgs"] + head["relu"]) // 2)
            start, lanes = 2 + -(-head["chunks"] // 4), config.sub_filters
        end = _lane_groups(words, at + start, lanes, row[COUNT], popcounts)
        if end < 0:
            raise InputError(f"beat {at}: the stream ends within this packet")
        row[BEATS] = end - at
        at = end
        table.append(row)
    if not last:
        raise InputError("the stream does not end with a JOB flagged last")
    if max(open_since) >= 0:
        raise InputError(f"beat {max(open_since)}: the last JOB of a sub-WG must be final")
    return np.array(table, np.int64).reshape(-1, 19), out


def _check(at: int, what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InputError(f"beat {at}: {value} {what}; accepted: {least} to {most}")


@njit(cache=True, nogil=True)
def _entry(words, at, lane):
    return np.int64(words[at] >> np.uint64(16 * lane) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def _popcounts():
    """Set bits of every 16-bit mask, int64 (65536,)."""
    counts = np.zeros(1 << CHUNK, np.int64)
    for mask in range(1, 1 << CHUNK):
        counts[mask] = counts[mask >> 1] + (mask & 1)
    return counts


@njit(cache=True)
def _lane_groups(words, at, lanes, chunks, popcounts):
    """The beat after ``lanes`` lanes of ``chunks`` chunks each, or -1 if the stream ends before."""
    for group in range(0, lanes, 4):
        longest = 0
        for lane in range(min(4, lanes - group)):
            beat = at
            for _ in range(chunks):
                if beat >= words.size:
                    return -1
                beat += 1 + popcounts[_entry(words, beat, lane)]
            longest = max(longest, beat - at)
        at += longest
        if at > words.size:
            return -1
    return at


# -- execution ---------------------------------------------------------------------------------------
@njit(cache=True)
def _execute(words, packets, popcounts, acts, masks, psums, sub_filters, weight_w, act_max, out, work, totals):
    job = 0
    for p in range(packets.shape[0]):
        packet = packets[p]
        if packet[KIND] == KIND_ZACT:
            error = _act(words, packet, acts, masks, act_max)
        else:
            error = _job(words, packet, popcounts, acts, masks, psums, sub_filters, weight_w, out, work[job], totals)
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
            mask = _entry(words, beat, wg % 4)
            beat += 1
            masks[column, wg] = mask
            for position in range(CHUNK):
                value = np.int64(0)
                if mask >> position & 1:
                    value = _entry(words, beat, wg % 4)
                    beat += 1
                    value -= (value >> 15) << 16
                    if not -act_max <= value <= act_max:
                        return 1
                acts[column, wg, position] = value
        end = max(end, beat)
    return 0


@njit(cache=True, nogil=True)
def _weight(entry, width):
    """Value of a weight's entry; out of range: more than 32 bits."""
    if width == 5:
        if entry >> 5:
            return 1 << 40
        magnitude = (1 << (entry & 15)) >> 1
        return -magnitude if entry & 16 else magnitude
    value = entry - ((entry >> 15) << 16)
    return value if -(1 << (width - 1)) <= value < 1 << (width - 1) else 1 << 40


@njit(cache=True, nogil=True)
def _job(words, packet, popcounts, acts, masks, psums, sub_filters, weight_w, out, work, totals):
    columns = acts.shape[0]
    chunks, wgs, first = packet[COUNT], packet[WGS], packet[FIRST]
    filter_0, psum_0 = packet[SUB_WG] * sub_filters, packet[PSUM]
    offset = np.empty(chunks, np.int64)
    for chunk in range(chunks):
        offset[chunk] = _entry(words, packet[AT] + 2 + chunk // 4, chunk % 4)
    kernel_mask = np.empty(chunks, np.int64)
    kernel = np.empty((chunks, CHUNK), np.int32)
    products = np.empty(CHUNK, np.int32)
    at = end = packet[AT] + 2 + (chunks + 3) // 4
    for pe in range(sub_filters):
        if pe % 4 == 0:
            at = end
        beat = at
        for chunk in range(chunks):
            kernel_mask[chunk] = _entry(words, beat, pe % 4)
            beat += 1
            for position in range(CHUNK):
                value = np.int64(0)
                if kernel_mask[chunk] >> position & 1:
                    value = _weight(_entry(words, beat, pe % 4), weight_w)
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
                        totals[1] += both == 0
                        work[wg, pe] += max(both, 1)
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
