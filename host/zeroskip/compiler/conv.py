"""Compiling a convolution: how its channels lie in columns, how it is cut into parts, and its schedules."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware.config import Config, get_config
from ..runtime.program import BLOCKINGS, ConvPlan, Part, activation_limit, view_of
from ..runtime.tiling import Layout, View, choose_tile
from .columns import choose_layout
from .pack import pack
from .schedule import MODES, NON_OUTLIER_MAX, NON_OUTLIER_MIN, schedule

_TYPICAL_MAP = (32, 32)  # what a layer's layout is chosen for when its input size is not known

# What the host's share of the work counts in parts of a layer's cycles: adding one more part's sums, folding.
_PART_COST = 0.03
_FOLD_COST = 1.05


def compile_conv(
    config: Config | str,
    w: np.ndarray,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    mode: str = "combined",
    activation_skip: bool = True,
    clip: int = 0,
    act_max: int = 255,
    name: str = "conv",
    input_shape: tuple[int, int] | None = None,
) -> ConvPlan:
    """Compile a convolution for one build of the hardware.

    Args:
        config: the build.
        w: int8 (K, C / groups, R, S), none of them -128.
        stride, dilation: (vertical, horizontal).
        padding: zeros around the map: (top, left, bottom, right).
        groups: groups of channels.
        mode: ``dense``, ``zero_skip`` or ``combined``.
        activation_skip: let the online scheduler drop steps whose activations are all zero.
        clip: threshold of Kang's equation 1: outliers at most this far outside [-8, 7] become non-outliers.
        act_max: largest activation magnitude the layer must be able to meet without overflow of its sums.
        name: the layer, for messages.
        input_shape: (H, W) the plan is tuned for; it runs maps of any size.

    Raises:
        InputError: something the engine cannot compute exactly; the message names the layer and what is accepted.
    """
    config = get_config(config)
    w, stride, padding, dilation = _checked(config, w, stride, padding, dilation, groups, mode, clip, act_max, name)
    w = clipped(w, clip)
    layer = _Layer(config, w, stride, padding, dilation, groups, name)
    out_size = _out_size(layer, input_shape or _TYPICAL_MAP)
    best = None
    for blocking in BLOCKINGS:
        blocked = _blocked(layer, blocking)
        if blocked is None:
            continue
        view = view_of(blocking, 1, *out_size, w.shape[2:], stride, dilation)
        pieces, cycles = _choose_pieces(config, blocked, view)
        cycles *= _FOLD_COST if blocking == "folded" else 1
        if pieces and (best is None or cycles < best[0]):
            best = cycles, blocked, pieces
    if best is None:
        raise InputError(f"layer {name!r} does not fit configuration {config.name!r}")
    _, blocked, pieces = best
    parts = _parts(config, blocked, pieces, mode)
    return ConvPlan(
        name, config, w, stride, padding, dilation, groups, mode, bool(activation_skip), blocked.blocking, parts
    )


def clipped(w: np.ndarray, threshold: int) -> np.ndarray:
    """Kang's equation 1: outliers within ``threshold`` of the non-outlier range become its nearest end."""
    w = np.where((w >= NON_OUTLIER_MIN - threshold) & (w < NON_OUTLIER_MIN), NON_OUTLIER_MIN, w)
    return np.where((w > NON_OUTLIER_MAX) & (w <= NON_OUTLIER_MAX + threshold), NON_OUTLIER_MAX, w).astype(np.int8)


@dataclass(frozen=True)
class _Layer:
    config: Config
    w: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    name: str


@dataclass(frozen=True)
class _Blocked:
    """A layer's weights as filter groups over channel blocks.

    Attributes:
        blocking: one of ``BLOCKINGS``.
        blocks: channel blocks of the layer.
        kernel, dilation: as the engine sees them.
        filters: int32 (E, M), -1 where there is none.
        first: int64 (E,), a filter group's first block.
        weights: int8 (E, M, R, S, B, L), over the filter group's B blocks.
    """

    blocking: str
    blocks: int
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    filters: np.ndarray
    first: np.ndarray
    weights: np.ndarray


def _blocked(layer: _Layer, blocking: str) -> _Blocked | None:
    """Lay the channels out; None where this blocking would be the same as a simpler one."""
    w, groups, lanes, lockstep = layer.w, layer.groups, layer.config.lanes, layer.config.filters
    count, channels, rows, columns = w.shape
    kernel, dilation = (rows, columns), layer.dilation
    if blocking == "packed" and (groups == 1 or channels % lanes == 0):
        return None
    if blocking == "folded":
        if rows * columns == 1:
            return None
        w = w.reshape(count, -1, 1, 1)
        channels, rows, columns = w.shape[1:]
        kernel, dilation = (1, 1), (1, 1)
    if blocking == "packed":
        # Filters of neighbouring groups may run in lockstep: their blocks are neighbours too.
        filters = _lockstep(np.arange(count)[None], lockstep)
        group = np.arange(count) // (count // groups)
        start = group * channels
        low = np.array([start[f[f >= 0]].min() // lanes for f in filters])
        high = np.array([(start[f[f >= 0]].max() + channels - 1) // lanes for f in filters])
        blocks, span = -(-channels * groups // lanes), int((high - low).max()) + 1
        low = np.minimum(low, blocks - span)  # so that every span ends within the map
    else:
        filters = _lockstep(np.arange(count).reshape(groups, -1), lockstep)
        span = -(-channels // lanes)
        group = filters[:, 0] // (count // groups)
        start = np.zeros(count, np.int64)
        low, blocks = group * span, span * groups
    weights = np.zeros((len(filters), lockstep, rows, columns, span * lanes), np.int8)
    e, m = np.nonzero(filters >= 0)
    k = filters[e, m]
    shift = start[k] - low[e] * lanes if blocking == "packed" else np.zeros(len(k), np.int64)
    for offset in np.unique(shift):
        some = shift == offset
        weights[e[some], m[some], :, :, offset : offset + channels] = w[k[some]].transpose(0, 2, 3, 1)
    weights = weights.reshape(len(filters), lockstep, rows, columns, span, lanes)
    return _Blocked(blocking, blocks, kernel, dilation, filters, low, weights)


def _lockstep(filters: np.ndarray, size: int) -> np.ndarray:
    """Group filters (groups, n) by ``size`` within their group: int32 (E, size), filled up with -1."""
    groups, count = filters.shape
    padded = np.full((groups, -(-count // size) * size), -1, np.int32)
    padded[:, :count] = filters
    return padded.reshape(-1, size)


def _cut(blocked: _Blocked, pieces: int) -> list[tuple[int, int]]:
    bounds = np.linspace(0, blocked.blocks, pieces + 1).astype(int).tolist()
    return [(a, b) for a, b in pairwise(bounds) if b > a]


def _choose_pieces(config: Config, blocked: _Blocked, view: View) -> tuple[int, float]:
    """Into how many parts to cut the channel blocks, and the modelled cycles; 0 parts: it does not fit at all."""
    w = blocked.weights
    lanes = config.lanes
    nonzero = w != 0
    outlier = nonzero & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))
    # Per filter group and block: steps of the fullest filter were the schedule perfect, and the window's limit.
    load = (nonzero.sum((2, 3, 5)) + outlier.sum((2, 3, 5))) / (2 * lanes)  # (E, M, B)
    columns = nonzero.any(5).any(1).sum((1, 2)) / config.window  # (E, B)
    block = blocked.first[:, None] + np.arange(w.shape[4])  # (E, B)
    taps = blocked.kernel[0] * blocked.kernel[1]
    best, best_cycles = 0, np.inf
    for pieces in _piece_counts(blocked.blocks) if taps <= config.steps else ():
        cycles = 0.0
        for first, end in _cut(blocked, pieces):
            inside = (block >= first) & (block < end)
            runs = inside.any(1)
            steps = np.maximum((load * inside[:, None]).sum(2).max(1) * 1.2, (columns * inside).sum(1))[runs]
            layout = _layout(config, blocked, inside, first, end)
            if layout is None:
                break
            cycles += choose_tile(config, view, layout, np.maximum(steps, 1), 0).cycles
        else:
            cycles *= 1 + _PART_COST * (pieces - 1)
            if cycles < best_cycles:
                best, best_cycles = pieces, cycles
            elif pieces >= 4 * best:
                break
    return best, best_cycles


def _layout(config: Config, blocked: _Blocked, inside: np.ndarray, first: int, end: int) -> Layout | None:
    return choose_layout(config, end - first, int(inside.sum(1).max()), blocked.kernel, blocked.dilation)


def _piece_counts(blocks: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12 ... and one block each."""
    counts = {n for power in range(blocks.bit_length()) for n in (1 << power, 3 << power) if n < blocks}
    return sorted(counts | {blocks})


def _parts(config: Config, blocked: _Blocked, pieces: int, mode: str) -> tuple[Part, ...]:
    """Schedule the layer in at least ``pieces`` parts, more where a run has too many steps."""
    counts = [n for n in _piece_counts(blocked.blocks) if n >= pieces]
    for count in counts:
        parts = []
        for first, end in _cut(blocked, count):
            part = _part(config, blocked, first, end, mode)
            if part is None:
                break
            parts.append(part)
        else:
            return tuple(parts)
    raise AssertionError("the columns of one block always fit the steps of a run: _choose_pieces has seen to that")


def _part(config: Config, blocked: _Blocked, first: int, end: int, mode: str) -> Part | None:
    """Schedule blocks ``first`` to ``end``; None if that takes more steps or columns than the build has."""
    block = blocked.first[:, None] + np.arange(blocked.weights.shape[4])
    inside = (block >= first) & (block < end)
    runs = np.flatnonzero(inside.any(1))
    used = np.flatnonzero(inside.any(0))
    rows, columns = blocked.kernel
    layout = _layout(config, blocked, inside, first, end)
    if layout is None:
        return None
    w = blocked.weights[runs][:, :, :, :, used]  # (E, M, R, S, B, L)
    inside, block = inside[np.ix_(runs, used)], block[np.ix_(runs, used)]
    w = np.where(inside[:, None, None, None, :, None], w, np.int8(0))
    tap = np.arange(rows * columns)[:, None] * layout.blocks
    ids = np.where(inside[:, None], tap + (block - first)[:, None], -1).reshape(len(runs), -1)
    bank = layout.offsets(blocked.kernel, blocked.dilation, layout.residue) % config.banks
    found = schedule(w.reshape(len(runs), config.filters, -1, config.lanes), ids, bank, config, mode)
    if found.steps.max() > config.steps:
        return None
    nonzero = np.count_nonzero(w, axis=(1, 2, 3, 4, 5))
    outliers = np.count_nonzero((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX), axis=(1, 2, 3, 4, 5))
    return Part(
        first,
        layout,
        blocked.filters[runs],
        found.steps,
        np.count_nonzero(ids >= 0, axis=1).astype(np.int32),
        (nonzero + outliers) / (2.0 * config.lanes * config.filters),
        found.slots,
        pack(found, config),
    )


def _out_size(layer: _Layer, shape: tuple[int, int]) -> tuple[int, int]:
    """Output size for the map a layer is tuned for; at least one pixel."""
    top, left, bottom, right = layer.padding
    axes = zip(shape, (top + bottom, left + right), layer.w.shape[2:], layer.dilation, layer.stride, strict=True)
    return tuple(
        max((size + pad - (taps - 1) * dilation - 1) // stride + 1, 1) for size, pad, taps, dilation, stride in axes
    )


def _checked(config, w, stride, padding, dilation, groups, mode, clip, act_max, name):
    """Validated and normalised arguments of :func:`compile_conv`."""
    where = f"layer {name!r}"
    if not isinstance(w, np.ndarray) or w.dtype != np.int8:
        raise InputError(f"{where}: weights of type {getattr(w, 'dtype', type(w).__name__)}; accepted: int8 array")
    if w.ndim != 4 or 0 in w.shape:
        raise InputError(f"{where}: weights of shape {w.shape}; accepted: (K, C / groups, R, S), none of them 0")

    def integers(what, values, length, low):
        values = (values,) * length if isinstance(values, (int, np.integer)) else tuple(values)
        if len(values) != length or any(not isinstance(v, (int, np.integer)) or v < low for v in values):
            raise InputError(f"{where}: {what} {values}; accepted: {length} integers of at least {low}")
        return tuple(map(int, values))

    stride = integers("stride", stride, 2, 1)
    padding = integers("padding", padding, 4, 0)
    dilation = integers("dilation", dilation, 2, 1)
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 1 or w.shape[0] % groups:
        raise InputError(f"{where}: {groups} groups for {w.shape[0]} filters; accepted: a divisor of the filters")
    if mode not in MODES:
        raise InputError(f"{where}: mode {mode!r}; accepted: {', '.join(MODES)}")
    if not isinstance(clip, (int, np.integer)) or not 0 <= clip <= 120:
        raise InputError(f"{where}: clipping threshold {clip!r}; accepted: 0 to 120")
    if not 1 <= act_max <= config.act_max:
        raise InputError(f"{where}: activations up to {act_max}; accepted by this build: 1 to {config.act_max}")
    limit = activation_limit(w)
    if limit < act_max:
        raise InputError(
            f"{where}: a sum can overflow 32 bits with activations of {limit + 1}, and {act_max} may occur; accepted: "
            f"sum of |weights| of a filter at most {((1 << 31) - 1) // act_max}: scale the weights down"
        )
    return w, stride, padding, dilation
