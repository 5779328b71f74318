"""The engine's cycle counters, as read after a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from ..hardware.registers import COUNTER_NAMES

_Fields = dataclasses.make_dataclass("_Fields", [(name, int, 0) for name in COUNTER_NAMES], frozen=True)


@dataclasses.dataclass(frozen=True)
class Counters(_Fields, Mapping):
    """One number per counter of ``zeroskip.hardware.registers.COUNTERS``; counters of several runs add.

    ``counters.cycles`` and ``counters["cycles"]`` are the same number; a mapping from names to numbers in register
    order, so ``dict(counters)`` is a copy.  Unlike the hardware's they are not limited to 32 bits.
    """

    @classmethod
    def zero(cls) -> Counters:
        return cls()

    def __add__(self, other: Counters) -> Counters:
        if not isinstance(other, Counters):
            return NotImplemented
        return Counters(*(mine + its for mine, its in zip(self.values(), other.values(), strict=True)))

    def __getitem__(self, name: str) -> int:
        if name not in COUNTER_NAMES:
            raise KeyError(f"no counter {name!r}; there are {', '.join(COUNTER_NAMES)}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(COUNTER_NAMES)

    def __len__(self) -> int:
        return len(COUNTER_NAMES)
