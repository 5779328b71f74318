"""Twin: gather's banks, and multipliers that serve two work groups: an 8-bit weight takes half a multiplier's cycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import TwinPart
from ..runtime.records import Records, twin_records
from .scheduled import ScheduledEngine


class TwinEngine(ScheduledEngine):
    """Modes: nothing is skipped; zero weights.  Pairs of small weights would gain nothing: all are half a cycle."""

    name = "twin"
    modes = ("dense", "zero_skip")
    refused: ClassVar = {
        "combined": "combined would be zero_skip: a multiplier serves two work groups in every cycle, whatever its "
        "weight, so pairs of small weights gain nothing"
    }
    part = TwinPart
    unpack = 2
    close = 13
    bound_text = "every lane had a weight other than zero in every cycle"

    def records(self, config: Config, part: TwinPart, offsets: np.ndarray) -> Records:
        return twin_records(config, part, offsets)

    def layouts(self, layer) -> Iterator:
        from ..compiler import twin_layers

        return twin_layers.layouts(layer)

    def schedule(self, layer, option) -> tuple:
        from ..compiler import twin_layers

        return twin_layers.make(layer, option)

    def execute(self, config: Config, words: np.ndarray):
        from ..models import twin

        return twin.execute(config, words)
