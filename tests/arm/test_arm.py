"""The board's code path on 32-bit ARM: the same words to the device, the same results, as on the machine of the tests.

The networks are compiled and run here, on the cycle model or the Verilog; what the device was sent and answered is
recorded.  The ARM Python then loads the files, packs every stream itself and is given the recorded answers.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import arm_root
import zeroskip
from onnx_models import f32, model
from replay import Recorder
from test_operators import CASES as OPERATORS
from zeroskip import cli
from zeroskip.examples.digits import MODEL_PATH, load
from zeroskip.hardware import results
from zeroskip.runtime.selftest import selftest

HERE = Path(__file__).parent
PATHS = (HERE, results.ROOT / "host")

DEMO = {
    "tiny": ((False, False), (True, False), (True, True)),
    "gather_tiny": ((False, False), (True, False), (True, True)),
    "zena_tiny": ((False, False),),
}
"""Configuration -> (glue, compressed) of the runs of the demo network."""


@pytest.fixture(scope="module")
def emulator():
    """qemu and the ARM root."""
    qemu = arm_root.need_qemu()
    return qemu, arm_root.need_root()


@pytest.fixture(scope="module")
def recorded(emulator, tmp_path_factory) -> tuple[Path, dict]:
    """A folder with models, images and recordings, and the results of each case."""
    folder = tmp_path_factory.mktemp("arm")
    cases, found = [], {}

    def record(name, device, model_file="", images="", compress=False, reference=False, rounds=0):
        recorder = Recorder(device)
        device.compress = compress
        if model_file:
            found[name] = zeroskip.load(folder / model_file).run(recorder, np.load(folder / images))
        else:
            assert all(check.passed for check in selftest(recorder, rounds=rounds))
        assert recorder.runs or not found[name].layers
        recorder.save(folder / f"{name}.recorded.npz")
        case = {"name": name, "model": model_file, "images": images, "config": device.config.name}
        cases.append(case | {"glue": device.glue, "compress": compress, "reference": reference, "rounds": rounds})

    digits = load()
    np.save(folder / "digits.npy", digits.test[:1])
    for config, runs in DEMO.items():
        zeroskip.compile(MODEL_PATH, config, digits.calibration).save(folder / f"{config}.zsk")
        for glue, compress in runs:
            with zeroskip.open_device("model", config, glue=glue) as device:
                name = f"{config}{'-glue' * glue}{'-compressed' * compress}"
                record(name, device, f"{config}.zsk", "digits.npy", compress, reference=not glue)
                if not glue:
                    record(f"{config}-selftest", device, rounds=1)
    with zeroskip.open_device("model", "tiny") as device:
        for name, (function, *_) in OPERATORS.items():
            rng = np.random.default_rng(sum(map(ord, name)))
            made = function(rng, name) if function.__code__.co_argcount > 1 else function(rng)
            nodes, weights, shape, options = (*made, {})[:4]
            options.pop("tables", None)
            data, file = model(nodes, weights, shape, **options), name.replace(" ", "-")
            x = f32(rng, options.get("batch", 3), *shape)
            compiled = zeroskip.compile(data, "tiny", x, scale_rule="max_abs", per="channel")
            compiled.save(folder / f"{file}.zsk")
            np.save(folder / f"{file}.npy", x)
            record(file, device, f"{file}.zsk", f"{file}.npy")
    (folder / "cases.json").write_text(json.dumps(cases))
    return folder, found


@pytest.fixture(scope="module")
def repeated(emulator, recorded) -> str:
    """What the ARM side prints; it has compared every word."""
    return arm_root.python(*emulator, HERE / "on_board.py", recorded[0], paths=PATHS, timeout=600)


def test_every_word_is_the_same(recorded, repeated):
    for name in [case["name"] for case in json.loads((recorded[0] / "cases.json").read_text())]:
        assert f"{name}: " in repeated


def test_results_are_the_same(recorded, repeated):
    folder, found = recorded
    for name, result in found.items():
        again = np.load(folder / f"{name}.npz")
        np.testing.assert_array_equal(again["integers"], result.integers, err_msg=name)
        # The last softmax is real arithmetic, with the exponential of each machine's C library.
        close = 1e-6 if "Softmax" in name else 0
        np.testing.assert_allclose(again["outputs"], result.outputs, rtol=close, atol=0, err_msg=name)
        assert json.loads((folder / f"{name}.json").read_text()) == json.loads(json.dumps(result.to_json())), name


@pytest.mark.parametrize("config", DEMO)
def test_reference_and_info_are_the_same(recorded, repeated, config, capsys):
    folder, found = recorded
    np.testing.assert_array_equal(np.load(folder / f"{config}.reference.npy"), found[config].outputs)
    assert cli.main(["info", str(folder / f"{config}.zsk")]) == 0
    assert (folder / f"{config}.info").read_text() == capsys.readouterr().out


def test_every_operator_was_among_them(recorded):
    assert len(recorded[1]) == len(OPERATORS) + sum(map(len, DEMO.values()))
    assert sum(bool(result.layers) for result in recorded[1].values()) > 20, "too few of them use the engine"
