"""Trident: Kang et al.'s engine: filters in lockstep, a window of columns, two activation selects per lane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..hardware.config import Config
from ..runtime.parts import Part
from ..runtime.records import Records, trident_records
from .scheduled import ScheduledEngine


class TridentEngine(ScheduledEngine):
    """Modes: nothing is skipped (DaDianNao); zero weights (Bit-Tactical); these, and two non-outliers in a cycle."""

    name = "trident"
    part = Part
    unpack = 0
    close = 13

    def geometry(self, fields: Mapping) -> str:
        return f"{super().geometry(fields)}, mux {fields.get('mux')}"

    def records(self, config: Config, part: Part, offsets: np.ndarray) -> Records:
        return trident_records(config, part, offsets)

    def layouts(self, layer) -> Iterator:
        from ..compiler import trident_layers

        return trident_layers.layouts(layer)

    def schedule(self, layer, option) -> tuple:
        from ..compiler import trident_layers

        return trident_layers.make(layer, option)

    def least_steps(self, config: Config, dense: np.ndarray) -> np.ndarray:
        return dense / config.window  # a window's limit

    def execute(self, config: Config, words: np.ndarray):
        from ..models import trident

        return trident.execute(config, words)
