"""Compiling a convolution: choosing how it is laid out and cut into parts, and scheduling the parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..hardware.config import Config, get_config
from ..runtime.modes import checked_mode, skips
from ..runtime.phases import phased_weights
from ..runtime.program import BLOCKINGS, ConvPlan, activation_limit, view_of
from ..runtime.tiling import View
from . import gather_apart, gather_places, jobs, parts
from .allocate import ALLOCATIONS
from .blocks import block
from .logquant import EXPONENT_MAX, is_log_quant
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

_TYPICAL_MAP = (32, 32)  # what a layer's layout is chosen for when its input size is not known

PHASES = (1, 2, 4)
"""Pixels of a row that one column of a depthwise layer may hold on the gather engine."""

_FOLD_COST = 1.05  # what the host's share of the work, folding, counts in parts of a layer's cycles


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
    for way in _ways(config, w, stride, dilation, groups, mode):
        seen, steps, (rows, columns) = w, stride, out_size
        if way.phases > 1:
            seen, steps = phased_weights(w, way.phases, stride[1]), (stride[0], 1)
            columns = -(-columns * stride[1] // way.phases)
        view = view_of(way.blocking, 1, rows, columns, seen.shape[2:], steps, dilation)
        for option in _options(config, way, seen, view, groups, dilation, mode, density):
            found.append((*option, view, way.phases))
    # Something always fits: single blocks of a pointwise layer.
    _, choice, blocked, placed, view, phases = min(found, key=lambda found: found[0])
    if placed is not None and not blocked.apart:
        blocked = gather_places.arrange(blocked, placed, mode, config.acts)
    if config.scheduled:
        made = parts.make_parts(config, blocked, view, choice, mode)
    else:
        made = jobs.make_parts(config, blocked, choice, mode, allocation, density)
    if phases > 1:  # the dense schedule has none
        made = tuple(replace(part, dense=np.full_like(part.dense, w[0].size)) for part in made)
    return ConvPlan(
        name, config, w, stride, padding, dilation, groups, mode, bool(activation_skip), blocked.blocking, made,
        placed, phases,
    )  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """How a layer may be laid out; phases, copies of every channel, and lanes apart are for packed layers on gather."""

    blocking: str
    phases: int = 1
    copies: int = 1
    apart: bool = False


def _ways(config: Config, w: np.ndarray, stride: tuple[int, int], dilation: tuple[int, int], groups: int, mode: str):
    for blocking in BLOCKINGS:
        if config.engine != "gather" or blocking != "packed":
            yield _Way(blocking)
            continue
        combined, one_channel = mode == "combined", w.shape[1] == 1
        for phases in PHASES if combined and one_channel and dilation[1] == 1 else PHASES[:1]:
            if phases == 1 or phases % stride[1] == 0:
                for copies in gather_places.PACKED_COPIES if combined else (1,):
                    if phases * copies <= config.acts // 2:
                        yield _Way(blocking, phases, copies)
                    if groups > 1 and phases * copies <= 2 and (one_channel or copies == 1):  # the banks of a lane
                        yield _Way(blocking, phases, copies, apart=True)


def _options(config, way: _Way, w: np.ndarray, view: View, groups: int, dilation, mode: str, density: float):
    """Ways to compute a layer laid out so: (modelled cycles, how it is cut, layer, ``ConvPlan.placed``)."""
    if way.apart:
        blocked, placed = gather_apart.lay_out(w, groups, config.acts, dilation, mode, way.copies > 1)
        choice, cycles = parts.choose_pieces(config, gather_places.sample(blocked), view, mode, len(blocked.filters))
        yield cycles, choice, blocked, placed
        return
    # Filters in lockstep are trident's; a zena job takes any filters that read the same blocks.
    lockstep = config.filters if config.engine == "trident" else 1
    # Where every channel is to have copies, a block has fewer channels than places.
    blocked = block(config.acts // way.copies, lockstep, w, groups, dilation, way.blocking)
    if blocked is None:
        return
    cost = _FOLD_COST if way.blocking == "folded" else 1
    if config.engine == "zena":
        choice, cycles = jobs.choose_passes(config, blocked, view, mode, density)
        yield cost * cycles, choice, blocked, None
    elif config.engine == "trident":
        choice, cycles = parts.choose_pieces(config, blocked, view, mode)
        yield cost * cycles, choice, blocked, None
    else:
        if way.blocking == "packed":
            places = [gather_places.place_packed(blocked.blocks, config.acts, groups * w.shape[1], way.copies)]
        else:
            load = gather_places.loads(blocked, groups)
            shares = gather_places.COPIES if mode == "combined" else (0.0,)
            places = [gather_places.place(load, config.acts, mode, share) for share in shares]
        few = gather_places.sample(blocked)
        for placed in places:
            arranged = gather_places.arrange(few, placed, mode, config.acts)
            choice, cycles = parts.choose_pieces(config, arranged, view, mode, len(blocked.filters))
            yield cost * cycles, choice, blocked, placed


def clipped(w: np.ndarray, threshold: int) -> np.ndarray:
    """Kang's equation 1: outliers within ``threshold`` of the non-outlier range become its nearest end."""
    w = np.where((w >= NON_OUTLIER_MIN - threshold) & (w < NON_OUTLIER_MIN), NON_OUTLIER_MIN, w)
    return np.where((w > NON_OUTLIER_MAX) & (w <= NON_OUTLIER_MAX + threshold), NON_OUTLIER_MAX, w).astype(np.int8)


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
