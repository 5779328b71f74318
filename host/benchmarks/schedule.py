"""The offline scheduler by itself: its speed on VGG-16, and its schedules on random weights.

    python host/benchmarks/schedule.py

Nothing here needs a device: a schedule's steps are its cycles per pixel, for every pixel of a layer.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.schedule import schedule
from zeroskip.hardware.config import Config, get_config

VGG16 = (
    (3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16), (128, 256, 8), (256, 256, 8), (256, 256, 8),
    (256, 512, 4), (512, 512, 4), (512, 512, 4), (512, 512, 2), (512, 512, 2), (512, 512, 2),
)  # fmt: skip
"""VGG-16 for CIFAR: input channels, filters, map size of its 3x3 convolutions; 14.7 M weights."""

MIXES = ((34.2, 59.8, 6.0), (50, 40, 10), (80, 15, 5), (0, 100, 0), (0, 0, 100))
"""Percent of zeros, non-outliers, outliers.  The first is the mean of Kang's VGG-16."""


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], zero: float, non_outlier: float) -> np.ndarray:
    """Independent int8 weights; fractions of zeros and of non-outliers, the rest outliers."""
    kind = rng.random(shape, np.float32)
    small = rng.choice(np.array([*range(-8, 0), *range(1, 8)], np.int8), shape)
    large = rng.choice(np.array([*range(-127, -8), *range(8, 128)], np.int8), shape)
    return np.where(kind < zero, np.int8(0), np.where(kind < zero + non_outlier, small, large))


def speed_up(weights: np.ndarray, filters: int, mux: int, mode: str) -> float:
    """Dense steps over steps; weights (filters, columns, lanes)."""
    config = Config("benchmark", filters=filters, mux=mux, lanes=weights.shape[2])
    groups = weights.reshape(-1, filters, *weights.shape[1:])
    columns = np.tile(np.arange(weights.shape[1], dtype=np.int32), (len(groups), 1))
    bank = np.arange(weights.shape[1]) % config.banks
    return columns.size / float(schedule(groups, columns, bank, config, mode).steps.sum())


def points() -> None:
    print("Speed-up over dense: 96 random filters of 256 x 3 x 3, 8 lanes, independent weights, seed 1")
    print(f"{'zero/non-outlier/outlier %':>27} {'ideal':>6}", end="")
    columns = [("combined", mux, filters) for filters in (1, 8) for mux in (4, 8, 12, 16)]
    columns += [("zero_skip", 8, filters) for filters in (1, 8)]
    for mode, mux, filters in columns:
        print(f" {'skip' if mode == 'zero_skip' else 'comb'}/{mux}/{filters}".rjust(11), end="")
    print("\n" + "mode/mux/filters in lockstep".rjust(45))
    for mix in MIXES:
        rng = np.random.default_rng(1)
        weights = random_weights(rng, (96, 288, 8), mix[0] / 100, mix[1] / 100)
        ideal = 1 / (mix[1] / 200 + mix[2] / 100)
        print(f"{mix[0]:>15} /{mix[1]:>5} /{mix[2]:>4} {ideal:6.2f}", end="")
        for mode, mux, filters in columns:
            print(f"{speed_up(weights, filters, mux, mode):11.2f}", end="")
        print()


def vgg16() -> None:
    rng = np.random.default_rng(1)
    layers = [random_weights(rng, (k, c, 3, 3), 0.342, 0.598) for c, k, _ in VGG16]
    count = sum(w.size for w in layers)
    for name in ("z2", "kang"):
        config = get_config(name)
        compile_conv(config, layers[0])  # compiles the scheduler to machine code, or loads it
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, steps, dense = time.perf_counter(), 0, 0
        for w, (_, _, size) in zip(layers, VGG16, strict=True):
            plan = compile_conv(config, w, padding=(1, 1, 1, 1), input_shape=(size, size))
            steps, dense = steps + plan.steps, dense + plan.dense_steps
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"VGG-16, {count / 1e6:.1f} M weights, {name} (mux {config.mux}, {config.filters} in lockstep): ", end="")
        print(
            f"compiled in {seconds:.2f} s, peak memory {peak / 1024:.0f} MiB, {(peak - before) / 1024:.0f} of it new; ",
            end="",
        )
        print(f"dense steps / steps = {dense / steps:.2f}")


if __name__ == "__main__":
    points()
    vgg16()
