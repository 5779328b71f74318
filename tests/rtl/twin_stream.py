"""Steps of the twin engine: legal random ones, and their sums worked out in NumPy.

The evaluation follows docs/streams.md and shares nothing with the functional model.
"""

from __future__ import annotations

import numpy as np

from packet_words import Step
from zeroskip.hardware.config import NEAR_BASE_BITS, Config


def random_step(config: Config, rng, near: bool, reach: int, idle: float, origin: int = 0) -> Step:
    """A step in which no two lanes refer to one bank; lanes without a weight say anything.

    Args:
        reach, origin: offsets of banks that are referred to are ``origin`` to ``origin + reach - 1``, modulo COLUMNS.
        idle: share of the lanes without weights.
    """
    step: Step = {}
    taken: set[int] = set()
    first = int(rng.integers(reach))
    low = (origin + first) % config.columns % (1 << config.near_shift)
    base = (origin + first) % config.columns >> config.near_shift
    if near:  # bases count modulo COLUMNS: on small builds several mean the same
        step["base"] = int(rng.choice(np.arange(base, 1 << NEAR_BASE_BITS, config.columns >> config.near_shift)))
    for lane in rng.permutation(config.lanes).tolist():
        route = int(rng.integers(4))
        bank = (2 * lane + route) % config.acts
        weight = (
            0 if rng.random() < idle or bank in taken else int(rng.choice([-128, 127, int(rng.integers(256)) - 128]))
        )
        if weight:
            taken.add(bank)
        step |= {f"weight[{lane}]": weight, f"route[{lane}]": route}
        if near:
            span = min((1 << config.near_bits) - low, reach - first)
            step[f"near[{lane}]"] = int(low + rng.integers(span) if weight else rng.integers(1 << config.near_bits))
        else:
            step[f"offset[{lane}]"] = int((origin + rng.integers(reach)) % config.columns)
    return step


def sums_of(config: Config, steps: list[Step], pixels: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """int64 (pixels, wgs): the sums of a RUN, no step left out.

    Args:
        pixels: int (pixels,), column address of each.
        memory: int64 (wgs, columns, banks), activations.
    """
    total = np.zeros((len(pixels), config.wgs), np.int64)
    for step in steps:
        for lane in range(config.lanes):
            weight = step.get(f"weight[{lane}]", 0)
            bank = (2 * lane + step.get(f"route[{lane}]", 0)) % config.acts
            offset = (step.get("base", 0) << config.near_shift) + step.get(f"near[{lane}]", 0)
            column = (pixels + step.get(f"offset[{lane}]", offset)) % config.columns
            total += weight * memory[:, column, bank].T
    return total
