"""Programs of the trident and gather engines: the packet streams of one part of a layer, for maps of one size.

Everything but the activations is the same for every run of a layer, so a stream is built once as a
template; a run copies it and fills in the activations with one indexed assignment.  Where two tiles fit
the column memory, the activations of the next tile group (or the next slice of this one's channels) stand
between the runs of the present one and go to the other half, so that loading and computing overlap.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware import crc
from ..hardware.packets import ACT_HEADER, CHECKSUM, KIND_ACT, KIND_RUN, RUN_HEADER_0, RUN_HEADER_1, Field
from . import glue
from .hostops import Finish
from .indices import repeat
from .parts import ScheduledPart
from .program import ConvPlan
from .records import Records
from .sums import runs_of
from .tiling import DMA_LIMIT, Tile, View, choose_tile, pixel_beats
from .transfer import Program, Transfer
from .turns import places, sources, turns_of
from .zero_groups import compress as compress_acts

_BEATS = DMA_LIMIT // 8

_ZERO_POINT = next(field.low for field in ACT_HEADER if field.name == "zero_point")


def tile_of(plan: ConvPlan, part: ScheduledPart, view: View, act_format: int, finish: bool = False) -> Tile:
    """The tile size of a part for maps of one size; ``finish``: its sums go to the glue, not to memory."""
    filters, slices = part.filters.shape[1], len(part.slices)
    exit_ = glue.exit_of(plan.config, filters) if finish else {}
    return choose_tile(plan.config, view, part.layout, part.steps, act_format, part.reach, filters, slices, **exit_)


def stream_beats(plan: ConvPlan, part: ScheduledPart, tile: Tile, act_format: int) -> int:
    """Input beats of a part's program, nearly."""
    config = plan.config
    columns = len(part.slices) * tile.size * config.wgs * config.column_beats(act_format)
    return tile.groups * int(columns + part.beats(config, tile.pitch).sum() + 3 * len(part.steps))


def build(
    plan: ConvPlan,
    part: ScheduledPart,
    steps: Records,
    view: View,
    tile: Tile,
    pixels: np.ndarray,
    image: tuple[int, int],
    act_format: int,
    finish: bool = False,
) -> Program:
    """Build a part's :class:`Program`.

    Args:
        plan, part, view, tile: what to build.
        steps: the part's step records, for the tile's pitch.
        pixels: int32 (images, height, width), the input pixel at every place of the padded maps.
        image: pixels of the input, and channel blocks of a pixel; pixel number ``image[0]`` is all zeros.
        act_format: 0 for bytes, 1 for 16-bit activations.
        finish: leave room for FINISH packets before the runs.

    Raises:
        InputError: a tile exceeds what one DMA transfer can move.
    """
    source = [sources(part, view, tile, pixels, image, index) for index in range(len(part.slices))]
    lead = glue.packet_beats(part.filters.shape[1]) if finish else 0
    until = np.cumsum(steps.beats)
    bodies = np.array([crc.of_beats(body) for body in np.split(steps.words, until[:-1])])
    transfers = tuple(
        _transfer(plan, part, view, tile, steps, bodies, source, groups, runs, act_format, lead)
        for groups, runs in _spans(plan, part, steps, tile, act_format, lead)
    )
    return Program(part, view, tile, transfers)


def _spans(plan: ConvPlan, part: ScheduledPart, steps: Records, tile: Tile, act_format: int, lead: int):
    """Cut a program into transfers: (tile groups, runs), each (first, end)."""
    config = plan.config
    wgs = config.wgs if tile.groups > 1 else tile.last_wgs
    columns = tile.size * wgs * config.column_beats(act_format)
    slice_of = repeat(np.arange(len(part.slices)), part.slices)
    # With the headers, also of the ACT packet that may follow.
    runs = lead + 3 + steps.beats
    sums = tile.height * tile.width * pixel_beats(config, part.filters.shape[1], wgs)
    at_once = _BEATS // (columns * len(part.slices) + int(runs.sum()) + 1)
    at_once = min(tile.groups, at_once, _BEATS // (sums * len(runs)))
    if at_once:
        bounds = np.linspace(0, tile.groups, -(-tile.groups // at_once) + 1).astype(int).tolist()
        return [(span, (0, len(runs))) for span in pairwise(bounds)]
    # Not even one tile group: one at a time, and an equal share of its runs at a time.

    def fits(first: int, end: int) -> bool:
        beats = runs[first:end].sum() + columns * (slice_of[end - 1] - slice_of[first] + 1)
        return beats < _BEATS and (end - first) * sums <= _BEATS

    for pieces in range(1, len(runs) + 1):
        bounds = np.searchsorted(np.cumsum(runs), np.arange(1, pieces) * runs.sum() / pieces).tolist()
        spans = [span for span in pairwise([0, *bounds, len(runs)]) if span[1] > span[0]]
        if all(fits(*span) for span in spans):
            return [((group, group + 1), span) for group in range(tile.groups) for span in spans]
    raise InputError(f"layer {plan.name!r}: one tile exceeds a DMA transfer of {DMA_LIMIT} bytes")


def _transfer(plan, part, view, tile, records, bodies, source, groups, runs, act_format, lead) -> Transfer:
    config = plan.config
    beats, half = config.column_beats(act_format), config.columns // 2
    steps = part.steps[runs[0] : runs[1]].astype(np.int64)
    sent, near = records.beats[runs[0] : runs[1]], records.near[runs[0] : runs[1]]
    payload = records.words[int(records.beats[: runs[0]].sum()) :][: int(sent.sum())]
    wgs = np.full(groups[1] - groups[0], config.wgs, np.int64)
    if groups[1] == tile.groups:
        wgs[-1] = tile.last_wgs
    turns = turns_of(part, tile, runs, wgs)
    page, present = turns.page, turns.wgs > 0

    # Where everything stands: ACT, then for every tile group and run: [FINISH], RUN, [ACT].
    length = np.zeros((len(wgs), len(steps), 2), np.int64)
    length[:, :, 0] = lead + 2 + sent
    length[:, :, 1] = present * (1 + turns.follow * turns.wgs * beats)
    first_beats = 1 + tile.size * wgs[0] * beats
    at = (first_beats + np.cumsum(length) - length.ravel()).reshape(length.shape)
    run_at, act_at = at[:, :, 0] + lead, at[:, :, 1]
    stream = np.zeros(first_beats + length.sum(), np.uint64)

    last = np.zeros(run_at.shape, np.int64)
    last[-1, -1] = 1
    head = np.empty((*run_at.shape, 2), np.uint64)
    head[..., 0] = header(
        RUN_HEADER_0, kind=KIND_RUN, page=page, skip=int(plan.activation_skip), last=last, near=near,
        wgs=wgs[:, None], steps=steps, base=page * half, apart=int(part.apart),
    )  # fmt: skip
    dx, dy = view.stride[1] * part.layout.step, view.stride[0] * tile.pitch
    head[..., 1] = header(RUN_HEADER_1, nx=tile.width, ny=tile.height, dx=dx % config.columns, dy=dy % config.columns)
    stream[run_at] = head[..., 0] | crc.of_packets(head, bodies[runs[0] : runs[1]], sent)
    stream[run_at + 1] = head[..., 1]
    run = repeat(np.arange(len(steps)), sent)
    within = np.arange(len(payload)) - (np.cumsum(sent) - sent)[run]
    stream[run_at[:, run] + (2 + within)] = payload

    stream[0] = _actheader(0, act_format, wgs[0], 0, tile.size)
    next_page = 1 - page if tile.double else page
    address, count = next_page * half + turns.start, np.broadcast_to(turns.follow, present.shape)
    stream[act_at[present]] = _actheader(
        next_page[present], act_format, turns.wgs[present], address[present], count[present]
    )
    position, columns = places(config, tile, turns, source, groups[0], wgs, act_at, beats)
    return Transfer(
        stream,
        np.append(0, act_at[present]).astype(np.int32),
        np.append(first_beats, length[:, :, 1][present]).astype(np.int32),
        position,
        columns,
        groups,
        runs,
        int(wgs[-1]),
        int(tile.height * tile.width * len(steps) * pixel_beats(config, part.filters.shape[1], wgs).sum()),
        (run_at - lead if lead else run_at[:0]).astype(np.int32),
    )


def _actheader(page, act_format, wgs, address, count):
    return header(
        ACT_HEADER, kind=KIND_ACT, page=page, format=act_format, wgs=wgs, address=address, count=count, zero_point=0
    )


def header(fields: tuple[Field, ...], **values) -> np.ndarray:
    """Header beats, without checksums: ``packets.encode`` for arrays that broadcast."""
    word = np.uint64(0)
    for field in fields:
        if field is CHECKSUM:
            continue
        value = np.asarray(values.pop(field.name))
        if value.size and not 0 <= value.min() <= value.max() < 1 << field.width:
            raise ValueError(f"{field.name} = {value.min()} to {value.max()} does not fit {field.width} bits")
        word = word | value.astype(np.uint64) << np.uint64(field.low)
    if values:
        raise ValueError(f"no field {sorted(values)[0]!r}")
    return word


# -- a run -------------------------------------------------------------------------------------------
def transfers(
    plan: ConvPlan,
    program: Program,
    image: np.ndarray,
    zero_point: int,
    finish: Finish | None = None,
    compress: bool = False,
):
    """The streams of a program with their activations, and the beats that each returns, at most.

    Args:
        image: uint64 (columns, beats of a column), the input as stream beats.
        zero_point: subtracted from every byte.
        finish: for a program built with room for it.
        compress: activations and results go without their zeros.
    """
    lead = None if finish is None else glue.packets(plan, program.part, finish, compress)
    for transfer in program.transfers:
        words = transfer.words.copy()
        words[transfer.headers] |= np.uint64(zero_point << _ZERO_POINT)
        for beat in range(image.shape[1]):
            words[transfer.position + beat] = image[:, beat].take(transfer.source)
        crc.seal(words, transfer.headers, transfer.act_beats)
        out_beats = transfer.out_beats
        if lead is not None:
            words[transfer.finish[:, :, None] + np.arange(lead.shape[1])] = lead[slice(*transfer.runs)]
            size = np.dtype(finish.quant.dtype).itemsize
            out_beats = sum(
                runs * glue.run_beats(values, size, compress)
                for runs, values in runs_of(plan.config, program, transfer)
            )
        yield compress_acts(plan.config, words, transfer.headers) if compress else words, out_beats
