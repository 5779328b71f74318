"""Random legal packet streams of the engines that replay schedules: all they must take, not only what is compiled."""

from __future__ import annotations

import numpy as np

import gather_stream
import twin_stream
from packet_words import Step, act_words, run_words
from zeroskip.hardware.config import Config
from zeroskip.hardware.window import candidates


def random_act(config: Config, rng, page: int, address: int, count: int, wgs: int, zeros: float) -> list[int]:
    """An ACT packet of random activations.

    Args:
        zeros: share of zeros among the columns, among the lanes of the others, and among what is left.
    """
    wide = int(rng.integers(2))
    zero_point = 0 if wide else int(rng.integers(256))
    shape = (count, wgs, config.acts)
    limit = config.act_max
    values = rng.integers(-limit, limit + 1, shape) if wide else rng.integers(0, 256, shape) - zero_point
    values[rng.random(shape) < zeros] = 0
    values.transpose(0, 2, 1)[rng.random((count, config.acts)) < zeros] = 0
    values[rng.random(count) < zeros] = 0
    return act_words(values, page=page, address=address, format=wide, zero_point=zero_point)


def random_step(config: Config, rng, sparsity: float) -> Step:
    """One trident step whose referenced slots lie in different banks and whose lanes select only those."""
    bank = rng.permutation(config.banks).tolist()
    refs = rng.random(config.window) > sparsity
    step: Step = {}
    for slot in np.flatnonzero(refs):
        row = int(rng.integers(config.columns // 4 // config.banks))
        step |= {f"offset[{slot}]": row * config.banks + bank[slot], f"ref[{slot}]": 1}
    choices = [k for k, (ahead, _) in enumerate(candidates(config.mux)) if refs[ahead]]
    for m, lane in np.ndindex(config.filters, config.lanes):
        byte = int(rng.integers(256))
        if not choices or rng.random() < sparsity:
            byte = 0
        elif rng.random() < 0.2:
            byte &= 0xF0 if rng.random() < 0.5 else 0x0F
        at = f"[{m}][{lane}]"
        step |= {f"weight{at}": byte, f"pair{at}": int(rng.integers(2))}
        if choices:
            step |= {f"select{half}{at}": int(rng.choice(choices)) for half in range(2)}
    return step


def random_run(
    config: Config, rng, page: int, start: int, wgs: int, last: bool, sparsity: float
) -> tuple[list[int], int]:
    """A RUN packet that reads only columns ``start`` to ``start + columns / 2``; also its beats of sums."""
    most = min(config.steps, int(rng.choice([1, 3, 12, 40])))
    count = int(rng.integers(1, most + 1))
    nx, ny = (int(n) for n in rng.integers(1, int(rng.choice([2, 5, 9, 20])), 2))
    reach = config.columns // 4  # what pixel bases may add, and what offsets may
    dx, dy = (int(rng.integers(max(1, reach // 2 // n))) for n in (nx, ny))
    base = start + int(rng.integers(reach - (nx - 1) * dx - (ny - 1) * dy))
    near, apart = rng.random() < 0.5, rng.random() < 0.4  # trident ignores both, twin the second
    origin, parts = 0, 1
    if config.banked:
        origin = int(rng.integers(config.columns))  # of the offsets: anywhere in the memory
        parts = config.passes if apart else 1
        make = twin_stream.random_step if config.engine == "twin" else gather_stream.random_step
        steps = [make(config, rng, near, reach, sparsity, origin) for _ in range(count)]
    else:
        steps = [random_step(config, rng, sparsity) for _ in range(count)]
    words = run_words(
        config, steps, (ny, nx), (dy, dx), page=page, skip=int(rng.integers(2)), last=last, near=near, apart=apart,
        wgs=wgs, base=(base - origin) % 2**16,
    )  # fmt: skip
    return words, nx * ny * parts * -(-wgs * config.filters // 2)


def random_stream(config: Config, seed: int, runs: int = 6) -> tuple[np.ndarray, int]:
    """A whole transfer: uint64 words, and the number of result beats.

    Each page is half of the columns, at a random rotation so that addresses wrap around; a tile's
    activations go to a random page, so that writing one page overlaps with runs that read the other.
    """
    rng = np.random.default_rng(seed)
    zeros, sparsity = (float(p) for p in rng.choice([0.0, 0.3, 0.8, 1.0], 2))
    half = config.columns // 2
    start = [int(rng.integers(config.columns)), 0]
    start[1] = start[0] + half
    words: list[int] = []
    beats = 0
    for page in (0, 1):
        words += random_act(config, rng, page, start[page] % config.columns, half, config.wgs, zeros)
    for index in range(runs):
        while rng.random() < 0.4:
            page = int(rng.integers(2))
            count = int(rng.integers(1, max(2, half // 8)))
            address = (start[page] + int(rng.integers(half - count + 1))) % config.columns
            words += random_act(config, rng, page, address, count, int(rng.integers(1, config.wgs + 1)), zeros)
        page, wgs = int(rng.integers(2)), int(rng.integers(1, config.wgs + 1))
        run, sums = random_run(config, rng, page, start[page], wgs, index == runs - 1, sparsity)
        words += run
        beats += sums
    return np.array(words, dtype=np.uint64), beats
