"""Compiling a convolution: choosing how it is laid out and cut into parts, and scheduling the parts."""

from __future__ import annotations

import numpy as np

from ..engines import checked_mode, engine_of
from ..errors import InputError
from ..hardware.config import Config, get_config
from ..runtime.program import ConvPlan, activation_limit
from .convolution import Convolution
from .logquant import EXPONENT_MAX, is_log_quant
from .schedule import NON_OUTLIER_MAX, NON_OUTLIER_MIN

_TYPICAL_MAP = (32, 32)  # what a layer's layout is chosen for when its input size is not known


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
        mode: what is skipped, one of the engine's ``modes``; default: its last, the fastest.
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
    engine = engine_of(config)
    allocation = engine.allocation(mode, allocation, f"layer {name!r}: ")
    w = clipped(w, clip) if clip else w
    out_size = _out_size(w, stride, padding, dilation, input_shape or _TYPICAL_MAP)
    density = act_density if engine.meets_nonzero_only(mode) else 1.0
    layer = Convolution(config, w, stride, dilation, groups, mode, out_size, density, allocation)
    # Something always fits: single blocks of a pointwise layer.
    option = min(engine.layouts(layer), key=lambda option: option.cycles)
    made = engine.schedule(layer, option)
    return ConvPlan(
        name, config, w, stride, padding, dilation, groups, mode, bool(activation_skip), option.blocked.blocking, made,
        option.placed, option.phases,
    )  # fmt: skip


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
