"""The self-test passes on sound devices, and fails on devices that are not."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from zeroskip import cli
from zeroskip.devices import open_device
from zeroskip.hardware.config import BUILTIN, Config
from zeroskip.models.trident import execute
from zeroskip.runtime.probe import echo, random_steps
from zeroskip.runtime.selftest import implausible, selftest

CONFIGS = {
    "tiny": BUILTIN["tiny"],
    "filters": Config("filters", filters=4, wgs=1, columns=32, steps=16, scan=2),
    "mux 16": Config("mux16", mux=16, act_w=16, wgs=3, steps=128),
    "lanes": Config("lanes", lanes=16, mux=12, wgs=5),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_sums_worked_out_in_numpy_are_those_of_the_functional_model(name):
    config = CONFIGS[name]
    for probe in (echo(config, 20, 1), echo(config, 20, 2), random_steps(config, 3), random_steps(config, 4)):
        np.testing.assert_array_equal(execute(config, probe.stream()).out, probe.expected())


@pytest.mark.parametrize(("kind", "top"), [("model", "core"), ("sim", "core"), ("sim", "board")])
def test_sound_devices_pass(kind, top):
    with open_device(kind, "tiny", top=top) as device:
        checks = list(selftest(device))
    assert [check.name for check in checks] == ["identity", "DMA loop", "random schedules", "random layers"]
    assert all(check.passed for check in checks), "\n".join(map(str, checks))


@pytest.mark.parametrize("damage", ["sum", "beats_in", "cycles"])
def test_a_device_that_is_wrong_once_fails(damage, monkeypatch):
    with open_device("model", "tiny") as device:
        sound = device.execute

        def execute_wrongly(words, beats):
            out, counters = sound(words, beats)
            if damage == "sum":
                out[-1] ^= np.uint64(1)
            else:
                counters = dataclasses.replace(counters, **{damage: getattr(counters, damage) + 1})
            return out, counters

        monkeypatch.setattr(device, "execute", execute_wrongly)
        checks = {check.name: check for check in selftest(device)}
    assert checks["DMA loop"].passed is False and checks["random schedules"].passed is False
    expected = "words of sums are wrong" if damage == "sum" else "counters are not plausible"
    assert expected in checks["DMA loop"].detail


def test_implausible_names_what_is_wrong():
    with open_device("model", "tiny") as device:
        probe = echo(device.config, 16, 1)
        _, counters = device.execute(probe.stream(), len(probe.expected()))
    assert implausible(counters, len(probe.words), len(probe.expected()), probe.steps) == []
    assert implausible(counters, 5, 6, 7) == [
        f"{len(probe.words)} words in, 5 sent",
        f"{len(probe.expected())} words out, 6 received",
        "16 steps and 0 dropped, 7 scheduled",
    ]


def test_without_the_compiler_layers_are_skipped_not_passed(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroskip.compiler.conv", None)
    with open_device("model", "tiny") as device:
        checks = {check.name: check for check in selftest(device)}
    assert checks["random layers"].passed is None and "--model" in checks["random layers"].detail


def test_command(capsys):
    assert cli.main(["selftest", "--device", "model", "--rounds", "1"]) == 0
    assert capsys.readouterr().out.count("ok ") == 4
    assert cli.main(["selftest", "--device", "model", "--rounds", "0"]) == 2
    assert cli.main(["selftest", "--device", "board"]) == 2
    assert "no PYNQ board here" in capsys.readouterr().err
