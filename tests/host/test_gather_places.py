"""Channels in banks: every place legal, loads even, copies where they help."""

import numpy as np
import pytest

from layers import random_weights
from zeroskip.compiler import gather_places
from zeroskip.compiler.blocks import block
from zeroskip.compiler.conv import compile_conv

BANKS = 16


def placed_of(rng, groups, channels, copies, mode="combined", weights=None):
    w = random_weights(rng, (4 * groups, channels, 3, 3), 0.5, 0.4) if weights is None else weights
    blocked = block(BANKS, 1, w, groups, (1, 1), "channels")
    return blocked, gather_places.place(gather_places.loads(blocked, groups), BANKS, mode, copies)


@pytest.mark.parametrize("copies", gather_places.COPIES)
@pytest.mark.parametrize("channels", [1, 3, 8, 13, 16, 24, 29, 64, 200])
@pytest.mark.parametrize("groups", [1, 3])
def test_every_channel_has_a_place_and_at_most_one_copy_in_another_lane(groups, channels, copies):
    _, placed = placed_of(np.random.default_rng(channels), groups, channels, copies)
    assert placed.dtype == np.int32 and placed.shape[1] % BANKS == 0
    for row in placed:
        found, count = np.unique(row[row >= 0], return_counts=True)
        assert found.tolist() == list(range(channels)) and count.max() <= 2
        for channel in found[count == 2]:
            one, two = np.flatnonzero(row == channel) % BANKS // 2
            assert one != two
    if copies == 0:
        assert placed.shape[1] == -(-channels // BANKS) * BANKS
    if copies == 1:  # the last ones may find no other lane with room
        assert np.count_nonzero(placed[0] >= 0) >= min(2 * channels, placed.shape[1]) - 2


@pytest.mark.parametrize("channels", [3, 8, 24, 40, 47])
def test_dense_has_no_copies_and_as_many_channels_in_every_lane(channels):
    _, placed = placed_of(np.random.default_rng(0), 1, channels, 1.0, mode="dense")
    assert np.sort(placed[placed >= 0]).tolist() == list(range(channels))
    lanes = np.count_nonzero(placed.reshape(-1, BANKS // 2, 2) >= 0, axis=(0, 2))
    assert lanes.max() == -(-channels // 8) and lanes.max() - lanes.min() <= 1
    # Half a block: one bank of every lane.
    if channels % 16 == 8:
        banks = np.count_nonzero(placed.reshape(-1, BANKS) >= 0, axis=0).reshape(-1, 2)
        assert (np.abs(np.diff(banks)) == 1).all()


def test_full_channels_do_not_share_a_bank():
    """Four channels out of sixteen have all the weights: natural order would give some bank two of them."""
    w = np.zeros((4, 64, 3, 3), np.int8)
    w[:, ::16] = 3
    w[:, 1::16] = 100
    _, placed = placed_of(None, 1, 64, 0.0, weights=w)
    of = {int(channel): at % BANKS for at, channel in enumerate(placed[0])}
    assert len({of[c] // 2 for c in range(1, 64, 16)}) == 4
    assert len({of[c] for c in [*range(0, 64, 16), *range(1, 64, 16)]}) == 8


BLOCKINGS = [
    *((blocking, copies) for blocking in ("channels", "folded") for copies in gather_places.COPIES),
    *(("packed", copies) for copies in gather_places.PACKED_COPIES),
]


@pytest.mark.parametrize("blocking, copies", BLOCKINGS)
def test_every_weight_has_one_of_its_channels_places(blocking, copies):
    rng = np.random.default_rng(3)
    w = random_weights(rng, (6, 5, 2, 3), 0.3, 0.5)
    blocked = block(BANKS // copies if blocking == "packed" else BANKS, 1, w, 3, (1, 1), blocking)
    if blocking == "packed":
        placed = gather_places.place_packed(blocked.blocks, BANKS, 15, copies)
    else:
        placed = gather_places.place(gather_places.loads(blocked, 3), BANKS, "combined", copies)
    found = gather_places.arrange(blocked, placed, "combined", BANKS)
    taps = found.weights.reshape(6, -1, *found.weights.shape[4:])  # (E, taps, B, banks)
    flat = placed.reshape(-1, BANKS)
    for e in range(6):
        k, group = found.filters[e, 0], found.filters[e, 0] // 2
        expected = w[k].reshape(30, 1) if blocking == "folded" else w[k].reshape(5, 6)
        sums = np.zeros((max(placed.max() + 1, 30), taps.shape[1]), int)
        for b, bank in np.ndindex(*taps.shape[2:]):
            channel = flat[found.place[e, b], bank] if found.needed[e, b] else -1
            if channel < 0:
                assert not taps[e, :, b, bank].any()
            else:
                sums[channel] += taps[e, :, b, bank]
        first = group * 5 if blocking == "packed" else 0
        np.testing.assert_array_equal(sums[first : first + len(expected)], expected)
        assert np.count_nonzero(sums) == np.count_nonzero(taps[e]) == np.count_nonzero(w[k])
        assert found.present[e].sum() == len(expected)


@pytest.mark.parametrize("copies", gather_places.PACKED_COPIES)
def test_a_depthwise_filter_uses_all_copies_of_its_channel(copies):
    w = random_weights(np.random.default_rng(4), (24, 1, 5, 5), 0.0, 0.5)
    blocked = block(BANKS // copies, 1, w, 24, (1, 1), "packed")
    placed = gather_places.place_packed(blocked.blocks, BANKS, 24, copies)
    found = gather_places.arrange(blocked, placed, "combined", BANKS).weights
    reads = np.count_nonzero(found, axis=(1, 2, 3, 4))
    assert (np.count_nonzero(reads, axis=1) == copies).all() and reads.max() == -(-25 // copies)
    for row in placed.reshape(-1, BANKS):
        for channel in set(row.tolist()) - {-1}:
            lanes = np.flatnonzero(row == channel) // 2
            assert len(lanes) == len(set(lanes.tolist())) == copies


def test_copies_even_out_what_chance_leaves_uneven():
    rng = np.random.default_rng(5)
    w = random_weights(rng, (32, 64, 3, 3), 0.7, 0.29)
    steps = []
    for copies in gather_places.COPIES:
        blocked, placed = placed_of(rng, 1, 64, copies, weights=w)
        found = gather_places.arrange(blocked, placed, "combined", BANKS)
        steps.append(np.count_nonzero(found.weights, axis=(1, 2, 3, 4)).max(1).sum())
    assert steps[0] > 1.2 * steps[1] > 1.2 * steps[2]


def test_copies_are_made_where_they_pay():
    """Many filters over a large map: twice the activations cost little.  One filter: they cost more than they save."""
    rng = np.random.default_rng(6)
    many = compile_conv("gather", random_weights(rng, (128, 64, 3, 3), 0.7, 0.29), input_shape=(32, 32))
    one = compile_conv("gather", random_weights(rng, (1, 64, 3, 3), 0.7, 0.29), input_shape=(32, 32))
    assert many.placed.shape[1] > 64 == one.placed.shape[1]
    ideal = sum(part.ideal.sum() for part in many.parts)
    assert ideal / many.steps > 0.88
