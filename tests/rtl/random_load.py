"""Random LOADs of every kind over random maps in memory, and what they mean, in whole maps."""

from __future__ import annotations

import numpy as np

from zeroskip.hardware.maps import BLOCK, Grid, Load, Map, Pool

BASE = 0x1000_0000
BYTES = 1 << 18


def random_load(rng: np.random.Generator, wgs: int, after: int = 0) -> tuple[Load, int]:
    """A LOAD for up to ``wgs`` work groups from a map anywhere in memory, and how many images that has."""
    kind = rng.choice(["plain", "plain", "pool", "subsample", "upsample", "wide"])
    images, blocks = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    width, height = (int(n) for n in rng.integers(1, 20, 2))
    if kind == "wide":
        width, height, images, blocks = int(rng.integers(1000, 4096)), int(rng.integers(1, 3)), 1, 1
        if rng.random() < 0.5:
            width, height = height, width
    row_bytes = width * BLOCK
    image_pitch = (height * row_bytes) + BLOCK * int(rng.integers(0, 4))
    block_pitch = images * image_pitch + BLOCK * int(rng.integers(0, 4))
    free = BYTES - blocks * block_pitch
    address = BASE + BLOCK * int(rng.integers(0, free // BLOCK + 1))
    source = Map(address, width, height, block_pitch, image_pitch)

    pool = None
    if kind in ("pool", "subsample"):
        size = int(rng.integers(2, 4)) if kind == "pool" else 1
        stride = int(rng.integers(1, 5))
        pads = [int(rng.integers(0, size)) for _ in range(2)]
        # As many windows as begin inside, or fewer.
        most = [(n + pad - 1) // stride + 1 for n, pad in zip((width, height), pads, strict=True)]
        out = [int(rng.integers(max(1, n - 2), n + 1)) for n in most]
        pool = Pool(size, stride, *pads, *out)
    scale = 2 if kind == "upsample" else 1
    loaded = (pool.width, pool.height) if pool else (scale * width, scale * height)

    pair = bool(rng.random() < 0.3)
    rect = [int(rng.integers(1, min(n + 3, 12))) for n in loaded]
    if pair:
        rect[0] += rect[0] % 2
    step = [int(rng.integers(1, n + 3)) for n in rect]
    begin = [-int(rng.integers(0, 4)) for _ in range(2)]
    if kind == "wide":
        step[int(width < height)] = int(rng.integers(1, max(loaded) // 4))
    counts = [max(1, -(-(n - b) // s)) for n, b, s in zip(loaded, begin, step, strict=True)]
    counts = [min(n, 600) if kind == "wide" else int(rng.integers(1, n + 2)) for n in counts]
    counts = [min(n, 4000 // s) for n, s in zip(counts, step, strict=True)]
    total = counts[0] * counts[1] * images
    used = int(rng.integers(1, min(wgs, total) + 1))
    first = int(rng.integers(0, total - used + 1))
    grid = Grid(first, *counts, *step, *begin, *rect)

    # Columns: a random nesting of block, row, pixel and half, with gaps.
    steps, size = {}, 1
    pixels = rect[0] // 2 if pair else rect[0]
    extents = {"block_step": blocks, "row_step": rect[1], "column_step": pixels, "half_step": 2 if pair else 1}
    for name in rng.permutation(list(extents)):
        steps[str(name)] = size + int(rng.integers(0, 2))
        size = steps[str(name)] * extents[str(name)]
    signed = bool(rng.random() < 0.3)
    load = Load(
        source, grid, used, blocks, address=int(rng.integers(0, 1 << 16)), **steps, page=int(rng.integers(0, 2)),
        buffer=bool(rng.random() < 0.15), after=after, pool=pool, upsample=kind == "upsample", signed=signed,
        zero_point=int(rng.integers(-128, 128) if signed else rng.integers(0, 256)), pair=pair,
    )  # fmt: skip
    return load, images


def expected(load: Load, images: int, memory: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """What a LOAD means: (work group, column modulo 2^16) -> values of the 16 banks.  By whole maps, not by walking."""
    source, window = load.source, load.window
    n, k, y, x, c = np.ix_(*map(np.arange, (images, load.blocks, source.height, source.width, BLOCK)))
    row = source.width * BLOCK
    at = source.address - BASE + k * source.block_pitch + n * source.image_pitch + y * row + x * BLOCK + c
    values = memory[at].view(np.int8 if load.signed else np.uint8).astype(np.int64)
    if load.upsample:
        values = values.repeat(2, axis=2).repeat(2, axis=3)
    else:
        after = [max((size - 1) * window.stride + window.size - pad - have, 0) for size, pad, have in (
            (window.height, window.pad_y, source.height), (window.width, window.pad_x, source.width))]  # fmt: skip
        padding = ((0, 0), (0, 0), (window.pad_y, after[0]), (window.pad_x, after[1]), (0, 0))
        padded = np.pad(values, padding, constant_values=-999)
        view = np.lib.stride_tricks.sliding_window_view(padded, (window.size, window.size), axis=(2, 3))
        values = view.max(axis=(-1, -2))[:, :, :: window.stride, :: window.stride]
        values = values[:, :, : window.height, : window.width]
    values = values - load.zero_point
    found = {}
    for wg, (image, top, left) in enumerate(load.grid.corners(load.wgs)):
        for k in range(load.blocks):
            for r in range(load.grid.height):
                for c in range(load.grid.width):
                    y, x = top + r, left + c
                    inside = 0 <= y < window.height and 0 <= x < window.width
                    pixel = values[image, k, y, x] if inside else np.zeros(BLOCK, np.int64)
                    row = load.address + k * load.block_step + r * load.row_step
                    if load.pair:
                        for half in range(2):
                            column = row + c // 2 * load.column_step + half * load.half_step
                            banks = found.setdefault((wg, column % (1 << 16)), np.zeros(BLOCK, np.int64))
                            banks[c % 2 :: 2] = pixel[8 * half : 8 * half + 8]
                    else:
                        found[wg, (row + c * load.column_step) % (1 << 16)] = pixel
    return found
