"""Reading a packet stream of the zena engine: the table of its packets, and all that makes a stream legal."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import (
    JOB_HEADER_0,
    JOB_HEADER_1,
    KIND_JOB,
    KIND_ZACT,
    MAX_UNSENT,
    MIN_CHUNKS,
    NO_WAIT,
    ZACT_HEADER,
)
from .packet_table import _fields, _get, intact

CHUNK = 16
"""Positions of a chunk: bits of a zero bit-vector."""

(KIND, AT, BEATS, PAGE, WGS, COUNT, BASE, NX, NY, DX, DY, SUB_WG, PSUM, FIRST, FINAL, RELU, LAST, UNDRAINED, OUT) = (
    range(19)
)
"""Columns of the table; ZACT and JOB share some.  COUNT: columns or chunks; BASE: first address; OUT: where a final
JOB's sums begin."""


def parse(config: Config, words: np.ndarray, popcounts: np.ndarray) -> tuple[np.ndarray, int]:
    """Packet table int64 (packets, 19), and output beats.

    Args:
        popcounts: set bits of every 16-bit mask, int64 (65536,).

    Raises:
        InputError: not a legal stream.
    """
    limits = np.array([config.wgs, config.columns, config.steps, config.sub_wgs, config.job_psums], np.int64)
    table, out, at, error, a, b, c = _parse(words, limits, config.sub_filters, config.stealing, popcounts)
    if error:
        raise InputError(f"beat {at}: {_REFUSED[error].format(a=a, b=b, c=c)}")
    return table, out


_REFUSED = {
    1: f"packet kind {{a}}; accepted: {KIND_ZACT} (ZACT), {KIND_JOB} (JOB)",
    2: "a packet after the JOB flagged last",
    3: "{a} work groups; accepted: 1 to {b}",
    4: "{a} columns; accepted: 1 to {b}",
    5: f"{{a}} chunks; accepted: {MIN_CHUNKS} to {{b}}",
    6: "{a} as sub-WG; accepted: 0 to {b}",
    7: "{a} pixels per row; accepted: 1 to {b}",
    8: "{a} rows; accepted: 1 to {b}",
    9: "{a} as last partial sum; accepted: 0 to {b}",
    10: "the stream ends within a JOB header",
    11: "a JOB flagged last that is not final",
    12: "partial sums {a} to {b} may not have been sent yet; give this JOB a smaller `undrained` than {c}",
    13: "adds to partial sums that no JOB flagged first has begun",
    14: "partial sum {a} belongs to jobs that begin at {b}; with stealing, jobs with sums in common begin at the same",
    15: "the stream ends within this packet",
    16: "the stream does not end with a JOB flagged last",
    17: "the last JOB of a sub-WG (with stealing: of a partial sum) must be final",
    18: "wrong checksum of the packet that begins here",
}

_ZACT, _JOB_0, _JOB_1 = (_fields(fields) for fields in (ZACT_HEADER, JOB_HEADER_0, JOB_HEADER_1))


@njit(cache=True, nogil=True)
def _parse(words, limits, sub_filters, stealing, popcounts):
    """Packet table, output beats; beat, number and three values of the first error (0: none)."""
    most_wgs, most_columns, most_chunks, sub_wgs, psums = limits
    owners = 1 if stealing else sub_wgs
    started = np.zeros((owners, psums), np.int64)  # work groups whose partial sum some job began
    begins = np.full(psums, -1)  # with stealing: where the jobs with this partial sum begin
    chains = psums if stealing else sub_wgs
    open_since = np.full(chains, -1)  # beat of the latest job, while no final one has come after it
    # Partial sums (first, end) of the latest final jobs, the youngest first; (0, 0): surely sent.
    unsent = np.zeros((owners, MAX_UNSENT, 2), np.int64)
    count, at, out, last = 0, 0, 0, False
    table = np.zeros((64, 19), np.int64)
    while at < len(words):
        word = words[at]
        kind = np.int64(word & np.uint64(15))
        if kind != KIND_ZACT and kind != KIND_JOB:
            return table, 0, at, 1, kind, 0, 0
        if last:
            return table, 0, at, 2, 0, 0, 0
        if count == len(table):
            grown = np.zeros((2 * count, 19), np.int64)
            grown[:count] = table
            table = grown
        row = table[count]
        row[KIND], row[AT] = kind, at
        if kind == KIND_ZACT:
            _, page, wgs, address, columns, _ = _ZACT
            row[PAGE], row[WGS] = _get(word, page), _get(word, wgs)
            row[COUNT], row[BASE] = _get(word, columns), _get(word, address)
            if not 1 <= row[COUNT] <= most_columns:
                return table, 0, at, 4, row[COUNT], most_columns, 0
            start, lanes = 1, row[WGS]
        else:
            _, page, first, end, final, wgs, chunks, sub_wg, relu, undrained, psum, _ = _JOB_0
            row[PAGE], row[WGS], row[COUNT] = _get(word, page), _get(word, wgs), _get(word, chunks)
            row[SUB_WG], row[PSUM] = _get(word, sub_wg), _get(word, psum)
            row[FIRST], row[FINAL], row[RELU] = _get(word, first), _get(word, final), _get(word, relu)
            row[LAST], row[UNDRAINED], row[OUT] = _get(word, end), _get(word, undrained), out
            if not MIN_CHUNKS <= row[COUNT] <= most_chunks:
                return table, 0, at, 5, row[COUNT], most_chunks, 0
            if row[SUB_WG] >= sub_wgs:
                return table, 0, at, 6, row[SUB_WG], sub_wgs - 1, 0
            if at + 1 >= len(words):
                return table, 0, at, 10, 0, 0, 0
            for index in range(4):
                row[NX + index] = _get(words[at + 1], _JOB_1[index])
            row[BASE] = _get(words[at + 1], _JOB_1[4])
            for index in range(2):
                if not 1 <= row[NX + index] <= psums:
                    return table, 0, at, 7 + index, row[NX + index], psums, 0
            start, lanes = 2 + (row[COUNT] + 3) // 4, sub_filters
        if not 1 <= row[WGS] <= most_wgs:
            return table, 0, at, 3, row[WGS], most_wgs, 0
        if kind == KIND_JOB:
            owner = 0 if stealing else row[SUB_WG]
            error, a, b = _sums(row, stealing, started[owner], begins, unsent[owner])
            if error:
                return table, 0, at, error, a, b, row[UNDRAINED]
            open_since[row[PSUM] if stealing else row[SUB_WG]] = -1 if row[FINAL] else at
            last = row[LAST] == 1
            if row[FINAL]:
                out += row[NX] * row[NY] * sub_filters * ((row[WGS] + row[RELU] + 1) // 2)
        end = _lane_groups(words, at + start, lanes, row[COUNT], popcounts)
        if end < 0:
            return table, 0, at, 15, 0, 0, 0
        if not intact(words, at, end):
            return table, 0, at, 18, 0, 0, 0
        row[BEATS] = end - at
        at = end
        count += 1
    if not last:
        return table, 0, at, 16, 0, 0, 0
    if open_since.max() >= 0:
        return table, 0, open_since.max(), 17, 0, 0, 0
    return table[:count].copy(), out, 0, 0, 0, 0, 0


@njit(cache=True, nogil=True)
def _sums(row, stealing, started, begins, unsent):
    """What a JOB does to partial sums: number and two values of the error (0: none)."""
    first, end = row[PSUM], row[PSUM] + row[NX] * row[NY]
    if end > started.size:
        return 9, end - 1, started.size - 1
    if row[LAST] and not row[FINAL]:
        return 11, 0, 0
    for index in range(MAX_UNSENT):
        overlaps = unsent[index, 0] < end and first < unsent[index, 1]
        if index < row[UNDRAINED] or row[UNDRAINED] == NO_WAIT:
            if overlaps:
                return 12, first, end - 1
        elif overlaps or not stealing:
            # Sent when this job starts.  Later jobs start later: those of its sub-WG, or with the same sums.
            unsent[index] = 0
    for psum in range(first, end):
        if stealing:
            if begins[psum] not in (-1, first):
                return 14, psum, begins[psum]
            begins[psum] = first
        if not row[FIRST] and started[psum] < row[WGS]:
            return 13, 0, 0
        started[psum] = max(started[psum], row[WGS])
    if row[FINAL]:
        unsent[1:] = unsent[:-1].copy()
        unsent[0] = first, end
    return 0, 0, 0


@njit(cache=True, nogil=True)
def entry(words, at, lane):
    """Entry of a lane in a beat."""
    return np.int64(words[at] >> np.uint64(16 * lane) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def _lane_groups(words, at, lanes, chunks, popcounts):
    """The beat after ``lanes`` lanes of ``chunks`` chunks each, or -1 if the stream ends before."""
    for group in range(0, lanes, 4):
        longest = 0
        for lane in range(min(4, lanes - group)):
            beat = at
            for _ in range(chunks):
                if beat >= words.size:
                    return -1
                beat += 1 + popcounts[entry(words, beat, lane)]
            longest = max(longest, beat - at)
        at += longest
        if at > words.size:
            return -1
    return at
