"""Golden model of map_load: a LOAD packet and memory to columns, their zero flags, and the order of writes.

It executes the packet's fields literally, as the hardware does (docs/machine.md); what they mean in pixels is
:class:`..hardware.maps.Load`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..hardware.maps import BLOCK, POOL_WIDTH
from ..hardware.packets import KIND_LOAD, LOAD_HEADER, decode
from ..jit import njit

_SIGNED = {
    field.name: field.width for fields in LOAD_HEADER for field in fields if field.name in ("x", "y", "x0", "y0")
}
_SIGNED["zero_point"] = 9


class Loaded(NamedTuple):
    """What a LOAD writes, in the order of the hardware.

    Attributes:
        fields: of the packet; signed ones as they count.
        address: int64 (writes,), column, modulo 2^16; the same for every work group.
        data: int16 (wgs, writes, 16), value for each bank.
        flags: bool (writes, 16), whether some work group's value is not zero; they come with the last work group's.
        beats: words read from memory.
    """

    fields: dict[str, int]
    address: np.ndarray
    data: np.ndarray
    flags: np.ndarray
    beats: int


def fields_of(words: np.ndarray) -> dict[str, int]:
    """The fields of a LOAD packet, signed ones as they count.

    Args:
        words: uint64 (8,).

    Raises:
        InputError: not a LOAD, or not a legal one.
    """
    if len(words) != len(LOAD_HEADER):
        raise InputError(f"LOAD of {len(words)} beats; accepted: {len(LOAD_HEADER)}")
    found: dict[str, int] = {}
    for fields, word in zip(LOAD_HEADER, words, strict=True):
        found |= decode(fields, int(word))
    for name, width in _SIGNED.items():
        found[name] -= (found[name] >> width - 1) << width
    if found["kind"] != KIND_LOAD:
        raise InputError(f"packet of kind {found['kind']}; accepted: {KIND_LOAD}, LOAD")
    for name in ("wgs", "source_width", "source_height", "width", "height", "rect_width", "rect_height", "blocks",
                 "grid_width", "grid_height", "left_x", "left_y", "pool"):  # fmt: skip
        if not found[name]:
            raise InputError(f"LOAD with {name} = 0; accepted: 1 or more")
    if found["pool"] > 1 and found["rect_width"] > POOL_WIDTH:
        raise InputError(f"LOAD pools rectangles of {found['rect_width']} pixels a row; accepted: to {POOL_WIDTH}")
    if found["pair"] and found["rect_width"] % 2:
        raise InputError(f"LOAD of pairs, {found['rect_width']} pixels a row; accepted: an even number")
    return found


def execute(words: np.ndarray, memory: np.ndarray, base: int = 0) -> Loaded:
    """Execute one LOAD.

    Args:
        words: uint64 (8,), the packet.
        memory: uint8 (bytes,).
        base: address of its first byte.

    Raises:
        InputError: the packet is not legal, or reads outside ``memory``.
    """
    f = fields_of(words)
    data, beats = _load(
        memory, base, f["signed"], f["wgs"], f["map"], f["block_pitch"], f["rect_pitch"], f["image_pitch"],
        f["source_width"], f["source_height"], f["width"], f["height"], 8 * f["row_pitch"],
        f["x"], f["y"], f["x0"], f["y0"], f["zero_point"], f["upsample"], f["step_x"], f["step_y"],
        f["rect_width"], f["rect_height"], f["blocks"], f["grid_width"], f["grid_height"], f["left_x"], f["left_y"],
        f["pool"], f["stride"] + 1, f["pad_x"], f["pad_y"],
    )  # fmt: skip
    if beats < 0:
        raise InputError(f"LOAD from 0x{f['map']:08X} reads outside the {memory.size:,} bytes from 0x{base:08X}")
    k, r, c = np.ix_(*(np.arange(f[name]) for name in ("blocks", "rect_height", "rect_width")))
    row = f["address"] + k * (f["block_step"] + (f["rect_height"] - 1) * f["row_step"]) + r * f["row_step"]
    if f["pair"]:
        c, half = c[..., ::2, None], np.arange(2)
        address = row[..., None] + c // 2 * f["column_step"] + half * f["half_step"]
        # (wg, k, r, pair, pixel of it, half, channel) -> (wg, k, r, pair, half, channel, pixel of it)
        paired = data.reshape(*data.shape[:3], -1, 2, 2, BLOCK // 2)
        data = paired.transpose(0, 1, 2, 3, 5, 6, 4)
    else:
        address = row + c * f["column_step"]
    data = np.ascontiguousarray(data).reshape(f["wgs"], -1, BLOCK)
    return Loaded(f, address.ravel() % (1 << 16), data, (data != 0).any(axis=0), beats)


@njit(cache=True, nogil=True)
def _load(
    memory, base, signed, wgs, at, block_pitch, rect_pitch, image_pitch, source_w, source_h, width, height, row_pitch,
    x, y, x0, y0, zero_point, upsample, step_x, step_y, w, h, blocks, grid_w, grid_h, left_x, left_y,
    pool, stride, pad_x, pad_y,
):  # fmt: skip
    """Values (wgs, blocks, h, w, 16) and words read; -1: outside of memory."""
    data = np.zeros((wgs, blocks, h, w, 16), np.int16)
    beats = 0
    for wg in range(wgs):
        # Columns of memory that a row needs: the windows of the pixels inside the map.
        first, last = max(x, 0), min(x + w, width) - 1
        low = first >> 1 if upsample else max(first * stride - pad_x, 0)
        high = (last >> 1) + 1 if upsample else min(last * stride - pad_x + pool, source_w)
        for block in range(blocks):
            for r in range(h):
                row = y + r
                if first > last or row < 0 or row >= height:
                    continue
                for j in range(pool):
                    source_row = row >> 1 if upsample else row * stride - pad_y + j
                    if source_row < 0 or source_row >= source_h:
                        continue
                    address = at + block * (block_pitch + (h - 1) * row_pitch) + r * row_pitch + j * source_w * 16
                    if upsample and row & 1:
                        address -= row_pitch
                    address %= 1 << 32
                    start, end = address + low * 16 - base, address + high * 16 - base
                    if start < 0 or end > memory.size:
                        return data, -1
                    beats += 2 * (high - low)
                    for column in range(first, last + 1):
                        left = column >> 1 if upsample else max(column * stride - pad_x, 0)
                        right = left + 1 if upsample else min(column * stride - pad_x + pool, source_w)
                        for source in range(left, right):
                            for channel in range(16):
                                byte = np.int64(memory[address - base + source * 16 + channel])
                                value = (byte ^ 128 if signed else byte) - zero_point
                                old = data[wg, block, r, column - x, channel]
                                # The first pixel of the window that is inside the map replaces the zero.
                                begins = source == left and (j == 0 or source_row == 0)
                                if begins or value > old:
                                    data[wg, block, r, column - x, channel] = value
        # The next rectangle.
        left_x -= 1
        x += step_x
        if left_x == 0:
            left_x = grid_w
            x = x0
            left_y -= 1
            if left_y:
                y += step_y
                at += rect_pitch
            else:
                left_y = grid_h
                y = y0
                at += image_pitch
    return data, beats
