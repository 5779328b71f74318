"""Random layers of every kind on the zena engine, all modes: Verilated RTL = cycle model = integer reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from test_layers import STALLS, check, random_layer
from zeroskip.compiler.logquant import log_quantise
from zeroskip.engines import ENGINES
from zeroskip.hardware.config import get_config


@pytest.mark.parametrize("mode", ENGINES["zena"].modes)
@pytest.mark.parametrize("seed", range(6))
def test_random_layers(seed, mode):
    config = get_config("zena_tiny")
    rng = np.random.default_rng([seed, len(mode)])
    x, w, options = random_layer(rng, config.act_w)
    if seed % 2:
        w = w.astype(np.int16) * np.int16(9)
    check(config, x, w, STALLS if seed % 3 == 0 else None, **{**options, "mode": mode, "activation_skip": True})


@pytest.mark.parametrize("weights, activations", [(0, 0), (1, 0), (0, 1), (0.98, 0.98)])
def test_sparsity(weights, activations):
    rng = np.random.default_rng(7)
    x = rng.integers(-500, 500, (2, 40, 7, 7)) * (rng.random((2, 40, 7, 7)) >= activations)
    w = rng.integers(-127, 128, (24, 40, 3, 3)) * (rng.random((24, 40, 3, 3)) >= weights)
    counters = check(get_config("zena_tiny"), x.astype(np.int16), w.astype(np.int8), STALLS, padding=(1, 1, 1, 1))
    if 1 in (weights, activations):
        assert counters.multiplies == 0


def test_passes_through_the_rtl():
    """More filters than a PE has partial sums for, several channel tiles, kernels of more chunks than a kernel tile."""
    rng = np.random.default_rng(8)
    x = rng.integers(0, 256, (1, 33, 9, 9)) * (rng.random((1, 33, 9, 9)) < 0.4)
    w = rng.integers(-127, 128, (50, 33, 5, 5)) * (rng.random((50, 33, 5, 5)) < 0.35)
    counters = check(get_config("zena_tiny"), x.astype(np.int16), w.astype(np.int8), padding=(2, 2, 2, 2))
    assert counters.busy > 0.7 * counters.cycles


def test_log_quant():
    rng = np.random.default_rng(9)
    config = replace(get_config("zena_log"), name="log", filters=4, wgs=2, sub_wgs=1)
    w, _ = log_quantise(rng.normal(size=(16, 20, 3, 3)), top=7)
    x = rng.integers(-255, 256, (1, 20, 8, 8)).astype(np.int16)
    check(config, x, w, padding=(1, 1, 1, 1))


@pytest.mark.parametrize("stealing", [0, 1])
def test_a_larger_build(stealing):
    """Four work groups of eight PEs on a pruned layer: three quarters of the cycles' PEs multiply."""
    config = replace(get_config("zena8"), name="larger", wgs=4, stealing=stealing)
    rng = np.random.default_rng(10)
    x = rng.integers(0, 256, (2, 64, 12, 12)) * (rng.random((2, 64, 12, 12)) < 0.40)
    w = rng.integers(-127, 128, (48, 64, 3, 3)) * (rng.random((48, 64, 3, 3)) < 0.35)
    counters = check(config, x.astype(np.int16), w.astype(np.int8), padding=(1, 1, 1, 1))
    assert counters.multiplies > 0.7 * counters.cycles * config.macs
