"""The engine's cycle counters, as read after a run."""

from __future__ import annotations

import dataclasses

from ..hardware.registers import COUNTER_NAMES

_Fields = dataclasses.make_dataclass("_Fields", [(name, int, 0) for name in COUNTER_NAMES], frozen=True)


@dataclasses.dataclass(frozen=True)
class Counters(_Fields):
    """One number per counter of ``zeroskip.hardware.registers.COUNTERS``; counters of several runs add.

    Unlike the hardware's they are not limited to 32 bits.
    """

    @classmethod
    def zero(cls) -> Counters:
        return cls()

    def __add__(self, other: Counters) -> Counters:
        if not isinstance(other, Counters):
            return NotImplemented
        return Counters(**{name: getattr(self, name) + getattr(other, name) for name in COUNTER_NAMES})

    def __getitem__(self, name: str) -> int:
        if name not in COUNTER_NAMES:
            raise KeyError(f"no counter {name!r}; there are {', '.join(COUNTER_NAMES)}")
        return getattr(self, name)

    def as_dict(self) -> dict[str, int]:
        """Name to value, in register order."""
        return {name: getattr(self, name) for name in COUNTER_NAMES}
