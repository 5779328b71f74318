"""Step records on the stream: what a part holds of its steps, with the column offsets of one tile size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..hardware.config import NEAR_BASE_BITS, NEAR_BITS, ROUTE_BITS, Config
from .indices import repeat
from .parts import GatherPart, Part


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
    used = part.slots >= 0
    offset = np.where(used, (offsets % config.columns).astype(np.uint16)[part.slots], 0)
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
    fits = offset.max(1) < (base << config.near_shift) + (1 << NEAR_BITS)
    first = np.cumsum(part.steps) - part.steps
    return base, repeat(np.logical_and.reduceat(fits, first), part.steps)


def _gather(config: Config, lanes: np.ndarray, offset: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    """Records of one format: near with a base, far without."""
    width, low = (config.column_w, 0) if base is None else (NEAR_BITS, NEAR_BASE_BITS)
    words = np.zeros((len(lanes), config.step_beats if base is None else config.near_beats), np.uint64)
    if base is not None:
        words[:, 0] = base
    for lane in range(config.lanes):
        entry = lanes[:, lane].astype(np.uint64)
        entry |= offset[:, 2 * lane].astype(np.uint64) << np.uint64(8 + ROUTE_BITS)
        entry |= offset[:, 2 * lane + 1].astype(np.uint64) << np.uint64(8 + ROUTE_BITS + width)
        each = 8 + ROUTE_BITS + 2 * width
        _put(words, low, each, entry)
        low += each
    return words


def _put(words: np.ndarray, low: int, width: int, value: np.ndarray) -> None:
    """OR a field of all records into their bits from ``low`` on; ``width`` is at most 64."""
    word, shift = divmod(low, 64)
    words[:, word] |= value << np.uint64(shift)
    if shift + width > 64:
        words[:, word + 1] |= value >> np.uint64(64 - shift)
