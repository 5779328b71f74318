"""Random legal packet streams of trident and gather: what an engine must take, not only what the compiler sends."""

from __future__ import annotations

import numpy as np

import gather_stream
from zeroskip.hardware import packets
from zeroskip.hardware.config import Config
from zeroskip.hardware.window import candidates


class _Bits:
    """Appends fields, lowest bit first, and gives 64-bit words."""

    def __init__(self) -> None:
        self.value, self.length = 0, 0

    def add(self, value: int, width: int) -> None:
        self.value |= (int(value) & (1 << width) - 1) << self.length
        self.length += width

    def words(self) -> list[int]:
        return [self.value >> at & 2**64 - 1 for at in range(0, self.length, 64)]


def random_act(config: Config, rng, page: int, address: int, count: int, wgs: int, zeros: float) -> list[int]:
    """An ACT packet of random activations.

    Args:
        zeros: share of zeros among the columns, among the lanes of the others, and among what is left.
    """
    wide = int(rng.integers(2))
    zero_point = 0 if wide else int(rng.integers(256))
    header = packets.encode(
        packets.ACT_HEADER, kind=packets.KIND_ACT, page=page, format=wide, wgs=wgs, address=address, count=count,
        zero_point=zero_point,
    )  # fmt: skip
    shape = (count, wgs, config.acts)
    limit = config.act_max
    values = rng.integers(-limit, limit + 1, shape) if wide else rng.integers(0, 256, shape) - zero_point
    values[rng.random(shape) < zeros] = 0
    values.transpose(0, 2, 1)[rng.random((count, config.acts)) < zeros] = 0
    values[rng.random(count) < zeros] = 0
    beats = [header]
    for column in values.reshape(-1, config.acts):
        bits = _Bits()
        for value in column:
            bits.add(value if wide else value + zero_point, 16 if wide else 8)
        beats += bits.words()
    return beats


def random_step(config: Config, rng, sparsity: float) -> list[int]:
    """One trident step whose referenced slots lie in different banks and whose lanes select only those."""
    bits = _Bits()
    bank = rng.permutation(config.banks)
    refs = rng.random(config.window) > sparsity
    for slot in range(config.window):
        row = int(rng.integers(config.columns // 4 // config.banks))
        bits.add((row * config.banks + int(bank[slot])) * refs[slot], config.column_w)
        bits.add(refs[slot], 1)
    choices = [k for k, (ahead, _) in enumerate(candidates(config.mux)) if refs[ahead]]
    for _ in range(config.filters * config.lanes):
        byte = int(rng.integers(256))
        if not choices or rng.random() < sparsity:
            byte = 0
        elif rng.random() < 0.2:
            byte &= 0xF0 if rng.random() < 0.5 else 0x0F
        bits.add(byte, 8)
        bits.add(rng.integers(2), 1)
        for _ in range(2):
            bits.add(rng.choice(choices) if choices else 0, config.select_w)
    return bits.words()


def random_run(
    config: Config, rng, page: int, start: int, wgs: int, last: bool, sparsity: float
) -> tuple[list[int], int]:
    """A RUN packet that reads only columns ``start`` to ``start + columns / 2``; also its beats of sums."""
    most = min(config.steps, int(rng.choice([1, 3, 12, 40])))
    steps = int(rng.integers(1, most + 1))
    nx, ny = (int(n) for n in rng.integers(1, int(rng.choice([2, 5, 9, 20])), 2))
    reach = config.columns // 4  # what pixel bases may add, and what offsets may
    dx, dy = (int(rng.integers(max(1, reach // 2 // n))) for n in (nx, ny))
    base = start + int(rng.integers(reach - (nx - 1) * dx - (ny - 1) * dy))
    # Offsets of a gather RUN begin anywhere in the memory; trident ignores `near`.
    origin, near = int(rng.integers(config.columns)) if config.engine == "gather" else 0, bool(rng.integers(2))
    first = packets.encode(
        packets.RUN_HEADER_0, kind=packets.KIND_RUN, page=page, skip=int(rng.integers(2)), last=last, near=int(near),
        wgs=wgs, steps=steps, base=(base - origin) % 2**16, apart=0,
    )  # fmt: skip
    second = packets.encode(packets.RUN_HEADER_1, nx=nx, ny=ny, dx=dx, dy=dy)
    beats = [first, second]
    for _ in range(steps):
        if config.engine == "gather":
            step = gather_stream.random_step(config, rng, near, reach, sparsity, origin)
            beats += gather_stream.step_words(config, step, near)
        else:
            beats += random_step(config, rng, sparsity)
    return beats, nx * ny * -(-wgs * config.filters // 2)


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
