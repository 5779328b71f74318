"""Twin: gather's banks, and multipliers that serve two work groups: an 8-bit weight takes half a multiplier's cycle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import ConfigError
from ..hardware.config import Config
from ..runtime.parts import GatherPart
from ..runtime.records import Records
from .scheduled import ScheduledEngine


class TwinEngine(ScheduledEngine):
    """Modes: nothing is skipped; zero weights.  Pairs of small weights would gain nothing: all are half a cycle."""

    name = "twin"
    modes = ("dense", "zero_skip")
    part = GatherPart
    unpack = 2
    close = 13
    bound_text = "every lane had a weight other than zero in every cycle"

    def records(self, config: Config, part, offsets: np.ndarray) -> Records:
        raise _no_compiler(config)

    def layouts(self, layer) -> Iterator:
        raise _no_compiler(layer.config)

    def schedule(self, layer, option) -> tuple:
        raise _no_compiler(layer.config)

    def execute(self, config: Config, words: np.ndarray):
        from ..models import twin

        return twin.execute(config, words)


def _no_compiler(config: Config) -> ConfigError:
    return ConfigError(
        f"configuration {config.name!r}: networks cannot be compiled for the twin engine yet; "
        f"accepted: packet streams (docs/streams.md), or a build of trident, gather or zena"
    )
