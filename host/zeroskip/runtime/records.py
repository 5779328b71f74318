"""Step records on the stream: what a part holds of its steps, with the column offsets of one tile size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..hardware.config import NEAR_BASE_BITS, Config
from .indices import repeat
from .parts import GatherPart, Part, TwinPart


class Records(NamedTuple):
    """The records of E runs, one after the other.

    Args:
        words: uint64.
        beats: int64 (E,), of each run.
        near: int64 (E,), 1 where a run has the near format.
    """

    words: np.ndarray
    beats: np.ndarray
    near: np.ndarray


def gather_records(config: Config, part: GatherPart, offsets: np.ndarray) -> Records:
    """A part's step records.

    Args:
        offsets: int64, column offset of each of the part's columns.
    """
    return _banked(config, part, part.slots, offsets)


def twin_records(config: Config, part: TwinPart, offsets: np.ndarray) -> Records:
    """As :func:`gather_records`: an offset for every lane, that of the bank it reads."""
    bank = (2 * np.arange(config.lanes) + (part.lanes >> 8)) % config.acts
    slots = np.take_along_axis(part.slots, bank, axis=1)
    return _banked(config, part, np.where(part.lanes & 255, slots, -1), offsets)


def _banked(config: Config, part: GatherPart, slots: np.ndarray, offsets: np.ndarray) -> Records:
    """Records whose column offsets are those of ``slots``, -1: any."""
    used = slots >= 0
    offset = np.where(used, (offsets % config.columns).astype(np.uint16)[slots], 0)
    base, near = _near(config, part, used, offset)
    per_run = near[np.cumsum(part.steps) - 1]  # the same for all steps of a run
    beats = np.where(near, config.near_beats, config.step_beats)
    at = np.cumsum(beats) - beats
    words = np.zeros(int(beats.sum()), np.uint64)
    for kind in (False, True):
        some = near == kind
        if some.any():
            here = offset[some]
            if kind:
                here = np.where(used[some], here - (base[some] << config.near_shift)[:, None], 0)
            packed = _gather(config, part.lanes[some], here, base[some] if kind else None)
            words[at[some][:, None] + np.arange(packed.shape[1])] = packed
    per_step = np.where(per_run, config.near_beats, config.step_beats)
    return Records(words, part.steps * per_step, per_run.astype(np.int64))


def trident_records(config: Config, part: Part, offsets: np.ndarray) -> Records:
    """As :func:`gather_records`."""
    words = part.words.copy()
    for slot in range(config.window):
        column = part.slots[:, slot]
        offset = np.where(column < 0, 0, offsets[column] % config.columns).astype(np.uint64)
        _put(words, slot * config.slot_w, config.column_w, offset)
    return Records(words.ravel(), part.beats(config, 0), np.zeros(len(part.steps), np.int64))


def _near(config: Config, part: GatherPart, used: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Base uint16 (S,) of each step, and bool (S,): whether all steps of its run fit the near format."""
    low = np.where(used.any(1), np.where(used, offset, config.columns).min(1), 0).astype(np.uint16)
    base = low >> config.near_shift
    fits = offset.max(1) < (base << config.near_shift) + (1 << config.near_bits)
    first = np.cumsum(part.steps) - part.steps
    return base, repeat(np.logical_and.reduceat(fits, first), part.steps)


def _gather(config: Config, lanes: np.ndarray, offset: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    """Records of one format: near with a base, far without."""
    width, low = (config.column_w, 0) if base is None else (config.near_bits, NEAR_BASE_BITS)
    words = np.zeros((len(lanes), config.step_beats if base is None else config.near_beats), np.uint64)
    if base is not None:
        words[:, 0] = base
    each = config.offsets // config.lanes  # offsets of a lane
    for lane in range(config.lanes):
        entry = lanes[:, lane].astype(np.uint64)
        for index in range(each):
            shift = np.uint64(config.lane_w + index * width)
            entry |= offset[:, each * lane + index].astype(np.uint64) << shift
        size = config.lane_w + each * width
        _put(words, low, size, entry)
        low += size
    return words


def _put(words: np.ndarray, low: int, width: int, value: np.ndarray) -> None:
    """OR a field of all records into their bits from ``low`` on; ``width`` is at most 64."""
    word, shift = divmod(low, 64)
    words[:, word] |= value << np.uint64(shift)
    if shift + width > 64:
        words[:, word + 1] |= value >> np.uint64(64 - shift)
