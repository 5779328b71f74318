"""The functional packet executor behind the driver's interface: exact sums, and a cycle per step."""

import dataclasses

from zeroskip.engines import engine_of
from zeroskip.hardware.config import get_config
from zeroskip.runtime.counters import Counters


class GoldenDevice:
    """What ``Model.run`` needs of an accelerator."""

    kind = "golden"

    def __init__(self, config):
        self.config = get_config(config)
        self.transfers = 0

    def execute(self, words, out_beats):
        done = engine_of(self.config).execute(self.config, words)
        assert len(done.out) == out_beats
        self.transfers += 1
        return done.out, dataclasses.replace(Counters.zero(), **done.counters, cycles=done.counters["steps"])
