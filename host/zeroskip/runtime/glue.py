"""What the HLS glue around the engine takes off the host: its packets, and its results.

act_finish turns a filter's sums into activations when all of them come from one part of the layer; where the host
has to add the sums of several parts, it also finishes them.  docs/streams.md defines both formats.
"""

from __future__ import annotations

import numpy as np

from ..hardware import crc
from ..hardware.config import Config
from ..hardware.packets import FINISH_FILTER_0, FINISH_FILTER_1, FINISH_HEADER, GROUP, KIND_FINISH, encode
from .hostops import Finish
from .kept import kept
from .parts import ScheduledPart
from .program import ConvPlan
from .zero_groups import decompress, most_beats

_FILTER = {field.name: field for field in (*FINISH_FILTER_0, *FINISH_FILTER_1)}


def usable(device, plan: ConvPlan) -> bool:
    """Whether a device's glue can finish a layer: it has one, and every filter's sums are in one part."""
    if not getattr(device, "glue", False) or not plan.config.glue_sums:
        return False
    return kept(plan, "in one part", lambda: _in_one_part(plan))


def _in_one_part(plan: ConvPlan) -> bool:
    filters = np.concatenate([part.outputs for part in plan.parts])
    return np.array_equal(np.sort(filters[filters >= 0]), np.arange(len(plan.weights) * plan.outputs))


def packet_beats(filters: int) -> int:
    """Beats of a FINISH packet for runs of so many filters."""
    return 1 + 2 * filters


def exit_of(config: Config, filters: int) -> dict[str, int]:
    """What of :func:`.tiling.choose_tile`'s arguments the glue changes for runs of so many filters."""
    return {"sums": config.glue_sums, "lead": packet_beats(filters)}


def packets(plan: ConvPlan, part: ScheduledPart, finish: Finish, compress: bool) -> np.ndarray:
    """The FINISH packets of a part's runs: uint64 (E, packet_beats).  A filter that there is not gives zero points.

    They are kept as long as the plan is run with the same numbers.
    """
    store, key = plan._kept, ("finish", id(part), compress)
    made, words = store.get(key, (None, None))
    if made is None or not finish.same(made):
        words = _packets(plan, part, finish, compress)
        store[key] = finish, words
    return words


def _packets(plan: ConvPlan, part: ScheduledPart, finish: Finish, compress: bool) -> np.ndarray:
    header = encode(
        FINISH_HEADER,
        kind=KIND_FINISH,
        wide=int(np.dtype(finish.quant.dtype).itemsize == 2),
        compress=int(compress),
        filters=part.filters.shape[1],
        zero_point=finish.quant.zero_point & 0xFFFF,
        low=finish.low & 0xFFFF,
    )
    used = part.filters >= 0
    filters = part.filters // plan.outputs  # of the layer: several outputs may be pixels of one filter
    words = np.empty((len(part.filters), packet_beats(part.filters.shape[1])), np.uint64)
    words[:, 0] = header
    bias, multiplier = (
        np.where(used, array[filters], 0).astype(np.int64) for array in (finish.bias, finish.multiplier)
    )
    low = (bias & 0xFFFF_FFFF) << _FILTER["bias"].low | multiplier << _FILTER["multiplier"].low
    words[:, 1::2] = low.view(np.uint64)
    shift = np.where(used, finish.shift[filters], 1).astype(np.int64) << _FILTER["shift"].low
    words[:, 2::2] = (shift | (finish.high & 0xFFFF) << _FILTER["high"].low).view(np.uint64)
    count, beats = words.shape
    crc.seal(words.ravel(), np.arange(count) * beats, np.full(count, beats))
    return words


def run_beats(values: int, itemsize: int, compress: bool) -> int:
    """Beats, at most, of the results of a run."""
    return most_beats(values, itemsize) if compress else -(-values * itemsize // 8)


def results(out: np.ndarray, runs: list[tuple[int, int]], finish: Finish, compress: bool) -> list[np.ndarray]:
    """The results of a transfer.

    Args:
        out: uint64, the beats received.
        runs: (runs, results of each), in the order of the stream.

    Returns:
        for every entry of ``runs`` an array (runs, results of each).
    """
    dtype, found, at = np.dtype(finish.quant.dtype), [], 0
    if compress:
        groups = [-(-values // GROUP) for _, values in runs]
        total = sum(count * each for (count, _), each in zip(runs, groups, strict=True))
        out = decompress(out, total, dtype, finish.quant.zero_point).view(np.uint64).ravel()
    for count, values in runs:
        multiple = GROUP if compress else 8 // dtype.itemsize  # a group, or a beat
        each = -(-values // multiple) * multiple
        size = count * each * dtype.itemsize // 8
        found.append(out[at : at + size].view(dtype).reshape(count, each)[:, :values])
        at += size
    return found
