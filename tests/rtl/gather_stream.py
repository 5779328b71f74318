"""Streams of the gather engine step by step: legal random steps, and streams with their sums worked out in NumPy.

The evaluation follows docs/streams.md and shares nothing with the functional model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from packet_words import Step, act_words, run_words
from zeroskip.hardware import packets
from zeroskip.hardware.config import NEAR_BASE_BITS, NEAR_BITS, Config


def random_step(config: Config, rng, near: bool, reach: int, idle: float, origin: int = 0) -> Step:
    """A step in which no two lanes refer to one bank; the banks that none refers to have any offset.

    Args:
        reach, origin: offsets of banks that are referred to are ``origin`` to ``origin + reach - 1``, modulo COLUMNS.
        idle: share of the lanes without weights.
    """
    step: Step = {}
    taken: set[int] = set()
    for lane in rng.permutation(config.lanes).tolist():
        route = int(rng.integers(len(packets.ROUTES)))
        weight = 0 if rng.random() < idle else int(rng.integers(256))
        for operand, bank in enumerate(packets.ROUTES[route]):
            if bank is not None:
                part = 0xFF if packets.ROUTES[route][1] is None else 0xF0 if operand else 0x0F
                at = (2 * lane + bank) % config.acts
                if at in taken or rng.random() < 0.1:
                    weight &= ~part
                if weight & part:
                    taken.add(at)
        step |= {f"weight[{lane}]": weight, f"route[{lane}]": route}
    if not near:
        for bank in range(config.acts):
            offset = origin + rng.integers(reach) if bank in taken else rng.integers(config.columns)
            step[f"offset[{bank}]"] = int(offset) % config.columns
        return step
    # Offsets begin at any column, the base only at multiples; on small builds several bases mean the same.
    first = int(rng.integers(reach))
    low = (origin + first) % config.columns % (1 << config.near_shift)
    base = (origin + first) % config.columns >> config.near_shift
    step["base"] = int(rng.choice(np.arange(base, 1 << NEAR_BASE_BITS, config.columns >> config.near_shift)))
    span = min((1 << NEAR_BITS) - low, reach - first)
    for bank in range(config.acts):
        step[f"near[{bank}]"] = int(low + rng.integers(span) if bank in taken else rng.integers(1 << NEAR_BITS))
    return step


@dataclass
class Stream:
    """A transfer that is being put together, the sums it must give and the counters that do not depend on time.

    Attributes:
        sums: per RUN int64 (rows, wgs): a row per pixel, or per pixel and lane where lanes are apart.
    """

    config: Config
    words: list[int] = field(default_factory=list)
    sums: list[np.ndarray] = field(default_factory=list)
    counters: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("steps", "dead_steps", "columns", "columns_skipped", "pairs", "singles", "outliers", "packets"), 0
        )
    )

    def __post_init__(self) -> None:
        self.memory = np.zeros((self.config.wgs, self.config.columns, self.config.acts), np.int64)
        self.flags = np.zeros((self.config.columns, self.config.acts), bool)

    def activations(self, values: np.ndarray, address: int = 0, page: int = 0) -> None:
        """Append an ACT packet.

        Args:
            values: int (columns, wgs, 2 * lanes).
        """
        count, wgs, _ = values.shape
        self.words += act_words(values, address=address, page=page)
        self.counters["packets"] += 1
        at = (address + np.arange(count)) % self.config.columns
        self.memory[:wgs, at] = values.transpose(1, 0, 2)
        self.flags[at] = values.any(1)

    def run(self, steps: list[Step], size: tuple[int, int] = (1, 1), pitch: tuple[int, int] = (0, 0), **header: int
            ) -> None:  # fmt: skip
        """Append a RUN, as :func:`run_words` gives it, and work out its sums."""
        header = {"wgs": self.config.wgs, **header}
        self.words += run_words(self.config, steps, size, pitch, **header)
        self.counters["packets"] += 1
        y, x = np.divmod(np.arange(size[0] * size[1]), size[1])
        pixels = header.get("base", 0) + y * pitch[0] + x * pitch[1]
        total = sum(self._step(step, pixels, bool(header.get("skip"))) for step in steps)
        if not header.get("apart"):
            total = total.sum(1, keepdims=True)
        self.sums.append(total[..., : header["wgs"]].reshape(-1, header["wgs"]))

    def _step(self, step: Step, pixels: np.ndarray, skip: bool) -> np.ndarray:
        """int64 (pixels, lanes, wgs): what each lane adds in one step, dead or not."""
        config = self.config
        start = step.get("base", 0) << config.near_shift
        total = np.zeros((len(pixels), config.lanes, config.wgs), np.int64)
        met = np.zeros(config.acts, int)
        some = np.zeros(len(pixels), bool)
        kinds = dict.fromkeys(("pairs", "singles", "outliers"), 0)
        for lane in range(config.lanes):
            byte = step.get(f"weight[{lane}]", 0)
            banks = packets.ROUTES[step.get(f"route[{lane}]", 0)]
            outlier = banks[1] is None
            parts = [(byte + 128) % 256 - 128] if outlier else [(byte % 16 + 8) % 16 - 8, (byte // 16 + 8) % 16 - 8]
            count = np.count_nonzero(parts)
            if count:
                kinds["outliers" if outlier else ("singles", "pairs")[count - 1]] += 1
            for weight, near_bank in zip(parts, banks, strict=False):
                if weight:
                    bank = (2 * lane + near_bank) % config.acts
                    offset = step.get(f"offset[{bank}]", start + step.get(f"near[{bank}]", 0))
                    column = (pixels + offset) % config.columns
                    total[:, lane] += weight * self.memory[:, column, bank].T
                    some |= self.flags[column, bank]
                    met[bank] += 1
        assert met.max() <= 1
        live = int(some.sum()) if skip else len(pixels)
        dead = len(pixels) - live
        for name, amount in {"steps": live, "dead_steps": dead, "columns": live * met.sum(),
                             "columns_skipped": dead * met.sum()}.items():  # fmt: skip
            self.counters[name] += int(amount)
        for name, amount in kinds.items():
            self.counters[name] += amount * live
        return total

    def stream(self) -> np.ndarray:
        """uint64, the input stream."""
        return np.array(self.words, np.uint64)

    def expected(self) -> np.ndarray:
        """uint64, the output stream: a row of sums after the other, modulo 2^32, two per word, its last word padded."""
        beats = []
        for sums in self.sums:
            padded = np.zeros((len(sums), sums.shape[1] + sums.shape[1] % 2), "<u4")
            padded[:, : sums.shape[1]] = sums & 0xFFFF_FFFF
            beats.append(padded.view("<u8").ravel())
        return np.concatenate(beats).astype(np.uint64)
