"""Programs of the trident and gather engines: the packet streams of one part of a layer, for maps of one size.

Everything but the activations is the same for every run of a layer, so a stream is built once as a
template; a run copies it and fills in the activations with one indexed assignment.  Where two tiles fit
the column memory, the activations of the next tile group stand between the runs of the present one and
go to the other half, so that loading and computing overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware.packets import ACT_HEADER, KIND_ACT, KIND_RUN, RUN_HEADER_0, RUN_HEADER_1, Field
from . import glue
from .hostops import Finish
from .parts import GatherPart, Part
from .program import ConvPlan
from .records import Records, records
from .sums import collect as collect  # part of what every engine's stream module offers
from .sums import runs_of
from .tiling import DMA_LIMIT, Tile, View, choose_tile
from .zero_groups import compress as compress_acts

_BEATS = DMA_LIMIT // 8

_ZERO_POINT = next(field.low for field in ACT_HEADER if field.name == "zero_point")


@dataclass(frozen=True)
class Transfer:
    """One DMA transfer: some tile groups, some runs of each.

    Attributes:
        words: uint64 (n,), the stream, with zeros for activations and zero points.
        headers: int32, indices of the ACT headers in ``words``.
        position: int32 (a,), index in ``words`` of the first beat of each column of each work group.
        source: int32 (a,), the column of the input image that belongs there.
        groups: tile groups, first and end.
        runs: runs of the part, first and end.
        last_wgs: work groups in use in the transfer's last tile group.
        out_beats: beats of sums it returns.
        finish: int32 (tile groups, runs), where the FINISH packet of each run goes in ``words``; empty without glue.
    """

    words: np.ndarray
    headers: np.ndarray
    position: np.ndarray
    source: np.ndarray
    groups: tuple[int, int]
    runs: tuple[int, int]
    last_wgs: int
    out_beats: int
    finish: np.ndarray


@dataclass(frozen=True)
class Program:
    """All transfers of a part for one batch of maps."""

    part: Part | GatherPart
    view: View
    tile: Tile
    transfers: tuple[Transfer, ...]

    @property
    def pixel_groups(self) -> int:
        """How often every run's steps are replayed: tile groups times pixels of a tile."""
        return self.tile.groups * self.tile.height * self.tile.width


def tile_of(plan: ConvPlan, part: Part | GatherPart, view: View, act_format: int) -> Tile:
    """The tile size of a part for maps of one size."""
    near = part.near if isinstance(part, GatherPart) else None
    return choose_tile(plan.config, view, part.layout, part.steps, act_format, near)


def stream_beats(plan: ConvPlan, part: Part | GatherPart, tile: Tile, act_format: int) -> int:
    """Input beats of a part's program, nearly."""
    config = plan.config
    columns = tile.size * config.wgs * config.column_beats(act_format)
    return tile.groups * int(columns + part.beats(config, tile.pitch).sum() + 3 * len(part.steps))


def build(
    plan: ConvPlan,
    part: Part | GatherPart,
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
        pixels: int32 (images, height, width), the input pixel at every place of the padded maps.
        image: pixels of the input, and channel blocks of a pixel; pixel number ``image[0]`` is all zeros.
        act_format: 0 for bytes, 1 for 16-bit activations.
        finish: leave room for FINISH packets before the runs.

    Raises:
        InputError: a tile exceeds what one DMA transfer can move.
    """
    config = plan.config
    steps = records(config, part, part.layout.offsets(view.kernel, view.dilation, tile.pitch))
    source = sources(part, view, tile, pixels, image)
    lead = glue.packet_beats(config.filters) if finish else 0
    transfers = tuple(
        _transfer(plan, part, view, tile, steps, source, groups, runs, act_format, lead)
        for groups, runs in _spans(plan, steps, tile, act_format, lead)
    )
    return Program(part, view, tile, transfers)


def sources(part: Part | GatherPart, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """Input column at every address of every rectangle: int32 (rectangles, tile.size)."""
    zero, blocks = image
    stride, extent, layout = view.stride, view.extent, part.layout
    height = (tile.height - 1) * stride[0] + extent[0]
    width = (tile.width - 1) * stride[1] + extent[1]
    y = np.arange(tile.rows)[:, None] * (tile.height * stride[0]) + np.arange(height)
    x = np.arange(tile.columns)[:, None] * (tile.width * stride[1]) + np.arange(width)
    # Rectangles at the edge may reach beyond the map: zeros there, and nobody looks at their sums.
    size = max(y.max() + 1, pixels.shape[1]), max(x.max() + 1, pixels.shape[2])
    beyond = np.full((view.images, *size), zero, np.int32)
    beyond[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    found = beyond[:, y[:, None, :, None], x[None, :, None, :]].reshape(-1, height, width)
    columns = np.full((*found.shape, layout.step), zero * blocks, np.int32)
    columns[..., : layout.blocks] = found[..., None] * np.int32(blocks)
    columns[..., : layout.blocks] += np.arange(part.block0, part.block0 + layout.blocks, dtype=np.int32)
    rows = np.full((len(found), height, tile.pitch), zero * blocks, np.int32)
    rows[:, :, : width * layout.step] = columns.reshape(len(found), height, -1)
    return rows.reshape(len(found), -1)[:, : tile.size]


def _spans(plan: ConvPlan, steps: Records, tile: Tile, act_format: int, lead: int):
    """Cut a program into transfers: (tile groups, runs), each (first, end)."""
    config = plan.config
    wgs = config.wgs if tile.groups > 1 else tile.last_wgs
    columns = tile.size * wgs * config.column_beats(act_format)
    # With the headers, also of the ACT packet that may follow.
    runs = lead + 3 + steps.beats
    sums = tile.height * tile.width * -(-wgs * config.filters // 2)
    at_once = min(tile.groups, _BEATS // (columns + int(runs.sum()) + 1), _BEATS // (sums * len(runs)))
    if at_once:
        bounds = np.linspace(0, tile.groups, -(-tile.groups // at_once) + 1).astype(int).tolist()
        return [(span, (0, len(runs))) for span in pairwise(bounds)]
    # Not even one tile group: one at a time, and an equal share of its runs at a time.
    room = _BEATS - columns - 1
    for pieces in range(1, len(runs) + 1):
        bounds = np.searchsorted(np.cumsum(runs), np.arange(1, pieces) * runs.sum() / pieces).tolist()
        spans = [span for span in pairwise([0, *bounds, len(runs)]) if span[1] > span[0]]
        if all(runs[a:b].sum() <= room and (b - a) * sums <= _BEATS for a, b in spans):
            return [((group, group + 1), span) for group in range(tile.groups) for span in spans]
    raise InputError(f"layer {plan.name!r}: one tile exceeds a DMA transfer of {DMA_LIMIT} bytes")


def _transfer(plan, part, view, tile, records, source, groups, runs, act_format, lead) -> Transfer:
    config = plan.config
    beats = config.column_beats(act_format)
    steps = part.steps[runs[0] : runs[1]].astype(np.int64)
    sent, near = records.beats[runs[0] : runs[1]], records.near[runs[0] : runs[1]]
    payload = records.words[int(records.beats[: runs[0]].sum()) :][: int(sent.sum())]
    wgs = np.full(groups[1] - groups[0], config.wgs, np.int64)
    if groups[1] == tile.groups:
        wgs[-1] = tile.last_wgs
    page = np.arange(len(wgs)) % 2 if tile.double else np.zeros(len(wgs), np.int64)
    base = page * (config.columns // 2)

    # Columns of the next tile that follow each run.  None follow the first: until it starts, the previous
    # tile may still be in use, and it would keep the second run waiting behind it.
    follow = np.zeros(len(steps), np.int64)
    first = 1 if tile.double and len(steps) > 1 else len(steps) - 1
    until = np.cumsum(steps[first:]) * tile.size // steps[first:].sum()
    follow[first:] = np.diff(until, prepend=0)
    start = np.cumsum(follow) - follow

    # Where everything stands: ACT, then for every tile group and run: [FINISH], RUN, [ACT].
    length = np.zeros((len(wgs), len(steps), 2), np.int64)
    length[:, :, 0] = lead + 2 + sent
    length[:-1, :, 1] = (follow > 0) * (1 + follow * wgs[1:, None] * beats)
    first_beats = 1 + tile.size * wgs[0] * beats
    at = (first_beats + np.cumsum(length) - length.ravel()).reshape(length.shape)
    run_at, act_at = at[:, :, 0] + lead, at[:-1, :, 1]
    stream = np.zeros(first_beats + length.sum(), np.uint64)

    last = np.zeros(run_at.shape, np.int64)
    last[-1, -1] = 1
    stream[run_at] = header(
        RUN_HEADER_0, kind=KIND_RUN, page=page[:, None], skip=int(plan.activation_skip), last=last, near=near,
        wgs=wgs[:, None], steps=steps, base=base[:, None], apart=0,
    )  # fmt: skip
    dx, dy = view.stride[1] * part.layout.step, view.stride[0] * tile.pitch
    stream[run_at + 1] = header(
        RUN_HEADER_1, nx=tile.width, ny=tile.height, dx=dx % config.columns, dy=dy % config.columns
    )
    run = np.repeat(np.arange(len(steps)), sent)
    within = np.arange(len(payload)) - (np.cumsum(sent) - sent)[run]
    stream[run_at[:, run] + (2 + within)] = payload

    stream[0] = _actheader(page[0], act_format, wgs[0], base[0], tile.size)
    present = np.flatnonzero(follow)
    stream[act_at[:, present]] = _actheader(
        page[1:, None], act_format, wgs[1:, None], base[1:, None] + start[present], follow[present]
    )
    headers = np.concatenate([[0], act_at[:, present].ravel()])

    run = np.repeat(np.arange(len(steps)), follow)  # the run before each column of the next tile
    within = np.arange(tile.size) - start[run]
    position = [1 + np.arange(tile.size * wgs[0]) * beats]
    # The last tile group apart: it may use fewer work groups.
    for rows in (slice(0, len(wgs) - 2), slice(max(len(wgs) - 2, 0), len(wgs) - 1)):
        if act_at[rows].size:
            count = wgs[1:][rows][0]
            column = within[:, None] * count + np.arange(count)
            position.append((act_at[rows][:, run, None] + (1 + column * beats)).ravel())
    full = len(wgs) if wgs[-1] == config.wgs else len(wgs) - 1
    rectangle = groups[0] * config.wgs
    dealt = source[rectangle : rectangle + full * config.wgs].reshape(full, config.wgs, tile.size).transpose(0, 2, 1)
    rest = source[rectangle + full * config.wgs :][: 0 if full == len(wgs) else wgs[-1]]
    return Transfer(
        stream,
        headers.astype(np.int32),
        np.concatenate(position).astype(np.int32),
        np.concatenate([dealt.ravel(), rest.T.ravel()]),
        groups,
        runs,
        int(wgs[-1]),
        int(tile.height * tile.width * len(steps) * (-(-wgs * config.filters // 2)).sum()),
        (run_at - lead if lead else run_at[:0]).astype(np.int32),
    )


def _actheader(page, act_format, wgs, address, count):
    return header(
        ACT_HEADER, kind=KIND_ACT, page=page, format=act_format, wgs=wgs, address=address, count=count, zero_point=0
    )


def header(fields: tuple[Field, ...], **values) -> np.ndarray:
    """Header beats: ``packets.encode`` for arrays that broadcast."""
    word = np.uint64(0)
    for field in fields:
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
    lead = None if finish is None else glue.packets(program.part, finish, compress)
    for transfer in program.transfers:
        words = transfer.words.copy()
        words[transfer.headers] |= np.uint64(zero_point << _ZERO_POINT)
        for beat in range(image.shape[1]):
            words[transfer.position + beat] = image[:, beat].take(transfer.source)
        out_beats = transfer.out_beats
        if lead is not None:
            words[transfer.finish[:, :, None] + np.arange(lead.shape[1])] = lead[slice(*transfer.runs)]
            size = np.dtype(finish.quant.dtype).itemsize
            out_beats = sum(
                runs * glue.run_beats(values, size, compress)
                for runs, values in runs_of(plan.config, program, transfer)
            )
        yield compress_acts(plan.config, words, transfer.headers) if compress else words, out_beats
