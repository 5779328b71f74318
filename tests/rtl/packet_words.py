"""ACT and RUN packets of trident and gather as words, from values and fields by name, with their checksums.

Fields are those of ``hardware/packets.py``; what they mean is up to the caller, legal or not.
"""

from __future__ import annotations

import functools

import numpy as np

from zeroskip.hardware import crc, packets
from zeroskip.hardware.config import Config

Step = dict[str, int]
"""Fields of a step by their names; those left out are zero."""


@functools.cache
def _layout(config: Config, near: bool) -> dict[str, packets.Field]:
    return {field.name: field for field in packets.step_layout(config, near)}


def step_words(config: Config, step: Step, near: bool = False) -> list[int]:
    """The beats of a step; trident knows no ``near``."""
    layout, record = _layout(config, near), 0
    for name, value in step.items():
        record |= (value & (1 << layout[name].width) - 1) << layout[name].low
    beats = config.near_beats if near else config.step_beats
    return [record >> 64 * beat & 2**64 - 1 for beat in range(beats)]


def act_words(values: np.ndarray, **header: int) -> list[int]:
    """An ACT packet.

    Args:
        values: int (columns, wgs, activations of a column); in format 0 from ``-zero_point`` on.
        header: fields that are not what follows from ``values``, or 0; ``format`` is 1 unless given.
    """
    count, wgs, acts = values.shape
    fields = {"page": 0, "format": 1, "wgs": wgs, "address": 0, "count": count, "zero_point": 0, **header}
    sent = (values + fields["zero_point"]).astype("<i2" if fields["format"] else "u1").reshape(count * wgs, acts)
    columns = sent.view("u1")
    beats = np.pad(columns, ((0, 0), (0, -columns.shape[1] % 8))).view("<u8")
    return crc.sealed([packets.encode(packets.ACT_HEADER, kind=packets.KIND_ACT, **fields), *beats.ravel().tolist()])


def run_words(config: Config, steps: list[Step], size: tuple[int, int] = (1, 1), pitch: tuple[int, int] = (0, 0), *,
              count: int | None = None, **header: int) -> list[int]:  # fmt: skip
    """A RUN packet.

    Args:
        steps: fields of every step.
        size: (rows, columns) of pixels.
        pitch: (dy, dx), columns from row to row and from pixel to pixel.
        count: number of steps in the header, if not that of ``steps``.
        header: other fields that are not 1 (``wgs``) or 0.
    """
    fields = dict.fromkeys(("page", "skip", "last", "near", "base", "apart"), 0) | {"wgs": 1} | header
    fields["steps"] = len(steps) if count is None else count
    words = [packets.encode(packets.RUN_HEADER_0, kind=packets.KIND_RUN, **fields)]
    words.append(packets.encode(packets.RUN_HEADER_1, ny=size[0], nx=size[1], dy=pitch[0], dx=pitch[1]))
    for step in steps:
        words += step_words(config, step, bool(fields["near"]))
    return crc.sealed(words)
