"""Gather: every operand is read from a bank at an address of its own, so that a step meets any activation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import GatherPart
from ..runtime.records import Records, gather_records
from .scheduled import ScheduledEngine


class GatherEngine(ScheduledEngine):
    """Modes as trident's."""

    name = "gather"
    part = GatherPart
    unpack = 2
    close = 15

    def records(self, config: Config, part: GatherPart, offsets: np.ndarray) -> Records:
        return gather_records(config, part, offsets)

    def layouts(self, layer) -> Iterator:
        from ..compiler import gather_layers

        return gather_layers.layouts(layer)

    def schedule(self, layer, option) -> tuple:
        from ..compiler import gather_layers

        return gather_layers.make(layer, option)

    def execute(self, config: Config, words: np.ndarray):
        from ..models import gather

        return gather.execute(config, words)
