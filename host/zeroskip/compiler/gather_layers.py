"""Compiling a layer for the gather engine: channels placed in banks, in several copies, lanes together or apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import GatherPart
from ..runtime.program import BLOCKINGS
from ..runtime.tiling import Layout, View
from . import gather_apart, gather_places, gather_schedule, parts
from .blocks import Blocked, block
from .convolution import Convolution, Option, fold_cost
from .gather_near import near_pitch
from .parts import Piece, paired_steps
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

PHASES = (1, 2, 4)
"""Pixels of a row that one column of a depthwise layer may hold."""

_ANY = (1 << 31) - 1


@dataclass(frozen=True)
class Way:
    """How a layer may be laid out; phases, copies of every channel, and lanes apart are for packed layers."""

    blocking: str
    phases: int = 1
    copies: int = 1
    apart: bool = False


def layouts(layer: Convolution) -> Iterator[Option]:
    """All ways to lay a layer out."""
    for way in ways(layer):
        view, w = layer.view(way.blocking, way.phases), layer.seen(way.phases)
        for cycles, choice, blocked, placed in _options(layer, way, w, view):
            yield Option(cycles, choice, blocked, view, placed, way.phases)


def make(layer: Convolution, option: Option) -> tuple[GatherPart, ...]:
    """The layer's schedules."""
    config, blocked = layer.config, option.blocked
    if not blocked.apart:
        blocked = gather_places.arrange(blocked, option.placed, layer.mode, config.acts)
    made = parts.make_parts(Maker, config, blocked, option.view, option.choice, layer.mode)
    if option.phases > 1:  # the dense schedule has none
        made = tuple(replace(part, dense=np.full_like(part.dense, layer.w[0].size)) for part in made)
    return made


def ways(layer: Convolution) -> Iterator[Way]:
    """Layouts worth trying."""
    w, acts = layer.w, layer.config.acts
    for blocking in BLOCKINGS:
        if blocking != "packed":
            yield Way(blocking)
            continue
        combined, one_channel = layer.mode == "combined", w.shape[1] == 1
        for phases in PHASES if combined and one_channel and layer.dilation[1] == 1 else PHASES[:1]:
            if phases == 1 or phases % layer.stride[1] == 0:
                for copies in gather_places.PACKED_COPIES if combined else (1,):
                    if phases * copies <= acts // 2:
                        yield Way(blocking, phases, copies)
                    if layer.groups > 1 and phases * copies <= 2 and (one_channel or copies == 1):  # a lane's banks
                        yield Way(blocking, phases, copies, apart=True)


def _options(layer: Convolution, way: Way, w: np.ndarray, view: View):
    """Ways to compute a layer laid out so: (modelled cycles, how it is cut, layer, ``ConvPlan.placed``)."""
    config, groups, dilation, mode = layer.config, layer.groups, layer.dilation, layer.mode
    if way.apart:
        blocked, placed = gather_apart.lay_out(w, groups, config.acts, dilation, mode, way.copies > 1)
        few = gather_places.sample(blocked)
        choice, cycles = parts.choose_pieces(Maker, config, few, view, mode, len(blocked.filters))
        yield cycles, choice, blocked, placed
        return
    # Where every channel is to have copies, a block has fewer channels than places.
    blocked = block(config.acts // way.copies, 1, w, groups, dilation, way.blocking)
    if blocked is None:
        return
    if way.blocking == "packed":
        places = [gather_places.place_packed(blocked.blocks, config.acts, groups * w.shape[1], way.copies)]
    else:
        load = gather_places.loads(blocked, groups)
        shares = gather_places.COPIES if mode == "combined" else (0.0,)
        places = [gather_places.place(load, config.acts, mode, share) for share in shares]
    few = gather_places.sample(blocked)
    for placed in places:
        arranged = gather_places.arrange(few, placed, mode, config.acts)
        choice, cycles = parts.choose_pieces(Maker, config, arranged, view, mode, len(blocked.filters))
        yield fold_cost(way.blocking) * cycles, choice, blocked, placed


class Maker:
    """What cutting a layer has to know of gather; see :class:`.parts.PartMaker`."""

    @staticmethod
    def layout(config: Config, blocks: int, used: int, kernel, dilation) -> Layout | None:
        # Columns have no conflicts: the densest layout is best.
        extent = tuple((taps - 1) * d + 1 for taps, d in zip(kernel, dilation, strict=True))
        layout = Layout(blocks, blocks, 0, 1)
        return layout if layout.size(*extent) <= config.columns else None

    @staticmethod
    def loads(config: Config, blocked: Blocked, mode: str) -> tuple[np.ndarray, np.ndarray]:
        w = blocked.weights[:, 0]
        todo = np.broadcast_to(blocked.present[:, :, None], w.shape) if mode == "dense" else w != 0
        outliers = (todo & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))).sum((1, 2))
        reads = todo.sum((1, 2))  # (E, B, banks)
        whole = outliers if mode == "combined" else reads  # weights that take a lane a whole step
        lanes = (*reads.shape[:2], config.lanes, 2)
        in_lane = whole.reshape(lanes).sum(3)
        if blocked.apart or mode == "dense":  # lanes do not help each other
            return np.zeros((len(w), 1, w.shape[3])), reads - whole + np.repeat(in_lane, 2, axis=2)
        # Every bank is read once per step; outliers stay in their lane; a lane's non-outliers go one lane further.
        stay = outliers.reshape(lanes).sum(3)
        shared = (reads.reshape(lanes).sum(3) + in_lane + 2 * np.roll(stay, 1, axis=2)) / 4
        load = (reads + whole).sum(2)[:, None] / (2 * config.lanes)
        return load * 1.02, np.concatenate([reads, stay, shared], axis=2)

    ideal = staticmethod(paired_steps)

    @staticmethod
    def near(config: Config, blocked: Blocked) -> int | None:
        # The rows of a kernel lie too far apart.
        one_bank = blocked.weights.any((1, 2, 3, 4)).sum(1).max() <= 1  # depthwise
        return _ANY if one_bank or (blocked.kernel[0] == 1 and blocked.dilation[1] == 1) else -1

    @staticmethod
    def part(config: Config, blocked: Blocked, piece: Piece, view: View, mode: str) -> GatherPart:
        (rows, columns), runs, ids = blocked.kernel, len(piece.weights), piece.ids
        present = piece.present[:, 0] & piece.inside[..., None]
        if blocked.apart:
            in_lane = np.count_nonzero(present.reshape(runs, -1, config.lanes, 2), axis=(1, 3)).max(1)
        else:
            in_lane = -(-np.count_nonzero(present, axis=(1, 2)) // config.lanes)
        # Pixels of a work group: with so few of them, the steps take longer to arrive than to execute.
        close = view.images * view.out_height * view.out_width < config.step_beats * config.wgs
        present = np.tile(present, (1, rows * columns, 1))
        w = piece.weights.reshape(runs, -1, config.acts)
        found = gather_schedule.schedule(w, ids, present, config, mode, close, blocked.apart)
        if close and found.steps.max() > config.steps:  # no lane waits for another: at most its own weights' steps
            found = gather_schedule.schedule(w, ids, present, config, mode, False, blocked.apart)
        near = near_pitch(config, found.steps, found.slots, piece.layout, blocked.kernel[1], blocked.dilation)
        lanes = found.weight | found.route.astype(np.int16) << 8
        dense = (in_lane * (rows * columns)).astype(np.int32)
        return GatherPart(*piece.common, found.steps, dense, piece.ideal, found.slots, near, lanes)
