"""Tile sizes: legal on every layer, sensible on known ones, and never worse than another size."""

import numpy as np
import pytest

from zeroskip.compiler.columns import choose_layout
from zeroskip.errors import InputError
from zeroskip.hardware.config import Config, get_config
from zeroskip.runtime.tiling import Layout, View, choose_tile, pixel_beats


def tile_of(config, view, layout, steps, act_format=0, **options):
    return choose_tile(config, view, layout, np.asarray(steps), act_format, **options)


@pytest.mark.parametrize("seed", range(60))
def test_a_tile_covers_the_map_and_fits(seed):
    rng = np.random.default_rng(seed)
    config = Config("t", wgs=int(rng.integers(1, 20)), columns=int(rng.choice([128, 512, 2048])), mux=16)
    kernel, stride, dilation = ((int(a), int(b)) for a, b in rng.integers(1, 4, (3, 2)))
    view = View(*(int(v) for v in rng.integers(1, 40, 3)), kernel, stride, dilation)
    blocks = int(rng.integers(1, 6))
    layout = choose_layout(config, blocks, blocks, kernel, dilation)
    if layout is None:
        assert blocks * kernel[0] * kernel[1] * dilation[0] * dilation[1] > config.columns / 2
        return
    tile = tile_of(config, view, layout, rng.integers(1, 50, 7), int(rng.integers(0, 2)))
    assert (tile.rows - 1) * tile.height < view.out_height <= tile.rows * tile.height
    assert (tile.columns - 1) * tile.width < view.out_width <= tile.columns * tile.width
    rectangles = view.images * tile.rows * tile.columns
    assert rectangles == (tile.groups - 1) * config.wgs + tile.last_wgs and 1 <= tile.last_wgs <= config.wgs
    assert tile.double == (2 * tile.size <= config.columns) and tile.size <= config.columns
    # The last pixel of the last kernel position lies inside the tile.
    last_y, last_x = (
        (out - 1) * step + (taps - 1) * dil
        for out, step, taps, dil in zip((tile.height, tile.width), stride, kernel, dilation, strict=True)
    )
    assert last_y * tile.pitch + last_x * layout.step + blocks == tile.size
    assert tile.pitch >= (last_x + 1) * layout.step and tile.pitch % layout.period == layout.residue


def test_work_groups_share_one_small_map():
    config = get_config("z2")
    view = View(1, 32, 32, (3, 3), (1, 1), (1, 1))
    tile = tile_of(config, view, Layout(8, 8, 0, 1), np.full(64, 30))
    assert tile.groups * tile.height * tile.width == 32 * 32 // 16 and tile.last_wgs == 16
    assert tile.double and tile.cycles < 1.1 * 64 * 30 * 64


def test_a_batch_fills_work_groups():
    config = get_config("z2")
    one = tile_of(config, View(1, 2, 2, (3, 3), (1, 1), (1, 1)), Layout(8, 8, 0, 1), np.full(64, 30))
    many = tile_of(config, View(16, 2, 2, (3, 3), (1, 1), (1, 1)), Layout(8, 8, 0, 1), np.full(64, 30))
    assert one.last_wgs <= 4 and many.last_wgs == 16
    assert many.cycles < 16 / 2 * one.cycles


def test_pixels_of_a_row_are_dealt_evenly():
    config = get_config("z2")
    tile = tile_of(config, View(1, 1, 196, (1, 1), (1, 1), (1, 1)), Layout(64, 64, 0, 1), np.full(512, 30))
    assert tile.groups * tile.width * config.wgs < 1.1 * 196


def test_a_pixel_that_does_not_fit():
    config = Config("t", columns=32, steps=64)
    with pytest.raises(InputError, match="needs 33 columns; accepted by this build: 32"):
        tile_of(config, View(1, 4, 4, (1, 1), (1, 1), (1, 1)), Layout(33, 33, 0, 1), [1])


@pytest.mark.parametrize("sums", [2, 4, 8])
def test_beats_of_a_pixel(sums):
    """Filters in lockstep share beats, lanes apart do not."""
    for wgs in range(1, 20):
        assert pixel_beats(get_config("kang"), 8, wgs, sums) == len(range(0, 8 * wgs, sums))
        assert pixel_beats(get_config("gather"), 1, wgs, sums) == len(range(0, wgs, sums))
        assert pixel_beats(get_config("gather"), 8, wgs, sums) == 8 * len(range(0, wgs, sums))


def test_sums_that_leave_faster_allow_other_tiles():
    """64 runs of 3 steps: a pixel's sums leave in 8 cycles, 4, or 2, and then the steps decide."""
    config, view = get_config("gather"), View(1, 28, 28, (3, 3), (1, 1), (1, 1))
    cycles = [tile_of(config, view, Layout(1, 1, 0, 1), np.full(64, 3), sums=sums).cycles for sums in (2, 4, 8)]
    assert cycles[0] > 1.8 * cycles[1] > 1.8 * 1.1 * cycles[2] and cycles[2] > 64 * 3 * 28 * 28 / 16
    apart = tile_of(config, view, Layout(1, 1, 0, 1), np.full(8, 24), filters=8, sums=8)
    assert apart.cycles == pytest.approx(cycles[2], rel=0.1)


def test_slices_take_turns_in_the_memory():
    """Half the channels at a time: larger tiles, and one half loads while the other computes."""
    config, view = get_config("gather"), View(1, 7, 7, (5, 5), (1, 1), (1, 1))
    whole = tile_of(config, view, Layout(32, 32, 0, 1), np.full(64, 12), filters=8)
    sliced = tile_of(config, view, Layout(2, 2, 0, 1), np.full(64, 12), filters=8, slices=16)
    assert sliced.double and sliced.height * sliced.width > whole.height * whole.width
    assert sliced.cycles < 0.7 * whole.cycles
