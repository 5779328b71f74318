"""Reading a packet stream: the table of its packets, for the functional and the cycle model."""

from __future__ import annotations

from binascii import crc_hqx

import numpy as np
from numba import njit

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import (
    ACT_HEADER,
    CHECKSUM,
    FORMAT_S16,
    FORMAT_U8,
    KIND_ACT,
    KIND_DAMAGED,
    KIND_RUN,
    RUN_HEADER_0,
    RUN_HEADER_1,
    Field,
)

KIND, AT, PAGE, WGS, COUNT, BASE, FORMAT, ZERO, SKIP, NX, NY, DX, DY, OUT, LIVE, NEAR, PARTS = range(17)
"""Columns of the table; ACT and RUN share some.  COUNT: columns or steps; BASE: first address; OUT, LIVE: where a
RUN's sums and step masks begin; NEAR: as the header has it, without meaning to the trident engine; PARTS: parts of a
pixel that begin on a beat of their own, LANES where every lane computes a filter of its own, else 1."""


def parse(config: Config, words: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Packet table int64 (packets, 17), output beats, bytes of step masks.

    Raises:
        InputError: not a legal stream.
    """
    limits = np.array([config.wgs, config.columns, config.steps], np.int64)
    columns = np.array([config.column_beats(FORMAT_U8), config.column_beats(FORMAT_S16)], np.int64)
    # By the bits `near` and `apart`, which trident ignores.
    steps, parts = np.array([config.step_beats, config.near_beats], np.int64), np.array([1, config.passes], np.int64)
    table, out, live, at, error, value = _parse(words, limits, columns, steps, parts, config.filters, config.scan)
    if error:
        what, *accepted = _REFUSED[error]
        limit = f"; accepted: 1 to {limits[accepted[0]] if accepted[0] < 3 else 65535}" if accepted else ""
        raise InputError(f"beat {at}: {what.format(value=value, words=len(words))}{limit}")
    return table, out, live


_REFUSED = {
    1: (f"packet kind {{value}}; accepted: {KIND_ACT} (ACT), {KIND_RUN} (RUN)",),
    2: ("a packet after the RUN flagged last",),
    3: ("{value} work groups", 0),
    4: ("{value} columns", 1),
    5: ("{value} steps", 2),
    6: ("the stream ends within a RUN header",),
    7: ("{value} pixels per row", 3),
    8: ("{value} rows", 3),
    9: ("the packet has {value} beats, the stream ends after {words}",),
    10: ("the stream does not end with a RUN flagged last",),
    11: ("wrong checksum of the packet that begins here",),
    12: ("wrong checksum of a FINISH packet before this beat",),
}
"""Error -> message, and the limit that was left (index into ``limits``; 3: 16 bits)."""


def _fields(fields: tuple[Field, ...]) -> tuple[tuple[int, int], ...]:
    """(low bit, width) of each field, as numba takes them."""
    return tuple((field.low, field.width) for field in fields)


_ACT, _RUN_0, _RUN_1 = (_fields(fields) for fields in (ACT_HEADER, RUN_HEADER_0, RUN_HEADER_1))


@njit(cache=True, nogil=True)
def _get(word, field):
    return np.int64(word >> np.uint64(field[0]) & ((np.uint64(1) << np.uint64(field[1])) - np.uint64(1)))


_AFTER = np.array([[crc_hqx(bytes([byte]) + bytes(after), 0) for byte in range(256)] for after in range(8)], np.int64)
"""What a byte of a beat adds to its checksum, by the number of the beat's bytes behind it."""

_CHECKSUM = (CHECKSUM.low, CHECKSUM.width)


@njit(cache=True, nogil=True)
def intact(words, at, end):
    """Whether the checksum of the packet in ``words[at:end]`` is right: 8 bytes at a time, as :mod:`..hardware.crc`."""
    crc = 0
    for index in range(at, end):
        word = words[index]
        if index == at:
            word &= (np.uint64(1) << np.uint64(_CHECKSUM[0])) - np.uint64(1)
        word ^= np.uint64(crc >> 8 | (crc & 255) << 8)
        crc = 0
        for byte in range(8):
            crc ^= _AFTER[7 - byte, np.int64(word >> np.uint64(8 * byte) & np.uint64(255))]
    return crc == _get(words[at], _CHECKSUM)


@njit(cache=True, nogil=True)
def _parse(words, limits, column_beats, step_beats, parts, filters, scan):
    """Packet table, output beats, bytes of masks; beat, number and value of the first error (0: none)."""
    count, at, last = 0, 0, False
    out, live = 0, 0
    table = np.zeros((64, PARTS + 1), np.int64)
    while at < len(words):
        word = words[at]
        kind = np.int64(word & np.uint64(15))
        if kind == KIND_DAMAGED:
            return table, 0, 0, at, 12, 0
        if kind != KIND_ACT and kind != KIND_RUN:
            return table, 0, 0, at, 1, kind
        if last:
            return table, 0, 0, at, 2, 0
        if count == len(table):
            grown = np.zeros((2 * count, PARTS + 1), np.int64)
            grown[:count] = table
            table = grown
        row = table[count]
        row[KIND], row[AT] = kind, at
        if kind == KIND_ACT:
            _, page, form, wgs, address, columns, zero, _ = _ACT
            row[PAGE], row[WGS], row[COUNT] = _get(word, page), _get(word, wgs), _get(word, columns)
            row[BASE], row[FORMAT], row[ZERO] = _get(word, address), _get(word, form), _get(word, zero)
            if not 1 <= row[COUNT] <= limits[1]:
                return table, 0, 0, at, 4, row[COUNT]
            size = 1 + row[COUNT] * row[WGS] * column_beats[row[FORMAT]]
        else:
            _, page, skip, end, near, wgs, apart, steps, base, _ = _RUN_0
            row[PAGE], row[WGS], row[COUNT] = _get(word, page), _get(word, wgs), _get(word, steps)
            row[BASE], row[SKIP], row[NEAR] = _get(word, base), _get(word, skip), _get(word, near)
            last = _get(word, end) == 1
            if not 1 <= row[COUNT] <= limits[2]:
                return table, 0, 0, at, 5, row[COUNT]
            if at + 1 >= len(words):
                return table, 0, 0, at, 6, 0
            for index in range(4):
                row[NX + index] = _get(words[at + 1], _RUN_1[index])
            for index in range(2):
                if row[NX + index] < 1:
                    return table, 0, 0, at, 7 + index, row[NX + index]
            row[OUT], row[LIVE] = out, live
            pixels = row[NX] * row[NY]
            row[PARTS] = parts[_get(word, apart)]
            out += pixels * row[PARTS] * ((row[WGS] * filters + 1) // 2)
            live += pixels * ((row[COUNT] + scan - 1) // scan)
            size = 2 + row[COUNT] * step_beats[row[NEAR]]
        if not 1 <= row[WGS] <= limits[0]:
            return table, 0, 0, at, 3, row[WGS]
        if at + size > len(words):
            return table, 0, 0, at, 9, size
        if not intact(words, at, at + size):
            return table, 0, 0, at, 11, 0
        at += size
        count += 1
    if not last:
        return table, 0, 0, at, 10, 0
    return table[:count].copy(), out, live, 0, 0, 0
