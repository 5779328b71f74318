"""What runs in the 32-bit Python: ``on_board.py FOLDER`` repeats the cases that test_arm.py recorded there.

For every case of cases.json: load the model, run it (or the self-test) against the recording, write NAME.npz.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np

import zeroskip
from replay import Replay
from zeroskip.hardware.config import get_config
from zeroskip.info import show
from zeroskip.runtime.selftest import selftest


def run(folder: Path, case: dict) -> str:
    """One case; returns what to print."""
    if case["model"]:
        model = zeroskip.load(folder / case["model"])
        config = model.config
    else:
        model, config = None, get_config(case["config"])
    device = Replay(folder / f"{case['name']}.recorded.npz", config, case["glue"], case["compress"])
    if model is None:
        checks = list(selftest(device, rounds=case["rounds"]))
        assert len(checks) == 3 and all(check.passed for check in checks), [str(check) for check in checks]
    else:
        result = model.run(device, np.load(folder / case["images"]))
        (folder / f"{case['name']}.json").write_text(json.dumps(result.to_json()))
        np.savez(folder / f"{case['name']}.npz", outputs=result.outputs, integers=result.integers)
        if case["reference"]:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                show(str(folder / case["model"]))
            (folder / f"{case['name']}.info").write_text(said.getvalue())
            np.save(folder / f"{case['name']}.reference.npy", model.reference(np.load(folder / case["images"])))
    device.finish()
    return f"{case['name']}: {device.done} transfers, {device.beats} words"


if __name__ == "__main__":
    assert np.dtype(np.intp).itemsize == 4 and "numba" not in sys.modules
    given = Path(sys.argv[1])
    for each in json.loads((given / "cases.json").read_text()):
        print(run(given, each), flush=True)
