"""Random layers, an independent convolution, and the functional engine as a device, for the tests beside it."""

from __future__ import annotations

import numpy as np

from zeroskip.engines import engine_of


class Tally(dict):
    """Counters that add up, as a device's do."""

    def __add__(self, other):
        return Tally({key: self[key] + other[key] for key in self})


class FunctionalEngine:
    """The packet executor behind the driver's two names; keeps the streams it was given."""

    def __init__(self, config):
        self.config = config
        self.streams = []

    def execute(self, words, out_beats):
        done = engine_of(self.config).execute(self.config, words)
        assert len(done.out) == out_beats
        self.streams.append(words)
        return done.out, Tally(done.counters)


def random_weights(rng, shape, zero, non_outlier):
    """Independent int8 weights: fractions of zeros and of non-outliers, the rest outliers."""
    kind = rng.random(shape)
    small = rng.choice([*range(-8, 0), *range(1, 8)], shape)
    large = rng.choice([*range(-128, -8), *range(8, 128)], shape)
    return np.where(kind < zero, 0, np.where(kind < zero + non_outlier, small, large)).astype(np.int8)


def convolve(x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Sums int64 (N, K, OH, OW), tap by tap in int64."""
    top, left, bottom, right = padding
    x = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    k, channels, taps_y, taps_x = w.shape
    rows = (x.shape[2] - (taps_y - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (x.shape[3] - (taps_x - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((x.shape[0], k, rows, columns), np.int64)
    share = k // groups
    for group in range(groups):
        mine = slice(group * share, (group + 1) * share)
        for r in range(taps_y):
            for s in range(taps_x):
                y0, x0 = r * dilation[0], s * dilation[1]
                seen = x[:, group * channels : (group + 1) * channels, y0 :: stride[0], x0 :: stride[1]]
                seen = seen[:, :, :rows, :columns]
                out[:, mine] += np.einsum("nchw,kc->nkhw", seen, w[mine, :, r, s].astype(np.int64))
    return out
