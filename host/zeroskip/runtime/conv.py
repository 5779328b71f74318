"""Running compiled convolutions on a device: activations in, exact 32-bit sums or the next activations out."""

from __future__ import annotations

import numpy as np

from ..engines import engine_of
from ..errors import ConfigError, InputError
from ..hardware.packets import FORMAT_S16, FORMAT_U8
from . import glue
from .hostops import Finish, Quant
from .image import column_image, pixel_map
from .kept import kept
from .phases import join
from .program import ConvPlan, blocks_of

_PROGRAM_BEATS = 1 << 22
"""A batch is run in shares whose programs take at most this many beats each (but at least one image)."""

MAX_BEATS = 1 << 26
"""Beats that a program of one image may take: 512 MiB."""


def run_plan(device, plan: ConvPlan, x: np.ndarray):
    """Run a compiled convolution.

    Args:
        device: an open accelerator: ``config`` and ``execute(words, out_beats) -> (out, counters)``.
        plan: what ``compile_conv`` returned.
        x: int16 (N, C, H, W), activations with their zero point subtracted.

    Returns:
        Sums, int32 (N, K, OH, OW), exact, and the device's counters, added over all transfers.

    Raises:
        ConfigError: the device is another build than the plan is for.
        InputError: x has a wrong shape, type or range.
    """
    _check_device(device, plan)
    return _run(device, plan, x, *activation_format(*check_input(plan, x)))


def run_layer(device, plan: ConvPlan, x: np.ndarray, quant: Quant, finish: Finish):
    """Run a compiled convolution from activations to activations, finished by the device's glue where it can.

    Args:
        device, plan: as in :func:`run_plan`.
        x: q (N, C, H, W) of type ``quant.dtype``.
        finish: what becomes of the sums.

    Returns:
        q (N, K, OH, OW) of type ``finish.quant.dtype``, and the device's counters.

    Raises:
        ConfigError: the device is another build than the plan is for.
        InputError: x has a wrong shape, type or range.
    """
    _check_device(device, plan)
    if x.dtype == np.uint8 and quant.reach <= plan.act_max:
        _check_shape(plan, x)
        values, how = x, (FORMAT_U8, quant.zero_point)
    else:
        values = np.subtract(x, quant.zero_point, dtype=np.int16)
        how = activation_format(*check_input(plan, values))
    if glue.usable(device, plan):
        return _run(device, plan, values, *how, finish)
    sums, counters = _run(device, plan, values, *how)
    return finish(sums), counters


def _check_device(device, plan: ConvPlan) -> None:
    if device.config.hash != plan.config.hash:
        raise ConfigError(
            f"layer {plan.name!r} is compiled for configuration {plan.config.name!r}, the device is "
            f"{device.config.name!r}; they differ in {', '.join(plan.config.differences(device.config))}"
        )


def _run(device, plan: ConvPlan, x: np.ndarray, act_format: int, zero_point: int, finish: Finish | None = None):
    """Sums, or with ``finish`` results, and counters.  x: int16 without zero point, or uint8 with it."""
    dtype = np.int32 if finish is None else finish.quant.dtype
    rows, out_width = plan.output_size(*x.shape[2:])
    found = np.zeros((len(x), len(plan.weights) * plan.outputs, rows, -(-out_width // plan.outputs)), dtype)
    counters, engine = None, engine_of(plan.config)
    compress = getattr(device, "compress", False)
    options, execute = {}, {}
    if finish is not None:
        options = {"finish": finish, "compress": compress}
        execute = {"most": True} if compress else {}
    if not engine.takes_bytes:
        x = x if x.dtype == np.int16 else np.subtract(x, zero_point, dtype=np.int16)
        act_format, zero_point = FORMAT_S16, 0
    share = _share(plan, x.shape, act_format, finish is not None)
    for first in range(0, len(x), share):
        some = x[first : first + share]
        image = column_image(plan, some, act_format, zero_point)
        for program in programs(plan, some.shape, act_format, finish is not None):
            outs = []
            for words, out_beats in engine.transfers(plan, program, image, zero_point, **options):
                out, counted = device.execute(words, out_beats, **execute)
                counters = counted if counters is None else counters + counted
                outs.append(out)
            _add(found[first : first + share], program, engine.collect(plan.config, program, outs, **options))
    return found if plan.phases == 1 else join(found, plan.outputs, out_width), counters


def check_input(plan: ConvPlan, x: np.ndarray) -> tuple[int, int]:
    """Check a layer's input; returns its smallest and largest value (at most 0, at least 0)."""
    where = f"layer {plan.name!r}: input"
    if not isinstance(x, np.ndarray) or x.dtype != np.int16:
        raise InputError(f"{where} of type {getattr(x, 'dtype', type(x).__name__)}; accepted: int16 array")
    _check_shape(plan, x)
    low, high, limit = min(int(x.min()), 0), max(int(x.max()), 0), plan.act_max
    if low < -limit or high > limit:
        raise InputError(
            f"{where} holds {low if low < -limit else high}; accepted: -{limit} to {limit}, what configuration "
            f"{plan.config.name!r} holds and the layer's sums cannot overflow with"
        )
    return low, high


def _check_shape(plan: ConvPlan, x: np.ndarray) -> None:
    channels = plan.weights.shape[1] * plan.groups
    where = f"layer {plan.name!r}: input"
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape:
        raise InputError(f"{where} of shape {x.shape}; accepted: (N, {channels}, H, W), none of them 0")
    if min(plan.output_size(*x.shape[2:])) < 1:
        raise InputError(
            f"{where} of {x.shape[2]}x{x.shape[3]} pixels with padding {plan.padding}; accepted: maps the kernel "
            f"{plan.weights.shape[2]}x{plan.weights.shape[3]} with dilation {plan.dilation} fits into"
        )


def activation_format(low: int, high: int) -> tuple[int, int]:
    """Smallest ACT format for values in [low, high], which includes 0: (format, zero point)."""
    return (FORMAT_U8, -low) if high - low <= 255 else (FORMAT_S16, 0)


def layer_format(x: np.ndarray, quant: Quant) -> int:
    """ACT format in which :func:`run_layer` sends x."""
    if x.dtype == np.uint8:
        return FORMAT_U8
    zero = quant.zero_point
    return activation_format(min(int(x.min()) - zero, 0), max(int(x.max()) - zero, 0))[0]


def bounds(plan: ConvPlan, x: np.ndarray, quant: Quant, finish: bool = False) -> dict[str, float]:
    """Cycles of perfect hardware for a batch.

    Args:
        x: q (N, C, H, W) of type ``quant.dtype``, as :func:`run_layer` takes it.
        finish: as :func:`expected`.

    Returns:
        ``ideal_cycles``: as :func:`expected`; zena: the intersection bound, products of non-zero weights and
        non-zero activations over the PEs.  ``dense_cycles``: as :func:`expected`; zena: all products.
    """

    def steps() -> dict[str, float]:
        return expected(plan, len(x), *x.shape[2:], layer_format(x, quant), finish)

    return engine_of(plan.config).bounds(plan, x, quant, steps)


def expected(
    plan: ConvPlan, images: int, height: int, width: int, act_format: int = FORMAT_U8, finish: bool = False
) -> dict[str, float]:
    """What a batch of maps takes on trident or gather, without running it.

    Args:
        finish: the device's glue finishes the sums: tiles are chosen for that.

    Returns:
        ``step_cycles``: steps times pixels without activation skip; ``dense_cycles``: the same for the dense
        schedule; ``ideal_cycles``: for (non-outliers / 2 + outliers) / (LANES * FILTERS) steps per filter group.
    """
    key = ("expected", images, height, width, act_format, finish)
    return dict(kept(plan, key, lambda: _expected(plan, images, height, width, act_format, finish)))


def _expected(plan: ConvPlan, images: int, height: int, width: int, act_format: int, finish: bool) -> dict[str, float]:
    share = _share(plan, (images, plan.weights.shape[1] * plan.groups, height, width), act_format, finish)
    shares = [min(share, images - first) for first in range(0, images, share)]
    return engine_of(plan.config).expected(plan, shares, height, width, act_format, finish)


def programs(plan: ConvPlan, shape: tuple[int, ...], act_format: int, finish: bool = False) -> tuple:
    """The programs of a plan's parts for a batch of this shape; the last ones built are kept."""
    key = (shape, act_format, finish)
    built = plan._programs.get(key)
    if built is None:
        images, _, height, width = shape
        view = plan.view(images, height, width)
        pixels, count = pixel_map(plan, view, images, height, width)
        blocks = sum(blocks_of(plan))
        engine = engine_of(plan.config)
        tiles = [engine.tile_of(plan, part, view, act_format, finish) for part in plan.parts]
        beats = max(engine.stream_beats(plan, p, t, act_format) for p, t in zip(plan.parts, tiles, strict=True))
        if beats > MAX_BEATS:
            raise InputError(
                f"layer {plan.name!r}: a program of {beats:,} words of 64 bits for maps of {height}x{width}; accepted: "
                f"{MAX_BEATS:,}; compile the network for smaller maps or a larger configuration"
            )
        built = tuple(
            engine.build(plan, part, view, tile, pixels, (count, blocks), act_format, finish)
            for part, tile in zip(plan.parts, tiles, strict=True)
        )
        # A batch may end in a smaller share: two kinds are in turn.  Several threads may be here.
        for old in list(plan._programs)[:-1]:
            plan._programs.pop(old, None)
        plan._programs[key] = built
    return built


def _share(plan: ConvPlan, shape: tuple[int, ...], act_format: int, finish: bool) -> int:
    """Images to run at a time."""
    return kept(plan, ("share", shape, act_format, finish), lambda: _largest_share(plan, shape, act_format, finish))


def _largest_share(plan: ConvPlan, shape: tuple[int, ...], act_format: int, finish: bool) -> int:
    images, _, height, width = shape
    engine = engine_of(plan.config)

    def largest(count: int) -> int:
        view = plan.view(count, height, width)
        tiles = (engine.tile_of(plan, part, view, act_format, finish) for part in plan.parts)
        return max(engine.stream_beats(plan, p, t, act_format) for p, t in zip(plan.parts, tiles, strict=True))

    while images > 1 and largest(images) > _PROGRAM_BEATS:
        images = -(-images // 2)
    return images


def _add(sums: np.ndarray, program, rectangles: np.ndarray) -> None:
    """Add a part's sums (rectangles, outputs, height, width) to the layer's, without what lies beyond its edges."""
    view, tile = program.view, program.tile
    filters = program.part.outputs
    used = filters >= 0
    maps = rectangles[:, used].reshape(view.images, tile.rows, tile.columns, -1, tile.height, tile.width)
    maps = maps.transpose(3, 0, 1, 4, 2, 5).reshape(-1, view.images, tile.rows * tile.height, tile.columns * tile.width)
    maps = maps[:, :, : view.out_height, : view.out_width].reshape(-1, sums.shape[0], *sums.shape[2:])
    sums[:, filters[used]] += maps.transpose(1, 0, 2, 3)
