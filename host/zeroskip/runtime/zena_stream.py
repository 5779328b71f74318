"""Programs of the zena engine: the packet streams of one part of a layer, for maps of one size.

The jobs are the same for every tile group and every run of a layer; the activations travel compressed, so
where they stand depends on the data and a stream is put together anew for every run.  The columns of the
next channel tile stand between the jobs of the present one, as those of the next tile group do for trident.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware import crc
from ..hardware.config import Config
from ..hardware.packets import JOB_HEADER_0, JOB_HEADER_1, KIND_JOB, KIND_ZACT, MAX_UNSENT, NO_WAIT, ZACT_HEADER
from .compress import LANES, lane_groups
from .indices import bincount, repeat, within
from .program import ConvPlan, blocks_of, present_channels
from .stream import header, sources
from .tiling import DMA_LIMIT, Tile, View
from .zena_part import FINAL, FIRST, JobPart, skips
from .zena_tiling import Load, choose_tile, doubled_sums

_BEATS = DMA_LIMIT // 8


@dataclass(frozen=True)
class Program:
    """A part's jobs and activations for one batch of maps.

    Attributes:
        jobs: uint64, packets of one tile group's jobs, one after the other; their headers are those of ``heads``.
        length: int64 (J,), beats of each.
        heads: of each transfer, uint64 (tile groups, J, 2): the jobs' headers.
        follow, start: int64 (J,), columns of the next channel tile that stand behind each job, and the first of them.
        doubled: consecutive passes use different partial sums.
        source: int32 (rectangles, tile.size), column of the input image at every address, for block 0 of a tile.
        spans: tile groups of each transfer: (first, end).
    """

    part: JobPart
    view: View
    tile: Tile
    jobs: np.ndarray
    length: np.ndarray
    heads: tuple[np.ndarray, ...]
    follow: np.ndarray
    start: np.ndarray
    doubled: bool
    source: np.ndarray
    spans: tuple[tuple[int, int], ...]

    @property
    def pixel_groups(self) -> int:
        """How often every job's chunks are met: tile groups times pixels of a tile."""
        return self.tile.groups * self.tile.height * self.tile.width


def load_of(config: Config, part: JobPart) -> Load:
    """What the part's jobs ask of the engine."""
    return Load(
        tiles=len(part.tiles),
        passes=int(part.turn[-1]) + 1,
        busy=float(part.busy[0]),
        jobs=len(part.sub_wg) / config.sub_wgs if config.stealing else float(bincount(part.sub_wg).max()),
        beats=float(part.words.size + (2 + -(-part.chunks // 4)).sum()),
        finals=int(np.count_nonzero(part.flags & FINAL)),
        slots=part.slots,
        density=float(part.density[0]),
    )


def tile_of(plan: ConvPlan, part: JobPart, view: View, act_format: int) -> Tile:
    """The tile size of a part for maps of one size."""
    return choose_tile(plan.config, view, part.layout, load_of(plan.config, part))


def stream_beats(plan: ConvPlan, part: JobPart, tile: Tile, act_format: int) -> int:
    """Input beats of a part's program, at most."""
    return tile.groups * _group_beats(plan.config, part, tile)


def _group_beats(config: Config, part: JobPart, tile: Tile) -> int:
    columns = len(part.tiles) * tile.size * -(-config.wgs // LANES) * 17
    return int(columns + part.words.size + (3 + -(-part.chunks // 4)).sum())


def build(
    plan: ConvPlan, part: JobPart, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int], act_format: int
) -> Program:
    """Build a part's :class:`Program`; arguments as in :func:`zeroskip.runtime.stream.build`.

    Raises:
        InputError: a tile exceeds what one DMA transfer can move.
    """
    config = plan.config
    doubled = bool(doubled_sums(config, part.slots, tile.height * tile.width))
    jobs, length = _job_packets(config, part, view, tile)
    follow = _follow(config, part, tile)
    at_once = min(
        tile.groups, _BEATS // _group_beats(config, part, tile), _BEATS // _sum_beats(config, part, tile, config.wgs)
    )
    if not at_once:
        raise InputError(f"layer {plan.name!r}: one tile exceeds a DMA transfer of {DMA_LIMIT} bytes")
    bounds = np.linspace(0, tile.groups, -(-tile.groups // at_once) + 1).astype(int).tolist()
    first = np.append(0, np.cumsum(bincount(part.tile)))[part.tile]  # the tile's first job
    until = np.cumsum(follow)
    start = until - follow - (until - follow)[first]
    source = sources(part, view, tile, pixels, image)
    spans = tuple(pairwise(bounds))
    heads = _heads(plan, part, view, tile, doubled, jobs, length, spans)
    return Program(part, view, tile, jobs, length, heads, follow, start, doubled, source, spans)


def _sum_beats(config: Config, part: JobPart, tile: Tile, wgs):
    """Beats of sums of one tile group."""
    finals = int(np.count_nonzero(part.flags & FINAL))
    return finals * tile.height * tile.width * config.sub_filters * -(-wgs // 2)


def _job_packets(config: Config, part: JobPart, view: View, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
    """The packets of one tile group's jobs, all but their headers, and the beats of each."""
    beats = part.beats.astype(np.int64)
    offset_beats = -(-part.chunks // LANES)
    length = 2 + offset_beats + beats
    at = np.cumsum(length) - length
    words = np.zeros(length.sum(), np.uint64)
    offsets = part.layout.offsets(view.kernel, view.dilation, tile.pitch) % config.columns
    offsets = np.where(part.columns < 0, 0, offsets[part.columns]).astype(np.uint64)
    place = within(part.chunks)
    beat = repeat(at + 2, part.chunks) + place // LANES
    np.bitwise_or.at(words, beat, offsets << (place % LANES * 16).astype(np.uint64))
    data = at + 2 + offset_beats
    words[repeat(data, beats) + within(beats)] = part.words
    return words, length


def _heads(plan, part, view, tile, doubled, jobs, length, spans) -> tuple[np.ndarray, ...]:
    """The headers of all tile groups' jobs, by transfer."""
    config = plan.config
    until = np.cumsum(length)
    bodies = np.array([crc.of_beats(body[2:]) for body in np.split(jobs, until[:-1])])
    undrained = _undrained(config, part, doubled)
    dx, dy = view.stride[1] * part.layout.step, view.stride[0] * tile.pitch
    found = []
    for first, end in spans:
        group = np.arange(end - first)[:, None]
        wgs = np.where(first + group == tile.groups - 1, tile.last_wgs, config.wgs)
        page = _page(part, tile, group)
        last = np.zeros(page.shape, np.int64)
        last[-1, -1] = 1
        slot = np.broadcast_to(part.slot, page.shape)
        if doubled:
            slot = slot + (group * (part.turn[-1] + 1) + part.turn) % 2 * part.slots
        head = np.empty((*page.shape, 2), np.uint64)
        head[..., 0] = header(
            JOB_HEADER_0, kind=KIND_JOB, page=page, first=part.flags & FIRST, last=last,
            final=(part.flags & FINAL) // FINAL, wgs=wgs, chunks=part.chunks, sub_wg=part.sub_wg, relu=0,
            undrained=undrained, psum=slot * (tile.height * tile.width),
        )  # fmt: skip
        head[..., 1] = header(
            JOB_HEADER_1, nx=tile.width, ny=tile.height, dx=dx % config.columns, dy=dy % config.columns,
            base=page * (config.columns // 2),
        )  # fmt: skip
        head[..., 0] |= crc.of_packets(head, bodies, length - 2)
        found.append(head)
    return tuple(found)


def _sequence(part: JobPart, group: np.ndarray) -> np.ndarray:
    """The number, counted through a transfer, of the channel tile of every job of tile groups (G, 1): (G, J)."""
    return group * len(part.tiles) + part.tile


def _page(part: JobPart, tile: Tile, group: np.ndarray) -> np.ndarray:
    sequence = _sequence(part, group)
    return sequence % 2 if tile.double else np.zeros_like(sequence)


def _undrained(config: Config, part: JobPart, doubled: bool) -> np.ndarray:
    """How many final jobs of its sub-WG may still be unsent when a job starts that reuses their partial sums' place."""
    final = part.flags & FINAL != 0
    passes, jobs = int(part.turn[-1]) + 1, np.arange(len(final))
    # With stealing, sub-WGs share their partial sums.
    owners, owner = (1, np.zeros_like(part.sub_wg)) if config.stealing else (config.sub_wgs, part.sub_wg)
    # Final jobs of each pass and sub-WG; those before a job in its pass; the rank of the one with a slot.
    mine = owner == np.arange(owners)[:, None]  # (S, J)
    count = np.zeros((passes, owners), np.int64)
    np.add.at(count, (part.turn[final], owner[final]), 1)
    until = np.append(np.zeros((1, owners), np.int64), np.cumsum(count, axis=0), axis=0)
    before = (np.cumsum(mine & final, axis=1) - (mine & final))[owner, jobs] - until[part.turn, owner]
    rank = repeat(count[:, :, None], part.slots, axis=2) - 1  # where a pass has no such slot: its last
    rank[part.turn[final], owner[final], part.slot[final]] = before[final]
    # The place was used last in the pass before, or the one before that; a tile group follows the other.
    last = (part.turn - (2 if doubled else 1)) % passes
    allowed = count[last, owner] - 1 - rank[last, owner, part.slot] + before
    if doubled:
        allowed += count[(part.turn - 1) % passes, owner]
    allowed = np.where(allowed < MAX_UNSENT, np.minimum(allowed, NO_WAIT - 1), NO_WAIT)
    return np.where(part.flags & FIRST, allowed, NO_WAIT)


def _follow(config: Config, part: JobPart, tile: Tile) -> np.ndarray:
    """Columns of the next channel tile behind each job, in proportion to the jobs' data.

    None stand behind the first jobs of a tile: until all sub-WGs have started, the page they go to may be in use.
    """
    jobs = bincount(part.tile)
    index = within(jobs)
    first = np.minimum(2 * config.sub_wgs - 1, jobs - 1) if tile.double else jobs - 1
    weight = np.where(index >= first[part.tile], part.chunks, 0).astype(np.float64)
    total = bincount(part.tile, weight)
    until = np.cumsum(weight) - (np.cumsum(total) - total)[part.tile]
    until = np.floor(until / total[part.tile] * tile.size + 1e-6).astype(np.int64)
    return np.where(index == 0, until, np.diff(until, prepend=0))


# -- a run -------------------------------------------------------------------------------------------
def transfers(plan: ConvPlan, program: Program, image: np.ndarray, zero_point: int):
    """The streams of a program with their activations, and the beats of sums each returns.

    Args:
        image: uint64 (columns, 4), the input as stream beats; its last pixel is zero.
        zero_point: ignored: the zena engine takes activations without one.
    """
    blocks = sum(blocks_of(plan))
    # One column more that has no channels: blocks beyond the last.
    values = np.concatenate([image.view(np.int16), np.zeros((1, 16), np.int16)])
    if skips(plan.mode)[1]:
        present = values != 0
    else:
        present = np.concatenate([np.tile(present_channels(plan), (len(image) // blocks, 1)), np.zeros((1, 16), bool)])
    for heads, (first, end) in zip(program.heads, program.spans, strict=True):
        yield _transfer(plan, program, heads, values, present, blocks, first, end)


def _transfer(plan, program, heads, values, present, blocks, first, end) -> tuple[np.ndarray, int]:
    config, part, tile = plan.config, program.part, program.tile
    groups, tiles, jobs = end - first, len(part.tiles), len(part.tile)
    wgs = np.full(groups, config.wgs)
    if end == tile.groups:
        wgs[-1] = tile.last_wgs
    sequence = _sequence(part, np.arange(groups)[:, None])

    # Pieces of activations: (tile group, channel tile, first column, columns), in stream order; the first apart.
    follows = np.broadcast_to(program.follow > 0, sequence.shape) & (sequence + 1 < groups * tiles)
    group, job = np.nonzero(follows)
    number = np.append(0, sequence[group, job] + 1)
    start, count = np.append(0, program.start[job]), np.append(tile.size, program.follow[job])
    acts, beats = _activations(config, program, values, present, blocks, first, wgs, number, start, count)

    # Where everything stands: ZACT, then for every tile group and job: JOB, [ZACT].
    length = np.zeros((groups, jobs, 2), np.int64)
    length[:, :, 0] = program.length
    length[group, job, 1] = beats[1:]
    at = (beats[0] + np.cumsum(length) - length.ravel()).reshape(length.shape)
    stream = np.zeros(beats[0] + length.sum(), np.uint64)
    owner = repeat(np.arange(jobs), program.length)
    stream[at[:, owner, 0] + within(program.length)] = program.jobs
    stream[at[:, :, 0]], stream[at[:, :, 0] + 1] = heads[..., 0], heads[..., 1]
    stream[repeat(np.append(0, at[group, job, 1]), beats) + within(beats)] = acts
    return stream, int(_sum_beats(config, part, tile, wgs).sum())


def _activations(config, program, values, present, blocks, first, wgs, number, start, count):
    """ZACT packets one after the other, and the beats of each.

    Args:
        first: first tile group of the transfer; wgs: work groups in use in each of its tile groups.
        number, start, count: int (pieces,), channel tile counted through the transfer, first column, columns.
    """
    part, tile = program.part, program.tile
    group, channel_tile = np.divmod(number, len(part.tiles))
    lanes = -(-wgs[group] // LANES) * LANES
    piece = repeat(np.arange(len(number)), lanes)
    wg = within(lanes)
    rows = np.where(wg < wgs[group[piece]], count[piece], 0)
    piece_of, wg_of = repeat(piece, rows), repeat(wg, rows)
    address = start[piece_of] + within(rows)
    block = part.tiles[channel_tile[piece_of]]
    column = program.source[(first + group[piece_of]) * config.wgs + wg_of, address] + block
    # Layout: block is the fastest in an address.
    beyond = address % part.layout.blocks + part.block0 + block >= blocks
    column = np.where(beyond, len(values) - 1, column)
    words, beats = lane_groups(values[column], present[column], rows)
    piece_beats = bincount(repeat(np.arange(len(number)), lanes // LANES), beats).astype(np.int64) + 1
    packets = np.zeros(piece_beats.sum(), np.uint64)
    at = np.cumsum(piece_beats) - piece_beats
    page = number % 2 if tile.double else np.zeros_like(number)
    address = page * (config.columns // 2) + start
    packets[at] = header(ZACT_HEADER, kind=KIND_ZACT, page=page, wgs=wgs[group], address=address, count=count)
    body = np.ones(len(packets), bool)
    body[at] = False
    packets[body] = words
    crc.seal(packets, at, piece_beats)
    return packets, piece_beats


def collect(config: Config, program: Program, outs: list[np.ndarray]) -> np.ndarray:
    """All transfers' sums by rectangle: int32 (rectangles, final jobs * PEs, height, width)."""
    tile = program.tile
    finals = int(np.count_nonzero(program.part.flags & FINAL))
    found = []
    for (first, end), out in zip(program.spans, outs, strict=True):
        full = end - first - (end == tile.groups and tile.last_wgs < config.wgs)
        at = 0
        for groups, wgs in ((full, config.wgs), (end - first - full, tile.last_wgs)):
            size = groups * int(_sum_beats(config, program.part, tile, wgs))
            sums = out[at : at + size].view(np.int32)
            sums = sums.reshape(groups, finals, tile.height, tile.width, config.sub_filters, -(-wgs // 2) * 2)
            sums = sums[..., :wgs].transpose(0, 5, 1, 4, 2, 3)
            found.append(sums.reshape(groups * wgs, finals * config.sub_filters, tile.height, tile.width))
            at += size
    return np.concatenate(found)
