"""After an abort at any moment, and after power-up with anything in registers and memories, the next layer is right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import zeroskip as zs
from layers import random_weights
from zeroskip.compiler.conv import compile_conv
from zeroskip.errors import DeviceTimeout
from zeroskip.models.reference import conv2d
from zeroskip.runtime.conv import run_layer
from zeroskip.runtime.hostops import Finish, Quant

BUILDS = [("tiny", False), ("tiny", True), ("gather_tiny", False), ("gather_tiny", True), ("zena_tiny", False)]
EVERY = 13
"""Cycles between two moments of an abort; prime to the engines' own rhythms."""


class Layer:
    """A small layer with padding on one build: its stream, and what must come back."""

    def __init__(self, device, seed=0):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 256, (1, 6, 7, 7)) * (rng.random((1, 6, 7, 7)) < 0.6)
        weights = random_weights(rng, (6, 6, 3, 3), 0.4, 0.4)
        self.x, self.quant = x.astype(np.uint8), Quant(1.0, 0)
        self.finish = Finish(
            rng.integers(-5000, 5000, 6).astype(np.int32), rng.integers(2**30, 2**31, 6).astype(np.int32),
            np.full(6, 41, np.int8), Quant(1.0, 0), 0, 255,
        )  # fmt: skip
        self.plan = compile_conv(device.config, weights, padding=(1, 1, 1, 1))
        self.expected = self.finish(conv2d(self.x.astype(np.int16), weights, (1, 1), (1, 1, 1, 1)))
        assert len(np.unique(self.expected)) > 10
        self.device = device

    def run(self):
        """The outputs and the counters of the layer."""
        out, counters = run_layer(self.device, self.plan, self.x, self.quant, self.finish)[:2]
        assert counters.cycles > 0
        return out, counters

    def check(self, when):
        np.testing.assert_array_equal(self.run()[0], self.expected, err_msg=str(when))


def interrupted(device, moment: int, how: str, monkeypatch):
    """Begin a transfer's wait, and break it off after ``moment`` cycles."""
    simulated, calls = device._device, itertools.count()

    def poll():
        if next(calls) == 0:
            simulated.step(moment)
            if how == "ctrl-c":
                raise KeyboardInterrupt
        return "busy"

    monkeypatch.setattr(device._dma, "poll", poll)
    monkeypatch.setattr(device, "timeout", 1e-9 if how == "time-out" else 10.0)


@pytest.mark.parametrize("how", ["ctrl-c", "time-out"])
@pytest.mark.parametrize("build, glue", BUILDS)
def test_a_layer_after_an_abort(build, glue, how):
    with zs.open_device("sim", build, glue=glue) as device:
        layer = Layer(device)
        out, counters = layer.run()
        np.testing.assert_array_equal(out, layer.expected)
        moments = range(1, counters.cycles + 60, EVERY)
        assert len(moments) > 40
        for moment in moments:
            with pytest.MonkeyPatch.context() as patch:
                interrupted(device, moment, how, patch)
                with pytest.raises(KeyboardInterrupt if how == "ctrl-c" else DeviceTimeout):
                    layer.run()
            layer.check(f"{build}, {how} after {moment} of {counters.cycles} cycles")


@pytest.mark.parametrize("build, glue", BUILDS)
def test_the_first_layer_after_power_up(build, glue):
    with zs.open_device("sim", build, glue=glue) as device:
        layer = Layer(device)
        for seed in range(1, 13):
            device._device.power_up = seed
            device._device.restart()
            device.reset()
            layer.check(f"{build}, power-up state of seed {seed}")
