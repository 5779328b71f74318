"""Compiling a layer for the trident engine: filters in lockstep, columns interleaved over banks, a window of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import Part
from ..runtime.program import BLOCKINGS
from . import parts, schedule
from .blocks import Blocked, block
from .columns import choose_layout
from .convolution import Convolution, Option, fold_cost
from .pack import pack
from .parts import Piece, paired_steps
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN


def layouts(layer: Convolution) -> Iterator[Option]:
    """All ways to lay a layer out."""
    config = layer.config
    for blocking in BLOCKINGS:
        blocked = block(config.acts, config.filters, layer.w, layer.groups, layer.dilation, blocking)
        if blocked is not None:
            view = layer.view(blocking)
            choice, cycles = parts.choose_pieces(Maker, config, blocked, view, layer.mode)
            yield Option(fold_cost(blocking) * cycles, choice, blocked, view)


def make(layer: Convolution, option: Option) -> tuple[Part, ...]:
    """The layer's schedules."""
    return parts.make_parts(Maker, layer.config, option.blocked, option.view, option.choice, layer.mode)


class Maker:
    """What cutting a layer has to know of trident; see :class:`.parts.PartMaker`."""

    layout = staticmethod(choose_layout)

    @staticmethod
    def loads(config: Config, blocked: Blocked, mode: str) -> tuple[np.ndarray, np.ndarray]:
        w = blocked.weights
        nonzero = w != 0
        outlier = nonzero & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))
        load = (nonzero.sum((2, 3, 5)) + outlier.sum((2, 3, 5))) / (2 * config.lanes)
        # The fullest filter of a perfect schedule and a bit more; the window's limit.
        return load * 1.2, nonzero.any(5).any(1).sum((1, 2))[..., None] / config.window

    ideal = staticmethod(paired_steps)

    @staticmethod
    def near(config: Config, blocked: Blocked) -> int | None:
        return None

    @staticmethod
    def part(config: Config, blocked: Blocked, piece: Piece, view, mode: str) -> Part:
        layout = piece.layout
        bank = layout.offsets(blocked.kernel, blocked.dilation, layout.residue) % config.banks
        w = piece.weights.reshape(len(piece.weights), config.filters, -1, config.lanes)
        found = schedule.schedule(w, piece.ids, bank, config, mode)
        dense = np.count_nonzero(piece.ids >= 0, axis=1).astype(np.int32)
        return Part(*piece.common, found.steps, dense, piece.ideal, found.slots, pack(found, config))
