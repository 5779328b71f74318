"""Compiling a layer for the twin engine: channels dealt to banks; pixels of a row side by side in depthwise layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import TwinPart
from ..runtime.program import BLOCKINGS
from ..runtime.tiling import View
from . import gather_places, gather_schedule, parts
from .blocks import Blocked, block
from .convolution import Convolution, Option, fold_cost
from .gather_layers import Maker as GatherMaker
from .gather_near import near_pitch
from .parts import Piece

PHASES = (1, 2, 4, 8)
"""Pixels of a row that one column of a depthwise layer may hold."""


def layouts(layer: Convolution) -> Iterator[Option]:
    """All ways to lay a layer out."""
    for blocking, phases in _ways(layer):
        view, w = layer.view(blocking, phases), layer.seen(phases)
        blocked = block(layer.config.acts, 1, w, layer.groups, layer.dilation, blocking)
        if blocked is None:
            continue
        if blocking == "packed":
            placed = gather_places.place_packed(blocked.blocks, layer.config.acts, layer.groups * w.shape[1], 1)
        else:
            placed = gather_places.place(gather_places.loads(blocked, layer.groups), layer.config.acts, layer.mode, 0.0)
        few = gather_places.sample(blocked)
        arranged = gather_places.arrange(few, placed, layer.mode, layer.config.acts)
        choice, cycles = parts.choose_pieces(Maker, layer.config, arranged, view, layer.mode, len(blocked.filters))
        yield Option(fold_cost(blocking) * cycles, choice, blocked, view, placed, phases)


def make(layer: Convolution, option: Option) -> tuple[TwinPart, ...]:
    """The layer's schedules."""
    blocked = gather_places.arrange(option.blocked, option.placed, layer.mode, layer.config.acts)
    made = parts.make_parts(Maker, layer.config, blocked, option.view, option.choice, layer.mode)
    if option.phases > 1:  # the dense schedule has none
        made = tuple(replace(part, dense=np.full_like(part.dense, layer.w[0].size)) for part in made)
    return made


def _ways(layer: Convolution) -> Iterator[tuple[str, int]]:
    """(blocking, pixels of a row in a column)."""
    for blocking in BLOCKINGS:
        yield blocking, 1
        depthwise = blocking == "packed" and layer.w.shape[1] == 1 and layer.dilation[1] == 1
        for phases in PHASES[1:] if depthwise and layer.mode != "dense" else ():
            if phases % layer.stride[1] == 0 and phases <= layer.config.lanes:
                yield blocking, phases


class Maker:
    """What cutting a layer has to know of twin; see :class:`.parts.PartMaker`."""

    layout = GatherMaker.layout
    near = GatherMaker.near

    @staticmethod
    def loads(config: Config, blocked: Blocked, mode: str) -> tuple[np.ndarray, np.ndarray]:
        w = blocked.weights[:, 0]
        todo = np.broadcast_to(blocked.present[:, :, None], w.shape) if mode == "dense" else w != 0
        reads = todo.sum((1, 2))  # (E, B, banks)
        in_lane = reads.reshape(*reads.shape[:2], config.lanes, 2).sum(3)
        if mode == "dense":  # lanes do not help each other
            return np.zeros((len(w), 1, w.shape[3])), in_lane
        # Every bank is read once per step; what a lane's banks hold is done by it and by the lane before.
        return reads.sum(2)[:, None] / config.lanes * 1.02, np.concatenate([reads, in_lane / 2], axis=2)

    @staticmethod
    def ideal(config: Config, nonzero: np.ndarray, outliers: np.ndarray) -> np.ndarray:
        return nonzero / float(config.lanes)

    @staticmethod
    def part(config: Config, blocked: Blocked, piece: Piece, view: View, mode: str) -> TwinPart:
        (rows, columns), runs = blocked.kernel, len(piece.weights)
        present = piece.present[:, 0] & piece.inside[..., None]
        in_lane = -(-np.count_nonzero(present, axis=(1, 2)) // config.lanes)
        # Pixels of a work group: with so few of them, the steps take longer to arrive than to execute.
        close = view.images * view.out_height * view.out_width < config.step_beats * config.wgs
        present = np.tile(present, (1, rows * columns, 1))
        w = piece.weights.reshape(runs, -1, config.acts)
        found = gather_schedule.schedule(w, piece.ids, present, config, mode, close, whole=True)
        if close and found.steps.max() > config.steps:
            found = gather_schedule.schedule(w, piece.ids, present, config, mode, False, whole=True)
        near = near_pitch(config, found.steps, found.slots, piece.layout, columns, blocked.dilation)
        lanes = found.weight | found.route.astype(np.int16) << 8
        dense = (in_lane * (rows * columns)).astype(np.int32)
        return TwinPart(*piece.common, found.steps, dense, piece.ideal, found.slots, near, lanes)
