"""How busy the engine is on one layer: 64 → 64 channels, 3×3, on a 32×32 map.

``python host/benchmarks/layer.py [--device sim|model] [--config z2]`` prints, for each mode, the cycles of the
hardware's counters and two ratios: *span / busy*, bubbles between the first and the last step, and
*cycles / busy*, the whole transfer with DMA and the default memory.  Weights are random, 34.2 % zero, 59.8 %
non-outliers, 6.0 % outliers; activations are 8-bit, 45 % of them zero, independently, so that
columns are hardly ever zero as a whole.  Speed-ups are over the dense schedule on the same hardware.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import zeroskip as zs
from zeroskip.models.reference import conv2d

MODES = (("dense", False), ("zero_skip", False), ("combined", False), ("combined", True))


def random_weights(rng, shape: tuple[int, ...], zero: float, non_outlier: float) -> np.ndarray:
    """int8 weights of independent kinds; uniform within a kind."""
    kind = rng.random(shape)
    small = rng.choice([w for w in range(-8, 8) if w], shape)
    large = rng.choice([w for w in range(-128, 128) if not -8 <= w <= 7], shape)
    return np.where(kind < zero, 0, np.where(kind < zero + non_outlier, small, large)).astype(np.int8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("sim", "model"), default="sim")
    parser.add_argument("--config", default="z2")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    w = random_weights(rng, (64, 64, 3, 3), 0.342, 0.598)
    x = rng.integers(1, 256, (1, 64, 32, 32)).astype(np.int16)
    x[rng.random(x.shape) < 0.45] = 0
    expected = conv2d(x, w, padding=(1, 1, 1, 1))
    print(f"{arguments.config} on {arguments.device}; 64→64 3×3 at 32×32; random 34.2/59.8/6.0 weights")
    print(f"{'mode':>16} {'cycles':>10} {'busy':>10} {'speed-up':>9}", end=" ")
    print(f"{'span/busy':>10} {'cycles/busy':>12} {'Mcycles/s':>10}")
    dense = 0
    with zs.open_device(arguments.device, config=arguments.config) as device:
        for mode, skip in MODES:
            start = time.perf_counter()
            sums, c = zs.conv2d(device, x, w, padding=(1, 1, 1, 1), mode=mode, activation_skip=skip)
            seconds = time.perf_counter() - start
            if not np.array_equal(sums, expected):
                raise SystemExit(f"{mode}: sums differ from the integer reference")
            dense = dense or c.cycles
            print(
                f"{mode + (' + skip' if skip else ''):>16} {c.cycles:10,} {c.busy:10,} {dense / c.cycles:8.2f}x "
                f"{c.span / c.busy:10.4f} {c.cycles / c.busy:12.4f} {c.cycles / seconds / 1e6:10.2f}"
            )


if __name__ == "__main__":
    main()
