"""The demo network on the gather engine: Verilated RTL = cycle model = integer reference, through API and command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.cli import main
from zeroskip.compiler.network import reschedule
from zeroskip.examples import digits


@pytest.fixture(scope="module")
def model():
    return zs.compile(str(digits.MODEL_PATH), "gather_tiny", digits.load().calibration)


@pytest.fixture(scope="module")
def images():
    return digits.load().test[:2]


SCHEDULES = [("dense", False), ("zero_skip", False), ("combined", False), ("combined", True)]


@pytest.mark.parametrize("mode, skip", SCHEDULES)
def test_the_demo_network(model, images, mode, skip):
    scheduled = reschedule(model, mode=mode, activation_skip=skip)
    found = []
    for kind in ("sim", "model"):
        with zs.open_device(kind, "gather_tiny") as device:
            found.append(scheduled.run(device, images))
    for result in found:
        np.testing.assert_array_equal(result.outputs, model.reference(images))
    assert [layer.counters for layer in found[0].layers] == [layer.counters for layer in found[1].layers]


def test_the_command(model, images, tmp_path, capsys):
    np.save(tmp_path / "x.npy", images)
    file, report = tmp_path / "m.zsk", tmp_path / "report.json"
    calibration = tmp_path / "c.npy"
    np.save(calibration, digits.load().calibration)
    options = ["-o", str(file), "--config", "gather_tiny", "--calibration", str(calibration)]
    main(["compile", str(digits.MODEL_PATH), *options])
    main(["info", str(file)])
    assert "gather_tiny" in capsys.readouterr().out
    options = ["--device", "sim", "--config", "gather_tiny", "--input", str(tmp_path / "x.npy")]
    main(["run", str(file), *options, "--output", str(tmp_path / "y.npy"), "--json", str(report)])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.reference(images))
    assert json.loads(report.read_text())
