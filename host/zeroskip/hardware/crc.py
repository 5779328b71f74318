"""The checksum of a packet: CRC-16/CCITT over its bytes as they stand in memory, with the checksum's own field zero.

Polynomial x^16 + x^12 + x^5 + 1, highest bit of a byte first, initial value 0, as :func:`binascii.crc_hqx`.  Every
error of an odd number of bits, of two bits within 4 kB, and within 16 bits in a row changes it; of any others one in
65,536 does not.

With an initial value of 0 it is linear: packets that differ in their header only need not be read again, because
what is behind the header adds the same to the checksum of each (:func:`of_packets`).
"""

from __future__ import annotations

import functools
from binascii import crc_hqx

import numpy as np

from .packets import CHECKSUM

POLYNOMIAL = 0x1021
"""Without its highest bit, x^16."""

_LOW = np.uint64(CHECKSUM.low)
_FIELD = np.uint64(((1 << CHECKSUM.width) - 1) << CHECKSUM.low)


def seal(words: np.ndarray, at: np.ndarray, beats: np.ndarray) -> None:
    """Write the checksums of packets into their first beats.

    Args:
        words: uint64 (n,), contiguous, a stream.
        at: integers (p,), where the packets begin.
        beats: integers (p,), their lengths.
    """
    data = memoryview(words).cast("B")
    starts = np.asarray(at, np.int64)
    words[starts] &= ~_FIELD
    bounds = zip((starts * 8).tolist(), ((starts + beats) * 8).tolist(), strict=True)
    found = [crc_hqx(data[first:end], 0) for first, end in bounds]
    words[starts] |= np.array(found, np.uint64) << _LOW


def sealed(packet: list[int]) -> list[int]:
    """One packet's beats, with its checksum in the first."""
    words = np.array(packet, np.uint64)
    seal(words, np.zeros(1, np.int64), np.full(1, len(words)))
    return words.tolist()


def of_beats(words: np.ndarray) -> int:
    """The checksum of contiguous beats, uint64 (n,)."""
    return crc_hqx(words.view(np.uint8), 0)


def of_packets(headers: np.ndarray, rest: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Checksums of packets, of which only the headers are looked at.

    Args:
        headers: uint64 (..., h), the first beats of each packet, the checksum's field zero.
        rest: integers that broadcast against (...): the checksum of the beats behind them (:func:`of_beats`).
        beats: integers that broadcast against (...): how many these are.

    Returns:
        uint64 (...), in the place of the checksum's field: to be ORed to the first beat.
    """
    table = _table()
    crc = np.zeros(headers.shape[:-1], np.uint16)
    for byte in range(8 * headers.shape[-1]):
        beat, shift = byte // 8, np.uint64(8 * (byte % 8))
        value = (headers[..., beat] >> shift).astype(np.uint8)
        crc = crc << np.uint16(8) ^ table[(crc >> np.uint16(8)).astype(np.uint8) ^ value]
    crc = _behind(crc, np.asarray(beats)) ^ np.asarray(rest).astype(np.uint16)
    return crc.astype(np.uint64) << _LOW


def _behind(crc: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """What checksums become when ``beats`` beats of zeros follow."""
    for bit in range(int(beats.max(initial=0)).bit_length()):
        low, high = _zeros(bit)
        longer = low[crc & np.uint16(0xFF)] ^ high[crc >> np.uint16(8)]
        crc = np.where(beats >> bit & 1, longer, crc)
    return crc


@functools.cache
def _table() -> np.ndarray:
    """uint16 (256,): the checksum of every byte."""
    return np.array([crc_hqx(bytes([byte]), 0) for byte in range(256)], np.uint16)


@functools.cache
def _zeros(log2: int) -> tuple[np.ndarray, np.ndarray]:
    """What 2^log2 beats of zeros make of a checksum's low byte, and of its high one: uint16 (256,) each."""
    if log2 == 0:
        found = (np.array([crc_hqx(bytes(8), byte << shift) for byte in range(256)], np.uint16) for shift in (0, 8))
        return tuple(found)
    low, high = _zeros(log2 - 1)
    return tuple(low[half & np.uint16(0xFF)] ^ high[half >> np.uint16(8)] for half in (low, high))
