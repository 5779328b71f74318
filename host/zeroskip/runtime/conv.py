"""Running compiled convolutions on a device: activations in, exact 32-bit sums out."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError, InputError
from ..hardware.config import Config
from ..hardware.packets import ACT_HEADER, FORMAT_S16, FORMAT_U8
from .program import ConvPlan, Part
from .stream import Program, Transfer, build, stream_beats
from .tiling import View, choose_tile

_PROGRAM_BEATS = 1 << 22
"""A batch is run in shares whose programs take at most this many beats each (but at least one image)."""

_ZERO_POINT = next(field.low for field in ACT_HEADER if field.name == "zero_point")


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
    if device.config.hash != plan.config.hash:
        raise ConfigError(
            f"layer {plan.name!r} is compiled for configuration {plan.config.name!r}, the device is "
            f"{device.config.name!r}; they differ in {', '.join(plan.config.differences(device.config))}"
        )
    low, high = check_input(plan, x)
    images = x.shape[0]
    act_format, zero_point = activation_format(low, high)
    out_size = plan.output_size(*x.shape[2:])
    sums = np.zeros((images, plan.weights.shape[0], *out_size), np.int32)
    counters = None
    share = _share(plan, x.shape, act_format)
    for first in range(0, images, share):
        some = x[first : first + share]
        image = column_image(plan, some, act_format, zero_point)
        for program in programs(plan, some.shape, act_format):
            rectangles = []
            for transfer in program.transfers:
                out, found = device.execute(_filled(plan.config, transfer, image, zero_point), transfer.out_beats)
                counters = found if counters is None else counters + found
                rectangles.append(_rectangles(plan.config, program, transfer, out))
            _add(sums[first : first + share], program, _joined(program, rectangles))
    return sums, counters


def check_input(plan: ConvPlan, x: np.ndarray) -> tuple[int, int]:
    """Check a layer's input; returns its smallest and largest value (at most 0, at least 0)."""
    channels = plan.weights.shape[1] * plan.groups
    where = f"layer {plan.name!r}: input"
    if not isinstance(x, np.ndarray) or x.dtype != np.int16:
        raise InputError(f"{where} of type {getattr(x, 'dtype', type(x).__name__)}; accepted: int16 array")
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape:
        raise InputError(f"{where} of shape {x.shape}; accepted: (N, {channels}, H, W), none of them 0")
    if min(plan.output_size(*x.shape[2:])) < 1:
        raise InputError(
            f"{where} of {x.shape[2]}x{x.shape[3]} pixels with padding {plan.padding}; accepted: maps the kernel "
            f"{plan.weights.shape[2]}x{plan.weights.shape[3]} with dilation {plan.dilation} fits into"
        )
    low, high, limit = min(int(x.min()), 0), max(int(x.max()), 0), plan.act_max
    if low < -limit or high > limit:
        raise InputError(
            f"{where} holds {low if low < -limit else high}; accepted: -{limit} to {limit}, what configuration "
            f"{plan.config.name!r} holds and the layer's sums cannot overflow with"
        )
    return low, high


def activation_format(low: int, high: int) -> tuple[int, int]:
    """Smallest ACT format for values in [low, high], which includes 0: (format, zero point)."""
    return (FORMAT_U8, -low) if high - low <= 255 else (FORMAT_S16, 0)


def expected(plan: ConvPlan, images: int, height: int, width: int, act_format: int = FORMAT_U8) -> dict[str, float]:
    """What a batch of maps takes, without running it.

    Returns:
        ``step_cycles``: steps times pixels without activation skip; ``dense_cycles``: the same for the dense
        schedule; ``ideal_cycles``: for (non-outliers / 2 + outliers) / (LANES * FILTERS) steps per filter group.
    """
    found = {"step_cycles": 0.0, "dense_cycles": 0.0, "ideal_cycles": 0.0}
    shape = (images, plan.weights.shape[1] * plan.groups, height, width)
    share = _share(plan, shape, act_format)
    for first in range(0, images, share):
        view = plan.view(min(share, images - first), height, width)
        for part in plan.parts:
            tile = choose_tile(plan.config, view, part.layout, part.steps, act_format)
            pixel_groups = tile.groups * tile.height * tile.width
            found["step_cycles"] += float(part.steps.sum()) * pixel_groups
            found["dense_cycles"] += float(part.dense.sum()) * pixel_groups
            found["ideal_cycles"] += float(part.ideal.sum()) * pixel_groups
    return found


def programs(plan: ConvPlan, shape: tuple[int, ...], act_format: int) -> tuple[Program, ...]:
    """The programs of a plan's parts for a batch of this shape; the last ones built are kept."""
    key = (shape, act_format)
    if key not in plan._programs:
        images, _, height, width = shape
        view = plan.view(images, height, width)
        pixels, count = _pixel_map(plan, view, images, height, width)
        blocks = sum(blocks_of(plan))
        built = tuple(
            build(
                plan, part, view, choose_tile(plan.config, view, part.layout, part.steps, act_format), pixels,
                (count, blocks), act_format,
            )
            for part in plan.parts
        )  # fmt: skip
        while len(plan._programs) > 1:  # a batch may end in a smaller share: two kinds are in turn
            plan._programs.pop(next(iter(plan._programs)))
        plan._programs[key] = built
    return plan._programs[key]


def blocks_of(plan: ConvPlan) -> list[int]:
    """Channel blocks of each group of channels."""
    channels, lanes = plan.weights.shape[1], plan.config.lanes
    if plan.blocking == "packed":
        return [-(-channels * plan.groups // lanes)]
    if plan.blocking == "folded":
        channels *= plan.weights.shape[2] * plan.weights.shape[3]
    return [-(-channels // lanes)] * plan.groups


def column_image(plan: ConvPlan, x: np.ndarray, act_format: int, zero_point: int) -> np.ndarray:
    """The input as stream beats: uint64 ((pixels + 1) * blocks, beats of a column); the last pixel is zero."""
    config, groups = plan.config, blocks_of(plan)
    if plan.blocking == "folded":
        x = _fold(plan, x)
    images, channels, height, width = x.shape
    count, lanes = images * height * width, config.lanes
    dtype, beats = np.dtype(np.int16 if act_format else np.uint8), config.column_beats(act_format)
    filled = np.full((count + 1, len(groups), groups[0] * lanes), zero_point, dtype)
    inner = filled[:-1].reshape(images, height, width, len(groups), -1)[..., : channels // len(groups)]
    values = x.reshape(images, len(groups), -1, height, width).transpose(0, 3, 4, 1, 2)
    np.add(values, zero_point, out=inner, casting="unsafe")
    columns = filled.reshape(-1, lanes)
    if lanes * dtype.itemsize < beats * 8:
        padded = np.zeros((len(columns), beats * 8 // dtype.itemsize), dtype)
        padded[:, :lanes] = columns
        columns = padded
    return columns.view(np.uint64)


def _fold(plan: ConvPlan, x: np.ndarray) -> np.ndarray:
    """im2col: (N, C, H, W) to (N, C * R * S, OH, OW), channel slowest."""
    top, left, bottom, right = plan.padding
    rows, columns = plan.output_size(*x.shape[2:])
    taps = plan.weights.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, c, h, w = x.strides
    view = np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *taps, rows, columns),
        (n, c, h * plan.dilation[0], w * plan.dilation[1], h * plan.stride[0], w * plan.stride[1]),
        writeable=False,
    )
    return view.reshape(x.shape[0], -1, rows, columns)


def _pixel_map(plan: ConvPlan, view: View, images: int, height: int, width: int) -> tuple[np.ndarray, int]:
    """Input pixel at every place of the engine's padded maps, int32, and the number of input pixels."""
    if plan.blocking == "folded":
        return np.arange(view.out_width, dtype=np.int32).reshape(1, 1, -1), view.out_width
    axes = []
    out_size, kernel = plan.output_size(height, width), plan.weights.shape[2:]
    for length, out, taps, stride, dilation, pad in zip(
        (height, width), out_size, kernel, plan.stride, plan.dilation, plan.padding[:2], strict=True
    ):
        # Without a neighbourhood along an axis only the pixels its stride hits are needed.
        place = np.arange(out) * stride if taps == 1 else np.arange((out - 1) * stride + (taps - 1) * dilation + 1)
        axes.append((place - pad, (place >= pad) & (place < pad + length)))
    (y, y_inside), (x, x_inside) = axes
    image = np.arange(images)[:, None, None] * (height * width)
    pixels = np.where(y_inside[:, None] & x_inside, image + y[:, None] * width + x, images * height * width)
    if view.kernel == (1, 1):
        pixels = pixels.reshape(1, 1, -1)
    return pixels.astype(np.int32), images * height * width


def _share(plan: ConvPlan, shape: tuple[int, ...], act_format: int) -> int:
    """Images to run at a time."""
    images, _, height, width = shape

    def largest(count: int) -> int:
        view = plan.view(count, height, width)
        return max(_beats(plan, part, view, act_format) for part in plan.parts)

    while images > 1 and largest(images) > _PROGRAM_BEATS:
        images = -(-images // 2)
    return images


def _beats(plan: ConvPlan, part: Part, view: View, act_format: int) -> int:
    tile = choose_tile(plan.config, view, part.layout, part.steps, act_format)
    return stream_beats(plan.config, part, tile, act_format)


def _filled(config: Config, transfer: Transfer, image: np.ndarray, zero_point: int) -> np.ndarray:
    """A transfer's stream with its activations."""
    words = transfer.words.copy()
    words[transfer.headers] |= np.uint64(zero_point << _ZERO_POINT)
    for beat in range(image.shape[1]):
        words[transfer.position + beat] = image[:, beat].take(transfer.source)
    return words


def _rectangles(config: Config, program: Program, transfer: Transfer, out: np.ndarray) -> np.ndarray:
    """A transfer's sums by rectangle: int32 (rectangles, runs, M, height, width)."""
    tile, filters = program.tile, config.filters
    runs = transfer.runs[1] - transfer.runs[0]
    groups = transfer.groups[1] - transfer.groups[0]
    full = groups if transfer.last_wgs == config.wgs else groups - 1
    found, at = [], 0
    for count, wgs in ((full, config.wgs), (groups - full, transfer.last_wgs)):
        beats = -(-wgs * filters // 2)
        size = count * runs * tile.height * tile.width * beats
        sums = out[at : at + size].view(np.int32).reshape(count, runs, tile.height, tile.width, 2 * beats)
        sums = sums[..., : wgs * filters].reshape(count, runs, tile.height, tile.width, wgs, filters)
        found.append(sums.transpose(0, 4, 1, 5, 2, 3).reshape(count * wgs, runs, filters, tile.height, tile.width))
        at += size
    return np.concatenate(found)


def _joined(program: Program, rectangles: list[np.ndarray]) -> np.ndarray:
    """All transfers' rectangles: int32 (rectangles, E * M, height, width)."""
    if program.transfers[0].runs == (0, len(program.part.steps)):
        joined = np.concatenate(rectangles)
    else:  # a tile group's runs are spread over several transfers
        pieces = len(rectangles) // program.tile.groups
        joined = np.concatenate(
            [np.concatenate(rectangles[at : at + pieces], axis=1) for at in range(0, len(rectangles), pieces)]
        )
    return joined.reshape(len(joined), -1, *joined.shape[3:])


def _add(sums: np.ndarray, program: Program, rectangles: np.ndarray) -> None:
    """Add a part's sums to the layer's, without what lies beyond the edges of the map."""
    view, tile = program.view, program.tile
    filters = program.part.filters.ravel()
    used = filters >= 0
    maps = rectangles[:, used].reshape(view.images, tile.rows, tile.columns, -1, tile.height, tile.width)
    maps = maps.transpose(3, 0, 1, 4, 2, 5).reshape(-1, view.images, tile.rows * tile.height, tile.columns * tile.width)
    maps = maps[:, :, : view.out_height, : view.out_width].reshape(-1, sums.shape[0], *sums.shape[2:])
    sums[:, filters[used]] += maps.transpose(1, 0, 2, 3)
