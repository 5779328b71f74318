"""Random layers of every kind through zeroskip.conv2d: Verilated RTL = cycle model = integer reference.

Sums are compared with the reference bit for bit, and every counter of the RTL with the model's.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import zeroskip as zs
from variants import GATHER_VARIANTS, TWIN_VARIANTS, VARIANTS
from zeroskip.compiler.conv import compile_conv
from zeroskip.devices import MemoryModel
from zeroskip.engines import engine_of
from zeroskip.models.reference import conv2d

BUILDS = VARIANTS | GATHER_VARIANTS | TWIN_VARIANTS
STALLS = MemoryModel(stall=100, stream_stall=120, seed=5)


def modes(config):
    """All modes of the build's engine, without and with activation skip."""
    return list(product(engine_of(config).modes, (False, True)))


def check(config, x, w, memory=None, **options):
    """Run one layer on both devices, compare with the reference, and return the counters."""
    layer = {key: options[key] for key in ("stride", "padding", "dilation", "groups") if key in options}
    expected = conv2d(x, w, **layer)
    found = []
    for kind in ("sim", "model"):
        with zs.open_device(kind, config, memory=memory) as device:
            sums, counters = zs.conv2d(device, x, w, **options)
        assert sums.dtype == np.int32
        np.testing.assert_array_equal(sums, expected, err_msg=f"{kind} {config.name} {x.shape} {w.shape} {options}")
        found.append(counters)
    assert found[0] == found[1], f"{config.name} {x.shape} {w.shape} {options}"
    assert found[0].cycles > 0
    return found[0]


def random_layer(rng, act_w):
    """Activations, weights and attributes of a small random convolution of any kind."""
    if rng.random() < 0.2:  # depthwise
        groups, channels, filters = int(rng.integers(1, 20)), 1, 1
    else:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        channels, filters = int(rng.choice([1, 2, 3, 5, 8, 11, 16, 20])), int(rng.integers(1, 6))
    kernel = (int(rng.choice([1, 1, 2, 3, 5])), int(rng.choice([1, 3, 3, 4])))
    w = rng.integers(-128, 128, (groups * filters, channels, *kernel)).astype(np.int8)
    if rng.random() < 0.6:
        w = np.where(rng.random(w.shape) < 0.7, rng.integers(-8, 8, w.shape), w).astype(np.int8)
    w[rng.random(w.shape) < rng.choice([0, 0.3, 0.8, 1])] = 0
    if rng.random() < 0.2:
        w[0] = 0
    dilation = tuple(int(d) for d in rng.integers(1, 3, 2))
    size = tuple((k - 1) * d + 1 + int(rng.integers(0, 12)) for k, d in zip(kernel, dilation, strict=True))
    low, high = [(-255, 256), (0, 256), (-128, 128)][rng.integers(3)]
    if act_w == 16 and rng.random() < 0.5:
        low, high = -3000, 3000
    x = rng.integers(low, high, (int(rng.integers(1, 4)), groups * channels, *size)).astype(np.int16)
    x[rng.random(x.shape) < rng.choice([0, 0.4, 0.9, 1])] = 0
    options = {
        "stride": tuple(int(s) for s in rng.integers(1, 4, 2)),
        "padding": tuple(int(p) for p in rng.integers(0, 3, 4)),
        "dilation": dilation,
        "groups": groups,
    }
    return x, w, options


@pytest.mark.parametrize("variant", BUILDS)
def test_random_layers(variant):
    config = BUILDS[variant]
    seed = sum(map(ord, variant))
    rng = np.random.default_rng(seed)
    for index in range(12):
        x, w, options = random_layer(rng, config.act_w)
        mode, skip = modes(config)[index % len(modes(config))]
        check(config, x, w, STALLS if index % 2 else None, mode=mode, activation_skip=skip, **options)


@pytest.mark.parametrize("variant", ["tiny", "z2", "kang", "gather_tiny", "wide", "twin_tiny"])
@pytest.mark.parametrize(
    "case",
    ["all-zero filters", "all-zero activations", "only outliers", "1x1 map", "one channel", "13 channels", "extremes"],
)
def test_named_corners(variant, case):
    config = BUILDS[variant]
    rng = np.random.default_rng(11)
    w = rng.integers(-8, 8, (5, 13, 3, 3)).astype(np.int8)
    x = rng.integers(0, 256, (1, 13, 6, 7)).astype(np.int16)
    options = {"padding": (1, 1, 1, 1)}
    if case == "all-zero filters":
        w[:] = 0
    elif case == "all-zero activations":
        x[:] = 0
    elif case == "only outliers":
        w = rng.choice([-128, -9, 8, 127], w.shape).astype(np.int8)
    elif case == "1x1 map":
        x, w, options = x[:, :, :1, :1], w[:, :, :1, :1], {}
    elif case == "one channel":
        x, w = x[:, :1], w[:, :1]
    elif case == "extremes":
        x = rng.choice([-255, 255], x.shape).astype(np.int16)
        w = rng.choice([-128, 127], w.shape).astype(np.int8)
    for mode, skip in modes(config):
        counters = check(config, x, w, mode=mode, activation_skip=skip, **options)
        if case == "all-zero activations" and skip and mode == modes(config)[-1][0]:
            assert counters.steps == 0 and counters.dead_steps > 0
        if case == "only outliers":
            assert counters.pairs == counters.singles == 0 < counters.outliers


@pytest.mark.parametrize("variant", ["small", "one", "small twin"])
def test_more_channels_than_fit(variant):
    """Channel tiling: columns of one pixel exceed the memory, partial sums are added on the host."""
    rng = np.random.default_rng(3)
    config = BUILDS[variant]
    x = rng.integers(0, 256, (1, 70, 4, 5)).astype(np.int16)
    w = rng.integers(-128, 128, (6, 70, 3, 3)).astype(np.int8)
    check(config, x, w, padding=(1, 1, 1, 1))


def test_depthwise_in_phases():
    """Gather: neighbouring pixels of a row in banks of their own, odd sizes and a stride."""
    rng = np.random.default_rng(4)
    config = BUILDS["gather_tiny"]
    w = rng.integers(-128, 128, (24, 1, 5, 5)).astype(np.int8)
    x = rng.integers(-255, 256, (2, 24, 19, 21)).astype(np.int16)
    for stride in ((1, 1), (2, 2)):
        options = {"stride": stride, "padding": (2, 1, 2, 2), "groups": 24}
        assert compile_conv(config, w, input_shape=(19, 21), **options).phases > 1
        check(config, x, w, **options)
