"""The memory behind the simulated DMA: its timing, shared by the Verilated simulator and the cycle model."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError

MEMORY_BASE = 0x1000_0000
"""Physical address of the simulated memory."""

MEMORY_SIZE = 256 << 20
"""Bytes of simulated memory; untouched pages cost nothing."""

_LIMITS = {
    "read_latency": (1, 100_000),
    "write_latency": (1, 100_000),
    "rate": (1, 1024),
    "stall": (0, 250),
    "stream_stall": (0, 250),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True)
class MemoryModel:
    """Timing of the simulated memory and of the streams; the defaults stand for one 64-bit HP port of a Z-7020.

    Args:
        read_latency: cycles from a read address to its first data.
        write_latency: cycles from the last data of a burst to its response.
        rate: 64-bit beats per 1024 cycles, in each direction.
        stall: probability, of 256, that memory does nothing in a cycle.
        stream_stall: the same for the two streams between DMA and engine.
        seed: of all random numbers; a run repeats exactly with the same seed.

    Raises:
        ConfigError: a value outside its range.
    """

    read_latency: int = 40
    write_latency: int = 20
    rate: int = 960
    stall: int = 0
    stream_stall: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"memory model: {field} = {value!r}; accepted: a whole number from {low} to {high}")

    def seeds(self) -> tuple[int, int, int, int]:
        """Start values of the four xorshift32 generators: memory reads, memory writes, stream in, stream out."""
        return tuple(((self.seed * 0x9E3779B1 + 1) * (2 * k + 1) * 0x85EBCA6B & 0xFFFF_FFFF) or 1 for k in range(4))
