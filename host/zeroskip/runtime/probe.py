"""Small packet streams whose sums are worked out in NumPy here: what a self-test needs without the compiler.

For the trident engine; the evaluation follows docs/streams.md word by word.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..hardware import packets
from ..hardware.config import STREAM_BITS, Config
from ..hardware.window import candidates


@dataclass
class Probe:
    """A transfer that is being put together, and the sums it must give.

    Args:
        config: the hardware.
    """

    config: Config
    words: list[int] = field(default_factory=list)
    sums: list[np.ndarray] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self.memory = np.zeros((self.config.wgs, self.config.columns, self.config.lanes), np.int64)

    def activations(self, values: np.ndarray, address: int = 0, page: int = 0, zero_point: int | None = None) -> None:
        """Append an ACT packet for all work groups.

        Args:
            values: int (columns, wgs, lanes).
            address: of the first column.
            page: 0 or 1.
            zero_point: send bytes, ``value + zero_point``; None: 16-bit values.
        """
        config = self.config
        wide = zero_point is None
        self.words.append(
            packets.encode(
                packets.ACT_HEADER,
                **{"kind": packets.KIND_ACT, "page": page, "format": int(wide), "wgs": config.wgs},
                **{"address": address, "count": len(values), "zero_point": zero_point or 0},
            )
        )
        entries = values.astype("<i2") if wide else (values + zero_point).astype(np.uint8)
        rows = np.ascontiguousarray(entries).view(np.uint8).reshape(len(values) * config.wgs, -1)
        padded = np.zeros((len(rows), config.column_beats(int(wide)) * STREAM_BITS // 8), np.uint8)
        padded[:, : rows.shape[1]] = rows
        self.words += padded.view("<u8").ravel().tolist()
        at = (address + np.arange(len(values))) % config.columns
        self.memory[:, at] = values.transpose(1, 0, 2)

    def run(self, steps: list[dict[str, int]], size: tuple[int, int], pitch: tuple[int, int], **header: int) -> None:
        """Append a RUN packet and work out its sums.

        Args:
            steps: fields of every step by the names of ``packets.step_fields``; those left out are zero.
            size: (rows, columns) of pixels.
            pitch: (dy, dx).
            header: ``base``, and if not 0: ``page``, ``skip``, ``last``.
        """
        config = self.config
        first = {"page": 0, "skip": 0, "last": 0, **header}
        first |= {"kind": packets.KIND_RUN, "wgs": config.wgs, "steps": len(steps)}
        self.words.append(packets.encode(packets.RUN_HEADER_0, **first))
        loop = {"ny": size[0], "nx": size[1], "dy": pitch[0], "dx": pitch[1]}
        self.words.append(packets.encode(packets.RUN_HEADER_1, **loop))
        layout = packets.step_fields(config)
        for step in steps:
            record = sum((step.get(part.name, 0) & (1 << part.width) - 1) << part.low for part in layout)
            mask = (1 << STREAM_BITS) - 1
            self.words += [record >> beat * STREAM_BITS & mask for beat in range(config.step_beats)]
        y, x = np.divmod(np.arange(size[0] * size[1]), size[1])
        pixels = (first["base"] + y * pitch[0] + x * pitch[1]) % 2**16
        self.sums.append(sum(self._step(step, pixels) for step in steps).astype(np.int32))
        self.steps += len(steps) * len(pixels)

    def _step(self, step: dict[str, int], pixels: np.ndarray) -> np.ndarray:
        """int64 (pixels, wgs, filters): what one step adds to every sum."""
        config = self.config
        shape = (config.filters, config.lanes)

        def lanes(name: str) -> np.ndarray:
            flat = [step.get(f"{name}[{m}][{lane}]", 0) for m in range(shape[0]) for lane in range(shape[1])]
            return np.array(flat).reshape(shape)

        offsets = np.array([step.get(f"offset[{slot}]", 0) for slot in range(config.window)])
        columns = (pixels[:, None] + offsets) % config.columns  # (pixels, window)
        ahead, aside = np.array(candidates(config.mux)).T

        def chosen(select: np.ndarray) -> np.ndarray:
            """(wgs, pixels, filters, lanes): the activations a select chooses."""
            lane = (np.arange(config.lanes) + aside[select]) % config.lanes
            return self.memory[:, columns[:, ahead[select]], lane]

        weight, pair = lanes("weight"), lanes("pair")
        signed = (weight + 128) % 256 - 128
        low, high = (weight + 8) % 16 - 8, (weight // 16 + 8) % 16 - 8
        one = chosen(lanes("select0")) * np.where(pair, low, signed)
        other = chosen(lanes("select1")) * np.where(pair, high, 0)
        return (one + other).sum(3).transpose(1, 0, 2)

    def stream(self) -> np.ndarray:
        """uint64, the input stream."""
        return np.array(self.words, np.uint64)

    def expected(self) -> np.ndarray:
        """uint64, the output stream: per pixel all sums, two per word, the last word of a pixel padded."""
        beats = []
        for sums in self.sums:
            flat = sums.reshape(len(sums), -1)
            padded = np.zeros((len(flat), flat.shape[1] + flat.shape[1] % 2), "<i4")
            padded[:, : flat.shape[1]] = flat
            beats.append(padded.view("<u8").ravel())
        return np.concatenate(beats).astype(np.uint64)


def echo(config: Config, columns: int, seed: int) -> Probe:
    """A transfer whose sums are its activations: lane 0 of every column times 1, pixel by pixel."""
    rng = np.random.default_rng(seed)
    probe = Probe(config)
    wide = bool(seed % 2)
    limit = min(config.act_max, 127)
    values = rng.integers(-limit, limit + 1, (columns, config.wgs, config.lanes))
    probe.activations(values, zero_point=None if wide else 128)
    step = {f"weight[{m}][0]": 1 for m in range(config.filters)}
    probe.run([{"ref[0]": 1, **step}], (1, columns), (0, 1), base=0, last=1)
    return probe


def random_steps(config: Config, seed: int, runs: int = 4) -> Probe:
    """Random activations and legal random steps: pairs, outliers, idle lanes, every select, both pages, skipping."""
    rng = np.random.default_rng(seed)
    probe = Probe(config)
    half = config.columns // 2
    for page in (0, 1):
        values = rng.integers(-config.act_max, config.act_max + 1, (half, config.wgs, config.lanes))
        values[rng.random(half) < 0.5] = 0
        probe.activations(values, page * half, page)
    for index in range(runs):
        page = index % 2
        most = min(config.steps, 24)
        steps = [random_step(config, rng, half // 4) for _ in range(int(rng.integers(1, most + 1)))]
        size = (int(rng.integers(1, 4)), int(rng.integers(1, 5)))
        pitch = (int(rng.integers(half // 16)), int(rng.integers(half // 32 + 1)))
        header = {"base": page * half, "page": page, "skip": int(rng.integers(2)), "last": int(index == runs - 1)}
        probe.run(steps, size, pitch, **header)
    return probe


def random_step(config: Config, rng: np.random.Generator, reach: int) -> dict[str, int]:
    """A step whose referenced slots lie in different banks and whose lanes use only those."""
    step: dict[str, int] = {}
    refs = rng.random(config.window) < 0.7
    for slot, bank in enumerate(rng.permutation(config.banks)[: config.window].tolist()):
        if refs[slot]:
            row = int(rng.integers(max(reach // config.banks, 1)))
            step |= {f"offset[{slot}]": row * config.banks + bank, f"ref[{slot}]": 1}
    choices = [k for k, (ahead, _) in enumerate(candidates(config.mux)) if refs[ahead]]
    for m in range(config.filters):
        for lane in range(config.lanes):
            if choices and rng.random() < 0.8:
                at = f"[{m}][{lane}]"
                step |= {f"weight{at}": int(rng.integers(256)), f"pair{at}": int(rng.integers(2))}
                step |= {f"select{n}{at}": int(rng.choice(choices)) for n in (0, 1)}
    return step
