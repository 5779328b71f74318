"""Compiling a convolution: choosing how it is laid out and cut into parts, and scheduling the parts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..errors import InputError
from ..hardware.config import Config, get_config
from ..runtime.modes import checked_mode, skips
from ..runtime.program import BLOCKINGS, ConvPlan, Part, activation_limit, view_of
from ..runtime.tiling import Layout, View, choose_tile
from . import jobs
from .allocate import ALLOCATIONS
from .blocks import Blocked, block
from .columns import choose_layout
from .logquant import EXPONENT_MAX, is_log_quant
from .pack import pack
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN, schedule

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
    mode: str | None = None,
    activation_skip: bool = True,
    clip: int = 0,
    act_max: int = 255,
    name: str = "conv",
    input_shape: tuple[int, int] | None = None,
    allocation: str | None = None,
    act_density: float = 0.45,
) -> ConvPlan:
    """Compile a convolution for one build of the hardware.

    Args:
        config: the build.
        w: int8 (K, C / groups, R, S); int16, too, on a build with ``weight_w`` 16, or LogQuant's powers of two on
            one with ``weight_w`` 5.
        stride, dilation: (vertical, horizontal).
        padding: zeros around the map: (top, left, bottom, right).
        groups: groups of channels.
        mode: what is skipped, one of the engine's ``runtime.modes.MODES``; default: its last, the fastest.
        activation_skip: trident: let the online scheduler drop steps whose activations are all zero.  On zena the
            mode says so.
        clip: threshold of Kang's equation 1: outliers at most this far outside [-8, 7] become non-outliers.
        act_max: largest activation magnitude the layer must be able to meet without overflow of its sums.
        name: the layer, for messages.
        input_shape: (H, W) the plan is tuned for; it runs maps of any size.
        allocation: zena: how kernels are allocated to PEs, one of ``allocate.ALLOCATIONS``; default: "balanced" in
            mode "WAZ+KA", else "index".
        act_density: zena: share of non-zero activations that tiles are chosen for.

    Raises:
        InputError: something the engine cannot compute exactly; the message names the layer and what is accepted.
    """
    config = get_config(config)
    mode = checked_mode(config, mode, f"layer {name!r}: ")
    if not 0 <= act_density <= 1:
        raise InputError(f"layer {name!r}: activation density {act_density!r}; accepted: 0 to 1")
    w, stride, padding, dilation = _checked(config, w, stride, padding, dilation, groups, clip, act_max, name)
    if allocation is None:
        allocation = "balanced" if mode == "WAZ+KA" else "index"
    elif allocation not in ALLOCATIONS or config.engine != "zena":
        raise InputError(f"layer {name!r}: allocation {allocation!r}; accepted, on zena: {', '.join(ALLOCATIONS)}")
    density = act_density if skips(mode)[1] else 1.0
    w = clipped(w, clip) if clip else w
    out_size = _out_size(w, stride, padding, dilation, input_shape or _TYPICAL_MAP)
    found = []
    for blocking in BLOCKINGS:
        # Filters in lockstep are trident's; a zena job takes any filters that read the same blocks.
        lockstep = config.filters if config.engine == "trident" else 1
        blocked = block(config.lanes, lockstep, w, groups, dilation, blocking)
        if blocked is not None:
            view = view_of(blocking, 1, *out_size, w.shape[2:], stride, dilation)
            if config.engine == "trident":
                choice, cycles = _choose_pieces(config, blocked, view)
            else:
                choice, cycles = jobs.choose_passes(config, blocked, view, mode, density)
            found.append((cycles * (_FOLD_COST if blocking == "folded" else 1), choice, blocked))
    # Something always fits: single blocks of a pointwise layer.
    _, choice, blocked = min(found, key=lambda found: found[0])
    if config.engine == "trident":
        parts = _parts(config, blocked, choice, mode)
    else:
        parts = jobs.make_parts(config, blocked, choice, mode, allocation, density)
    return ConvPlan(
        name, config, w, stride, padding, dilation, groups, mode, bool(activation_skip), blocked.blocking, parts
    )


def clipped(w: np.ndarray, threshold: int) -> np.ndarray:
    """Kang's equation 1: outliers within ``threshold`` of the non-outlier range become its nearest end."""
    w = np.where((w >= NON_OUTLIER_MIN - threshold) & (w < NON_OUTLIER_MIN), NON_OUTLIER_MIN, w)
    return np.where((w > NON_OUTLIER_MAX) & (w <= NON_OUTLIER_MAX + threshold), NON_OUTLIER_MAX, w).astype(np.int8)


def _cut(blocked: Blocked, pieces: int) -> list[tuple[int, int]]:
    bounds = np.linspace(0, blocked.blocks, pieces + 1).astype(int).tolist()
    return [(a, b) for a, b in pairwise(bounds) if b > a]


def _choose_pieces(config: Config, blocked: Blocked, view: View) -> tuple[int, float]:
    """Into how many parts to cut the channel blocks, and the modelled cycles; 0 parts: it does not fit at all."""
    w = blocked.weights
    lanes = config.lanes
    nonzero = w != 0
    outlier = nonzero & ((w < NON_OUTLIER_MIN) | (w > NON_OUTLIER_MAX))
    # Per filter group and block: steps of the fullest filter were the schedule perfect, and the window's limit.
    load = (nonzero.sum((2, 3, 5)) + outlier.sum((2, 3, 5))) / (2 * lanes)  # (E, M, B)
    columns = nonzero.any(5).any(1).sum((1, 2)) / config.window  # (E, B)
    taps = blocked.kernel[0] * blocked.kernel[1]
    best, best_cycles = 0, np.inf
    for pieces in _piece_counts(blocked.blocks) if taps <= config.steps else ():
        cycles = 0.0
        for first, end in _cut(blocked, pieces):
            inside = _inside(blocked, first, end)
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


def _inside(blocked: Blocked, first: int, end: int) -> np.ndarray:
    """bool (E, B): blocks of each filter group that lie in a part."""
    return blocked.needed & (blocked.place >= first) & (blocked.place < end)


def _layout(config: Config, blocked: Blocked, inside: np.ndarray, first: int, end: int) -> Layout | None:
    return choose_layout(config, end - first, int(inside.sum(1).max()), blocked.kernel, blocked.dilation)


def _piece_counts(blocks: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12 ... and one block each."""
    counts = {n for power in range(blocks.bit_length()) for n in (1 << power, 3 << power) if n < blocks}
    return sorted(counts | {blocks})


def _parts(config: Config, blocked: Blocked, pieces: int, mode: str) -> tuple[Part, ...]:
    """Schedule the layer in at least ``pieces`` parts, more where a run has too many steps."""
    for count in _piece_counts(blocked.blocks):
        if count < pieces:
            continue
        parts = []
        for first, end in _cut(blocked, count):
            part = _part(config, blocked, first, end, mode)
            if part is None:
                break
            parts.append(part)
        else:
            return tuple(parts)
    raise AssertionError("the columns of one block always fit the steps of a run: _choose_pieces has seen to that")


def _part(config: Config, blocked: Blocked, first: int, end: int, mode: str) -> Part | None:
    """Schedule blocks ``first`` to ``end``; None if that takes more steps or columns than the build has."""
    inside = _inside(blocked, first, end)
    runs = np.flatnonzero(inside.any(1))
    used = np.flatnonzero(inside.any(0))
    rows, columns = blocked.kernel
    layout = _layout(config, blocked, inside, first, end)
    if layout is None:
        return None
    w = blocked.weights[runs][:, :, :, :, used]  # (E, M, R, S, B, L)
    inside, place = inside[np.ix_(runs, used)], blocked.place[np.ix_(runs, used)]
    w = np.where(inside[:, None, None, None, :, None], w, np.int8(0))
    tap = np.arange(rows * columns)[:, None] * layout.blocks
    ids = np.where(inside[:, None], tap + (place - first)[:, None], -1).reshape(len(runs), -1)
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


def _out_size(w, stride, padding, dilation, shape: tuple[int, int]) -> tuple[int, int]:
    """Output size for the map a layer is tuned for; at least one pixel."""
    top, left, bottom, right = padding
    axes = zip(shape, (top + bottom, left + right), w.shape[2:], dilation, stride, strict=True)
    return tuple(
        max((size + pad - (taps - 1) * dilation - 1) // stride + 1, 1) for size, pad, taps, dilation, stride in axes
    )


def _checked(config, w, stride, padding, dilation, groups, clip, act_max, name):
    """Validated and normalised arguments of :func:`compile_conv`."""
    where = f"layer {name!r}"
    types = [np.int8] if config.weight_w == 8 else [np.int8, np.int16]
    if not isinstance(w, np.ndarray) or w.dtype not in types:
        raise InputError(
            f"{where}: weights of type {getattr(w, 'dtype', type(w).__name__)}; accepted by configuration "
            f"{config.name!r} (weight_w = {config.weight_w}): {' or '.join(t.__name__ for t in types)} array"
        )
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
    if config.weight_w == 5 and not is_log_quant(w).all():
        raise InputError(
            f"{where}: weight {w[~is_log_quant(w)][0]} on configuration {config.name!r} with weight_w = 5 (LogQuant); "
            f"accepted: 0 and ±2**e, e from 0 to {EXPONENT_MAX}; compiler.logquant.log_quantise makes them"
        )
    if not isinstance(clip, (int, np.integer)) or not 0 <= clip <= 120:
        raise InputError(f"{where}: clipping threshold {clip!r}; accepted: 0 to 120")
    if clip and w.dtype != np.int8:
        raise InputError(f"{where}: clipping of {w.dtype} weights; accepted: int8, or clip = 0")
    if not 1 <= act_max <= config.act_max:
        raise InputError(f"{where}: activations up to {act_max}; accepted by this build: 1 to {config.act_max}")
    limit = activation_limit(w)
    if limit < act_max:
        raise InputError(
            f"{where}: a sum can overflow 32 bits with activations of {limit + 1}, and {act_max} may occur; accepted: "
            f"sum of |weights| of a filter at most {((1 << 31) - 1) // act_max}: scale the weights down"
        )
    return w, stride, padding, dilation
