"""Pixels of a row as channels: another convolution with the same sums."""

import numpy as np
import pytest

from layers import convolve
from zeroskip.runtime.phases import columns_of, join, kernel_width, phased_weights, split


@pytest.mark.parametrize("phases, stride", [(2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (3, 1), (6, 3)])
@pytest.mark.parametrize("taps", [1, 2, 3, 5, 8])
def test_the_same_sums(phases, stride, taps):
    rng = np.random.default_rng([phases, stride, taps])
    w = rng.integers(-128, 128, (6, 1, 2, taps)).astype(np.int8)
    for left, right in ((0, 0), (2, 1), (0, 3)):
        width = int(rng.integers(max(1, taps - left - right), taps + 15))
        x = rng.integers(-255, 256, (2, 3, 5, width)).astype(np.int16)
        expected = convolve(x, w, (2, stride), (1, left, 0, right), groups=3)
        columns = columns_of(phases, taps, stride, expected.shape[3])
        seen = split(x, phases, left, columns, 0)
        moved = phased_weights(w, phases, stride)
        assert moved.shape == (6 * phases // stride, phases, 2, kernel_width(phases, taps, stride))
        assert seen.shape == (2, 3 * phases, 5, columns)
        assert np.count_nonzero(moved) == np.count_nonzero(w) * phases // stride
        sums = convolve(seen, moved, (2, 1), (1, 0, 0, 0), groups=3)
        np.testing.assert_array_equal(join(sums, phases // stride, expected.shape[3]), expected)


def test_padding_is_the_zero_point():
    x = np.full((1, 1, 1, 3), 9, np.uint8)
    assert split(x, 2, 1, 3, 7).ravel().tolist() == [7, 9, 7, 9, 9, 7]  # even pixels, then odd ones
