"""The self-test passes on sound devices of every engine, and fails on devices that are not."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from zeroskip import cli
from zeroskip.compiler.conv import compile_conv
from zeroskip.devices import open_device
from zeroskip.engines import ENGINES
from zeroskip.hardware.config import BUILTIN, Config
from zeroskip.runtime.conv import run_layer, run_plan
from zeroskip.runtime.hostops import Finish, Quant
from zeroskip.runtime.plan_arrays import to_arrays
from zeroskip.runtime.selftest import _Watched, _weights, implausible, selftest

SMALL = {
    "trident": BUILTIN["tiny"],
    "filters": Config("filters", filters=4, wgs=1, columns=32, steps=16, scan=2),
    "16 bits": Config("mux16", mux=16, act_w=16, wgs=3, steps=128),
    "gather": BUILTIN["gather_tiny"],
    "zena": BUILTIN["zena_tiny"],
    "zena, 5 bits": dataclasses.replace(BUILTIN["zena_tiny"], name="zena_tiny_log", act_w=9, weight_w=5),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", ["model", "sim"])
def test_sound_devices_pass(kind, name):
    with open_device(kind, SMALL[name]) as device:
        checks = list(selftest(device, rounds=2))
    assert [check.name for check in checks] == ["identity", "DMA loop", "random layers"]
    assert all(check.passed for check in checks), "\n".join(map(str, checks))
    assert f"{2 * len(ENGINES[SMALL[name].engine].modes)} layers" in checks[-1].detail


@pytest.mark.parametrize(
    ("config", "options"),
    [*((name, {"top": "board"}) for name in ("tiny", "gather_tiny", "zena_tiny")), ("tiny", {"glue": True})],
    ids=["board design", "board design, gather", "board design, zena", "glue"],
)
def test_the_designs_around_the_engine_pass(config, options):
    with open_device("sim", config, **options) as device:
        checks = list(selftest(device))
    assert all(check.passed for check in checks), "\n".join(map(str, checks))


@pytest.mark.parametrize("compress", [False, True])
def test_layers_that_the_glue_finishes_are_plausible(compress):
    plan = compile_conv("tiny", np.ones((2, 3, 3, 3), np.int8))
    finish = Finish(np.zeros(2, np.int32), np.full(2, 2**30, np.int32), np.full(2, 34, np.int8), Quant(1.0), 0, 255)
    with open_device("sim", "tiny", glue=True) as device:
        device.compress = compress
        watched = _Watched(device)
        run_layer(watched, plan, np.ones((1, 3, 6, 6), np.uint8), Quant(1.0), finish)
    assert watched.words > 0 and watched.cycles > 0


@pytest.mark.parametrize("damage", ["sum", "beats_in", "cycles"])
def test_a_device_that_is_wrong_once_fails(damage, monkeypatch):
    with open_device("model", "tiny") as device:
        sound = device.execute

        def execute_wrongly(words, beats):
            out, counters = sound(words, beats)
            if damage == "sum":
                out[0] ^= np.uint64(1)
            else:
                counters = dataclasses.replace(counters, **{damage: getattr(counters, damage) + 1})
            return out, counters

        monkeypatch.setattr(device, "execute", execute_wrongly)
        checks = {check.name: check for check in selftest(device)}
    assert not checks["DMA loop"].passed and not checks["random layers"].passed
    expected = "1 of 1 sums are wrong, the first at (0, 0, 0, 0)" if damage == "sum" else "counters are not plausible"
    assert expected in checks["DMA loop"].detail


def test_implausible_names_what_is_wrong():
    with open_device("model", "tiny") as device:
        plan = compile_conv(device.config, np.ones((1, 1, 1, 1), np.int8))
        words, out, counters = run_noting(device, plan, np.ones((1, 1, 4, 4), np.int16))
    assert implausible(counters, words, out) == []
    assert implausible(counters, 5, 6) == [f"{words} words in, 5 sent", f"{out} words out, 6 received"]
    assert implausible(counters, 5, 6, glue=True) == []
    assert implausible(dataclasses.replace(counters, steps=counters.cycles), words, out) == [
        f"{counters.cycles} steps in {counters.busy} busy cycles"
    ]


def run_noting(device, plan, x) -> tuple[int, int, object]:
    """Words in and out and the counters of a layer of one transfer."""
    noted = []

    class Noting:
        config = device.config

        def execute(self, words, beats):
            out, counters = device.execute(words, beats)
            noted.append((len(words), len(out), counters))
            return out, counters

    run_plan(Noting(), plan, x)
    (found,) = noted
    return found


COMPILED = """
import sys
sys.modules["numba"] = None  # as on the board
sys.path.insert(0, sys.argv[1])
from test_selftest import digest
print(digest())
"""


def digest() -> str:
    """Of the compiled form of a layer for every engine, in every mode."""
    found = hashlib.sha256()
    for config in SMALL.values():
        w = _weights(config, np.random.default_rng(5), (6, 20, 3, 3))
        for mode in ENGINES[config.engine].modes:
            _, arrays = to_arrays(compile_conv(config, w, mode=mode))
            for name in sorted(arrays):
                found.update(arrays[name].tobytes())
    return found.hexdigest()


def test_compiles_the_same_without_numba(request):
    command = [sys.executable, "-c", COMPILED, request.path.parent]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


def test_command(capsys):
    assert cli.main(["selftest", "--device", "model", "--rounds", "1"]) == 0
    assert capsys.readouterr().out.count("ok ") == 3
    assert cli.main(["selftest", "--device", "model", "--rounds", "0"]) == 2
    assert cli.main(["selftest", "--device", "board"]) == 2
    assert "no PYNQ board here" in capsys.readouterr().err
